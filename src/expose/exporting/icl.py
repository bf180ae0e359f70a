"""`ICL`: how well windows of columns fit to what is outside of them."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import nn

from expose.exporting.base import exports
from expose.exporting.graph import Value, op
from expose.exporting.ntl import contrast
from expose.exporting.perceptron import linear
from expose.networks.perceptron import Linear
from expose.objectives import ICL
from expose.objectives.icl import SLOPE, Ordering, PositionScale


@exports(ICL)
def icl(member: ICL, rows: Value) -> Value:
    """Mean over the orders of the mean of ``-log h_j``, each a softplus."""
    scores = [of_order(member, ordering, rows) for ordering in member.orderings]
    return reduce(Value.__add__, scores) / float(len(scores))


def of_order(member: ICL, ordering: Any, rows: Value) -> Value:
    """The score of one order of the columns, ``(n,)``."""
    f, g = (unit(vectors, member.across) for vectors in embedded(ordering, rows))  # (n, J, hidden)
    same = (f * g).sum() / member.temperature  # (n, J)
    among = op("Einsum", g, f, equation="njd,nld->njl") / member.temperature  # (n, J, J)
    return contrast(among, same, member.positions)


def embedded(ordering: Ordering, rows: Value) -> tuple[Value, Value]:
    """Vectors of the inside and the outside at each position."""
    numbers = torch.arange(len(ordering.order))[None]
    inside, outside = (places[0].numpy() for places in ordering.split(numbers))  # (J, w), (J, D - w)
    return network(ordering.inside, rows.take(inside, axis=1)), network(ordering.outside, rows.take(outside, axis=1))


def unit(vectors: Value, across: bool) -> Value:
    """Vectors at length one; before that each feature across the positions."""
    return (vectors.unit(axis=1) if across else vectors).unit()


LAYERS: dict[type[nn.Module], Callable[[Any, Value], Value]] = {
    Linear: linear,
    nn.Tanh: lambda _, rows: op("Tanh", rows),
    nn.LeakyReLU: lambda _, rows: op("Max", rows, SLOPE * rows),  # onnxruntime has none for float64
    PositionScale: lambda layer, rows: rows * layer.gain + layer.bias,
}


def network(layers: nn.Module, rows: Value) -> Value:
    """What one of the two networks makes of values at each position, ``(n, J, ...)``."""
    for layer in layers.children():
        rows = LAYERS[type(layer)](layer, rows)
    return rows
