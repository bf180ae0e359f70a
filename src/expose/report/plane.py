"""Rows on a plane: the two directions in which robustly scaled rows differ most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST_COLUMNS = 512  # encoded columns that enter the map
FURTHEST = 5.0  # scaled values are clipped here, so that a single cell cannot claim a direction


def project(encoded: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], tuple[float, float]]:
    """Project rows on their first two principal directions.

    Parameters
    ----------
    encoded : (n, D) array of float32
        Encoded rows, n >= 1 and D >= 1; of samples with several parts their mean.

    Returns
    -------
    points : (n, 2) array of float
        In units of the scaled columns; a direction that does not exist is all zero.
    shares : two floats
        Part of the variation that each direction holds.

    Examples
    --------
    >>> import numpy as np
    >>> points, shares = project(np.array([[0.0], [1.0], [2.0]], dtype=np.float32))
    >>> points.shape, shares
    ((3, 2), (1.0, 0.0))
    """
    scaled = robustly_scaled(encoded[:, : min(encoded.shape[1], 100 * MOST_COLUMNS)])
    if scaled.shape[1] > MOST_COLUMNS:
        scaled = scaled[:, np.sort(np.argsort(-scaled.var(axis=0), kind="stable")[:MOST_COLUMNS])]
    centred = scaled - scaled.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    points = np.zeros((len(encoded), 2))
    found = centred @ directions[:, ::-1][:, :2]
    points[:, : found.shape[1]] = found
    total = max(float(variances.sum()), np.finfo(float).tiny)
    first, second = (max(float(value), 0.0) / total for value in [*variances[::-1][:2], 0.0][:2])
    return points, (first, second)


def robustly_scaled(encoded: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Centre on the median, divide by the interquartile range, or the standard deviation where that is 0."""
    low, middle, high = np.quantile(encoded, [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    spread = np.where(spread > 0, spread, encoded.std(axis=0, dtype=np.float64))
    scaled = (encoded - middle) / np.where(spread > 0, spread, 1.0)
    return np.asarray(np.clip(scaled, -FURTHEST, FURTHEST), dtype=np.float64)
