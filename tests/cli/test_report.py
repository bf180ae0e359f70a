"""``expose report``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from commands import Run, facts, run_apart, transactions

from expose.estimators import AnomalyDetector


def test_a_page(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("report", model, data, "--out", tmp_path / "page.html", "--title", "November", "--top", "3")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "November" in page
    top = AnomalyDetector.load(model).anomaly_score(transactions()[["amount", "hour", "shop"]]).argmax()
    assert f"A{top:04d}" in page
    assert str(tmp_path / "page.html") in result.stdout


def test_the_default_name(model: Path, data: Path, tmp_path: Path) -> None:
    done = run_apart("report", model, data, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "expose-report.html").read_text(encoding="utf-8")
    assert f"expose report {model} {data} --json" in page, "the page says how to make it again"


def test_json(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    said = facts(run("report", model, data, "--out", tmp_path / "page.html", "--json"))
    assert (said["report"], said["rows"]) == (str(tmp_path / "page.html"), 240)


def test_known_labels_are_shown_not_needed(run: Run, tmp_path: Path) -> None:
    table = transactions(120).drop(columns=["note", "account"])
    table.to_csv(tmp_path / "train.csv", index=False)
    table.drop(columns="is_fraud").to_csv(tmp_path / "new.csv", index=False)
    options = ["--label", "is_fraud", "--objective", "ntl", "--set", "epochs=2", "-q"]
    assert run("fit", tmp_path / "train.csv", "--out", tmp_path / "model", *options).exit_code == 0
    for name in ("train.csv", "new.csv"):
        result = run("report", tmp_path / "model", tmp_path / name, "--out", tmp_path / "page.html")
        assert result.exit_code == 0, result.output


def test_the_input_is_never_overwritten(run: Run, model: Path, data: Path) -> None:
    before = data.read_bytes()
    assert run("report", model, data, "--out", data).exit_code == 2
    assert data.read_bytes() == before


@pytest.mark.parametrize("place", ["missing/page.html", "file/page.html", ""])
def test_an_unwritable_place(run: Run, model: Path, data: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    result = run("report", model, data, "--out", tmp_path / place)
    if place == "missing/page.html" and result.exit_code == 0:
        return  # a missing folder may as well be made
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_device_is_not_replaced(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run("report", model, data, "--out", tmp_path / "pipe").exit_code == 2
    assert (tmp_path / "pipe").is_fifo()


def test_the_extra_is_named_when_absent(
    run: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    result = run("report", model, data, "--out", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "expose[report]" in result.stderr


def test_a_harmed_model(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("report", tmp_path / "none", data, "--out", tmp_path / "page.html").exit_code == 3
