"""One anomaly score of several members' scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_MAD = 1.4826  # median absolute deviation to standard deviation, for normal scores


@dataclass(frozen=True)
class Combination:
    """Makes one score of M members: each is centred and scaled by its training scores, then the median is taken.

    A member whose training scores are all alike has no scale and is left out. One member alone keeps its own scores.
    """

    centre: NDArray[np.float64]  # (M,)
    scale: NDArray[np.float64]  # (M,), 0 for a member to leave out

    @classmethod
    def of(cls, training_scores: NDArray[np.float64]) -> Combination:
        """Measure median and median absolute deviation of each member's training scores ``(M, n)``."""
        centre = np.median(training_scores, axis=1)
        deviation = np.abs(training_scores - centre[:, None])
        mad = NORMAL_MAD * np.median(deviation, axis=1)
        return cls(centre, np.where(mad > 0, mad, deviation.mean(axis=1)))

    method = "score"  # of the objective

    def kept(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is remembered of samples, ``(n,)``: one score of those of the members ``(M, n)``."""
        return self.combine(outputs)

    def scores(self, kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """Anomaly scores ``(n,)`` of what is remembered."""
        return kept

    def standardise(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the members that count, in their own robust units: ``(M, n) -> (<= M, n)``."""
        use = self.scale > 0 if (self.scale > 0).any() else np.ones_like(self.scale, dtype=bool)
        scale = np.where(self.scale > 0, self.scale, 1.0)[use, None]
        standard: NDArray[np.float64] = (scores[use] - self.centre[use, None]) / scale
        return standard

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """One score per row: ``(M, n) -> (n,)``."""
        if len(scores) == 1:
            return np.array(scores[0])
        return np.median(self.standardise(scores), axis=0)
