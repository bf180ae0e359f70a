"""Which sets have most members in common, without comparing all with all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

Sets = Sequence[frozenset[str]]


def most_alike(
    mine: Sets, theirs: Sets, least: float, leave_out: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """For each set the most similar one of ``theirs`` by Jaccard's index, and that index, each (n,).

    Exact where the index is at least ``least``, else 0 or a lower index. Two sets that are so similar share one of the
    rarest members of each (prefix filtering: Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins in
    Data Cleaning", ICDE 2006), so that only those are compared. ``leave_out`` names for each of ``mine`` one of
    ``theirs`` that it is not compared with.

    Examples
    --------
    >>> most_alike([frozenset("abcd")], [frozenset("xyz"), frozenset("abce")], least=0.5)
    (array([0.6]), array([1]))
    """
    frequent = Counter(member for members in theirs for member in members)
    index: dict[str, list[int]] = defaultdict(list)
    for place, members in enumerate(theirs):
        for member in _rarest(members, frequent, least):
            index[member].append(place)
    alike, places = np.zeros(len(mine)), np.zeros(len(mine), dtype=np.intp)
    for row, members in enumerate(mine):
        candidates = {place for member in _rarest(members, frequent, least) for place in index.get(member, ())}
        if leave_out is not None:
            candidates.discard(leave_out[row])
        for place in sorted(candidates):
            common = len(members & theirs[place])
            jaccard = common / (len(members) + len(theirs[place]) - common)
            if jaccard > alike[row]:
                alike[row], places[row] = jaccard, place
    return alike, places


def _rarest(members: frozenset[str], frequent: Counter[str], least: float) -> list[str]:
    """So many of the rarest members that a similar set must have one of them."""
    in_order = sorted(members, key=lambda member: (frequent[member], member))
    return in_order[: len(members) - ceil(least * len(members) - 1e-9) + 1]
