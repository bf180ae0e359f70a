"""Dates as people write them: 2025-12-31, 31.12.2025, 12/31/2025 5:30 PM, 31 Dec 2025; UTC where no zone is named."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

DateOrder = Literal["ymd", "dmy", "mdy"]
NOTHING: Final = np.datetime64("NaT", "us")

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDER: Final[dict[DateOrder, str]] = {
    "ymd": r"(?P<y>\d{4})(?P<s>[-./])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})",
    "dmy": r"(?P<d>\d{1,2})(?P<s>[-./])(?P<m>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})",
    "mdy": r"(?P<m>\d{1,2})(?P<s>[-/])(?P<d>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})",  # with dots the day is first
}
_NAMED: Final = (
    r"(?P<d>\d{1,2})[-. ]{1,2}(?P<n>[A-Za-z]{3,9})\.?[-, ]{1,2}(?P<y>\d{4}|\d{2})",
    r"(?P<n>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})",
)
_TIME: Final = (
    r"(?:[T ,]+(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?"
    r"\s*(?P<p>[AaPp][Mm])?\s*(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)
_PATTERNS: Final = {  # a year at the beginning is one in every order
    order: tuple(re.compile(date + _TIME) for date in dict.fromkeys((pattern, _ORDER["ymd"], *_NAMED)))
    for order, pattern in _ORDER.items()
}


def date_orders(day_first: bool | None) -> list[DateOrder]:
    """Orders to try, the likelier first.

    >>> date_orders(None), date_orders(True)
    (['ymd', 'mdy', 'dmy'], ['ymd', 'dmy'])
    """
    return ["ymd", *(("mdy", "dmy") if day_first is None else ("dmy",) if day_first else ("mdy",))]


def moments_of(texts: Sequence[str | None], order: DateOrder) -> NDArray[np.datetime64]:
    """Read dates of one order, ``datetime64[us]`` in UTC, (n,); NaT for what is none.

    >>> moments_of(["31.12.2025", "1.1.26 5:30 pm", "soon"], "dmy").astype(str).tolist()
    ['2025-12-31T00:00:00.000000', '2026-01-01T17:30:00.000000', 'NaT']
    """
    if order == "ymd" and (quick := _iso(texts)) is not None:
        return quick
    known = {text: _moment(text, order) for text in set(texts) if text is not None}
    return np.array([NOTHING if text is None else known[text] for text in texts], dtype="datetime64[us]")


def _iso(texts: Sequence[str | None]) -> NDArray[np.datetime64] | None:
    """Dates in ISO form all of them, without zones, by Arrow; None if they are not."""
    try:
        column = pa.array(texts, pa.string())
        if pc.any(pc.starts_with(column, "0000")).as_py():
            return None  # a year that Arrow knows and Python does not
        moments = column.cast(pa.timestamp("us"))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return np.asarray(moments.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def _moment(text: str, order: DateOrder) -> np.datetime64:
    found = next((match for pattern in _PATTERNS[order] if (match := pattern.fullmatch(text.strip()))), None)
    if found is None:
        return NOTHING
    part = found.groupdict()
    try:
        moment = dt.datetime(_year(part["y"]), _month(part), int(part["d"]), _hour(part), int(part["M"] or 0))
        moment += dt.timedelta(seconds=int(part["S"] or 0)) - _offset(part["z"])
        if int(part["S"] or 0) > 59:
            return NOTHING
    except (ValueError, OverflowError):
        return NOTHING
    fraction = int((part["f"] or "0").ljust(6, "0")[:6])
    return np.datetime64(moment, "us") + np.timedelta64(fraction, "us")


def _year(written: str) -> int:
    return int(written) if len(written) == 4 else int(written) + (2000 if int(written) < 70 else 1900)


def _month(part: dict[str, str | None]) -> int:
    name = part.get("n")
    return int(part["m"] or 0) if name is None else 1 + _MONTHS.index(name[:3].lower())


def _hour(part: dict[str, str | None]) -> int:
    hour, half = int(part["H"] or 0), (part["p"] or "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + 12 * (half == "pm") if half else hour


def _offset(zone: str | None) -> dt.timedelta:
    if zone is None or zone[0] not in "+-":
        return dt.timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size
