"""Encoded rows to anomaly scores, in tiles.

Matrix products round differently for another number of rows, and at the ragged end of a matrix. So that a row has
the same score whether it comes alone, in another order, or among millions, the CPU computes every row in a tile of
always as many rows, by one thread, filled up where rows are lacking. Whether a row then scores the same to the last
bit at each place of a tile is tried out when a model is made ready; where it does not, the CPU computes in float64
and rounds to float32. A CUDA device has large tiles of no fixed size: there the last digits may depend on the
company a row is in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose.encoders.layout import Layout
from expose.training.compute import torch_threads
from expose.training.ensemble import Ensemble

TILE, WIDE_TILE = 192, 64  # parts; whole blocks of the usual matrix kernels
GRID_TILE = 8  # images and texts: as quick by the thousand, and one alone does not pay for 64
VALUES_PER_TILE = 2**18  # above, the wide tile: its activations would not fit the cache
CUDA_ROWS, CUDA_VALUES = 65536, 2**25  # at most; a convolutional network makes many values of each
TRIALS = 16


def ready_to_score(ensemble: Ensemble, device: torch.device) -> Ensemble:
    """Move a trained ensemble to where and how it scores.

    Its float32 weights fit into float64 exactly. Images and texts stay in float32: convolutions in float64 are slow.
    """
    ready: Ensemble = ensemble.to(device, torch.float32).eval()
    layout = ready.layout
    if device.type == "cpu" and layout.form == "vector" and not same_at_each_place(ready, layout.n_values):
        ready = ready.to(torch.float64)
    return ready


def same_at_each_place(ensemble: Ensemble, width: int) -> bool:
    """Try whether parts score the same to the last bit elsewhere in a tile: a few at each place, many at some."""
    tile = TILE if width * TILE <= VALUES_PER_TILE else WIDE_TILE
    rows = np.random.default_rng(0).normal(size=(tile, width)).astype(np.float32)
    moved = np.stack([np.arange(tile), np.arange(tile)[::-1], np.roll(np.arange(tile), 1)])  # (3, tile)
    scores = member_outputs(ensemble, rows[moved.ravel()]).reshape(-1, *moved.shape)
    there = np.take_along_axis(scores, np.argsort(moved)[None], axis=2)  # (M, 3, tile): in the order of parts
    trials = max(2, min(TRIALS, VALUES_PER_TILE // width // tile))
    alone = member_outputs(ensemble, rows[:trials].repeat(tile, axis=0)).reshape(-1, trials, tile)
    return bool((there == there[:, :1]).all() and (alone == alone[..., :1]).all())


def tile_size(layout: Layout, width: int, device: torch.device) -> int:
    """Parts per tile of encoded ones of ``width`` values."""
    if device.type == "cuda":
        return min(CUDA_ROWS, max(TILE, CUDA_VALUES // width))
    if layout.form != "vector":
        return GRID_TILE
    return TILE if width * TILE <= VALUES_PER_TILE else WIDE_TILE


def member_outputs(
    ensemble: Ensemble, rows: NDArray[np.float32], method: str = "score", width: int | None = None
) -> NDArray[np.float64]:
    """What a method gives for every part by every member: ``(n, D) -> (M, n)``, or ``(M, n, width)``."""
    shape = (ensemble.n_members, len(rows), *(() if width is None else (width,)))
    results = np.empty(shape, dtype=np.float32)
    device = next(ensemble.parameters()).device
    tile = tile_size(ensemble.layout, rows.shape[1], device)
    if device.type == "cuda":
        with torch_threads():  # members share a template, and one call at a time fills the device
            tile = max(1, min(len(rows), tile))
            fill(results, ensemble, rows, method, Starts(len(rows), tile), tile)
        return results.astype(np.float64)
    starts = Starts(len(rows), tile)
    with torch_threads(1) as threads:
        workers = max(1, min(threads, -(-len(rows) // tile)))
        own = [ensemble] + [copy.deepcopy(ensemble) for _ in range(workers - 1)]  # a call may leave traces in one
        if workers == 1:
            fill(results, ensemble, rows, method, starts, tile)
        else:
            with ThreadPoolExecutor(workers) as pool, starts:
                list(pool.map(lambda one: fill(results, one, rows, method, starts, tile), own))
    return results.astype(np.float64)


@torch.no_grad()
def fill(
    results: NDArray[np.float32],
    ensemble: Ensemble,
    rows: NDArray[np.float32],
    method: str,
    starts: Starts,
    tile: int,
) -> None:
    """Score the next parts, in a tile, until none are left. What else is in the tile has no effect."""
    batch: Tensor = next(ensemble.parameters()).new_zeros(tile, rows.shape[1])
    for start in starts:
        part = torch.from_numpy(rows[start : start + tile])
        batch[: len(part)] = part
        results[:, start : start + len(part)] = ensemble(batch, method)[:, : len(part)].cpu().numpy()


class Starts:
    """Numbers 0, step, 2 step, ... below n, each handed out once, to whichever thread asks; leaving ends them."""

    def __init__(self, n: int, step: int) -> None:
        self._starts = iter(range(0, n, step))
        self._lock = Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._starts)

    def __enter__(self) -> Starts:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._starts = iter(range(0))
