"""``expose query``, and ``expose fit --answers``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts, run_apart, transactions

from expose.cli.query import column_of
from expose.estimators import AnomalyDetector


def test_a_round_of_labels(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("query", model, data, "-k", "6", "--out", tmp_path / "ask.csv")
    assert result.exit_code == 0, result.output
    assert "6 rows of 240" in result.stdout
    asked = pd.read_csv(tmp_path / "ask.csv")
    truth = transactions()
    assert list(asked.columns) == [
        *["row", "anomaly_score", "label"],
        *["account", "note", "is_fraud"],  # what names a row, what is left out, then what the model sees
        *["amount", "hour", "shop"],
    ]
    assert asked["label"].isna().all()
    assert asked["account"].tolist() == truth["account"][asked["row"]].tolist()
    detector = AnomalyDetector.load(model)
    np.testing.assert_allclose(asked["anomaly_score"], detector.training_scores_[asked["row"]])
    assert asked["row"].tolist() == detector.query(truth[["amount", "hour", "shop"]], 6).tolist()

    asked["label"] = ["normal", 1, 0, "", "anomaly", -1]
    asked.to_csv(tmp_path / "ask.csv", index=False)
    asked.iloc[:1].assign(label=1).to_csv(tmp_path / "second.csv", index=False)  # a second look
    roles = ["--id", "account", "--ignore", "note,is_fraud"]
    answers = ["--answers", tmp_path / "ask.csv", "--answers", tmp_path / "second.csv"]
    result = run("fit", data, *roles, *answers, "--out", tmp_path / "better", "-q")
    assert result.exit_code == 0, result.output
    known = AnomalyDetector.load(tmp_path / "better").fitted_.known
    assert known[asked["row"]].tolist() == [1, 1, 0, -1, 1, -1]
    assert (known != -1).sum() == 4
    again = facts(run("query", tmp_path / "better", data, "-k", "6", "--out", tmp_path / "next.csv", "--json"))
    assert not set(again["rows"]) & set(np.flatnonzero(known >= 0).tolist())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,note\n1,x\n", "has no column 'label'"),
        ("row,label\n240,1\n", "row numbers from 0 to 239"),
        ("row,label\nx,1\n", "row numbers from 0 to 239"),
        ("row,label\n1,perhaps\n", "holds 'perhaps'"),
    ],
)
def test_answers_that_cannot_be(run: Run, data: Path, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "ask.csv").write_text(text)
    result = run("fit", data, "--answers", tmp_path / "ask.csv", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_another_table(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    transactions().iloc[:100].to_csv(tmp_path / "part.csv", index=False)
    result = run("query", model, tmp_path / "part.csv", "--out", tmp_path / "ask.csv")
    assert result.exit_code == 2
    assert "training data, 240 rows; got 100 rows" in " ".join(result.stderr.split())
    assert not (tmp_path / "ask.csv").exists()


def test_to_stdout(model: Path, data: Path) -> None:
    done = run_apart("query", model, data, "-k", "3", "--out", "-")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(io.StringIO(done.stdout)).shape == (3, 9)
    assert "3 rows of 240" in done.stderr


def test_values_of_several_types_are_shown_as_text() -> None:
    assert column_of([1.5, None, 2.0]).to_pylist() == [1.5, None, 2.0]
    assert column_of([1, "a", None]).to_pylist() == ["1", "a", None]
    assert column_of([np.zeros(1)[None], object]).type == "string"
