"""How the values of a text column are written, found over all of it: "1.234,50 €" is a number, "31.12.2025" a date.

Files of text say nothing of types, and neither do columns of objects: where nearly all values are numbers, the column
is one of numbers, and the few that are not are named and count as missing. The same rule for every source, so that
equal values have one meaning whether they come from CSV, pandas or Parquet.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.moments import DateOrder, date_orders, moments_of

NULLS: Final = frozenset({
    "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "-nan", "NAN", "None", "none", "NaT", "?",
    r"\N",
})  # fmt: skip
NEARLY_ALL: Final = 0.9  # of the values that are there: the others count as missing
FEW_WORDS: Final = 2  # a column with no more words among its numbers (ERR, -) may hold them more often,
OFTEN: Final = 0.75  # up to this share of numbers
EXACT_DIGITS: Final = 15  # a longer whole number is no float64: it is a name
MOST_STRAYS: Final = 20  # kept by their text
_LOOKED_AT: Final = 2_000  # different values by which a column of words is told from one of numbers
_PROMISING: Final = 0.3  # of those
_GROUPING: Final = {",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}

Form = Literal["number", "boolean", "clock", "date", "text"]
Floats = NDArray[np.float64]


# ------------------------------------------------------------------------------------------- what a user says


@dataclass(frozen=True)
class Conventions:
    """What a user says of how values are written; what is not said is found out column by column.

    Attributes
    ----------
    decimal, thousands : str or None
        Signs within numbers.
    day_first : bool or None
        Of dates such as 03/04/2025.
    null : tuple of str
        Further spellings of a missing value.
    infinity : {"refuse", "missing"}
        What becomes of infinite numbers.
    strict : bool
        Refuse a value that is not written like the others of its column, instead of counting it as missing.
    category : tuple of str
        Columns whose numbers are names.
    """

    decimal: str | None = None
    thousands: str | None = None
    day_first: bool | None = None
    null: tuple[str, ...] = ()
    infinity: str = "refuse"
    strict: bool = False
    category: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Conventions:
        """What `dataclasses.asdict` made of conventions, perhaps by way of JSON."""
        found: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}
        return cls(**found)

    def given(self) -> dict[str, Any]:
        """What somebody said, as plain values; `of` them is the same again.

        >>> Conventions(decimal=",", null=("x",)).given()
        {'decimal': ',', 'null': ['x']}
        """
        usual = {field.name: field.default for field in fields(self)}
        values = {name: value for name, value in asdict(self).items() if value != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise InputError(f"decimal must be '.' or ','; got {self.decimal!r}.")
        if self.thousands not in (None, "", *_GROUPING):
            raise InputError(
                f"thousands must be one of {', '.join(map(repr, _GROUPING))} or ''; got {self.thousands!r}."
            )
        if self.decimal is not None and self.decimal == self.thousands:
            raise InputError(f"decimal and thousands must differ; got {self.decimal!r} for both.")
        if self.infinity not in ("refuse", "missing"):
            raise InputError(f"infinity must be 'refuse' or 'missing'; got {self.infinity!r}.")
        for name, words in (("null", self.null), ("category", self.category)):
            if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
                raise InputError(f"{name} must be a tuple of texts; got {words!r}.")
        for name, flag in (("strict", self.strict), ("day_first", self.day_first)):
            if flag is not None and not isinstance(flag, bool):
                raise InputError(f"{name} must be true or false; got {flag!r}.")


_MARK: Final = b"expose"  # in the metadata of an Arrow schema


def marked(table: Any, conventions: Conventions, first: int = 0) -> Any:
    """An Arrow table that carries what was said of its values, and the number of its first row in its source."""
    said = {"conventions": asdict(conventions), "first": first}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _MARK: json.dumps(said)})


def marks(schema: Any) -> tuple[Conventions, int]:
    """What `marked` wrote into an Arrow schema.

    >>> marks(marked(pa.table({"x": ["1"]}), Conventions(decimal=","), first=7).schema)[1]
    7
    """
    said = (schema.metadata or {}).get(_MARK)
    if said is None:
        return Conventions(), 0
    parts = json.loads(said)
    return Conventions.of(parts["conventions"]), int(parts["first"])


# --------------------------------------------------------------------------------------------- what is found


@dataclass(frozen=True)
class Writing:
    """How the values of one column are written.

    Attributes
    ----------
    form : {"number", "boolean", "clock", "date", "text"}
        A clock is a time of day, in seconds.
    decimal, thousands, affix : str
        Of numbers; an affix is a currency, % or a unit.
    order : str
        Of dates: "ymd", "dmy" or "mdy".
    ambiguous : bool
        Whether no value decided between two ways to read them.
    strays : tuple of str
        Values of the training rows that are written otherwise and count as missing.
    """

    form: Form = "text"
    decimal: str = "."
    thousands: str = ""
    affix: str = ""
    order: DateOrder = "ymd"
    ambiguous: bool = False
    strays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = (self.form in get_args(Form), self.decimal in (".", ","), self.thousands in ["", *_GROUPING])
        texts = (self.affix, *self.strays) if isinstance(self.strays, tuple) else (None,)
        if (
            not all(known)
            or not isinstance(self.ambiguous, bool)
            or self.order not in get_args(DateOrder)
            or not all(isinstance(t, str) for t in texts)
        ):
            raise InputError(f"not a way to write values: {self}.")

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Writing:
        """What `dataclasses.asdict` made of a writing, perhaps by way of JSON."""
        found: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}
        return cls(**found)

    def as_said(self, said: Conventions) -> Writing:
        """The same values in a source of which something else is said."""
        if self.form == "number" and (said.decimal, said.thousands) != (None, None):
            decimal = said.decimal or self.decimal
            kept = self.thousands if self.thousands != decimal else ""
            return replace(self, decimal=decimal, thousands=kept if said.thousands is None else said.thousands)
        if self.form == "date" and said.day_first is not None:
            return replace(self, order="dmy" if said.day_first else "mdy")
        return self

    def in_words(self) -> str:
        """What a person wants to know of it; nothing of what is plain.

        >>> Writing("number", decimal=",", thousands=".").in_words()
        "decimal ',', thousands '.'"
        """
        if self.form == "date":
            ways = {"ymd": "", "dmy": "day first", "mdy": "month first"}[self.order]
            return f"{ways} (no value decides; --day-first says otherwise)" if self.ambiguous else ways
        if self.form in ("clock", "boolean"):
            return {"clock": "time of day", "boolean": "true or false"}[self.form]
        signs = {"decimal": self.decimal if self.decimal != "." else "", "thousands": self.thousands}
        words = [f"{name} {sign!r}" for name, sign in signs.items() if sign] + ([self.affix] if self.affix else [])
        other = {",": "--decimal ,", ".": "--decimal ."}.get(self.thousands, "--thousands .")
        doubt = f" (no value decides; {other} if it is one)" if self.ambiguous else ""
        return (", ".join(words) + doubt).strip()


@dataclass(frozen=True)
class Stray:
    """A value that is written otherwise than the rest of its column: how often, and in which row first."""

    text: str
    count: int
    row: int


def recognise(
    column: Any,
    conventions: Conventions = Conventions(),
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
    plain = None if _are_dots_doubtful(column, conventions, decimal_comma) else _plain_numbers(column, conventions)
    if plain is not None:
        return Writing("text") if _are_codes(column) else Writing("number", ambiguous=_perhaps_grouped(column)), []
    encoded = _encoded(column)
    keys, counts = encoded.dictionary, _counts(encoded)
    there = ~_missing(keys, conventions)
    if not counts[there].any():
        return Writing(), []
    for guess in (_boolean, _number, _date, _clock):
        found = guess(keys, counts * there, conventions, decimal_comma)
        if found is not None:
            writing, read = found
            strays = _strays(encoded, keys, counts, there & ~read)
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
    encoded = _encoded(column)
    plain = np.array([key in NULLS and key != "" for key in encoded.dictionary.to_pylist()], dtype=bool)
    return _strays(encoded, encoded.dictionary, _counts(encoded), plain)


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
        plain = _plain_numbers(column, conventions)
        if plain is not None:
            return plain, np.zeros(len(plain), dtype=bool)
    encoded = _encoded(column)
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    values = _READ[writing.form](encoded.dictionary, writing)
    nothing = np.datetime64("NaT", "us") if writing.form == "date" else np.nan
    values = np.append(values, np.array([nothing], dtype=values.dtype))
    gone = np.append(_missing(encoded.dictionary, conventions), True)
    values[gone] = nothing
    values[:-1][_beside_another_sign(encoded.dictionary, writing)] = nothing
    unknown = (np.isnat(values) if writing.form == "date" else np.isnan(values)) & ~gone
    return values[codes], unknown[codes]


def typed(table: Any, conventions: Conventions = Conventions()) -> Any:
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


def typed_column(column: Any, conventions: Conventions = Conventions(), *, decimal_comma: bool = False) -> Any:
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


def has_decimal_comma(columns: Sequence[Any], conventions: Conventions = Conventions()) -> bool:
    """Whether a column of texts proves that its source writes 0,5 for a half."""
    if conventions.decimal is not None:
        return conventions.decimal == ","
    for column in columns:
        if is_text(column.type):
            some = column.slice(0, _LOOKED_AT)
            if pc.any(pc.match_substring(some, ",")).as_py():
                writing, _ = recognise(some, conventions)
                if writing.form == "number" and writing.decimal == ",":
                    return True
    return False


def is_text(arrow_type: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    names = ("is_string", "is_large_string", "is_string_view")  # the last one is missing in old versions
    return any(getattr(pa.types, name)(arrow_type) for name in names if hasattr(pa.types, name))


# -------------------------------------------------------------------------------------------- arrays of texts


def _encoded(column: Any) -> Any:
    """A column as one dictionary array of different texts."""
    encoded = column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        chunks = encoded.unify_dictionaries().combine_chunks()
        encoded = (
            chunks
            if not isinstance(chunks, pa.ChunkedArray)
            else (chunks.chunk(0) if chunks.num_chunks else pa.array([], column.type).dictionary_encode())
        )
    return encoded


def _counts(encoded: Any) -> NDArray[np.int64]:
    """How often each text of a dictionary array occurs."""
    codes = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    return np.bincount(codes, minlength=len(encoded.dictionary)).astype(np.int64)


def _mask(array: Any) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def is_missing_text(column: Any, conventions: Conventions = Conventions()) -> NDArray[np.bool_]:
    """Where a column of texts holds nothing, or a text that stands for nothing, (n,).

    >>> is_missing_text(pa.array(["1", " NA", None])).tolist()
    [False, True, True]
    """
    null: NDArray[np.bool_] = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    return null | _missing(column, conventions)


def missing_texts(conventions: Conventions) -> Any:
    """All spellings of a missing value, an Arrow array."""
    return pa.array(sorted(NULLS | {*conventions.null}), pa.string())


def _missing(keys: Any, conventions: Conventions) -> NDArray[np.bool_]:
    """Where a text stands for nothing."""
    nulls = missing_texts(conventions).cast(keys.type)
    return _mask(pc.is_in(pc.utf8_trim_whitespace(keys), nulls))


def _matches(keys: Any, pattern: str) -> NDArray[np.bool_]:
    return _mask(pc.match_substring_regex(keys, pattern))


def _nearly_all(read: NDArray[np.bool_], keys: Any, counts: NDArray[np.int64]) -> bool:
    """Whether the values that can be read are nearly all there are."""
    share = float(counts[read].sum()) / max(int(counts.sum()), 1)
    if share >= NEARLY_ALL:
        return True
    others = np.flatnonzero((counts > 0) & ~read)
    texts = [keys[int(i)].as_py() for i in others[: FEW_WORDS + 1]]
    words = len(texts) <= FEW_WORDS and all(_is_word(text) for text in texts)
    return words and share >= OFTEN


def _is_word(text: str) -> bool:
    """Whether a value says that there is none, as ERR, - and #DIV/0! do; 12A is one."""
    return text.lstrip().startswith("#") or not any(sign.isdigit() for sign in text)


def _strays(encoded: Any, keys: Any, counts: NDArray[np.int64], stray: NDArray[np.bool_]) -> list[Stray]:
    """Values that were not read, the most frequent first."""
    places = np.flatnonzero(stray & (counts > 0))
    if not len(places):
        return []
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    seen, rows = np.unique(codes, return_index=True)  # the first row of each
    first = dict(zip(seen.tolist(), rows.tolist(), strict=True))
    order = places[np.argsort(-counts[places], kind="stable")]
    return [Stray(keys[int(i)].as_py(), int(counts[i]), first[int(i)]) for i in order]


# --------------------------------------------------------------------------------------------------- numbers

_WAYS: Final = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_CURRENCY: Final = "[$€£¥₹]"
_SIGNS: Final = "$€£¥₹%"
_CODES: Final = "AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HUF|INR|JPY|MXN|NOK|PLN|SEK|TRY|USD|ZAR"
_BESIDE: Final = (
    rf"^\s*(?P<unit>{_CODES})\s*[+\-\x{{2212}}]?\d",
    r"\d\s+(?P<unit>[^\d\s]{1,8})\s*$",
    r"\d(?P<unit>°[CF]?)\s*$",
)


def _plain_numbers(column: Any, conventions: Conventions) -> Floats | None:
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


def _are_dots_doubtful(column: Any, conventions: Conventions, decimal_comma: bool) -> bool:
    """Whether dots may group thousands, so that 1.234 is no plain number."""
    grouping = conventions.thousands == "." or (decimal_comma and conventions.decimal is None)
    return grouping and bool(pc.any(pc.match_substring(column, ".")).as_py())


def _without_missing(column: Any, conventions: Conventions) -> Any:
    nulls = missing_texts(conventions).cast(column.type)
    return pc.if_else(pc.is_in(column, nulls), pa.scalar(None, column.type), column)


def _are_codes(column: Any) -> bool:
    """Whether digits are names: longer than a number is exact, or of one length with zeros in front (00731)."""
    if pc.max(pc.utf8_length(column)).as_py() > EXACT_DIGITS:
        long = int(_matches(column, rf"^\s*[+-]?\d{{{EXACT_DIGITS + 1},}}\s*$").sum())
        if _are_more_than_few(long, len(column) - column.null_count):
            return True
    return _are_padded(column)


def _are_padded(column: Any) -> bool:
    """Whether all whole numbers are of one length, some with zeros in front."""
    zeros = column.filter(pc.starts_with(column, "0"))  # of all rows: where they are sorted these may come last
    if not _matches(zeros, r"^0\d+$").any():
        return False
    lengths = pc.unique(pc.utf8_length(column.filter(pc.match_substring_regex(column, r"^\d+$"))))
    return len(lengths) == 1


def _perhaps_grouped(column: Any) -> bool:
    """Whether points may group digits: 814 beside 1.511 is seldom a number of three decimals."""
    some = column.slice(0, _LOOKED_AT).drop_null()
    dotted = _matches(some, _pattern(",", ".")) & _matches(some, r"\.")
    small = _matches(some, r"^[+-]?[1-9]\d{0,2}$")
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
    group = _GROUPING.get(thousands, "")
    pairs = rf"(?:{group}\d{{2}})*" if thousands == "," else ""  # 1,23,456 in India
    whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|[1-9]\d?{pairs}{group}\d{{3}}|\d+)" if thousands else r"\d+"
    point = rf"\{decimal}"
    return rf"^[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$|^(?i:[+-]?inf(?:inity)?)$"


def _number(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Numbers, in the way that reads most of them."""
    unit = _unit(keys, counts)
    if not unit and not _promising(keys, counts):
        return None
    plain = _unadorned(_without_unit(keys, unit))
    some, often = plain.slice(0, _LOOKED_AT), counts[:_LOOKED_AT]
    ways = [
        (decimal, thousands)
        for decimal, thousands in _WAYS
        if conventions.decimal in (None, decimal)
        and conventions.thousands in (None, thousands)
        and often[_matches(some, _pattern(decimal, thousands))].sum() >= _PROMISING * often.sum()
    ]
    read = [_matches(plain, _pattern(*way)) for way in ways]
    weights = [int(counts[one].sum()) for one in read]
    if not weights:
        return None
    tied = [i for i, weight in enumerate(weights) if weight == max(weights)]
    best, ambiguous = _preferred([ways[i] for i in tied], decimal_comma)
    found = read[ways.index(best)]
    if not _nearly_all(found, keys, counts):
        return None
    affix = _affix(keys, counts, found)
    if affix is None:
        return None
    digits = _matches(plain, rf"^[+-]?\d{{{EXACT_DIGITS + 1},}}$")
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
        beside = _mask(pc.match_substring(keys, sign)) & read
        if counts[beside].sum():
            signs[sign] = counts[beside].sum() / counts[read].sum()
    if len(signs) > 1 or ("%" in signs and signs["%"] < NEARLY_ALL):
        return None
    return next(iter(signs), "")


def _unit(keys: Any, counts: NDArray[np.int64]) -> str:
    """What stands beside nearly all values: a unit behind a blank, such as kg, or a currency by its code; else ""."""
    some, often = keys.slice(0, _LOOKED_AT), counts[:_LOOKED_AT].tolist()
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


def _beside_another_sign(keys: Any, writing: Writing) -> NDArray[np.bool_]:
    """Where a number stands beside another currency than in training, or beside % as it did not: 5 % is not 5."""
    if writing.form != "number":
        return np.zeros(len(keys), dtype=bool)
    foreign = {"%"} if writing.affix == "" else {*_SIGNS} - {writing.affix}
    return _matches(keys, f"[{''.join(sorted(foreign))}]")


def _promising(keys: Any, counts: NDArray[np.int64]) -> bool:
    """Whether enough of the values begin like a number: a quick look before a thorough one."""
    some, often = keys.slice(0, _LOOKED_AT), counts[:_LOOKED_AT]
    digits = _matches(some, r"^[\s(+\-\x{2212}\x{2013}$€£¥₹]*[.,]?\d|(?i)inf")
    return float(often[digits].sum()) >= _PROMISING * float(often.sum())


def _read_numbers(keys: Any, writing: Writing) -> Floats:
    plain = _unadorned(_without_unit(keys, "" if writing.affix in _SIGNS else writing.affix))
    good = pc.match_substring_regex(plain, _pattern(writing.decimal, writing.thousands))
    plain = pc.if_else(good, plain, pa.scalar(None, plain.type))
    if writing.thousands:
        plain = pc.replace_substring_regex(plain, _GROUPING[writing.thousands], "")
    if writing.decimal != ".":
        plain = pc.replace_substring(plain, writing.decimal, ".")
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    values = np.array(plain.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    truths = pc.utf8_lower(pc.utf8_trim_whitespace(keys))
    for word, value in (("true", 1.0), ("false", 0.0)):  # of a column that was a number of 0 and 1 in training
        values[_mask(pc.equal(truths, word))] = value
    return values


# --------------------------------------------------------------------------- booleans, dates and times of day


def _boolean(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """True and false, in any case."""
    read = _matches(keys, r"^\s*(?i:true|false)\s*$")
    return (Writing("boolean"), read) if not counts[~read].any() else None


def _date(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Dates with or without time of day, in the order of year, month and day that reads most of them."""
    some, often = keys.slice(0, _LOOKED_AT).to_pylist(), counts[:_LOOKED_AT]
    shares = {order: often[~np.isnat(moments_of(some, order))].sum() for order in date_orders(conventions.day_first)}
    likely = [order for order, share in shares.items() if share == max(shares.values()) >= _PROMISING * often.sum()]
    texts = keys.to_pylist() if likely else []
    read = [~np.isnat(moments_of(texts, order)) for order in (likely[:1] if likely[:1] == ["ymd"] else likely)]
    weights = [int(counts[one].sum()) for one in read]
    best = int(np.argmax(weights)) if weights else 0
    if not weights or not _nearly_all(read[best], keys, counts):
        return None
    ambiguous = conventions.day_first is None and likely[best] != "ymd" and weights.count(weights[best]) > 1
    return Writing("date", order=likely[best], ambiguous=ambiguous), read[best]


def _clock(
    keys: Any, counts: NDArray[np.int64], conventions: Conventions, decimal_comma: bool
) -> tuple[Writing, NDArray[np.bool_]] | None:
    """Times of day."""
    read = _matches(keys, _CLOCK)
    return (Writing("clock"), read) if _nearly_all(read, keys, counts) else None


_CLOCK: Final = r"^\s*(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s*$"


def _read_clock(keys: Any, writing: Writing) -> Floats:
    def seconds(text: str) -> float:
        hours, minutes, *rest = text.strip().split(":")
        return 3600 * int(hours) + 60 * int(minutes) + (float(rest[0]) if rest else 0.0)

    good = _matches(keys, _CLOCK)
    return np.array([seconds(text) if ok else np.nan for text, ok in zip(keys.to_pylist(), good, strict=True)], float)


def _read_booleans(keys: Any, writing: Writing) -> Floats:
    return _read_numbers(keys, Writing("number"))


def _read_dates(keys: Any, writing: Writing) -> NDArray[np.datetime64]:
    return moments_of(keys.to_pylist(), writing.order)


_READ: Final[dict[str, Any]] = {
    "number": _read_numbers, "boolean": _read_booleans, "clock": _read_clock, "date": _read_dates,
}  # fmt: skip
