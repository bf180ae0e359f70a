"""Conformal p-values, and the selection of rows by them at a false-discovery rate.

A p-value here is the rank of a score among the scores of calibration rows that the model has not seen in training. If
those are normal rows, exchangeable with the normal rows to be judged, a normal row has a p-value of at most t with a
probability of at most t (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005), and the step-up
rule of Benjamini and Hochberg (1995) keeps its false-discovery rate in spite of the common calibration rows, which make
p-values positively dependent (Bates, Candes, Lei, Romano and Sesia, "Testing for outliers with conformal p-values",
Annals of Statistics, 2023). Anomalies among the calibration rows make p-values larger, as long as they score high:
less is found, and no more of it false (Bashari, Sesia and Romano, "Robust conformal outlier detection under
contaminated reference data", 2025).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]


def conformal_p_values(scores: ArrayLike, calibration: ArrayLike) -> Floats:
    """``(1 + number of calibration scores at least as high) / (1 + their number)`` for each score.

    Parameters
    ----------
    scores : array of shape (n,)
        Anomaly scores, higher = more anomalous.
    calibration : array of shape (m,)
        Scores of rows that the model was not trained on.

    Returns
    -------
    array of shape (n,)
        In [1 / (m + 1), 1]; ties count against the row.

    Examples
    --------
    >>> conformal_p_values([0.5, 2.0, 9.0], [1.0, 2.0, 3.0]).tolist()
    [1.0, 0.75, 0.25]
    """
    return p_values_among(scores, np.sort(np.asarray(calibration, dtype=np.float64)))


def p_values_among(scores: ArrayLike, ordered: Floats) -> Floats:
    """The same, of calibration scores in ascending order."""
    if not len(ordered):
        raise InputError("A p-value needs calibration rows that are not known anomalies; got none.")
    below = np.searchsorted(ordered, np.asarray(scores, dtype=np.float64), side="left")  # (n,)
    return (1 + len(ordered) - below) / (1 + len(ordered))


def conformal_threshold(calibration: Floats, level: float) -> float:
    """The score above which a row has a conformal p-value of at most ``level``.

    Raises
    ------
    InputError
        If there are so few calibration scores that no p-value can be so small.
    """
    m = len(calibration)
    if 1 / (m + 1) > level:
        raise InputError(
            f"A p-value of at most {level:g} needs {math.ceil(1 / level) - 1:,} calibration rows or more; there are "
            f"{m:,}. Choose a higher level, or calibrate with more rows."
        )
    possible = np.arange(1, m + 2) / (m + 1)  # p-values with 0, 1, ... m calibration scores at least as high
    most_above = int(np.searchsorted(possible, level, side="right")) - 1
    return float(np.sort(calibration)[m - 1 - min(most_above, m - 1)])


def select(p_values: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Select rows by their p-values so that on average at most ``rate`` of the selected are false discoveries.

    The step-up rule of Benjamini and Hochberg, "Controlling the false discovery rate", 1995. The rows are judged
    together: with other rows beside it, the same row may be selected or not. What the rate promises is an average over
    repetitions, calibration included, and it is as good as the p-values are (see `AnomalyDetector.p_value`).

    Parameters
    ----------
    p_values : array of shape (n,)
    rate : float
        Share of false discoveries to allow, in (0, 1).

    Returns
    -------
    array of shape (n,), bool

    Raises
    ------
    InputError
        If the rate or a p-value lies outside its range.

    Examples
    --------
    >>> select([0.01, 0.04, 0.03, 0.9], rate=0.1).tolist()
    [True, True, True, False]
    """
    tally = StepUp()
    array = np.asarray(p_values, dtype=np.float64)
    tally.add(array)
    return array <= tally.cutoff(rate)


class StepUp:
    """The step-up rule over a stream: remembers how often each p-value occurred, of which there are few."""

    def __init__(self) -> None:
        self.values: Floats = np.zeros(0)  # (k,), ascending
        self.counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # (k,)

    def add(self, p_values: Floats) -> None:
        """Count the p-values of some more rows."""
        if p_values.ndim != 1 or not ((p_values > 0) & (p_values <= 1)).all():
            raise InputError("p-values must be an array of shape (n,) of numbers above 0 and at most 1.")
        self._merge(*np.unique(p_values, return_counts=True))

    def merge(self, other: StepUp) -> None:
        """Count those that another one has counted."""
        self._merge(other.values, other.counts)

    def _merge(self, new: Floats, counts: NDArray[np.int64]) -> None:
        self.values, place = np.unique(np.concatenate([self.values, new]), return_inverse=True)
        weights = np.concatenate([self.counts, counts])
        self.counts = np.bincount(place, weights=weights, minlength=len(self.values)).astype(np.int64)

    def cutoff(self, rate: float) -> float:
        """The largest p-value that is selected at this false-discovery rate; 0 if none is."""
        check_rate("rate", rate)
        up_to = np.cumsum(self.counts)  # rows with this p-value or a smaller one
        passed = np.flatnonzero(self.values * self.counts.sum() <= rate * up_to)
        return float(self.values[passed[-1]]) if len(passed) else 0.0


def check_rate(name: str, value: Any, most: float = 1.0) -> None:
    """Raise InputError unless ``value`` lies strictly between 0 and ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < most:
        raise InputError(f"{name} must be a number between 0 and {most:g}, neither of them; got {value!r}.")
