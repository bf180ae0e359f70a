"""How one text file is written, found from its first lines where nobody said it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from expose.errors import InputError
from expose.files.dialect import Dialect
from expose.files.header import Header, Record, find_header, is_value, usual_width
from expose.files.names import listing

STRONG: Final = ("\t", ";", "|", "~", ",")  # of two that fit alike the first: commas are in numbers and prose too
WEAK: Final = (" ", ":")  # only where every line fits and a column holds numbers
_SEP: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_FIELDS: Final = re.compile(r"#\s*fields:?([\t ])\s*", re.IGNORECASE)  # logs of Zeek and of web servers
_UNSET: Final = re.compile(r"#unset_field[\t ](\S+)", re.IGNORECASE)
_SPELLED: Final = {"\t": "tab", " ": "blanks"}
_SAMPLED: Final = 1_000


class Style(NamedTuple):
    """How values are quoted: with backslashes before quotes, as in dumps of databases; with blanks before quotes."""

    escaped: bool = False
    spaced: bool = False


_PLAIN: Final = Style()


@dataclass(frozen=True)
class Layout:
    """How a file is written: what `Delimited` reads it by.

    Attributes
    ----------
    delimiter : str
        A blank stands for runs of blanks and tabs.
    skip : int
        Lines at the top that are not looked at.
    comment, sure : str, bool
        What comment lines begin with, "" for none, and whether somebody said so.
    style : Style
        How values are quoted.
    header : Header
    unset : str
        What stands for a missing value, as the file itself says; "" if it says nothing.
    samples : tuple of list of str
        The first rows.
    notes : tuple of str
    """

    delimiter: str
    skip: int
    comment: str
    sure: bool
    style: Style
    header: Header
    unset: str
    samples: tuple[list[str], ...]
    notes: tuple[str, ...]

    def reader(self, lines: Any) -> Any:
        """Records of lines, strictly."""
        return reader_of(lines, self.delimiter, self.style, strict=True)


def reader_of(lines: Any, delimiter: str, style: Style = _PLAIN, strict: bool = False) -> Any:
    """Python's reader; of runs of blanks one is one delimiter."""
    return csv.reader(
        lines,
        delimiter=delimiter,
        escapechar="\\" if style.escaped else None,
        skipinitialspace=style.spaced or delimiter == " ",
        strict=strict,
    )


class _Top(NamedTuple):
    """What comes before the records: lines not looked at, comments, and what they say."""

    skip: int
    delimiter: str | None = None
    comment: str = ""
    fields: tuple[str, ...] = ()
    unset: str = ""


def find_layout(text: str, dialect: Dialect, label: str, *, truncated: bool = False, tabs: bool = False) -> Layout:
    r"""Find how a file is written from the text that it begins with.

    Parameters
    ----------
    text : str
    dialect : Dialect
        What is known.
    label : str
        Of the file, for messages.
    truncated : bool
        Whether more follows.
    tabs : bool
        Whether the name of the file says that tabs delimit.

    Raises
    ------
    InputError
        When the file is empty, or its header cannot be; see `find_header`.

    Examples
    --------
    >>> found = find_layout("# by a sensor\nt;v\n1;2,5\n2;3,5\n", Dialect(), "d.csv")
    >>> found.delimiter, found.comment, found.header.names
    (';', '#', ('t', 'v'))
    """
    lines = list(io.StringIO(text, newline=""))
    lines = lines[:-1] if truncated and len(lines) > 1 else lines
    top = _top(lines, dialect)
    numbered = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if number > top.skip and line.strip(" \r\n") and not (top.comment and line.startswith(top.comment))
    ][:_SAMPLED]
    if not numbered and not top.fields:
        raise InputError(f"{label}: the file is empty. Expected a header line and one line per row.")
    delimiter = dialect.delimiter or top.delimiter or ("\t" if tabs else _delimiter([line for _, line in numbered]))
    style = _style([line for _, line in numbered], delimiter)
    records = list(_records(numbered, delimiter, style))
    records = records[:-1] if truncated and len(records) > 2 else records
    top, header = _header(lines, top, records, delimiter, dialect, label)
    samples = tuple(record.cells for record in records[header.above :])
    return Layout(
        delimiter, top.skip, top.comment, dialect.comment is not None or bool(top.fields), style, header,
        top.unset, samples, (*_said(delimiter, top, dialect), *header.notes),
    )  # fmt: skip


def _said(delimiter: str, top: _Top, dialect: Dialect) -> Iterator[str]:
    if delimiter != "," and dialect.delimiter is None:
        yield f"delimiter {_SPELLED.get(delimiter, repr(delimiter))}"
    if top.comment and dialect.comment is None:
        yield f"lines that begin with {top.comment!r} left out as comments"
    if top.fields:
        yield "names of columns taken from a comment line"


# ---------------------------------------------------------------------------------------- what is at the top


def _top(lines: Sequence[str], dialect: Dialect) -> _Top:
    skip = dialect.skip_lines
    first = lines[skip] if skip < len(lines) else ""
    if found := _SEP.fullmatch(first.strip("\r\n")):
        return _Top(skip + 1, found[1], dialect.comment or "")
    begun = next((line for line in lines[skip:] if line.strip()), "")
    comment = dialect.comment if dialect.comment is not None else "#" * begun.startswith("#")
    if comment != "#":
        return _Top(skip, None, comment)
    for line in lines[skip:]:
        if named := _FIELDS.match(line):
            names = line[named.end() :].strip("\r\n ")
            unset = next((found[1] for one in lines[skip:] if (found := _UNSET.match(one))), "-")
            return _Top(skip, named[1], "#", tuple(re.split(r"\t" if named[1] == "\t" else r"\s+", names)), unset)
        if line.strip() and not line.startswith("#"):
            break
    return _Top(skip, None, comment)


def _header(
    lines: Sequence[str], top: _Top, records: Sequence[Record], delimiter: str, dialect: Dialect, label: str
) -> tuple[_Top, Header]:
    """The header, which may stand in a comment."""
    if not top.fields and top.comment == "#" and dialect.header is None:
        top = top._replace(fields=_commented_names(lines[top.skip :], records, delimiter, label))
    if top.fields:
        return top, Header(top.fields, len(top.fields), 0)
    return top, find_header(records, dialect.header, not dialect.skip_lines, label)


def _commented_names(lines: Sequence[str], records: Sequence[Record], delimiter: str, where: str) -> tuple[str, ...]:
    """Names in the last comment above the rows, where the rows have none of their own: as NumPy writes them."""
    width = usual_width([record.cells for record in records])
    last = ""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            break
        last = line if line.startswith("#") else last
    names: list[str] = next(reader_of([last.lstrip("# ").rstrip()], delimiter), [])
    first = records[0].cells
    if len(names) != width or (width == 1 and not is_value(first[0])) or any(not one or is_value(one) for one in names):
        return ()
    if sum(map(is_value, first)) > width / 2:
        return tuple(names)
    if len(first) == width and not _is_header(first, [record.cells for record in records[1:]]):
        raise InputError(
            f"{where}, line {records[0].line}: the names of the columns may stand there ({listing(first)}), or in the "
            f"comment above ({listing(names)}). Say --header (header=True) for the first; for the other --comment '' "
            "with --skip-lines N for what is above it."
        )
    return ()


def _is_header(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether values stand below a name, so that a first record is no row of words like all others."""
    below = [[row[place] for row in body if len(row) == len(first) and row[place]] for place in range(len(first))]
    return any(
        cells and all(map(is_value, cells)) and not is_value(name) for name, cells in zip(first, below, strict=True)
    )


# -------------------------------------------------------------------------------------------------- delimiter


def _records(numbered: Sequence[tuple[int, str]], delimiter: str, style: Style = _PLAIN) -> Iterator[Record]:
    """Records of lines, leniently, each with the number of the line where it begins."""
    reader = reader_of((blanked(line) if delimiter == " " else line for _, line in numbered), delimiter, style)
    before = 0
    try:
        for cells in reader:
            yield Record(numbered[before][0], cells)
            before = reader.line_num
    except csv.Error:  # strictly read later, with the place in the file
        return


def blanked(line: str) -> str:
    r"""A line whose tabs are blanks, and that ends without one.

    >>> blanked(" 1  2\t3 \n")
    ' 1  2 3\n'
    """
    return line.replace("\t", " ").rstrip(" \r\n") + "\n"


class _Fit(NamedTuple):
    """How well a delimiter fits: compared from left to right, the largest is the best."""

    start: int  # minus the number of records before the first of the usual width
    strong: bool
    width: int
    order: int
    delimiter: str


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter by which records have the most even number of values."""
    if not lines:
        return ","
    rows = {one: [record.cells for record in _records([*enumerate(lines)], one)] for one in (*STRONG, *WEAK)}
    widths = {one: usual_width(found) for one, found in rows.items()}
    shares = {one: _share(found, widths[one]) for one, found in rows.items()}
    best = max((shares[one] for one in STRONG), default=0.0)
    fits = [_fit(rows[one], one, widths[one]) for one in STRONG if shares[one] >= max(0.8 * best, 0.5)]
    quoted = [one for one in WEAK if lines[0].count(f'"{one}"') == widths[one] - 1 > 0]  # "a":"b" is no accident
    fits += [
        _fit(rows[one], one, widths[one])
        for one in WEAK
        if one in quoted or _is_weakly_delimited(rows[one], one, widths[one])
    ]
    if fits:
        return max(fits).delimiter
    first = max(STRONG, key=lambda one: len(rows[one][0]) if rows[one] else 0)  # ragged: by the header alone
    return first if rows[first] and len(rows[first][0]) > 1 else ","


def _share(rows: Sequence[Sequence[str]], width: int) -> float:
    return sum(len(cells) == width for cells in rows) / len(rows) if width > 1 else 0.0


def _fit(rows: Sequence[Sequence[str]], delimiter: str, width: int) -> _Fit:
    start = next(i for i, cells in enumerate(rows) if len(cells) == width)
    order = (*STRONG, *WEAK).index(delimiter)
    return _Fit(-start, delimiter in STRONG, width, -order, delimiter)


def _is_weakly_delimited(rows: Sequence[Sequence[str]], delimiter: str, width: int) -> bool:
    short = delimiter == " " and len(rows) > 1 and 1 < len(rows[0]) == width - 1  # names of rows have no name, as in R
    even = rows[1:] if short else rows
    if width < 2 or len(rows) < 2 or len(even[0]) != width or _share(even, width) < 0.95:
        return False
    columns = zip(*(cells for cells in rows[1:] if len(cells) == width), strict=True)
    return any(all(is_value(cell) or not cell for cell in column) for column in columns)


def _style(lines: Sequence[str], delimiter: str) -> Style:
    """How values are quoted: not plainly only where strict reading fails, or gives uneven rows."""
    ways = [Style()]
    ways += [Style(escaped=True)] * any('\\"' in line for line in lines)
    ways += [Style(spaced=True)] * any(f'{delimiter} "' in line for line in lines)
    return max(ways, key=lambda style: _evenness(lines, delimiter, style)) if len(ways) > 1 else ways[0]


def _evenness(lines: Sequence[str], delimiter: str, style: Style) -> float:
    rows = []
    try:
        for cells in reader_of(lines, delimiter, style, strict=True):
            rows.append(cells)  # what came before an error counts
    except csv.Error as error:
        if "expected after" in str(error):
            return 0.0
    return _share(rows, usual_width(rows)) if rows else 0.0
