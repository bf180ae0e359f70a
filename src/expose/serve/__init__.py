"""Scores over HTTP: a model folder as a service."""
