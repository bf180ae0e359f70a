"""Encoded rows to anomaly scores, in tiles.

Matrix products round differently for another number of rows, and at the ragged end of a matrix. So that a row has
the same score whether it comes alone, in another order, or among millions, the CPU computes every row in a tile of
always as many rows, by one thread, filled up where rows are lacking. Whether a row then scores the same to the last
bit at each place of a tile is tried out when a model is made ready; where it does not, the CPU computes in float64
and rounds to float32. A few rows come in a smaller tile, if it was found to give the same bits as the large one. A
CUDA device has large tiles of no fixed size: there the last digits may depend on the company a row is in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose.encoders.layout import Layout
from expose.threads import torch_threads
from expose.training.ensemble import Ensemble

TILE, WIDE_TILE = 768, 64  # parts; whole blocks of the usual matrix kernels
SMALLER = (4, 8, 32, 96, 192)  # tried out, from the objective's `smallest_tile` on
GRID_TILE = 8  # images and texts: as quick by the thousand, and one alone does not pay for 64
VALUES_PER_TILE = 2**19  # above, the wide tile: its activations would not fit the cache
CUDA_ROWS, CUDA_VALUES = 65536, 2**25  # at most; a convolutional network makes many values of each
TRIALS = 4  # rows at each place, and small tiles: a model that is fitted or loaded is not to wait for it

Item = TypeVar("Item")


def ready_to_score(ensemble: Ensemble, device: torch.device, method: str = "score") -> Ensemble:
    """Move a trained ensemble to where and how it scores, which is by this method.

    Its float32 weights fit into float64 exactly. Images and texts stay in float32: convolutions in float64 are slow.
    """
    ready: Ensemble = ensemble.to(device, torch.float32).eval()
    ready.smaller_tiles = ()
    if device.type == "cpu" and ready.layout.form == "vector":
        method = "component_scores" if ready.components else method  # the score, the largest, would hide the others
        rows = trial_rows(ready.layout.n_values)
        if not same_at_each_place(ready, rows, method):
            ready = ready.to(torch.float64)
        large = in_tiles(ready, rows, len(rows), method)
        sizes = (size for size in SMALLER if ready.smallest_tile <= size < len(rows))
        ready.smaller_tiles = tuple(size for size in sizes if same_in_tiles(ready, rows, size, method, large))
    return ready


def trial_rows(width: int) -> NDArray[np.float32]:
    """A tile of rows, from near to far out, ``(tile, width)``: no one scale shows the last digits of every model."""
    tile = tile_size(Layout("vector", (width,)), width, torch.device("cpu"))
    rows = np.random.default_rng(0).normal(size=(tile, width)) * np.geomspace(0.1, 100, tile)[:, None]
    return rows.astype(np.float32)


def same_at_each_place(ensemble: Ensemble, rows: NDArray[np.float32], method: str = "score") -> bool:
    """Try whether rows, a tile of them, score the same to the last bit elsewhere in it: all at some, few at each."""
    tile, width = rows.shape
    few = np.linspace(0, tile - 1, max(2, min(TRIALS, VALUES_PER_TILE // width // tile))).astype(int)
    order = np.concatenate([*orders(tile), few.repeat(tile)])
    said = in_tiles(ensemble, rows[order], tile, method)  # (M, n, ...)
    return np.array_equal(said, said[:, order])


def same_in_tiles(
    ensemble: Ensemble, rows: NDArray[np.float32], size: int, method: str, expected: NDArray[np.float32]
) -> bool:
    """Try whether some rows score as expected, ``(M, n, ...)``, in tiles of another size, at some places of them."""
    order = np.concatenate([one[: TRIALS * size] for one in orders(len(rows))])
    return np.array_equal(in_tiles(ensemble, rows[order], size, method), expected[:, order])


def orders(n: int) -> list[NDArray[np.intp]]:
    """Forwards, backwards and moved by one place."""
    return [np.arange(n), np.arange(n)[::-1], np.roll(np.arange(n), 1)]


@torch.no_grad()
def in_tiles(ensemble: Ensemble, rows: NDArray[np.float32], size: int, method: str) -> NDArray[np.float32]:
    """What a method gives for rows that fill tiles of this size: ``(M, n)``, or ``(M, n, width)``."""
    said = []
    with torch_threads(1):
        for start in range(0, len(rows), size):
            said.append(ensemble(filled(ensemble, rows[start : start + size], size), method))
    return torch.cat(said, dim=1).float().numpy()


def filled(ensemble: Ensemble, rows: NDArray[np.float32], size: int) -> Tensor:
    """A tile of so many rows, the first of which are these."""
    tile = next(ensemble.parameters()).new_zeros(size, rows.shape[1])
    tile[: len(rows)] = torch.from_numpy(rows)
    return tile


def tile_size(layout: Layout, width: int, device: torch.device) -> int:
    """Parts per tile of encoded ones of ``width`` values."""
    if device.type == "cuda":
        return min(CUDA_ROWS, max(TILE, CUDA_VALUES // width))
    if layout.form != "vector":
        return GRID_TILE
    return TILE if width * TILE <= VALUES_PER_TILE else WIDE_TILE


def cut(n: int, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where tiles begin, and their sizes: large ones, and what is left over in the smallest that holds it.

    >>> list(cut(5, [4])), list(cut(205, [4, 32, 192]))
    ([(0, 4), (4, 4)], [(0, 192), (192, 32)])
    """
    for start in range(0, n, sizes[-1]):
        yield start, next((size for size in sizes if size >= n - start), sizes[-1])


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
            fill(results, ensemble, rows, method, cut(len(rows), [tile]))
        return results.astype(np.float64)
    tiles = OneByOne(cut(len(rows), [*ensemble.smaller_tiles, tile]))
    with torch_threads(1) as threads:
        workers = max(1, min(threads, -(-len(rows) // tile)))
        own = [ensemble] + [copy.deepcopy(ensemble) for _ in range(workers - 1)]  # a call may leave traces in one
        if workers == 1:
            fill(results, ensemble, rows, method, tiles)
        else:
            with ThreadPoolExecutor(workers) as pool, tiles:
                list(pool.map(lambda one: fill(results, one, rows, method, tiles), own))
    return results.astype(np.float64)


@torch.no_grad()
def fill(
    results: NDArray[np.float32],
    ensemble: Ensemble,
    rows: NDArray[np.float32],
    method: str,
    tiles: Iterable[tuple[int, int]],
) -> None:
    """Score the next tile until none is left. What else is in a tile has no effect."""
    for start, size in tiles:
        part = rows[start : start + size]
        said = ensemble(filled(ensemble, part, size), method)
        results[:, start : start + size] = said[:, : len(part)].cpu().numpy()


class OneByOne(Generic[Item]):
    """Items, each handed out once, to whichever thread asks; leaving ends them."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = Lock()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        with self._lock:
            return next(self._items)

    def __enter__(self) -> OneByOne[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._items = iter(())
