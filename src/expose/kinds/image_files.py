"""Image files: which there are, how large each is, and its pixels; needs Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError, MissingExtraError
from expose.files.names import listing

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_TURNED: Final = (5, 6, 7, 8)  # values of the EXIF tag 274, "orientation", that exchange height and width
_ORIENTATION: Final = 274


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
        return any(is_image_file(file) and file.is_file() for file in path.rglob("*"))
    return path.is_file() and is_image_file(path)


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder and its folders, sorted, or the one file itself; warn of other files."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected a folder of images.")
    if path.is_file():
        return [path]
    every = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    files = [file for file in every if is_image_file(file)]
    if not files:
        raise InputError(f"{path} holds no image file; expected files whose names end in {', '.join(SUFFIXES)}.")
    if others := [str(file.relative_to(path)) for file in every if not is_image_file(file)]:
        warnings.warn(f"{path}: left out {len(others)} file(s) that are no images: {listing(others)}", DataWarning, 3)
    return files


def file_shape(path: Path) -> tuple[int, int, int]:
    """Return (H, W, C) of an image file, from its head alone; C is 1 or 3, and one more with alpha."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
        return (width, height, _channels(image)) if turned else (height, width, _channels(image))


def read_file(path: Path) -> NDArray[Any]:
    """Return the pixels of an image file, ``(H, W, C)``; of several frames the first."""
    with _opened(path) as image:
        return pixels_of(image)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pillow().open(path) as image:
            yield image
    except MissingExtraError:
        raise
    except Exception as error:  # Pillow raises many kinds, of struct, zlib and its own
        message = f"{path}: cannot be read as an image ({error}). Repair it, or take it out of the folder."
        raise InputError(message) from error


def pixels_of(image: Any) -> NDArray[Any]:
    """Return the pixels of a Pillow image, upright, ``(H, W, C)``: 8 or 16 bit or floats, grey or RGB, and alpha."""
    if image.getexif().get(_ORIENTATION, 1) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
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
