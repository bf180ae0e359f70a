"""PostgreSQL: how it is addressed, and which types its columns are read as."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from expose.errors import CountedWarning, InputError
from expose.files.sql import Column, Database, placeholders, table_named, values

_FORM: Final = re.compile(r"postgres(?:ql)?(?:\+\w+)?://(?:([^/@]*)@)?([^?#]*)([^#]*)(?:#(.*))?", re.DOTALL)
_HOSTS: Final = re.compile(r"(?:\[[^\]]*\]|[^/:@\s]*)(?::\d*)?(?:/[^@\s]*)?")
_SECONDS: Final = 10  # to wait for a server that does not answer
_PLAIN: Final = frozenset(
    ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "name", "char", "time")
)  # what the driver hands over as we want it
_MOMENTS: Final = frozenset(("date", "timestamp", "timestamptz"))
_NUMBERS: Final = {
    "numeric": "{}::float8",
    "money": "{}::numeric::float8",
    "oid": "{}::int8",  # the driver takes it for a signed number of 32 bits
    "interval": "extract(epoch from {})::float8",  # seconds
}


@dataclass(frozen=True)
class Postgresql(Database):
    """A database of PostgreSQL; see `Database`."""

    package: ClassVar[str] = "adbc_driver_postgresql"
    tables: ClassVar[str] = (
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
    )
    refused: ClassVar[tuple[Any, ...]] = (pa.types.is_uint64, pa.types.is_date64)

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The database that an address names; None if it is one of something else.

        Raises
        ------
        InputError
            When it cannot be one, as where a password holds an @.

        Examples
        --------
        >>> found = Postgresql.of("postgresql+psycopg2://ann:secret@host/shop?sslmode=require#events")
        >>> found.label, found.uri
        ('postgresql://ann@host/shop', 'postgresql://ann:secret@host/shop?sslmode=require')
        """
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        login, place, settings, table = (part or "" for part in found.groups())
        if re.search(r"\s", login) or not all(_HOSTS.fullmatch(host) for host in place.split(",")):
            raise InputError(
                "an address of PostgreSQL has the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE#TABLE, and one of "
                "those given has another. In a user or password write %40 for @, %2F for /, %3A for :, %20 for a "
                "blank; or leave the password to PGPASSWORD or ~/.pgpass."
            )
        user = login.partition(":")[0]
        shown = f"postgresql://{user}{'@' if user else ''}{place}"
        return cls(f"postgresql://{login}{'@' if login else ''}{place}{settings}", shown, table_named(table))

    def address(self, *, writing: bool = False) -> str:
        """The URI, with a limit to how long a connection is waited for, where libpq would find none."""
        added = {"fallback_application_name": "expose", "connect_timeout": str(_SECONDS)}
        if {"PGCONNECT_TIMEOUT", "PGSERVICE"} & {*os.environ} or "service=" in self.uri:
            del added["connect_timeout"]
        settings = "&".join(f"{name}={value}" for name, value in added.items() if f"{name}=" not in self.uri)
        return self.uri + ("&" if "?" in self.uri else "?") + settings

    def begin(self, cursor: Any) -> None:
        """Change nothing, and begin a table at its first row even where somebody else is in the middle of it."""
        cursor.execute("set transaction read only")
        cursor.execute("set local synchronize_seqscans = off")

    def columns(self, connection: Any, query: str) -> list[Column]:
        """What a query gives, which does not run for it."""
        with connection.cursor() as cursor:
            return [_column(field) for field in cursor.adbc_execute_schema(query)]

    def statement(self, query: str, columns: Sequence[Column], wanted: Sequence[int]) -> str:
        """The query with types that the driver can hand over, and of each date whether it is one."""
        finite = [f"isfinite(c{place})" for place in wanted if _is_moment(columns[place])]
        read = ", ".join([*values(columns, wanted), *finite])
        return f"select {read} from ({query}\n) as q({placeholders(columns)})"

    def received(self, batches: Any, columns: Sequence[Column]) -> Iterator[Any]:
        """Make Arrow tables of these columns, and say what was infinite."""
        moments = [column.name for column in columns if _is_moment(column)]

        def counted() -> Iterator[Any]:
            for batch in batches:
                for name, finite in zip(moments, batch.columns[len(columns) :], strict=True):
                    _say_infinite(name, finite)
                yield batch

        yield from super().received(counted(), columns)


def _column(field: Any) -> Column:
    """Return how a column of a result is read."""
    known = field.metadata or {}
    kind = (known.get(b"POSTGRESQL:type") or known.get(b"ADBC:postgresql:typname") or b"").decode()
    digits = _digits(int(known.get(b"POSTGRESQL:typmod", -1))) if kind == "numeric" else None
    if digits is not None:  # exact: it may be a number that names something
        return Column(field.name, pa.decimal128(*digits), "nullif({}, 'NaN')")
    if kind in _NUMBERS:
        return Column(field.name, pa.int64() if kind == "oid" else pa.float64(), _NUMBERS[kind])
    if kind in _MOMENTS:
        return Column(field.name, field.type, "case when isfinite({}) then {} end")
    if kind in _PLAIN:
        return Column(field.name, field.type)
    return Column(field.name, pa.string(), "encode({}, 'hex')" if kind == "bytea" else "{}::text")


def _digits(modifier: int) -> tuple[int, int] | None:
    """Return precision and scale of a type such as numeric(10, 2), if these are ones that Arrow has."""
    precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (modifier - 4) & 0x7FF
    return (precision, scale) if modifier >= 0 and precision <= 38 and scale <= precision else None


def _is_moment(column: Column) -> bool:
    return bool(pa.types.is_date(column.type) or pa.types.is_timestamp(column.type))


def _say_infinite(name: str, finite: Any) -> None:
    if count := pc.sum(pc.invert(finite)).as_py():
        message = f"{name!r} holds dates that are infinite, {{count}} of them; they count as missing"
        warnings.warn(CountedWarning(message, count), stacklevel=2)
