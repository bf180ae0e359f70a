"""Tables to files, batch by batch: complete under their name, or not there at all."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from expose.atomic import whole_file
from expose.errors import InputError
from expose.files.databases import is_database, new_table
from expose.stores import Place, Stored, place_of

_TABLE: Final = "#"  # in place of a suffix, where rows go to a table of a database
_FORMATS: Final = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
_RUN: Final = r"^([=+\-@\t\r])"  # a cell that begins so is a formula to a spreadsheet
_WRITTEN: Final = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
)  # what the CSV writer of Arrow writes as one would; the others it refuses, or writes as bytes


class Sink:
    """Takes batches of rows, all with the columns of the first one.

    A text file takes every type of Arrow: identifiers (UUID) in their usual form, bytes as text or else in hexadecimal
    digits, lists and structures as JSON.
    """

    def __init__(self, file: Any, suffix: str, *, spreadsheet_safe: bool = False) -> None:
        self._file, self._suffix, self._safe = file, suffix, spreadsheet_safe
        self._writer: Any = None
        self._stack = ExitStack()
        self._schema: Any = None
        self.n_rows = 0

    def write(self, rows: Any) -> None:
        """Append an Arrow table or record batch.

        Raises
        ------
        InputError
            When its columns differ from those of the first one.
        """
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if self._suffix != ".parquet":
            table = _as_text(table, self._safe and self._suffix != _TABLE)
        if self._writer is None:
            self._open(table.schema.remove_metadata())
        self._writer.write_table(self._fitting(table))
        self.n_rows += table.num_rows

    def _open(self, schema: Any) -> None:
        self._schema = schema
        if self._suffix == ".parquet":
            self._writer = self._stack.enter_context(pq.ParquetWriter(self._file, schema, compression="zstd"))
            return
        if self._suffix == _TABLE:
            self._writer = self._file
            return
        file: Any = self._file
        if self._suffix.endswith(".gz"):
            file = self._stack.enter_context(pa.CompressedOutputStream(file, "gzip"))
        options = arrow_csv.WriteOptions(delimiter="\t" if self._suffix.startswith(".tsv") else ",")
        self._writer = self._stack.enter_context(arrow_csv.CSVWriter(file, self._schema, write_options=options))

    def _fitting(self, table: Any) -> Any:
        """Return the rows under the schema of the first ones."""
        table = table.replace_schema_metadata(None)
        if table.schema == self._schema:
            return table
        if table.column_names != self._schema.names:
            raise InputError(f"every batch must have the columns {self._schema.names}; got {table.column_names}")
        try:
            return table.cast(self._schema)
        except pa.ArrowInvalid as error:
            raise InputError(f"a batch does not fit the types of the first one: {error}") from error

    def close(self) -> None:
        """Write what is left."""
        if self._writer is None:
            raise InputError("there was nothing to write: no batch was given")
        self._stack.close()

    def abandon(self) -> None:
        """Close without complaint what can be closed."""
        with suppress(Exception):
            self._stack.close()


def as_csv(table: Any, *, header: bool, spreadsheet_safe: bool = False) -> bytes:
    """Rows of an Arrow table as lines of a text file, as `writer` writes them."""
    file = io.BytesIO()
    arrow_csv.write_csv(_as_text(table, spreadsheet_safe), file, arrow_csv.WriteOptions(include_header=header))
    return file.getvalue()


def _as_text(table: Any, safe: bool) -> Any:
    """Return a table of types that a text file can hold; ``safe``: and of which a spreadsheet runs no cell."""
    columns = [_written(column) for column in table.columns]
    if not safe:
        return pa.table(columns, names=table.column_names)
    names = pc.replace_substring_regex(pa.array(table.column_names, pa.string()), _RUN, r"'\1")
    return pa.table([_unrun(column) for column in columns], names=names.to_pylist())


def _written(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if any(is_written(column.type) for is_written in _WRITTEN):
        return column
    texts = [None if value is None else _text_of(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _unrun(column: Any) -> Any:
    """Put an apostrophe before texts that are formulas to a spreadsheet; numbers stay as they are."""
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return pc.replace_substring_regex(column, _RUN, r"'\1") if text else column


def _text_of(value: Any) -> str:
    """Return a value of a type that no text file has, as text."""
    if isinstance(value, bytes):
        return _text_of_bytes(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_text_of)
    return str(value)


def _text_of_bytes(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


@contextmanager
def writer(target: str | Place, *, spreadsheet_safe: bool = False) -> Iterator[Sink]:
    """Open a file for batches of rows, a `Sink`; it appears under its name only when all are written.

    Parameters
    ----------
    target : str, Path or Stored
        .parquet, .csv, .csv.gz, .tsv or .tsv.gz; "-" writes CSV to standard output. An existing file is
        replaced at the end; on any error it stays as it was, and nothing else is left behind. Also a new table of a
        database, ``postgresql://user@host/db#table`` or ``sqlite:///file.db#table``; one that exists is refused.
    spreadsheet_safe : bool
        Write an apostrophe before texts that begin with =, +, - or @, which a spreadsheet would run as a formula. Only
        in text files; what reads them must take it off again.

    Raises
    ------
    OSError
        When the place cannot be written to, or the disk is full.
    InputError
        When the name does not tell the format, or batches differ in their columns.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> with writer(target) as sink:
    ...     sink.write(pa.table({"row": [0, 1], "anomaly_score": [0.5, 2.0]}))
    >>> target.read_text().splitlines()
    ['"row","anomaly_score"', '0,0.5', '1,2']
    """
    if str(target) == "-":
        with _filled(sys.stdout.buffer, ".csv", spreadsheet_safe) as sink:
            yield sink
        return
    if is_database(target):
        with new_table(str(target)) as table, _filled(table, _TABLE, spreadsheet_safe) as sink:
            yield sink
        return
    place = place_of(target)
    if isinstance(place, Stored):
        suffix = _format(place)
        with whole_file(place) as file, _filled(file, suffix, spreadsheet_safe) as sink:
            yield sink
        return
    path = Path(os.path.realpath(place))  # a link stays a link
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe cannot be replaced
        with _naming(path), path.open("wb") as device, _filled(device, _format(path, ".csv"), spreadsheet_safe) as sink:
            yield sink
        return
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder. Name a file in it.")
    suffix = _format(path)
    with whole_file(path) as file, _filled(file, suffix, spreadsheet_safe) as sink:
        yield sink


def check_format(target: str | Place) -> None:
    """Refuse a name that does not tell the format, before there is anything to write; InputError as `writer`."""
    if str(target) == "-" or is_database(target):
        return
    path = place_of(target)
    if isinstance(path, Stored) or path.is_file() or not path.exists():
        _format(path)


def _format(path: Place, default: str = "") -> str:
    suffix = next((suffix for suffix in _FORMATS if path.name.lower().endswith(suffix)), default)
    if not suffix:
        raise InputError(f"{path}: cannot tell the format from the name; expected one of {', '.join(_FORMATS)}")
    return suffix


@contextmanager
def _filled(file: Any, suffix: str, safe: bool) -> Iterator[Sink]:
    """Give a sink over an open file, and see to it that all bytes are out."""
    sink = Sink(file, suffix, spreadsheet_safe=safe)
    try:
        yield sink
        sink.close()
        if not file.closed:  # packing closes it
            file.flush()
    finally:
        sink.abandon()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in errors of the system which file could not be written."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"Cannot write {path}: {error.strerror or error}") from error
