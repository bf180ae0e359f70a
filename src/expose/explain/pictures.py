"""Heat maps as colours over photos: one scale for all photos of a model, so that their colours can be compared."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.model import Fitted

# Plasma without its darkest third: as even in lightness, told apart by the colour-blind, and none of it like a shadow
_COLOURS: Final = np.array(
    [(114, 1, 168), (156, 23, 158), (189, 55, 134), (216, 87, 107), (237, 121, 83), (251, 159, 58), (240, 249, 33)],
    dtype=np.float32,
)
OPAQUE: Final = 0.65  # of the strongest colour: the photo stays visible beneath it
FULL: Final = 10.0  # so many times as far above what is usual as the line of the masks: the strongest colour
OUTLINE: Final = (255, 255, 255)

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


class Scale(NamedTuple):
    """Scores of places as colours: none up to ``usual``, a third of all at ``line``, the strongest at ``full``.

    Between them strength is logarithmic: some defects are so far out that others would not be seen beside them.
    """

    usual: float
    line: float
    full: float

    def strength(self, heat: Floats) -> Floats:
        """How strong the colour of each score is, in [0, 1].

        Examples
        --------
        >>> Scale(10.0, 13.0, 37.0).strength(np.array([4.0, 10.0, 13.0, 99.0])).round(2).tolist()
        [0.0, 0.0, 0.3, 1.0]
        """
        unit = max(self.line - self.usual, 1e-12)
        most = np.log1p(max(self.full - self.usual, unit) / unit)
        strength = np.log1p(np.maximum(heat - self.usual, 0.0) / unit) / most
        limited: Floats = np.minimum(strength, 1.0)
        return limited


def scale_of(fitted: Fitted) -> Scale:
    """The colour scale of a model: the same for all photos and all runs.

    Colours begin at what the most anomalous place of a usual training sample scores, and are strongest `FULL` times as
    far above it as the line above which masks mark a place.
    """
    usual, line = fitted.usual_peak.centre, fitted.place_line
    return Scale(usual, line, usual + FULL * (line - usual))


def coloured(heat: Floats, scale: Scale) -> Pixels:
    """A map ``(H, W)`` as colours with alpha, ``(H, W, 4)``: transparent where nothing is unusual."""
    strength = scale.strength(heat)
    place = strength * (len(_COLOURS) - 1)
    below = np.minimum(place.astype(np.intp), len(_COLOURS) - 2)
    part = (place - below)[..., None]
    colours = _COLOURS[below] * (1 - part) + _COLOURS[below + 1] * part
    alpha = 255 * OPAQUE * np.sqrt(strength)[..., None]  # a weak colour is still seen
    rgba: Pixels = np.concatenate([colours, alpha], axis=-1).round().astype(np.uint8)
    return rgba


def overlay(photo: Pixels, heat: Floats, scale: Scale, line: float | None = None) -> Pixels:
    """A photo ``(H, W, 3)`` in grey with its map ``(H, W)`` in colours over it, outlined where it is above a line.

    Examples
    --------
    >>> photo, heat = np.full((2, 2, 3), 100, dtype=np.uint8), np.array([[0.0, 0.0], [0.0, 9.0]])
    >>> overlay(photo, heat, Scale(3.0, 6.0, 9.0)).tolist()
    [[[100, 100, 100], [100, 100, 100]], [[100, 100, 100], [191, 197, 56]]]
    """
    rgba = coloured(heat, scale).astype(np.float32)
    alpha = rgba[..., 3:] / 255
    grey = photo.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    over: Pixels = (grey[..., None] * (1 - alpha) + rgba[..., :3] * alpha).round().astype(np.uint8)
    if line is not None:
        over[outline(heat > line)] = OUTLINE
    return over


def outline(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The innermost pixels of the border of what is marked, ``(H, W)``; the edge of the photo is none.

    Examples
    --------
    >>> outline(np.array([[1, 1, 1, 0, 0]], dtype=bool)).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    padded = np.pad(marked, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return marked & ~inside


def legend(scale: Scale, width: int = 256, height: int = 16) -> Pixels:
    """The colours of a scale from what is usual to the strongest, on mid grey, ``(height, width, 3)``."""
    ramp = np.tile(np.linspace(scale.usual, scale.full, width), (height, 1))
    return overlay(np.full((height, width, 3), 128, dtype=np.uint8), ramp, scale)


def encoded(pixels: Pixels, form: str = "JPEG", **options: Any) -> bytes:
    """Pixels as an image file of a form of Pillow's, in memory."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()
