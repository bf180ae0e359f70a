"""A sample's score is what its most anomalous part says, or the mean of what all do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pool(part_scores: NDArray[np.float64], n_samples: int, pooling: str) -> NDArray[np.float64]:
    """The "largest" or the "mean" score of the parts of each sample, which stand in a row: ``(M, n * P) -> (M, n)``.

    Examples
    --------
    >>> pool(np.array([[1.0, 5.0, 2.0, 0.0]]), 2, "largest").tolist()
    [[5.0, 2.0]]
    >>> pool(np.array([[1.0, 5.0, 2.0, 0.0]]), 2, "mean").tolist()
    [[3.0, 1.0]]
    """
    if part_scores.shape[-1] == n_samples:
        return part_scores
    of_parts = part_scores.reshape(len(part_scores), n_samples, -1)
    pooled: NDArray[np.float64] = of_parts.mean(axis=-1) if pooling == "mean" else of_parts.max(axis=-1)
    return pooled
