"""`Gaussian`: Mahalanobis distances of places, and the mean of the worst."""

from __future__ import annotations

import numpy as np

from expose.exporting.base import exports, exports_places
from expose.exporting.graph import Value, op, where
from expose.objectives import Gaussian
from expose.objectives.gaussian import LEAST, SAME, SUMS
from expose.objectives.memory import TINY


@exports_places(Gaussian)
def places(member: Gaussian, parts: Value) -> Value:
    """Distance of each place, ``(n, D) -> (n, P)``; of a sample that moments were taken of, to the others'."""
    assert member.layout is not None
    n_places, width = member.layout.n_places, member.mean.shape[-1]
    first = parts.slice(np.array([0]), np.array([n_places * member.layout.shape[-1]]), axis=1)
    first = first if member.narrow is None else first @ member.narrow
    apart = first.reshape(0, n_places, width) - member.mean  # (n, P, K)
    white = apart.transpose(1, 0, 2) @ member.root.transpose(1, 2)  # (P, n, K)
    distances = white.square().sum().sqrt().transpose(1, 0)  # (n, P)
    likely = likelier(member, white).transpose(1, 0) if len(member.shapes) else 1.0  # (n, P)
    if not len(member.sums):  # of many vectors none is known again
        return distances * likely
    weight = own_weight(member, first) * op("Min", op("Div", member.usual, op("Max", distances, TINY)), 1.0)
    others = op("Max", -weight + member.total, TINY)
    times = op("Div", member.total, others)
    unit = distances.square() / (member.total + width)
    rest = op("Max", 1.0 - weight * times * unit, LEAST)
    return times * ((others + float(width)) * unit / rest).sqrt() * likely


def likelier(member: Gaussian, away: Value) -> Value:
    """How much likelier directions are among known anomalies, ``(..., K) -> (...)``."""
    anomalous, normal = (((away @ inverse) * away).sum() for inverse in member.shapes)
    return op("Div", normal + TINY, anomalous + TINY).sqrt()


def own_weight(member: Gaussian, values: Value) -> Value:
    """The weight of each sample in the moments, ``(n, 1)``."""
    assert member.layout is not None
    n_values = member.mean.numel()
    every = np.resize(np.eye(SUMS), (n_values, SUMS))  # picks each eighth value
    sums = (values @ every).reshape(0, 1, SUMS)  # (n, 1, 8)
    near = SAME * member.sums.std(dim=0, correction=0) + TINY
    apart = op("Abs", sums - member.sums)  # (n, R, 8)
    same = (apart - near).max() <= 0.0  # (n, R)
    return where(same, member.kept, 0.0).max(keep=True)


@exports(Gaussian)
def gaussian(member: Gaussian, parts: Value) -> Value:
    """Mean of the worst distances."""
    assert member.layout is not None
    worst, _ = (-places(member, parts)).smallest(min(member.n_worst, member.layout.n_places))
    return -worst.mean()
