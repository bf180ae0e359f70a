"""Image files: read as what they are, no larger than needed, and left out where that was asked for."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expose.encoders.feature_cache import key_of
from expose.encoders.image import ImageEncoder
from expose.errors import InputError, SkippedWarning
from expose.kinds import as_images
from expose.kinds.base import Reading, kind_named, kind_of
from expose.kinds.image_files import GAP, LARGE, file_head, read_file
from expose.kinds.photo_notes import n_copies
from expose.kinds.pixels import to_unit

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
ImageOps = pytest.importorskip("PIL.ImageOps")
random = np.random.default_rng(0)


def gradient(height: int, width: int) -> Any:
    """A smooth picture in colour."""
    y, x = np.mgrid[:height, :width]
    planes = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (height + width)], -1)
    return Image.fromarray(planes.astype(np.uint8))


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG file."""
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def hollow_png(path: Path, width: int, height: int, mode: int = 2) -> Path:
    """A PNG of so many black pixels that is small itself: a bomb."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, mode, 0, 0, 0])
    packer = zlib.compressobj(9)
    row = bytes(1 + width * (3 if mode == 2 else 4))
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


# ------------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        b"%PDF-1.4\n",
        b"P9 nothing",
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_no_other_format_is_opened_whatever_the_name(content: bytes, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **o: pytest.fail("a program was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **o: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: cannot be read as an image"):
        read_file(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".ico", ".tga", ".pcx", ".sgi"])
def test_formats_that_are_not_named_are_refused_though_pillow_knows_them(suffix: str, tmp_path: Path) -> None:
    gradient(16, 16).save(tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: cannot be read as an image"):
        file_head(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "1"), ("a.png", "L"), ("a.png", "LA"), ("a.png", "P"), ("a.png", "RGB"), ("a.png", "RGBA"),
        ("a.jpg", "L"), ("a.jpg", "RGB"), ("a.jpg", "CMYK"), ("a.tif", "CMYK"), ("a.tif", "YCbCr"), ("a.gif", "P"),
        ("a.bmp", "RGB"), ("a.webp", "RGBA"), ("a.ppm", "RGB"), ("a.pgm", "L"),
    ],
)  # fmt: skip
def test_values_are_those_of_pillow(name: str, mode: str, tmp_path: Path) -> None:
    gradient(9, 12).convert(mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        grey = image.mode in ("1", "L", "LA")
        expected = np.asarray(image.convert("L" if grey else "RGB")).reshape(9, 12, -1)
    pixels = read_file(tmp_path / name)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[..., : expected.shape[2]], expected)
    assert file_head(tmp_path / name).shape == pixels.shape


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_are_kept(name: str, tmp_path: Path) -> None:
    values = random.integers(0, 65536, size=(5, 7), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    np.testing.assert_array_equal(read_file(tmp_path / name)[..., 0], values)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_every_turn_of_the_camera_is_undone(orientation: int, suffix: str, tmp_path: Path, monkeypatch) -> None:
    path, exif = tmp_path / f"a{suffix}", Image.Exif()
    exif[274] = orientation
    gradient(40, 64).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = read_file(path)
    np.testing.assert_array_equal(pixels, expected)
    assert file_head(path).shape == pixels.shape
    monkeypatch.setattr("expose.kinds.image_files.LARGE", 100)
    small = read_file(path, needed=(pixels.shape[0] // 8, pixels.shape[1] // 8))
    small = to_unit(small[None])[0]
    assert small.shape[0] < pixels.shape[0]
    assert (small.shape[0] > small.shape[1]) == (pixels.shape[0] > pixels.shape[1])
    sides = [small[:, 0, 0], small[:, -1, 0], small[0, :, 1], small[-1, :, 1]]
    wholes = [pixels[:, 0, 0], pixels[:, -1, 0], pixels[0, :, 1], pixels[-1, :, 1]]
    for side, whole in zip(sides, wholes, strict=True):
        assert abs(side.mean() - whole.mean() / 255) < 0.05


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_the_first_frame_is_used_and_that_is_said(suffix: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (40, 200)]
    for number in range(2):
        frames[0].save(tmp_path / f"{number}{suffix}", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.png")
    images = as_images(tmp_path)
    with pytest.warns(match=r"2 image file\(s\) hold several frames, of which the first is looked at: '.*0\."):
        assert len(images.shapes) == 3
    assert abs(int(images.raw(0)[0, 0, 0]) - 40) < 3


# ---------------------------------------------------------------------------------------------- how much is read


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "1"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_large_file_gives_nearly_the_values_of_the_whole(mode: str, suffix: str, tmp_path: Path, monkeypatch) -> None:
    picture = gradient(247, 331)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(np.asarray(picture.convert("L"), dtype=np.float32) / 255)
    else:
        picture = picture.convert(mode)
    try:
        picture.save(tmp_path / f"a{suffix}")
    except OSError:
        pytest.skip(f"no {mode} in {suffix}")
    encoder = ImageEncoder(size=(10, 12)).fit(as_images(tmp_path))
    whole = encoder.transform(as_images(tmp_path))
    monkeypatch.setattr("expose.kinds.image_files.LARGE", 1000)
    monkeypatch.setattr("expose.kinds.image_files._STRIP", 2000)
    path = tmp_path / f"a{suffix}"
    assert read_file(path, (10, 12)).shape[0] < 2 * GAP * 10 + 20
    np.testing.assert_allclose(encoder.transform(as_images(tmp_path)), whole, atol=0.03)


def test_a_file_that_is_not_large_is_read_to_the_bit(tmp_path: Path) -> None:
    gradient(100, 100).save(tmp_path / "a.png")
    assert LARGE >= 100 * 100
    np.testing.assert_array_equal(read_file(tmp_path / "a.png", (2, 2)), np.asarray(gradient(100, 100)))


MEASURE = """
import resource, sys
from pathlib import Path
from expose.encoders.image import ImageEncoder
import numpy as np, torch
from PIL import Image
encoder = ImageEncoder(size=32).fit(np.zeros((2, 40, 40, 3), np.uint8))
encoder.transform([np.zeros((40, 40, 3), np.uint8)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    encoder.transform([Path(sys.argv[1])])
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def memory_for(path: Path) -> tuple[int, str]:
    """Megabytes that encoding an image takes, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    *said, megabytes = done.stdout.splitlines()
    return int(megabytes), " ".join(said)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_a_small_file_of_many_pixels_takes_its_decoder_alone(tmp_path: Path) -> None:
    megabytes, said = memory_for(hollow_png(tmp_path / "a.png", 8000, 8000))  # 64 million pixels of 4 bytes
    assert said == ""
    assert megabytes < 244 + 100


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    head = (40_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b""))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"bomb\.png: it has 1,600 million pixels; at most 179 million are read"):
        file_head(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_who_knows_better_may_allow_more_or_less(tmp_path: Path, monkeypatch) -> None:
    gradient(30, 30).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with pytest.raises(InputError, match=r"PIL\.Image\.MAX_IMAGE_PIXELS"):
        read_file(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_file(tmp_path / "a.png").shape == (30, 30, 3)


# ------------------------------------------------------------------------------------------------ what is left out


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Six files: one whole at either end, and four that are damaged in the head, in the pixels, in what they are."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.jpg", "c.png", "f.png"):
        Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(folder / name)
    for name in ("b.jpg", "c.png"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    (folder / "d.gif").write_bytes(b"")
    (folder / "e.png").write_text("<html>not found</html>")
    return folder


def test_damaged_files_are_left_out_on_demand_and_listed(damaged: Path) -> None:
    images = as_images(damaged)
    for row in range(1, 5):
        with pytest.raises(InputError, match=rf"{images.names[row]}: cannot be read as an image"):
            images.at(row)
    with pytest.warns(SkippedWarning, match=r"4 file\(s\) cannot be read as images and are left out: 'b\.jpg'") as said:
        kept = images.readable()
    assert said[0].message.examples == ("b.jpg", "c.png", "d.gif", "e.png")
    assert kept.names == ("a.png", "f.png")
    np.testing.assert_array_equal(kept.raw(1), images.raw(5))


def test_batches_stay_in_step_with_their_names(damaged: Path, monkeypatch) -> None:
    monkeypatch.setattr("expose.kinds.image.AT_ONCE", 2)
    kind, reading = kind_named("image"), Reading(skip_bad=True)
    with pytest.warns(SkippedWarning):
        batches = list(kind.scan([str(damaged)], reading))
    assert [batch.ids["file"].to_pylist() for batch in batches] == [["a.png"], ["f.png"]]
    assert [len(batch.samples) for batch in batches] == [1, 1]


@pytest.mark.parametrize("way", ["read", "scan"])
def test_if_no_file_can_be_read_that_is_an_error(damaged: Path, way: str) -> None:
    for name in ("a.png", "f.png"):
        (damaged / name).unlink()
    found = getattr(kind_named("image"), way)
    with (
        pytest.warns(SkippedWarning),
        pytest.raises(InputError, match=r"none of the 4 image file\(s\) can be read\. The first: .*b\.jpg"),
    ):
        list(found([str(damaged)], Reading(skip_bad=True)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_a_name_that_is_not_utf_8_is_written_out(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(folder).mkdir()
    gradient(8, 8).save(os.path.join(folder, os.fsdecode(b"b\xff.png")))
    batch = kind_named("image").read([folder], Reading())
    assert batch.ids["file"].to_pylist() == [r"b\xff.png"]
    assert batch.samples.raw(0).shape == (8, 8, 3)


def test_numbers_that_numpy_lacks_are_read_too() -> None:
    torch = pytest.importorskip("torch")
    grey = torch.full((2, 8, 8), 0.5, dtype=torch.bfloat16)
    assert as_images(grey).at(0)[0, 0, 0, 0] == 0.5
    assert as_images([grey[0]]).at(0)[0, 0, 0, 0] == 0.5


def test_a_narrow_grey_image_of_a_list_is_no_colour() -> None:
    assert as_images([np.zeros((8, 3)), np.zeros((1, 1))]).shapes.tolist() == [[8, 3, 1], [1, 1, 1]]


# ------------------------------------------------------------------------------------------------ files that are none


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Path]:
    """Two images, and two named pipes into which nobody writes; whoever waits for them is interrupted."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")

    def interrupt(*_: object) -> None:
        pytest.fail("waited for a pipe")  # no Exception, which the code under test might catch

    for name in ("a.png", "d.png"):
        Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(tmp_path / name)
    for name in ("b.png", "c.png"):
        os.mkfifo(tmp_path / name)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(8)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_pipes_are_refused_or_left_out_and_never_waited_for(piped: Path) -> None:
    kind = kind_named("image")
    with pytest.raises(
        InputError, match=r"2 or more image files .*b\.png: it is no regular file, but a folder, a pipe"
    ):
        kind.read([str(piped)], Reading())
    with pytest.warns(SkippedWarning, match=r"2 file\(s\) cannot be read as images and are left out: 'b\.png', 'c\.p"):
        assert kind.read([str(piped)], Reading(skip_bad=True)).samples.names == ("a.png", "d.png")
    assert n_copies([piped / name for name in ("a.png", "b.png", "c.png")]) == 0
    with pytest.raises(InputError, match="no regular file"):  # before it is kept under a name, in a fit from Python
        key_of(piped / "b.png", [])


# ------------------------------------------------------------------------------------------------------- patterns


def test_a_pattern_is_taken_as_the_command_takes_it(damaged: Path) -> None:
    kind, pattern = kind_named("image"), str(damaged / "[af].png")
    assert kind_of(pattern) is kind
    assert kind_of(Path(pattern)) is kind
    found = as_images(pattern)
    assert [Path(name).name for name in found.names] == ["a.png", "f.png"]
    assert found.names == kind.read([pattern], Reading()).samples.names
    assert as_images(str(damaged / "f.p*")).names == ("f.png",)
    assert as_images(str(damaged.parent / "pict*")).names == as_images(damaged).names
    with pytest.raises(InputError, match="no such file or folder"):
        as_images(str(damaged / "*.bmp"))


def test_a_name_that_looks_like_a_pattern_is_a_name(damaged: Path) -> None:
    folder = damaged.rename(damaged.parent / "lot [1]")
    assert as_images(str(folder / "a.png")).names == ("a.png",)
    assert len(as_images(str(folder))) == 6
