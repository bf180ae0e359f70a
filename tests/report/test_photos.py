"""Samples that can be seen are shown: a gallery with heat maps, a contact sheet, a map of thumbnails."""

from __future__ import annotations

import base64
import re
import sys
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import PROGRAM, Browser
from test_page import MEGABYTE, body, sections, words

from expose import AnomalyDetector
from expose.encoders import Encoder, Layout
from expose.errors import InputError, MissingExtraError
from expose.kinds import as_images
from expose.kinds.pixels import resized, with_channels
from expose.report import build_report, write_report
from expose.report.findings import examine
from expose.report.gallery import gallery_of
from expose.report.pictures import pictures_of
from expose.report.sheet import MOST, roomy, sheet_of, within

PIL = pytest.importorskip("PIL.Image")
ODD = 7  # the photo with a bright spot, lower right


class Blocks(Encoder):
    """The mean colour of each of 4 by 4 blocks, and of the whole."""

    encodes, places = "image", (4, 4)
    layout = Layout("grid", (4, 4, 3), places=(4, 4), beside=3)

    def __init__(self) -> None:
        self.encoded = 0

    def fit(self, samples: Any) -> Blocks:
        return self

    def transform(self, samples: Any) -> np.ndarray:
        images = as_images(samples)
        self.encoded += len(images)
        small = [resized(with_channels(images.at(row, (32, 32)), 3), 4, 4)[0] for row in range(len(images))]
        return np.stack([np.r_[one.ravel(), one.mean((0, 1))] for one in small]).astype(np.float32)


def photos_of(n: int, height: int = 32, width: int = 48) -> np.ndarray:
    images = np.random.default_rng(0).integers(60, 120, size=(n, height, width, 3), dtype=np.uint8)
    images[ODD, -8:, -8:] = 255
    return images


def files_of(images: np.ndarray, folder: Path) -> Path:
    folder.mkdir()
    for number, one in enumerate(images):
        PIL.fromarray(one).save(folder / f"photo-{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return photos_of(60)


@pytest.fixture(scope="module")
def detector(photos: np.ndarray) -> AnomalyDetector:
    return AnomalyDetector("gaussian", encoder=Blocks(), contamination=0.02, random_state=0).fit(photos)


def opened(address: str) -> Any:
    head, data = address.split(",", 1)
    assert head == "data:image/webp;base64"
    return PIL.open(BytesIO(base64.b64decode(data)))


def test_the_first_forty_are_pictures_with_heat_where_they_are_odd(detector, photos):
    page = build_report(detector, photos)
    assert sections(page) == ["summary", "gallery", "sheet", "atlas", "scores", "lines", "reproduce"]
    found = examine(detector, photos)
    shown = gallery_of(found, 500_000)
    assert len(shown.cards) == 40
    first = shown.cards[0]
    assert (first.suspect.row, first.heat.where) == (ODD, "lower right")
    picture, heat = opened(first.picture.address), opened(first.heat.picture.address)
    assert picture.size == (48, 32)
    assert np.abs(np.asarray(picture, dtype=int) - photos[ODD]).mean() < 16
    alpha = np.asarray(heat.convert("RGBA"))[..., 3]
    assert alpha[-4:, -4:].mean() > 100
    assert alpha[: len(alpha) // 2, : alpha.shape[1] // 2].mean() < 5
    assert 'alt="Rank 1: image 7, most unusual at the lower right"' in page
    assert "Colour shows where" in words(page)
    assert re.search(r"Images60 .*32 pixels high and 48 wide", words(page)[:500])


def test_below_each_stands_the_ordinary_one_that_is_most_like_it():
    photos = photos_of(120)
    red = np.arange(120) % 2 == 1
    photos[red, ..., 0] += 100
    photos[ODD, -8:, -8:] = 255
    model = AnomalyDetector("gaussian", encoder=Blocks(), random_state=0).fit(photos)
    shown = gallery_of(examine(model, photos, top=20), 500_000)
    rows = [card.suspect.row for card in shown.cards]
    twins = [int(card.twin_name.split()[1]) for card in shown.cards]
    assert not {*rows} & {*twins}
    assert set(red[rows]) == {True, False}
    assert red[rows].tolist() == red[twins].tolist()
    assert len(shown.ordinary) == 8
    assert not {one.name for one in shown.ordinary} & {card.suspect.name for card in shown.cards}


def test_files_are_called_by_their_names(photos, tmp_path):
    folder = files_of(photos, tmp_path / "photos")
    model = AnomalyDetector("gaussian", encoder=Blocks(), random_state=0).fit(folder)
    found = examine(model, folder)
    assert found.suspects[0].name == "photo-007.png"
    assert found.suspects[0].facts == (("size", "32 x 48"),)
    page = build_report(model, folder)
    assert 'title="1. photo-007.png, score' in page
    assert "image 7" not in page
    assert not re.search(r"\b(rows?|columns?)\b", words(page))


def test_everything_is_encoded_once_and_what_is_shown_again(detector, photos):
    encoder = detector.fitted_.encoder
    before = encoder.encoded
    found = examine(detector, photos, top=5)
    assert encoder.encoded - before == len(photos) + 5 + len(found.examples)
    np.testing.assert_array_equal(found.scores, detector.anomaly_score(photos))
    np.testing.assert_array_equal(found.sample[:5], [suspect.row for suspect in found.suspects])
    whole = encoder.transform(photos)[found.sample][:, -3:]
    np.testing.assert_allclose(found.vectors, whole / np.linalg.norm(whole, axis=1, keepdims=True), rtol=1e-5)


def test_the_contact_sheet_has_all_in_their_order_each_in_its_cell(detector, photos):
    levels = np.random.default_rng(1).permutation(60).astype(np.uint8)[:, None, None, None]
    photos = photos // 4 + 3 * levels  # each of a grey of its own
    found = examine(detector, photos)
    sheet = sheet_of(found, 300_000)
    ranked = np.argsort(-found.scores)
    assert [thumb.title.split(",")[0] for thumb in sheet.thumbs] == [
        f"{rank}. image {row}" for rank, row in enumerate(ranked, 1)
    ]
    sprite = np.asarray(opened(sheet.sprite.address).convert("RGB"), dtype=int)
    height, width = sprite.shape[0] / sheet.rows, sprite.shape[1] / sheet.columns
    assert width / height == pytest.approx(1.5, rel=0.05)
    for thumb, row in zip(sheet.thumbs, ranked, strict=True):
        left, top = thumb.cell[0] / 100 * (sheet.columns - 1) * width, thumb.cell[1] / 100 * (sheet.rows - 1) * height
        cell = sprite[round(top) : round(top + height), round(left) : round(left + width)]
        assert np.abs(cell[4:-4, 4:-4].mean((0, 1)) - photos[row].mean((0, 1))).max() < 12
    assert [thumb.flagged for thumb in sheet.thumbs] == found.flagged[ranked].tolist()


def test_of_very_many_an_even_choice_is_shown_and_said():
    photos = photos_of(900, 8, 8)
    model = AnomalyDetector("gaussian", encoder=Blocks(), random_state=0).fit(photos)
    sheet = sheet_of(examine(model, photos), 300_000)
    ranks = [int(thumb.title.split(".")[0]) for thumb in sheet.thumbs]
    assert len(ranks) == MOST
    assert (ranks[0], ranks[-1]) == (1, 900)
    assert set(np.diff(ranks)) <= {2, 3}
    assert "400 of 900 images in the order of the ranking, evenly spaced" in words(build_report(model, photos))


def test_on_the_map_none_lies_on_another_and_all_lie_inside():
    points = np.random.default_rng(0).standard_t(2, size=(300, 2))
    at = within(points, (0.05, 0.08))
    assert at.min(axis=0) == pytest.approx([0.025, 0.04])
    assert at.max(axis=0) == pytest.approx([0.975, 0.96])
    seen = at[roomy(at, (0.05, 0.08))]
    gaps = np.abs(seen[:, None] - seen)
    assert (((gaps[..., 0] >= 0.05) | (gaps[..., 1] >= 0.08)) | np.eye(len(seen), dtype=bool)).all()
    assert len(seen) > 40
    assert (within(np.ones((5, 2)), (0.05, 0.08)) == 0.5).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_photos_gives_a_page(detector, photos, n):
    page = build_report(detector, photos[ODD : ODD + n])
    assert f"The first {n} of {n} images" in words(page)


def test_photos_of_any_size_and_shape_keep_the_page_below_six_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(64, 64), (2, 300), (700, 5), (1, 1), (240, 320)]
    noise = [rng.integers(0, 256, size=(*shapes[row % 5], 3), dtype=np.uint8) for row in range(2_000)]
    model = AnomalyDetector("gaussian", encoder=Blocks(), random_state=0).fit(noise[:200])
    for top in (40, 200):
        page = write_report(tmp_path / "page.html", model, noise, top=top, ids=["i" * 1_000] * len(noise))
        assert page.stat().st_size < 6 * MEGABYTE


def test_large_photos_are_small_on_the_page_and_one_at_a_time_in_memory(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, size=(300, 400), dtype=np.uint8)
    large = PIL.fromarray(noise).resize((4000, 3000))  # 12 million pixels
    for number in range(12):
        large.rotate(number, fillcolor=number).save(folder / f"{number:02}.jpg", quality=60)
    model = AnomalyDetector("gaussian", encoder=Blocks(), random_state=0).fit(folder)
    tracemalloc.start()
    page = write_report(tmp_path / "page.html", model, folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert page.stat().st_size < 6 * MEGABYTE
    assert most < 400 * MEGABYTE


def test_pictures_are_made_smaller_until_there_is_room():
    noise = [np.random.default_rng(0).integers(0, 256, size=(300, 200, 3), dtype=np.uint8)] * 5
    wide, tight = pictures_of(noise, 10 * MEGABYTE), pictures_of(noise, 50_000)
    assert wide[0][1:] == (171, 256)
    assert tight[0].height < 256
    assert sum(len(one.address) for one in tight) <= 50_000


class Colours(Blocks):
    """The mean colour of the whole alone."""

    layout = Layout("vector", (3,))

    def transform(self, samples: Any) -> np.ndarray:
        return super().transform(samples)[:, -3:]


class Means:
    """An encoder of somebody else's, of photos as arrays."""

    def fit(self, X: list[np.ndarray]) -> Means:
        return self

    def transform(self, X: list[np.ndarray]) -> np.ndarray:
        return np.stack([one.mean((0, 1)) for one in X])


@pytest.mark.parametrize("encoder", [Colours(), Means(), "pixels"], ids=["vectors", "own", "pixels"])
def test_where_no_places_are_told_apart_the_same_page_says_so(photos, encoder):
    objective = "autoencoder" if encoder == "pixels" else "neighbours"
    model = AnomalyDetector(objective, encoder=encoder, random_state=0).fit(photos)
    page = build_report(model, photos)
    assert {"gallery", "sheet", "atlas"} <= set(sections(page))
    assert f"There are no maps: objective '{objective}' judged each image as a whole" in words(page)
    assert 'class="heat"' not in page
    assert 'id="heat"' not in page
    assert "part of the excess score" not in page


def test_known_labels_stand_beside_the_pictures(detector, photos):
    labels = np.full(len(photos), -1)
    labels[[ODD, 8]] = 1, 0
    page = words(build_report(detector, photos, labels=labels, top=60))
    assert page.count("label: anomaly") == 2  # on the card, and in its details
    assert page.count("label: normal") == 2


def test_nothing_is_loaded_and_no_name_of_a_file_is_markup(detector, photos):
    bad = "<img src=https://example.org/x onerror=alert(1)>\"'"
    page = body(build_report(detector, photos, ids=[bad] * len(photos), title=bad))
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)([^"'>\s]+)""", re.sub("&[a-z0-9#]+;", "", page))
    assert {address[:16] for address in addresses if address != "https://example.org/x"} == {"data:image/webp;"}
    assert "<img src=https" not in page
    assert {address[:16] for address in re.findall(r"url\(([^)]*)\)", page)} == {"data:image/webp;"}


def test_top_says_how_many(detector, photos):
    assert len(examine(detector, photos, top=3).suspects) == 3
    with pytest.raises(InputError, match="from 1 to 200"):
        build_report(detector, photos, top=0)


def test_without_pillow_the_message_says_how_to_get_it(detector, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[report,images\]'"):
        build_report(detector, photos)


@pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_in_a_browser_heat_comes_and_goes_and_nothing_scrolls_sideways(detector, photos, tmp_path):
    page = write_report(tmp_path / "page.html", detector, photos, labels=[0, 1] * 30, ids=["long" * 30] * 60)
    heat = "getComputedStyle(document.querySelector('.cards .heat')).opacity"
    with Browser(tmp_path / "profile") as browser:
        for width in (375, 1280):
            browser.open(page, width=width, dark=width < 600)
            assert browser.complaints() == []
            asked = [address for address in browser.requests() if not address.startswith("data:")]
            assert asked == [page.resolve().as_uri()]
            assert browser.run("document.documentElement.scrollWidth") == width
            assert browser.run("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
            assert browser.run("[...document.images].every(one => one.hasAttribute('alt'))")
            browser.run("document.getElementById('heat').click()")
            browser.run("new Promise(done => setTimeout(() => done(0), 400))")
            assert browser.run(heat) == "0"
