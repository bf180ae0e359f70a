"""What columns of texts are: found on training rows, and held to on all others."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import CountedWarning, InputError
from expose.files.conventions import Conventions, Writing
from expose.files.texts import Stray
from expose.files.values import key_of
from expose.files.written import has_decimal_comma, nothings, parse, recognise
from expose.kinds.columns import Categories, Column, Strings, Times
from expose.kinds.rows import Table, as_strings, from_columns

ENOUGH = 20  # a column in which so many values are there, and none is as in training, has changed its meaning
TEXT = Writing()


def find_writings(table: Table) -> tuple[dict[int, Writing], dict[int, list[Stray]]]:
    """How each column of texts is written, by its position, and which values are written otherwise.

    Raises
    ------
    InputError
        When some are, and the table's conventions are strict.
    """
    said = table.conventions
    texts = {place: column for place, column in table.others.items() if isinstance(column, Strings)}
    decimal_comma = has_decimal_comma([column.texts for column in texts.values()], said)
    writings, strays = {}, {}
    for place, column in texts.items():
        if table.names[place] not in said.category:
            writings[place], found = recognise(column.texts, said, decimal_comma=decimal_comma)
            if found:
                _refuse_if_strict(said, table, place, found[0].row, found[0].text, writings[place])
            elif writings[place].form == "text":
                found = nothings(column.texts)
            if found:
                strays[place] = found
    named = [place for place, name in enumerate(table.names) if name in said.category]
    return writings | dict.fromkeys(named, TEXT), strays


def understood(table: Table, writings: Mapping[int, Writing], conventions: Conventions) -> Table:
    """The table with its columns of texts as what they are; columns without a writing stay as they are.

    A value that is written otherwise counts as missing, with a warning unless training knew it.

    Raises
    ------
    InputError
        When conventions are strict and there is one, or when nothing in a column is written as in training.
    """
    gone = numbers_for_nothing(conventions)
    if not writings and not (gone and bool(np.isin(table.numbers, gone).any())):
        return table
    columns: list[Column] = []
    booleans = set(table.booleans)
    for place in range(table.n_columns):
        column = table.at(place)
        writing = writings.get(place)
        if writing is not None:
            column = _read(column, writing, conventions, table, place)
            booleans -= {place}
            booleans |= {place} if writing.form == "boolean" else set()
        if gone and isinstance(column, np.ndarray):
            column = np.where(np.isin(column, gone), np.nan, column)
        columns.append(column)
    found = from_columns(table.names, table.named, columns, len(table), frozenset(booleans))
    return replace(found, conventions=table.conventions, first=table.first, skipped=table.skipped)


def numbers_for_nothing(conventions: Conventions) -> list[float]:
    """Numbers that stand for a missing one.

    >>> numbers_for_nothing(Conventions(null=("-9999", "unknown"), infinity="missing"))
    [-9999.0, inf, -inf]
    """
    found = [np.inf, -np.inf] if conventions.infinity == "missing" else []
    for word in reversed(conventions.null):
        with contextlib.suppress(ValueError):
            found.insert(0, float(word))
    return found


def understood_alone(table: Table) -> Table:
    """The table as its own values say, where there is no training to hold it to."""
    return understood(table, find_writings(table)[0], table.conventions)


def _read(column: Column, writing: Writing, conventions: Conventions, table: Table, place: int) -> Column:
    if writing.form == "text":
        if isinstance(column, Strings):
            named = table.names[place] in conventions.category
            return column.names(frozenset(["", *conventions.null])) if named else column.categories(conventions)
        return _names(column, place in table.booleans)
    texts = column if isinstance(column, Strings) else as_strings(column)
    values, unreadable = parse(texts.texts, writing, conventions)
    if unreadable.any():
        _check_unreadable(texts, unreadable, writing, conventions, table, place)
    return Times(values) if writing.form == "date" else values


def _names(column: Column, boolean: bool) -> Categories:
    """Numbers, dates and the like as names."""
    if isinstance(column, Categories):
        return column
    if boolean and isinstance(column, np.ndarray):
        column = column.astype(object) != 0  # so that they are called true and false
    return as_strings(column).categories()


def _check_unreadable(
    texts: Strings, unreadable: NDArray[np.bool_], writing: Writing, said: Conventions, table: Table, place: int
) -> None:
    rows = np.flatnonzero(unreadable)
    values = [str(value).strip() for value in texts.take(rows).values()]
    known = set(writing.strays)
    new = [(int(row), value) for row, value in zip(rows, values, strict=True) if value not in known]
    if not new:
        return
    row, value = new[0]
    _refuse_if_strict(said, table, place, row, value, writing)
    present = int((~texts.missing).sum())
    name = table.names[place]
    if len(rows) == present and present >= ENOUGH:
        raise InputError(
            f"column {name!r} held {PLURAL[writing.form]} in training; row {table.first + row} (counting from 0) now "
            f"holds {value!r}, and none of the {present:,} values is one. Correct them, or fit again if the column has "
            "changed its meaning."
        )
    message = (
        f"column {name!r} held {PLURAL[writing.form]} in training; {{count}} value(s) are none and count as missing "
        "(rows count from 0): {examples}"
    )
    places = {value: _Place(value, table.first + row) for row, value in reversed(new)}
    warnings.warn(CountedWarning(message, len(new), reversed(places.values())), stacklevel=6)


class _Place(NamedTuple):
    """A value and the first row that holds it."""

    value: str
    row: int

    def __repr__(self) -> str:
        return f"{self.value[:40]!r} in row {self.row}"


PLURAL: Mapping[str, str] = {
    "number": "numbers", "boolean": "true or false", "clock": "times of day", "date": "dates",
}  # fmt: skip


def _refuse_if_strict(said: Conventions, table: Table, place: int, row: int, value: str, writing: Writing) -> None:
    if said.strict:
        raise InputError(
            f"column {table.names[place]!r} holds {PLURAL[writing.form]}, but row {table.first + row} (counting from "
            f"0) holds {value!r}. Correct it or leave it empty; without strict it counts as missing."
        )


def stray_words(strays: Sequence[Stray], most: int = 3) -> str:
    """Which values are written otherwise, and where.

    >>> stray_words([Stray("ERR", 2, 17), Stray("-", 1, 40)])
    "'ERR' (2 rows, first row 17), '-' (row 40)"
    """
    shown = [
        f"{one.text[:40]!r} (row {one.row})" if one.count == 1
        else f"{one.text[:40]!r} ({one.count:,} rows, first row {one.row})"
        for one in strays[:most]
    ]  # fmt: skip
    more = f" and {len(strays) - most} more" if len(strays) > most else ""
    return ", ".join(shown) + more


_MIDNIGHT = " 00:00:00"


def matched_key(text: str, known: Mapping[str, Any]) -> str:
    """The name that training knew a value by: 1.0 as 1, TRUE as true, midnight as its day.

    >>> matched_key("1.0", {"1": 0}), matched_key("True", {"true": 0}), matched_key("new", {"1": 0})
    ('1', 'true', 'new')
    >>> matched_key("1", {"true": 0}), matched_key("2025-01-31", {"2025-01-31 00:00:00": 0})
    ('true', '2025-01-31 00:00:00')
    """
    if text in known:
        return text
    spellings = [text.strip(), text.strip().lower(), text.strip().capitalize(), text.strip().upper()]
    with contextlib.suppress(ValueError):
        spellings.append(key_of(float(text)))
        spellings.append({"1": "true", "0": "false"}.get(spellings[-1], text))
    spellings += [text.removesuffix(_MIDNIGHT), text + _MIDNIGHT]
    return next((spelling for spelling in spellings if spelling in known), text)
