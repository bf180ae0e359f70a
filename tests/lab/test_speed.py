"""Studies of speed, at tiny sizes: what they store, that ratios are what they say, and what their page shows of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from expose_lab import study
from expose_lab.pages import Page
from expose_lab.store import Row, Store
from expose_lab.studies import fit_cost, live_latency, one_row, scoring_speed, training_speed
from expose_lab.studies.fit_cost import FOREST

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMMON = {"code": "", "versions": "{}", "finished": "2026-11-29T00:00:00+00:00", "measured_at": None}


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads(), pa.cpu_count()
    yield
    torch.set_num_threads(before[0])
    pa.set_cpu_count(before[1])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    monkeypatch.setattr(scoring_speed, "TRAINING_ROWS", 60)
    monkeypatch.setattr(scoring_speed, "BATCH_ROWS", 100)
    monkeypatch.setattr(scoring_speed, "COUNTED", 768)
    monkeypatch.setattr(scoring_speed, "EPOCHS", 1)
    monkeypatch.setattr(scoring_speed, "peak_gflops", lambda: 10.0)


def store(path: Path, rows: list[Row]) -> None:
    """Rows as a study stores them, each of a cell of its own."""
    with Store(path) as there:
        there.add({"key": str(i), "cell": str(i), **COMMON, **row} for i, row in enumerate(rows))


def page_of(results: Path) -> str:
    """The page of speed, from these results and the stored ones of single rows."""
    if not (results / "one_row.parquet").exists():
        shutil.copy(RESULTS / "one_row.parquet", results)
    study.main(["one_row", "--page", "--results", str(results), "--docs", str(results)])
    return (results / one_row.STUDY.page).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].partition("\n## ")[0]


def test_all_score_the_same_rows_in_both_ways(tiny: None) -> None:
    cell = {"columns": 3, "threads": 2, "rows": 250, "repeats": 1}
    rows = list(scoring_speed.measure(cell, Path()))
    assert {(row["scorer"], row["way"]) for row in rows} == {
        (name, way) for name in ("default", "ntl", FOREST) for way in ("parquet", "memory")
    }
    forest = {row["way"]: row["rows_per_second"] for row in rows if row["scorer"] == FOREST}
    for row in rows:
        assert row["rows_per_second"] == 250 / row["seconds"]
        assert row["times_forest"] == pytest.approx(row["rows_per_second"] / forest[row["way"]])
        assert row["load"] >= 0
        assert (row["share_of_peak"] is None) == (row["scorer"] == FOREST)
    assert all(row["share_of_peak"] > 0 for row in rows if row["scorer"] != FOREST)


def test_a_stream_scores_every_row_as_the_matrix_does(tmp_path: Path, tiny: None) -> None:
    import pyarrow.parquet as pq

    scoring_speed.generate(tmp_path / "rows.parquet", 250, columns=3)
    X = np.column_stack(pq.read_table(tmp_path / "rows.parquet").columns)
    trees = fit_cost.forest().fit(X)
    for jobs in (1, 2):
        scoring_speed.stream(tmp_path / "rows.parquet", lambda rows, n=jobs: scoring_speed.by_forest(trees, n, rows))
        scores = pq.read_table(tmp_path / "scores.parquet")["anomaly_score"].to_numpy()
        np.testing.assert_allclose(scores, -trees.score_samples(X))


def test_the_least_of_several_turns_counts_and_all_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    seconds = iter([5.0, 7.0, 4.0, 3.0, 9.0, 8.0])
    monkeypatch.setattr(scoring_speed, "timed", lambda act: (act(), (next(seconds), 1.0))[1])
    calls = {("a", "w"): [lambda: done.append("a"), lambda: done.append("a, two jobs")], ("b", "w"): [lambda: None]}
    best = scoring_speed.in_turns(calls, repeats=2)
    assert done == ["a", "a, two jobs"] * 2
    assert best == {("a", "w"): (3.0, 1.0), ("b", "w"): (4.0, 1.0)}


def test_a_fit_is_compared_with_the_forests_fit_and_its_scoring(monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    seconds = iter([0.0, 0.0, 0.0, 2.0, 1.0, 8.0, 3.0, 0.5, 6.0])  # forest's fit and scoring, then ours; three turns
    monkeypatch.setattr(fit_cost, "used", lambda act, X: next(seconds))
    monkeypatch.setattr(fit_cost, "TURNS", 2)
    row = fit_cost.measure({"detector": "default", "rows": 50}, Path())
    assert (row["seconds"], row["forest_fit_seconds"], row["forest_score_seconds"]) == (6.0, 2.0, 0.5)
    assert (row["times_forest"], row["turns"]) == (6.0 / 2.5, 2)


def test_no_other_turn_begins_once_fitting_took_long(monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    monkeypatch.setattr(fit_cost, "used", lambda act, X: 1.0 if len(X) < 50 else 20.0)
    monkeypatch.setattr(fit_cost, "WARM", 10)
    assert fit_cost.measure({"detector": "default", "rows": 50}, Path())["turns"] == 1


def test_a_fit_is_really_measured(threads: None) -> None:
    row = fit_cost.measure({"detector": "default", "rows": 40}, Path())
    assert min(row["seconds"], row["forest_fit_seconds"], row["forest_score_seconds"]) > 0


def test_only_some_are_fitted_on_many_rows() -> None:
    cells = list(fit_cost.cells([100_000, 1_000], ["default", "ntl"], ["default"]))
    assert [(cell["detector"], cell["rows"]) for cell in cells] == [
        ("default", 1_000),
        ("ntl", 1_000),
        ("default", 100_000),
    ]


def test_rows_of_another_width_and_those_of_thirty_columns_as_ever() -> None:
    assert fit_cost.correlated(5, 1, 100).shape == (5, 100)
    assert np.array_equal(fit_cost.correlated(5, 1), fit_cost.correlated(5, 1, 30))


def test_the_page_says_what_was_not_measured(tmp_path: Path) -> None:
    text = page_of(tmp_path)
    for heading, name in {
        "Scoring": "scoring_speed",
        "Fit": "fit_cost",
        "Training": "training_speed",
        "Series, as they come": "live_latency",
    }.items():
        assert "Not measured" in section(text, heading)
        assert f"python -m expose_lab.study {name}`" in section(text, heading)
    assert "| default, `anomaly_score` of a NumPy array |" in section(text, "One row per call")


def test_lines_are_answered_one_by_one_and_by_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"TRAINING": 80, "STEPS": 20, "LEAST": 100, "TURNS": 3, "WARM": 2}.items():
        monkeypatch.setattr(live_latency, name, value)
    cells = list(live_latency.cells([2], [1, 3], 4))
    rows = [cell | row for cell in cells for row in live_latency.measure(cell, Path())]
    assert [(row["entities"], row["way"]) for row in rows] == [(1, "line"), (3, "line"), (3, "turn")]
    assert all(0 < row["median_ms"] <= row["p99_ms"] for row in rows)
    store(tmp_path / "live_latency.parquet", rows)
    assert f"| 2 | 1 | {rows[0]['window']} steps |" in section(page_of(tmp_path), "Series, as they come")


def test_the_page_shows_the_ratio_first(tmp_path: Path) -> None:
    machine = {"load": 0.5, "processors": 2, "peak_gflops": 100.0, "columns": 10, "rows": 1_000, "repeats": 3}
    store(
        tmp_path / "scoring_speed.parquet",
        [
            {"scorer": name, "way": way, "times_forest": ratio, "rows_per_second": 1e5 * ratio, "share_of_peak": share}
            | {**machine, "threads": 1}
            for name, ratio, share in (("default", 1.25, 0.42), (FOREST, 1.0, None))
            for way in scoring_speed.WAYS
        ],
    )
    found = {"clock": "processor", "threads": 1, "load": 0.25, "rows": 1_000, "forest_fit_seconds": 0.5}
    new = {"detector": "default", "seconds": 4.0, "forest_score_seconds": 1.5, "times_forest": 2.0}
    old = {"detector": "ntl", "seconds": 10.0, "forest_score_seconds": None, "times_forest": None}
    store(tmp_path / "fit_cost.parquet", [found | new, found | old | {"load": None}])
    text = page_of(tmp_path)
    scoring, fit = section(text, "Scoring"), section(text, "Fit")
    assert "| default, Parquet to Parquet | 1.25 x (125,000) |" in scoring
    assert "| IsolationForest, in memory | 1.00 x (100,000) |" in scoring
    assert "| default | 42 % |" in scoring
    assert "| default | 2.0 x (4.0 s) |" in fit
    assert "| IsolationForest | 1.0 x (2.0 s) |" in fit
    assert "load of 0.2" in fit
    assert "ntl" not in fit  # an older row does not know the forest's scoring
    assert "| ntl | 20 x (10 s) |" in fit_cost.context(Page("", tmp_path, tmp_path))["table"]


@pytest.mark.parametrize(
    ("known", "said"),
    [({}, "— | —"), ({"ours_share_of_peak": 0.0412, "textbook_share_of_peak": 0.02, "load": 1.5}, "4.1 % | 2 %")],
)
def test_training_that_was_measured_without_the_peak_has_dashes(tmp_path: Path, known: Row, said: str) -> None:
    row: Row = {"set": "thyroid", "exposure": "soft", "epochs": 3, "threads": 1, "ratio": 2.0, **known}
    for side in training_speed.SIDES:
        row |= {f"{side}_seconds": 1.0, f"{side}_f1": [80.0, 90.0]}
    store(tmp_path / "training_speed.parquet", [row])
    assert f"| thyroid | 2.0 x | 1.0 | 1.0 | {said} |" in training_speed.context(Page("", tmp_path, tmp_path))["table"]
