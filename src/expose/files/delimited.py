"""Delimited text, strictly: every row is read or named in an error, each cell as it stands.

Python's own reader does the parsing. It is slower than pyarrow's and loses nothing: pyarrow takes all rows after a
quote that never closes for one value (`docs/notes/borrowed.md`).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from expose.errors import InputError
from expose.files.dialect import Dialect
from expose.files.layout import Layout, blanked, find_layout
from expose.files.origins import Origin

LONGEST: Final = 64 * 2**20  # characters of a line or a value; a lone quote would make one value of gigabytes
BLOCK: Final = 8 * 2**20  # characters of text made one table
PART: Final = 2**19  # and of what is Python objects at a time
_HEADS: Final = (2**16, 2**20, 2**24)  # bytes looked at first: more where rows are long
_ENOUGH_LINES: Final = 20
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_ADVICE: Final = (
    "name the right encoding, for example encoding='cp1252' (Windows, Excel), 'latin-1' or 'utf-16' "
    "(on the command line --encoding)"
)


class Delimited:
    """One file of delimited text.

    Attributes
    ----------
    label : str
    names : tuple of str
    notes : tuple of str
        How it is written, where that is not as in most files.
    """

    def __init__(self, origin: Origin, dialect: Dialect, *, tabs: bool = False) -> None:
        self.origin, self.label = origin, origin.label
        self.encoding, text, truncated = sample(origin, dialect.encoding)
        csv.field_size_limit(max(LONGEST, csv.field_size_limit()))  # of the process; it cannot be set for one reader
        self.layout = find_layout(text, dialect, self.label, truncated=truncated, tabs=tabs)
        self.names = self.layout.header.names
        self.notes = (*_of_encoding(self.encoding, dialect), *self.layout.notes)

    def schema(self) -> Any:
        """Every column is text."""
        return pa.schema([(name, pa.string()) for name in self.names])

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of these columns, a block at a time."""
        with opened_text(self.origin, self.encoding) as text:
            rows = Rows(text, self.layout, self.label)
            while table := self._table(rows, names, batch_rows):
                yield table

    def _table(self, rows: Rows, names: Sequence[str], batch_rows: int) -> Any:
        """The next rows as a table, of parts that fit into a processor's cache as Python objects; None at the end."""
        parts: list[Any] = []
        n_rows, first = 0, rows.size
        while n_rows < batch_rows and rows.size < first + BLOCK and (part := rows.take(batch_rows - n_rows)):
            parts.append(as_table(part, self.names, self.layout.unset).select(names))
            n_rows += len(part)
        return pa.concat_tables(parts) if parts else None


def _of_encoding(found: str, dialect: Dialect) -> list[str]:
    usual = dialect.encoding is not None or found in ("utf-8", "utf-8-sig")
    return [] if usual else [f"encoding {found}, by the byte order mark"]


def as_table(rows: Sequence[Sequence[str | None]], names: Sequence[str], unset: str = "") -> Any:
    """Rows as an Arrow table of text; cells further right than the names are left out, empty ones are null."""
    columns = [pa.array(column, pa.string()) for column in list(zip(*rows, strict=True))[: len(names)]]
    nothing = pa.array(["", unset] if unset else [""])
    return pa.table([pc.if_else(pc.is_in(one, nothing), None, one) for one in columns], names=list(names))


# ----------------------------------------------------------------------------------------------- bytes to text


def sample(origin: Origin, encoding: str | None) -> tuple[str, str, bool]:
    """The encoding of a file, the text that it begins with, and whether more follows."""
    for size in _HEADS:
        head = origin.head(size)
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
        said = encoding if encoding is None or not encoding.lower().startswith("utf") else None
        name = said or marked or encoding or "utf-8"  # a mark says more than "utf-16" does
        truncated = len(head) == size
        text = _decoded(head, name, origin.label, truncated)
        if not truncated or len(re.findall(r"\r\n?|\n", text)) > _ENOUGH_LINES:
            break
    if "\0" in text:
        line = 1 + len(re.findall(r"\r\n?|\n", text[: text.index("\0")]))
        raise InputError(f"{origin.label}, line {line}: holds zero bytes, so it is no text in {name}; {_ADVICE}.")
    return name, text, truncated


def _decoded(head: bytes, encoding: str, label: str, truncated: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=not truncated)
    except UnicodeError as error:
        raise undecodable(error, 1, encoding, label) from None


def undecodable(error: UnicodeError, line: int, encoding: str, label: str) -> InputError:
    """An error that names the line: `line` is that where the bytes begin that could not be decoded."""
    if not isinstance(error, UnicodeDecodeError):
        return InputError(f"{label}: is not in encoding {encoding!r} ({error}); {_ADVICE}.")
    before = error.object[: error.start].decode(encoding, errors="replace")
    where = line + len(re.findall(r"\r\n?|\n", before))
    shown = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else f"text in {encoding}"
    what = f"byte 0x{error.object[error.start]:02x} is not valid {shown}"
    return InputError(f"{label}, line {where}: {what}; {_ADVICE}.")


@contextmanager
def opened_text(origin: Origin, encoding: str) -> Iterator[IO[str]]:
    """A file as text, with its line ends as they are."""
    with origin.opened() as stream:
        yield io.TextIOWrapper(stream, encoding=encoding, newline="")


# -------------------------------------------------------------------------------------------- lines to records


class Rows:
    """The rows of a text, checked: each has as many values as the header says, or an error names its line."""

    def __init__(self, text: IO[str], layout: Layout, label: str) -> None:
        self.layout, self.label = layout, label
        self.single = layout.header.width == 1
        self._read_line, self._encoding = partial(text.readline, LONGEST), getattr(text, "encoding", "utf-8")
        self.size = 0  # characters, of the first line of each row
        self._number = 0  # lines read so far
        self._start = 0  # the line where the record began
        self._held: list[str] = []  # the lines of the record
        self._above = layout.header.above  # records left before the first row
        self._reader = layout.reader(self._lines())
        self._likeness: Likeness | None = None

    def take(self, most: int) -> list[list[str]]:
        """The next rows, about `PART` characters of them; empty at the end."""
        rows: list[list[str]] = []
        end = self.size + PART
        while self.size < end and len(rows) < most and (record := self._next()) is not None:
            rows.append(record)
            self.size += len(self._held[0])
        return rows

    def _next(self) -> list[str] | None:
        while True:
            self._held.clear()
            try:
                record: list[str] = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                raise InputError(self._of_parsing(str(error))) from error
            except UnicodeError as error:
                raise undecodable(error, self._number + 1, self._encoding, self.label) from None
            if self._above:
                self._above -= 1
                continue
            if len(record) != self.layout.header.width:
                if not (self.single and not record):
                    raise InputError(self._of_width(record))
                record = [""]
            if len(self._held) > 1:
                self._check_lines(record)
            if len(record) > len(self.layout.header.names):
                self._check_nameless(record)
            return record

    def _lines(self) -> Iterator[str]:
        """Lines that belong to records; Python's reader asks for one after the other."""
        skip, comment, blanks = self.layout.skip, self.layout.comment, self.layout.delimiter == " "
        for line in iter(self._read_line, ""):
            self._number += 1
            if self._number <= skip:
                continue
            if "\0" in line or len(line) >= LONGEST:
                raise InputError(self._of_line(line))
            if not self._held:  # not inside of a quoted value
                if comment and line.startswith(comment):
                    self._check_comment(line)
                    continue
                if line[0] in " \r\n" and not line.strip(" \r\n") and not (self.single and not self._above):
                    continue
                self._start = self._number
            self._held.append(line)
            yield blanked(line) if blanks and len(self._held) == 1 else line

    # ---------------------------------------------------------------------------------------- what is wrong

    def _place(self) -> str:
        if len(self._held) > 1:
            return f"{self.label}, lines {self._start} to {self._number}"
        return f"{self.label}, line {self._start}"

    def _quoted_from(self) -> int:
        """The line where the last quote opened of the record that is being read."""
        opened, quotes = self._start, 0
        for place, line in enumerate(self._held):
            if quotes % 2 == 0 and line.count('"') % 2:
                opened = self._start + place
            quotes += line.count('"')
        return opened

    def _of_parsing(self, reason: str) -> str:
        shown = _shown((self._held or [""])[-1])
        if "unexpected end" in reason or "field limit" in reason:
            line = self._quoted_from()
            begins = _shown(self._held[line - self._start] if self._held else "")
            how = "never closes" if "end" in reason else f"is not closed within {LONGEST:,} characters"
            return (
                f"{self.label}, line {line}: a quote opens there that {how}: {begins}. Close it, or write a quote "
                'that belongs to a value twice, and quote that value: "5"" pipe".'
            )
        if "expected after" in reason:
            return (
                f"{self._place()}: a quoted value ends before its cell does: {shown}. Write a quote that belongs to "
                'a value twice ("a ""b"" c"), and look for a quote above that is not closed.'
            )
        return f"{self._place()}: cannot be read: {reason}: {shown}."

    def _of_width(self, record: Sequence[str]) -> str:
        width, delimiter = self.layout.header.width, self.layout.delimiter
        values = "1 value" if width == 1 else f"{width} values"
        message = f"{self._place()}: expected {values} as in the header, got {len(record)}: {_shown(self._held[0])}."
        if len(self._held) > 1:
            return f"{message} Is a quote not closed that opens in line {self._quoted_from()}?"
        if len(record) < width:
            return (
                f"{message} Complete the row, or delete it if it is none, such as a total; lines that are no rows may "
                "begin with a mark of their own (--comment), those at the top can be skipped (--skip-lines)."
            )
        return f"{message} Quote values that hold a {delimiter!r}, or name another delimiter (--delimiter)."

    def _of_line(self, line: str) -> str:
        if "\0" in line:
            return f"{self.label}, line {self._number}: holds a zero byte, so it is no text. Fetch the file again."
        return f"{self.label}, line {self._number}: is longer than {LONGEST:,} characters. Is it a table of text?"

    def _check_comment(self, line: str) -> None:
        """Refuse to leave out what may be a row, unless somebody said that these are comments."""
        header = self.layout.header
        if self.layout.sure or self._above or header.width < 2:
            return
        cells: list[str] = next(self.layout.reader([line.replace('"', "")]), [])
        if len(cells) == header.width:
            raise InputError(
                f"{self.label}, line {self._number}: begins with {self.layout.comment!r} as the comments at the top "
                f"do, but has as many values as a row: {_shown(line)}. Say --comment '#' to leave such lines out, or "
                "--comment '' with --skip-lines to keep them."
            )

    def _check_lines(self, record: Sequence[str]) -> None:
        """Refuse a quoted value that holds what look like rows: its quote opened by mistake."""
        self._likeness = self._likeness or Likeness(self.layout)
        if self._likeness.are_rows(self._held):
            line = self._quoted_from() if self._held[-1].count('"') % 2 == 0 else self._start
            raise InputError(
                f"{self._place()}: the quote that opens in line {line} makes one value of lines that look like rows of "
                f"their own: {_shown(self._held[0])}. Close that quote; a quote that belongs to a value is written "
                'twice, and the value quoted: "5"" pipe".'
            )

    def _check_nameless(self, record: Sequence[str]) -> None:
        names = self.layout.header.names
        filled = [place for place in range(len(names), len(record)) if record[place].strip()]
        if filled:
            raise InputError(
                f"{self._place()}: column {filled[0] + 1} has no name and was empty in the first rows, but holds "
                f"{record[filled[0]][:80]!r}. Name it in the header."
            )


def _shown(line: str) -> str:
    """A line for a message."""
    return repr(line.rstrip("\r\n")[:80])


class Likeness:
    """What rows of a file look like: by column, the makes of its cells."""

    FEW = 32  # where there are more makes, a column is free text

    def __init__(self, layout: Layout) -> None:
        width = layout.header.width
        plain = [cells for cells in layout.samples if len(cells) == width and not any("\n" in cell for cell in cells)]
        self.delimiter, self.width = layout.delimiter, width
        self.known = [{make_of(cell) for cell in column} for column in zip(*plain, strict=True)]

    def are_rows(self, lines: Sequence[str]) -> bool:
        """Whether more than half of the lines of one record look like rows."""
        if self.width < 2:
            return False
        fitting = sum(self.is_row(line) for line in lines)
        return fitting > len(lines) / 2 if self.known else self.width > 2 and len(lines) > 2 and fitting == len(lines)

    def is_row(self, line: str) -> bool:
        """Whether a line, without its quotes, has the values of a row."""
        cells = line.strip("\r\n").replace('"', "").split(self.delimiter)
        if len(cells) != self.width or not any(cells):
            return False
        return not self.known or all(map(self._fits, cells, self.known))

    def _fits(self, cell: str, makes: set[str]) -> bool:
        return not cell or make_of(cell) in makes or (len(makes) > self.FEW and not cell.startswith(" "))


def make_of(cell: str) -> str:
    """How a cell is made: runs of digits and of letters by one sign each.

    >>> make_of("12.50"), make_of("New York"), make_of("ab12-x")
    ('0.0', 'a a', 'a0-a')
    """
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell))
