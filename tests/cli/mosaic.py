"""Photos as means of squares on a grid: an encoder of photos that is quick, and small photos with a spot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from expose.encoders import State
from expose.encoders.base import CLASSES, ENCODERS, Encoder
from expose.encoders.layout import Layout
from expose.kinds.images import as_images
from expose.kinds.pixels import resized, with_channels

PLACES = (6, 6)


class Mosaic(Encoder):
    """Means of 6 x 6 squares, and of their halves, whatever the size of a photo."""

    encodes = "image"
    family = "mosaic"

    def __init__(self) -> None:
        self.layout = Layout("grid", (*PLACES, 4), places=PLACES)
        self.notes: list[str] = []

    def fit(self, samples: Any) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, samples: Any) -> np.ndarray:
        """Four means of each square, ``(n, 144)``."""
        images = as_images(samples)
        grey = [resized(with_channels(images.at(row, (48, 48)), 1), 12, 12) for row in range(len(images))]
        squares = np.concatenate(grey).reshape(-1, 6, 2, 6, 2).swapaxes(2, 3)  # (n, 6, 6, 2, 2)
        return squares.reshape(len(images), -1)

    def state(self) -> State:
        """Nothing to keep."""
        return State({}, {})

    @classmethod
    def restore(cls, state: State) -> Self:
        """The same again."""
        return cls()


@contextmanager
def known() -> Iterator[None]:
    """Model folders and ``--set encoder=mosaic`` know the encoder meanwhile."""
    ENCODERS["mosaic"] = CLASSES["mosaic"] = Mosaic
    try:
        yield
    finally:
        del ENCODERS["mosaic"], CLASSES["mosaic"]


def photos(n: int, size: tuple[int, int] = (48, 48), seed: int = 0) -> np.ndarray:
    """Grey noise of one brightness each, ``(n, H, W)``, uint8."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(110, 140, size=(n, 1, 1))
    return np.clip(light + rng.normal(scale=8, size=(n, *size)), 0, 255).astype(np.uint8)


def spotted(image: np.ndarray, top: float, left: float, share: float = 0.15) -> np.ndarray:
    """A dark spot on a photo, its corner and side given as shares of the photo's sides."""
    (height, width), image = image.shape[:2], image.copy()
    image[int(top * height) : int((top + share) * height), int(left * width) : int((left + share) * width)] = 10
    return image
