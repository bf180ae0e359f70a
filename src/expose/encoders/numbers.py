"""Columns of numbers: what is learned of them, and the blocks in which they are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.encoders.scaling import SAMPLE_ROWS, apply_scaling, fit_scaling
from expose.encoders.schema import NumberColumn
from expose.errors import InputError
from expose.kinds.rows import Table

CHUNK_VALUES: Final = 65_536  # numbers worked on at a time: half a megabyte, which stays in the cache


def fit_numbers(table: Table, scalings: Sequence[str]) -> tuple[list[NumberColumn], NDArray[np.float64]]:
    """Learn range and gaps of each number column, and its scale in V ways.

    Returns
    -------
    list of NumberColumn
        In the order of ``table.places``.
    ndarray, (V, 4, k)
        Factor, center, spread and the encoded median of each.
    """
    low, high, missing = _ranges(table)
    present = missing < table.n_rows
    sample = table.numbers[sample_rows(table.n_rows)][:, present].astype(np.float64)
    scales = np.zeros((len(scalings), 4, len(present)))
    if present.any():
        sample = _never_empty(sample, low[present])
        for view, scaling in enumerate(scalings):
            scales[view][:, present] = _scale(sample.copy(order="K"), scaling)
    columns = []
    for i, place in enumerate(table.places):
        gaps = bool(0 < missing[i] < table.n_rows)
        constant = float(low[i]) if low[i] == high[i] else None
        used = bool(present[i]) and (constant is None or gaps)
        columns.append(NumberColumn(table.names[place], used, gaps, constant))
    return columns, scales


def _scale(sample: NDArray[np.float64], scaling: str) -> NDArray[np.float64]:
    """Return factor, center, spread and encoded median, (4, k); changes the sample."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        scale = fit_scaling(sample, scaling)
        median = scale.median[None].copy()  # (1, k), to be encoded like any other row
        apply_scaling(median, scaling, scale.factor, scale.center, scale.spread)
    return np.stack([scale.factor, scale.center, scale.spread, median[0]])


def sample_rows(n_rows: int) -> NDArray[np.intp] | slice:
    """Return the rows that quantiles are taken from: all of them, or a fixed random choice in order."""
    if n_rows <= SAMPLE_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(n_rows, SAMPLE_ROWS, replace=False))


def _never_empty(sample: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give columns whose few values the sample missed at least one of them."""
    empty = np.isnan(sample).all(axis=0)
    sample[0, empty] = low[empty]
    return sample


def blocks(numbers: NDArray[Any], columns: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield copies of the columns as float64, a few rows at a time, each column contiguous."""
    in_order = np.array_equal(columns, np.arange(numbers.shape[1]))
    step = max(1, CHUNK_VALUES // max(len(columns), 1))
    buffer = np.empty((len(columns), step)).T  # (step, k)
    for start in range(0, len(numbers), step):
        part = numbers[start : start + step]
        block = buffer[: len(part)]
        np.copyto(block, part if in_order else part[:, columns], casting="unsafe")
        yield start, block


def missing_in(block: NDArray[np.float64], start: int, names: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return where a block is NaN, None if nowhere; refuse infinity. One sum tells that all is well."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):
            return None
    infinite = np.argwhere(np.isinf(block))
    if len(infinite):
        row, column = infinite[0]
        raise InputError(
            f"Input X contains infinity: column {names[column]!r}, row {start + row} (counting from 0) holds "
            f"{block[row, column]}. Expected finite numbers; leave the value empty if it is unknown."
        )
    missing = np.isnan(block)
    return missing if missing.any() else None


def _ranges(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return lowest and highest value and number of missing ones of each number column, (k,) each."""
    k = table.numbers.shape[1]
    low, high, missing = np.full(k, np.nan), np.full(k, np.nan), np.zeros(k, dtype=np.int64)
    names = [table.names[i] for i in table.places]
    for start, block in blocks(table.numbers, np.arange(k)):
        gaps = missing_in(block, start, names)
        if gaps is not None:
            missing += gaps.sum(axis=0)
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
    return low, high, missing
