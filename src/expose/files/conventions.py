"""What a user says of how values are written, and what is found of the values of one column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from expose.errors import InputError
from expose.files.moments import DateOrder

NULLS: Final = frozenset({
    "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "-nan", "NAN", "None", "none", "NaT", "?",
    r"\N",
})  # fmt: skip
GROUPING: Final = {",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}


Form = Literal["number", "boolean", "clock", "date", "text"]


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
        if self.thousands not in (None, "", *GROUPING):
            raise InputError(
                f"thousands must be one of {', '.join(map(repr, GROUPING))} or ''; got {self.thousands!r}."
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


NOTHING_SAID: Final = Conventions()
_MARK: Final = b"expose"  # in the metadata of an Arrow schema


def marked(table: Any, conventions: Conventions, first: int = 0) -> Any:
    """An Arrow table that carries what was said of its values, and the number of its first row in its source."""
    metadata = table.schema.metadata or {}
    if (conventions, first) == (NOTHING_SAID, 0) and _MARK not in metadata:
        return table
    said = {"conventions": asdict(conventions), "first": first}
    return table.replace_schema_metadata({**metadata, _MARK: json.dumps(said)})


def marks(schema: Any) -> tuple[Conventions, int]:
    """What `marked` wrote into an Arrow schema.

    >>> import pyarrow as pa
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
        known = (self.form in get_args(Form), self.decimal in (".", ","), self.thousands in ["", *GROUPING])
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
