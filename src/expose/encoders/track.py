"""The last rows of a series: where they lie on its steps, and which of them wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.kinds.recording import JITTER, means

Floats = NDArray[np.float64]


class Waiting(NamedTuple):
    """A row that is to be judged: its number, and its step in the stretch."""

    number: int
    place: int


@dataclass
class Track:
    """The last rows of a series, since the last gap.

    Attributes
    ----------
    zero : float
        When the stretch began: the time of its step 0.
    at, values : (m,) and (m, C) array of float
        Rows in order of time; NaN where missing.
    waiting : list of Waiting
        Those that are yet to be judged.
    late : int
        How many came late since one was in time.
    """

    zero: float
    at: Floats
    values: Floats
    waiting: list[Waiting] = field(default_factory=list)
    late: int = 0
    fresh: list[tuple[float, Floats]] = field(default_factory=list)  # newer rows, one by one: arrays grow slowly

    @property
    def last(self) -> float:
        """The time of the newest row."""
        return self.fresh[-1][0] if self.fresh else float(self.at[-1])

    def gather(self) -> None:
        """Put fresh rows behind the others."""
        if self.fresh:
            at, values = zip(*self.fresh, strict=True)
            self.at, self.values = np.append(self.at, at), np.concatenate([self.values, np.stack(values)])
            self.fresh = []

    def insert(self, at: float, values: Floats) -> None:
        """Put a late row where it belongs."""
        place = int(np.searchsorted(self.at, at, side="right"))
        self.at, self.values = np.insert(self.at, place, at), np.insert(self.values, place, values, axis=0)

    def steps(self, step: float) -> tuple[Floats, Floats]:
        """Where rows lie, in steps, and their values; those that lie hardly beside a step lie on it.

        Of rows of the same time the mean is taken.
        """
        firsts = np.flatnonzero(np.diff(self.at, prepend=-np.inf))
        exact = (self.at[firsts] - self.zero) / step
        near = np.round(exact)
        found = np.where(np.abs(exact - near) <= JITTER, near, exact)
        for row in np.flatnonzero(np.diff(found) <= 0) + 1:  # two of them at one step
            found[row] = np.nextafter(max(exact[row], found[row - 1]), np.inf)
        return found, means(self.values, firsts)


def at_steps(exact: Floats, values: Floats, first: int, last: int) -> Floats:
    """Values of channels at the steps from ``first`` to ``last``, from rows that lie at ``exact`` (m,) steps.

    >>> at_steps(np.array([0.0, 1.0, 3.0]), np.array([[0.0, 5.0], [1.0, np.nan], [3.0, 7.0]]), 1, 3).tolist()
    [[1.0, 5.666666666666667], [2.0, 6.333333333333333], [3.0, 7.0]]
    """
    steps = np.arange(first, last + 1, dtype=np.float64)
    begin = int(np.searchsorted(exact, first))
    some = values[begin : begin + len(steps)]
    if (
        len(some) == len(steps)
        and np.array_equal(exact[begin : begin + len(steps)], steps)
        and not np.isnan(some).any()
    ):
        return some
    found = np.full((len(steps), values.shape[1]), np.nan)
    for channel, column in enumerate(values.T):
        there = ~np.isnan(column)
        if there.any():
            found[:, channel] = np.interp(steps, exact[there], column[there])
    return found
