"""`LocalGlobal`: a Gaussian of each place and neighbours of whole photos, together."""

from __future__ import annotations

import math

import numpy as np

from expose.exporting import gaussian, neighbours
from expose.exporting.base import exports, exports_places
from expose.exporting.graph import Value, op, stacked
from expose.objectives import LocalGlobal
from expose.objectives.memory import TINY
from expose.objectives.neighbours import SMALLEST_STEP


@exports_places(LocalGlobal)
def places(member: LocalGlobal, parts: Value) -> Value:
    """Scores of the places, ``(n, P)``."""
    return gaussian.places(member.local, parts)


@exports(LocalGlobal)
def local_global(member: LocalGlobal, parts: Value) -> Value:
    """Minus the logarithm of the harmonic mean of two p-values."""
    worst = stacked([(gaussian.gaussian(member.local, parts) + TINY).log()])  # (n, 1)
    rare = neighbours.tail(worst, neighbours.doubled(member.tails[0]), np.array([SMALLEST_STEP]))  # (n, 1)
    local = rare.take(np.array(0), axis=1)
    whole = neighbours.neighbours(member.whole, vectors(member, parts))
    return stacked([local, whole]).logsumexp() - math.log(2)


def vectors(member: LocalGlobal, parts: Value) -> Value:
    """Vectors of the whole photos, of length 1."""
    layout = member.layout
    assert layout is not None
    inner = layout.n_values - layout.beside
    if layout.beside:
        return parts.slice(np.array([inner]), np.array([layout.n_values]), axis=1).unit()
    return op("Reshape", parts, np.array([0, layout.n_places, layout.shape[-1]])).mean(1).unit()
