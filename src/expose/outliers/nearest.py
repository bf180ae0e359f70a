"""Distances to the nearest rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def nearest(rows: NDArray[Any], among: NDArray[Any], k: int = 1) -> tuple[Floats, NDArray[np.intp]]:
    """Distance to and place of the ``k`` nearest rows of ``among``, each (n, k), nearest first.

    >>> nearest(np.array([[0.0], [9.0]]), np.array([[1.0], [8.5]]))[0].ravel().tolist()
    [1.0, 0.5]
    """
    from sklearn.neighbors import NearestNeighbors

    # a tree beats plain comparison in few dimensions only, but never rounds near zero as the products of "brute" do
    found = NearestNeighbors(n_neighbors=k, algorithm="kd_tree" if among.shape[1] <= 15 else "brute").fit(among)
    distances, places = found.kneighbors(rows)
    return np.asarray(distances, dtype=np.float64), np.asarray(places, dtype=np.intp)


def own_nearest(rows: NDArray[Any], k: int = 1, sample: NDArray[np.intp] | None = None) -> tuple[Floats, Any]:
    """As `nearest`, of rows (or a sample of them) among themselves, each leaving itself out."""
    asked = np.arange(len(rows)) if sample is None else sample
    k = min(k, len(rows) - 1)
    distances, places = nearest(rows[asked], rows, k + 1)
    itself = places == asked[:, None]
    itself[~itself.any(1), -1] = True  # among many equal rows it may not be listed
    return distances[~itself].reshape(len(asked), k), places[~itself].reshape(len(asked), k)
