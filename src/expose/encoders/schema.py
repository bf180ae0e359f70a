"""What the encoder remembers of each training column, and how a new column is made the same kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import Writing
from expose.files.names import listing
from expose.files.values import key_of
from expose.kinds.columns import Categories, Column, ColumnKind, Strings, Times, distinct
from expose.kinds.rows import all_missing, missing_in
from expose.kinds.understood import matched_key

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: one encoded column, and an indicator if values were missing in training.

    `writing` says how texts are read as numbers.
    """

    kind: ClassVar[ColumnKind] = "number"
    name: str
    used: bool
    indicator: bool
    constant: float | None = None
    writing: Writing = Writing("number")  # noqa: RUF009 - never changed

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return self.used + self.indicator


@dataclass(frozen=True)
class TimeColumn:
    """A column of times: seconds, scaled, then sine and cosine of each period within which it varies."""

    kind: ClassVar[ColumnKind] = "time"
    name: str
    used: bool
    indicator: bool
    periods: tuple[str, ...] = ()
    center: float = 0.0
    spread: float = 1.0
    writing: Writing = Writing("date")  # noqa: RUF009 - never changed

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return self.used * (1 + 2 * len(self.periods)) + self.indicator


@dataclass(frozen=True)
class CategoryColumn:
    """A column of names: one-hot for the frequent ones, one column for all others.

    `keys` and `counts` are the names seen in training, most frequent first; the first `slots` have an encoded
    column of their own. `complete` is False when there were too many names to keep.
    """

    kind: ClassVar[ColumnKind] = "category"
    name: str
    used: bool
    indicator: bool
    keys: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    slots: int = 0
    complete: bool = True
    frequency: tuple[float, float] | None = None  # center and spread of log(1 + count), if encoded
    writing: ClassVar[Writing] = Writing()

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return self.used * (self.slots + 1 + (self.frequency is not None)) + self.indicator


ColumnSchema = NumberColumn | TimeColumn | CategoryColumn
_CLASSES: dict[ColumnKind, type[ColumnSchema]] = {c.kind: c for c in (NumberColumn, TimeColumn, CategoryColumn)}


def schema_to_json(column: ColumnSchema) -> dict[str, Any]:
    """Return one column's schema as JSON types; values equal to the default are left out."""
    defaults = asdict(type(column)(column.name, used=True, indicator=False))
    always = ("name", "used", "indicator")
    fields = {key: value for key, value in asdict(column).items() if key in always or value != defaults[key]}
    return {"kind": column.kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def schema_from_json(fields: dict[str, Any]) -> ColumnSchema:
    """Return the schema that `schema_to_json` wrote."""
    kind: ColumnKind = fields["kind"]
    if not all(isinstance(fields[name], bool) for name in ("used", "indicator")):
        raise TypeError(f"column {fields['name']!r} must be used or not, and have an indicator or not")
    if not isinstance(fields["name"], str):
        raise TypeError(f"the name of a column must be a text; got {fields['name']!r}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items() if key != "kind"
    }
    if "writing" in values:
        values["writing"] = Writing.of(values["writing"])
    return _CLASSES[kind](**values)


def described(column: ColumnSchema) -> tuple[str, str]:
    """What a column counts as, and what was made of it, in words.

    >>> described(NumberColumn("x", used=True, indicator=False))
    ('number', '')
    """
    if isinstance(column, CategoryColumn) and not column.used and not column.complete:
        if column.keys:
            return "left out", "a text that is different in nearly every row"
        return "identifier", "a different text in every row; names it, and is not looked at"
    if not column.used:
        return "left out", "the same value in every row, or none"
    if isinstance(column, CategoryColumn):
        return "category", f"of {len(column.keys):,}{'' if column.complete else ' and more'}"
    strays = f"{listing(column.writing.strays, 3)} count as missing" if column.writing.strays else ""
    how = "; ".join(filter(None, (column.writing.in_words(), strays)))
    return ("date" if isinstance(column, TimeColumn) else "number"), how


# ------------------------------------------------------------- bringing a new column to the kind of training


def _wrong(name: str, expected: str, row: int, value: object) -> InputError:
    return InputError(
        f"column {name!r} held {expected} in training; row {row} (counting from 0) now holds {value!r}. "
        f"Correct the value, leave it empty, or fit again if the column has changed its meaning."
    )


def to_numbers(column: Column, name: str) -> NDArray[Any]:
    """Return a column as numbers (n,), NaN where missing."""
    if isinstance(column, np.ndarray):
        return column
    if all_missing(column):
        return np.full(len(column.missing), np.nan)
    row = int(np.argmin(column.missing))
    raise _wrong(name, "numbers", row, str(column.values()[row]))


def to_times(column: Column, name: str) -> Times:
    """Return a column as times."""
    if isinstance(column, Times):
        return column
    missing = missing_in(column)
    if missing.all():
        return Times(np.full(len(missing), "NaT", dtype="datetime64[us]"))
    row = int(np.argmin(missing))
    value = column[row].item() if isinstance(column, np.ndarray) else column.values()[row]
    raise _wrong(name, "dates", row, value)


def to_names(column: Categories, known: tuple[str, ...]) -> Categories:
    """Categories under the names that training knew them by, where they only differ in how they are written."""
    places = dict.fromkeys(known)
    padded = {key.lstrip("0"): key for key in known if key.isdigit() and key.startswith("0")}  # 01067, lost as 1067
    keys = [matched_key(padded.get(key, key), places) for key in column.keys]
    return column if tuple(keys) == column.keys else distinct(column.codes, keys)


def to_categories(column: Column, known: tuple[str, ...], *, boolean: bool) -> Categories:
    """Return a column as categories; numbers, booleans and dates count by their text in a file."""
    if isinstance(column, Strings):
        column = column.categories()
    if isinstance(column, Categories):
        return to_names(column, known)
    if isinstance(column, Times):
        values, codes = np.unique(column.moments, return_inverse=True)
        return to_names(Categories(np.where(column.missing, -1, codes), tuple(map(key_of, values))), known)
    values, codes = np.unique(column, return_inverse=True)
    keys = [_boolean_key(value, known) if boolean else key_of(value) for value in values]
    return to_names(Categories(np.where(np.isnan(column), -1, codes), tuple(keys)), known)


def _boolean_key(value: float, known: tuple[str, ...]) -> str:
    """Return the spelling of true or false that training knew."""
    spellings = ("true", "True", "TRUE", "1") if value else ("false", "False", "FALSE", "0")
    return next((spelling for spelling in spellings if spelling in known), spellings[0])
