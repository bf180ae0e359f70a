"""Items of several views: which photos belong together, in files, tables and Python; the oddest view decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from expose import AnomalyDetector, load
from expose.encoders import PhotoEncoder, ViewsEncoder
from expose.errors import InputError, ModelFolderError, SkippedWarning
from expose.kinds import Reading, Views, as_views, kind_named, kind_of, kind_of_files
from expose.report.heat import layers_of, why_no_maps

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
KIND = kind_named("views")
SIDES = ("top", "side")


def patches(photos: torch.Tensor) -> torch.Tensor:
    """A network: the mean colours of patches."""
    return torch.nn.functional.avg_pool2d(photos, 4).permute(0, 2, 3, 1)


def items(n: int = 60) -> dict[str, np.ndarray]:
    """Reddish tops and bluish sides; item 3 has a spot on its top, item 8 one on its side."""
    random = np.random.default_rng(0)
    lows = {"top": (150, 60, 60), "side": (60, 60, 150)}
    photos = {side: (random.integers(0, 40, (n, 16, 16, 3)) + low).astype(np.uint8) for side, low in lows.items()}
    photos["top"][3, 4:8, 8:12] = photos["side"][8, 12:, :4] = (20, 250, 20)
    return photos


def detector() -> AnomalyDetector:
    encoder = ViewsEncoder(PhotoEncoder(patches, side=16))
    return AnomalyDetector("gaussian", encoder=encoder, contamination=0.05, random_state=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos of four items from the top and the side, named for the view at the end."""
    for row in range(4):
        for number, side in enumerate(SIDES):
            Image.new("L", (20 + number, 20), 40 * row + number).save(tmp_path / f"part{row}_{side}.png")
    return tmp_path


# ------------------------------------------------------------------------------------------------------- judged


def test_an_item_is_as_odd_as_its_oddest_view() -> None:
    photos = items()
    assert kind_of(photos) is KIND
    fitted = detector().fit(photos)
    assert set(fitted.ranking_["row"][:2].tolist()) == {3, 8}
    maps = fitted.scorer().maps({side: some[[3, 8]] for side, some in photos.items()})
    assert maps[0].shape == (32, 16)
    assert np.unravel_index(maps[0].argmax(), (32, 16))[0] < 16  # of the top
    assert np.unravel_index(maps[1].argmax(), (32, 16))[0] >= 28  # of the side, and there at the bottom
    names = fitted.fitted_.place_names
    assert (len(names), names[0], names[-1]) == (32, "top: upper left", "side: lower right")


def test_each_view_is_compared_with_its_own_kind() -> None:
    photos = items()
    fitted = detector().fit(photos)
    swapped = fitted.anomaly_score({"top": photos["side"][:5], "side": photos["top"][:5]})
    assert swapped.min() > 2 * np.sort(fitted.training_scores_)[-3]  # but for the two with a spot


def test_a_picture_shows_all_views_below_each_other() -> None:
    photos = {side: some[:3] for side, some in items().items()}
    picture = KIND.picture(as_views(photos), 1)
    np.testing.assert_array_equal(picture, np.concatenate([photos["top"][1], photos["side"][1]]))
    assert KIND.picture(as_views(photos), 1, 16).shape == (16, 8, 3)
    assert KIND.measure(as_views(photos)) == "2 views of each, 16 x 16 pixels"
    assert [one["side"].shape for one in KIND.plain(photos)] == [(16, 16, 3)] * 3


def test_a_model_asks_for_its_own_views() -> None:
    fitted = detector().fit(items())
    with pytest.raises(InputError, match=r"expected photos of the views .* got .*x"):
        fitted.anomaly_score({"top": items()["top"], "x": items()["side"]})
    with pytest.raises(InputError, match=r"expected items of several views, as in training; .* images"):
        fitted.anomaly_score(items()["top"])


def test_a_model_with_a_network_of_ones_own_can_be_loaded(tmp_path: Path) -> None:
    photos = items()
    fitted = detector().fit(photos)
    fitted.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="has a network of its own"):
        load(tmp_path / "model")
    again = load(tmp_path / "model", encoder=patches)
    np.testing.assert_array_equal(again.anomaly_score(photos), fitted.anomaly_score(photos))


def test_objectives_of_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="several views need an objective that takes patches or vectors"):
        AnomalyDetector("pixelcnn").fit(items())


# ------------------------------------------------------------------------------------------------------- Python


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"top": np.zeros((3, 8, 8))}, "got one view"),
        ([np.zeros((3, 8, 8))] * 2, "got list"),
        ({"top": np.zeros((3, 8, 8)), "side": np.zeros((4, 8, 8))}, "'top': 3, 'side': 4 photos"),
    ],
)
def test_what_is_no_set_of_views_is_refused(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_views(given)


def test_folders_of_views_must_agree(tmp_path: Path) -> None:
    for side in SIDES:
        (tmp_path / side).mkdir()
        for row in range(3):
            Image.new("L", (8, 8), row).save(tmp_path / side / f"{row}.png")
    given = {side: tmp_path / side for side in SIDES}
    assert kind_of(given) is KIND
    assert len(as_views(given)) == 3
    (tmp_path / "side" / "2.png").rename(tmp_path / "side" / "3.png")
    with pytest.raises(InputError, match=r"in 'side' they are not those of the first: '2\.png', '3\.png'"):
        as_views(given)


def test_tables_of_columns_stay_tables() -> None:
    assert kind_of({"a": [1.0, 2.0], "b": [3.0, 4.0]}).name == "table"
    assert kind_of({"a": np.zeros(3), "b": np.ones(3)}).name == "table"


# -------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("form", ["{item}_{view}.png", "{view}/{item}.png", "{item}/{view}.png", "{view}-{item}.png"])
def test_files_that_differ_in_the_view_alone_are_one_item(form: str, tmp_path: Path) -> None:
    for row in range(3):
        for side in SIDES:
            path = tmp_path / form.format(item=f"desktop{row}", view=side)
            path.parent.mkdir(exist_ok=True, parents=True)
            Image.new("L", (8, 8), row).save(path)
    reading = Reading(views=("top,side",))
    assert kind_of_files([str(tmp_path)], reading) is KIND
    batch = KIND.read([str(tmp_path)], reading)
    assert batch.ids["item"].to_pylist() == [f"desktop{row}" for row in range(3)]
    assert batch.ids["side"].to_pylist()[1] == form.format(item="desktop1", view="side")
    assert [int(batch.samples.photos["top"].raw(row)[0, 0, 0]) for row in range(3)] == [0, 1, 2]


def test_items_that_lack_a_view_are_refused_or_left_out(folder: Path) -> None:
    (folder / "part2_side.png").unlink()
    (folder / "logo.png").write_bytes((folder / "part1_top.png").read_bytes())
    message = r"2 photo\(s\) belong to no item with all views, top, side: 'logo\.png', 'part2_top\.png'"
    with pytest.raises(InputError, match=message):
        KIND.read([str(folder)], Reading(views=SIDES))
    with pytest.warns(SkippedWarning, match=r"2 photo.* belong to no item .* left out: .logo"):
        batch = KIND.read([str(folder)], Reading(views=SIDES, skip_bad=True))
    assert batch.ids["item"].to_pylist() == ["part0", "part1", "part3"]


def test_an_item_with_a_damaged_photo_is_left_out_whole(folder: Path) -> None:
    (folder / "part1_side.png").write_text("no image")
    with pytest.warns(SkippedWarning, match="cannot be read as images and are left out: .part1_side"):
        batch = KIND.read([str(folder)], Reading(views=SIDES, skip_bad=True))
    assert batch.ids["item"].to_pylist() == ["part0", "part2", "part3"]
    assert isinstance(batch.samples, Views)


def test_a_table_has_a_column_of_paths_for_each_view(folder: Path, monkeypatch) -> None:
    frame = pd.DataFrame({"part": range(4), "odd": [1, None, 0, None]})
    for side in SIDES:
        frame[side] = [f"part{row}_{side}.png" for row in range(4)]
    frame.to_csv(folder / "parts.csv", index=False)
    reading = Reading(photo=("top,side",), label="odd")
    assert kind_of_files([str(folder / "parts.csv")], reading) is KIND
    monkeypatch.setattr("expose.kinds.views.AT_ONCE", 3)
    batches = list(KIND.scan([str(folder / "parts.csv")], reading))
    assert [len(batch.samples) for batch in batches] == [3, 1]
    assert batches[0].ids.column_names == ["part", "top", "side"]
    assert batches[0].samples.photos["side"].shapes.tolist() == [[20, 21, 1]] * 3


def test_one_view_and_labels_of_files_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="--views takes what tells two views or more apart"):
        KIND.read([str(folder)], Reading(views=("top",)))
    with pytest.raises(InputError, match="label: files have no labels"):
        KIND.read([str(folder)], Reading(views=SIDES, label="x"))


def test_the_report_shows_where_each_view_is_odd() -> None:
    """It knew no grid of three axes, and said that there are no maps."""
    fitted = detector().fit(items()).fitted_
    assert why_no_maps(fitted) == ""
    odd = {side: some[[3, 8]] for side, some in items().items()}
    layers = layers_of(fitted, as_views(odd), fitted.encoder.transform(odd))
    assert [one.where.split(":")[0] for one in layers] == ["top", "side"]
