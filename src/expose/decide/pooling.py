"""A sample's score is what its most anomalous part says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pool(part_scores: NDArray[np.float64], n_samples: int) -> NDArray[np.float64]:
    """Largest score of the parts of each sample, which stand in a row: ``(M, n * P) -> (M, n)``.

    Examples
    --------
    >>> pool(np.array([[1.0, 5.0, 2.0, 0.0]]), 2).tolist()
    [[5.0, 2.0]]
    """
    if part_scores.shape[-1] == n_samples:
        return part_scores
    pooled: NDArray[np.float64] = part_scores.reshape(len(part_scores), n_samples, -1).max(axis=-1)
    return pooled
