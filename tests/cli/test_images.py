"""Folders of images on the command line: fit, score, query, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts, run_in_process
from sklearn.datasets import load_digits

from expose.estimators import AnomalyDetector

pillow = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
QUICK = ["--objective", "autoencoder", "--set", "epochs=30", "--set", "device=cpu"]


def write(folder: Path, images: np.ndarray) -> Path:
    """Write images ``(n, H, W)`` in [0, 16] as files, numbered, every third into a folder below."""
    for row, image in enumerate(images):
        place = folder / ("below" if row % 3 == 0 else ".") / f"{row:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray((image / 16 * 255).astype(np.uint8)).save(place)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 threes."""
    digits = load_digits()
    return write(tmp_path_factory.mktemp("data") / "threes", digits.images[digits.target == 3][:120])


@pytest.fixture(scope="module")
def sevens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    digits = load_digits()
    return write(tmp_path_factory.mktemp("data") / "sevens", digits.images[digits.target == 7][:20])


@pytest.fixture(scope="module")
def model(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    result = run_in_process("fit", images, "--out", folder, "--contamination", "0.05", *QUICK)
    assert result.exit_code == 0, result.output
    assert "Read            120 images, 8 x 8 pixels, grey\nTrained         on 120 images in" in result.stdout
    assert ".png" in result.stdout  # suspects are named by their files
    return folder


def test_scores_are_named_by_files(run: Run, model: Path, images: Path, sevens: Path, tmp_path: Path) -> None:
    for source, name in ((images, "same.csv"), (sevens, "new.csv")):
        result = run("score", model, source, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
    same, new = pd.read_csv(tmp_path / "same.csv"), pd.read_csv(tmp_path / "new.csv")
    assert list(same) == ["file", "anomaly_score", "is_anomaly"]
    assert same["file"].tolist()[:2] == ["001.png", "002.png"]
    assert same["file"].tolist()[-1] == "below/117.png"
    detector = AnomalyDetector.load(model)
    np.testing.assert_allclose(same["anomaly_score"], detector.training_scores_, rtol=1e-5)
    assert new["anomaly_score"].median() > same["anomaly_score"].quantile(0.9)


def test_many_images_are_scored_in_parts(run: Run, model: Path, images: Path, tmp_path: Path, monkeypatch) -> None:
    run("score", model, images, "--out", tmp_path / "whole.parquet")
    monkeypatch.setattr("expose.kinds.image.AT_ONCE", 50)
    run("score", model, images, "--out", tmp_path / "parts.parquet")
    whole, parts = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(parts, whole)


def test_files_and_patterns_are_taken_too(run: Run, model: Path, images: Path, tmp_path: Path) -> None:
    files = sorted(images.glob("*.png"))
    for name, sources in (("files.csv", files), ("pattern.csv", [images / "*.png"])):
        result = run("score", model, *sources, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert pd.read_csv(tmp_path / name)["file"].tolist() == list(map(str, files))


def test_queries_are_answered_and_outliers_exposed(run: Run, model: Path, images: Path, sevens: Path, tmp_path) -> None:
    asked = tmp_path / "asked.csv"
    assert run("query", model, images, "--out", asked, "-k", 4).exit_code == 0
    table = pd.read_csv(asked)
    assert list(table) == ["row", "anomaly_score", "label", "file", "size"]
    table.assign(label=1).to_csv(asked, index=False)
    again = tmp_path / "again"
    options = ["--answers", asked, "--outliers", sevens, "--json", *QUICK]
    assert facts(run("fit", images, "--out", again, *options))["rows"] == 120
    assert np.flatnonzero(AnomalyDetector.load(again).fitted_.known == 1).tolist() == sorted(table["row"])


def test_what_does_not_fit_images_is_refused(run: Run, model: Path, images: Path, data: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out.csv"]
    for arguments, message in (
        (["fit", images, "--out", tmp_path / "m", "--objective", "language"], "'autoencoder'"),
        (
            ["fit", images, "--out", tmp_path / "m", "--label", "x", "--id", "y", *QUICK],
            "id and label: images",
        ),
        (["fit", images, "--out", tmp_path / "m", "--outliers", data, *QUICK], "Expected images, as in training"),
        (["score", model, tmp_path / "nothing.png", *out], "there is no file or folder"),
        (["score", model, data, *out], "Expected images, as in training"),
        (["score", model, images, "--id", "x", *out], "id: images have no columns"),
        (["classify", images, "--label", "x", *out], "Or --label folder: of each the folder in which it lies"),
        (["classify", data, *out], "--label COLUMN is missing"),
    ):
        result = run(*arguments)
        assert result.exit_code != 0
        assert message in " ".join(result.output.split())


def test_a_folder_of_images_and_tables_must_be_told_apart(run: Run, images: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((images / "001.png").read_bytes())
    (tmp_path / "labels.csv").write_text("a\n1\n")
    result = run("fit", tmp_path, "--out", tmp_path / "m", *QUICK)
    assert result.exit_code != 0
    assert "holds images and tables, such as labels.csv" in " ".join(result.output.split())
