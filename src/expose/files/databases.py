"""Databases: the result of a query as a table in, rows as a new table out. Needs the extra `sql`.

Drivers of ADBC hand over Arrow batches, as many at a time as memory holds, and take them. What they say is cleaned of
passwords before anybody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

import pyarrow as pa

from expose.errors import InputError, MissingExtraError, without_passwords
from expose.files.names import check_names, listing
from expose.files.postgresql import Postgresql
from expose.files.sql import Database, TableName
from expose.files.sqlite import Sqlite

_SCHEME: Final = re.compile(r"(?:postgres(?:ql)?|sqlite|mysql|mariadb|mssql|oracle|duckdb|snowflake)(?:\+\w+)?:")
_KNOWN: Final = (Postgresql, Sqlite)
_NOISE: Final = re.compile(
    r"^(?:[A-Z_]+: |\[\w+\] |Failed to [\w ]+(?: '[^']*')?: |Execution error \[\w+\]: |could not begin COPY: )*"
)
_ECHO: Final = re.compile(r"\n+[Qq]uery(?: was)?: .*|\.? ?SQLSTATE: \w+|\n *\^", re.DOTALL)
_ADVICE: Final = {
    r"password authentication failed|no password supplied": "Give user and password as PGUSER and PGPASSWORD, in "
    "~/.pgpass, or as postgresql://USER:PASSWORD@HOST/DATABASE.",
    r"file is not a database": "Other files are named without sqlite:.",
    r"read.?only": "A query for rows can change nothing.",
    r"Invalid UTF8": "A text there is in another encoding; leave its column out of the query, or take hex() of it.",
}


def is_database(source: object) -> bool:
    """Whether this is the address of a database rather than the name of a file.

    >>> is_database("sqlite:///shop.db#events"), is_database("postgresql://host/shop"), is_database("events.csv")
    (True, True, False)
    """
    return isinstance(source, str) and _SCHEME.match(source) is not None


def database_of(text: str) -> Database:
    """The database that an address names, and the table behind its #.

    Raises
    ------
    InputError
        When there is no such address, or it is one of a database that cannot be asked here.
    """
    for known in _KNOWN:
        if found := known.of(text):
            return found
    raise InputError(
        f"{without_passwords(text)}: expected postgresql://USER@HOST/DATABASE#TABLE or sqlite:///FILE#TABLE. "
        "From other databases export the rows as Parquet."
    )


# ------------------------------------------------------------------------------------------------------- asking


class Query:
    """The result of a query, or a whole table, as a file: looked at first, then read as it comes.

    Parameters
    ----------
    address : str
    query : str, optional
        SQL; by default all of the table that the address names.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, address: str, query: str | None = None) -> None:
        self._database = database_of(address)
        table = self._database.table
        self.label = f"{self._database.label}{'' if table is None else '#' + without_quotes(table)}"
        if query is None and table is None:
            raise InputError(f"{self.label}: name a table, or give a query (--query). {_tables_of(self._database)}")
        if query is not None and table is not None:
            raise InputError(f"{self.label}: a table and a query are two ways to say what is read; give one of them.")
        self._query = f"select * from {table.sql}" if table else str(query).rstrip("; \n\t")
        if not self._query:
            raise InputError("the query (--query) is empty; expected SQL such as select * from events.")
        self._columns = self._looked_at()
        self.names = check_names([column.name for column in self._columns])

    def _looked_at(self) -> Any:
        try:
            with connected(self._database) as connection, answering(self._database):
                columns = self._database.columns(connection, self._query)
        except InputError as error:
            if re.search("does not exist|no such table", str(error)) is None:
                raise
            raise InputError(f"{error} {_tables_of(self._database)}".rstrip()) from None
        if not columns:
            raise InputError(f"{self.label}: the query gives no columns; expected a select.")
        return columns

    def schema(self) -> Any:
        """Names and types."""
        return pa.schema([(column.name, column.type) for column in self._columns])

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of these columns, in the order of the query."""
        wanted = [self.names.index(name) for name in names]
        statement = self._database.statement(self._query, self._columns, wanted)
        chosen = [self._columns[place] for place in wanted]
        with (
            connected(self._database) as connection,
            answering(self._database),
            connection.cursor(adbc_stmt_kwargs=self._database.extra) as cursor,
        ):
            self._database.begin(cursor)
            try:
                yield from self._database.received(cursor.execute(statement).fetch_record_batch(), chosen)
            except GeneratorExit:  # nobody wants the rest, for which closing would wait
                with suppress(Exception):
                    cursor.adbc_cancel()
                raise


@contextmanager
def connected(database: Database, *, writing: bool = False) -> Iterator[Any]:
    """A connection in a transaction, which is undone unless it is committed."""
    with answering(database):
        connection = _driver(database).connect(database.address(writing=writing))
    try:
        yield connection
    finally:
        with suppress(Exception):  # it may be broken, and then so is the transaction
            connection.rollback()
        with suppress(Exception):
            connection.close()


def _driver(database: Database) -> Any:
    try:
        return import_module(f"{database.package}.dbapi")
    except ImportError as error:
        message = f"{database.label}: databases need their drivers: pip install 'expose[sql]'"
        raise MissingExtraError(message) from error


@contextmanager
def answering(database: Database) -> Iterator[None]:
    """Say what a driver says in one line, without passwords, and without repeating the query."""
    try:
        yield
    except (FileNotFoundError, InputError, MissingExtraError, BrokenPipeError):
        raise
    except Exception as error:
        if not (isinstance(error, OSError | pa.ArrowException) or type(error).__module__.startswith("adbc_")):
            raise
        raise InputError(f"{database.label}: {_said(error)}") from None  # the driver's may hold a password


def _said(error: Exception) -> str:
    text = _NOISE.sub("", _ECHO.sub("", without_passwords(str(error)))).strip()
    if re.search("URI|percent-encoded", text):  # what is quoted is a piece of the address, perhaps of a password
        text = re.sub('"[^"]*"', '"***"', text)
    advice = [way for pattern, way in _ADVICE.items() if re.search(pattern, text)]
    text = " ".join(text.split())
    return " ".join([text if text.endswith((".", "?")) else f"{text}.", *advice])


def _tables_of(database: Database) -> str:
    """Say which tables there are, if that can be found out."""
    with suppress(InputError), connected(database) as connection, answering(database), connection.cursor() as cursor:
        found = cursor.execute(database.tables).fetchall()
        usual = {None, "public"}
        names = [without_quotes(TableName(None if schema in usual else schema, name)) for schema, name in found]
        return f"It has the tables {listing(names, 20)}." if names else "It has no tables."
    return ""


def without_quotes(table: TableName) -> str:
    """A table as people write it."""
    return ".".join(part for part in table if part is not None)


# ------------------------------------------------------------------------------------------------------ writing


class NewTable:
    """Takes Arrow tables into a table that nobody else sees before the last one."""

    closed = False

    def __init__(self, database: Database, connection: Any) -> None:
        self._database, self._connection = database, connection
        self._started = False

    def write_table(self, table: Any) -> None:
        """Append rows; the first ones make the table."""
        place = target_of(self._database)
        with answering(self._database), self._connection.cursor() as cursor:
            cursor.adbc_ingest(
                place.name,
                pa.table([self._taken(column) for column in table.columns], names=table.column_names),
                mode="append" if self._started else "create",
                **({"temporary": True} if self._database.waiting else {"db_schema_name": place.schema}),
            )
        self._started = True

    def _taken(self, column: Any) -> Any:
        return column.cast(pa.string()) if any(test(column.type) for test in self._database.refused) else column

    def flush(self) -> None:
        """Bring rows that waited to where they belong."""
        if self._database.waiting:
            place = target_of(self._database)
            waiting = TableName("temp", place.name).sql
            with answering(self._database), self._connection.cursor() as cursor:
                cursor.execute(f"create table {_full(place).sql} as select * from {waiting} order by rowid")


@contextmanager
def new_table(address: str) -> Iterator[NewTable]:
    """Open a table of a database for rows; it is there when all are written, or not at all.

    Raises
    ------
    InputError
        When the address names no table, or there is one of that name.
    """
    database = database_of(address)
    target_of(database)
    existed = database.exists()
    try:
        with connected(database, writing=True) as connection:
            yield NewTable(database, connection)
            with answering(database):
                connection.commit()
    except BaseException:
        if not existed:
            database.remove()
        raise


def check_new_table(address: str, option: str = "--out") -> None:
    """Refuse a table that could not be made, before there is anything to write: it is made, and undone."""
    database = database_of(address)
    place = target_of(database)
    if not database.exists():
        database.address(writing=True)
        return
    try:
        with connected(database, writing=True) as connection, answering(database), connection.cursor() as cursor:
            cursor.execute(f"create table {_full(place).sql if database.waiting else place.sql} (expose integer)")
    except InputError as error:
        there = " Name another, or drop it first." if "already exists" in str(error) else ""
        raise InputError(f"{option}: the table {without_quotes(place)!r} cannot be made. {error}{there}") from None


def target_of(database: Database) -> TableName:
    """The table that rows go to, which must have been named."""
    if database.table is None:
        raise InputError(f"{database.label}: name the table to write to behind a #, such as {database.label}#scores.")
    return database.table


def _full(place: TableName) -> TableName:
    return TableName(place.schema or "main", place.name)
