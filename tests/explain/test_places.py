"""Explaining photos: where in each, as maps, masks and words; and the colours that they are shown in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mosaic
import numpy as np
import pytest

import expose
from expose import AnomalyDetector
from expose.errors import InputError
from expose.explain import explain_parts
from expose.explain.explanation import WHOLE
from expose.explain.pictures import Scale, coloured, legend, outline, overlay, scale_of
from expose.kinds.base import kind_named
from expose.kinds.heat_maps import HeatMaps, Lazily
from expose.kinds.images import as_images
from expose.model import Fitted, Peak

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
AT = {"upper left": (0.05, 0.05), "right": (0.4, 0.8), "bottom": (0.8, 0.4)}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with mosaic.known():
        yield


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return AnomalyDetector("gaussian", encoder="mosaic", random_state=0).fit(mosaic.photos(80))


@pytest.fixture(scope="module")
def odd() -> list[np.ndarray]:
    """A photo for each place, of another size and shape each."""
    shapes = [(48, 48), (31, 90), (120, 50)]
    return [mosaic.spotted(mosaic.photos(1, size, 7)[0], *at) for size, at in zip(shapes, AT.values(), strict=True)]


def test_spots_are_named_and_lie_where_the_map_says(detector, odd) -> None:
    found = detector.explain(odd)
    assert found.effects.shape == (3, 9)
    assert (found.excess > 0).all()
    for row, (name, (top, left)) in enumerate(AT.items()):
        (said, share), *_ = found.top(row)
        assert said == name
        assert 0.5 < share <= 1.0
        heat, (height, width) = found.maps[row], odd[row].shape
        assert heat.shape == (height, width)
        assert np.isfinite(heat).all()
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert abs(y / height - top - 0.075) < 0.15
        assert abs(x / width - left - 0.075) < 0.15
    np.testing.assert_allclose(found.effects.sum(axis=1), found.excess)


def test_the_same_photos_alone_or_with_others(detector, odd) -> None:
    found, alone = detector.explain(odd), detector.explain(odd[1:2])
    np.testing.assert_array_equal(alone.effects[0], found.effects[1])
    np.testing.assert_array_equal(alone.maps[0], found.maps[1])
    parts = detector.scorer().encode(odd)
    assert explain_parts(detector.fitted_, parts).maps is None
    np.testing.assert_array_equal(explain_parts(detector.fitted_, parts).effects, found.effects)


def test_an_ordinary_photo_has_an_explanation_too(detector) -> None:
    found = detector.explain(np.full((1, 20, 20), 125, dtype=np.uint8))
    assert np.isfinite(found.effects).all()
    assert np.isfinite(found.top(0)[0][1])


def test_masks_mark_spots_and_hardly_anything_of_usual_photos(detector, odd) -> None:
    scorer = detector.scorer()
    masks = scorer.masks(odd)
    assert len(masks) == 3
    for photo, mask in zip(odd, masks, strict=True):
        assert mask.dtype == bool
        assert mask.shape == photo.shape
        spot = photo == 10
        assert mask[spot].mean() > 0.9
        assert mask[~spot].mean() < 0.2
    usual = scorer.masks(mosaic.photos(40, seed=3))
    assert np.mean([mask.any() for mask in usual]) < 0.2
    assert not any(mask.any() for mask in scorer.masks(odd, line=1e9))
    assert scorer.masks(odd, line=-1e9)[0].all()


def test_the_line_of_masks_stays_with_half_of_the_photos_spotted() -> None:
    usual = mosaic.photos(100)
    dirty = [mosaic.spotted(one, *AT["right"]) if row < 20 else one for row, one in enumerate(usual)]
    lines = [
        AnomalyDetector("gaussian", encoder="mosaic", random_state=0).fit(photos).fitted_.place_line
        for photos in (usual, dirty)
    ]
    assert lines[1] < 1.5 * lines[0]
    assert (
        "1.5 robust standard deviations above the median"
        in AnomalyDetector("gaussian", encoder="mosaic", random_state=0).fit(usual).fitted_.place_rule
    )


def test_a_folder_keeps_the_line(detector, odd, tmp_path: Path) -> None:
    detector.save(tmp_path / "model")
    again = expose.load(tmp_path / "model")
    assert again.fitted_.peak == detector.fitted_.peak
    assert scale_of(again.fitted_) == scale_of(detector.fitted_)
    np.testing.assert_array_equal(again.explain(odd).maps[1], detector.explain(odd).maps[1])


def test_samples_are_encoded_once_for_all_questions(detector, odd, monkeypatch) -> None:
    scorer = detector.scorer()
    given = scorer.encoded(odd)
    expected = scorer.scores(odd)
    monkeypatch.setattr(mosaic.Mosaic, "transform", None)
    np.testing.assert_array_equal(scorer.scores(given), expected)
    assert len(scorer.masks(given)) == len(scorer.maps(given)) == 3


def test_where_photos_were_judged_as_wholes_the_message_names_what_gives_maps() -> None:
    vectors = AnomalyDetector("neighbours", random_state=0).fit(np.random.default_rng(0).normal(size=(60, 3)))
    for asked in (vectors.scorer().maps, vectors.scorer().masks):
        with pytest.raises(InputError, match=r"'neighbours' judged each row as a whole\..*'gaussian'"):
            asked([[0.0, 0.0, 0.0]])
    assert vectors.explain([[0.0, 0.0, 9.0]]).maps is None


# ------------------------------------------------------------------------------------------------------ pictures


def test_maps_lie_on_the_photo_as_it_stands_upright(detector, tmp_path: Path) -> None:
    photo = mosaic.spotted(mosaic.photos(1, (60, 30))[0], *AT["upper left"])
    turned = Image.fromarray(np.rot90(photo))
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    found = detector.explain([tmp_path / "turned.png"])
    picture = kind_named("image").picture(as_images([tmp_path / "turned.png"]), 0)
    assert found.maps[0].shape == picture.shape[:2] == (60, 30)
    np.testing.assert_array_equal(picture[..., 0], photo)
    assert found.top(0)[0][0] == "upper left"


def test_pictures_are_no_larger_than_asked_for() -> None:
    images = as_images([np.zeros((300, 600, 4), dtype=np.uint8), np.zeros((5, 3), dtype=np.uint8)])
    kind = kind_named("image")
    assert kind.picture(images, 0, 100).shape == (50, 100, 3)
    assert kind.picture(images, 1, 100).shape == (5, 3, 3)
    maps = HeatMaps(images, np.arange(8.0).reshape(2, 4), (2, 2))
    assert (maps.at(0, 100).shape, maps[0].shape, maps[-1].shape) == ((50, 100), (300, 600), (5, 3))
    with pytest.raises(InputError, match="tables have no picture"):
        kind_named("table").picture(None, 0)


def test_a_lazy_sequence_ends_and_makes_nothing_before() -> None:
    made: list[int] = []
    rows = Lazily(3, lambda row: made.append(row) or row)
    assert made == []
    assert list(rows) == [0, 1, 2]
    with pytest.raises(IndexError):
        rows[3]
    assert rows[-2:] == [1, 2]


def test_colours_begin_above_what_is_usual_and_grow_lighter_and_stronger() -> None:
    scale = Scale(usual=10.0, line=12.0, full=20.0)
    rgba = coloured(np.linspace(5, 24, 191)[None], scale)[0].astype(int)
    assert (rgba[:51, 3] == 0).all()
    lightness = rgba[51:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] > 3 * lightness[0]
    assert (np.diff(rgba[:, 3]) >= 0).all()
    assert rgba[-1].tolist() == rgba[150].tolist()


def test_an_overlay_leaves_what_is_usual_as_it_was_and_outlines_the_rest() -> None:
    photo = np.random.default_rng(0).integers(0, 200, size=(20, 30, 1), dtype=np.uint8).repeat(3, axis=2)
    heat = np.zeros((20, 30))
    heat[5:12, 8:20] = 99
    scale = Scale(10.0, 12.0, 16.0)
    over = overlay(photo, heat, scale, line=12.0)
    grey = photo[heat == 0].astype(int)
    assert np.abs(over[heat == 0] - grey).max() <= 1
    line = outline(heat > scale.line)
    assert line.sum() == 2 * 12 + 2 * 5
    assert (over[line] == 255).all()
    assert legend(scale).shape == (16, 256, 3)


def test_a_scale_without_width_is_no_division_by_zero() -> None:
    assert np.isfinite(Scale(1.0, 1.0, 1.0).strength(np.array([0.0, 1.0, 2.0]))).all()


def test_what_no_place_carries_is_said_to_be_of_the_whole() -> None:
    """The default judges photos as wholes, too: one that is odd as such is not laid on some place."""
    photos = mosaic.photos(80)
    found = AnomalyDetector("local-global", encoder="mosaic", random_state=0).fit(photos)
    spotted = mosaic.spotted(photos[0], 0.05, 0.05)
    explained = found.explain([spotted, photos[1]])
    assert explained.names[-1] == WHOLE
    np.testing.assert_allclose(explained.effects.sum(axis=1), np.maximum(explained.excess, 0), atol=1e-9)
    components = found.scorer().components([spotted])
    [whole] = components["whole"] - components["local"]
    np.testing.assert_allclose(explained.effects[0, -1] / explained.excess[0], 1 / (1 + np.exp(-whole)), rtol=1e-6)


@pytest.mark.parametrize("objective", ["gaussian", "patch-memory"])
def test_a_fit_judges_places_once_and_has_the_peak_of_a_second_look(monkeypatch, objective) -> None:
    def second_look(*_: object) -> None:
        raise AssertionError("the places of training photos were judged again")

    photos = mosaic.photos(40)
    with monkeypatch.context() as patch:
        patch.setattr(Fitted, "place_scores", second_look)
        fitted = AnomalyDetector(objective, encoder="mosaic", ensemble_size=2, random_state=0).fit(photos).fitted_
    parts = fitted.encoder.transform(as_images(photos))
    assert fitted.peak == Peak.of(fitted.place_scores(parts))
    np.testing.assert_array_equal(fitted.training_scores, fitted.scores(parts))
