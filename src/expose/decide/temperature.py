"""The one temperature for all logits that makes a classifier's probabilities honest.

References
----------
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import CalibrationWarning, InputError

LOWEST, HIGHEST = 0.01, 100.0  # temperatures that can be found


def fit_temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """Find the one temperature that makes held-out labels most likely (Guo et al. 2017).

    Fit it on held-out *normal* rows only: neither training rows, on which a network is too sure, nor rows that are
    tested, nor outliers, which have no class. The log-likelihood is concave in 1/T, so one temperature is best.

    Parameters
    ----------
    logits : (n, k) array of float
        Of held-out normal rows.
    y : (n,) array of int
        Their classes, 0 to k - 1.

    Returns
    -------
    float
        To divide logits by, between 0.01 and 100.

    Raises
    ------
    InputError
        If the logits are not a finite table of at least two columns, or `y` does not fit them.

    Warns
    -----
    CalibrationWarning
        If there is no best temperature in this range: every row is classified rightly, or the logits do not tell
        the classes better than chance.

    Examples
    --------
    >>> round(fit_temperature([[3.0, 0.0]] * 4, [0, 0, 0, 1]), 3)  # three of four: log(3) instead of 3
    2.731
    """
    from scipy.optimize import brentq

    values = checked_logits(logits)
    labels: NDArray[Any] = np.asarray(y)
    n, k = values.shape
    if labels.shape != (n,) or not np.isin(labels, np.arange(k)).all():
        raise InputError(
            f"y must hold one class in 0..{k - 1} for each of {n} rows; got shape {labels.shape} with values such as "
            f"{np.unique(labels)[-3:].tolist()}. Number the classes in the order of the columns of the logits."
        )
    below = values - values.max(axis=1, keepdims=True)  # (n, k)
    of_truth = below[np.arange(n), labels.astype(np.int64)].mean()

    def slope(inverse: float) -> float:
        """Derivative of the negative log likelihood by 1/T, which rises: logits expected minus those of the truth."""
        weights = np.exp(inverse * below)  # (n, k)
        return float(((weights * below).sum(axis=1) / weights.sum(axis=1)).mean() - of_truth)

    if slope(1 / HIGHEST) >= 0:
        return _at_the_bound(HIGHEST, "these logits do not tell the classes better than chance")
    if slope(1 / LOWEST) <= 0:
        return _at_the_bound(LOWEST, "every row is classified rightly, so the surest is the likeliest")
    return 1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-12))


def _at_the_bound(temperature: float, why: str) -> float:
    warnings.warn(
        f"No best temperature between {LOWEST} and {HIGHEST}: {why}. Took {temperature}. Hold out more normal rows.",
        CalibrationWarning,
        stacklevel=3,
    )
    return temperature


def checked_logits(logits: ArrayLike) -> NDArray[np.float64]:
    """Logits ``(n, k)`` in double precision, or InputError."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2 or not np.isfinite(values).all():
        raise InputError(
            f"logits must be finite numbers of shape (rows, classes), at least 2 classes; got shape {values.shape}."
        )
    return values
