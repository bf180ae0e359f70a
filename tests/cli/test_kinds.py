"""A kind of samples that somebody registers goes through all commands, and nothing in them names a kind."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import expose.cli

HERE = Path(__file__).parent
CLI = sorted(Path(expose.cli.__file__).parent.glob("*.py"))


def run_toy(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process in which the kind is registered."""
    words = [sys.executable, str(HERE / "toy.py"), *map(str, arguments)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    values = np.random.default_rng(0).normal(size=200)
    values[[3, 150]] = 20, -30
    for name, some in (("a", values[:100]), ("b", values[100:])):
        (folder / f"{name}.toy").write_text("\n".join(map(str, some)))
    (folder / "odd.toy").write_text("50\n60\n")
    data = [folder / "a.toy", folder / "b.toy"]
    said = run_toy("fit", *data, "--out", folder / "model", "--outliers", folder / "odd.toy", "--contamination", "0.01")
    assert "200 samples x 1 value in" in said.stdout
    assert "id_row" in said.stdout, "what names a sample is there, though it is called as the number of the row"
    return folder


def test_a_kind_of_ones_own_is_scored(toys: Path) -> None:
    run_toy("score", toys / "model", toys / "a.toy", toys / "b.toy", "--out", toys / "scores.csv")
    scores = pd.read_csv(toys / "scores.csv")
    assert list(scores) == ["row", "anomaly_score", "is_anomaly"]
    assert scores["row"].tolist() == ["a"] * 100 + ["b"] * 100
    assert set(scores["anomaly_score"].nlargest(2).index) == {3, 150}


def test_a_kind_of_ones_own_is_queried_and_answered(toys: Path) -> None:
    data = [toys / "a.toy", toys / "b.toy"]
    said = run_toy("query", toys / "model", *data, "--out", toys / "ask.csv", "-k", 4)
    assert "is written as 'id_row'" in said.stderr
    asked = pd.read_csv(toys / "ask.csv")
    assert list(asked) == ["row", "anomaly_score", "label", "id_row", "toy"]
    asked.assign(label=1).to_csv(toys / "ask.csv", index=False)
    run_toy("fit", *data, "--answers", toys / "ask.csv", "--out", toys / "better")


def test_a_kind_of_ones_own_is_reported(toys: Path) -> None:
    pytest.importorskip("plotly", reason="needs the extra report")
    run_toy("report", toys / "model", toys / "a.toy", "--out", toys / "page.html")
    assert "of 100 samples stand out" in (toys / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["fit", "classify"])
def test_labels_of_samples_without_columns_are_refused(toys: Path, command: str) -> None:
    words = [sys.executable, str(HERE / "toy.py"), command, toys / "a.toy", "--label", "x", "--out", toys / "m"]
    done = subprocess.run(list(map(str, words)), check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "toys come without labels here" in done.stderr) == (2, True)


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.stem)
def test_no_command_knows_a_kind(path: Path) -> None:
    """No kind's name as a value, no kind's class imported, no place but `Scorer` that scores batches."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    named = {"text", "video"} if path.stem == "options" else set()  # options of these names
    assert not (values - named) & {"table", "image", "text", "tables", "images", "texts"}
    imported = [name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names]
    assert not {"Table", "Images", "Texts", "as_table", "as_images", "as_texts"} & set(imported)
