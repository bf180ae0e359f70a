"""Perceptrons: linear layers and activations in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from expose.errors import InputError
from expose.exporting.graph import Value, op
from expose.networks.perceptron import Linear, Perceptron, ReLU


def linear(layer: nn.Linear, rows: Value) -> Value:
    """One linear layer."""
    mapped = rows @ layer.weight.T
    return mapped if layer.bias is None else mapped + layer.bias


LAYERS: dict[type[nn.Module], Callable[[Any, Value], Value]] = {
    Linear: linear,
    ReLU: lambda _, rows: op("Relu", rows),
}


def perceptron(network: nn.Module, rows: Value) -> Value:
    """What a perceptron makes of rows ``(..., D)``.

    Raises
    ------
    InputError
        If the network is another one, or has layers of another kind.
    """
    layers = list(network) if isinstance(network, Perceptron) else [network]
    for layer in layers:
        if type(layer) not in LAYERS:
            own = getattr(layer, "network", layer)
            raise InputError(
                f"The network {type(own).__name__} cannot be exported to ONNX here; perceptrons can, the usual "
                "networks of tables. For a torch module of your own there is torch.onnx.export; Scorer takes any."
            )
        rows = LAYERS[type(layer)](layer, rows)
    return rows
