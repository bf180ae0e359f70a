"""Values in words: one cell as a reader wants to see it, and what is usual in its column."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from expose.files.values import is_missing

LONGEST_TEXT = 80  # characters shown of a cell, a name or an id
FEW_VALUES = 2  # a numeric column with no more distinct values than this is described like a category
OFTEN_DISTINCT = 0.5  # a text column with a larger share of distinct values is described by their number

Value = Any  # a cell: number, text, date, None


def show_value(value: Value) -> str:
    """Write one cell for a reader.

    Examples
    --------
    >>> show_value(datetime(2025, 1, 31)), show_value(datetime(2025, 1, 31, 9, 30))
    ('2025-01-31', '2025-01-31 09:30')
    >>> show_value(1234567.0), show_value(0.00012345), show_value(None), show_value("a" * 100)[-3:]
    ('1,234,567', '0.0001234', 'missing', 'aa…')
    """
    if is_missing(value):
        return "missing"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return show_number(float(value))
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ").removesuffix(":00").removesuffix(" 00:00")
    return show_text(value)


def show_number(number: float) -> str:
    """Four significant digits; whole numbers in full, with commas from 10,000 on.

    Examples
    --------
    >>> [show_number(x) for x in (2024, 12345, 0.5, 1234.56, 1e300, float("inf"))]
    ['2024', '12,345', '0.5', '1235', '1e+300', 'inf']
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    if number == round(number) and abs(number) < 1e12:
        return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.0f}"
    return f"{number:,.0f}" if 10_000 <= abs(number) < 1e9 else f"{number:.4g}"


def show_text(value: Value, longest: int = LONGEST_TEXT, *, keep: str = "") -> str:
    r"""Turn anything into text of bounded length without control characters or broken code points.

    Examples
    --------
    >>> show_text("two\nlines"), show_text("\ud800"), show_text("  ")
    ('two lines', '?', '(blank)')
    """
    clean = clean_text(str(value)[: longest + 1], keep=keep)
    if not clean.strip():
        return "(blank)"
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def clean_text(text: str, *, keep: str = "") -> str:
    r"""Put a blank for each control or direction character but those in ``keep``, "?" for half code points.

    Examples
    --------
    >>> clean_text("a\tb\n", keep="\n")
    'a b\n'
    """
    hidden = {"Cc", "Cf"}
    signs = (" " if unicodedata.category(sign) in hidden and sign not in keep else sign for sign in text)
    return "".join(signs).encode("utf-8", "replace").decode("utf-8")


def said_of(text: str, noun: str) -> str:
    """What is said of rows, where samples are called otherwise.

    Examples
    --------
    >>> said_of("1 row of all rows, not narrow", "image")
    '1 image of all images, not narrow'
    """
    return re.sub(r"\brow(s?)\b", rf"{noun}\1", text)


def show_share(share: float) -> str:
    """Write a share as a percentage that never rounds a rare thing to nothing.

    Examples
    --------
    >>> show_share(0.0221), show_share(0.5), show_share(0.00001), show_share(0.0)
    ('2.2 %', '50 %', '< 0.01 %', '0 %')
    """
    percent = 100 * share
    if 0 < percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def describe_typical(values: Sequence[Value]) -> str:
    """Say in a few words what is usual among the values of one column.

    Parameters
    ----------
    values : sequence
        Cells of typical rows: numbers, texts, dates or missing.

    Returns
    -------
    str
        Median and middle 90 % of numbers, the range of dates, the most frequent text and its share.

    Examples
    --------
    >>> describe_typical([1.0, 2.0, 3.0, 4.0, 5.0])
    '3 (1.2 to 4.8)'
    >>> describe_typical(["web", "web", "shop", None])
    'web in 50 %'
    """
    present = [value for value in values if not is_missing(value)]
    if len(present) * 2 < len(values) or not present:
        return f"missing in {show_share(1 - len(present) / max(len(values), 1))}"
    if all(_is_number(value) for value in present) and len(set(present)) > FEW_VALUES:
        return _middle(np.array(present, dtype=np.float64))
    if all(isinstance(value, date) for value in present):
        return f"{show_value(min(present))} to {show_value(max(present))}"
    return _most_frequent(present, len(values))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def _middle(numbers: np.ndarray) -> str:
    low, middle, high = np.quantile(numbers, [0.05, 0.5, 0.95])
    if low == high:
        return show_number(middle)
    return f"{show_number(middle)} ({show_number(low)} to {show_number(high)})"


def _most_frequent(present: list[Value], n_rows: int) -> str:
    counts = Counter(present)
    if len(counts) > max(OFTEN_DISTINCT * len(present), FEW_VALUES):
        return f"{len(counts):,} different values"
    value, times = counts.most_common(1)[0]
    return f"{show_value(value)} in {show_share(times / n_rows)}"
