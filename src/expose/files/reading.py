"""Files and databases to tables: text, JSON Lines, spreadsheets, Parquet, SQL, single or many, whole or in batches."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from expose.errors import InputError
from expose.files.databases import Query, is_database
from expose.files.delimited import Delimited
from expose.files.dialect import Dialect
from expose.files.excel import Excel, is_workbook
from expose.files.jsonlines import JsonLines
from expose.files.looks import refuse_by_look
from expose.files.names import existing, listing
from expose.files.origins import Origin, at_random, names_in, of_members, of_path, of_stdin, spooled
from expose.files.parquet import Parquet
from expose.files.paths import EXCEL_SUFFIXES, PARQUET_SUFFIXES, Source, is_data, paths_of, sheet_of
from expose.stores import Place

_AT_ONCE: Final = 65_536
_WHOLE: Final = 2**20  # rows at a time when the whole table is wanted anyway
_LOOKED_AT: Final = 1_024
_JSON: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[\s*[{\]])')
_ZIP, _OLD_EXCEL, _PARQUET = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0", b"PAR1"


class File(Protocol):
    """One file of a format: what its columns are, and its rows, a few at a time."""

    label: str
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def schema(self) -> Any:
        """Names and types."""
        ...

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """The rows of these columns in order."""
        ...


# ------------------------------------------------------------------------------------------------ read, scan


def read(
    source: Source,
    *,
    columns: Collection[str] | None = None,
    dialect: Dialect | None = None,
    query: str | None = None,
) -> Any:
    r"""Read one or more files as one pyarrow Table.

    Of text files, JSON and spreadsheets all columns are text, cells as they stand in the file, an empty one null: what
    they mean is found where they are encoded. Parquet and databases keep their types.

    Parameters
    ----------
    source : path, glob pattern, folder, list of paths, or "-"
        Delimited text, JSON Lines, Excel (``book.xlsx#Sheet2`` names a sheet) or Parquet, perhaps packed as .zip, .gz,
        .bz2, .xz or .zst; "-" is standard input. What a file holds is found from its content. Also a database,
        ``postgresql://user@host/db#table`` or ``sqlite:///file.db#table``.
    columns : collection of str, optional
        Read only these.
    dialect : Dialect, optional
        How text files are written, as far as that is not to be found.
    query : str, optional
        SQL that is asked of a database that names no table.

    Raises
    ------
    FileNotFoundError
        When nothing is found.
    InputError
        When a file is empty, damaged, in another encoding or format, has no rows, a row cannot be read, or files do not
        agree. There is one row of the table for each row of the file, or an error that names its line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.csv"
    >>> _ = path.write_text("amount;kind\n1,0;a\n2,5;\n")
    >>> read(path).to_pydict()
    {'amount': ['1,0', '2,5'], 'kind': ['a', None]}
    """
    return opened(source, columns=columns, dialect=dialect, query=query).table()


def scan(
    source: Source,
    *,
    batch_rows: int = _AT_ONCE,
    columns: Collection[str] | None = None,
    dialect: Dialect | None = None,
    query: str | None = None,
) -> Iterator[Any]:
    r"""Read files as pyarrow RecordBatches of one schema, in order, in bounded memory.

    A stream is read once, as it comes. Spreadsheets and lists of JSON objects are read whole.

    Parameters
    ----------
    source, columns, dialect, query
        And errors, as in `read`. What can be said of a file before its first row is said at once.
    batch_rows : int
        The most rows in a batch.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.csv"
    >>> _ = path.write_text("amount\n1\n2.5\n4\n")
    >>> [batch.num_rows for batch in scan(path, batch_rows=2)]
    [2, 1]
    """
    return opened(source, columns=columns, dialect=dialect, query=query).batches(batch_rows)


@dataclass(frozen=True)
class Tables:
    """Files that were looked at, and are read as one table.

    Attributes
    ----------
    files : list of File
    schema : pyarrow.Schema
        Of all of them.
    """

    files: list[File]
    schema: Any

    @property
    def notes(self) -> tuple[str, ...]:
        """How they are written, where that is not as in most files; each sentence once."""
        return tuple(dict.fromkeys(note for file in self.files for note in file.notes))

    def table(self) -> Any:
        """All rows."""
        return pa.Table.from_batches(list(self.batches(_WHOLE)))

    def batches(self, batch_rows: int = _AT_ONCE) -> Iterator[Any]:
        """All rows as record batches; there is at least one."""
        n_rows = 0
        for file in self.files:
            for table in file.tables(self.schema.names, batch_rows):
                fitting = table if table.schema == self.schema else _fitted(table, self.schema, file.label)
                for batch in fitting.combine_chunks().to_batches(max_chunksize=batch_rows):
                    n_rows += batch.num_rows
                    if batch.num_rows:
                        yield batch
        if not n_rows:
            raise InputError(f"{listing(f.label for f in self.files)}: there are column names, but no row below them.")


def opened(
    source: Source,
    *,
    columns: Collection[str] | None = None,
    dialect: Dialect | None = None,
    query: str | None = None,
) -> Tables:
    """Look at files before their rows are read; parameters and errors as in `read`."""
    chosen = dialect or Dialect()
    if query is not None:
        check_query([source] if isinstance(source, str | Path) else source)
    if source in ("-", Path("-")):
        files = _files(of_stdin(), "", chosen)
    else:
        places = [source] if isinstance(source, str | Path) or not source else source
        files = [file for place in places for file in _files_from(place, chosen, query)]
    return Tables(files, _common_schema(files, columns))


def _files_from(source: Source, dialect: Dialect, query: str | None) -> list[File]:
    if is_database(source):
        return [Query(str(source), query)]
    return [file for path in paths_of(source) for file in _files_at(path, dialect)]


def check_query(sources: Sequence[Source]) -> None:
    """Refuse a query where there is nothing to be asked."""
    if not any(map(is_database, sources)):
        raise InputError(
            "a query (--query) is asked of a database, and none was named. Expected one such as "
            "postgresql://user@host/db or sqlite:///file.db."
        )


# ---------------------------------------------------------------------------------------------------- formats


def _files_at(path: Place, dialect: Dialect) -> list[File]:
    place, sheet = sheet_of(path)
    return _files(of_path(place), place.name, dialect, sheet)


def _files(origin: Origin, name: str, dialect: Dialect, sheet: str | None = None) -> list[File]:
    """The files that lie under a name: one, or all of an archive. What they hold is told by their first bytes."""
    head, suffix = origin.head(_LOOKED_AT), Path(name.lower()).suffix
    if not head:
        raise InputError(f"{origin.label}: the file is empty.")
    if head.startswith(_PARQUET) or suffix in PARQUET_SUFFIXES:
        return [Parquet(at_random(origin))]
    if head.startswith(_OLD_EXCEL):
        return [Excel(spooled(origin), dialect, sheet)]
    if head.startswith(_ZIP):
        archive = spooled(origin)
        if sheet or suffix in EXCEL_SUFFIXES or is_workbook(names_in(archive)):
            return [Excel(archive, dialect, sheet)]
        return [file for one in of_members(archive, is_data) for file in _files(one, one.label, dialect)]
    refuse_by_look(head, origin.label)
    if _JSON.match(head) and dialect.delimiter is None:
        return [JsonLines(origin, dialect)]
    return [Delimited(origin, dialect, tabs=".tsv" in name.lower() or suffix == ".tab")]


def _common_schema(files: Sequence[File], columns: Collection[str] | None) -> Any:
    """The schema that holds the rows of all files: columns of the first, types as wide as needed."""
    names = files[0].names if columns is None else tuple(existing(columns, files[0].names, "columns"))
    types: dict[str, Any] = dict.fromkeys(names)
    known = frozenset(files[0].names)
    mixed = {isinstance(file, Parquet | Query) for file in files} == {True, False}
    for file in files:
        own = frozenset(file.names)
        missing, extra = [name for name in names if name not in own], [name for name in file.names if name not in known]
        if missing or extra:
            what = f"lacks {listing(missing)}" if missing else f"has {listing(extra)} besides"
            raise InputError(f"files must have the same columns; compared with {files[0].label}, {file.label} {what}.")
        for field in file.schema():
            if field.name in types:
                types[field.name] = pa.string() if mixed else _wider(types[field.name], field, file.label)
    return pa.schema(list(types.items()))


def _wider(known: Any | None, field: Any, label: str) -> Any:
    if known is None or known == field.type:
        return field.type
    pair = [pa.schema([(field.name, arrow_type)]) for arrow_type in (known, field.type)]
    try:
        return pa.unify_schemas(pair, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        types = f"{field.type}, in the files before it {known}"
        raise InputError(f"{label}: column {field.name!r} is {types}. Make them agree.") from error


def _fitted(table: Any, schema: Any, label: str) -> Any:
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{label}: does not fit the files before it: {error}. Make their types agree.") from error
