"""Does a classifier's confidence mean what it says? Calibration errors and soft F1.

Everywhere ``correct`` is True where the predicted class was right, and ``confidence`` is the classifier's own
probability of that; what does not fit raises `InputError`. An outlier has no right class, so whatever is predicted for
it is wrong; `expose_lab.metrics.outlier_calibration` mixes outliers in.

References
----------
D. Hendrycks, M. Mazeika, T. Dietterich, Deep anomaly detection with outlier exposure, ICLR 2019, appendix G.
K. Nguyen, B. O'Connor, Posterior calibration and exploratory analysis for NLP models, EMNLP 2015 (adaptive bins).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.decide import checked_confidence, checked_logits, reliability
from expose.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def mad_calibration_error(correct: ArrayLike, confidence: ArrayLike, *, rows_per_bin: int = 100) -> float:
    """Mean absolute gap between accuracy and confidence over adaptive bins, each with the weight of its rows.

    ``sum_b n_b / n * |accuracy_b - confidence_b|``, Hendrycks et al. 2019, appendix G; with bins of equal width
    instead of equal size it is known as the expected calibration error. Never more than `rms_calibration_error`.

    Examples
    --------
    >>> mad_calibration_error([True, True, True, False], [0.5, 0.5, 0.75, 0.75], rows_per_bin=2)
    0.375
    """
    bins = reliability(correct, confidence, rows_per_bin=rows_per_bin)
    return float(np.average(np.abs(bins.accuracy - bins.confidence), weights=bins.rows))


def soft_f1(correct: ArrayLike, confidence: ArrayLike) -> float:
    """F1 of the mistakes, where a row is flagged as far as the classifier doubts it: rewards doubt in the right place.

    With doubt ``d = 1 - confidence`` and ``m = 1`` for a mistake: ``sum(d * m) / (sum(d + m) / 2)``, Hendrycks et al.
    2019, appendix G. 0 where there is no mistake, as F1 is where there is no anomaly.

    Examples
    --------
    >>> soft_f1([True, False], [1.0, 0.0]), soft_f1([True, False], [0.5, 0.5]), soft_f1([True, False], [1.0, 1.0])
    (1.0, 0.5, 0.0)
    """
    right, sure = checked_confidence(correct, confidence)
    mistakes = int(np.sum(~right))
    return 2 * float(np.sum(1 - sure[~right])) / (float(np.sum(1 - sure)) + mistakes) if mistakes else 0.0


def softmax_confidence(logits: ArrayLike, temperature: float = 1.0) -> tuple[Floats, Ints]:
    """Confidence, which is the largest softmax probability at this temperature, and the class that has it.

    Parameters
    ----------
    logits : (n, k) array of float
    temperature : float, default=1.0
        Above 1 makes less sure, below 1 surer; the classes stay the same.

    Returns
    -------
    confidence : (n,) array of float in [1/k, 1]
    predicted : (n,) array of int

    Examples
    --------
    >>> confidence, predicted = softmax_confidence([[0.0, 2.0], [0.0, 0.0]], temperature=2.0)
    >>> confidence.round(3).tolist(), predicted.tolist()
    ([0.731, 0.5], [1, 0])
    """
    values = checked_logits(logits)
    if not 0 < temperature < np.inf:
        raise InputError(f"temperature must be positive and finite; got {temperature!r}.")
    below = values - values.max(axis=1, keepdims=True)  # (n, k), the largest 0
    return 1 / np.exp(below / temperature).sum(axis=1), values.argmax(axis=1).astype(np.int64)


def rescaled(confidence: ArrayLike, n_classes: int) -> Floats:
    """Stretch confidences from [1/k, 1] to [0, 1], so that an outlier can reach 0 (Hendrycks et al. 2019, table 13).

    ``(c - 1/k) / (1 - 1/k)``. The largest softmax probability is never below 1/k, yet for an outlier 0 is right.

    Examples
    --------
    >>> rescaled([0.25, 0.625, 1.0], n_classes=4).tolist()
    [0.0, 0.5, 1.0]
    """
    if n_classes < 2:
        raise InputError(f"n_classes must be at least 2; got {n_classes!r}.")
    sure, least = np.asarray(confidence, dtype=np.float64), 1 / n_classes
    if not ((sure >= least - 1e-6) & (sure <= 1 + 1e-6)).all():  # that much is rounding of float32
        raise InputError(
            f"confidence must be the largest of {n_classes} probabilities, in [{least:.3g}, 1]; got values from "
            f"{sure.min():.3g} to {sure.max():.3g}. Rescale once only, and only the largest softmax probability."
        )
    stretched: Floats = np.clip((sure - least) / (1 - least), 0, 1)
    return stretched
