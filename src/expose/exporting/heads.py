"""From what members give to scores, classes, p-values and flags, in a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from expose.decide import Combination, Verdict
from expose.exporting.graph import DOUBLE, WHOLE, Value, op, stacked, where

Floats = NDArray[np.float64]


def combined(head: Combination, members: list[Value]) -> Value:
    """One score of those of the members, ``(n,)`` each: the median of robustly scaled ones."""
    if len(members) == 1:
        return members[0]
    use = np.flatnonzero(head.scale > 0) if (head.scale > 0).any() else np.arange(len(members))
    scale = np.where(head.scale > 0, head.scale, 1.0)
    standard = stacked([(members[place] - head.centre[place]) / scale[place] for place in use])
    ordered, _ = standard.smallest(len(use))  # (n, M)
    return ordered.take(np.array([(len(use) - 1) // 2, len(use) // 2]), axis=-1).mean()


def entropy(z: Value, c: Value) -> Value:
    """How little the classes are alike, negated: the cross-entropy from the uniform distribution."""
    return z.mean() - z.logsumexp()


def msp(z: Value, c: Value) -> Value:
    """The largest probability, negated."""
    return -(z - z.logsumexp(keep=True)).max().exp()


SCORES: dict[str, Callable[[Value, Value], Value]] = {
    "entropy": entropy,
    "msp": msp,
    "energy": lambda z, c: -z.logsumexp(),
    "confidence": lambda z, c: -op("Sigmoid", c),
}


def judged(head: Verdict, outputs: Value) -> Value:
    """Score, number of the likeliest class and its probability, ``(n, 3)``, of a classifier's outputs ``(n, W)``."""
    number = len(head.classes)
    z = outputs.take(np.arange(number), axis=1)  # (n, K)
    if head.score == "background":
        every = outputs.take(np.arange(head.width - 1), axis=1)
        score = (every.take(np.array(number), axis=1) - every.logsumexp()).exp()
    else:
        score = SCORES[head.score](z, outputs.take(np.array(head.width - 1), axis=1))
    sharp = z / head.temperature
    probability = (sharp - sharp.logsumexp(keep=True)).max().exp()
    predicted = op("Cast", op("ArgMax", z, axis=1, keepdims=0), to=DOUBLE)
    return stacked([score, predicted, probability])


def p_values(scores: Value, calibration: Floats) -> Value:
    """``(1 + calibration scores at least as high) / (1 + their number)``, found by halving: ``(n,)``."""
    number = len(calibration)
    steps = [2**power for power in reversed(range(number.bit_length()))]
    ordered = np.append(np.sort(calibration), np.full(2 * steps[0] - number, np.inf))
    below = op("Cast", op("IsNaN", scores), to=WHOLE)  # (n,), 0
    for step in steps:
        further = below + step
        below = where(op("Gather", ordered, further - 1, axis=0) < scores, further, below)
    return (1.0 + number - op("Cast", below, to=DOUBLE)) / (1.0 + number)
