"""A table in memory, wherever it came from: numbers in one matrix, the rest column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import Conventions
from expose.files.names import listing
from expose.files.values import key_of
from expose.kinds.columns import Categories, Column, ColumnKind, Strings, Times, strings_of


@dataclass(frozen=True, eq=False)
class Table:
    """Rows and columns, whatever they came from. Made by `as_table`; never changed afterwards.

    Attributes
    ----------
    names : tuple of str
        Column names in order; x0, x1, ... when the source had none.
    n_rows : int
    named : bool
        Whether the source named its columns.
    numbers : ndarray, (n_rows, k)
        All columns of numbers (of any real type, booleans too) side by side; NaN where missing.
    places : ndarray of int, (k,)
        Which column of the table each column of `numbers` is.
    others : mapping of int to Categories, Times or Strings
        The remaining columns, by their position in the table.
    booleans : frozenset of int
        Positions of the number columns that were booleans.
    conventions : Conventions
        What was said of how values are written.
    skipped : tuple of (name, type)
        Columns of the source that cannot be features.
    first : int
        Number of the first row where it came from: of a large file, say, that is read some rows at a time.
    """

    names: tuple[str, ...]
    n_rows: int
    named: bool
    numbers: NDArray[Any]
    places: NDArray[np.intp]
    others: Mapping[int, Categories | Times | Strings] = field(default_factory=dict)
    booleans: frozenset[int] = frozenset()
    conventions: Conventions = Conventions()  # noqa: RUF009 - never changed
    first: int = 0
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return self.n_rows

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.names)

    @cached_property
    def number_index(self) -> NDArray[np.intp]:
        """For each column, its place in `numbers`, or -1, (n_columns,)."""
        index = np.full(self.n_columns, -1, dtype=np.intp)
        index[self.places] = np.arange(len(self.places))
        return index

    @property
    def kinds(self) -> tuple[ColumnKind, ...]:
        """What each column is: "number", "category", "time", or "text" where that is still to be found out."""
        kinds: list[ColumnKind] = ["number"] * self.n_columns
        for place, column in self.others.items():
            kinds[place] = _KINDS[type(column)]
        return tuple(kinds)

    def at(self, place: int) -> Column:
        """Return one column by position: an array (n_rows,) if it holds numbers."""
        index = self.number_index[place]
        return self.numbers[:, index] if index >= 0 else self.others[place]

    def column(self, name: str) -> NDArray[Any]:
        """Return the values of one column for people to read, (n_rows,): numbers, texts or times."""
        if name not in self.names:
            raise InputError(f"no column {name!r}; the table has {listing(self.names)}")
        column = self.at(self.names.index(name))
        return column if isinstance(column, np.ndarray) else column.values()

    def take(self, rows: NDArray[Any] | slice) -> Table:
        """Return the chosen rows, by number, mask or slice."""
        others = {place: column.take(rows) for place, column in self.others.items()}
        numbers = self.numbers[rows]
        return replace(self, n_rows=len(numbers), numbers=numbers, others=others, first=0)

    @staticmethod
    def concat(first: Table, second: Table) -> Table:
        """Return the rows of both, the first table's above the second's; their columns must agree."""
        both_named = first.named and second.named
        if first.n_columns != second.n_columns or (both_named and first.names != second.names):
            raise InputError(
                f"two tables can only be joined when they have the same columns; got {listing(first.names)} "
                f"and {listing(second.names)}"
            )
        n_rows, booleans = first.n_rows + second.n_rows, first.booleans & second.booleans
        said = first.conventions
        if len(first.places) == len(second.places) == first.n_columns:
            numbers = np.concatenate([first.numbers[:, first.number_index], second.numbers[:, second.number_index]])
            return Table(first.names, n_rows, first.named, numbers, np.arange(first.n_columns), {}, booleans, said)
        columns = [_joined(first.at(i), second.at(i), name) for i, name in enumerate(first.names)]
        return replace(from_columns(first.names, first.named, columns, n_rows, booleans), conventions=said)


_KINDS: dict[type, ColumnKind] = {Times: "time", Categories: "category", Strings: "text"}


def missing_in(column: Column) -> NDArray[np.bool_]:
    """Tell where a column holds no value, (n,)."""
    return np.isnan(column) if isinstance(column, np.ndarray) else column.missing


def all_missing(column: Column) -> bool:
    """Tell whether a column holds no value at all."""
    return bool(missing_in(column).all())


def _joined(first: Column, second: Column, name: str) -> Column:
    if isinstance(first, Categories) and isinstance(second, Categories):
        place = {key: i for i, key in enumerate(first.keys)}
        codes = np.array([place.setdefault(key, len(place)) for key in second.keys] + [-1], dtype=np.int64)
        return Categories(np.concatenate([first.codes, codes[second.codes]]), tuple(place))
    if isinstance(first, Times) and isinstance(second, Times):
        return Times(np.concatenate([first.moments, second.moments]))
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    if isinstance(first, Strings) or isinstance(second, Strings):
        return strings_of([*as_strings(first).values(), *as_strings(second).values()])
    if all_missing(first):
        return _joined(_nothing_like(second, len(missing_in(first))), second, name)
    if all_missing(second):
        return _joined(first, _nothing_like(first, len(missing_in(second))), name)
    raise InputError(f"column {name!r} holds different kinds of values in the two tables; make them agree")


def as_strings(column: Column) -> Strings:
    """A column as a file of text would have it."""
    if isinstance(column, Strings):
        return column
    gone = missing_in(column)
    values = column if isinstance(column, np.ndarray) else column.values()
    parts = values if isinstance(column, Times) else values.tolist()
    return strings_of([None if nothing else key_of(value) for value, nothing in zip(parts, gone, strict=True)])


def _nothing_like(column: Column, n_rows: int) -> Column:
    """Return a column of missing values of the same kind."""
    if isinstance(column, Categories):
        return Categories(np.full(n_rows, -1, dtype=np.int64), ())
    if isinstance(column, Times):
        return Times(np.full(n_rows, "NaT", dtype="datetime64[us]"))
    return np.full(n_rows, np.nan)


def from_columns(
    names: Sequence[str],
    named: bool,
    columns: Sequence[Column],
    n_rows: int,
    booleans: frozenset[int] = frozenset(),
) -> Table:
    """Put columns of mixed kinds together."""
    plain = {i: column for i, column in enumerate(columns) if isinstance(column, np.ndarray)}
    others = {i: column for i, column in enumerate(columns) if not isinstance(column, np.ndarray)}
    numbers = np.empty((len(plain), n_rows), dtype=np.float64)
    for row, column in enumerate(plain.values()):
        numbers[row] = column
    booleans |= {i for i, column in plain.items() if column.dtype == np.bool_}
    return Table(tuple(names), n_rows, named, numbers.T, np.array(list(plain), dtype=np.intp), others, booleans)
