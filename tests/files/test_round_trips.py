"""Random tables, written in every dialect and read back: equal cells in equal rows, or a refusal that names a place."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from made import workbook, written

from expose.errors import InputError
from expose.files import Dialect, read
from expose.kinds import as_table
from expose.kinds.understood import understood_alone

BOUNDED = settings(
    derandomize=True,
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PLACE = re.compile(r"lines? \d|header repeats|header names no column|is empty|no row below")  # of what is refused

TITLED = 2  # columns; below more of them a title is told from names
Cells = list[list[str]]


@dataclass(frozen=True)
class Written:
    """A dialect that a file is written in."""

    delimiter: str
    end: str
    all_quoted: bool
    encoding: str
    titles: tuple[str, ...]
    final_end: bool
    packed: str

    def text(self, rows: Cells) -> str:
        """A title looks like names where there are few of them, and an empty last line is a row of one column only."""
        titles = self.titles if len(rows[0]) > TITLED else ()
        lines = [*titles, *(self.delimiter.join(map(self.cell, row)) for row in rows)]
        return self.end.join(lines) + self.end * (self.final_end or len(rows[0]) == 1)

    def cell(self, cell: str) -> str:
        needed = any(sign in cell for sign in (self.delimiter, '"', "\n", "\r"))
        return '"' + cell.replace('"', '""') + '"' if needed or self.all_quoted else cell

    @property
    def said(self) -> Dialect:
        return Dialect(encoding="cp1252" if self.encoding == "cp1252" else None)

    def file(self, folder: Path, rows: Cells) -> Path:
        return written(folder / f"d.csv{self.packed}", PACKED[self.packed](self.text(rows).encode(self.encoding)))


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("d.csv", content)
    return target.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}  # fmt: skip
DIALECTS = st.builds(
    Written,
    delimiter=st.sampled_from(",;\t|~"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    all_quoted=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    titles=st.sampled_from([(), (), ("An export of 2025",), ("# by hand", "# of May"), ("A report", "")]),
    final_end=st.booleans(),
    packed=st.sampled_from(sorted(PACKED)),
)

# ------------------------------------------------------------------------------------------- what is in the cells

NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-(10**4), 10**4, places=2, allow_nan=False).map(str),
    st.sampled_from(["1.234,50 €", "$1,200", "5 %", "(12)", "12e5", "000123", "98765432109876543210"]),
)
DAYS = st.dates().map(str) | st.dates().map(lambda day: day.strftime("%d.%m.%Y"))
WORDS = st.sampled_from(["red", "dark green", "blue", "Zürich", "naïve", "a-b"])
MISSING = st.sampled_from(["", "NA", "-", "n/a", "ERR"])
PROSE = st.text(st.sampled_from("ab é1\"'.,;\t|~ \n\r#=[{:<"), max_size=8)  # what dialects are made of
ANYTHING = st.text(
    st.characters(codec="latin-1", exclude_characters="\0\x81\x8d\x8f\x90\x9d", exclude_categories=["Cc"]), max_size=6
)
TAME = [NUMBERS, DAYS, WORDS]
NAMES = st.just(["when", "amount", "shop", "a note", "Größe", "x1"])
ODD_NAMES = st.lists(
    PROSE.map(lambda text: re.sub(r"[\r\n]", "", text).strip()).filter(lambda name: name and name[0] != "#"),
    min_size=6, max_size=6, unique=True,
)  # fmt: skip


@st.composite
def tables(
    draw: st.DrawFn, cells: list[st.SearchStrategy[str]], least: int = 1, names: st.SearchStrategy[list[str]] = NAMES
) -> Cells:
    """A header, and rows below it; a column has values of one make, some of them missing."""
    width = draw(st.integers(least, 6))
    called = draw(names)
    makes = [draw(st.sampled_from(cells)) | draw(st.sampled_from([MISSING, st.just("")])) for _ in range(width)]
    body = draw(st.lists(st.tuples(*makes).map(list), min_size=2, max_size=12))
    return [called[:width], *body]


def columns_of(rows: Cells) -> dict[str, list[str | None]]:
    header, *body = rows
    return {name: [row[place] or None for row in body] for place, name in enumerate(header)}


@BOUNDED
@given(tables(TAME, least=2), DIALECTS)
def test_plain_values_are_read_back_from_every_dialect(tmp_path: Path, rows: Cells, dialect: Written) -> None:
    assert read(dialect.file(tmp_path, rows), dialect=dialect.said).to_pydict() == columns_of(rows)


@BOUNDED
@given(tables([*TAME, PROSE, ANYTHING]) | tables([*TAME, PROSE, ANYTHING], 2, ODD_NAMES), DIALECTS)
def test_whatever_is_in_cells_they_are_read_back_or_refused(tmp_path: Path, rows: Cells, dialect: Written) -> None:
    try:
        found = read(dialect.file(tmp_path, rows), dialect=dialect.said).to_pydict()
    except InputError as error:
        event("refused")
        assert PLACE.search(str(error)), str(error)  # noqa: PT017 - there may be an error, or none
    else:
        assert found == columns_of(rows)


# -------------------------------------------------------------------------------------------- values of every source

Columns = dict[str, list[Any]]
CENTS = st.decimals(-(10**5), 10**5, places=2, allow_nan=False).map(float)
VALUES = {
    "amount": CENTS,
    "count": st.integers(-(10**6), 10**6),
    "day": st.dates(dt.date(1900, 3, 1), dt.date(2100, 1, 1)),
    "moment": st.datetimes(dt.datetime(1900, 3, 1), dt.datetime(2100, 1, 1)).map(
        lambda one: one.replace(microsecond=0)
    ),
    "shop": WORDS,
    "paid": st.booleans(),
}


@st.composite
def typed_columns(draw: st.DrawFn) -> Columns:
    """Columns of values, some of them missing, not all."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=2, unique=True))
    rows = draw(st.integers(2, 9))
    columns = {}
    for name in names:
        given = draw(st.lists(VALUES[name] | st.none(), min_size=rows, max_size=rows))
        given[draw(st.integers(0, rows - 1))] = draw(VALUES[name])
        columns[name] = given
    key = draw(st.lists(CENTS, min_size=rows, max_size=rows))  # a row of a spreadsheet that is empty is none
    return {"key": key} | columns


def spelled(value: Any, ways: tuple[str, str, str]) -> str:
    """A value as a program writes it that has these signs for decimals and thousands, and this form for dates."""
    decimal, thousands, form = ways
    if isinstance(value, float):
        return f"{value:,.2f}".translate(str.maketrans(",.", f"{thousands or chr(0)}{decimal}")).replace("\0", "")
    if isinstance(value, dt.datetime):
        return value.strftime(f"{form} %H:%M:%S")
    return value.strftime(form) if isinstance(value, dt.date) else "" if value is None else str(value)


def delimited(columns: Columns, folder: Path, ways: tuple[str, str, str]) -> Any:
    rows = [[*columns], *([spelled(one, ways) for one in row] for row in zip(*columns.values(), strict=True))]
    return read(Written(";", "\n", False, "utf-8", (), True, "").file(folder, rows))


def json_lines(columns: Columns, folder: Path) -> Any:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return read(written(folder / "d.jsonl", "\n".join(json.dumps(row, default=str) for row in rows)))


def parquet(columns: Columns, folder: Path) -> Any:
    pq.write_table(pa.table(columns), folder / "d.parquet")
    return read(folder / "d.parquet")


def excel(columns: Columns, folder: Path) -> Any:
    pytest.importorskip("python_calamine", reason="needs the extra excel")
    rows = [[*columns], *zip(*columns.values(), strict=True)]
    return read(workbook(folder / "d.xlsx", {"Data": rows}))


SOURCES: dict[str, Callable[[Columns, Path], Any]] = {
    "pandas": lambda columns, folder: pd.DataFrame(columns),
    "pandas objects": lambda columns, folder: pd.DataFrame(columns, dtype=object),
    "polars": lambda columns, folder: pl.DataFrame(columns),
    "arrow": lambda columns, folder: pa.table(columns),
    "csv": lambda columns, folder: delimited(columns, folder, (".", "", "%Y-%m-%d")),
    "csv, English": lambda columns, folder: delimited(columns, folder, (".", ",", "%Y-%m-%d")),
    "csv, German": lambda columns, folder: delimited(columns, folder, (",", ".", "%d.%m.%Y")),
    "csv, Swiss": lambda columns, folder: delimited(columns, folder, (".", "'", "%d.%m.%Y")),
    "json lines": json_lines,
    "parquet": parquet,
    "excel": excel,
}


@pytest.mark.parametrize("source", SOURCES)
@settings(BOUNDED, max_examples=40)
@given(typed_columns())
def test_equal_values_are_understood_equally_from_every_source(source: str, tmp_path: Path, columns: Columns) -> None:
    found = understood_alone(as_table(SOURCES[source](columns, tmp_path)))
    expected = understood_alone(as_table(pa.table(columns)))
    assert (found.names, found.kinds, len(found)) == (expected.names, expected.kinds, len(expected))
    for name in columns:
        np.testing.assert_array_equal(found.column(name), expected.column(name))
