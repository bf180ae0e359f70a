"""Which training samples to label next, and how the answers come to bear."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from expose.decide import choose_queries
from expose.errors import InputError
from expose.exposure import RELATIVES, spread_labels
from expose.model import Fitted
from expose.objectives import nearest_rows
from expose.training import Stream, choose_places, generator_of

QUERY_ROWS = 4096  # most samples among which queries are chosen


def query_rows(fitted: Fitted, parts: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Numbers of ``k`` encoded training samples, of more than 4,096 among as many sampled at random.

    Samples whose label is settled by the labels of their neighbours count as labelled, unless too few others are left.
    """
    if len(parts) != len(fitted.known):
        noun = fitted.kind.noun
        raise InputError(f"X must be the training data, {len(fitted.known)} {noun}s; got {len(parts)} {noun}s.")
    rows = parts if parts.ndim == 2 else parts.mean(axis=1)  # (n, D)
    known = torch.from_numpy(fitted.known.astype(np.int64))
    place = choose_places(known, QUERY_ROWS, QUERY_ROWS // 2, generator_of(fitted.root, 0, Stream.QUERIES))
    relatives = nearest_rows(fitted.ensemble.member(0), torch.from_numpy(rows)[place], RELATIVES)
    spread = spread_labels(known[place], relatives)
    settled = spread if int((spread < 0).sum()) >= k else known[place]
    chosen = choose_queries(fitted.training_scores[place], relatives.numpy(), settled.numpy().astype(np.int8), k)
    queries: NDArray[np.int64] = place.numpy()[chosen]
    return queries
