"""How the values of a text column are written, found over all of it: "1.234,50 €" is a number, "31.12.2025" a date.

Files of text say nothing of types, and neither do columns of objects: where nearly all values are numbers, the column
is one of numbers, and the few that are not are named and count as missing. The same rule for every source, so that
equal values have one meaning whether they come from CSV, pandas or Parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.files.conventions import NOTHING_SAID, NULLS, Conventions, Writing
from expose.files.moments import date_orders, moments_of
from expose.files.numerals import (
    LOOKED_AT,
    PROMISING,
    are_codes,
    are_dots_doubtful,
    beside_another_sign,
    find_number,
    perhaps_grouped,
    plain_numbers,
    read_numbers,
)
from expose.files.texts import (
    Stray,
    counts_of,
    different_texts,
    is_text,
    matches,
    missing_keys,
    nearly_all,
    strays_among,
)

MOST_STRAYS: Final = 20  # kept by their text

Floats = NDArray[np.float64]


def recognise(
    column: Any,
    conventions: Conventions = NOTHING_SAID,
    *,
    decimal_comma: bool = False,
) -> tuple[Writing, list[Stray]]:
    """Find how the values of a column (an Arrow array of texts) are written.

    Parameters
    ----------
    column : ChunkedArray or Array of strings
    conventions : Conventions
    decimal_comma : bool
        Whether other columns of the same source are known to have one: it decides what ``1,234`` is.

    Examples
    --------
    >>> recognise(pa.array(["1,5", "2,25", "ERR", "7"] * 5))[0].in_words()
    "decimal ','"
    >>> recognise(pa.array(["31.12.2025", "1.1.2026"]))[0].form
    'date'
    """
    plain = None if are_dots_doubtful(column, conventions, decimal_comma) else plain_numbers(column, conventions)
    if plain is not None:
        return Writing("text") if are_codes(column) else Writing("number", ambiguous=perhaps_grouped(column)), []
    encoded = different_texts(column)
    keys, counts = encoded.dictionary, counts_of(encoded)
    there = ~missing_keys(keys, conventions)
    if not counts[there].any():
        return Writing(), []
    for guess in (_boolean, find_number, _date, _clock):
        found = guess(keys, counts * there, conventions, decimal_comma)
        if found is not None:
            writing, read = found
            strays = strays_among(encoded, keys, counts, there & ~read)
            texts = tuple(stray.text.strip() for stray in strays[:MOST_STRAYS])
            return replace(writing, strays=texts), strays
    return Writing(), []


def nothings(column: Any) -> list[Stray]:
    """Words that might be names and count as missing, NA and None among them: how often, and where first.

    >>> nothings(pa.array(["DE", "NA", "", "NA"]))
    [Stray(text='NA', count=2, row=1)]
    """
    words = pc.is_in(column, pa.array(sorted(NULLS - {""}), column.type))
    if not pc.any(words).as_py():
        return []
    encoded = different_texts(column)
    plain = np.array([key in NULLS and key != "" for key in encoded.dictionary.to_pylist()], dtype=bool)
    return strays_among(encoded, encoded.dictionary, counts_of(encoded), plain)


def parse(column: Any, writing: Writing, conventions: Conventions) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read a column of texts by the way it is written.

    Returns
    -------
    values : ndarray, (n,)
        float64 of numbers, NaN where missing; bool of booleans if none is missing, else float64; datetime64[us] of
        dates, NaT where missing.
    unreadable : ndarray of bool, (n,)
        Where there is a value that is not written so; it counts as missing.
    """
    if writing.form in ("number", "boolean") and not writing.thousands and writing.decimal == ".":
        plain = plain_numbers(column, conventions)
        if plain is not None:
            return plain, np.zeros(len(plain), dtype=bool)
    encoded = different_texts(column)
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    values = _READ[writing.form](encoded.dictionary, writing)
    nothing = np.datetime64("NaT", "us") if writing.form == "date" else np.nan
    values = np.append(values, np.array([nothing], dtype=values.dtype))
    gone = np.append(missing_keys(encoded.dictionary, conventions), True)
    values[gone] = nothing
    values[:-1][beside_another_sign(encoded.dictionary, writing)] = nothing
    unknown = (np.isnat(values) if writing.form == "date" else np.isnan(values)) & ~gone
    return values[codes], unknown[codes]


def typed(table: Any, conventions: Conventions = NOTHING_SAID) -> Any:
    """An Arrow table whose columns of texts have become numbers, booleans, dates where they are such.

    Whole numbers become int64, other numbers float64, dates timestamps. Texts, and all other columns, stay.

    Examples
    --------
    >>> typed(pa.table({"n": ["1", "2"], "x": ["1,5", "n/a"], "name": ["a", "b"]})).to_pydict()
    {'n': [1, 2], 'x': [1.5, None], 'name': ['a', 'b']}
    """
    decimal_comma = has_decimal_comma(table.columns, conventions)
    columns = [
        typed_column(column, conventions, decimal_comma=decimal_comma) if is_text(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def typed_column(column: Any, conventions: Conventions = NOTHING_SAID, *, decimal_comma: bool = False) -> Any:
    """One column of texts as what it is, as in `typed`."""
    writing, _ = recognise(column, conventions, decimal_comma=decimal_comma)
    if writing.form == "text":
        gone = pc.is_in(column, pa.array(sorted(NULLS | {*conventions.null}), column.type))
        return pc.if_else(gone, None, column)
    values, _ = parse(column, writing, conventions)
    if writing.form == "boolean":
        return pa.array(values, pa.float64(), from_pandas=True).cast(pa.bool_())
    if writing.form == "number":
        there = values[~np.isnan(values)]
        whole = len(there) > 0 and bool((np.abs(there) < 2**53).all() and (there == np.round(there)).all())
        dotted = whole and bool(pc.any(pc.match_substring_regex(column, r"[.,eE]")).as_py())
        numbers = pa.array(values, pa.float64(), from_pandas=True)
        return numbers.cast(pa.int64()) if whole and not dotted else numbers
    return pa.array(values, from_pandas=True)


def has_decimal_comma(columns: Sequence[Any], conventions: Conventions = NOTHING_SAID) -> bool:
    """Whether a column of texts proves that its source writes 0,5 for a half."""
    if conventions.decimal is not None:
        return conventions.decimal == ","
    for column in columns:
        if is_text(column.type):
            some = column.slice(0, LOOKED_AT)
            if pc.any(pc.match_substring(some, ",")).as_py():
                writing, _ = recognise(some, conventions)
                if writing.form == "number" and writing.decimal == ",":
                    return True
    return False


# --------------------------------------------------------------------------- booleans, dates and times of day


def _boolean(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """True and false, in any case."""
    read = matches(keys, r"^\s*(?i:true|false)\s*$")
    return (Writing("boolean"), read) if not counts[~read].any() else None


def _date(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Dates with or without time of day, in the order of year, month and day that reads most of them."""
    some, often = keys.slice(0, LOOKED_AT).to_pylist(), counts[:LOOKED_AT]
    shares = {order: often[~np.isnat(moments_of(some, order))].sum() for order in date_orders(conventions.day_first)}
    likely = [order for order, share in shares.items() if share == max(shares.values()) >= PROMISING * often.sum()]
    texts = keys.to_pylist() if likely else []
    read = [~np.isnat(moments_of(texts, order)) for order in (likely[:1] if likely[:1] == ["ymd"] else likely)]
    weights = [int(counts[one].sum()) for one in read]
    best = int(np.argmax(weights)) if weights else 0
    if not weights or not nearly_all(read[best], keys, counts):
        return None
    ambiguous = conventions.day_first is None and likely[best] != "ymd" and weights.count(weights[best]) > 1
    return Writing("date", order=likely[best], ambiguous=ambiguous), read[best]


def _clock(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Times of day."""
    read = matches(keys, _CLOCK)
    return (Writing("clock"), read) if nearly_all(read, keys, counts) else None


_CLOCK: Final = r"^\s*(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s*$"


def _read_clock(keys: Any, writing: Writing) -> Floats:
    def seconds(text: str) -> float:
        hours, minutes, *rest = text.strip().split(":")
        return 3600 * int(hours) + 60 * int(minutes) + (float(rest[0]) if rest else 0.0)

    good = matches(keys, _CLOCK)
    return np.array([seconds(text) if ok else np.nan for text, ok in zip(keys.to_pylist(), good, strict=True)], float)


def _read_booleans(keys: Any, writing: Writing) -> Floats:
    return read_numbers(keys, Writing("number"))


def _read_dates(keys: Any, writing: Writing) -> NDArray[np.datetime64]:
    return moments_of(keys.to_pylist(), writing.order)


_READ: Final[dict[str, Any]] = {
    "number": read_numbers, "boolean": _read_booleans, "clock": _read_clock, "date": _read_dates,
}  # fmt: skip
