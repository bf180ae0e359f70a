"""The kind "table": rows of columns, of any make. Registered first, and so asked last: it takes what no other does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError
from expose.files.conventions import Conventions, Writing, marked, marks
from expose.files.names import column_names, existing, listing, spelled
from expose.files.reading import Tables, opened
from expose.files.roles import ColumnsByRole, columns_by_role
from expose.files.values import is_missing
from expose.kinds.base import Batch, Kind, Reading, register_kind
from expose.kinds.frames import as_table
from expose.kinds.ordered import note_on_lines, note_on_order
from expose.kinds.rows import Table
from expose.kinds.understood import find_writings, understood, understood_alone

AT_ONCE: Final = 65_536  # the most rows of a batch


@register_kind
class TableKind(Kind):
    """Tables: arrays, lists of rows, frames of any package, files of text, spreadsheets, Parquet."""

    name = "table"
    plural = "tables"
    noun = "row"
    encoder = "quantile"
    objective = "neighbours"

    def recognises(self, X: Any) -> bool:
        """Everything: what is no table either, `samples` refuses with a reason."""
        return True

    def samples(self, X: Any) -> Table:
        """Make a `Table`, see `as_table`."""
        return as_table(X)

    def columns(self, samples: Any) -> tuple[int, tuple[str, ...]] | None:
        """How many there are, and their names if the source had some."""
        table = as_table(samples)
        return table.n_columns, table.names if table.named else ()

    def learn(self, samples: Any) -> Any:
        """How each column of texts is written, by its position, and what was said of it."""
        table = as_table(samples)
        writings = {str(place): asdict(writing) for place, writing in find_writings(table)[0].items()}
        return {"writings": writings, "conventions": asdict(table.conventions)}

    def understood(self, samples: Any, learned: Any) -> Table:
        """The table with columns of texts as numbers, dates or names, as in training."""
        writings = {int(place): Writing.of(fields) for place, fields in learned["writings"].items()}
        table = as_table(samples)
        found = {place: one for place, one in writings.items() if place < table.n_columns}
        return understood(table, found, Conventions.of(learned["conventions"]))

    def plain(self, samples: Any) -> NDArray[Any]:
        """Rows ``(n, columns)``: floats if all columns are numbers, else objects."""
        table = understood_alone(as_table(samples))
        if not table.others:
            numbers = table.numbers[:, table.number_index]
            return numbers if numbers.dtype.kind == "f" else numbers.astype(np.float64)
        rows = np.empty((len(table), table.n_columns), dtype=object)
        for place, name in enumerate(table.names):
            rows[:, place] = table.column(name)
        return rows

    def claims(self, sources: Sequence[str]) -> bool:
        """Everything: what cannot be read as a table, `read` refuses with a reason."""
        return True

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Read files whole; samples are an Arrow table of the features. Errors are those of `expose.files.read`."""
        tables = self.tables(sources, reading)
        reading = _with_categories(reading, tables.schema.names)
        return self.trained_on(tables.table(), reading)._replace(notes=tables.notes)

    def also(self, batch: Batch) -> tuple[str, ...]:
        """Series, where rows follow each other in time; a log, where it begins as one."""
        return note_on_lines(batch.ids, batch.samples) or note_on_order(batch.ids, batch.samples)

    def tables(self, sources: Sequence[str], reading: Reading) -> Tables:
        """Files that were looked at."""
        return opened(_source(sources), dialect=reading.dialect, query=reading.query)

    def trained_on(self, table: Any, reading: Reading) -> Batch:
        """As `split`, but the columns that were named are all there."""
        return self.split(table, _with_categories(reading, table.column_names))

    def split(self, table: Any, reading: Reading) -> Batch:
        """Rows of an Arrow table whose columns play these roles; its first row has the number it is `marked` with."""
        return _by_role(table, _roles(table.schema.names, reading), reading, marks(table.schema)[1])

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Read files some ten thousand rows at a time; as `read` in all else. Files are looked at before it returns."""
        tables = self.tables(sources, reading)
        roles = _roles(tables.schema.names, reading)  # all batches have the same columns
        return _scanned(tables, roles, reading)

    def arriving(self, reading: Reading) -> Literal["rows"]:
        """Rows."""
        return "rows"

    def sent(self, reading: Reading) -> tuple[Literal["rows"]]:
        """Rows."""
        return ("rows",)

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Each column and its value, None where it is missing."""
        one = as_table(samples).take(np.array([row]))
        return {name: _value(one, place) for place, name in enumerate(one.names)}


def _source(sources: Sequence[str]) -> str | list[str]:
    return sources[0] if len(sources) == 1 else list(sources)  # several, as a shell makes of a pattern


def _with_categories(reading: Reading, names: Sequence[str]) -> Reading:
    """With the names of categories as the table spells them; all must be there."""
    named = tuple(existing(column_names(reading.conventions.category, names), names, "category"))
    return replace(reading, conventions=replace(reading.conventions, category=named))


def _roles(names: Sequence[str], reading: Reading) -> ColumnsByRole:
    """Find the columns of each role; in later data those that play no part in scoring may be absent."""
    ids, ignore, label = column_names(reading.id, names), column_names(reading.ignore, names), reading.label
    label = None if label is None else spelled(label, names)
    if reading.later:
        ids = [name for name in ids if _is_there(name, names)]
        ignore = [name for name in ignore if name in names and name not in ids]
        label = label if label in names and label not in ids else None
    own = [name for name in ids if name not in reading.features]  # the others stay features, too
    if reading.later and reading.features and not {*names} - {*own, *ignore, label}:
        lacking = f"{len(reading.features)} column(s) of training are missing: {listing(reading.features)}"
        raise InputError(f"{lacking}. The table has {listing(names)}.")
    return columns_by_role(names, id=own, ignore=ignore, label=label)._replace(ids=ids)


def _is_there(name: str, names: Sequence[str]) -> bool:
    if name not in names:
        message = f"The id column {name!r} is not in the new data; their scores go without it."
        warnings.warn(message, DataWarning, stacklevel=2)
    return name in names


def _scanned(tables: Tables, roles: ColumnsByRole, reading: Reading) -> Iterator[Batch]:
    first = 0
    for rows in tables.batches(AT_ONCE):
        yield _by_role(pa.Table.from_batches([rows]), roles, reading, first)._replace(notes=tables.notes)
        first += rows.num_rows


def _by_role(table: Any, roles: ColumnsByRole, reading: Reading, first: int = 0) -> Batch:
    features = table if roles.features == table.schema.names else table.select(roles.features)
    return Batch(
        marked(features, reading.conventions, first),
        table.select(roles.ids) if roles.ids else None,
        None if roles.label is None else table[roles.label],
    )


def _value(one: Table, place: int) -> Any:
    """Return the value of a column of one row, as Python has it."""
    column = one.at(place)
    value = (column if isinstance(column, np.ndarray) else column.values()).tolist()[0]
    if is_missing(value):
        return None
    return bool(value) if place in one.booleans else value
