"""Where the rows of a text table begin and how its columns are called, judged by its first rows.

What is doubtful is refused: a row that was taken for names, or a name for a row, would be lost without a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from expose.errors import InputError
from expose.files.names import listing

_VALUE: Final = re.compile(
    r"(?=.*\d)[\s\d.,:/()%$€£¥+\-\u2212]+(?:[eE][+-]?\d+)?"
    r"|\d[\d:.\- ]*T\d[\d:.]*(?:Z|[+-]\d\d:?\d\d)?"
    r"|[-+]?(?:nan|inf|infinity)",
    re.IGNORECASE,
)
_NO_NAMES: Final = "If the first line is a row, use --no-header (header=False): columns are then called x0, x1, ..."
_LOOKED_AT: Final = 200  # rows that a first line is compared with


class Record(NamedTuple):
    """One record of the first ones of a file: its cells, and the line where it begins."""

    line: int
    cells: list[str]


class Header(NamedTuple):
    """What the first records say.

    Attributes
    ----------
    names : tuple of str
        Of the columns that are read: the first ones of each row.
    width : int
        How many values a row has.
    above : int
        Records before the first row.
    notes : tuple of str
        What is not as in most files.
    """

    names: tuple[str, ...]
    width: int
    above: int
    notes: tuple[str, ...] = ()


def find_header(records: Sequence[Record], header: bool | None, titles: bool, label: str) -> Header:
    """Find the names of columns in the first records of a file.

    Parameters
    ----------
    records : sequence of Record, blank lines left out
    header : bool or None
        Whether there is one, if somebody said so.
    titles : bool
        Whether lines above it may be left out.
    label : str
        Of the file, for messages.

    Raises
    ------
    InputError
        When the first record seems to be a row, names repeat or are lacking.

    Examples
    --------
    >>> rows = [["My export"], ["a", "b", ""], ["1", "2", ""], ["3", "4", ""]]
    >>> found = find_header([Record(2 * line, cells) for line, cells in enumerate(rows, 1)], None, True, "d.csv")
    >>> found.names, found.width, found.above
    (('a', 'b'), 3, 2)
    >>> found.notes
    ("1 line above the header left out: 'My export'", '1 empty column without a name at the end left out')
    """
    if not records:
        raise InputError(f"{label}: its first line is too long for a line of names. Expected a header and rows.")
    width = usual_width([record.cells for record in records])
    if header is False:
        first = records[0].cells
        return Header(tuple(f"x{place}" for place in range(len(first))), len(first), 0, ("no header line",))
    above = _titles(_unpadded(records, width), width) if titles else 0
    cells, body = list(records[above].cells), [record.cells for record in records[above + 1 : above + 1 + _LOOKED_AT]]
    if header is None:
        _refuse_a_row(cells, body, f"{label}, line {records[above].line}")
    notes = [_of_titles([record.cells for record in records[:above]])] if above else []
    names, more = _names(
        cells, body, usual_width(body) if body else len(cells), label
    )  # and makes of `cells` what a row must have
    return Header(names, len(cells), above + 1, (*notes, *more))


def usual_width(rows: Sequence[Sequence[str]]) -> int:
    """How many values most rows have that have several, 1 if none has."""
    counts = Counter(len(cells) for cells in rows if len(cells) > 1)
    return counts.most_common(1)[0][0] if counts else 1


# --------------------------------------------------------------------------------------------- lines above it


def _titles(records: Sequence[Record], width: int) -> int:
    """How many records stand above the header; 0 in doubt, where the first row that does not fit is refused."""
    above = next((i for i, record in enumerate(records) if len(record.cells) == width), 0)
    first, rest = records[:above], records[above:]
    fitting = sum(len(record.cells) == width for record in rest)
    if not above or fitting < max(2, 0.9 * len(rest)) or any(map(is_value, records[above].cells)):
        return 0
    if all(record.cells == records[above].cells for record in rest):
        return 0  # no names, but rows that are all alike
    gap = records[above].line - records[above - 1].line > 1  # a blank line between them
    most = width - 1 if gap else width - 2
    titles = all(len(record.cells) <= most and not _mostly_values(record.cells) for record in first)
    return above if titles else 0


def _unpadded(records: Sequence[Record], width: int) -> list[Record]:
    """The records, of titles filled up to the width of a row (``Title;;;``) the first cell alone."""
    full = next((i for i, one in enumerate(records) if len(one.cells) == width and all(map(str.strip, one.cells))), 0)
    above = records[:full] if width > 2 and not any(any(record.cells[1:]) for record in records[:full]) else []
    return [record._replace(cells=record.cells[:1]) for record in above] + list(records[len(above) :])


def _mostly_values(cells: Sequence[str]) -> bool:
    return sum(is_value(cell) for cell in cells) > len(cells) / 2


def _of_titles(rows: Sequence[Sequence[str]]) -> str:
    lines = "1 line" if len(rows) == 1 else f"{len(rows)} lines"
    return f"{lines} above the header left out: {listing(' '.join(cells).strip()[:60] for cells in rows)}"


# ------------------------------------------------------------------------------------------- is it one at all?


def is_value(cell: str) -> bool:
    """Tell whether a cell is a number, a date or a time, and so hardly a name.

    >>> [is_value(cell) for cell in ("1.5", "-1,000.5 %", "2024-01-31", "2024-01-31T10:00:00Z", "1e-5", "nan")]
    [True, True, True, True, True, True]
    >>> [is_value(cell) for cell in ("", "amount", "Q1", "x0", "N/A", "5 kg")]
    [False, False, False, False, False, False]
    """
    return _VALUE.fullmatch(cell.strip()) is not None


def _refuse_a_row(cells: Sequence[str], body: Sequence[Sequence[str]], where: str) -> None:
    if body and _is_row(cells, body):
        shown = ", ".join(cells)[:80]
        raise InputError(
            f"{where}: expected the names of the columns, got what looks like a row: {shown!r}. If it is one, use "
            "--no-header (header=False): columns are then called x0, x1, ... If they are names, use --header "
            "(header=True). If the header stands further down, use --skip-lines N."
        )


def _is_row(cells: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first record is of the same make as those below."""
    below = [[row[i] for row in body if len(row) > i] for i in range(len(cells))]
    rows = [row for row in body if row != cells]  # a second header says nothing
    others = [[row[i] for row in rows if len(row) > i] for i in range(len(cells))]
    values = [i for i, cell in enumerate(cells) if is_value(cell)]
    words = [i for i, cell in enumerate(cells) if cell.strip() and i not in values]
    alike = [i for i in values if _mostly_values([cell for cell in below[i] if cell.strip()] or ["a"])]
    if not values:
        return bool(words) and all(cells[i] in others[i] for i in words)
    if not alike or _numbered([cells[i] for i in values], below if not words else None):
        return False
    return not words or len(alike) > len(cells) / 2 or any(cells[i] in others[i] for i in words)


def _numbered(numbers: Sequence[str], below: Sequence[Sequence[str]] | None) -> bool:
    """Tell whether names are numbers that count: years beside words, or 0, 1, 2, ... above fractions (pandas)."""
    if len(numbers) < 3 or not all(number.isdigit() for number in numbers):
        return False
    counted = [int(number) for number in numbers]
    if any(b - a != 1 for a, b in pairwise(counted)):
        return False
    return below is None or (counted[0] == 0 and any("." in cell for column in below for cell in column))


# ------------------------------------------------------------------------------------------------------ names


def _names(
    cells: list[str], body: Sequence[Sequence[str]], width: int, label: str
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the columns that are read, and what was noticed."""
    notes: list[str] = []
    while len(cells) > width and not cells[-1].strip() and body:
        del cells[-1]  # a delimiter at the end of the header alone
    full = [row for row in body if len(row) == width]
    if len(cells) == width - 1 > 1 and len(full) > 0.9 * len(body):
        if not any(row[-1] for row in full):
            cells.append("")
        elif len({row[0] for row in full}) == len(full):  # else decimal commas, perhaps: a row is refused
            cells.insert(0, _free("index", cells))
            notes.append(f"the header names one column less than there are: the first is called {cells[0]!r}")
    kept = len(cells)
    while kept > 1 and not cells[kept - 1].strip() and not any(row[kept - 1].strip() for row in full):
        kept -= 1
    if kept < len(cells):
        count = len(cells) - kept
        notes.append(f"{count} empty column{'s' * (count > 1)} without a name at the end left out")
    return _all_named(cells[:kept], notes, label), notes


def _all_named(cells: Sequence[str], notes: list[str], label: str) -> tuple[str, ...]:
    repeated = [name for name, count in Counter(cells).items() if count > 1 and name]
    if repeated:
        raise InputError(
            f"{label}: column names must differ; the header repeats {listing(repeated)}. Rename them. {_NO_NAMES}"
        )
    if not any(cells):
        raise InputError(f"{label}: the header names no column. Expected a name for each. {_NO_NAMES}")
    names = [cell or _free(f"column_{place}", cells) for place, cell in enumerate(cells, 1)]
    if given := [name for name, cell in zip(names, cells, strict=True) if not cell]:
        notes.append(f"columns without a name are called {listing(given)}")
    return tuple(names)


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
