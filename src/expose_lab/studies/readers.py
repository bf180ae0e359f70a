"""Readers of delimited text, weighed: megabytes installed, megabytes a second, and what becomes of odd files.

Each reader is asked as its manual says for files of unknown make, every cell as text. *Right* is the table that the
owner of the file means, or an error where there is none; *refused* is an error where there is one; all else is *wrong*,
because nothing is said. Seconds are the processor's, with one thread, a process for each reader.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from expose.files import read
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.install_size import megabytes

COLUMNS = 30
Cells = Mapping[str, list[str | None]]
ABC: Cells = {"a": ["1", "4"], "b": ["2", "5"], "c": ["3", "6"]}
ROWS = "1,2,3\n" * 5
REFUSE = None  # there is no table in it, or not the one that a reader makes of it

CASES: dict[str, tuple[str, Cells | None]] = {
    "plain": ("a,b,c\n1,2,3\n4,5,6\n", ABC),
    "separated by bars": ("a|b|c\n1|2|3\n4|5|6\n", ABC),
    "separated by tildes": ("a~b~c\n1~2~3\n4~5~6\n", ABC),
    "separated by blanks": ("  a   b  c\n  1   2  3\n  4   5  6\n", ABC),
    "decimal commas, `;`": ("a;b\n1,5;2,5\n4,5;5\n", {"a": ["1,5", "4,5"], "b": ["2,5", "5"]}),
    "`sep=;` on top": ("sep=;\na;b;c\n1;2;3\n4;5;6\n", ABC),
    "a title on top": ("My export\n\na;b;c\n1;2;3\n4;5;6\n", ABC),
    "comments on top": ("# hello\n# x\na,b,c\n1,2,3\n4,5,6\n", ABC),
    "CR line ends": ("a,b,c\r1,2,3\r4,5,6\r", ABC),
    "mixed line ends": ("a,b,c\r\n1,2,3\n4,5,6\r\n", ABC),
    "a blank line": ("a,b,c\n1,2,3\n\n4,5,6\n", ABC),
    "two trailing delimiters": ("a,b,c,,\n1,2,3,,\n4,5,6,,\n", ABC),
    "a line end in quotes": ('a,b\n1,"x\ny"\n4,z\n', {"a": ["1", "4"], "b": ["x\ny", "z"]}),
    "an inch sign": ('a,b\n1,5" pipe\n4,6"\n', {"a": ["1", "4"], "b": ['5" pipe', '6"']}),
    "numbers with zeros in front": ("id,b\n000123,x\n20,y\n", {"id": ["000123", "20"], "b": ["x", "y"]}),
    "one column, one cell empty": ("a\n1\n\n3\n", {"a": ["1", None, "3"]}),
    "no header": ("1,2,3\n4,5,6\n7,8,9\n", REFUSE),
    "a short row": ("a,b,c\n1,2,3\n4,5\n7,8,9\n", REFUSE),
    "a long row": ("a,b,c\n1,2,3\n4,5,6,7\n7,8,9\n", REFUSE),
    "a total at the end": ("a,b,c\n1,2,3\n4,5,6\nTotal,12\n", REFUSE),
    "a quote never closed": ("a,b,c\n" + ROWS + '"4,5,6\n' + ROWS, REFUSE),
    "a quote closed 100 rows on": ("a,b,c\n" + ROWS + '1,"2,3\n' + ROWS * 20 + '4,5",6\n' + ROWS, REFUSE),
    "HTML": ("<html><body>\n<table><tr><td>1</td></tr></table>\n</html>\n", REFUSE),
    "two columns of one name": ("a,b,a\n1,2,3\n", REFUSE),
}


def by_pyarrow(path: Path) -> Any:
    """As `pyarrow.csv` does, for which every delimiter must be named: it is not."""
    import pyarrow.csv as arrow

    names = arrow.open_csv(path).schema.names
    types = dict.fromkeys(names, "string")
    options = arrow.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    return arrow.read_csv(
        path, arrow.ReadOptions(use_threads=False), arrow.ParseOptions(newlines_in_values=True), options
    )


def by_pandas(path: Path) -> Any:
    """As pandas does where it finds the delimiter."""
    return import_module("pandas").read_csv(
        path, sep=None, engine="python", dtype=str, keep_default_na=False, na_values=[""]
    )


def by_polars(path: Path) -> Any:
    """As Polars does; it finds no delimiter."""
    return import_module("polars").read_csv(path, infer_schema=False)


def by_duckdb(path: Path) -> Any:
    """As DuckDB's sniffer does."""
    with import_module("duckdb").connect(config={"threads": 1}) as connection:
        return connection.sql("SELECT * FROM read_csv(?, all_varchar = true)", params=[str(path)]).to_arrow_table()


READERS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "expose": (read, ()),  # on Python's own `csv`
    "pyarrow": (by_pyarrow, ("pyarrow",)),
    "pandas": (by_pandas, ("pandas",)),
    "Polars": (by_polars, ("polars", "polars-runtime-32")),
    "DuckDB": (by_duckdb, ("duckdb",)),
}


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """One row for the speed, one for each odd file."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # read when Polars is imported
    ask, packages = READERS[cell["reader"]]
    size = sum(map(megabytes, packages))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        for name, (text, expected) in CASES.items():
            path.write_bytes(text.encode())
            yield {"case": name, "verdict": verdict(ask, path, expected), "megabytes": size, "speed": None}
        numbers = np.random.default_rng(0).normal(size=(cell["rows"], COLUMNS))
        names = ",".join(f"x{place}" for place in range(COLUMNS))
        np.savetxt(path, numbers, fmt="%.6f", delimiter=",", header=names, comments="")
        start = time.process_time()
        ask(path)
        speed = path.stat().st_size / 1e6 / (time.process_time() - start)
    yield {"case": "speed", "verdict": "", "megabytes": size, "speed": speed}


def verdict(ask: Callable[[Path], Any], path: Path, expected: Cells | None) -> str:
    """What becomes of a file: right, refused or wrong."""
    try:
        found = columns_of(ask(path))
    except Exception:
        return "right" if expected is None else "refused"
    return "right" if found == expected else "wrong"


def columns_of(found: Any) -> dict[str, list[str | None]]:
    """What a reader gave, as plain values."""
    columns = {str(name): plain(found[name]) for name in names_of(found)}
    return {name: [one if isinstance(one, str) else None for one in column] for name, column in columns.items()}


def names_of(found: Any) -> list[str]:
    """Names of the columns of a table of any make."""
    return list(found.column_names if hasattr(found, "column_names") else found.columns)


def plain(column: Any) -> list[Any]:
    """Values of a column of any make."""
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)


def context(page: Page) -> dict[str, Any]:
    """A table of what each costs, and one of what becomes of each file."""
    found = page.rows("readers")
    readers = found.each("reader")
    odd = [case for case in found.each("case") if case != "speed"]
    by_cell = {(row["reader"], row["case"]): row for row in found}
    costs = []
    for reader in readers:
        one = by_cell[reader, "speed"]
        said = [by_cell[reader, case]["verdict"] for case in odd]
        counts = [str(said.count(word)) for word in ("right", "refused", "wrong")]
        costs.append([reader, f"{one['megabytes']:.0f}", f"{one['speed']:.0f}", *counts])
    lines = [
        [f"{case}{'' if CASES[case][1] else ' *'}", *(by_cell[reader, case]["verdict"] for reader in readers)]
        for case in odd
    ]
    return {
        "costs": table(["reader", "MB installed", "MB per second", "right", "refused", "wrong"], costs),
        "cases": table(["file", *readers], lines),
        "rows": found[0]["rows"],
        "columns": COLUMNS,
        "day": found.finished,
    }


STUDY = Study(
    "readers",
    "readers of delimited text: size, speed, and what becomes of odd files",
    cells=lambda readers, rows: ({"reader": name, "rows": rows} for name in readers),
    measure=measure,
    options={"readers": list(READERS), "rows": 100_000},
    page="notes/readers.md",
    context=context,
    apart=True,
)
