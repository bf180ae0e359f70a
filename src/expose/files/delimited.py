"""CSV and TSV, block by block: types settled over the whole file, memory bounded, errors that name the line.

A file is cut into blocks at line ends, each parsed by pyarrow. A first pass over a file of more than one
block widens the types it finds (whole numbers to fractions, dates to times, anything else to text), so that
the second pass never meets a value its type cannot hold.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.csv as arrow_csv

from expose.errors import InputError
from expose.files.names import listing

BLOCK_BYTES: Final = 8 * 2**20
LONGEST_ROW: Final = 64 * 2**20
_DELIMITERS: Final = (",", ";", "\t", "|")
_NULLS: Final = (
    "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "-nan", "NAN", "None", "none",
    "NaT", "?",
)  # fmt: skip


@dataclass
class Delimited:
    """One CSV file: where it is, how it is written, which columns it has."""

    path: Path
    label: str  # its name in messages
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    text: frozenset[str]  # columns never to be taken for numbers
    keep: bool = False  # whether `schema` may keep the rows of a small file for `tables`
    kept: Any = None

    def schema(self) -> Any:
        """Return the Arrow schema that holds every row of the file."""
        found: dict[str, Any] = {}
        for i, table in enumerate(self._parsed(None)):
            self.kept = table if self.keep and i == 0 else None
            for name, new in zip(table.column_names, table.schema.types, strict=True):
                found[name] = widest(found.get(name), new)
        return pa.schema(found)

    def tables(self, schema: Any, batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of this schema, which holds them all; a block at a time."""
        del batch_rows  # a block is small already
        if self.kept is None:
            yield from self._parsed(schema)
        else:
            yield self.kept.select(schema.names)

    def _parsed(self, schema: Any | None) -> Iterator[Any]:
        line, header = 1, True
        with _opened(self.path, self.encoding, self.label) as stream:
            for block in _blocks(stream, BLOCK_BYTES):
                _check_utf8(block, line, self.label)
                start = _first_row_end(block) if header else 0
                yield self._parse(block[start:], schema, line + block.count(b"\n", 0, start))
                line, header = line + block.count(b"\n"), False

    def _parse(self, block: bytes, schema: Any | None, line: int) -> Any:
        guessed = pa.schema(dict.fromkeys((name for name in self.names if name in self.text), pa.string()))
        types = guessed if schema is None else schema
        wanted = self.names if schema is None else schema.names
        if not block.strip(b"\r\n") and (len(self.names) > 1 or not block):
            nothing = {name: pa.null() for name in self.names} | {field.name: field.type for field in types}
            return pa.schema({name: nothing[name] for name in wanted}).empty_table()
        ragged: list[Any] = []

        def keep_first(row: Any) -> str:
            ragged.append(row)
            return "error"

        parse = arrow_csv.ParseOptions(
            delimiter=self.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=len(self.names) > 1,  # in a single column an empty line is a missing value
            invalid_row_handler=keep_first,
        )
        convert = arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(wanted),
            null_values=list(_NULLS), strings_can_be_null=False,
            true_values=["true", "True", "TRUE"], false_values=["false", "False", "FALSE"],
        )  # fmt: skip
        # A block is parsed at once, so threads gain nothing. Arrow's pool, with torch loaded, aborts processes that end
        # right after it was started: a command that refuses a small file ended with 134 instead of 2.
        read = arrow_csv.ReadOptions(column_names=list(self.names), block_size=len(block) + 2, use_threads=False)
        try:
            return arrow_csv.read_csv(io.BytesIO(block), read, parse, convert)
        except pa.ArrowInvalid as error:
            reason = self._ragged(ragged[0], block, line) if ragged else f"{self.label}: not readable as CSV: {error}"
            raise InputError(reason) from error

    def _ragged(self, row: Any, block: bytes, line: int) -> str:
        lines = b"\n" + block.replace(b"\r", b"") + b"\n"
        start = lines.find(b"\n" + row.text.encode() + b"\n")
        where = line + lines.count(b"\n", 1, max(start, 0) + 1)
        return (
            f"{self.label}, line {where}: expected {row.expected_columns} values as in the header, got "
            f"{row.actual_columns}: {row.text[:80]!r}. Quote values that hold a {self.delimiter!r}."
        )


def widest(first: Any | None, second: Any) -> Any:
    """Return the narrowest Arrow type that holds the values of both.

    >>> widest(pa.int64(), pa.float64()), widest(pa.null(), pa.bool_()), widest(pa.int64(), pa.bool_())
    (DataType(double), DataType(bool), DataType(string))
    """
    if first is None or first == second or pa.types.is_null(first):
        return second
    if pa.types.is_null(second):
        return first
    pair = {first, second}
    if pair == {pa.int64(), pa.float64()}:
        return pa.float64()
    moments = {pa.date32(): (None, "s")} | {t: (t.tz, t.unit) for t in pair if pa.types.is_timestamp(t)}
    zones = {moments[arrow_type][0] for arrow_type in pair if arrow_type in moments}
    if all(arrow_type in moments for arrow_type in pair) and len(zones) == 1:
        return pa.timestamp("ns" if any(moments[t][1] == "ns" for t in pair) else "s", tz=zones.pop())
    return pa.string()


def open_delimited(
    path: Path, label: str, *, suffix: str, encoding: str, text: Collection[str], keep: bool
) -> Delimited:
    """Look at the header of a file.

    Raises
    ------
    InputError
        When it is empty, is not in the encoding, or names a column twice.
    """
    with _opened(path, encoding, label) as stream:
        block = next(_blocks(stream, 2**16), b"")
    head = block.lstrip(b"\r\n")
    if not head.strip():
        raise InputError(f"{label}: the file is empty. Expected a header line and one line per row.")
    _check_utf8(block, 1, label)
    line = head.decode().splitlines()[0]
    if "\0" in line:
        raise InputError(f"{label}: holds zero bytes, so it is no text in {encoding}; {_ENCODING_ADVICE}.")
    delimiter = "\t" if suffix == ".tsv" else max(_DELIMITERS, key=line.count)
    names = _header(head.decode(), delimiter, label)
    return Delimited(path, label, encoding, delimiter, names, frozenset(text), keep)


def _header(text: str, delimiter: str, label: str) -> tuple[str, ...]:
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{label}: column names must differ; the header repeats {listing(repeated)}. Rename them.")
    return tuple(names)


# ------------------------------------------------------------------------------------------- bytes and blocks

_ENCODING_ADVICE: Final = (
    "name the right encoding, for example encoding='cp1252' (Windows, Excel), 'latin-1' or 'utf-16' "
    "(on the command line --encoding)"
)


def _check_utf8(block: bytes, line: int, label: str) -> None:
    try:
        block.decode()
    except UnicodeDecodeError as error:
        where = line + block.count(b"\n", 0, error.start)
        raise InputError(
            f"{label}, line {where}: byte 0x{block[error.start]:02x} is not valid UTF-8; {_ENCODING_ADVICE}."
        ) from None


@contextmanager
def _opened(path: Path, encoding: str, label: str) -> Iterator[Any]:
    """Open a file for reading as UTF-8, unpacked if its name says that it is packed."""
    try:
        as_it_is = codecs.lookup(encoding).name in {"utf-8", "ascii", "utf-8-sig"}
    except LookupError:
        raise InputError(f"unknown encoding {encoding!r}; expected for example 'utf-8', 'cp1252', 'utf-16'") from None
    openers: dict[str, Callable[[Any], Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".zst": lambda packed: pa.input_stream(str(packed), "zstd"),
    }
    opener = openers.get(path.suffix.lower(), lambda plain: plain.open("rb"))
    with opener(path) as stream:
        try:
            yield stream if as_it_is else pa.transcoding_input_stream(pa.PythonFile(stream, "r"), encoding, "utf8")
        except UnicodeError as error:
            raise InputError(f"{label}: is not in encoding {encoding!r} ({error}); {_ENCODING_ADVICE}.") from None
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            if getattr(error, "errno", None) is not None:  # the system's, not of unpacking
                raise
            raise InputError(f"{path}: the packed file is damaged or cut short: {error}. Fetch it again.") from error


def _blocks(stream: Any, size: int) -> Iterator[bytes]:
    """Yield blocks of about `size` bytes that end at the end of a row, outside quotes."""
    rest = stream.read(3)
    rest = b"" if rest == codecs.BOM_UTF8 else rest
    while piece := stream.read(size):
        block = rest + piece
        cut = _last_row_end(block)
        if not cut and len(block) > LONGEST_ROW:  # a lone quote mark would make the rest of the file one value
            cut = block.rfind(b"\n") + 1
        if cut:
            yield block[:cut]
        rest = block[cut:]
    if rest:
        yield rest


def _first_row_end(block: bytes) -> int:
    """Return the number of bytes of the header, empty lines before it included."""
    start = len(block) - len(block.lstrip(b"\r\n"))
    end = block.find(b"\n", start) + 1
    while end and block.count(b'"', start, end) % 2:
        end = block.find(b"\n", end) + 1
    return end or len(block)


def _last_row_end(block: bytes) -> int:
    """Return the number of bytes up to the last line end outside quotes, 0 if there is none."""
    cut = block.rfind(b"\n") + 1
    quotes = block.count(b'"', 0, cut)
    while cut and quotes % 2:
        earlier = block.rfind(b"\n", 0, cut - 1) + 1
        quotes -= block.count(b'"', earlier, cut)
        cut = earlier
    return cut


@contextmanager
def spooled(stream: IO[bytes]) -> Iterator[Path]:
    """Keep a stream that can be read only once in a temporary file."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        shutil.copyfileobj(stream, file)
        file.flush()
        yield Path(file.name)
