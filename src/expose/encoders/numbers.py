"""Columns of numbers: what is learned of them, and how they are encoded, block by block, in several scalings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.encoders.scaling import SAMPLE_ROWS, apply_scaling, fit_scaling
from expose.encoders.schema import ColumnSchema, NumberColumn, to_numbers
from expose.errors import CountedWarning, InputError
from expose.files.names import listing
from expose.kinds.rows import Table

CHUNK_VALUES: Final = 65_536  # numbers worked on at a time: half a megabyte, which stays in the cache


def fit_numbers(table: Table, scalings: Sequence[str]) -> tuple[list[NumberColumn], NDArray[np.float64]]:
    """Learn each number column, and in V ways its factor, center, spread and encoded median, (V, 4, k)."""
    low, high, missing = _ranges(table)
    present = missing < table.n_rows
    sample = table.numbers[sample_rows(table.n_rows)][:, present].astype(np.float64)
    scales = np.zeros((len(scalings), 4, len(present)))
    if present.any():
        empty = np.isnan(sample).all(axis=0)  # the sample missed the few values of such a column: give it one
        sample[0, empty] = low[present][empty]
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


class Numbers:
    """The k number columns that are encoded: where each comes from, how it is scaled, and where it goes.

    ``columns`` are all of the table, and ``starts`` the first encoded column of each.
    """

    def __init__(
        self,
        columns: Sequence[ColumnSchema],
        starts: Sequence[int],
        scalings: Sequence[str],
        scales: NDArray[np.float64],  # (V, 4, k), see `fit_numbers`
    ) -> None:
        chosen = [(i, column) for i, column in enumerate(columns) if isinstance(column, NumberColumn) and column.used]
        target = np.array([starts[i] for i, _ in chosen], dtype=np.intp)
        gaps = np.array([column.indicator for _, column in chosen], dtype=bool)
        in_a_row = len(target) > 0 and bool((np.diff(target) == 1).all())
        self.scalings, self.scales = scalings, scales
        self.names = [column.name for _, column in chosen]
        self.source = np.array([i for i, _ in chosen], dtype=np.intp)  # (k,) column of the schema
        self.target = slice(int(target[0]), int(target[-1]) + 1) if in_a_row else target  # (k,) encoded column
        self.indicated = np.flatnonzero(gaps)  # which of the k have an indicator
        self.indicators = target[gaps] + 1  # the encoded columns of those

    def encode(self, table: Table, places: NDArray[np.intp], out: NDArray[np.float32]) -> None:
        """Write the encoded columns, (n, D, V); ``places`` say where in the table each column of the schema is."""
        if not self.names:
            return
        numbers, chosen = _collected(table, places[self.source])
        gaps = np.zeros(len(chosen), dtype=np.int64)
        for start, block in _blocks(numbers, chosen):
            missing = _missing_in(block, table.first + start, self.names)
            if missing is not None:
                gaps += missing.sum(axis=0)
            self._encode_block(block, missing, out[start : start + len(block)])
        gaps[self.indicated] = 0
        if gaps.any():
            names = listing(name for name, gap in zip(self.names, gaps, strict=True) if gap)
            message = f"no value was missing in training in {names}, now {{count}} are; they count as the median"
            warnings.warn(CountedWarning(message, int(gaps.sum())), stacklevel=5)

    def _encode_block(
        self, block: NDArray[np.float64], missing: NDArray[np.bool_] | None, out: NDArray[np.float32]
    ) -> None:
        if missing is not None:
            out[:, self.indicators] = missing[:, self.indicated, None]
        for view, scaling in enumerate(self.scalings):
            # each view scales a copy in place; the last one may have the block itself
            scaled = block if view == len(self.scalings) - 1 else block.copy(order="K")
            factor, center, spread, fill = self.scales[view]
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                apply_scaling(scaled, scaling, factor, center, spread)
            if missing is not None:
                np.copyto(scaled, fill, where=missing)
            out[:, self.target, view] = scaled


def _collected(table: Table, places: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return a matrix with all wanted number columns, and which of its columns they are."""
    index = table.number_index[places]
    foreign = np.flatnonzero(index < 0)
    if len(foreign) == 0:
        return table.numbers, index
    parsed = [to_numbers(table.at(places[i]), table.names[places[i]]) for i in foreign]
    index = index.copy()
    index[foreign] = table.numbers.shape[1] + np.arange(len(foreign))
    return np.column_stack([table.numbers, *parsed]), index


def _blocks(numbers: NDArray[Any], columns: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield copies of the columns as float64, a few rows at a time, each column contiguous."""
    in_order = len(columns) == numbers.shape[1] and bool((columns == np.arange(len(columns))).all())
    step = max(1, CHUNK_VALUES // max(len(columns), 1))
    buffer = np.empty((len(columns), min(step, len(numbers)))).T  # (<= step, k)
    for start in range(0, len(numbers), step):
        part = numbers[start : start + step]
        block = buffer[: len(part)]
        np.copyto(block, part if in_order else part[:, columns], casting="unsafe")
        yield start, block


def _missing_in(block: NDArray[np.float64], start: int, names: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return where a block is NaN, None if nowhere; refuse infinity. One sum tells that all is well."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):
            return None
    infinite = np.argwhere(np.isinf(block))
    if len(infinite):
        row, column = infinite[0]
        raise InputError(
            f"Input X contains infinity: column {names[column]!r}, row {start + row} (counting from 0) holds "
            f"{block[row, column]}. Expected finite numbers; leave the value empty if it "
            "is unknown, or let infinite ones count as missing (--infinity missing, Conventions(infinity='missing'))."
        )
    missing = np.isnan(block)
    return missing if missing.any() else None


def _ranges(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return lowest and highest value and number of missing ones of each number column, (k,) each."""
    k = table.numbers.shape[1]
    low, high, missing = np.full(k, np.nan), np.full(k, np.nan), np.zeros(k, dtype=np.int64)
    names = [table.names[i] for i in table.places]
    for start, block in _blocks(table.numbers, np.arange(k)):
        gaps = _missing_in(block, table.first + start, names)
        if gaps is not None:
            missing += gaps.sum(axis=0)
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
    return low, high, missing
