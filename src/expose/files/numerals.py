"""Numbers as people write them: 1.234,50 €, (12), 5 %, 1e-3; found over a whole column, and read by what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.files.conventions import GROUPING, Conventions, Writing
from expose.files.texts import NEARLY_ALL, mask_of, matches, missing_texts, nearly_all

EXACT_DIGITS: Final = 15  # a longer whole number is no float64: it is a name
LOOKED_AT: Final = 2_000  # different values by which a column of words is told from one of numbers
PROMISING: Final = 0.3  # of those

Floats = NDArray[np.float64]

_WAYS: Final = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_CURRENCY: Final = "[$€£¥₹]"
_SIGNS: Final = "$€£¥₹%"
_CODES: Final = "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HUF|INR|JPY|MXN|NOK|PLN|SEK|TRY|USD|ZAR"
_BESIDE: Final = (
    rf"^\s*(?P<unit>{_CODES})\s*[+\-\x{{2212}}]?\d",
    r"\d\s+(?P<unit>[^\d\s]{1,8})\s*$",
    r"\d(?P<unit>°[CF]?)\s*$",
)


def plain_numbers(column: Any, conventions: Conventions) -> Floats | None:
    """A column as numbers if all of it is written as a computer would; else None."""
    if conventions.decimal == "," or conventions.thousands == ".":
        return None
    for texts in (column, None):
        try:
            found = _without_missing(column, conventions) if texts is None else texts
            return (
                np.asarray(found.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
                if len(found) and found.null_count < len(found)
                else None
            )
        except (pa.ArrowInvalid, TypeError):
            continue
    return None


def are_dots_doubtful(column: Any, conventions: Conventions, decimal_comma: bool) -> bool:
    """Whether dots may group thousands, so that 1.234 is no plain number."""
    grouping = conventions.thousands == "." or (decimal_comma and conventions.decimal is None)
    return grouping and bool(pc.any(pc.match_substring(column, ".")).as_py())


def _without_missing(column: Any, conventions: Conventions) -> Any:
    nulls = missing_texts(conventions).cast(column.type)
    return pc.if_else(pc.is_in(column, nulls), pa.scalar(None, column.type), column)


def are_codes(column: Any) -> bool:
    """Whether digits are names: longer than a number is exact, or of one length with zeros in front (00731)."""
    if pc.max(pc.utf8_length(column)).as_py() > EXACT_DIGITS:
        long = int(matches(column, rf"^\s*[+-]?\d{{{EXACT_DIGITS + 1},}}\s*$").sum())
        if _are_more_than_few(long, len(column) - column.null_count):
            return True
    return _are_padded(column)


def _are_padded(column: Any) -> bool:
    """Whether all whole numbers are of one length, some with zeros in front."""
    zeros = column.filter(pc.starts_with(column, "0"))  # of all rows: where they are sorted these may come last
    if not matches(zeros, r"^0\d+$").any():
        return False
    lengths = pc.unique(pc.utf8_length(column.filter(pc.match_substring_regex(column, r"^\d+$"))))
    return len(lengths) == 1


def perhaps_grouped(column: Any) -> bool:
    """Whether points may group digits: 814 beside 1.511 is seldom a number of three decimals."""
    some = column.slice(0, LOOKED_AT).drop_null()
    dotted = matches(some, _pattern(",", ".")) & matches(some, r"\.")
    small = matches(some, r"^[+-]?[1-9]\d{0,2}$")
    return bool(dotted.any() and small.any() and (dotted | small).all())


def _are_more_than_few(long: int, count: int) -> bool:
    """Whether so many values are too long for exact numbers that all are names: single ones are just large."""
    return long > (1 - NEARLY_ALL) * count


def _unadorned(keys: Any) -> Any:
    """Texts without what may stand around a number: blanks, currency, %, parentheses or a minus behind for negative."""
    plain = pc.utf8_trim_whitespace(keys)
    for pattern, by in (
        ("^[\u2212\u2013\u2010]", "-"),
        (r"^\((.+)\)$", r"-\1"),
        (rf"^([+-]?)\s*{_CURRENCY}\s*([+-]?)", r"\1\2"),
        (rf"\s*(?:{_CURRENCY}|%)$", ""),
        (r"^(\d.*)-$", r"-\1"),
    ):
        plain = pc.replace_substring_regex(plain, pattern, by)
    return plain


def _pattern(decimal: str, thousands: str) -> str:
    group = GROUPING.get(thousands, "")
    pairs = rf"(?:{group}\d{{2}})*" if thousands == "," else ""  # 1,23,456 in India
    whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|[1-9]\d?{pairs}{group}\d{{3}}|\d+)" if thousands else r"\d+"
    point = rf"\{decimal}"
    return rf"^[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$|^(?i:[+-]?inf(?:inity)?)$"


def find_number(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Numbers, in the way that reads most of them."""
    unit = _unit(keys, counts)
    if not unit and not _promising(keys, counts):
        return None
    plain = _unadorned(_without_unit(keys, unit))
    some, often = plain.slice(0, LOOKED_AT), counts[:LOOKED_AT]
    ways = [
        (decimal, thousands)
        for decimal, thousands in _WAYS
        if conventions.decimal in (None, decimal)
        and conventions.thousands in (None, thousands)
        and often[matches(some, _pattern(decimal, thousands))].sum() >= PROMISING * often.sum()
    ]
    read = [matches(plain, _pattern(*way)) for way in ways]
    weights = [int(counts[one].sum()) for one in read]
    if not weights:
        return None
    tied = [i for i, weight in enumerate(weights) if weight == max(weights)]
    best, ambiguous = _preferred([ways[i] for i in tied], decimal_comma)
    found = read[ways.index(best)]
    if not nearly_all(found, keys, counts):
        return None
    affix = _affix(keys, counts, found)
    if affix is None:
        return None
    digits = matches(plain, rf"^[+-]?\d{{{EXACT_DIGITS + 1},}}$")
    long = _are_more_than_few(int(counts[digits].sum()), int(counts.sum()))
    if long or _are_padded(plain.filter(pa.array(found & (counts > 0)))):
        return None
    return Writing("number", *best, affix=affix or unit, ambiguous=ambiguous), found


def _preferred(ways: Sequence[tuple[str, str]], decimal_comma: bool) -> tuple[tuple[str, str], bool]:
    """Of ways that read equally much the simplest; between thousands and decimals, what other columns have."""
    first = ways[0]
    if first == (".", "") and decimal_comma and (",", ".") in ways and (",", "") not in ways:
        return (",", "."), True  # 1.234 where others write 0,5
    if first == (".", ",") and (",", "") in ways:
        return ((",", "") if decimal_comma else first), not decimal_comma  # 1,234
    return first, False


def _affix(keys: Any, counts: NDArray[np.int64], read: NDArray[np.bool_]) -> str | None:
    """The currency or % that stands beside the numbers; None if they differ, so that numbers cannot be compared."""
    signs = {}
    for sign in _SIGNS:
        beside = mask_of(pc.match_substring(keys, sign)) & read
        if counts[beside].sum():
            signs[sign] = counts[beside].sum() / counts[read].sum()
    if len(signs) > 1 or ("%" in signs and signs["%"] < NEARLY_ALL):
        return None
    return next(iter(signs), "")


def _unit(keys: Any, counts: NDArray[np.int64]) -> str:
    """What stands beside nearly all values: a unit behind a blank, such as kg, or a currency by its code; else ""."""
    some, often = keys.slice(0, LOOKED_AT), counts[:LOOKED_AT].tolist()
    found: Counter[str] = Counter()
    for pattern in _BESIDE:
        for one, count in zip(pc.extract_regex(some, pattern).to_pylist(), often, strict=True):
            if one is not None and one["unit"] not in _SIGNS:
                found[one["unit"]] += count
    unit, count = found.most_common(1)[0] if found else ("", 0)
    return unit if count >= NEARLY_ALL * sum(often) else ""


def _without_unit(keys: Any, unit: str) -> Any:
    quoted = re.escape(unit)
    return pc.replace_substring_regex(keys, rf"^\s*{quoted}\s*|\s*{quoted}\s*$", "") if unit else keys


def beside_another_sign(keys: Any, writing: Writing) -> NDArray[np.bool_]:
    """Where a number stands beside another currency than in training, or beside % as it did not: 5 % is not 5."""
    if writing.form != "number":
        return np.zeros(len(keys), dtype=bool)
    foreign = {"%"} if writing.affix == "" else {*_SIGNS} - {writing.affix}
    return matches(keys, f"[{''.join(sorted(foreign))}]")


def _promising(keys: Any, counts: NDArray[np.int64]) -> bool:
    """Whether enough of the values begin like a number: a quick look before a thorough one."""
    some, often = keys.slice(0, LOOKED_AT), counts[:LOOKED_AT]
    digits = matches(some, r"^[\s(+\-\x{2212}\x{2013}$€£¥₹]*[.,]?\d|(?i)inf")
    return float(often[digits].sum()) >= PROMISING * float(often.sum())


def read_numbers(keys: Any, writing: Writing) -> Floats:
    """Texts as numbers, by the way they are written; NaN for what is none."""
    plain = _unadorned(_without_unit(keys, "" if writing.affix in _SIGNS else writing.affix))
    good = pc.match_substring_regex(plain, _pattern(writing.decimal, writing.thousands))
    plain = pc.if_else(good, plain, pa.scalar(None, plain.type))
    if writing.thousands:
        plain = pc.replace_substring_regex(plain, GROUPING[writing.thousands], "")
    if writing.decimal != ".":
        plain = pc.replace_substring(plain, writing.decimal, ".")
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    values = np.array(plain.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    truths = pc.utf8_lower(pc.utf8_trim_whitespace(keys))
    for word, value in (("true", 1.0), ("false", 0.0)):  # of a column that was a number of 0 and 1 in training
        values[mask_of(pc.equal(truths, word))] = value
    return values
