"""``--engine`` of score and fit, with an engine of one process; on real clusters it is tested in tests/engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Run, facts, transactions, weights_of

from expose.scoring.pieces import pieces_of

GROUP = 50


class Here:
    threads = 1

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        yield from map(function, items)


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The engines that were asked for."""
    asked: list[tuple[str, str | None]] = []

    @contextmanager
    def opened_engine(name: str, address: str | None = None) -> Iterator[Here]:
        asked.append((name, address))
        yield Here()

    monkeypatch.setattr("expose.scoring.engines.opened_engine", opened_engine)
    monkeypatch.setattr(pieces_of, "__defaults__", (GROUP,))
    return asked


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    table = pa.Table.from_pandas(transactions(), preserve_index=False)
    for place in range(2):
        pq.write_table(table.slice(120 * place, 120), folder / f"{place}.parquet", row_group_size=GROUP)
    return folder


@pytest.fixture
def calibrated(run: Run, data: Path, tmp_path: Path) -> Path:
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--calibration", "2", "-q"]
    assert run("fit", data, "--out", tmp_path / "calibrated", *roles).exit_code == 0
    return tmp_path / "calibrated"


ON = ["--engine", "ray"]


def without(facts: dict[str, Any]) -> dict[str, Any]:
    """All that is said but how long it took and where it lies."""
    return {name: value for name, value in facts.items() if name not in ("seconds", "out")}


def test_a_file_and_what_is_said_are_as_without(run: Run, model: Path, rows: Path, tmp_path: Path, opened: Any) -> None:
    said = facts(run("score", model, rows, "--out", tmp_path / "s.parquet", *ON, "--address", "ray://head:1", "--json"))
    expected = facts(run("score", model, rows, "--out", tmp_path / "one.parquet", "--json"))
    assert opened == [("ray", "ray://head:1")]
    assert without(said) == without(expected)
    assert pq.read_table(tmp_path / "s.parquet").equals(pq.read_table(tmp_path / "one.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "rows", "s.parquet"]


@pytest.mark.parametrize("name", ["s.csv", "s.tsv.gz"])
def test_other_formats(run: Run, model: Path, rows: Path, tmp_path: Path, name: str) -> None:
    for options, out in [(ON, name), ([], f"one.{name}")]:
        assert run("score", model, rows, "--out", tmp_path / out, *options, "-q").exit_code == 0
    assert pd.read_csv(tmp_path / name, sep=None, engine="python").equals(
        pd.read_csv(tmp_path / f"one.{name}", sep=None, engine="python")
    )


def test_a_folder_of_parts(run: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    result = run("score", model, rows, "--out", tmp_path / "scores", *ON)
    assert result.exit_code == 0, result.output
    assert "240 rows" in result.stdout
    assert len(list((tmp_path / "scores").iterdir())) == 6  # of each file three: groups of 50, 50 and 20
    assert pq.read_table(tmp_path / "scores")["account"].to_pylist() == transactions()["account"].tolist()
    again = run("score", model, rows, "--out", tmp_path / "scores", *ON)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_p_values_of_all_pieces_together(run: Run, calibrated: Path, rows: Path, tmp_path: Path) -> None:
    options = ["--fdr", "0.3", "--json"]
    said = facts(run("score", calibrated, rows, "--out", tmp_path / "s.parquet", *ON, *options))
    expected = facts(run("score", calibrated, rows, "--out", tmp_path / "one.parquet", *options))
    assert without(said) == without(expected)
    assert said["flagged"] > 0
    assert pq.read_table(tmp_path / "s.parquet").equals(pq.read_table(tmp_path / "one.parquet"))


def test_reasons(run: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    options = ["--explain", "2"]
    result = run("score", model, rows, "--out", tmp_path / "s.parquet", *ON, *options)
    assert "because of" in result.stdout
    run("score", model, rows, "--out", tmp_path / "one.parquet", *options)
    found, expected = (pq.read_table(tmp_path / name).to_pandas() for name in ("s.parquet", "one.parquet"))
    pd.testing.assert_frame_equal(found, expected)


def test_an_error_leaves_nothing_and_what_was_there(run: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    table = transactions(120)
    table.loc[77, "amount"] = np.inf
    table.to_parquet(rows / "2.parquet", row_group_size=GROUP)
    (tmp_path / "s.parquet").write_text("old")
    for out in ("s.parquet", "scores"):
        result = run("score", model, rows, "--out", tmp_path / out, *ON)
        assert (result.exit_code, "'amount'" in result.stderr) == (2, True), result.output
    assert (tmp_path / "s.parquet").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "s.parquet"]


def test_a_run_after_one_that_was_killed_begins_anew(run: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    dead = tmp_path / ".scores.parts.expose-draft" / "0123"
    dead.mkdir(parents=True)
    (dead / "part-0000000.parquet").write_text("of another model")
    assert run("score", model, rows, "--out", tmp_path / "scores", *ON).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "scores"]
    assert len(pq.read_table(tmp_path / "scores")) == 240


def test_what_is_refused_before_any_work(
    run: Run, model: Path, data: Path, rows: Path, tmp_path: Path, opened: Any
) -> None:
    out = tmp_path / "s.parquet"
    for words, said in [
        ((data, "--out", out, *ON), "Without an engine it is read"),
        (("-", "--out", out, *ON), "standard input"),
        ((rows, "--out", "-", *ON), "give --out the name of one"),
        ((rows, "--out", "postgresql://host/scores", *ON), "give --out the name of one"),
        ((rows, "--out", "sqlite:s.db#scores", *ON), "give --out the name of one"),
        ((rows, "--out", tmp_path / "s.xlsx", *ON), "cannot tell the format"),
        ((rows, "--out", rows, *ON), "is there already"),
        ((rows, "--out", rows / "scores", *ON), "lies in the input folder"),
        ((rows / "0.parquet", "--out", rows / "0.parquet", *ON), "is an input"),
        ((rows, "--out", tmp_path / "no" / "scores", *ON), "there is no folder"),
        ((rows, "--out", out, *ON, "--fdr", "0.1"), "calibration"),
        ((rows, "--out", out, "--address", "local[2]"), "say by --engine of which"),
    ]:
        result = run("score", model, *words)
        assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert not opened
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows"]


# ---------------------------------------------------------------------------------------------------------- fit


@pytest.mark.parametrize("options", [[], ["--sample-rows", "100", "--label", "is_fraud"], ["--calibration", "2"]])
def test_a_fit_is_as_without(run: Run, rows: Path, tmp_path: Path, opened: Any, options: list[str]) -> None:
    said = []
    for name, more in [("one", ["--sample-rows", "200000"]), ("many", [*ON, "--address", "ray://head:1"])]:
        words = ["--id", "account", "--ignore", "note", "--out-suspects", tmp_path / f"{name}.csv", *more, *options]
        said.append(facts(run("fit", rows, "--out", tmp_path / name, *words, "--json")))
    assert opened == [("ray", "ray://head:1")]
    varying = {"seconds", "seconds_of", "model", "out_suspects", "sample_rows"}
    assert len({str({name: one[name] for name in one if name not in varying}) for one in said}) == 1
    assert weights_of(tmp_path / "one") == weights_of(tmp_path / "many")
    if "--sample-rows" in options:  # else the one is ranked as in memory
        assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "many.csv", "one", "one.csv", "rows"]


def test_people_are_told_that_an_engine_fits_a_sample(run: Run, rows: Path, tmp_path: Path) -> None:
    result = run("fit", rows, "--out", tmp_path / "model", *ON)
    assert "at random, as --engine ray works in passes" in " ".join(result.stdout.split())


def test_a_fit_that_fails_leaves_nothing(run: Run, rows: Path, tmp_path: Path) -> None:
    table = transactions(120)
    table["is_fraud"] = 3
    table.to_parquet(rows / "2.parquet")
    for on in (ON, ["--sample-rows", "50"]):
        result = run("fit", rows, "--label", "is_fraud", "--out", tmp_path / "model", *on)
        assert (result.exit_code, "row 240" in result.stderr) == (2, True), result.output
        assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_what_a_fit_on_an_engine_refuses(run: Run, data: Path, rows: Path, tmp_path: Path, opened: Any) -> None:
    for words, said in [
        ((data, *ON), "Without an engine it is read"),
        (("-", *ON), "standard input"),
        ((rows, "--address", "local[2]"), "say by --engine of which"),
    ]:
        result = run("fit", *words, "--out", tmp_path / "model")
        assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert not opened
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows"]
