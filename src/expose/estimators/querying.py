"""Which training rows to label next, and how the answers come to bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from expose.decide import choose_queries
from expose.exposure import RELATIVES, spread_labels
from expose.objectives import nearest_rows
from expose.training import choose_places, mix

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

QUERY_ROWS = 4096  # most rows among which queries are chosen


def query_rows(
    detector: AnomalyDetector, rows: NDArray[np.float32], scores: NDArray[np.float64], k: int
) -> NDArray[np.int64]:
    """Numbers of ``k`` of these encoded training rows ``(n, D)``, of more than 4,096 among as many drawn at random.

    Rows whose label is settled by the labels of their neighbours count as labelled, unless too few others are left.
    """
    known = torch.from_numpy(detector._known.astype(np.int64))
    generator = torch.Generator().manual_seed(mix(detector._root, 0, stream=5))
    place = choose_places(known, QUERY_ROWS, QUERY_ROWS // 2, generator)
    relatives = nearest_rows(detector._objective, torch.from_numpy(rows)[place], RELATIVES)
    told = spread_labels(known[place], relatives)
    settled = told if int((told < 0).sum()) >= k else known[place]
    chosen = choose_queries(scores[place], relatives.numpy(), settled.numpy().astype(np.int8), k)
    queries: NDArray[np.int64] = place.numpy()[chosen]
    return queries
