"""Auxiliary outliers that are noise in the form of images.

They are among the anomalies on which Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure",
ICLR 2019, tested (appendix A), cut to [0, 1] and, for bytes, rounded. Parameters and results that all makers share
stand in `expose.outliers.images`; of the images only type and shape are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.outliers.pixels import Images, checked_shape, made_of
from expose.outliers.rows import Indices, Seed


def gaussian_noise(
    images: Images, n: int | None = None, *, mean: float = 0.5, deviation: float = 0.5, random_state: Seed = None
) -> Images:
    """Every value drawn from a normal distribution, cut to [0, 1].

    Parameters
    ----------
    mean, deviation : float
        Of the distribution, as shares of the range.

    Examples
    --------
    >>> gaussian_noise(np.zeros((1, 1, 4), np.uint8), random_state=0)
    array([[[144, 111, 209, 141]]], dtype=uint8)
    """
    shape = checked_shape(images)
    return made_of(images, n, random_state, lambda rows, rng: rng.normal(mean, deviation, (len(rows), *shape)))


def bernoulli_noise(images: Images, n: int | None = None, *, p: float = 0.5, random_state: Seed = None) -> Images:
    """Every value 0 or 1, the latter with probability ``p``; with a half this is Rademacher noise on [0, 1].

    Parameters
    ----------
    p : float, default=0.5

    Examples
    --------
    >>> bernoulli_noise(np.zeros((1, 1, 4), np.uint8), random_state=0)
    array([[[  0, 255, 255, 255]]], dtype=uint8)
    """
    shape = checked_shape(images)
    return made_of(images, n, random_state, lambda rows, rng: rng.random((len(rows), *shape)) < p)


def uniform_noise(images: Images, n: int | None = None, *, random_state: Seed = None) -> Images:
    """Every value drawn evenly from [0, 1].

    Examples
    --------
    >>> uniform_noise(np.zeros((1, 1, 2)), random_state=0).round(2)
    array([[[0.64, 0.27]]])
    """
    shape = checked_shape(images)
    return made_of(images, n, random_state, lambda rows, rng: rng.random((len(rows), *shape)))


def blobs(
    images: Images, n: int | None = None, *, size: float = 0.05, cover: float = 0.4, random_state: Seed = None
) -> Images:
    """Shapeless bright spots with sharp edges on black.

    Parameters
    ----------
    size : float, default=0.05
        By what share of the longer side the noise under the spots is blurred (standard deviation).
    cover : float, default=0.4
        Share of each channel that is bright.

    Examples
    --------
    >>> made = blobs(np.zeros((1, 20, 20)), cover=0.25, random_state=0)
    >>> float((made > 0).mean()), bool(made[made > 0].min() >= 0.5)
    (0.25, True)
    """
    shape = checked_shape(images)

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        from scipy.ndimage import gaussian_filter

        blur = size * max(shape[:2])
        smooth = gaussian_filter(rng.normal(size=(len(rows), *shape)), (0, blur, blur, 0), mode="wrap")
        edge = np.quantile(smooth, 1 - cover, axis=(1, 2), keepdims=True)
        top = smooth.max(axis=(1, 2), keepdims=True)
        bright = 0.5 + 0.5 * (smooth - edge) / np.maximum(top - edge, 1e-12)
        return np.where(smooth > edge, bright, 0.0)

    return made_of(images, n, random_state, change)
