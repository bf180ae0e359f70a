"""The temperature that makes a classifier's probabilities honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

COLDEST, HOTTEST = 0.05, 100.0


def fit_temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """Temperature T of largest likelihood for ``softmax(logits / T)``.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.

    Parameters
    ----------
    logits : array of shape (n, K)
        Of rows that were not trained on, none of them an outlier.
    y : array of shape (n,)
        Numbers of their classes, 0 to K - 1.

    Returns
    -------
    float
        From 0.05 to 100; above 1 where the classifier is too sure.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(4000, 3))
    >>> y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from softmax(logits)
    >>> round(fit_temperature(3 * logits, y), 1)
    3.0
    """
    z, classes = np.asarray(logits, dtype=np.float64), np.asarray(y)
    chosen = z[np.arange(len(z)), classes]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean(logsumexp(scale * z, axis=1) - scale * chosen))

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))
