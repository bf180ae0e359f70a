"""Encoded rows to anomaly scores, in chunks.

Matrix products round differently for another number or order of rows. So that a row has the same score whether it
comes alone, in another order, or among millions, the CPU computes in float64 and rounds the result to float32.
A CUDA device computes in float32: there the last digits may depend on the company a row is in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from expose.training import Ensemble

VALUES_PER_CHUNK = 2**18
LARGEST_CHUNK = {"cpu": 1024, "cuda": 65536}
SCORING_DTYPE = {"cpu": torch.float64, "cuda": torch.float32}
NORMAL_MAD = 1.4826  # median absolute deviation to standard deviation, for normal scores


def ready_to_score(ensemble: Ensemble, device: torch.device) -> Ensemble:
    """Move a trained ensemble to where and how it scores; its float32 weights fit into float64 exactly."""
    ready: Ensemble = ensemble.to(device, SCORING_DTYPE[device.type]).eval()
    return ready


def chunk_rows(width: int, device: torch.device) -> int:
    """Rows per chunk for encoded rows of ``width`` values, so that a chunk fits the cache."""
    most = LARGEST_CHUNK[device.type]
    return max(16, min(most, VALUES_PER_CHUNK * (most // 1024) // width))


@torch.no_grad()
def member_scores(ensemble: Ensemble, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score of every row by every member: ``(n, D) -> (M, n)``."""
    weight = next(ensemble.parameters())
    chunk = chunk_rows(rows.shape[1], weight.device)
    scores = np.empty((ensemble.n_members, len(rows)), dtype=np.float32)
    for start in range(0, len(rows), chunk):
        batch = torch.from_numpy(rows[start : start + chunk]).to(weight)
        scores[:, start : start + chunk] = ensemble(batch, "score").cpu().numpy()
    return scores.astype(np.float64)


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
        combined: NDArray[np.float64] = np.median(self.standardise(scores), axis=0)
        return combined
