"""Names of columns: in messages, checked, found, and renamed where two tables would clash."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from expose.errors import DataWarning, InputError


def listing(names: Iterable[object], most: int = 5) -> str:
    """Return names for a message, the first few of them quoted.

    >>> listing(["a", "b"]), listing(range(8))
    ("'a', 'b'", '0, 1, 2, 3, 4 and 3 more')
    """
    every = list(names)
    shown = ", ".join(repr(name) for name in every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown


def check_names(names: Sequence[object]) -> tuple[str, ...]:
    """Return column names as a tuple of texts, each of them once."""
    if len(set(names)) < len(names):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        raise InputError(f"column names must differ; got more than once: {listing(repeated)}. Rename them.")
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise InputError(f"column names must be all texts or all numbers; got {listing(wrong)} among texts")
    return tuple(map(str, names))


def existing(wanted: Collection[str], names: Sequence[str], role: str) -> list[str]:
    """Return wanted column names; each of them must exist."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    wanted = [spelled(name, names) for name in wanted]
    for name in wanted:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InputError(f"{role}: there is no column {name!r}; the table has {listing(names)}.{hint}")
    return wanted


def spelled(name: str, known: Collection[str]) -> str:
    """The column that is meant: one whose name differs by blanks around it alone, where there is no other.

    >>> spelled("Label", ["id", " Label"]), spelled("x", ["y"])
    (' Label', 'x')
    """
    alike = [one for one in known if one.strip() == name.strip()]
    return alike[0] if name not in known and len(alike) == 1 else name


def column_names(values: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return column names, each once, from names and lists of names with commas.

    A column of the table (``known``) whose own name holds a comma is found when it is given alone.

    Examples
    --------
    >>> column_names(["id", "day, hour", "paid, EUR"], ["id", "day", "hour", "paid, EUR", "x"])
    ['id', 'day', 'hour', 'paid, EUR']
    """
    names: list[str] = []
    for value in values or ():
        parts = [value] if value in known else [part.strip() for part in value.split(",") if part.strip()]
        names += [spelled(part, known) for part in parts]
    return list(dict.fromkeys(names))


def with_ids(ids: Any | None, columns: Mapping[str, Any]) -> Any:
    """Put what names the rows, a pyarrow Table or None, before arrays (n,) found of them, as a pyarrow Table.

    Nothing is lost, nothing replaced.

    Warns
    -----
    DataWarning
        When an id column has the name of one of ``columns``: it is then called ``id_<name>``.

    Examples
    --------
    >>> with_ids(pa.table({"key": ["a"]}), {"anomaly_score": [0.5]}).to_pydict()
    {'key': ['a'], 'anomaly_score': [0.5]}
    """
    if ids is None:
        return pa.table(dict(columns))
    named: dict[str, Any] = {}
    taken = {*columns, *ids.column_names}
    for name in ids.column_names:
        free = name
        if name in columns:
            while free in taken:
                free = f"id_{free}"
            taken.add(free)
            message = f"the id column {name!r} has the name of a result; it is written as {free!r}"
            warnings.warn(message, DataWarning, stacklevel=2)
        named[free] = ids[name]
    return pa.table(named | dict(columns))
