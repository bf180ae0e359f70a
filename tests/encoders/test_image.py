"""Images of any make become rows in [0, 1] of one size, and later images are fitted to it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from expose.encoders import ImageEncoder, Layout
from expose.errors import DataWarning, InputError
from expose.kinds import as_images

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)  # (n, H, W, C)
GREY = COLOUR[..., 0]


def quiet(encoder: ImageEncoder, images: object) -> np.ndarray:
    """Encode, and fail if there was anything to warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encoder.transform(images)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six files in two folders, in the order of COLOUR."""
    for place, pixels in zip(("a/1", "a/2", "a/3", "b/1", "b/2", "c"), COLOUR, strict=True):
        file = tmp_path / f"{place}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(file)
    return tmp_path


# --------------------------------------------------------------------------------------------- what comes out


def test_rows_are_float32_in_the_unit_range_with_channels_first():
    encoder = ImageEncoder().fit(COLOUR)
    rows = quiet(encoder, COLOUR)
    assert encoder.layout == Layout("image", (3, 8, 10))
    assert encoder.layout.n_values == 240
    assert encoder.notes == []
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(rows.reshape(6, 3, 8, 10), COLOUR.transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    assert torch.equal(
        encoder.layout.unfold(torch.from_numpy(rows))[2, 1], torch.from_numpy(rows[2, 80:160]).view(8, 10)
    )


@pytest.mark.parametrize(
    "same",
    [
        COLOUR.astype(np.int64),
        COLOUR / 255,
        (COLOUR / 255).astype(np.float32),
        COLOUR.astype(np.uint16) * 257,
        COLOUR.transpose(0, 3, 1, 2),
        torch.from_numpy(COLOUR).permute(0, 3, 1, 2),
        torch.from_numpy(COLOUR),
        list(COLOUR),
        [torch.from_numpy(one).permute(2, 0, 1) for one in COLOUR],
        [Image.fromarray(one) for one in COLOUR],
        np.concatenate([COLOUR, np.full((6, 8, 10, 1), 9, np.uint8)], axis=3),
    ],
    ids=[
        "int",
        "double",
        "float",
        "16 bit",
        "first",
        "tensor first",
        "tensor last",
        "list",
        "tensors",
        "Pillow",
        "alpha",
    ],
)
@pytest.mark.filterwarnings("ignore:images have an alpha channel")
def test_every_source_gives_the_same_rows(same):
    np.testing.assert_allclose(ImageEncoder().fit(same).transform(same), ImageEncoder().fit(COLOUR).transform(COLOUR))


def test_a_folder_gives_the_same_rows_in_the_order_of_the_names(folder):
    images = as_images(str(folder))
    assert images.names == ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "c.png")
    rows = ImageEncoder().fit(COLOUR).transform(COLOUR)
    assert np.array_equal(quiet(ImageEncoder().fit(folder), folder), rows)
    files = sorted(folder.rglob("*.png"))
    assert np.array_equal(quiet(ImageEncoder().fit(files), files), rows)
    chosen = images.take(np.array([4, 0]))
    assert chosen.names == ("b/2.png", "a/1.png")
    assert np.array_equal(ImageEncoder().fit(COLOUR).transform(chosen), rows[[4, 0]])


def test_grey_has_one_channel():
    for images in (GREY, GREY[..., None], list(GREY), [Image.fromarray(one) for one in GREY], GREY > 99):
        assert ImageEncoder().fit(images).shape == (1, 8, 10)
    np.testing.assert_allclose(quiet(ImageEncoder().fit(GREY), GREY), GREY.reshape(6, -1) / 255, rtol=1e-6)
    assert quiet(ImageEncoder().fit(GREY > 99), GREY > 99).max() == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_of_pillow_is_read(mode, tmp_path):
    if mode == "I;16":
        image = Image.fromarray(GREY[0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(COLOUR[0]).convert(mode)
    image.save(tmp_path / "one.tif")
    channels = 1 if mode in ("1", "L", "LA", "I;16") else 3
    encoder = ImageEncoder().fit(tmp_path)
    rows = encoder.transform(tmp_path)
    assert encoder.shape == (channels, 8, 10)
    assert 0.5 < rows.max() <= 1
    assert np.array_equal(ImageEncoder().fit([image]).transform([image]), rows)


def test_a_photo_comes_upright(tmp_path):
    pixels = np.zeros((8, 16, 3), dtype=np.uint8)
    pixels[:, :8] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = 6  # the camera was turned: the left side is up
    image.save(tmp_path / "turned.png", exif=exif)
    encoder = ImageEncoder().fit(tmp_path)
    assert encoder.shape == (3, 16, 8)
    rows = encoder.transform(tmp_path).reshape(3, 16, 8)
    assert rows[:, :8].min() == 1
    assert rows[:, 8:].max() == 0


# ------------------------------------------------------------------------------------------ sizes and channels


def test_images_of_several_sizes_take_the_median_at_most_64_and_a_note():
    mixed = [np.zeros((side, 2 * side), dtype=np.uint8) for side in (10, 20, 200)]
    encoder = ImageEncoder().fit(mixed)
    assert encoder.shape == (1, 20, 40)
    assert "10 to 200 pixels high and 20 to 400 wide; all are resized to 20 x 40" in encoder.notes[0]
    assert quiet(encoder, mixed).shape == (3, 800)
    assert quiet(encoder, [np.zeros((7, 7), np.uint8)]).shape == (1, 800)  # training had several sizes too
    large = [np.zeros((300, 600), np.uint8), np.zeros((400, 800), np.uint8)]
    assert ImageEncoder().fit(large).shape == (1, 32, 64)


def test_a_given_size_is_taken():
    assert ImageEncoder(5).fit(COLOUR).shape == (3, 5, 5)
    encoder = ImageEncoder((4, 5)).fit(COLOUR)
    halves = quiet(encoder, np.repeat(np.repeat(COLOUR[:, :4, :5], 2, axis=1), 2, axis=2))
    assert halves.shape == (6, 60)
    assert np.array_equal(
        quiet(encoder, COLOUR[:, :4, :5]), COLOUR[:, :4, :5].transpose(0, 3, 1, 2).reshape(6, -1) / np.float32(255)
    )
    for wrong in (0, (4, 5, 6), 2.5, (4, 0)):
        with pytest.raises(InputError, match="size must be a side or"):
            ImageEncoder(wrong).fit(COLOUR)


def test_shrinking_averages_and_growing_keeps_a_plain_image_plain():
    checks = np.indices((32, 32)).sum(0)[None] % 2  # black and white by turns
    assert np.ptp(ImageEncoder(4).fit(checks * 255).transform(checks * 255)) < 0.1
    plain = ImageEncoder(16).fit(np.full((1, 8, 8), 51)).transform(np.full((1, 8, 8), 51))
    np.testing.assert_allclose(plain, 0.2, rtol=1e-5)


def test_later_images_are_fitted_with_a_warning():
    colour, grey = ImageEncoder().fit(COLOUR), ImageEncoder().fit(GREY)
    with pytest.warns(DataWarning, match=r"6 image\(s\) are not 8 x 10 pixels as in training"):
        assert colour.transform(COLOUR.repeat(2, axis=1)).shape == (6, 240)
    with pytest.warns(DataWarning, match="are grey, and all had colour in training"):
        rows = colour.transform(GREY).reshape(6, 3, -1)
    np.testing.assert_allclose(rows[:, 0], rows[:, 2])
    with pytest.warns(DataWarning, match="are in colour, and all were grey"):
        rows = grey.transform(COLOUR)
    np.testing.assert_allclose(rows.reshape(6, 8, 10), COLOUR @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    with pytest.warns(DataWarning, match="alpha"):
        colour.transform(np.concatenate([COLOUR, COLOUR[..., :1]], axis=3))


def test_what_training_had_needs_no_warning():
    mixed = [*COLOUR, *GREY]
    encoder = ImageEncoder().fit(mixed)
    assert encoder.notes == ["6 of 12 images are grey among coloured ones."]
    assert quiet(encoder, mixed).shape == (12, 240)
    clear = np.concatenate([COLOUR, COLOUR[..., :1]], axis=3)
    encoder = ImageEncoder().fit(clear)
    assert "alpha channel" in encoder.notes[0]
    assert np.array_equal(quiet(encoder, clear), quiet(ImageEncoder().fit(COLOUR), COLOUR))


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GREY * 1.0, r"image \d holds the value .*; expected floats in \[0, 1\]. Divide by"),
        (GREY.astype(int) * 300, r"expected whole numbers in \[0, 255\]"),
        (GREY.astype(int) - 300, r"expected whole numbers in \[0, 255\]"),
        (np.where(np.arange(6)[:, None, None] == 4, np.nan, GREY / 255), "image 4 holds the value nan"),
        (GREY[0], r"got an array of shape \(8, 10\)"),
        (COLOUR[0], r"looks like one image. Write image\[None\]"),
        (np.zeros((2, 8, 8, 5)), "choose three of them"),
        (torch.zeros(2, 3, 8, 3), "could hold its channels first or last"),
        ([GREY[0], np.zeros(7)], r"image 1 of the list: expected shape \(H, W\)"),
        (np.full((2, 8, 8), "x"), "pixels must be numbers"),
        ([], "expected at least one image"),
        (np.zeros((2, 0, 8)), "image 0 has no pixels"),
    ],
)
def test_what_cannot_be_used_is_refused_kindly(images, message):
    with pytest.raises(InputError, match=message):
        ImageEncoder().fit(images).transform(images)


def test_an_unreadable_file_is_named(folder):
    (folder / "a" / "2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"2\.png: cannot be read as an image"):
        ImageEncoder().fit(folder)
    whole = (folder / "b" / "1.png").read_bytes()
    (folder / "a" / "2.png").write_bytes(whole[: len(whole) // 2])  # its head is in order
    with pytest.raises(InputError, match=r"2\.png: cannot be read as an image"):
        ImageEncoder().fit(folder).transform(folder)


def test_an_image_of_floats_out_of_range_is_named(tmp_path):
    Image.fromarray(np.full((8, 8), 300.0, dtype=np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(InputError, match=r"depth\.tif.*300"):
        ImageEncoder().fit(tmp_path).transform(tmp_path)


def test_other_files_are_left_out_with_a_warning_and_hidden_ones_without(folder):
    (folder / ".hidden.png").write_bytes(b"")
    assert len(as_images(folder)) == 6
    (folder / "labels.csv").write_text("a")
    with pytest.warns(DataWarning, match=r"left out 1 file\(s\) that are no images: 'labels.csv'"):
        assert len(as_images(folder)) == 6


def test_a_folder_without_images_and_a_missing_one_are_said(tmp_path):
    with pytest.raises(InputError, match="holds no image file"):
        as_images(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        as_images(tmp_path / "nowhere")


def test_without_pillow_the_install_line_is_said(folder):
    code = "import sys; sys.modules['PIL'] = None; import expose.encoders as e; e.ImageEncoder().fit(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert "MissingExtraError: image files need Pillow: pip install 'expose[images]'" in done.stderr


# --------------------------------------------------------------------------------------------------- storing


@pytest.mark.parametrize("size", [None, 6, (5, 7)])
def test_an_encoder_survives_json(size, restored):
    encoder = ImageEncoder(size).fit([*COLOUR, GREY[0, :5]])
    twin = restored(encoder)
    assert isinstance(twin, ImageEncoder)
    assert twin.state() == encoder.state()
    assert np.array_equal(quiet(twin, list(COLOUR)), quiet(encoder, list(COLOUR)))
    assert (twin.layout, twin.notes, twin.groups) == (encoder.layout, encoder.notes, encoder.groups)


def test_large_photos_of_one_size_are_made_small_with_a_note() -> None:
    large = np.random.default_rng(0).integers(0, 256, (3, 300, 400), dtype=np.uint8)  # as a camera's: all are alike
    encoder = ImageEncoder().fit(large)
    assert encoder.layout.shape == (1, 48, 64)
    assert encoder.notes == [
        "The images have 300 x 400 pixels, more than a network on pixels learns from; all are resized to 48 x 64."
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encoder.transform(large).shape == (3, 48 * 64)
    assert ImageEncoder(size=(300, 400)).fit(large).layout.shape == (1, 300, 400)
    assert ImageEncoder().fit(large[:, :256, :256]).layout.shape == (1, 256, 256)
