"""Trainable torch modules that several objectives share."""

from expose.networks.perceptron import Perceptron, default_sizes

__all__ = ["Perceptron", "default_sizes"]
