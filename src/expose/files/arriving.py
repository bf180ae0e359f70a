"""Rows of text that arrive one after another, on a pipe say: each is read when its line has ended.

What a file would be refused for is one row's affair here: a line that cannot be read is named, and the next is read.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from expose.errors import CountedWarning, InputError
from expose.files.delimited import Likeness, as_table
from expose.files.dialect import Dialect
from expose.files.jsonlines import cells_of, parsed
from expose.files.layout import Layout, blanked, find_layout
from expose.files.lines import COLUMN
from expose.files.looks import refuse_by_look
from expose.files.writing import as_csv

LABEL: Final = "standard input"
LONGEST: Final = 2**23  # bytes of a line
MOST_LINES: Final = 100  # of one value in quotes
_END: Final = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_BINARY: Final = (
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04", b"PK\x05\x06",
    b"\xd0\xcf\x11\xe0", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff",
)  # fmt: skip
_MARK: Final = b"\xef\xbb\xbf"
_SEP: Final = re.compile(r'"?sep=.', re.IGNORECASE)

HEADER: Final = "{count} line(s) repeat the header: left out"
LACKING: Final = "{count} object(s) lack columns, which count as missing ({examples})"
FURTHER: Final = "{count} object(s) hold keys that the first one had not: left out ({examples})"


class Unreadable(NamedTuple):
    """A line that cannot be read: which one, and why."""

    line: int
    reason: str


def why_not(head: bytes, dialect: Dialect) -> str:
    """Why what begins so cannot be read line by line; empty if it can.

    >>> why_not(b"when,bar", Dialect()), why_not(b"PAR1", Dialect())
    ('', 'it is packed or binary')
    """
    if any(head.startswith(mark) for mark in _BINARY):
        return "it is packed or binary"
    if head.removeprefix(_MARK).lstrip().startswith(b"["):
        return "it is one JSON list"
    encoding = dialect.encoding or "utf-8"
    if "\n\r,".encode(encoding).removeprefix(_MARK) != b"\n\r,":
        return f"its encoding is {encoding}"
    return ""


class Incoming:
    r"""Lines to rows.

    Parameters
    ----------
    dialect : Dialect
    check : callable
        Takes names of columns, and raises InputError where rows of them are not wanted.
    wanted : sequence of str
        Columns that objects of JSON may lack.
    lines : bool
        Whether each line is a value as it is.
    head : str
        What the stream began with before a break: lines until the names of the columns, or a JSON list of keys.

    Attributes
    ----------
    form : {"", "csv", "json", "lines"}
        Empty as long as nothing came.
    names : tuple of str
    head : str
        For another `Incoming` that goes on after a break.
    number : int
        Lines that came.

    Examples
    --------
    >>> incoming = Incoming(Dialect(), lambda names: None)
    >>> [table.to_pylist() for table in incoming.take(b"bar,heat\n1,2\n3")]
    [[{'bar': '1', 'heat': '2'}]]
    >>> [piece for piece in incoming.take(b",4,5\n")]
    [Unreadable(line=3, reason="expected 2 values as in the header, got 3: '3,4,5'")]
    """

    def __init__(
        self,
        dialect: Dialect,
        check: Callable[[Sequence[str]], Any],
        wanted: Sequence[str] = (),
        *,
        lines: bool = False,
        head: str = "",
    ) -> None:
        self.dialect, self.check, self.wanted = dialect, check, wanted
        self.form, self.number, self.head = "lines" if lines else "", 0, ""
        self.names: tuple[str, ...] = (COLUMN,) if lines else ()
        self._before = head
        self._bytes = b""  # of a line that has not ended
        self._held: list[str] = []  # lines that are not rows yet: at the top, or of a value in quotes
        self._layout: Layout | None = None
        self._above = 0  # records until the first row
        self._title: list[str] | None = None  # the header
        csv.field_size_limit(max(LONGEST, csv.field_size_limit()))  # of the process; it cannot be set for one reader

    # -------------------------------------------------------------------------------------------- bytes to lines

    def take(self, data: bytes, *, end: bool = False) -> Iterator[Any]:
        """Arrow tables of rows, all of text, and `Unreadable` for lines that are none, in the order of the lines."""
        ends = _END.split(self._bytes + data)
        self._bytes = b"" if end else ends.pop()
        if end and ends and not ends[-1]:
            ends.pop()
        too_long = len(self._bytes) > LONGEST
        rows: list[Sequence[str | None]] = []
        for piece in self._pieces(ends, end):
            if isinstance(piece, Unreadable):
                if rows:
                    yield as_table(rows, self.names, self._unset)
                rows = []
                yield piece
            else:
                rows.append(piece)
        if rows:
            yield as_table(rows, self.names, self._unset)
        if too_long:
            self._bytes = b""
            yield Unreadable(self.number + 1, f"longer than {LONGEST:,} bytes")

    @property
    def begun(self) -> bytes:
        """What came of lines that have not ended, or make no row yet."""
        return "".join(f"{line}\n" for line in self._held).encode() + self._bytes

    @property
    def kept_head(self) -> str:
        """What an `Incoming` has to know that goes on after a break."""
        return self.head or self._before

    def starts_anew(self, data: bytes) -> bool:
        """Whether what comes after a break begins with the names of the columns again."""
        first = self._before.splitlines()[:1]
        return bool(first) and _END.split(data.removeprefix(_MARK))[0] == first[0].encode(
            self.dialect.encoding or "utf-8"
        )

    @property
    def _unset(self) -> str:
        return self._layout.unset if self._layout else ""

    def _pieces(self, lines: Sequence[bytes], end: bool) -> Iterator[Any]:
        """Rows, and lines that are none."""
        for place, raw in enumerate(lines):
            self.number += 1
            try:
                line = raw.removeprefix(_MARK if self.number == 1 else b"").decode(self.dialect.encoding or "utf-8")
                line = line.removesuffix("\r")
                if "\0" in line:
                    raise InputError("it holds a zero byte")
            except (UnicodeError, InputError) as error:
                yield Unreadable(self.number, str(error))
                continue
            if not self.form:
                self._found_form(line)
            if self.form == "lines":
                yield [line.strip("\ufeff \t\r\n")]
            elif self.form == "json":
                yield from self._of_json(line)
            elif self.form == "csv":
                yield from self._of_csv(line, lines[place + 1 :])
        if end and self._held and self._layout is not None:
            yield from self._unclosed("a quote opens there that never closes")

    def _found_form(self, line: str) -> None:
        """Tell what comes from the first line that holds something."""
        if not line.strip():
            return
        self.form = "json" if line.lstrip().startswith("{") and self.dialect.delimiter is None else "csv"
        if self.form == "csv":
            refuse_by_look(line.encode(), LABEL)
        if self._before.startswith("["):
            if self.form == "json":
                self._named(json.loads(self._before))
        elif self._before and self.form == "csv" and line != self._before.splitlines()[0]:
            for one in self._before.splitlines():  # rows go on where they were broken off
                list(self._of_csv(one, []))

    # ------------------------------------------------------------------------------------------------------ JSON

    def _of_json(self, line: str) -> Iterator[Any]:
        if not line.strip("\ufeff \t"):
            return
        try:
            place = f"line {self.number}"
            cells = cells_of(parsed(line, LABEL, place), LABEL, place, self.dialect.commas)
        except InputError as error:
            yield Unreadable(self.number, str(error).removeprefix(f"{LABEL}, line {self.number}: "))
            return
        if not self.names:
            known = [name for name in self.wanted if name in cells]
            self._named([*cells, *(name for name in self.wanted if name not in cells and known)])
        self._compare(cells)
        yield [cells.get(name) for name in self.names]

    def _named(self, names: Sequence[str]) -> None:
        self.check(names)
        self.names, self.head = tuple(names), json.dumps([*names])

    def _compare(self, cells: Mapping[str, str]) -> None:
        if lacking := [name for name in self.names if name not in cells]:
            warnings.warn(CountedWarning(LACKING, 1, lacking), stacklevel=2)
        if further := [name for name in cells if name not in self.names]:
            warnings.warn(CountedWarning(FURTHER, 1, further), stacklevel=2)

    # ------------------------------------------------------------------------------------------------ delimited

    def _of_csv(self, line: str, following: Sequence[bytes]) -> Iterator[Any]:
        if self._layout is None:
            self._held.append(line)
            if self._is_record(line):
                yield from self._begin(following)
            return
        if not self._held and self._is_no_record(line):
            return
        self._held.append(line)
        yield from self._record()

    def _is_record(self, line: str) -> bool:
        """Whether a line at the top holds names or values."""
        comment = "#" if self.dialect.comment is None else self.dialect.comment
        no_comment = not comment or not line.startswith(comment)
        return len(self._held) > self.dialect.skip_lines and bool(line.strip()) and no_comment and not _SEP.match(line)

    def _is_no_record(self, line: str) -> bool:
        assert self._layout is not None
        comment = self._layout.comment
        blank = not line.strip(" \r") and (self._layout.header.width > 1 or self._above > 0)
        return blank or bool(comment and line.startswith(comment))

    def _begin(self, following: Sequence[bytes]) -> Iterator[Any]:
        """Find how rows are written, by the lines until the header, or by more that have come."""
        top, self._held = self._held, []
        self._layout = self._found_layout(top, [one.decode("utf-8", "replace") for one in following[:200] if one])
        self.names, self._above = self._layout.header.names, self._layout.header.above
        self.head = "".join(f"{line}\n" for line in top) if self._above else ""
        for line in top[self._layout.skip :]:
            if self._held or not self._is_no_record(line):
                self._held.append(line)
                yield from self._record()

    def _found_layout(self, top: Sequence[str], following: Sequence[str]) -> Layout:
        """The layout by which the first lines are rows."""
        by_header, wrong = None, None
        try:
            by_header = find_layout("\n".join(top), self.dialect, LABEL)
            self.check(by_header.header.names)
            if 2 * sum(_is_row(by_header, line) for line in following) >= len(following):
                return by_header
        except InputError as error:
            wrong = error
        try:
            found = find_layout("\n".join([*top, *following]), self.dialect, LABEL)
            self.check(found.header.names)
        except InputError:
            if wrong is not None or by_header is None:
                raise
            return by_header
        return found

    def _record(self) -> Iterator[Any]:
        """The row that the lines which are held make, if they make one."""
        assert self._layout is not None
        try:
            cells = _cells(self._layout, self._held)
        except csv.Error as error:
            yield from self._unclosed(f"cannot be read: {error}")
            return
        if cells is None:  # a quote is open
            likeness = Likeness(self._layout)
            if self._is_much_held or any(map(likeness.is_row, self._held[1:])):
                yield from self._unclosed("a quote opens there that does not close")
            return
        if len(self._held) > 1 and Likeness(self._layout).are_rows(self._held):
            yield from self._unclosed("a quote opens there, and closes in lines that look like rows")
            return
        first, self._held = self._held[0], []
        yield from self._row(cells, first)

    @property
    def _is_much_held(self) -> bool:
        return len(self._held) >= MOST_LINES or sum(map(len, self._held)) > LONGEST

    def _row(self, cells: list[str], line: str) -> Iterator[Any]:
        assert self._layout is not None
        header = self._layout.header
        if self._above:
            self._above -= 1
            self._title = cells
        elif cells == self._title:
            warnings.warn(CountedWarning(HEADER, 1), stacklevel=2)
        elif len(cells) == header.width or (header.width == 1 and not cells):
            yield cells or [""]
        else:
            values = "1 value" if header.width == 1 else f"{header.width} values"
            reason = f"expected {values} as in the header, got {len(cells)}: {line[:80]!r}"
            yield Unreadable(self.number, reason)

    def _unclosed(self, reason: str) -> Iterator[Any]:
        """Leave the first of the lines that are held, and read the others as if it had not been."""
        first, *others = self._held
        self._held, self.number = [], self.number - len(others)
        yield Unreadable(self.number, f"{reason}: {first[:80]!r}")
        for line in others:
            self.number += 1
            yield from self._of_csv(line, [])


def _is_row(layout: Layout, line: str) -> bool:
    try:
        return len(_cells(layout, [line]) or ()) == layout.header.width
    except csv.Error:
        return False


def _cells(layout: Layout, lines: Sequence[str]) -> list[str] | None:
    """Values of the record that lines make; None where a quote is open."""
    given = [f"{blanked(line)[:-1] if layout.delimiter == ' ' else line}\n" for line in lines]
    try:
        cells: list[str] = next(layout.reader(given), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        raise
    return cells


# --------------------------------------------------------------------------------------------------- answers


def as_lines(table: pa.Table, form: str, *, header: bool = False, spreadsheet_safe: bool = False) -> bytes:
    r"""Rows as lines: CSV, with a line of names above if wanted, or JSON.

    >>> as_lines(pa.table({"pump": ["a"], "anomaly_score": [None]}), "json")
    b'{"pump": "a", "anomaly_score": null}\n'
    >>> as_lines(pa.table({"pump": ["a"], "anomaly_score": [1.5]}), "csv", header=True)
    b'"pump","anomaly_score"\n"a",1.5\n'
    """
    if form == "json":
        return "".join(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in table.to_pylist()).encode()
    return as_csv(table, header=header, spreadsheet_safe=spreadsheet_safe)
