"""Photos on the command line as somebody has them who knows nothing of us: what is said, tables, classes, answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts

from expose.estimators import AnomalyDetector

pillow = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
QUICK = ["--objective", "autoencoder", "--set", "epochs=3", "--set", "device=cpu"]
SHADES = {"light": 180, "dark": 60}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos of noise, light and dark, in a folder for each."""
    folder, random = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for row in range(60):
        shade = list(SHADES)[row % 2]
        (folder / shade).mkdir(parents=True, exist_ok=True)
        values = random.integers(SHADES[shade] - 50, SHADES[shade] + 50, (16, 16), dtype=np.uint8)
        pillow.fromarray(values).save(folder / shade / f"{row:02}.png")
    return folder


@pytest.fixture(scope="module")
def table(photos: Path) -> Path:
    """A table of these photos beside their folder."""
    files = sorted(str(file.relative_to(photos.parent)) for file in photos.rglob("*.png"))
    frame = pd.DataFrame({"part": range(60), "path": files, "shade": [file.split("/")[1] for file in files]})
    frame["odd"] = [1, 0] + [None] * 58
    frame.to_csv(photos.parent / "parts.csv", index=False)
    return photos.parent / "parts.csv"


def test_a_fit_speaks_of_photos_and_their_files(run: Run, photos: Path, tmp_path: Path) -> None:
    result = run("fit", photos, "--out", tmp_path / "m", "--out-suspects", tmp_path / "s.csv", "--top", 3, *QUICK)
    assert result.exit_code == 0, result.output
    assert "Read            60 images, 16 x 16 pixels, grey\nTrained         on 60 images in" in result.stdout
    assert "the images lie in 2 folders ('dark', 'light'), whose names play no part" in " ".join(result.stdout.split())
    assert "\nRanking         the first 3 of 60 images\n  rank   file   " in result.stdout
    assert f"Suspects        {tmp_path / 's.csv'}: all images in this order\n" in result.stdout
    assert " row" not in result.stdout
    assert list(pd.read_csv(tmp_path / "s.csv"))[:4] == ["rank", "row", "file", "anomaly_score"]
    scored = run("score", tmp_path / "m", photos, "--out", tmp_path / "scores.csv")
    assert "Scored          60 images in" in scored.stdout
    assert "\nHighest\n  file  " in scored.stdout
    assert " row" not in scored.stdout


def test_a_table_of_paths_gives_ids_and_labels(run: Run, table: Path, photos: Path, tmp_path: Path) -> None:
    options = ["--photo", "path", "--id", "part", "--label", "odd", "--json", *QUICK]
    said = facts(run("fit", table, "--out", tmp_path / "m", *options))
    assert (said["rows"], said["known_anomalies"], said["known_normal"]) == (60, 1, 1)
    assert list(said["ranking"][0])[:4] == ["rank", "row", "path", "part"]
    for source, columns in ((table, ["path", "part"]), (photos, ["file"])):
        result = run("score", tmp_path / "m", source, "--out", tmp_path / "scores.csv")
        assert result.exit_code == 0, result.output
        scores = pd.read_csv(tmp_path / "scores.csv")
        assert list(scores) == [*columns, "anomaly_score", "is_anomaly"]
        np.testing.assert_allclose(scores["anomaly_score"], AnomalyDetector.load(tmp_path / "m").training_scores_)
    other = run("fit", table, "--out", tmp_path / "m2", "--photo", "odd", *QUICK)
    assert other.exit_code != 0
    assert "58 row(s) name no photo in the column 'odd': row 2, 3, 4, 5, 6 and 53 more" in other.output


def test_labels_come_in_a_file_by_the_names_of_photos(run: Run, photos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\ndark/01.png,1\nlight/00.png,0\nlight/02.png,\n")
    said = facts(run("fit", photos, "--answers", labels, "--out", tmp_path / "m", "--json", *QUICK))
    assert (said["known_anomalies"], said["known_normal"]) == (1, 1)
    known = AnomalyDetector.load(tmp_path / "m").fitted_.known
    assert (known[0], known[30]) == (1, 0)  # dark/01.png, light/00.png
    for text, message in (
        (
            "file,label\nnowhere.png,1\n",
            "1 of 1 rows are not in the data: 'nowhere.png'. In the data the column 'file' beg",
        ),
        ("file,label\ndark/01.png,1\ndark/01.png,0\n", "row 0 is called both"),
        ("name,label\ndark/01.png,1\n", "has no column 'row'"),
        ("file,odd\ndark/01.png,1\n", "has no column 'label'"),
    ):
        labels.write_text(text)
        result = run("fit", photos, "--answers", labels, "--out", tmp_path / "m3", *QUICK)
        assert result.exit_code != 0
        assert message in " ".join(result.output.split())


@pytest.mark.parametrize("source", ["folder", "table"])
def test_a_classifier_learns_folders_or_a_column(
    run: Run, source: str, photos: Path, table: Path, tmp_path: Path
) -> None:
    data = [photos] if source == "folder" else [table, "--photo", "path", "--label", "shade"]
    quick = ["--set", "encoder=pixels", "--set", "epochs=20", "--set", "device=cpu"]
    result = run("classify", *data, "--out", tmp_path / "m", *quick)
    assert result.exit_code == 0, result.output
    assert "images, 16 x 16 pixels, grey, without outliers in" in result.stdout
    assert "  class   images\n  dark        30\n  light       30\n" in result.stdout
    result = run("score", tmp_path / "m", photos, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert (scores["predicted_class"] == ["dark"] * 30 + ["light"] * 30).mean() > 0.9


def test_what_somebody_types_first_is_answered_kindly(run: Run, photos: Path, table: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in (
        (["fit", empty], "no CSV or Parquet file in the folder"),
        (["fit", empty], "or photos (.jpg, .png)"),
        (["fit", photos, "--label", "shade"], "--label folder: of each the folder in which it lies"),
        (["fit", photos, "--label", "folder"], "expose classify DATA --label folder"),
        (["classify", table, "--photo", "path"], "--label COLUMN is missing"),
        (["classify", photos / "dark"], "here all lie in one"),
        (["fit", photos / "dark" / "01.png"], "training needs at least 2"),
    ):
        result = run(*arguments, "--out", tmp_path / "m")
        assert result.exit_code == 2, result.output
        assert message in " ".join(result.output.split())
