"""``expose score --maps``: pictures, masks and maps in a folder, whole or not at all, and nothing overwritten."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import mosaic
import numpy as np
import pandas as pd
import pytest
from commands import Run, facts, run_in_process

import expose
from expose import AnomalyDetector, OutlierExposureClassifier
from expose.cli.maps import file_names
from expose.errors import InputError
from expose.explain.reasons import check_explainable
from expose.kinds import as_images
from expose.objectives import Descend

pillow = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
SPOTTED = ("a/odd.png", "b/odd.png", "b/odd.jpg")
MODEL = ("--objective", "gaussian", "--set", "encoder=mosaic", "--set", "device=cpu")


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with mosaic.known():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty photos in two folders, and three with a spot on the right."""
    place = tmp_path_factory.mktemp("data") / "photos"
    usual = {f"{'ab'[row % 2]}/{row:02}.png": photo for row, photo in enumerate(mosaic.photos(60, (40, 80)))}
    odd = {name: mosaic.spotted(mosaic.photos(1, (40, 80), row)[0], 0.4, 0.8) for row, name in enumerate(SPOTTED)}
    for name, photo in {**usual, **odd}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(photo).save(place / name)
    return place


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "model"
    result = run_in_process("fit", folder, "--out", place, "--contamination", "0.05", *MODEL)
    assert result.exit_code == 0, result.output
    assert "right (100 %)" in result.stdout
    assert "missing" not in result.stdout
    return place


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_most_anomalous_are_drawn_masked_and_mapped(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    out, maps = tmp_path / "scores.csv", tmp_path / "maps"
    options = ["--maps", maps, "--maps-top", "3", "--maps-with", "mask,map"]
    result = run("score", model, folder, "--out", out, *options)
    assert result.exit_code == 0, result.output
    names = ["a/odd", "b/odd.jpg", "b/odd.png"]
    assert files_in(maps) == sorted(f"{one}{end}" for one in names for end in (".jpg", ".mask.png", ".map.tiff"))
    assert "the 3 most anomalous of 63 images" in result.stdout
    assert "1.5 robust standard deviations" in result.stdout
    scorer = expose.load(model).scorer()
    heat, mask = (np.asarray(pillow.open(maps / f"a/odd{end}")) for end in (".map.tiff", ".mask.png"))
    np.testing.assert_allclose(heat, scorer.maps([folder / "a/odd.png"])[0], rtol=1e-5)
    np.testing.assert_array_equal(mask, 255 * scorer.masks([folder / "a/odd.png"])[0])
    assert (heat.shape, heat.dtype, mask.dtype) == ((40, 80), np.float32, np.uint8)
    assert mask[20, 68] == 255
    picture = np.asarray(pillow.open(maps / "a/odd.jpg")).astype(int)
    assert picture.shape == (40, 80, 3)
    assert np.ptp(picture[20, 68]) > 60  # in colour
    assert np.ptp(picture[:, :30], axis=-1).max() < 20  # grey


def test_scores_are_the_same_with_maps_and_batch_by_batch(
    run: Run, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("score", model, folder, "--out", tmp_path / "plain.csv").exit_code == 0
    monkeypatch.setattr("expose.kinds.image.AT_ONCE", 10)
    options = ["--maps", tmp_path / "maps", "--maps-top", "5", "--explain", "2", "--json"]
    said = facts(run("score", model, folder, "--out", tmp_path / "mapped.csv", *options))
    plain, mapped = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("plain", "mapped"))
    pd.testing.assert_frame_equal(mapped[list(plain)], plain)
    first = plain.nlargest(5, "anomaly_score")["file"]
    assert files_in(tmp_path / "maps") == sorted(f"{name}.jpg" for name in map(str, file_names(first.tolist())))
    assert mapped.set_index("file").loc["a/odd.png", "reason_1"] == "right"
    assert said["maps"]["pictures"] == 5
    assert said["maps"]["usual"] < said["maps"]["line"] < said["maps"]["full"]


def test_fewer_photos_than_asked_for_are_all_drawn(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    one = folder / "a" / "00.png"
    result = run("score", model, one, "--out", tmp_path / "s.csv", "--maps", tmp_path / "maps")
    assert result.exit_code == 0, result.output
    assert files_in(tmp_path / "maps") == ["00.jpg"]
    assert "all of 1 image" in result.stdout


def test_photos_that_a_table_lists_are_drawn_by_their_paths(
    run: Run, model: Path, folder: Path, tmp_path: Path
) -> None:
    table = folder.parent / "listed.csv"
    table.write_text("part,path\n1,photos/a/00.png\n2,photos/a/odd.png\n3,photos/b/odd.jpg\n")
    options = ["--photo", "path", "--maps", tmp_path / "maps", "--maps-top", "2"]
    result = run("score", model, table, "--out", tmp_path / "s.csv", *options)
    assert result.exit_code == 0, result.output
    assert files_in(tmp_path / "maps") == ["photos/a/odd.jpg", "photos/b/odd.jpg"]


def test_damaged_files_are_left_out_and_odd_ones_drawn(run: Run, model: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    deep = (mosaic.photos(1, (40, 80))[0].astype(np.uint16) * 257)[:33]
    pillow.fromarray(deep).save(place / "deep.png")
    pillow.fromarray(np.zeros((1, 1, 4), dtype=np.uint8)).save(place / "one.png")
    pillow.fromarray(np.full((9, 700, 3), 120, dtype=np.uint8)).convert("CMYK").save(place / "wide.jpg")
    (place / "bad.png").write_bytes(b"no image")
    options = ["--maps", tmp_path / "maps", "--maps-with", "mask,map", "--skip-bad"]
    result = run("score", model, place, "--out", tmp_path / "s.csv", *options)
    assert result.exit_code == 0, result.output
    sizes = {name: pillow.open(tmp_path / "maps" / name).size for name in files_in(tmp_path / "maps")}
    assert len(sizes) == 9
    assert {sizes[f"deep{end}"] for end in (".jpg", ".mask.png", ".map.tiff")} == {(80, 33)}
    assert (sizes["one.mask.png"], sizes["wide.map.tiff"]) == ((1, 1), (700, 9))


def test_a_photo_is_drawn_upright(run: Run, model: Path, tmp_path: Path) -> None:
    photo = mosaic.spotted(mosaic.photos(1, (80, 40))[0], 0.05, 0.05)
    exif = pillow.Exif()
    exif[274] = 8  # to be turned anticlockwise
    (tmp_path / "in").mkdir()
    pillow.fromarray(np.rot90(photo, -1)).save(tmp_path / "in" / "turned.png", exif=exif)
    options = ["--maps", tmp_path / "maps", "--maps-with", "mask"]
    assert run("score", model, tmp_path / "in", "--out", tmp_path / "s.csv", *options).exit_code == 0
    mask = np.asarray(pillow.open(tmp_path / "maps" / "turned.mask.png"))
    assert mask.shape == (80, 40)
    assert mask[8, 4] == 255
    assert pillow.open(tmp_path / "maps" / "turned.jpg").size == (40, 80)


def test_nothing_is_overwritten_and_nothing_half_written(
    run: Run, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, maps = tmp_path / "s.csv", tmp_path / "maps"
    maps.mkdir()
    (maps / "mine.txt").write_text("mine")
    for place, message in (
        (maps, "is there already and not empty"),
        (maps / "mine.txt", "is there already"),
        (folder / "maps", "with the photos"),
        (model / "maps", "with the model folder"),
        (tmp_path / "nowhere" / "maps", "there is no folder"),
        ("s3://bucket/maps", "a folder on a drive"),
    ):
        result = run("score", model, folder, "--out", out, "--maps", place)
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
        assert not out.exists()
    monkeypatch.setattr("expose.cli.maps.Maps.files_of", lambda *_: 1 / 0)
    new = tmp_path / "new"
    new.mkdir()
    assert run("score", model, folder, "--out", out, "--maps", new).exit_code == 1
    assert not out.exists()
    assert files_in(new) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps", "new"]
    monkeypatch.undo()
    assert run("score", model, folder, "--out", out, "--maps", new, "--maps-top", "1").exit_code == 0
    assert len(files_in(new)) == 1


def test_a_photo_of_the_longest_name_has_its_maps(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    photo = tmp_path / f"{'x' * 251}.png"
    photo.write_bytes((folder / "a" / "odd.png").read_bytes())
    rest = ["--maps", tmp_path / "maps", "--maps-with", "mask,map"]
    assert run("score", model, photo, "--out", tmp_path / "s.csv", *rest).exit_code == 0
    assert len(files_in(tmp_path / "maps")) == 3


def test_a_full_disk_is_said_of_the_folder_that_was_named(
    run: Run, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("score", model, folder, "--out", tmp_path / "s.csv", "--maps", tmp_path / "maps")
    assert result.exit_code == 2
    said = " ".join(result.output.replace("\n", "").split())
    assert f"Cannot write {tmp_path / 'maps'}: No space left" in said
    assert "s.csv" not in said
    assert not (tmp_path / "s.csv").exists()


def test_options_that_make_no_sense_are_refused(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "s.csv"]
    for options, message in (
        (["--maps-with", "mask"], "give that, too"),
        (["--maps", tmp_path / "m", "--maps-with", "mask,colour"], "takes mask and map, separated by commas"),
        (["--maps", tmp_path / "m", "--engine", "dask"], "leave out --engine"),
        (["--maps", tmp_path / "m", "--maps-top", "0"], "--maps-top"),
    ):
        result = run("score", model, folder, *out, *options)
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())


def test_a_model_of_whole_samples_says_what_gives_maps(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc")).to_csv(rows, index=False)
    assert run("fit", rows, "--out", tmp_path / "model", "-q").exit_code == 0
    result = run("score", tmp_path / "model", rows, "--out", tmp_path / "s.csv", "--maps", tmp_path / "maps")
    assert result.exit_code == 2
    assert "'neighbours' judged each row as a whole" in result.output
    assert "'gaussian'" in result.output


class Mean:
    """An encoder of somebody else's, to vectors."""

    def fit(self, X: list[np.ndarray]) -> Mean:
        return self

    def transform(self, X: list[np.ndarray]) -> np.ndarray:
        return np.stack([one.mean((0, 1)) for one in X])


def test_a_classifier_names_no_objectives_and_reasons_of_photos_none_in_the_report(folder: Path) -> None:
    photos = as_images(folder)
    taught = OutlierExposureClassifier(encoder=Mean(), recipe=Descend(epochs=1), random_state=0)
    taught.fit(photos, np.arange(len(photos)) % 2)
    with pytest.raises(InputError, match=r"there are no maps: a classifier judges each image as a whole\.$"):
        taught.scorer().maps(photos)
    judged = AnomalyDetector("neighbours", encoder=Mean(), random_state=0).fit(photos)
    with pytest.raises(InputError, match=r"images have none: objective 'neighbours' .* tell places apart"):
        check_explainable(judged.fitted_)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x.png", "y.jpg"], ["x", "y"]),
        (["../in/x.png", "../in/b/x.png"], ["x", "b/x"]),
        (["X.png", "x.png"], ["X.png", "x.png.2"]),
        (["", "a b/ü.webp"], ["_", "a b/ü"]),
        (["/x.png"], ["x"]),
        (["ü" * 125 + ".png", "ü" * 124 + ".png"], ["ü" * 113 + ".png", "ü" * 113 + ".png.2"]),
    ],
)
def test_files_are_named_as_the_photos_are_and_stay_inside(names: list[str], expected: list[str]) -> None:
    assert [str(name) for name in file_names(names)] == expected
