"""``expose export``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import QUICK, Run, facts, run_in_process, transactions

from expose.estimators import AnomalyDetector

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def numbers(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the columns of numbers alone."""
    folder = tmp_path_factory.mktemp("numbers") / "model"
    roles = ["--id", "account", "--ignore", "note,is_fraud,shop"]
    assert run_in_process("fit", data, "--out", folder, *roles, *QUICK, "-q").exit_code == 0
    return folder


def test_the_file_scores_as_the_model(run: Run, numbers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    result = run("export", numbers, "--out", out)
    assert result.exit_code == 0, result.output
    assert "anomaly_score, is_anomaly" in result.stdout
    assert "amount, hour" in result.stdout
    table = transactions()[["amount", "hour"]]
    session = onnxruntime.InferenceSession(out)
    scores, flags = session.run(None, {"X": table.to_numpy(dtype=np.float64)})
    detector = AnomalyDetector.load(numbers)
    np.testing.assert_allclose(scores, detector.anomaly_score(table), rtol=1e-5)
    clear = ~np.isclose(scores, detector.threshold_score(), rtol=1e-5)
    assert clear.mean() > 0.9
    assert flags[clear].tolist() == detector.is_anomaly(table)[clear].tolist()


def test_another_threshold_and_facts_for_machines(run: Run, numbers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    out.write_text("of before")  # it is replaced, as other results are
    found = facts(run("export", numbers, "--out", out, "--threshold", "0.3", "--json"))
    assert found["columns"] == ["amount", "hour"]
    assert found["outputs"] == ["anomaly_score", "is_anomaly"]
    assert found["difference"] <= 1e-5
    table = transactions()[["amount", "hour"]].to_numpy(dtype=np.float64)
    flags = onnxruntime.InferenceSession(out).run(["is_anomaly"], {"X": table})[0]
    assert flags.sum() == round(0.3 * len(table))


def test_what_cannot_be_exported_is_said_and_nothing_is_written(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    result = run("export", model, "--out", out)
    assert result.exit_code == 2
    assert "'shop' is a category" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "message"), [("-", "name a file"), (".", "is a folder"), ("no/model.onnx", "there is no folder")]
)
def test_places_that_are_none(
    out: str, message: str, run: Run, numbers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("export", numbers, "--out", out)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_put_among_those_of_the_model(run: Run, numbers: Path) -> None:
    before = sorted(numbers.iterdir())
    result = run("export", numbers, "--out", numbers / "model.onnx")
    assert result.exit_code == 2
    assert "lies in the input folder" in result.stderr
    assert sorted(numbers.iterdir()) == before


def test_a_rule_that_makes_no_sense(run: Run, numbers: Path, tmp_path: Path) -> None:
    result = run("export", numbers, "--out", tmp_path / "model.onnx", "--threshold", "5")
    assert result.exit_code == 2
    assert "write 0.05" in result.stderr
