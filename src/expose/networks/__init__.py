"""Trainable torch modules that several objectives share."""

from expose.networks.augmentation import flip_and_crop
from expose.networks.causal import CausalNet
from expose.networks.choice import NETWORKS, Unfolded, backbone, make_network
from expose.networks.convolutional import ConvNet
from expose.networks.maps import linear, linears, relu
from expose.networks.perceptron import Perceptron, default_sizes, hidden_widths
from expose.networks.recurrent import RecurrentNet
from expose.networks.wide_resnet import WideResNet

__all__ = [
    "NETWORKS",
    "CausalNet",
    "ConvNet",
    "Perceptron",
    "RecurrentNet",
    "Unfolded",
    "WideResNet",
    "backbone",
    "default_sizes",
    "flip_and_crop",
    "hidden_widths",
    "linear",
    "linears",
    "make_network",
    "relu",
]
