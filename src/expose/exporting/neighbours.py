"""`Neighbours`: distances to remembered rows at three scales, and what answers say of rows like them.

As `expose.objectives.memory` measures them, but products are in double precision always: what was rounded to single
precision there, is rounded here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose.exporting.base import exports
from expose.exporting.graph import DOUBLE, WHOLE, Value, op, side_by_side, stacked, where
from expose.objectives import Neighbours
from expose.objectives.distances import WORST, Points
from expose.objectives.memory import ABNORMAL_NEIGHBOURS, PULL, TINY, Ellipsoid, Memory
from expose.objectives.neighbours import AHEAD, FIRST, INSIDE, LAST, MANNER, SMALLEST_SPREAD, SMALLEST_STEP, SURVIVAL

Floats = NDArray[np.float64]


@exports(Neighbours)
def neighbours(member: Neighbours, rows: Value) -> Value:
    """The largest of the scores at the three scales, corrected by answers."""
    parts = rows.reshape(0, -1, member.n_views)  # (n, D, V)
    smallest = np.array([SMALLEST_STEP, SMALLEST_SPREAD, *[SMALLEST_STEP] * len(member.wide)])
    rare = []  # (n, 2 + S) each
    for view, memory in enumerate(member.memories()):
        source = view % member.n_views  # whitened ones come after all others
        rows = parts.take(np.array(source), axis=2)
        rare.append(tail(distances(member, memory, rows, source), doubled(member.tails[view]), smallest))
    scales = rare[: member.n_views]
    near, linked = (stacked([one.take(np.array(scale), axis=1) for one in scales]).mean() for scale in (0, 1))
    some = scales if member.crowded else rare
    wide = side_by_side([one.slice(np.array([2]), np.array([len(smallest)]), axis=1) for one in some])  # (n, V' S)
    rarest = wide.logsumexp() - math.log(len(some) * len(member.wide))
    if member.crowded:
        own = stacked([one.take(np.array(2), axis=1) for one in rare[member.n_views :]]).mean()
        rarest = op("Max", rarest, own + AHEAD)
    return corrected(member, parts, stacked([near * float(member.refined), linked, rarest]))


def doubled(tensor: Tensor) -> Floats:
    """A tensor as an array in double precision."""
    array: Floats = tensor.detach().double().cpu().numpy()
    return array


# ----------------------------------------------------------------------------------------------------- distances


def distances(member: Neighbours, memory: Memory | Ellipsoid, rows: Value, view: int) -> Value:
    """Log distances of one view, ``(n, D) -> (n, 2 + S)``; see `Neighbours.distances`."""
    if isinstance(memory, Memory):
        return measured(memory, rows, member.near, member.wide)
    away = rows.take(member.numbers.numpy(), axis=1) - doubled(member.middle[view])
    found = ellipsoid(memory, away @ doubled(member.turning[view]).T)  # of numbers: an ONNX file takes no categories
    return found.take(np.zeros(2 + len(member.wide), dtype=int), axis=1)


def ellipsoid(memory: Ellipsoid, rows: Value) -> Value:
    """The log distance from the middle, ``(n, 1)``; see `Ellipsoid.measure`."""
    to_points, length = squares(memory.points, rows)
    same = op("Max", length * (WORST * torch.finfo(memory.points.dtype).eps), memory.same**2)
    squared = rows.square().sum(keep=True)
    alone = squared / op("Max", 1.0 - squared * memory.leverage, TINY)
    distance = where(to_points.min(keep=True) <= same, alone, squared).sqrt()
    return (distance + TINY).log()


def measured(memory: Memory, rows: Value, near: int, wide: Sequence[float]) -> Value:
    """Log distances to near, linked and wide neighbours, ``(n, D) -> (n, 2 + S)``; see `Memory.measure`."""
    n_cells = memory.n_cells
    squared, length = squares(memory.points, rows)  # (n, P)
    same = op("Max", length * (WORST * torch.finfo(memory.points.dtype).eps), memory.same**2)  # (n, 1)
    linked = op("Max", squared, np.nan_to_num(doubled(memory.heights).ravel())).min(keep=True)
    by_cell = squared.reshape(0, -1, n_cells)
    first = by_cell.take(np.array(0), axis=1)  # (n, cells)
    furthest = max(max(0, round(share * n_cells) - 1) for share in wide) + 1
    number = min(n_cells, 1 + max(furthest, near))
    ordered, _ = first.smallest(number)
    own = op("Cast", ordered.slice(np.array([0]), np.array([1]), axis=1) <= same, to=WHOLE)  # (n, 1)
    if memory.whole_weights:
        kept = squared if memory.left_out is None else squared + doubled(memory.left_out)
        closest, _ = kept.reshape(0, -1, n_cells).min(1).smallest(min(n_cells, near + 1))
        itself = op("Cast", closest.slice(np.array([0]), np.array([1]), axis=1) <= same, to=WHOLE)
        nearest = picked(closest, itself + np.arange(near), min(memory.n_kept, near + 1) - 1)  # (n, near)
    else:
        weights = doubled(memory.weights)
        nearest = side_by_side([weighted(squared, weights, count, same) for count in range(1, near + 1)])
    places = np.array([max(0, round(share * n_cells) - 1) for share in wide])
    enclosing = picked(ordered, own + places, number - 1)
    mean = log_distance(nearest, same).mean(keep=True)
    found = side_by_side([mean, op("Max", log_distance(linked, same), mean), log_distance(enclosing, same)])
    if not len(memory.abnormal_weights):
        return found
    abnormal, length = squares(memory.abnormal, rows)
    same = op("Max", length * (WORST * torch.finfo(memory.abnormal.dtype).eps), memory.same**2)
    pulling = log_distance(weighted(abnormal, doubled(memory.abnormal_weights), ABNORMAL_NEIGHBOURS, same), same)
    return found - pulling * np.array([PULL, *[0.0] * (1 + len(wide))])


def squares(points: Points, rows: Value) -> tuple[Value, Value]:
    """Squared distances to all points, ``(n, D) -> (n, P)``, and to their middle, ``(n, 1)``."""
    single = points.dtype is torch.float32
    away = rows - points.middle
    away = away.rounded() if single else away
    length = away.square().sum(keep=True)
    length = length.rounded() if single else length
    lifted = doubled(points.lifted_points).T  # (D + 2, P)
    return side_by_side([away, length]) @ lifted[:-1] + lifted[-1], length


def picked(ordered: Value, places: Value, last: int) -> Value:
    """What stands at places, or at the last: ``(n, K)``, ``(n, S) -> (n, S)``."""
    return op("GatherElements", ordered, op("Min", places, np.array(last)), axis=1)


def weighted(squared: Value, weight: Floats, count: int, same: Value) -> Value:
    """The squared distance at which the nearest points' weights sum to ``count``: ``(n, 1)``."""
    having = np.flatnonzero(weight > 0)
    number = min(2 * count + 1, len(having))
    found, places = squared.take(having, axis=1).smallest(number)  # (n, K)
    weights = op("Gather", weight[having], places, axis=0)
    first = np.array([0]), np.array([1])
    own = where(found.slice(*first, axis=1) <= same, weights.slice(*first, axis=1), 0.0)
    mass = op("CumSum", weights, np.array(1)) - own
    place = op("Cast", op("Cast", mass < count - 1e-4, to=DOUBLE).sum(keep=True), to=WHOLE)
    return picked(found, place, number - 1)


def log_distance(squared: Value, same: Value) -> Value:
    """Logarithms of distances, of which those up to ``same`` are 0; both come as squares."""
    return (where(squared <= same, 0.0, squared).sqrt() + TINY).log()


# --------------------------------------------------------------------------------------------------------- scores


def tail(found: Value, knots: Floats, smallest: Floats) -> Value:
    """``-log P(D > d)``, piecewise linear between the deciles, exponential beyond: ``(n, S)``, ``(S, 8)``."""
    level = -np.log(np.array(SURVIVAL))  # (8,)
    found = found.rounded()  # as the knots are: many rows may be at one and the same distance
    step = np.maximum(np.diff(knots), SMALLEST_STEP)  # (S, 7)
    inside: Value = ((op("Unsqueeze", found, np.array([-1])) - knots[:, :-1]) / step).clip(0.0, 1.0) * np.diff(level)
    rate = (level[LAST] - level[FIRST]) / np.maximum(knots[:, LAST] - knots[:, FIRST], smallest)  # (S,)
    beyond: Value = op("Relu", found - knots[:, LAST]) * rate
    return inside.sum() + beyond


def corrected(member: Neighbours, parts: Value, scales: Value) -> Value:
    """The score ``(n,)``, moved where answers about rows like these surprised."""
    correction = doubled(member.correction)
    answered = np.flatnonzero(correction)
    score = scales.max()
    if not len(answered):
        return score
    views = doubled(member.views(member.rows))[:, answered]  # (V, L, D)
    close = []
    for place, remembered in enumerate(views):
        away = op("Unsqueeze", parts.take(np.array(place), axis=2), np.array([1])) - remembered  # (n, L, D)
        close.append((away.square().sum() / -(2 * float(member.apart[place]) ** 2)).exp())
    near = stacked(close).mean()  # (n, L)
    manner = doubled(member.manner)[answered]  # (L, 3)
    differing = (op("Unsqueeze", (scales + INSIDE).log(), np.array([1])) - manner).square().sum()
    alike = near * (differing / -(2 * MANNER**2)).exp()
    return score * (alike * correction[answered]).sum().exp()
