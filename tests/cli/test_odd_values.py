"""Values that once were lost or misread without a word: from the file to the ranking, and to the scores file."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from commands import Run, facts

from expose import AnomalyDetector

N = 900
PLANTED = 700
SOURCES: dict[str, Callable[[Any], Any]] = {
    "pandas": pd.DataFrame,
    "polars": lambda columns: pl.DataFrame({name: list(map(str, values)) for name, values in columns.items()}),
    "arrow": lambda columns: pa.table({name: list(map(str, values)) for name, values in columns.items()}),
    "dict": dict,
}


def columns(odd: str) -> dict[str, list[Any]]:
    """Two columns of numbers: one large number is planted, and one cell elsewhere is a word."""
    rng = np.random.default_rng(0)
    amount: list[Any] = rng.normal(50, 5, N).round(2).tolist()
    amount[PLANTED], amount[33] = 9999, odd
    return {"amount": amount, "hour": rng.normal(12, 2, N).round(2).tolist()}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "data.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# ---------------------------------------------------------------------------------- numbers that look like text


@pytest.mark.parametrize("odd", ["-", "ERR", "#DIV/0!", " NA", "n.a.", "Total", "amount", "€"])
def test_a_planted_number_is_first_though_a_cell_elsewhere_is_a_word(run: Run, tmp_path: Path, odd: str) -> None:
    pd.DataFrame(columns(odd)).to_csv(tmp_path / "data.csv", index=False)
    found = facts(run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--json"))
    assert found["ranking"][0]["row"] == PLANTED
    assert [one["kind"] for one in found["columns_read"]] == ["number", "number"]
    said = [note for note in found["notes"] if f"missing: {odd!r} (row 33)" in note]
    assert bool(said) == (odd != " NA")  # a usual spelling of nothing
    strict = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--strict")
    assert strict.exit_code == (2 if said else 0)
    if said:
        assert f"column 'amount' holds numbers, but row 33 (counting from 0) holds {odd!r}" in strict.stderr


@pytest.mark.parametrize("source", SOURCES)
def test_a_planted_number_is_first_from_every_source(source: str) -> None:
    detector = AnomalyDetector(random_state=0).fit(SOURCES[source](columns("-")))
    assert detector.ranking_["row"][0] == PLANTED
    assert any("'-' (row 33)" in note for note in detector.notes_)


def test_a_header_within_the_rows_is_named(run: Run, file: Callable[[str], Path], tmp_path: Path) -> None:
    part = "a,b\n" + "".join(f"{i},{i * i % 17}\n" for i in range(40))
    found = facts(run("fit", file(part * 3), "--out", tmp_path / "model", "--json"))
    assert found["rows"] == 122
    said = "the names of the columns stand among the rows, too: 2 time(s), first in row 40; delete them"
    assert said in found["notes"]


def test_what_is_said_of_decimals_and_thousands_decides(run: Run, file: Callable[[str], Path], tmp_path: Path) -> None:
    path = file("x;y\n" + "".join(f"{i % 9 + 1},{i * 7 % 1000:03d};{i}\n" for i in range(60)))

    def read_as(*options: str) -> str:
        found = facts(run("fit", path, *options, "--out", tmp_path / "model", "--json"))
        return str(found["columns_read"][0]["how"])

    assert read_as() == "thousands ',' (no value decides; --decimal , if it is one)"
    assert read_as("--decimal", ",") == "decimal ','"
    assert read_as("--thousands", ",") == "thousands ','"


# ------------------------------------------------------------------------------------------- ids as they came

IDS = {
    "zeros in front": [f"{row:06d}" for row in range(N)],
    "twenty digits": [f"{10**19 + row * 7919}" for row in range(N)],
    "like powers": [f"{row}e5" for row in range(N)],
    "with a point": [f"{row}.50" for row in range(N)],
}


@pytest.mark.parametrize("ids", IDS)
def test_ids_are_kept_as_they_came(run: Run, tmp_path: Path, ids: str) -> None:
    pd.DataFrame({"key": IDS[ids], **columns("-")}).to_csv(tmp_path / "data.csv", index=False)
    model = tmp_path / "model"
    found = run("fit", tmp_path / "data.csv", "--id", "key", "--out", model, "--json")
    assert facts(found)["ranking"][0]["key"] == IDS[ids][PLANTED]
    for command in ("score", "query"):
        result = run(command, model, tmp_path / "data.csv", "--out", tmp_path / "out.csv")
        assert result.exit_code == 0, result.output
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert {row["key"] for row in rows} <= {*IDS[ids]}
        if command == "score":
            assert [row["key"] for row in rows] == IDS[ids]


@pytest.mark.parametrize("ids", ["zeros in front", "twenty digits"])
def test_digits_that_are_names_name_the_rows_by_themselves(run: Run, tmp_path: Path, ids: str) -> None:
    pd.DataFrame({"key": IDS[ids], **columns("-")}).to_csv(tmp_path / "data.csv", index=False)
    found = facts(run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--json"))
    assert found["columns_read"][0]["kind"] == "identifier"
    assert found["ranking"][0]["key"] == IDS[ids][PLANTED]


# ---------------------------------------------------------------------------------------- structure and places


@pytest.mark.parametrize("row", ['500,"name 500,3', '500,name 500,"3', '"500,name 500,3'])
@pytest.mark.parametrize("quote", ['"', ""])
def test_a_quote_that_never_closes_is_an_error_with_its_row(
    run: Run, file: Callable[[str], Path], tmp_path: Path, row: str, quote: str
) -> None:
    rows = [f"{i},{quote}name {i}{quote},{i % 7}\n" for i in range(30_000)]
    rows[500] = f"{row}\n"
    result = run("fit", file("id,name,n\n" + "".join(rows)), "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert re.search(r"lines? 502\b", result.stderr)
    assert not (tmp_path / "model").exists()


def test_places_and_counts_are_those_of_the_file_and_not_of_a_block(
    run: Run, file: Callable[[str], Path], tmp_path: Path
) -> None:
    few = "a,b\n" + "".join(f"{i % 13},{i % 7}\n" for i in range(60))
    assert run("fit", file(few), "--out", tmp_path / "model").exit_code == 0
    rows = [f"{i % 13},{i % 7}\n" for i in range(150_000)]
    rows[70_000] = rows[140_000] = "broken,1\n"
    result = run("score", tmp_path / "model", file("a,b\n" + "".join(rows)), "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    assert "2 value(s) are none and count as missing (rows count from 0): 'broken' in row 70000" in result.stderr
    rows[140_000] = "Infinity,1\n"
    result = run("score", tmp_path / "model", file("a,b\n" + "".join(rows)), "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "row 140000 (counting from 0) holds inf" in result.stderr
