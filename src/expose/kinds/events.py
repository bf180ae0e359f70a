"""Events: peaks of the scores of samples that follow each other, each with the stretch that is as high as it.

What is looked at around a sample is looked at around its neighbours, too: one odd step raises the scores of all within
a window of it, the less the further away. So not every high sample is a finding of its own, and a finding is shorter
than what lies above a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

APART: Final = 1 / 2  # of the height of a peak: so deep is the valley to any higher one
AS_HIGH: Final = 2 / 3  # ... and so high are first and last of an event: most windows over them see what is odd

TOGETHER: Final = 10  # flagged samples with no more others between them are of one run
WIDEST: Final = 10_001  # places around a peak in which a valley is looked for: of all, many take minutes


class Event(NamedTuple):
    """First place, last place, and that of the peak."""

    first: int
    last: int
    peak: int


def events_of(scores: Floats, ends: NDArray[np.intp], line: float = -np.inf) -> list[Event]:
    """All events whose peaks exceed a line, the highest first.

    Heights are above the median of all scores. A peak is of an event of its own if the valley between it and any higher
    one reaches down to half its height. An event lies between the next places below half its height, from the first to
    the last place of two thirds.

    Parameters
    ----------
    scores : (n,) array
        In order of time.
    ends : (s,) array of int
        Where stretches end and, but for the last, others begin: no event reaches over these.
    line : float
        By default what is above the median is an event.

    Examples
    --------
    >>> events_of(np.array([1.0, 1, 1, 6, 9, 10, 8, 4, 1, 1, 4, 1, 1]), np.array([13]), line=2.0)
    [Event(first=4, last=6, peak=5), Event(first=10, last=10, peak=10)]
    """
    if not len(scores):
        return []
    usual = min(float(np.median(scores)), line) if np.isfinite(line) else float(np.median(scores))
    found = [
        Event(start + first, start + last, start + peak)
        for start, end in pairwise([0, *ends.tolist()])
        for first, last, peak in _of_stretch(scores[start:end], line, usual)
    ]
    return sorted(found, key=lambda event: -scores[event.peak])


def _of_stretch(scores: Floats, line: float, usual: float) -> Iterator[Event]:
    from scipy.signal import find_peaks

    lowest, highest = min(usual, float(scores.min())), float(scores.max())
    if highest <= max(line, usual):
        return
    outside = lowest - 2 * (highest - lowest) - 1  # a valley as deep as any peak needs
    padded = np.concatenate([[outside], scores, [outside]])
    peaks, found = find_peaks(padded, height=np.nextafter(max(line, usual), np.inf), prominence=0, wlen=WIDEST)
    for peak in peaks[found["prominences"] >= APART * (padded[peaks] - usual)].tolist():
        height = padded[peak] - usual
        first = last = peak
        while padded[first - 1] > usual + APART * height:
            first -= 1
        while padded[last + 1] > usual + APART * height:
            last += 1
        high = first - 1 + np.flatnonzero(padded[first : last + 1] >= usual + AS_HIGH * height)
        yield Event(int(high[0]), int(high[-1]), peak - 1)


def runs_of(place: NDArray[Any], stretch: NDArray[Any], flagged: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Flagged samples by number, those of a run together and in order; with no more than ten between them, two are one.

    Parameters
    ----------
    place : (n,) array of int
        Where each is in the order of all.
    stretch : (n,) array of int
        In which stretch; runs end where one does.
    flagged : (n,) array of bool

    Examples
    --------
    >>> found = runs_of(np.arange(40), np.arange(40) // 20, np.isin(np.arange(40), [2, 5, 19, 20]))
    >>> [run.tolist() for run in found]
    [[2, 5], [19], [20]]
    """
    order = np.lexsort((place, stretch))
    order = order[flagged[order]]
    if not len(order):
        return []
    begins = (np.diff(place[order]) > TOGETHER + 1) | (np.diff(stretch[order]) != 0)
    return np.split(order, np.flatnonzero(begins) + 1)
