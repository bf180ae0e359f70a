"""Image files: which there are, how large each is, and its pixels; needs Pillow."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError, MissingExtraError
from expose.files.names import listing
from expose.kinds.pixels import block_means, to_unit

# Whatever a file is called, it is read as one of these or not at all: for an EPS, Pillow would start Ghostscript
FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
LARGE: Final = 2**22  # pixels; of a larger image no more is decoded than is needed
GAP: Final = 3  # so many times the needed height and width, for resizing to see no difference
_STRIP: Final = 2**20  # pixels reduced at a time
_ORIENTATION: Final = 274  # of EXIF: how the camera was held
_TURNED: Final = (5, 6, 7, 8)  # its values that exchange height and width
_UPRIGHT: Final[dict[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {  # of (H, W, C)
    2: np.fliplr,
    3: lambda values: np.rot90(values, 2),
    4: np.flipud,
    5: lambda values: np.swapaxes(values, 0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: np.rot90(np.swapaxes(values, 0, 1), 2),
    8: np.rot90,
}


class Head(NamedTuple):
    """What the head of an image file says: (H, W, C), and whether it holds several pictures that follow each other."""

    shape: tuple[int, int, int]
    animated: bool


def pillow() -> Any:
    """Return the package that reads image files."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("image files need Pillow: pip install 'expose[images]'") from error
    return Image


def is_image_file(path: Path) -> bool:
    """Tell by its name whether a file holds an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def holds_images(path: Path) -> bool:
    """Tell whether a path is an image file, or a folder with one anywhere in it."""
    if path.is_dir():
        return first_in(path, is_image_file) is not None
    return path.is_file() and is_image_file(path)


def first_in(folder: Path, wanted: Callable[[Path], bool]) -> Path | None:
    """Return a wanted file of a folder and its folders, the first that is found."""
    return next((place / name for place, _, names in _walked(folder) for name in names if wanted(Path(name))), None)


def places_of(sources: Iterable[str]) -> list[Path]:
    """Files and folders that were named; of a pattern those that fit."""
    return [place for source in sources for place in _matches(source)]


def _matches(source: str) -> list[Path]:
    path = Path(source)
    return [path] if path.exists() else [Path(name) for name in sorted(glob.glob(source, recursive=True))]


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder and its folders, sorted, or the one file itself; warn of what is left out."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected a folder of images.")
    if path.is_file():
        return [path]
    files = files_in(path, is_image_file, "images")
    if not files:
        raise InputError(f"{path} holds no image file; expected files whose names end in {', '.join(SUFFIXES)}.")
    return files


def files_in(path: Path, wanted: Callable[[Path], bool], plural: str) -> list[Path]:
    """Return the wanted files of a folder and its folders, sorted; warn of what is left out, if there are some."""
    every, links = [], []
    for folder, folders, names in _walked(path):
        every += [folder / name for name in names]
        links += [folder / name for name in folders if (folder / name).is_symlink()]
    files = sorted(file for file in every if wanted(file))
    others = sorted(file for file in every if not wanted(file))
    for left, what in ((others, f"file(s) that are no {plural}"), (sorted(links), "link(s) to folders")):
        if left and files:
            shown = listing(str(one.relative_to(path)) for one in left)
            warnings.warn(f"{path}: left out {len(left)} {what}: {shown}", DataWarning, 4)
    return files


def _walked(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders, each with its folders and files, none hidden. Links to folders, which may lead in circles, are shut."""

    def refuse(error: OSError) -> None:
        raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}.") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield Path(place), folders, [name for name in names if not name.startswith(".")]


def name_of(path: Path) -> str:
    r"""Return the name of a file as text that can be written; bytes that are not UTF-8 are written out.

    Examples
    --------
    >>> print(name_of(Path("caf\udce9.png")))
    caf\xe9.png
    """
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def file_head(path: Path) -> Head:
    """Look at the head of an image file, without its pixels; C is 1 or 3, and one more with alpha."""
    with _opened(path) as image:
        if image.format == "TIFF" and image.getexif().get(_ORIENTATION, 1) in _TURNED:
            image.load()  # Pillow turns it itself, and its versions differ in when they exchange height and width
        width, height = image.size
        if _orientation(image) in _TURNED:
            width, height = height, width
        # the further pictures of a phone's MPO are no frames
        return Head((height, width, _channels(image)), image.format != "MPO" and getattr(image, "is_animated", False))


def read_file(path: Path, needed: tuple[int, int] | None = None) -> NDArray[Any]:
    """Return the pixels of an image file, ``(H, W, C)``; of several frames the first.

    Parameters
    ----------
    path : Path
    needed : (int, int), optional
        Height and width to which it will be resized. A large image is then made smaller while it is decoded, to
        floats in [0, 1], and takes no more memory than its decoder does.

    Raises
    ------
    InputError
        When it is no image of the `FORMATS`, is damaged, or has more pixels than Pillow allows.
    """
    with _opened(path) as image:
        if needed is None or image.width * image.height <= LARGE:
            return pixels_of(image)
        orientation = _orientation(image)
        height, width = (GAP * side for side in (reversed(needed) if orientation in _TURNED else needed))
        image.draft(None, (width, height))  # JPEG can be decoded at an eighth
        factor = min(image.height // height, image.width // width)
        if factor < 2:
            return pixels_of(image)
        return _upright(_reduced(image, factor), orientation)


def _reduced(image: Any, factor: int) -> NDArray[np.float32]:
    """Return means of squares of pixels, floats in [0, 1]; never is the whole image held as such."""
    image.load()
    high = factor * max(1, _STRIP // (factor * image.width))
    means = []
    for top in range(0, image.height, high):
        strip = image.crop((0, top, image.width, min(top + high, image.height)))
        means.append(block_means(to_unit(_values(strip)[None])[0], factor))
    return np.concatenate(means)


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device that is called as an image is: to open it would wait for somebody who writes."""
    if path.exists() and not path.is_file():
        raise InputError(
            f"{path}: it is no regular file, but a folder, a pipe or a device. Save the image to a file, or leave it "
            "out (--skip-bad)."
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    package = pillow()
    check_regular(path)
    try:
        with package.open(path, formats=FORMATS) as image:
            yield image
    except MemoryError:
        raise
    except package.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        millions = f"{int(found[0]) / 1e6:,.0f} million" if found else "too many"
        raise InputError(
            f"{path}: it has {millions} pixels; at most {2 * package.MAX_IMAGE_PIXELS / 1e6:,.0f} million are read, so "
            "that no file fills the memory. Make it smaller, leave it out (--skip-bad), or, in Python, allow more: "
            "PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:  # Pillow raises many kinds, of struct, zlib and its own
        message = f"{path}: cannot be read as an image ({error}). Repair it, or leave it out (--skip-bad)."
        raise InputError(message) from error


def pixels_of(image: Any) -> NDArray[Any]:
    """Return the pixels of a Pillow image, upright, ``(H, W, C)``: 8 or 16 bit or floats, grey or RGB, and alpha."""
    orientation = _orientation(image)
    return _upright(_values(image), orientation)


def _orientation(image: Any) -> int:
    """How the picture has to be turned, as EXIF has it before the pixels: to look behind them is to decode them."""
    if image.format == "TIFF":  # Pillow turns it itself
        return 1
    found: int = pillow().Image.getexif(image).get(_ORIENTATION, 1)
    return found


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    turn = _UPRIGHT.get(orientation)
    return values if turn is None else np.ascontiguousarray(turn(values))


def _values(image: Any) -> NDArray[Any]:
    """Return pixels as they lie, ``(H, W, C)``."""
    if image.mode == "F":
        return np.asarray(image)[..., None]
    if image.mode.startswith("I"):
        return _of_16_bit(np.asarray(image))[..., None]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[_channels(image)]
    values = np.asarray(image if image.mode == mode else image.convert(mode))
    return values[..., None] if values.ndim == 2 else values


def _of_16_bit(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Return 16-bit pixels, which Pillow may widen to 32, ``(H, W)``."""
    if values.min() < 0 or values.max() > 65535:
        raise InputError("it holds 32-bit numbers; save it with 8 or 16 bit")
    return values.astype(np.uint16)


def _channels(image: Any) -> int:
    if image.mode in ("1", "L", "I", "LA", "La", "F") or image.mode.startswith("I;"):
        return 2 if image.mode in ("LA", "La") else 1
    alpha = image.mode in ("RGBA", "RGBa", "PA") or (image.mode == "P" and "transparency" in image.info)
    return 4 if alpha else 3
