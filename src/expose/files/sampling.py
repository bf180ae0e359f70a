"""A uniform sample of the rows of files in one pass, whoever reads which part of them.

Each row has a random key that follows from the seed and its number alone, and the rows with the smallest keys are the
sample. So it is the same however the rows are cut into batches, and samples of parts can be merged: workers of an
engine each draw from their own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ROW, FIRST = "__row__", "__first__"  # columns that a drawn table has besides its own
MOST_FIRST: Final = 0.25  # of a sample, for rows that are to be kept whatever their key
_WAITING: Final = 2  # times the size of a sample that are held before all but the sample is dropped
_LARGEST: Final = np.uint64(2**64 - 1)  # of all keys
_KEYS: Final = 2**22  # made at a time

KeepFirst = Callable[[Any, int], NDArray[np.bool_]]


class Sample(NamedTuple):
    """What a sampling pass drew.

    Attributes
    ----------
    table : pyarrow.Table
        Rows as they came, in their order.
    rows : (n,) array of int64
        Their numbers.
    uniform : (n,) array of bool
        Those that would be there if no row had been kept for what it is: a uniform sample of all rows.
    n_rows : int
        Of how many rows they are.
    """

    table: Any
    rows: NDArray[np.int64]
    uniform: NDArray[np.bool_]
    n_rows: int


def sample_of(
    batches: Iterable[Any],
    first_row: int,
    seed: int,
    size: int,
    keep_first: KeepFirst | None = None,
    limit: np.uint64 = _LARGEST,
) -> tuple[Any, int]:
    """Draw at most ``size`` rows without replacement, each as likely as any other.

    Parameters
    ----------
    batches : iterable of pyarrow.Table or RecordBatch
        Consecutive rows.
    first_row : int
        Number of the first of them in the whole of the data.
    seed, size : int
    keep_first : callable, optional
        From a table and the number of its first row to a mask of the rows that are to be kept whatever their key, such
        as those with a known label. Of these as many as fill a quarter of the sample; the others are drawn like all
        rows.
    limit : uint64, optional
        Of `limit_of`, where these are some of many rows: others than those to be kept first are left out sooner.

    Returns
    -------
    table : pyarrow.Table
        The rows by number, with two further columns by which `merged` goes; `drawn` takes them off.
    n_rows : int
        How many rows there were.

    Examples
    --------
    >>> batches = [pa.table({"x": range(0, 60)}), pa.table({"x": range(60, 100)})]
    >>> whole, n_rows = sample_of(batches, 0, seed=1, size=5)
    >>> parts = [sample_of([batch], first, 1, 5)[0] for first, batch in zip([0, 60], batches)]
    >>> n_rows, whole.num_rows, merged(parts, 1, 5).equals(whole)
    (100, 5, True)
    """
    waiting: list[Any] = []
    n_waiting, n_rows = 0, 0
    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        rows = np.arange(len(table), dtype=np.int64) + (first_row + n_rows)
        first = np.zeros(len(table), dtype=bool) if keep_first is None else keep_first(table, first_row + n_rows)
        n_rows += len(table)
        # what lies above the largest key of a full sample cannot enter it any more
        near = np.flatnonzero((keys_of(rows, seed) <= limit) | first)
        waiting.append(_numbered(table.take(near), rows[near], first[near]))
        n_waiting += len(near)
        if n_waiting > _WAITING * size:
            waiting = [merged(waiting, seed, size)]
            n_waiting = len(waiting[0])
            limit = min(limit, _limit(waiting[0], seed, size))
    return merged(waiting, seed, size), n_rows


def merged(samples: Iterable[Any], seed: int, size: int) -> Any:
    """The sample of all rows from samples of parts of them, drawn by `sample_of` with the same seed and size."""
    waiting: list[Any] = []
    for sample in samples:
        waiting.append(sample)
        if sum(map(len, waiting)) > _WAITING * size:
            waiting = [_merged(waiting, seed, size)]
    return _merged(waiting, seed, size)


def limit_of(n_rows: int, seed: int, size: int) -> np.uint64:
    """The key above which no row is drawn for its key: known before any row is read.

    >>> table = pa.table({"x": range(1_000)})
    >>> limit = limit_of(1_000, seed=1, size=5)
    >>> sample_of([table], 0, 1, 5, limit=limit)[0].equals(sample_of([table], 0, 1, 5)[0])
    True
    """
    kept = np.zeros(0, dtype=np.uint64)
    limit = _LARGEST
    for first in range(0, n_rows, _KEYS):
        keys = keys_of(np.arange(first, min(first + _KEYS, n_rows), dtype=np.int64), seed)
        kept = np.concatenate([kept, keys[keys <= limit]])
        if len(kept) > size:
            kept = np.partition(kept, size - 1)[:size]
            limit = kept[-1]
    return limit


def drawn(table: Any, n_rows: int, seed: int) -> Sample:
    """What `sample_of` gave, its rows as they came."""
    rows, first = table[ROW].to_numpy(), table[FIRST].to_numpy()
    keys = keys_of(rows, seed)
    # of all rows with a key up to that of the last one that was drawn for its key, none is missing
    last = keys.max() if len(rows) == n_rows else keys[_kept(keys, first, len(rows))[-1]]
    return Sample(table.drop_columns([ROW, FIRST]), rows, keys <= last, n_rows)


def keys_of(rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A random key of each row number, (n,), by splitmix64: one-to-one, so no two rows of a seed have the same.

    >>> len(set(keys_of(np.arange(1000), 0).tolist()))
    1000
    """
    start = np.uint64((seed * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) & (2**64 - 1))
    with np.errstate(over="ignore"):
        state = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def picked(batches: Iterable[Any], rows: NDArray[np.int64]) -> Any:
    """The rows of these numbers, a table in the order of the numbers given; read no further than the last of them."""
    ascending = np.unique(rows)
    table = pa.concat_tables(_picked(batches, ascending)).combine_chunks()
    return table.take(np.searchsorted(ascending, rows))


def _picked(batches: Iterable[Any], ascending: NDArray[np.int64]) -> Iterator[Any]:
    start = 0
    for batch in batches:
        low, high = np.searchsorted(ascending, [start, start + len(batch)])
        if high > low or not start:  # of the first batch none is enough: the columns
            table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            yield table.take(ascending[low:high] - start)
        start += len(batch)
        if high == len(ascending):
            return


def _merged(samples: list[Any], seed: int, size: int) -> Any:
    table = pa.concat_tables(samples)
    rows, first = table[ROW].to_numpy(), table[FIRST].to_numpy()
    kept = _kept(keys_of(rows, seed), first, size)
    return table.take(kept[np.argsort(rows[kept])]).combine_chunks()


def _kept(keys: NDArray[np.uint64], first: NDArray[np.bool_], size: int) -> NDArray[np.intp]:
    """Places of the rows of a sample: those to be kept first up to their share, then others, by key."""
    order = np.argsort(keys)
    preferred = order[first[order]][: int(MOST_FIRST * size)]
    others = np.ones(len(keys), dtype=bool)
    others[preferred] = False
    return np.concatenate([preferred, order[others[order]][: size - len(preferred)]])


def _limit(table: Any, seed: int, size: int) -> np.uint64:
    """The last key of a full sample: a row with a larger one, not to be kept first, cannot enter it."""
    keys = keys_of(table[ROW].to_numpy(), seed)
    last: np.uint64 = keys[_kept(keys, table[FIRST].to_numpy(), size)[-1]]
    return last


def _numbered(table: Any, rows: NDArray[np.int64], first: NDArray[np.bool_]) -> Any:
    return table.append_column(ROW, pa.array(rows)).append_column(FIRST, pa.array(first))
