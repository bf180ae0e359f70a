"""Spreadsheets: one sheet of a workbook, each cell as the text that a CSV file would hold. Needs the extra `excel`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from expose.errors import InputError, MissingExtraError
from expose.files.delimited import as_table
from expose.files.dialect import Dialect
from expose.files.header import Record, find_header
from expose.files.names import listing
from expose.files.origins import Origin

_SAMPLED: Final = 1_000


def is_workbook(names: Sequence[str]) -> bool:
    """Tell by the names of its files whether a zip archive is a workbook of Excel or LibreOffice."""
    return not {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}.isdisjoint(names)


class Excel:
    """One sheet: the one that was named, or the only one that holds anything."""

    def __init__(self, origin: Origin, dialect: Dialect, sheet: str | None) -> None:
        self.label = origin.label if sheet is None else f"{origin.label}#{sheet}"
        self._rows = _filled(_sheet(origin, sheet))[dialect.skip_lines :]
        if not self._rows:
            raise InputError(f"{self.label}: the sheet is empty. Expected a header and rows below it.")
        records = _shortened([*islice(self._rows, _SAMPLED)])
        self._header = find_header(records, dialect.header, not dialect.skip_lines, self.label)
        self.names, self.notes = self._header.names, self._header.notes

    def schema(self) -> Any:
        """Every column is text."""
        return pa.schema([(name, pa.string()) for name in self.names])

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of these columns."""
        rows = self._rows[self._header.above :]
        for start in range(0, len(rows), batch_rows):
            block = [record.cells for record in rows[start : start + batch_rows]]
            yield as_table(block, self.names).select(names)


def _sheet(origin: Origin, name: str | None) -> Iterator[list[Any]]:
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise MissingExtraError(f"{origin.label}: spreadsheets need: pip install 'expose[excel]'") from error
    try:
        book = calamine.CalamineWorkbook.from_path(str(origin.path))
        sheets = {one: book.get_sheet_by_name(one) for one in book.sheet_names if name in (None, one)}
        filled = {one: sheet for one, sheet in sheets.items() if sheet.height}
    except (calamine.CalamineError, OSError) as error:
        message = f"{origin.label}: cannot be read as a spreadsheet: {error}. Save it anew, or export it as CSV."
        raise InputError(message) from error
    if name is not None and name not in sheets:
        raise InputError(f"{origin.label}: there is no sheet {name!r}; there are {listing(book.sheet_names)}.")
    if len(filled) > 1:
        first = f"{origin.label}#{next(iter(filled))}"
        raise InputError(f"{origin.label}: holds several sheets: {listing(filled)}. Name one: {first!r}.")
    return (row for sheet in filled.values() for row in sheet.to_python(skip_empty_area=False))


def _filled(rows: Iterator[list[Any]]) -> list[Record]:
    """Rows as text, with their numbers, without those that are empty and without columns that are."""
    raw = list(rows)
    timed = {place for row in raw for place, cell in enumerate(row) if isinstance(cell, datetime.datetime)}
    found = [
        Record(number, [_written(cell, place in timed) for place, cell in enumerate(row)])
        for number, row in enumerate(raw, 1)
    ]
    found = [record for record in found if any(record.cells)]
    kept = [place for place, column in enumerate(zip(*(one.cells for one in found), strict=True)) if any(column)]
    return [Record(one.line, [one.cells[place] for place in kept]) for one in found]


def _shortened(records: list[Record]) -> list[Record]:
    """Titles end where their cells do; all else has as many cells as there are columns, so that it counts as a row."""
    width = len(records[0].cells)
    above = next((i for i, one in enumerate(records) if sum(map(bool, one.cells)) > max(1, width / 2)), 0)
    short = [Record(one.line, [cell for cell in one.cells if cell]) for one in records[:above]]
    return short + records[above:]


def _written(cell: Any, timed: bool) -> str:
    """A cell as text: whole numbers without a fraction, dates by ISO 8601, with a time if others in the column have."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, datetime.date) and timed:
        return f"{cell.isoformat()} 00:00:00"
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
