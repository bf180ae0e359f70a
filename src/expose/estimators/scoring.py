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
from contextlib import contextmanager
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose.inputs import Layout
from expose.training import Ensemble

TILE, WIDE_TILE = 192, 64  # rows; whole blocks of the usual matrix kernels
VALUES_PER_TILE = 2**18  # above, the wide tile: its activations would not fit the cache
CUDA_ROWS, CUDA_VALUES = 65536, 2**25  # at most; a convolutional network makes many values of each
TRIALS = 16

_ONE_AT_A_TIME = Lock()  # the number of threads of torch is the same for the whole process


def ready_to_score(ensemble: Ensemble, device: torch.device, layout: Layout) -> Ensemble:
    """Move a trained ensemble to where and how it scores encoded rows of a layout.

    Its float32 weights fit into float64 exactly. Images and texts stay in float32: convolutions in float64 are slow.
    """
    ready: Ensemble = ensemble.to(device, torch.float32).eval()
    if device.type == "cpu" and layout.kind == "table" and not same_at_each_place(ready, layout.n_values):
        ready = ready.to(torch.float64)
    return ready


def same_at_each_place(ensemble: Ensemble, width: int) -> bool:
    """Try whether rows score the same to the last bit elsewhere in a tile: a few at each place, many at some."""
    tile = tile_rows(width)
    rows = np.random.default_rng(0).normal(size=(tile, width)).astype(np.float32)
    moved = np.stack([np.arange(tile), np.arange(tile)[::-1], np.roll(np.arange(tile), 1)])  # (3, tile)
    scores = member_scores(ensemble, rows[moved.ravel()]).reshape(-1, *moved.shape)
    there = np.take_along_axis(scores, np.argsort(moved)[None], axis=2)  # (M, 3, tile): in the order of rows
    trials = max(2, min(TRIALS, VALUES_PER_TILE // width // tile))
    alone = member_scores(ensemble, rows[:trials].repeat(tile, axis=0)).reshape(-1, trials, tile)
    return bool((there == there[:, :1]).all() and (alone == alone[..., :1]).all())


def tile_rows(width: int) -> int:
    """Rows per tile on the CPU, for encoded rows of ``width`` values."""
    return TILE if width * TILE <= VALUES_PER_TILE else WIDE_TILE


def cuda_rows(width: int) -> int:
    """Rows per tile on a CUDA device, for encoded rows of ``width`` values."""
    return min(CUDA_ROWS, max(TILE, CUDA_VALUES // width))


def member_scores(ensemble: Ensemble, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score of every row by every member: ``(n, D) -> (M, n)``."""
    return in_tiles(np.empty((ensemble.n_members, len(rows)), dtype=np.float32), ensemble, rows, "score")


def member_outputs(ensemble: Ensemble, rows: NDArray[np.float32], method: str, width: int) -> NDArray[np.float64]:
    """What a method that gives ``width`` values per row gives by every member: ``(n, D) -> (M, n, width)``."""
    return in_tiles(np.empty((ensemble.n_members, len(rows), width), dtype=np.float32), ensemble, rows, method)


def in_tiles(
    results: NDArray[np.float32], ensemble: Ensemble, rows: NDArray[np.float32], method: str
) -> NDArray[np.float64]:
    """Fill ``results`` ``(M, n, ...)`` with what a method gives for each row, and return it in double precision."""
    if next(ensemble.parameters()).device.type == "cuda":
        tile = min(len(rows), cuda_rows(rows.shape[1]))
        fill(results, ensemble, rows, method, Turns(len(rows), max(1, tile)), tile)
        return results.astype(np.float64)
    tile = tile_rows(rows.shape[1])
    turns = Turns(len(rows), tile)
    with one_thread_each() as threads:
        workers = max(1, min(threads, -(-len(rows) // tile)))
        own = [ensemble] + [copy.deepcopy(ensemble) for _ in range(workers - 1)]  # a call may leave traces in one
        if workers == 1:
            fill(results, ensemble, rows, method, turns, tile)
        else:
            with ThreadPoolExecutor(workers) as pool, turns:
                list(pool.map(lambda one: fill(results, one, rows, method, turns, tile), own))
    return results.astype(np.float64)


@torch.no_grad()
def fill(
    results: NDArray[np.float32],
    ensemble: Ensemble,
    rows: NDArray[np.float32],
    method: str,
    turns: Turns,
    tile: int,
) -> None:
    """Take turns: score the next rows, in a tile, until none are left. What else is in the tile has no effect."""
    batch: Tensor = next(ensemble.parameters()).new_zeros(tile, rows.shape[1])
    for start in turns:
        part = torch.from_numpy(rows[start : start + tile])
        batch[: len(part)] = part
        results[:, start : start + len(part)] = ensemble(batch, method)[:, : len(part)].cpu().numpy()


class Turns:
    """Numbers 0, step, 2 step, ... below n, each handed out once, to whichever thread asks; leaving ends them."""

    def __init__(self, n: int, step: int) -> None:
        self._starts = iter(range(0, n, step))
        self._lock = Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._starts)

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._starts = iter(range(0))


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Let torch compute each call by one thread inside the block; give the number of threads it had."""
    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield threads
        finally:
            torch.set_num_threads(threads)
