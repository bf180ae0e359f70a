"""Cells of a table, whatever type of array or data frame it is: taken together anew, and changed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds import as_table
from expose.kinds.understood import understood_alone
from expose.outliers.rows import Indices

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Numbers:
    """The columns of numbers of a table: their values (n_rows, k), their places, and what they can hold."""

    values: Floats
    places: Indices
    whole: NDArray[np.bool_]
    low: Floats
    high: Floats

    def stored(self, values: Floats) -> Floats:
        """Return values as the columns can hold them."""
        return np.clip(np.where(self.whole, np.round(values), values), self.low, self.high)

    def moving(self) -> Numbers:
        """Return the columns with more than two different values."""
        several = np.array([len(np.unique(column[~np.isnan(column)])) > 2 for column in self.values.T], dtype=bool)
        parts = (self.places, self.whole, self.low, self.high)
        return Numbers(self.values[:, several], *(part[several] for part in parts))


def numbers_of(X: Any) -> Numbers:
    """Find the columns of numbers that are not flags and not empty."""
    table = understood_alone(as_table(X))
    values = np.asarray(table.numbers, dtype=np.float64)
    if np.isinf(values).any():
        raise InputError("X holds infinite numbers; replace them, or leave those rows out.")
    used = [i for i, place in enumerate(table.places) if place not in table.booleans]
    used = [i for i in used if not np.isnan(values[:, i]).all()]
    values, places = values[:, used], table.places[used]
    known = [column[~np.isnan(column)] for column in values.T]
    whole = np.array([bool((column == np.round(column)).all()) for column in known], dtype=bool)
    limits = np.array([_limits(X, int(place)) for place in places], dtype=np.float64).reshape(-1, 2)
    return Numbers(values, places, whole, limits[:, 0], limits[:, 1])


def _limits(X: Any, place: int) -> tuple[float, float]:
    """Lowest and highest number that a column can hold."""
    dtype = X.dtype if isinstance(X, np.ndarray) else _frame(X)[:, place].dtype
    try:
        name = str(dtype).lower()
        limits: Any = np.iinfo(name) if "int" in name else np.finfo(name)
    except (TypeError, ValueError):  # objects
        limits = np.finfo(np.float64)
    # the highest 64-bit integer has no float64: the next lower one that has
    return float(limits.min), float(np.nextafter(float(limits.max), 0)) if limits.bits == 64 else float(limits.max)


def checked_table(X: Any) -> Any:
    """Return a table as a 2-D array or as the data frame it is."""
    as_table(X)  # or a message that says what is wrong
    if isinstance(X, list | tuple):
        array = np.asarray(X)
        X = array if array.dtype.kind in "biuf" else np.array(X, dtype=object)
    if not isinstance(X, np.ndarray):
        X = _frame(X).to_native()
    if not X.shape[0] or not X.shape[1]:
        raise InputError(f"expected a table with rows and columns; got {X.shape[0]} rows and {X.shape[1]} columns.")
    return X


def _frame(X: Any) -> Any:
    import narwhals as nw

    try:
        return nw.from_native(X, eager_only=True)
    except TypeError as error:
        raise InputError(f"expected an array, a list of rows or a data frame; got {type(X).__name__}.") from error


def gathered(X: Any, source: Indices) -> Any:
    """Return the table whose value in row i and column j comes from row ``source[i, j]`` of X."""
    if isinstance(X, np.ndarray):
        return X[source, np.arange(X.shape[1])]
    import narwhals as nw

    frame = _frame(X)
    columns = [nw.maybe_reset_index(frame[source[:, j].tolist(), [j]]) for j in range(X.shape[1])]
    return nw.concat(columns, how="horizontal").to_native()


def distinct_rows(X: Any, place: int) -> Indices:
    """Rows that hold the different values of a column, each once."""
    column = X[:, place] if isinstance(X, np.ndarray) else _frame(X)[:, place].to_list()
    seen: dict[Any, int] = {}
    for row, value in enumerate(column):
        gap = isinstance(value, float) and isnan(value)  # every NaN differs from every other
        seen.setdefault(None if gap else value, row)
    return np.array(list(seen.values()), dtype=np.intp)


def with_numbers(X: Any, places: Indices, values: Floats) -> Any:
    """Return the table with these columns replaced, in their own types."""
    if isinstance(X, np.ndarray):
        X[:, places] = values
        return X
    import narwhals as nw

    frame = _frame(X)
    made = []
    for place, column in zip(places.tolist(), values.T, strict=True):
        old = frame[:, place]
        gaps = np.isnan(column)
        if gaps.any() and old.dtype.is_integer():  # they are missing in the old column too
            made.append(old.scatter(np.flatnonzero(~gaps).tolist(), column[~gaps].astype(np.int64).tolist()))
            continue
        dtype = old.dtype if old.dtype.is_numeric() else None
        made.append(nw.new_series(old.name, column, dtype, backend=frame.implementation))
    return frame.with_columns(*made).to_native()
