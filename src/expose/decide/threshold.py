"""Where to draw the line between flagged and not flagged."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def score_threshold(scores: NDArray[np.float64], share: float) -> float:
    """The anomaly score above which ``share`` of the given rows lie.

    Rows with a score strictly above it are flagged: of n rows ``round(share * n)``, fewer where scores tie.

    Parameters
    ----------
    scores : array of shape (n,)
        Anomaly scores of the training rows, higher = more anomalous.
    share : float
        In [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> score_threshold(np.array([0.1, 0.2, 0.3, 0.9]), share=0.25)
    0.3
    """
    flagged = min(len(scores) - 1, math.floor(share * len(scores) + 0.5))
    return float(np.partition(scores, -flagged - 1)[-flagged - 1])
