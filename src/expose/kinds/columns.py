"""One column of a table: numbers, categories, points in time, or texts of which nobody has yet said what they are."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import NOTHING_SAID, NULLS, Conventions
from expose.files.numerals import EXACT_DIGITS
from expose.files.texts import is_missing_text, is_text, one_array
from expose.files.values import is_missing, key_of

ColumnKind = Literal["number", "category", "time", "text"]

PLAIN_NUMBERS = (bool, int, float, np.number, np.bool_, decimal.Decimal)
SPANS = (dt.timedelta, np.timedelta64)
MOMENTS = (dt.date, np.datetime64)  # datetime and pandas' Timestamp are dates too


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of names, each stored once.

    Attributes
    ----------
    codes : ndarray of int64, (n,)
        Position of each row's name in `keys`; -1 where the value is missing.
    keys : tuple of str
        The distinct names. Some may be unused.
    """

    codes: NDArray[np.int64]
    keys: tuple[str, ...]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where the value is missing, (n,)."""
        return np.less(self.codes, 0)

    def take(self, rows: NDArray[Any] | slice) -> Categories:
        """Return the chosen rows."""
        return Categories(self.codes[rows], self.keys)

    def values(self) -> NDArray[Any]:
        """Return the names as an object array, None where missing, (n,)."""
        return np.array([*self.keys, None], dtype=object)[self.codes]


@dataclass(frozen=True, eq=False)
class Times:
    """A column of points in time: UTC, microseconds; a time without a zone counts as UTC.

    Attributes
    ----------
    moments : ndarray of datetime64[us], (n,)
        NaT where missing.
    """

    moments: NDArray[np.datetime64]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where the value is missing, (n,)."""
        return np.isnat(self.moments)

    def take(self, rows: NDArray[Any] | slice) -> Times:
        """Return the chosen rows."""
        return Times(self.moments[rows])

    def values(self) -> NDArray[Any]:
        """Return the points in time, (n,)."""
        return self.moments


@dataclass(frozen=True, eq=False)
class Strings:
    """A column of texts as they came: an encoder finds out whether they are numbers, dates or names.

    Attributes
    ----------
    texts : pyarrow.Array of strings, (n,)
        Null where missing.
    """

    texts: Any

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where the text stands for nothing, (n,)."""
        return is_missing_text(self.texts)

    def take(self, rows: NDArray[Any] | slice) -> Strings:
        """Return the chosen rows."""
        if isinstance(rows, slice):
            rows = np.arange(len(self.texts))[rows]
        chosen = np.asarray(rows)
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return Strings(self.texts.take(pa.array(places, pa.int64())))

    def values(self) -> NDArray[Any]:
        """Return the texts as an object array, None where missing, (n,)."""
        return np.asarray(self.texts.to_numpy(zero_copy_only=False), dtype=object)

    def categories(self, conventions: Conventions = NOTHING_SAID) -> Categories:
        """Count equal texts as one category."""
        return self.names(NULLS | {*conventions.null})

    def names(self, nulls: Set[str] = frozenset([""])) -> Categories:
        """The same with these texts as missing: by default NA is a name, of Namibia say."""
        encoded = self.texts.dictionary_encode()
        keys = [None if key is None or key.strip() in nulls else key for key in encoded.dictionary.to_pylist()]
        return distinct(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), keys, nulls)


Column = NDArray[Any] | Categories | Times | Strings  # a plain array is a column of numbers, NaN where missing


def strings_of(texts: Sequence[str | None]) -> Strings:
    """Texts as a column; half code points, which no file can hold, are written out."""
    try:
        return Strings(pa.array(texts, type=pa.large_string()))
    except (UnicodeEncodeError, pa.ArrowInvalid):
        whole = [None if text is None else text.encode("utf-8", "backslashreplace").decode() for text in texts]
        return Strings(pa.array(whole, type=pa.large_string()))


# --------------------------------------------------------------------------------------------- Arrow columns


@cache
def column_kind(arrow_type: Any) -> ColumnKind | None:
    """Return what a column of this Arrow type counts as; None if it cannot be used.

    >>> column_kind(pa.float32()), column_kind(pa.date32()), column_kind(pa.list_(pa.int8()))
    ('number', 'time', None)
    """
    is_type = pa.types
    if isinstance(arrow_type, pa.BaseExtensionType):
        return "text" if str(arrow_type) == "extension<arrow.uuid>" else column_kind(arrow_type.storage_type)
    if is_type.is_timestamp(arrow_type) or is_type.is_date(arrow_type):
        return "time"
    if is_type.is_dictionary(arrow_type):
        return "category" if column_kind(arrow_type.value_type) else None
    if is_text(arrow_type) or is_type.is_time(arrow_type):  # a time of day is a text that an encoder understands
        return "text"
    numeric = (is_type.is_integer, is_type.is_floating, is_type.is_boolean, is_type.is_decimal)
    spans = (is_type.is_null, is_type.is_duration)
    return "number" if any(test(arrow_type) for test in (*numeric, *spans)) else None


@cache
def is_plain_number(arrow_type: Any) -> bool:
    """Whether a column of this Arrow type holds numbers and nothing around them, as extensions have.

    >>> is_plain_number(pa.float32()), is_plain_number(pa.date32())
    (True, False)
    """
    return column_kind(arrow_type) == "number" and not isinstance(arrow_type, pa.BaseExtensionType)


def column_from_arrow(column: Any, name: str) -> Column:
    """Turn one Arrow column (a ChunkedArray) of a kind that has a meaning into numbers, categories, times or texts."""
    kind = column_kind(column.type)
    if str(column.type) == "extension<arrow.uuid>":
        return strings_of([None if value is None else str(value) for value in column.to_pylist()])
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    if kind == "number" and not holds_long_digits(column):
        values = np.empty(len(column), dtype=np.float64)
        fill_numbers(column, values)
        return values
    if kind in ("number", "text"):
        return Strings(one_array(column.cast(pa.string()).cast(pa.large_string())))
    return _times_from_arrow(column) if kind == "time" else _categories_from_arrow(column)


def holds_long_digits(column: Any) -> bool:
    """Whether whole numbers of an Arrow column have more digits than a float64 keeps: a text says what they are."""
    if column.type not in (pa.int64(), pa.uint64()):
        return False
    ends = pc.min_max(column).as_py().values()
    return any(end is not None and abs(end) >= 10**EXACT_DIGITS for end in ends)


def fill_numbers(column: Any, out: NDArray[Any]) -> None:
    """Write an Arrow column (a ChunkedArray) of kind "number" into `out` (n,), NaN where missing."""
    out[:] = _as_plain_number(column).to_numpy()


def _as_plain_number(column: Any) -> Any:
    """Cast what NumPy has no number for: booleans, decimals, nulls; durations to seconds."""
    arrow_type = column.type
    if arrow_type in (pa.float32(), pa.float64()) or pa.types.is_integer(arrow_type):
        return column
    if pa.types.is_duration(arrow_type):
        return _seconds(column.cast(pa.int64()), arrow_type.unit)
    if pa.types.is_boolean(arrow_type):
        return column.cast(pa.uint8())
    return column.cast(pa.float64())


def _seconds(ticks: Any, unit: str) -> Any:
    return pc.divide(ticks.cast(pa.float64()), float({"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]))


def _times_from_arrow(column: Any) -> Times:
    moments = column.cast(pa.timestamp("us"), safe=False).to_numpy()
    return Times(np.asarray(moments, dtype="datetime64[us]"))


def _categories_from_arrow(column: Any) -> Categories:
    encoded = one_array(column.unify_dictionaries())
    codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return distinct(codes, encoded.dictionary.to_pylist())


def distinct(codes: NDArray[np.int64], values: Sequence[Any], nulls: Set[str] = NULLS) -> Categories:
    """Give equal keys one code, and -1 to the missing ones: None, NaN and what is spelled as nothing."""
    place: dict[str, int] = {}
    renamed = np.full(len(values) + 1, -1, dtype=np.int64)  # the last one serves the code -1
    for old, value in enumerate(values):
        if not is_missing(value) and (key := key_of(value)).strip() not in nulls:
            renamed[old] = place.setdefault(key, len(place))
    return Categories(renamed[codes], tuple(place))


# --------------------------------------------------------------------------------- columns of Python objects


def is_number_type(kind: type) -> bool:
    """Whether Python objects of a type are numbers; NumPy's spans of time say so, but each has a unit of its own.

    >>> is_number_type(np.int8), is_number_type(np.timedelta64)
    (True, False)
    """
    return issubclass(kind, PLAIN_NUMBERS) and not issubclass(kind, SPANS)


def column_from_objects(values: NDArray[Any], name: str) -> Column:
    """Turn a column of Python objects (n,) into numbers or times, or into texts if it is neither."""
    objects = [None if is_missing(value) else value for value in values.tolist()]
    types = {type(value) for value in objects} - {type(None)}
    if all(issubclass(kind, SPANS) for kind in types) and types:
        return np.array([np.nan if v is None else v / np.timedelta64(1, "s") for v in objects], dtype=np.float64)
    if all(map(is_number_type, types)):
        long = any(map(is_long, objects))
        numbers = _numbers_from_objects(objects, name)
        return strings_of([None if value is None else key_of(value) for value in objects]) if long else numbers
    if all(issubclass(kind, MOMENTS) for kind in types):
        return _times_from_objects(objects, name)
    _refuse_unknown(objects, name)
    return strings_of([None if value is None else key_of(value) for value in objects])


def is_long(value: object) -> bool:
    """Whether a value is a whole number of more digits than a float64 keeps."""
    return isinstance(value, int | np.integer) and abs(int(value)) >= 10**EXACT_DIGITS


def _numbers_from_objects(objects: list[Any], name: str) -> NDArray[np.float64]:
    try:
        return np.array([np.nan if value is None else float(value) for value in objects], dtype=np.float64)
    except OverflowError:
        row = next(i for i, value in enumerate(objects) if isinstance(value, int) and abs(value) > 2**1023)
        message = f"column {name!r}, row {row}: a number too large for float64. Rescale the column."
        raise InputError(message) from None


def _times_from_objects(objects: list[Any], name: str) -> Times:
    try:
        return Times(np.array([_moment(value) for value in objects], dtype="datetime64[us]"))
    except (ValueError, OverflowError) as error:
        raise InputError(f"column {name!r} holds a date that cannot be used: {error}") from error


def _moment(value: Any) -> np.datetime64:
    """A date or time in UTC; NumPy reaches beyond the years 1 and 9999, to which a zone may lead."""
    offset = value.utcoffset() if getattr(value, "tzinfo", None) else None
    if offset is None:
        return np.datetime64(value, "us")
    utc: np.datetime64 = np.datetime64(value.replace(tzinfo=None), "us") - np.timedelta64(offset, "us")  # type: ignore[assignment]
    return utc


def _refuse_unknown(objects: list[Any], name: str) -> None:
    known = (str, bytes, uuid.UUID, *PLAIN_NUMBERS, *MOMENTS, dt.time, *SPANS)
    for row, value in enumerate(objects):
        if value is not None and not isinstance(value, known):
            raise TypeError(
                f"column {name!r}, row {row}: argument must be a string or a number, not "
                f"{type(value).__name__!r}. Give such values columns of their own, or leave the column out."
            )
