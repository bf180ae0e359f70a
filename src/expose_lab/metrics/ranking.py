"""How good a ranking is. Ties have a defined treatment in every metric.

Everywhere ``y`` is a list of 1 for an anomaly and 0 for a normal row, and ``scores`` one finite number per row, higher
for what is more anomalous. What does not fit raises `InputError`: unequal lengths, a score that is not finite, other
labels, and where a ranking is judged, labels of one class only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from expose.errors import InputError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def auroc(y: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that an anomaly scores above a normal row (a tie counts one half).

    0.5 for a ranking that knows nothing, 1.0 for a perfect one.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return float(roc_auc_score(*_checked(y, scores)))


def average_precision(y: ArrayLike, scores: ArrayLike) -> float:
    """Precision averaged over the anomalies, a summary of the precision-recall curve without interpolation.

    A ranking that knows nothing reaches about `base_rate`, not 0.5, so the two belong side by side.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return float(average_precision_score(*_checked(y, scores)))


def base_rate(y: ArrayLike) -> float:
    """Share of anomalies: the average precision of a ranking by chance.

    Examples
    --------
    >>> base_rate([0, 0, 0, 1])
    0.25
    """
    return float(_truth(y).mean())


def f1_at_ratio(y: ArrayLike, scores: ArrayLike, ratio: float | None = None) -> float:
    """F1 of the anomalies when the top `ratio` of the rows is flagged: an **oracle** number by default.

    With ``ratio=None`` the true share of anomalies is used, which nobody knows in practice; it is how the
    papers of this field report F1. Rows strictly above the cut are flagged. A group of ties that lies
    across the cut is left out as a whole, so constant scores earn 0.

    Parameters
    ----------
    y, scores
        See the module.
    ratio : float in (0, 1), optional
        Share of the rows to flag, rounded to whole rows; it must flag some of them and not all.

    Examples
    --------
    >>> f1_at_ratio([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    >>> f1_at_ratio([0, 0, 1, 1], [7.0, 7.0, 7.0, 7.0])
    0.0
    """
    truth, values = _checked(y, scores)
    if ratio is not None and not 0 < ratio < 1:
        raise InputError(
            f"ratio must be a share of the rows in (0, 1); got {ratio!r}. Leave it out for the true share."
        )
    flagged_rows = int(truth.sum()) if ratio is None else round(ratio * truth.size)
    if not 0 < flagged_rows < truth.size:
        raise InputError(
            f"ratio={ratio} of {truth.size} rows flags {flagged_rows} of them, which cannot be judged. "
            f"Choose a ratio between {1 / truth.size:.3g} and {1 - 1 / truth.size:.3g}."
        )
    last_normal = truth.size - flagged_rows - 1
    return f1_flagged(truth, values > np.partition(values, last_normal)[last_normal])


def precision_at_k(y: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Share of anomalies among the `k` highest scores: what a person finds who looks at `k` rows.

    Where the cut goes through a group of ties, the expected value over a random order of that group is
    returned, so the order of the rows never matters.

    Examples
    --------
    >>> precision_at_k([0, 1, 1, 0], [0.2, 0.9, 0.8, 0.1], k=2)
    1.0
    >>> precision_at_k([0, 1, 0, 0], [0.5, 0.5, 0.1, 0.1], k=1)
    0.5
    """
    truth, values = _checked(y, scores)
    if not 1 <= k <= truth.size:
        raise InputError(f"k must be between 1 and the number of rows, {truth.size}; got {k}.")
    cut = np.partition(values, truth.size - k)[truth.size - k]  # the k-th highest score
    above, tied = values > cut, values == cut
    free_places = k - int(above.sum())
    return float((truth[above].sum() + free_places * truth[tied].mean()) / k)


def fpr_at_tpr(y: ArrayLike, scores: ArrayLike, tpr: float = 0.95) -> float:
    """Share of normal rows flagged when the threshold is low enough to catch at least `tpr` of the anomalies.

    All rows of a tie are flagged together, so ties count against the detector; constant scores give 1.

    This is the FPR95 (for text FPR90) of the papers that call anomalies positive: Hendrycks et al. 2019 (outlier
    exposure), and OpenOOD since August 2023. The other FPR95, of the papers that call normal rows positive, is
    another number: `fnr_at_tnr`.

    Examples
    --------
    >>> fpr_at_tpr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], tpr=1.0)
    0.5
    """
    truth, values = _checked(y, scores)
    if not 0 < tpr <= 1:
        raise InputError(f"tpr must be the share of anomalies to catch, in (0, 1]; got {tpr!r}.")
    anomalies = np.sort(values[truth])[::-1]  # highest first
    return float(np.mean(values[~truth] >= anomalies[_needed(tpr, anomalies.size) - 1]))


def fnr_at_tnr(y: ArrayLike, scores: ArrayLike, tnr: float = 0.95) -> float:
    """Share of anomalies missed when the threshold is high enough to keep at least `tnr` of the normal rows.

    All rows of a tie are kept together, so ties count against the detector; constant scores give 1.

    Papers that call *normal* rows positive print this number as FPR95 too: among others the energy score (Liu et al.
    2020), SC-OOD (Yang et al. 2021) and VOS (Du et al. 2022). It is not the FPR95 of Hendrycks et al. 2019, which is
    `fpr_at_tpr`; never compare the two. It is `fpr_at_tpr` with the two classes swapped and the scores negated.

    Examples
    --------
    >>> fnr_at_tnr([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8], tnr=1.0) == 1 / 3
    True
    """
    truth, values = _checked(y, scores)
    if not 0 < tnr <= 1:
        raise InputError(f"tnr must be the share of normal rows to keep, in (0, 1]; got {tnr!r}.")
    return fpr_at_tpr(~truth, -values, tnr)


def f1_flagged(y: ArrayLike, flagged: ArrayLike) -> float:
    """F1 of the anomalies for decisions already made, one bool per row; 0 where no flagged row is an anomaly.

    Examples
    --------
    >>> f1_flagged([0, 0, 1, 1], [False, True, True, True])
    0.8
    """
    truth, called = _decisions(y, flagged)
    return 2 * int(np.sum(called & truth)) / max(1, int(np.sum(called)) + int(np.sum(truth)))


def fpr_flagged(y: ArrayLike, flagged: ArrayLike) -> float:
    """Share of the normal rows that are flagged: the false alarms of decisions already made.

    Examples
    --------
    >>> fpr_flagged([0, 0, 1, 1], [False, True, True, True])
    0.5
    """
    truth, called = _decisions(y, flagged)
    if truth.all():
        raise InputError(
            "y holds anomalies only. False alarms are counted among normal rows (0), of which there is none."
        )
    return float(np.mean(called[~truth]))


def _decisions(y: ArrayLike, flagged: ArrayLike) -> tuple[Bools, Bools]:
    truth, called = _truth(y), np.asarray(flagged)
    if called.shape != truth.shape or called.dtype != np.bool_:
        raise InputError(
            f"flagged must be one bool per row, shape {truth.shape}; got {called.dtype} of shape {called.shape}. "
            "From scikit-learn's predict: flagged = predict(X) == -1."
        )
    return truth, called


def _needed(share: float, rows: int) -> int:
    """Return the smallest number of rows that is at least this share: 0.95 of 20 is 19, despite rounding."""
    return max(1, math.ceil(share * rows - 1e-9))


def _checked(y: ArrayLike, scores: ArrayLike) -> tuple[Bools, Floats]:
    truth = _truth(y)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != truth.shape:
        raise InputError(f"y and scores must have the same length; got {truth.shape} and {values.shape}.")
    if not np.isfinite(values).all():
        raise InputError(
            f"scores must be finite; row {int(np.argmin(np.isfinite(values)))} is the first that is not. "
            "A model that gives such a score has a fault of its own: look at its training first."
        )
    if truth.all() or not truth.any():
        raise InputError(
            "y holds one class only. Normal rows (0) and anomalies (1) are both needed to judge a ranking."
        )
    return truth, values


def _truth(y: ArrayLike) -> Bools:
    labels: NDArray[Any] = np.asarray(y)
    if labels.ndim != 1 or labels.size == 0:
        raise InputError(f"y must be a non-empty list of 0 and 1, one per row; got shape {labels.shape}.")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"y must hold 0 (normal) and 1 (anomaly) only; found {np.unique(labels)[:5].tolist()}. "
            "Drop rows without a known label before judging."
        )
    return labels.astype(np.bool_)
