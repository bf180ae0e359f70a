"""Series on the command line: fit, score, spans, and tables that could be series."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts

N = 600
ROLES = ("--time", "when", "--entity", "pump")


def pumps() -> pd.DataFrame:
    """Two pumps, a value each quarter of an hour; one of the second stands still for a while."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(N) * 2 * np.pi / 24)
    parts = []
    for pump in ("north", "south"):
        bar, heat = (wave + 0.1 * rng.normal(size=N) for _ in range(2))
        if pump == "south":
            bar[400:412] = 0.0
        when = pd.date_range("2026-01-01", periods=N, freq="15min").strftime("%d.%m.%Y %H:%M")
        parts.append(
            pd.DataFrame({"pump": pump, "when": when, "bar": bar.round(3), "heat": heat.round(3), "on": "yes"})
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("series") / "pumps.csv"
    pumps().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def model(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from commands import run_in_process

    folder = tmp_path_factory.mktemp("models") / "model"
    result = run_in_process("fit", rows, *ROLES, "--window", 24, "--contamination", 0.03, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_fit_says_what_was_read_and_where_it_is_odd(run: Run, rows: Path, tmp_path: Path) -> None:
    said = run("fit", rows, *ROLES, "--top", 2, "--out", tmp_path / "m")
    assert said.exit_code == 0, said.output
    assert "1,200 steps, 2 channels, 2 series, 2026-01-01T00:00:00 to 2026-01-07T05:45:00 in steps of 15" in said.stdout
    assert "windows of 120 steps are judged: whole periods of 24" in said.stdout
    assert "columns that hold no numbers are left out: 'on'." in said.stdout
    assert re.search(r"Spans +1 span of \d+ steps in all, of 1,200", said.stdout)
    assert "the highest step of each of the first 2 of" in said.stdout
    assert "south" in said.stdout.split("Ranking")[1]


def test_spans_and_reasons_for_machines(run: Run, rows: Path, tmp_path: Path) -> None:
    given = ("--window", 24, "--contamination", 0.03, "--top", 1)
    said = facts(run("fit", rows, *ROLES, *given, "--out", tmp_path / "m", "--json"))
    first = said["spans"][0]
    assert first["entity"] == "south"
    assert 1_000 <= first["peak_row"] < 1_012
    assert first["channels"].startswith("bar (")
    assert first["start"] < "2026-01-05T04:00:00" < first["end"]  # it lies in 400 quarters of an hour
    assert 12 <= sum(span["steps"] for span in said["spans"]) <= said["flagged"]
    assert said["ranking"][0]["reasons"][0]["column"] == "bar"


def test_scores_are_one_line_per_row_as_they_came(run: Run, rows: Path, model: Path, tmp_path: Path) -> None:
    assert run("score", model, rows, "--out", tmp_path / "s.csv", "--explain", 1).exit_code == 0
    scores = pd.read_csv(tmp_path / "s.csv")
    assert list(scores.columns)[:4] == ["pump", "when", "anomaly_score", "is_anomaly"]
    assert scores["when"].tolist() == pumps()["when"].tolist()
    assert 1_000 <= scores["anomaly_score"].argmax() < 1_012
    assert scores["reason_1"][1_005] == "bar"


def test_order_of_rows_changes_no_score(run: Run, rows: Path, model: Path, tmp_path: Path) -> None:
    mixed = pumps().sample(frac=1, random_state=0)
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    result = run("score", model, tmp_path / "mixed.csv", "--out", tmp_path / "mixed-scores.csv")
    assert "rows are not in order of time" in result.output
    run("score", model, rows, "--out", tmp_path / "s.csv")
    found, expected = (pd.read_csv(tmp_path / name)["anomaly_score"] for name in ("mixed-scores.csv", "s.csv"))
    np.testing.assert_array_equal(found, expected[mixed.index])


def test_rows_in_pieces_are_scored_as_one(
    run: Run, rows: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("whole", 10_000), ("parts", 77)):
        monkeypatch.setattr("expose.kinds.series.AT_ONCE", size)
        given = ("--out", tmp_path / f"{name}.csv", "--spans", tmp_path / f"{name}-spans.csv")
        assert run("score", model, rows, *given).exit_code == 0
    for name in ("{}.csv", "{}-spans.csv"):
        assert (tmp_path / name.format("whole")).read_bytes() == (tmp_path / name.format("parts")).read_bytes()


def test_spans_of_what_is_flagged(run: Run, rows: Path, model: Path, tmp_path: Path) -> None:
    said = facts(run("score", model, rows, "--out", tmp_path / "s.csv", "--spans", tmp_path / "spans.csv", "--json"))
    spans, scores = pd.read_csv(tmp_path / "spans.csv"), pd.read_csv(tmp_path / "s.csv")
    assert said["spans"] == len(spans)
    assert 12 <= spans["steps"].sum() <= scores["is_anomaly"].sum()
    names = ["span", "entity", "start", "end", "steps", "peak", "peak_row", "peak_score", "channels"]
    assert list(spans.columns) == names
    assert scores["anomaly_score"][spans["peak_row"][0]] == spans["peak_score"][0] == scores["anomaly_score"].max()


def test_nothing_flagged_is_a_file_without_rows(run: Run, rows: Path, model: Path, tmp_path: Path) -> None:
    pumps()[:300].to_csv(tmp_path / "few.csv", index=False)
    given = ("--threshold", "tail:1e-12", "--out", tmp_path / "s.csv", "--spans", tmp_path / "spans.csv")
    assert run("score", model, tmp_path / "few.csv", *given).exit_code == 0
    assert len(pd.read_csv(tmp_path / "spans.csv")) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--entity", "pump"), "--entity goes with --time COLUMN"),
        (("--window", 24), "--window goes with --time COLUMN"),
        (("--time", "when"), "tells these rows apart: --entity pump"),
        (("--time", "then"), "time: there is no column 'then'"),
        (("--time", "on", "--entity", "pump"), "must hold times, or numbers"),
        ((*ROLES, "--window", 601), "a window of 601 steps is longer than the longest stretch"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, rows: Path, tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    result = run("fit", rows, *given, "--out", tmp_path / "m")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_rows_are_neither_drawn_nor_scored_in_pieces(run: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    pumps().to_parquet(tmp_path / "pumps.parquet")
    for given in (("--sample-rows", 100), ("--memory", "1GB"), ("--engine", "dask")):
        result = run("fit", tmp_path / "pumps.parquet", *ROLES, *given, "--out", tmp_path / "m")
        assert result.exit_code == 2
        assert "series need those around each" in " ".join(result.output.split())
    result = run("score", model, tmp_path / "pumps.parquet", "--engine", "dask", "--out", tmp_path / "s.csv")
    assert result.exit_code == 2
    assert "series need all rows around each" in " ".join(result.output.split())


def test_spans_of_rows_without_an_order_are_refused(run: Run, rows: Path, tmp_path: Path) -> None:
    run("fit", rows, "--ignore", "when", "--out", tmp_path / "table")
    result = run("score", tmp_path / "table", rows, "--out", tmp_path / "s.csv", "--spans", tmp_path / "spans.csv")
    assert result.exit_code == 2
    assert "--spans is for series" in result.output
    assert not (tmp_path / "s.csv").exists()


def test_a_table_in_order_of_time_is_told_so(run: Run, rows: Path, tmp_path: Path) -> None:
    said = facts(run("fit", rows, "--out", tmp_path / "m", "--json"))
    assert any("--time when --entity pump judges windows" in note for note in said["notes"])
    pumps().sample(frac=1, random_state=0).to_csv(tmp_path / "mixed.csv", index=False)
    said = facts(run("fit", tmp_path / "mixed.csv", "--out", tmp_path / "n", "--json"))
    assert not any("--time" in note for note in said["notes"])


def test_a_query_and_its_answers_name_steps(run: Run, rows: Path, model: Path, tmp_path: Path) -> None:
    assert run("query", model, rows, "--out", tmp_path / "q.csv").exit_code == 0
    table = pd.read_csv(tmp_path / "q.csv").assign(label=0)
    table.to_csv(tmp_path / "q.csv", index=False)
    given = ("--answers", tmp_path / "q.csv", "--window", 24, "--json")
    said = facts(run("fit", rows, *ROLES, *given, "--out", tmp_path / "m"))
    assert said["known_normal"] == len(table)
