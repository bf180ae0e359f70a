"""P-values, named rules and false-discovery control on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, Run, facts, run_apart, run_in_process, transactions

from expose import AnomalyDetector, select

FEATURES = ["amount", "hour", "shop"]


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    transactions(600, seed=7).iloc[12:].to_csv(folder / "train.csv", index=False)  # clean rows
    options = ["--id", "account", "--ignore", "note,is_fraud", "--calibration", "5"]
    result = run_in_process("fit", folder / "train.csv", "--out", folder / "model", *options)
    assert result.exit_code == 0, result.output
    assert "P-values        by 588 rows" in result.stdout
    return folder / "model"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    transactions(500, seed=3).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_a_calibrated_model_writes_p_values(run: Run, calibrated: Path, new: Path, tmp_path: Path) -> None:
    result = run("score", calibrated, new, "--out", tmp_path / "s.parquet", "--threshold", "conformal:0.01")
    assert result.exit_code == 0, result.output
    scores, detector = pd.read_parquet(tmp_path / "s.parquet"), AnomalyDetector.load(calibrated)
    assert list(scores.columns) == ["account", "anomaly_score", "is_anomaly", "p_value"]
    np.testing.assert_array_equal(scores["p_value"], detector.p_value(transactions(500, seed=3)[FEATURES]))
    np.testing.assert_array_equal(scores["is_anomaly"], scores["p_value"] <= 0.01)
    assert "conformal: p-value of at most 0.01" in result.stdout


def test_selection_is_over_the_whole_file(
    run: Run, calibrated: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 70)
    said = facts(run("score", calibrated, new, "--out", tmp_path / "s.csv", "--fdr", "0.1", "--json"))
    scores = pd.read_csv(tmp_path / "s.csv")
    assert list(scores.columns) == ["account", "anomaly_score", "is_anomaly", "p_value"]
    assert scores["account"].tolist() == transactions(500, seed=3)["account"].tolist()
    expected = select(scores["p_value"], 0.1)
    np.testing.assert_array_equal(scores["is_anomaly"], expected)
    assert expected[:12].all()
    assert said["flagged"] == expected.sum() == (scores["p_value"] <= said["p_value_cutoff"]).sum()
    assert (said["threshold"], said["fdr"], said["threshold_rule"]) == (None, 0.1, "Benjamini-Hochberg")


def test_selection_from_stdin_to_stdout(calibrated: Path, new: Path) -> None:
    done = run_apart("score", calibrated, "-", "--out", "-", "--fdr", "0.2", input=new.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 501
    assert "Benjamini-Hochberg, false discoveries at most 20.0 %" in done.stderr


def test_trouble_during_selection_leaves_nothing(run: Run, calibrated: Path, tmp_path: Path) -> None:
    table = transactions(100)
    table.loc[97, "amount"] = np.inf
    table.to_csv(tmp_path / "new.csv", index=False)
    assert run("score", calibrated, tmp_path / "new.csv", "--out", tmp_path / "s.csv", "--fdr", "0.1").exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


@pytest.mark.parametrize("command", ["score", "report"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fdr", "0.1"], "--calibration 5"),
        (["--threshold", "conformal"], "--calibration 5"),
        (["--fdr", "1.5"], "--fdr must be"),
        (["--fdr", "0.1", "--threshold", "0.1"], "give one of them"),
        (["--threshold", "high"], "mixture, tail, conformal"),
        (["--threshold", "1.5"], "[0, 1)"),
    ],
)
def test_rules_that_cannot_be(
    run: Run, model: Path, data: Path, tmp_path: Path, command: str, options: list[str], says: str
) -> None:
    result = run(command, model, data, "--out", tmp_path / "out.csv", *options)
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "out.csv").exists()


def test_a_conformal_threshold_without_calibration_is_refused_before_training(
    run: Run, data: Path, tmp_path: Path
) -> None:
    result = run("fit", data, "--out", tmp_path / "model", "--threshold", "conformal", *QUICK)
    assert (result.exit_code, "add --calibration 5" in result.stderr) == (2, True)


@pytest.mark.parametrize("rule", ["mixture", "tail:0.001"])
def test_a_named_rule_is_kept_with_the_model(run: Run, data: Path, tmp_path: Path, rule: str) -> None:
    roles = ["--id", "account", "--ignore", "note,is_fraud"]
    said = facts(run("fit", data, "--out", tmp_path / "model", "--threshold", rule, "--json", *roles))
    assert said["threshold_rule"].startswith(rule.partition(":")[0])
    result = run("score", tmp_path / "model", data, "--out", tmp_path / "s.csv")
    assert result.exit_code == 0, result.output
    assert said["threshold_rule"] in result.stdout
    assert pd.read_csv(tmp_path / "s.csv")["is_anomaly"].sum() == said["flagged"]


def test_p_values_of_training_rows_are_warned_of(run: Run, calibrated: Path, new: Path, tmp_path: Path) -> None:
    again = run("score", calibrated, calibrated.parent / "train.csv", "--out", tmp_path / "s.csv")
    assert "Their p-values are no evidence" in again.stderr
    assert "no evidence" not in run("score", calibrated, new, "--out", tmp_path / "s.csv").stderr


def test_the_page_names_its_rule(run: Run, calibrated: Path, new: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="needs the extra report")
    for options, says in (
        (["--threshold", "tail"], "tail: false alarms at a rate of 0.01"),
        (["--fdr", "0.1"], "Benjamini-Hochberg: of the flagged rows at most 10 % false on average"),
    ):
        result = run("report", calibrated, new, "--out", tmp_path / "r.html", *options)
        assert result.exit_code == 0, result.output
        page = (tmp_path / "r.html").read_text()
        assert says in page
        assert '<span class="muted">p</span>' in page
    said = facts(run("score", calibrated, new, "--out", tmp_path / "s.csv", "--fdr", "0.1", "--json"))
    assert f'<strong class="hot">{said["flagged"]}</strong> of 500 rows stand out' in page
