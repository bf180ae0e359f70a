"""Is a classifier right as often as it says? Bins of its confidence, and how far they are from its accuracy.

References
----------
D. Hendrycks, M. Mazeika, T. Dietterich, Deep anomaly detection with outlier exposure, ICLR 2019, appendix G.
K. Nguyen, B. O'Connor, Posterior calibration and exploratory analysis for NLP models, EMNLP 2015 (adaptive bins).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Reliability(NamedTuple):
    """What a reliability diagram shows: bins of rows, from the least confident to the most confident.

    Attributes
    ----------
    confidence : (bins,) mean confidence
    accuracy : (bins,) share of right predictions
    rows : (bins,) number of rows
    """

    confidence: Floats
    accuracy: Floats
    rows: Ints


def reliability(correct: ArrayLike, confidence: ArrayLike, *, rows_per_bin: int = 100) -> Reliability:
    """Sort the rows by confidence and cut them into adaptive bins: equally many rows in each, fewer in the last.

    Every row is in a bin. Fewer rows than `rows_per_bin` make one bin. Rows of equal confidence share their mean
    accuracy, so it never matters in which order they come when a cut goes through them.

    Parameters
    ----------
    correct : (n,) array of bool
        Whether the predicted class was right.
    confidence : (n,) array of float in [0, 1]
    rows_per_bin : int, default=100
        As in Hendrycks et al. 2019. Smaller bins make a larger calibration error, by chance alone.

    Raises
    ------
    InputError
        If the lengths differ, there is no row, a confidence is outside [0, 1], or `rows_per_bin` is below 1.

    Examples
    --------
    >>> bins = reliability([True, False, True, True, True], [0.5, 0.4, 0.8, 1.0, 0.9], rows_per_bin=2)
    >>> bins.confidence.round(2).tolist(), bins.accuracy.tolist(), bins.rows.tolist()
    ([0.45, 0.85, 1.0], [0.5, 1.0, 1.0], [2, 2, 1])
    """
    right, sure = checked_confidence(correct, confidence)
    if rows_per_bin < 1:
        raise InputError(f"rows_per_bin must be at least 1; got {rows_per_bin!r}.")
    levels, tied, sizes = np.unique(sure, return_inverse=True, return_counts=True)
    expected = (np.bincount(tied, weights=right, minlength=levels.size) / sizes)[tied]  # (n,) mean of each row's tie
    order = np.argsort(sure, kind="stable")
    starts = np.arange(0, sure.size, rows_per_bin)
    rows = np.diff(starts, append=sure.size)  # (bins,)
    mean_confidence = np.add.reduceat(sure[order], starts) / rows
    return Reliability(mean_confidence, np.add.reduceat(expected[order], starts) / rows, rows)


def rms_calibration_error(correct: ArrayLike, confidence: ArrayLike, *, rows_per_bin: int = 100) -> float:
    """Root mean square gap between accuracy and confidence over adaptive bins, each with the weight of its rows.

    ``sqrt(sum_b n_b / n * (accuracy_b - confidence_b)^2)``, Hendrycks et al. 2019, appendix G. All bins count; the
    code of that paper leaves out the last bin, the most confident one, and so gives 0 for 100 to 199 rows. Parameters
    and errors are those of `reliability`.

    Returns
    -------
    float
        In [0, 1], lower is better. Even perfect calibration reaches 0 only as the bins grow: 100 rows alone cost
        up to about 0.05.

    Examples
    --------
    >>> rms_calibration_error([True, False, True, True], [0.5, 0.5, 1.0, 1.0], rows_per_bin=2)
    0.0
    >>> rms_calibration_error([False, True], [0.75, 0.75])
    0.25
    """
    bins = reliability(correct, confidence, rows_per_bin=rows_per_bin)
    return float(np.sqrt(np.average((bins.accuracy - bins.confidence) ** 2, weights=bins.rows)))


def checked_confidence(correct: ArrayLike, confidence: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each of n predictions was right, and the confidence of each in [0, 1], both ``(n,)``, or InputError."""
    right, sure = np.asarray(correct), np.asarray(confidence, dtype=np.float64)
    if right.ndim != 1 or right.size == 0 or right.dtype != np.bool_:
        raise InputError(
            f"correct must be one bool per row; got {right.dtype} of shape {right.shape}. "
            "From classes: correct = predicted == y."
        )
    if sure.shape != right.shape:
        raise InputError(f"correct and confidence must have the same length; got {right.shape} and {sure.shape}.")
    inside = (sure >= 0) & (sure <= 1 + 1e-6)  # float32 may round above 1
    if not inside.all():
        row = int(np.argmin(inside))
        raise InputError(
            f"confidence must be a probability in [0, 1]; row {row} has {sure[row]}. An anomaly score or a logit is "
            "none; see softmax_confidence."
        )
    return right, np.minimum(sure, 1)
