"""How good scores of the steps of a series are, once it is known which spans are anomalous.

Everywhere ``y`` holds 0 (normal) or 1 (anomalous) for each of T steps, and neighbouring anomalous steps are one span.
Scores are finite, higher for what is more anomalous; ``flagged`` holds True or 1 for what was reported. What does not
fit raises `InputError`: unequal lengths, a score that is not finite, and steps of one class only.

There is no point adjustment here, which counts a span as found whole once one of its steps is: chance then wins.

References
----------
J. Paparrizos, P. Boniol, T. Palpanas, R. Tsay, A. Elmore, M. Franklin, Volume under the surface, VLDB 2022.
A. Huet, J. M. Navarro, D. Rossi, Local evaluation of time series anomaly detection algorithms, KDD 2022.
N. Tatbul, T. J. Lee, S. Zdonik, M. Alam, J. Gottschlich, Precision and recall for time series, NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
THRESHOLDS = 250  # as in the authors' packages, of which all published figures are
BIASES: dict[str, Callable[[Floats, int], Floats]] = {  # weight of step 1, 2, ... of a span of n steps
    "flat": lambda step, n: np.ones(n),
    "front": lambda step, n: n - step + 1,
    "middle": lambda step, n: np.minimum(step, n - step + 1),
    "back": lambda step, n: step,
}


class PrecisionRecall(NamedTuple):
    """Precision and recall.

    Examples
    --------
    >>> PrecisionRecall(0.5, 1.0).f1
    0.6666666666666666
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Their harmonic mean; 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def spans(y: ArrayLike) -> Ints:
    """First and last step of each anomalous span, ``(n, 2)``.

    Examples
    --------
    >>> spans([0, 1, 1, 0, 1]).tolist()
    [[1, 2], [4, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(y, np.int8), [0]])))
    ends: Ints = edges.reshape(-1, 2) - np.array([0, 1])
    return ends


# ------------------------------------------------------------------------------------------ volume under the surface


class Volumes(NamedTuple):
    """Volumes under the surfaces of precision and recall, and of the ROC curve."""

    pr: float
    roc: float


def vus(y: ArrayLike, scores: ArrayLike, window: int, thresholds: int | None = THRESHOLDS) -> Volumes:
    """VUS-PR and VUS-ROC: areas under range-based curves, averaged over buffers of 0 to `window` steps around spans.

    Within a buffer of L steps, half of it before and half of it after each span, a step at a distance d from its span
    counts as anomalous to the degree ``sqrt(1 - d / L)``; so a score that comes a little early or late is not punished
    as one far away is. Recall is multiplied with the share of the spans, buffers included, in which anything is
    flagged. This is the authors' later form, which their packages compute by default: of the buffers only what is
    flagged counts among the positives.

    Parameters
    ----------
    y : (T,) array of 0 and 1
    scores : (T,) array of float
    window : int
        The longest buffer, usually the period of the series.
    thresholds : int or None, default=250
        How many scores, at even ranks, serve as thresholds. None takes each.

    Returns
    -------
    Volumes
        ``pr`` and ``roc``, both 1 for a perfect ranking.

    Examples
    --------
    >>> vus([0, 0, 0, 1, 1, 0, 0, 0], [1, 2, 3, 8, 9, 4, 2, 1], window=0)
    Volumes(pr=1.0, roc=1.0)
    >>> early = vus([0, 0, 0, 1, 1, 0, 0, 0], [1, 2, 9, 8, 3, 4, 2, 1], window=4)
    >>> round(early.pr, 3), round(early.roc, 3)
    (0.716, 0.878)
    """
    truth, given = checked(y, scores)
    if window < 0:
        raise InputError(f"window must be a number of steps, 0 or more; got {window}.")
    if thresholds is not None and thresholds < 1:
        raise InputError(f"thresholds must be at least 1, or None for each score; got {thresholds}.")
    surface = Surface(truth, given, thresholds)
    areas = np.array([surface.areas(length) for length in range(window + 1)])  # (window + 1, 2)
    return Volumes(*map(float, areas.mean(axis=0)))


class Surface:
    """Curves of one series for buffers of any length. Steps are sorted once, the highest score first."""

    def __init__(self, truth: Bools, scores: Floats, thresholds: int | None) -> None:
        self.truth, self.spans = truth, spans(truth)
        self.order = np.argsort(-scores, kind="stable")
        self.scores = scores
        falling = scores[self.order]
        ranks = np.linspace(0, len(scores) - 1, thresholds or len(scores)).astype(int)
        self.thresholds = falling[ranks]
        self.flagged = np.searchsorted(-falling, -self.thresholds, side="right")  # steps at or above each threshold

    def areas(self, length: int) -> tuple[float, float]:
        """Under the curves of precision and recall and of the ROC, for buffers of this length."""
        degree = self.degrees(length)
        found = self.at_thresholds(degree)
        buffered = self.at_thresholds(np.where(self.truth, 0.0, degree))
        positives = self.truth.sum() + buffered / 2
        recall = np.minimum(found / positives, 1) * self.existence(length // 2)
        false = (self.flagged - found) / (len(self.truth) - positives)
        precision = found / self.flagged
        rising = np.concatenate([[0], recall, [1]])
        widths = np.diff(np.concatenate([[0], false, [1]]))
        return float(np.diff(rising[:-1]) @ precision), float(widths @ (rising[1:] + rising[:-1]) / 2)

    def at_thresholds(self, weights: Floats) -> Floats:
        """Sum of the weights of the flagged steps, at each threshold."""
        total: Floats = np.cumsum(weights[self.order])[self.flagged - 1]
        return total

    def degrees(self, length: int) -> Floats:
        """To which degree each step counts as anomalous; where buffers meet they add up, to 1 at most."""
        degree = self.truth.astype(np.float64)
        distance = np.arange(1, length // 2 + 1)
        slope = np.sqrt(1 - distance / max(length, 1))
        for first, last in self.spans:
            after = degree[last + 1 : last + 1 + len(slope)]
            after += slope[: len(after)]
            before = degree[max(first - len(slope), 0) : first]
            before += slope[: len(before)][::-1]
        return np.asarray(np.minimum(degree, 1))

    def existence(self, half: int) -> Floats:
        """Share of the spans in which something is flagged, at each threshold; spans whose buffers meet are one."""
        apart = self.spans[1:, 0] - self.spans[:-1, 1] > 2 * half
        firsts = np.maximum(self.spans[np.concatenate([[True], apart]), 0] - half, 0)
        lasts = self.spans[np.concatenate([apart, [True]]), 1] + half
        highest = np.sort([self.scores[a : b + 1].max() for a, b in zip(firsts, lasts, strict=True)])
        found: Floats = 1 - np.searchsorted(highest, self.thresholds) / len(highest)
        return found


# ------------------------------------------------------------------------------------------------------- affiliation

CELLS = 4  # of a step: between their edges all that is integrated below is a straight line, so midpoints are exact


def affiliation(y: ArrayLike, flagged: ArrayLike) -> PrecisionRecall:
    """Affiliation precision and recall: how near, in time, what is flagged lies to the spans, and they to it.

    Each span owns the time that is nearer to it than to any other. There, the distance of what is flagged to the span
    (and the other way round, for recall) is compared with that of a moment drawn by chance: 1 for no distance, 0 for
    the largest. Means over spans; where nothing is flagged recall is 0, and precision is taken over the other spans.
    Where nothing at all is flagged both are 0.

    Chance is not at 0: what is flagged by chance has a precision and a recall around 0.5, and a recall near 1 if much
    is flagged.

    Examples
    --------
    >>> affiliation([0, 0, 0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    PrecisionRecall(precision=1.0, recall=1.0)
    >>> near = affiliation([0, 0, 0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    >>> round(near.precision, 2), round(near.recall, 2)
    (0.7, 0.8)
    """
    truth, found = checked_flags(y, flagged)
    cells = np.repeat(found, CELLS)
    zones = list(affiliated(truth))
    precision = [zone.precision(cells) for zone in zones if zone.of(cells).any()]
    recall = [zone.recall(cells) for zone in zones]
    return PrecisionRecall(float(np.mean(precision)) if precision else 0.0, float(np.mean(recall)))


class Zone(NamedTuple):
    """A span and the time that belongs to it, as edges of cells."""

    start: int
    first: int
    last: int
    end: int

    def of(self, cells: Bools) -> Bools:
        """Which of its cells are flagged."""
        return cells[self.start : self.end]

    def middles(self) -> Floats:
        """Middle of each of its cells."""
        return np.arange(self.start, self.end, dtype=np.float64) + 0.5

    def precision(self, cells: Bools) -> float:
        """Probability that chance is farther from the span than what is flagged is, in the mean."""
        at = self.middles()[self.of(cells)]
        distance = np.maximum(np.maximum(self.first - at, at - self.last), 0)
        return float(self.farther(distance, self.first, self.last)[distance > 0].sum() + (distance == 0).sum()) / len(
            at
        )

    def recall(self, cells: Bools) -> float:
        """Probability that chance is farther from a moment of the span than what is flagged is, in the mean."""
        flagged = self.middles()[self.of(cells)]
        if not len(flagged):
            return 0.0
        at = np.arange(self.first, self.last, dtype=np.float64) + 0.5
        right = np.searchsorted(flagged, at)
        nearest = np.minimum(
            np.abs(flagged[np.minimum(right, len(flagged) - 1)] - at), np.abs(at - flagged[np.maximum(right - 1, 0)])
        )
        distance = np.maximum(nearest - 0.5, 0)  # to the edge of the flagged cell
        return float(self.farther(distance, at, at).mean())

    def farther(self, distance: Floats, left: Floats | int, right: Floats | int) -> Floats:
        """Share of the zone's time that is farther than a distance from what lies between left and right."""
        before = np.maximum(left - self.start - distance, 0)
        after = np.maximum(self.end - right - distance, 0)
        share: Floats = (before + after) / (self.end - self.start)
        return share


def affiliated(truth: Bools) -> Iterator[Zone]:
    """The zone of each span: half of the way to its neighbours, and to the ends of the series."""
    edges = CELLS * (spans(truth) + np.array([0, 1]))
    between = (edges[1:, 0] + edges[:-1, 1]) // 2  # whole, since a step has an even number of cells
    starts, ends = [0, *between], [*between, CELLS * len(truth)]
    for start, (first, last), end in zip(starts, edges, ends, strict=True):
        yield Zone(int(start), int(first), int(last), int(end))


# ------------------------------------------------------------------------------------------------------- range-based


def range_based(
    y: ArrayLike, flagged: ArrayLike, *, alpha: float = 0.2, bias: str = "flat", reciprocal: bool = True
) -> PrecisionRecall:
    """Range-based precision and recall: spans weigh alike, whatever their lengths.

    The recall of a span is ``alpha`` if it is found at all, and ``1 - alpha`` times the share that is found. Precision
    is the mean, over what is flagged as spans, of the share that is anomalous.

    Parameters
    ----------
    y, flagged : (T,) array of 0 and 1
    alpha : float in [0, 1], default=0.2
        Reward of a span's being found at all, of recall alone.
    bias : {"flat", "front", "middle", "back"}
        Which steps of a span weigh most.
    reciprocal : bool, default=True
        Whether a span that overlaps with several of the other kind has only that fraction of its share.

    Examples
    --------
    >>> range_based([0, 1, 1, 1, 1, 0, 0, 1], [0, 0, 1, 1, 0, 0, 0, 0], alpha=0)
    PrecisionRecall(precision=1.0, recall=0.25)
    """
    truth, found = checked_flags(y, flagged)
    if bias not in BIASES or not 0 <= alpha <= 1:
        raise InputError(
            f"bias must be one of {', '.join(BIASES)} and alpha a share in [0, 1]; got {bias!r} and {alpha!r}."
        )
    recall = [
        alpha * bool(share) + (1 - alpha) * share / pieces for share, pieces in overlaps(truth, found, bias, reciprocal)
    ]
    precision = [share / pieces for share, pieces in overlaps(found, truth, bias, reciprocal)]
    return PrecisionRecall(float(np.mean(precision)) if precision else 0.0, float(np.mean(recall)))


def overlaps(one: Bools, other: Bools, bias: str, reciprocal: bool) -> Iterator[tuple[float, int]]:
    """Of each span of one: the share that is in the other, and the number by which it is to be divided."""
    for first, last in spans(one):
        inside, length = other[first : last + 1], last - first + 1
        weights = BIASES[bias](np.arange(1.0, length + 1), length)
        pieces = len(spans(inside)) if reciprocal else 1
        yield float(weights @ inside / weights.sum()), max(pieces, 1)


# --------------------------------------------------------------------------------------------------------- all of it


def series_metrics(y: ArrayLike, scores: ArrayLike, window: int) -> dict[str, float]:
    """All of them by name; what needs a decision flags as many steps as are anomalous.

    Examples
    --------
    >>> found = series_metrics([0, 0, 0, 1, 1, 0, 0, 0], [1, 2, 3, 8, 9, 4, 2, 1], window=2)
    >>> list(found)
    ['vus_pr', 'vus_roc', 'affiliation_precision', 'affiliation_recall', 'affiliation_f1', 'range_f1']
    """
    truth, given = checked(y, scores)
    flagged = np.zeros(len(truth), dtype=bool)
    flagged[np.argsort(-given, kind="stable")[: truth.sum()]] = True
    volumes, near = vus(truth, given, window), affiliation(truth, flagged)
    return {
        "vus_pr": volumes.pr,
        "vus_roc": volumes.roc,
        "affiliation_precision": near.precision,
        "affiliation_recall": near.recall,
        "affiliation_f1": near.f1,
        "range_f1": range_based(truth, flagged).f1,
    }


def checked(y: ArrayLike, scores: ArrayLike) -> tuple[Bools, Floats]:
    """Truth and scores of the steps of one series."""
    truth, given = checked_truth(y), np.asarray(scores, dtype=np.float64)
    same_length(truth, given, "scores")
    if not np.isfinite(given).all():
        raise InputError(f"scores must be finite; step {int(np.argmin(np.isfinite(given)))} is not.")
    return truth, given


def checked_flags(y: ArrayLike, flagged: ArrayLike) -> tuple[Bools, Bools]:
    """Truth and decisions of the steps of one series."""
    truth, found = checked_truth(y), np.asarray(flagged)
    same_length(truth, found, "flagged")
    return truth, zeros_and_ones(found, "flagged")


def checked_truth(y: ArrayLike) -> Bools:
    """Truth of the steps of one series, of both classes."""
    truth = zeros_and_ones(np.asarray(y), "y")
    if truth.ndim != 1 or truth.all() or not truth.any():
        raise InputError(
            f"y must be one series with normal and anomalous steps; it has the shape {truth.shape} and "
            f"{int(truth.sum())} anomalous steps."
        )
    return truth


def zeros_and_ones(values: NDArray[np.generic], name: str) -> Bools:
    """Values as booleans."""
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"{name} must hold 0 (normal) and 1 (anomalous) only.")
    return values.astype(bool)


def same_length(truth: Bools, other: NDArray[np.generic], name: str) -> None:
    """Raise unless both have one entry for each step."""
    if other.shape != truth.shape:
        raise InputError(f"y and {name} must have one entry for each step; got {truth.shape} and {other.shape}.")
