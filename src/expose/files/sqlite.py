"""SQLite: how it is addressed, and which types its columns are read as, where each value has its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import pyarrow as pa

from expose.errors import InputError
from expose.files.sql import Column, Database, placeholders, table_named, values

_FORM: Final = re.compile(r"sqlite(?:\+\w+)?:(?:///|(?!//))(.*)|sqlite(?:\+\w+)?://.*", re.DOTALL)
_CHANGES: Final = re.compile(r"\s*(delete|insert|update|replace|create|drop|alter|attach|detach|pragma|vacuum)\b", re.I)
_ROWS: Final = 16_384
# the shortest text that is the same number again: a cast alone keeps 15 digits
_TEXT: Final = (
    "case when typeof({}) = 'blob' then lower(hex({})) "
    "when typeof({}) = 'real' and cast(cast({} as text) as real) <> {} then printf('%!.17g', {}) "
    "else cast({} as text) end"
)
# for each type that is read a value of it: the driver takes types from the first rows, which may hold none
_SAMPLE: Final = {pa.int64(): "0", pa.float64(): "0.5", pa.string(): "''"}


@dataclass(frozen=True)
class Sqlite(Database):
    """A database of SQLite, which is a file; see `Database`."""

    package: ClassVar[str] = "adbc_driver_sqlite"
    tables: ClassVar[str] = "select null, name from sqlite_master where type in ('table', 'view') order by 2"
    refused: ClassVar[tuple[Any, ...]] = (
        pa.types.is_uint64, pa.types.is_decimal, pa.types.is_time, pa.types.is_date64,
    )  # fmt: skip
    extra: ClassVar[dict[str, str]] = {"adbc.sqlite.query.batch_rows": str(_ROWS)}
    waiting: ClassVar[bool] = True  # else they could not be written while others of the same file are read

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The database that an address names, as SQLAlchemy has them; None if it is one of something else.

        Examples
        --------
        >>> [Sqlite.of(f"sqlite:{place}#events").uri for place in ("///shop.db", "shop.db", "////data/shop.db")]
        ['shop.db', 'shop.db', '/data/shop.db']
        """
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        rest = found[1] or ""
        place, table = (rest, "") if os.path.exists(rest) else _parted(rest)
        if place in ("", ":memory:") or place.startswith("file:"):
            raise InputError(
                f"{text} names no file. Expected sqlite:///shop.db for a file in this folder, and "
                "sqlite:////data/shop.db, with one / more, for any other."
            )
        return cls(place, f"sqlite:///{place}", table_named(table))

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.uri)

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def remove(self) -> None:
        """Delete the file, in which there is nothing."""
        self.path.unlink(missing_ok=True)

    def address(self, *, writing: bool = False) -> str:
        """A URI by which nothing is made, and where rows are read nothing is changed.

        Raises
        ------
        FileNotFoundError
            When there is no such file to read, or no folder for a new one.
        """
        if not writing and not self.path.is_file():
            raise FileNotFoundError(f"{self.label}: there is no file {self.uri!r}.")
        if writing and not self.path.absolute().parent.is_dir():
            raise FileNotFoundError(
                f"{self.label}: there is no folder {str(self.path.parent)!r}. Make it, or name another."
            )
        return f"{self.path.absolute().as_uri()}?mode={'rwc' if writing else 'ro'}"

    def columns(self, connection: Any, query: str) -> list[Column]:
        """What a query gives: it runs for it once, since any row may hold anything."""
        with connection.cursor(adbc_stmt_kwargs={"adbc.sqlite.query.batch_rows": "1"}) as cursor:
            if found := _CHANGES.match(query):  # SQLite would name a syntax error that nobody could find
                raise InputError(
                    f"{self.label}: the query begins with {found[1]}; expected a select, which changes nothing."
                )
            cursor.execute(f"select 1 from ({query}\n) limit 0")  # nothing but rows: attach would make a file
            names = cursor.execute(query).fetch_record_batch().schema.names
        columns = [Column(name, pa.int64()) for name in names]
        classes = ", ".join(f"group_concat(distinct typeof(c{place}))" for place in range(len(names)))
        with connection.cursor() as cursor:
            [found] = cursor.execute(f"{_named(query, columns)} select {classes} from q").fetchall()
        return [_column(name, {*(kinds or "").split(",")}) for name, kinds in zip(names, found, strict=True)]

    def statement(self, query: str, columns: Sequence[Column], wanted: Sequence[int]) -> str:
        """The query with one type for each column, and a row before it that shows it to the driver."""
        sample = ", ".join(_SAMPLE[columns[place].type] for place in wanted)
        return f"{_named(query, columns)} select {sample} union all select {', '.join(values(columns, wanted))} from q"

    def received(self, batches: Any, columns: Sequence[Column]) -> Iterator[Any]:
        """Make Arrow tables of these columns, without the first row."""

        def rows() -> Iterator[Any]:
            for number, batch in enumerate(batches):
                batch.validate(full=True)  # a text may hold any bytes
                yield batch if number else batch.slice(1)

        yield from super().received(rows(), columns)


def _parted(rest: str) -> tuple[str, str]:
    place, mark, table = rest.rpartition("#")
    return (place, table) if mark else (rest, "")


def _named(query: str, columns: Sequence[Column]) -> str:
    # with a limit the query is run as it stands, its order included, and not melted into what is around it
    return f"with q({placeholders(columns)}) as (select * from ({query}\n) limit -1)"


def _column(name: str, classes: Set[str]) -> Column:
    """Return how a column is read whose values are of these storage classes."""
    if classes & {"text", "blob"}:
        return Column(name, pa.string(), _TEXT)
    return Column(name, pa.float64(), "cast({} as real)") if "real" in classes else Column(name, pa.int64())
