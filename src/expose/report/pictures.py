"""Pictures as the page holds them: small, as text, and together no larger than there is room for."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import MissingExtraError

SIDES = (256, 224, 192, 160, 128, 96, 64, 48, 32, 24, 16)  # of which the largest is taken that there is room for
QUALITY = 72  # of 100, beyond which files grow faster than pictures improve

Pixels = NDArray[np.uint8]


class Picture(NamedTuple):
    """A picture in the page: its address, which holds it, and its width and height."""

    address: str
    width: int
    height: int


def require_pillow() -> None:
    """Raise MissingExtraError, with the line that installs it, where Pillow is absent."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "The report shows pictures, for which it needs Pillow, which is not installed. Install it with: "
            "pip install 'expose[report,images]'"
        ) from error


def picture_of(pixels: Pixels, side: int | None = None) -> Picture:
    """A picture ``(H, W, 3)``, or ``(H, W, 4)`` with alpha, made no larger than ``side``."""
    image = pillow_image(pixels, None if side is None else (side, side))
    file = BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=4)
    return Picture("data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii"), *image.size)


def pillow_image(pixels: Pixels, size: tuple[int, int] | None = None) -> Any:
    """Pixels as an image of Pillow, made no larger than ``size``, width and height."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if size is not None:
        image.thumbnail(size, Image.Resampling.LANCZOS)
    return image


def pictures_of(pixels: Sequence[Pixels], room: float, most: int = SIDES[0]) -> list[Picture]:
    """Pictures that together take no more than ``room`` signs, if need be by being small; at most ``most`` wide."""
    found: list[Picture] = []
    for side in (side for side in SIDES if side <= most):
        found = [picture_of(one, side) for one in pixels]
        if sum(len(one.address) for one in found) <= room:
            break
    return found
