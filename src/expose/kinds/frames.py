"""Every kind of table a user may bring, turned into a `Table`."""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import Conventions, marks
from expose.files.names import check_names, listing
from expose.files.numerals import EXACT_DIGITS
from expose.files.reading import read
from expose.files.values import is_missing
from expose.kinds.columns import (
    Column,
    Times,
    column_from_arrow,
    column_from_objects,
    column_kind,
    distinct,
    fill_numbers,
    holds_long_digits,
    is_long,
    is_number_type,
    is_plain_number,
)
from expose.kinds.rows import Table, from_columns


def as_table(X: Any, conventions: Conventions | None = None) -> Table:
    """Turn any table into a `Table`.

    Parameters
    ----------
    X : (n, d) NumPy array or list of rows, pandas or Polars frame, Arrow table or record batch, or any frame
        that narwhals or the Arrow C stream interface can read; also a dictionary of columns, a list of
        dictionaries, one per row, a structured array, a named column (a pandas or Polars Series), or the
        pathlib.Path of a file. What is masked is missing.

    conventions : Conventions, optional
        What is to be said of how its values are written, as ``Conventions(decimal=",")``; estimators take the result.

    Raises
    ------
    InputError
        When it is not a table, column names repeat, or a column's type has no meaning as a feature.
    TypeError
        When a cell holds an object that is neither a text nor a number nor a date.

    Examples
    --------
    >>> table = as_table([[1.0, "red"], [2.5, "blue"]])
    >>> table.names, table.kinds
    (('x0', 'x1'), ('number', 'text'))
    """
    table = X if isinstance(X, Table) else _made(X)
    return table if conventions is None else replace(table, conventions=conventions)


def _made(X: Any) -> Table:
    """What is no `Table` yet."""
    if isinstance(X, pa.Table | pa.RecordBatch):
        conventions, first = marks(X.schema)
        return replace(_from_arrow(X), conventions=conventions, first=first)
    if isinstance(X, np.ndarray):
        return _from_array(X)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(X, pandas.DataFrame):
        return _from_pandas(X)
    if hasattr(X, "tocsr"):  # some of which are mappings, too
        raise InputError("sparse matrices are not supported; give a dense one, for example X.toarray()")
    if isinstance(X, Mapping | list | tuple):
        return _from_mapping(X) if isinstance(X, Mapping) else _from_rows(X)
    return _from_arrow(read(X)) if isinstance(X, Path) else _from_other(X)


def _from_other(source: Any) -> Table:
    import narwhals as nw

    if len(getattr(source, "shape", ())) == 1 and hasattr(source, "to_frame"):
        return as_table(source.to_frame())
    frame = nw.from_native(source, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="pyarrow")
    if isinstance(frame, nw.DataFrame):
        return _from_narwhals(frame)
    if hasattr(source, "__arrow_c_stream__"):
        return _from_arrow(pa.table(source))
    if hasattr(source, "__array__"):
        return _from_array(np.asarray(source))
    if isinstance(source, str):
        raise InputError(
            f"there is no folder of photos at {source!r}, if that was meant. A table is an array, a list of rows or a "
            "frame; one in a file is read with expose.files.read(path)."
        )
    raise InputError(
        f"expected a table: a 2-D NumPy array, a list of rows, a pandas, Polars or Arrow table; got "
        f"{type(source).__name__}. A file is read with expose.files.read(path)."
    )


def _from_narwhals(frame: Any) -> Table:
    """A frame by way of Arrow, but for columns of types that Arrow has not."""
    import narwhals as nw

    types = frame.schema
    wide = [name for name, dtype in types.items() if dtype in (nw.Int128, nw.UInt128)]
    if wide:
        frame = frame.with_columns(*(nw.col(name).cast(nw.Float64) for name in wide))
    objects = [name for name, dtype in types.items() if dtype == nw.Object]
    if not objects:
        return _from_arrow(frame.to_arrow())
    plain = _from_arrow(frame.drop(objects).to_arrow())
    columns = [
        column_from_objects(_object_array(frame[name].to_list()), name) if name in objects else
        plain.at(plain.names.index(name))
        for name in frame.columns
    ]  # fmt: skip
    return from_columns(check_names(frame.columns), True, columns, len(frame))


def _from_mapping(columns: Mapping[Any, Any]) -> Table:
    """A dictionary of columns."""
    names, named = _names(list(columns))
    values = [one if hasattr(one, "dtype") else _object_array(list(one)) for one in columns.values()]
    lengths = Counter(map(len, values))
    if len(lengths) > 1:
        raise InputError(f"expected columns of equal length; got {listing(sorted(lengths))} values. Fill them up.")
    arrays = [_array_column(one, name) if isinstance(one, np.ndarray) else as_table(one.to_frame()).at(0)
              for one, name in zip(values, names, strict=True)]  # fmt: skip
    return from_columns(names, named, arrays, next(iter(lengths), 0))


def _from_rows(rows: Sequence[Any]) -> Table:
    """A list of rows, each a list of values or a dictionary."""
    if rows and all(isinstance(row, Mapping) for row in rows):
        keys = dict.fromkeys(key for row in rows for key in row)
        return _from_mapping({key: [row.get(key) for row in rows] for key in keys})
    return _from_array(_array_of_rows(rows))


def _object_array(values: Sequence[Any]) -> NDArray[Any]:
    """Values as they are, (n,), sequences among them too."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _names(labels: Sequence[Any]) -> tuple[tuple[str, ...], bool]:
    """Names of columns, and whether they are more than their numbers; of several levels as one text."""
    if list(labels) == list(range(len(labels))):
        return _numbered(len(labels)), False
    return check_names([_name(label) for label in labels]), True


def _name(label: Any) -> str:
    if isinstance(label, tuple):
        return ".".join(str(part) for part in label if str(part))
    return str(label).removesuffix(" 00:00:00") if isinstance(label, dt.datetime) else str(label)


def _numbered(n_columns: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(n_columns))


def _table(
    names: tuple[str, ...],
    named: bool,
    plain: list[int],
    numbers: NDArray[Any],
    booleans: frozenset[int],
    other: Callable[[int], Column],
) -> Table:
    """Complete a table of which the plain number columns are known, ``(n, k)``; ``other(i)`` is any other column."""
    if len(plain) == len(names):
        return Table(names, len(numbers), named, numbers, np.arange(len(names)), {}, booleans)
    matrix = dict(zip(plain, numbers.T, strict=True))
    columns = [matrix[i] if i in matrix else other(i) for i in range(len(names))]
    return from_columns(names, named, columns, len(numbers), booleans)


# ---------------------------------------------------------------------------------------------------- Arrow


def _from_arrow(source: Any) -> Table:
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    source, skipped = _usable(source)
    names = check_names(source.schema.names)
    columns, types = source.columns, source.schema.types
    plain = [i for i, column in enumerate(columns) if is_plain_number(types[i]) and not holds_long_digits(column)]
    single = all(types[i] == pa.float32() for i in plain)
    numbers = np.empty((len(plain), source.num_rows), dtype=np.float32 if single else np.float64)
    for row, place in enumerate(plain):
        fill_numbers(columns[place], numbers[row])
    booleans = frozenset(i for i in plain if pa.types.is_boolean(types[i]))
    table = _table(names, True, plain, numbers.T, booleans, lambda i: column_from_arrow(columns[i], names[i]))
    return replace(table, n_rows=source.num_rows, skipped=skipped)


def _usable(table: Any) -> tuple[Any, tuple[tuple[str, str], ...]]:
    """The table without columns that cannot be features, and these with their types; one must be left.

    The fields of a struct are columns of their own, under the names a.b.
    """
    if all(map(column_kind, table.schema.types)):
        return table, ()
    while any(map(pa.types.is_struct, table.schema.types)):
        table = table.flatten()
    skipped = tuple((field.name, str(field.type)) for field in table.schema if column_kind(field.type) is None)
    if skipped and len(skipped) == table.num_columns:
        name, arrow_type = skipped[0]
        raise InputError(
            f"column {name!r} is of type {arrow_type}, which has no meaning as a feature, and there is no other. "
            "Expected numbers, booleans, text, categories, dates or times."
        )
    return table.drop_columns([name for name, _ in skipped]), skipped


# --------------------------------------------------------------------------------------------------- pandas


def _from_pandas(frame: Any) -> Table:
    names, named = _names(list(frame.columns))
    dtypes = list(frame.dtypes)
    long = {i for i, dtype in enumerate(dtypes) if _may_be_long(dtype) and _holds_long(frame.iloc[:, i])}
    plain = [i for i, dtype in enumerate(dtypes) if _is_number_dtype(dtype) and i not in long]
    numbers = _pandas_numbers(frame, plain, {dtypes[i] for i in plain})
    booleans = frozenset(i for i in plain if dtypes[i].kind == "b")
    return _table(names, named, plain, numbers, booleans, lambda i: _from_series(frame.iloc[:, i], names[i]))


def _is_number_dtype(dtype: Any) -> bool:
    """Tell whether a pandas type holds plain numbers, its nullable types among them."""
    return getattr(dtype, "kind", "O") in "biuf" and not hasattr(dtype, "categories")


def _may_be_long(dtype: Any) -> bool:
    """Whether a type holds whole numbers of more digits than a float64 keeps."""
    return getattr(dtype, "kind", "O") in "iu" and getattr(dtype, "itemsize", 8) >= 8


def _holds_long(values: Any) -> bool:
    """Whether there is one among whole numbers."""
    ends = (values.min(), values.max()) if len(values) else ()
    return any(abs(int(end)) >= 10**EXACT_DIGITS for end in ends if not is_missing(end))


def _pandas_numbers(frame: Any, places: list[int], dtypes: set[Any]) -> NDArray[Any]:
    part = frame if len(places) == frame.shape[1] else frame.iloc[:, places]
    if len(dtypes) == 1 and isinstance(next(iter(dtypes)), np.dtype):
        return np.asarray(part.to_numpy())
    return np.asarray(part.to_numpy(dtype=np.float64, na_value=np.nan))


def _from_series(series: Any, name: str) -> Column:
    dtype = series.dtype
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return column_from_objects(series.to_numpy(), name)
    if getattr(dtype, "kind", "O") == "c":
        raise InputError(f"column {name!r} holds complex numbers; give real and imaginary part as two columns")
    if hasattr(dtype, "categories"):
        return distinct(series.cat.codes.to_numpy().astype(np.int64), list(dtype.categories))
    if str(dtype).startswith("period"):
        series = series.dt.to_timestamp()
    if str(dtype).startswith("interval"):
        series = series.astype(str)
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return column_from_objects(series.astype(object).to_numpy(), name)
    return column_from_arrow(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]), name)


# ----------------------------------------------------------------------------------------- arrays and lists


def _array_of_rows(rows: Sequence[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(rows)
        return array if array.dtype.kind in "biufc" else np.array(rows, dtype=object)
    except ValueError:
        lengths = Counter(len(row) for row in rows if hasattr(row, "__len__"))
        message = f"expected rows of equal length; got rows of {listing(sorted(lengths))} values. Fill them up."
        raise InputError(message) from None


def _from_array(array: NDArray[Any]) -> Table:
    if array.dtype.names:
        columns = [_array_column(array[name], name) for name in array.dtype.names]
        return from_columns(check_names(array.dtype.names), True, columns, len(array))
    if array.ndim != 2:
        raise InputError(
            f"Expected a 2D array: one row per case, one column per feature; got {array.ndim}D array "
            f"of shape {array.shape}. Reshape your data with array.reshape(-1, 1) if it has a single "
            f"feature, or array.reshape(1, -1) if it is a single row."
        )
    if isinstance(array, np.ma.MaskedArray):
        array = _filled(array)
    names = _numbered(array.shape[1])
    matrix = _plain_matrix(array)
    if matrix is not None:
        booleans = frozenset(range(len(names))) if matrix.dtype == np.bool_ else frozenset()
        return Table(names, len(array), False, matrix, np.arange(len(names)), {}, booleans)
    columns = [_array_column(array[:, i], name) for i, name in enumerate(names)]
    return from_columns(names, False, columns, len(array))


def _plain_matrix(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return the array itself if it is all numbers, None if its columns must be looked at one by one."""
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported; give real and imaginary parts as columns of their own")
    if array.dtype.kind in "biuf":
        if _may_be_long(array.dtype) and _holds_long(array.ravel()):
            return None
        return array if array.dtype.itemsize <= np.dtype(np.float64).itemsize else array.astype(np.float64)
    if array.dtype.kind != "O" or not all(map(is_number_type, set(map(type, array.flat)))):
        return None
    if any(map(is_long, array.flat)):
        return None
    try:
        return array.astype(np.float64)
    except OverflowError:
        return None


def _filled(array: Any) -> NDArray[Any]:
    """A masked array with nothing where it is masked."""
    if array.dtype.kind in "biuf":
        return np.asarray(np.ma.filled(array.astype(np.float64), np.nan))
    if array.dtype.kind in "mM":
        return np.asarray(array.filled(np.array("NaT", dtype=array.dtype)))
    values = np.array(array.data, dtype=object)
    values[np.ma.getmaskarray(array)] = None
    return values


def _array_column(values: NDArray[Any], name: str) -> Column:
    if isinstance(values, np.ma.MaskedArray):
        values = _filled(values)
    if values.dtype.kind == "M":
        return Times(values.astype("datetime64[us]"))
    if values.dtype.kind == "m":
        seconds: NDArray[np.float64] = values / np.timedelta64(1, "s")
        return seconds
    if values.dtype.kind in "biuf":
        long = _may_be_long(values.dtype) and _holds_long(values)
        return column_from_arrow(pa.chunked_array([values]), name) if long else values
    return column_from_objects(values.astype(object), name)
