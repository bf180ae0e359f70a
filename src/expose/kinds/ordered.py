"""Whether the rows of a table follow each other in time, so that they could be judged as series."""

from __future__ import annotations

import shlex
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.files.stamps import find_form
from expose.kinds.columns import Times
from expose.kinds.frames import as_table
from expose.kinds.understood import understood_alone

LONGEST: Final = 60  # signs of a name in a note
FEWEST: Final = 20  # rows in which an order is worth mentioning
SOME: Final = 1_000  # rows that are looked at before all are
MOST_ENTITIES: Final = 0.1  # of the rows


def note_on_order(*tables: Any) -> tuple[str, ...]:
    """Say by which column of Arrow tables, side by side, rows follow each other in time; nothing where none does.

    Examples
    --------
    >>> days = pa.table({"day": [f"2026-01-{day:02}" for day in range(1, 31)], "x": range(30)})
    >>> note_on_order(days)
    ("rows look ordered in time by 'day': --time day judges windows of them, not each for itself.",)
    """
    columns = {name: table[name] for table in tables if isinstance(table, pa.Table) for name in table.column_names}
    if not columns or len(next(iter(columns.values()))) < FEWEST:
        return ()
    for name, column in columns.items():
        if _rises(_moments(column.slice(0, SOME))) and (at := _moments(column)) is not None:
            if (np.diff(at) > 0).all():
                return (_sentence(name, None),)
            others = {other: one for other, one in columns.items() if other != name}
            if (entity := _entity_of(at, others)) is not None:
                return (_sentence(name, entity),)
    return ()


def note_on_lines(*tables: Any) -> tuple[str, ...]:
    """Say so where what was taken for names of columns is the first line of a log.

    Examples
    --------
    >>> note_on_lines(pa.table({"May  1 12:30:07 host sshd[7]: in": ["May  1 12:31:15 host sshd[7]: out"]}))
    ("'May  1 12:30:07 host sshd[7]: in' was taken for the name of a column: if DATA is a log, --window 5m, ...
    """
    names = [name for table in tables if isinstance(table, pa.Table) for name in table.column_names]
    timed = [name for name in names if (form := find_form([name])) is not None and form.names_day]
    if len(timed) != 1:  # one column for each of many times is a table
        return ()
    shown = timed[0] if len(timed[0]) <= LONGEST else f"{timed[0][:LONGEST]}..."
    return (
        f"{shown!r} was taken for the name of a column: if DATA is a log, --window 5m, or another length, reads it as "
        "one.",
    )


def _sentence(time: str, entity: str | None) -> str:
    said = f"--time {shlex.quote(time)}" + ("" if entity is None else f" --entity {shlex.quote(entity)}")
    of = "" if entity is None else f" within {entity!r}"
    return f"rows look ordered in time by {time!r}{of}: {said} judges windows of them, not each for itself."


def _moments(column: Any) -> NDArray[np.int64] | None:
    """Dates of a column, (n,); None where it holds something else, or a date is missing."""
    kinds = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_string, pa.types.is_large_string)
    if not any(is_kind(column.type) for is_kind in kinds) or column.null_count:
        return None
    found = understood_alone(as_table(pa.table({"at": column}))).at(0)
    if not isinstance(found, Times) or found.missing.any():
        return None
    return found.moments.astype(np.int64)


def _rises(at: NDArray[np.int64] | None) -> bool:
    """Whether times never fall, or fall seldom, as where one series ends and another begins."""
    if at is None:
        return False
    steps = np.diff(at)
    return bool((steps > 0).any() and (steps < 0).mean() < MOST_ENTITIES)


def _entity_of(at: NDArray[np.int64], columns: dict[str, Any]) -> str | None:
    """The column within whose values times rise from row to row, if there is one."""
    for name, column in columns.items():
        if pa.types.is_floating(column.type) or column.null_count:
            continue
        if pc.count_distinct(column).as_py() > MOST_ENTITIES * len(at):
            continue
        codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        if (np.diff(at[order])[np.diff(codes[order]) == 0] > 0).all():
            return name
    return None
