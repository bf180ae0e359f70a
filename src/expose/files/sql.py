"""What all databases have in common: how a place in one is named, and what is known of the result of a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

import pyarrow as pa

from expose.errors import InputError

_NAME: Final = r'"(?:[^"]|"")+"|[^".]+'
_TABLE: Final = re.compile(rf"(?:({_NAME})\.)?({_NAME})", re.DOTALL)


def quoted(name: str) -> str:
    r"""A name as SQL has it, whatever it holds.

    >>> quoted('odd "name"; drop table x')
    '"odd ""name""; drop table x"'
    """
    return '"' + name.replace('"', '""') + '"'


class TableName(NamedTuple):
    """A table, and the schema that it is in, if that was said."""

    schema: str | None
    name: str

    @property
    def sql(self) -> str:
        """As a query names it."""
        return ".".join(quoted(part) for part in self if part is not None)


def table_named(fragment: str) -> TableName | None:
    """The table that stands behind the # of an address, spelled as in the database; None if there is none.

    Raises
    ------
    InputError
        When it is not ``table`` or ``schema.table``.

    Examples
    --------
    >>> table_named("events"), table_named('shop."May.2025"').sql
    (TableName(schema=None, name='events'), '"shop"."May.2025"')
    """
    if not fragment:
        return None
    found = _TABLE.fullmatch(fragment)
    if found is None:
        raise InputError(
            f"#{fragment} names no table. Expected #table or #schema.table; a name that holds a dot or quotes goes in "
            'double quotes, as in SQL: #"odd.name".'
        )
    return TableName(*(None if part is None else _unquoted(part) for part in found.groups()))  # type: ignore[arg-type]


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


class Column(NamedTuple):
    """A column of a result.

    Attributes
    ----------
    name : str
    type : pyarrow.DataType
        That it is read as.
    value : str
        SQL of what is read of it, ``{}`` standing for the column: where a driver cannot hand over its type, another.
    """

    name: str
    type: Any
    value: str = "{}"


@dataclass(frozen=True)
class Database:
    """A database that can be asked, and perhaps a table in it.

    Attributes
    ----------
    uri : str
        As its driver takes it, the password included: not for people.
    label : str
        As messages have it.
    table : TableName or None
    """

    uri: str = field(repr=False)
    label: str
    table: TableName | None

    package: ClassVar[str]  # of the driver
    tables: ClassVar[str]  # SQL: schema and name of each table
    refused: ClassVar[tuple[Any, ...]]  # tests of Arrow types that its driver does not write
    extra: ClassVar[dict[str, str]] = {}  # settings of a statement
    waiting: ClassVar[bool] = False  # whether new rows wait in a temporary table for the last one

    def address(self, *, writing: bool = False) -> str:
        """What the driver connects to."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether it is there, as far as this can be seen without it."""
        return True

    def remove(self) -> None:
        """Undo that it was made."""

    def begin(self, cursor: Any) -> None:
        """Say at the beginning how rows are read."""

    def columns(self, connection: Any, query: str) -> list[Column]:
        """What a query gives."""
        raise NotImplementedError

    def statement(self, query: str, columns: Sequence[Column], wanted: Sequence[int]) -> str:
        """SQL that gives the wanted columns of a query, and after them what `received` needs to know."""
        raise NotImplementedError

    def received(self, batches: Any, columns: Sequence[Column]) -> Any:
        """Make Arrow tables of these columns of what the driver hands over."""
        for batch in batches:
            arrays = [_fitting(array, column) for array, column in zip(batch.columns, columns, strict=False)]
            yield pa.table(arrays, names=[column.name for column in columns])


def placeholders(columns: Sequence[Column]) -> str:
    """Names for the columns of a result that differ, whatever their own are.

    >>> placeholders([Column("a", pa.int64()), Column("a", pa.int64())])
    'c0, c1'
    """
    return ", ".join(f"c{place}" for place in range(len(columns)))


def values(columns: Sequence[Column], wanted: Sequence[int]) -> list[str]:
    """SQL of each wanted column."""
    return [columns[place].value.replace("{}", f"c{place}") for place in wanted]


def _fitting(array: Any, column: Column) -> Any:
    array = getattr(array, "storage", array)  # of a type that Arrow does not know
    return array if array.type == column.type else array.cast(column.type)
