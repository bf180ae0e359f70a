"""``expose demo``, all of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from commands import Run, facts

from expose.estimators import AnomalyDetector


def test_it_leaves_what_it_says(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    for name in ("thyroid.csv.gz", "model", "scores.csv", "expose-report.html"):
        assert (tmp_path / "demo" / name).exists()
        assert str(tmp_path / "demo" / name) in result.stdout
    for said in (
        "Share  ",
        "Ranking         the first 20 of 3,772 rows",
        "Truly ill       93",
        "of the top 10",
        "AUROC",
    ):
        assert said in result.stdout


def test_the_truth_is_used_only_afterwards(run: Run, tmp_path: Path) -> None:
    said = facts(run("demo", "--out", tmp_path / "demo", "--json"))
    detector = AnomalyDetector.load(tmp_path / "demo" / "model")
    assert detector.feature_names_in_.tolist() == ["age", "TSH", "T3", "TT4", "T4U", "FTI"]
    assert detector.metadata_["label"] is None
    assert said["truth"]["anomalies"] == 93
    assert said["columns"] == 6
    assert len(pd.read_csv(tmp_path / "demo" / "scores.csv")) == said["rows"] == 3772


def test_a_slip_of_the_pen_makes_no_folders(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "nowhere" / "demo")
    assert (result.exit_code, "mkdir -p" in result.stderr) == (2, True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_it_finds_the_ill(run: Run, tmp_path: Path) -> None:
    said = facts(run("demo", "--out", tmp_path / "demo", "--json"))
    assert said["truth"]["auroc"] > 0.97  # 0.982 to 0.984 over two seeds
    assert said["truth"]["precision_at"]["50"] > 0.60  # 0.66
    assert said["truth"]["precision_at"]["93"] > 0.58  # 0.61; the share of the ill is 0.025
