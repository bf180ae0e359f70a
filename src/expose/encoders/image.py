"""Images of any size become float32 values in [0, 1] of one size."""

from __future__ import annotations

import warnings
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.layout import Layout
from expose.errors import CountedWarning, InputError
from expose.kinds.images import as_images
from expose.kinds.pixels import resized, to_unit, with_channels

LARGEST_GUESS: Final = 64  # pixels of a side, when images differ in size or are large, and no size was given
LARGEST_KEPT: Final = 256 * 256  # pixels: sixty photos of a camera as they are would take 11 GB
BLOCK: Final = 2**22  # values converted at a time
VERY_LARGE: Final = 256 * 256 * 3


@register_encoder("pixels")
class ImageEncoder(Encoder):
    """Encode images of any size as float32 rows ``(n, C * H * W)`` in [0, 1], channels first.

    Parameters
    ----------
    size : int, (int, int) or None
        Side, or height and width, to which images are resized. None keeps the size of the training images if all
        agree and none has more than 65,536 pixels, else takes their median height and width, scaled down to sides of
        at most 64.

    Attributes
    ----------
    shape : (int, int, int)
        C, H, W. C is 3 if one of the training images is in colour, else 1.
    alpha : bool
        Whether a training image had an alpha channel.
    any_size, any_channels : bool
        Whether images of other sizes, and grey ones among coloured ones, are expected: training had them too.
    notes : list of str
        What was changed in the training images.

    Notes
    -----
    8- and 16-bit pixels are divided by 255 and 65,535; floats must lie in [0, 1]. Alpha is dropped. Grey becomes
    colour by repetition, colour grey with the weights of ITU-R BT.601. Resizing is linear, averages where it shrinks
    and does not keep proportions.

    Examples
    --------
    >>> encoder = ImageEncoder().fit(np.zeros((5, 8, 8, 3), dtype=np.uint8))
    >>> encoder.layout.shape, encoder.transform(np.ones((2, 8, 8, 3))).shape
    ((3, 8, 8), (2, 192))
    """

    encodes = "image"

    def __init__(self, size: int | tuple[int, int] | None = None) -> None:
        self.size = size
        self.notes: list[str] = []

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, samples: Any) -> Self:
        """Settle channels, height and width.

        Raises
        ------
        InputError
            When there is no image, or one cannot be read.
        """
        images = as_images(samples)
        if not len(images):
            raise InputError("Found 0 sample(s): expected at least one image.")
        shapes = images.shapes
        if shapes.min() < 1:
            raise InputError(f"image {int(np.argmin(shapes.min(axis=1)))} has no pixels.")
        colour = shapes[:, 2] >= 3
        self.notes = []
        self.alpha = bool((shapes[:, 2] % 2 == 0).any())
        self.any_channels = bool(colour.any() and not colour.all())
        differ, large = bool((shapes[:, :2] != shapes[0, :2]).any()), int(shapes[0, :2].prod()) > LARGEST_KEPT
        self.any_size = self.size is not None or differ or large
        height, width = self._settled_size(shapes[:, :2])
        self._settle(3 if colour.any() else 1, height, width)
        if self.alpha:
            self.notes.append("The images have an alpha channel (transparency), which is left out.")
        if self.any_channels:
            self.notes.append(f"{len(colour) - colour.sum()} of {len(colour)} images are grey among coloured ones.")
        if self.layout.n_values > VERY_LARGE:
            self.notes.append(
                f"Images of {height} x {width} pixels have {self.layout.n_values:,} values each; smaller ones train "
                "faster and often as well."
            )
        return self

    def _settle(self, channels: int, height: int, width: int) -> None:
        self.shape = (channels, height, width)
        self.layout = Layout("image", self.shape)

    def _settled_size(self, sizes: NDArray[np.int64]) -> tuple[int, int]:
        """Return height and width for training images of these, ``(n, 2)``."""
        if self.size is not None:
            sides = tuple(self.size) if isinstance(self.size, tuple | list) else (self.size, self.size)
            if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
                raise InputError(f"size must be a side or (height, width) in pixels, at least 1; got {self.size!r}.")
            return sides
        if not self.any_size:
            return int(sizes[0, 0]), int(sizes[0, 1])
        middle = np.median(sizes, axis=0)  # (2,)
        height, width = np.maximum(1, np.rint(middle * min(1.0, LARGEST_GUESS / middle.max()))).astype(int).tolist()
        low, high = sizes.min(axis=0), sizes.max(axis=0)
        differ = f"The images differ in size, {low[0]} to {high[0]} pixels high and {low[1]} to {high[1]} wide"
        large = f"The images have {high[0]} x {high[1]} pixels, more than a network on pixels learns from"
        self.notes.append(f"{large if (low == high).all() else differ}; all are resized to {height} x {width}.")
        return height, width

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode anything `as_images` takes, float32 ``(n, C * H * W)`` in [0, 1].

        Raises
        ------
        InputError
            When an image cannot be read, or a value is out of range.

        Warns
        -----
        DataWarning
            When images have another size, other channels, or alpha where none had it in training.
        """
        images = as_images(samples)
        channels, height, width = self.shape
        out = np.empty((len(images), channels, height, width), dtype=np.float32)
        if isinstance(images.pixels, np.ndarray):
            step = max(1, BLOCK // max(1, int(np.prod(images.pixels.shape[1:]))))
            for start in range(0, len(images), step):
                out[start : start + step] = self._fitted(to_unit(images.pixels[start : start + step], start))
        else:
            for row in range(len(images)):
                out[row] = self._fitted(images.at(row, (height, width)))[0]
        self._warn_changed(images.shapes)
        return out.reshape(len(images), self.layout.n_values)

    def _fitted(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return images ``(n, H, W, C)`` in the settled shape, channels first."""
        channels, height, width = self.shape
        return np.moveaxis(resized(with_channels(values, channels), height, width), 3, 1)

    def _warn_changed(self, shapes: NDArray[np.int64]) -> None:
        """Say how later images differ from those of training; where training had several sizes, none is another."""
        channels, height, width = self.shape
        others = (shapes[:, :2] != [height, width]).any(axis=1)
        if others.any() and not self.any_size:
            _warn(
                f"{{count}} image(s) are not {height} x {width} pixels as in training; they are resized.", others.sum()
            )
        grey = shapes[:, 2] < 3
        if channels == 1 and not grey.all():
            message = "{count} image(s) are in colour, and all were grey in training; they are turned to grey."
            _warn(message, (~grey).sum())
        if channels == 3 and grey.any() and not self.any_channels:
            _warn("{count} image(s) are grey, and all had colour in training; their values are repeated.", grey.sum())
        alpha = shapes[:, 2] % 2 == 0
        if alpha.any() and not self.alpha:
            _warn("{count} image(s) have an alpha channel, which none had in training; it is left out.", alpha.sum())

    # ------------------------------------------------------------------------------------------------- store

    def state(self) -> State:
        """Return size, channels, and what the training images had."""
        return State({
            "size": self.size if self.size is None or isinstance(self.size, int) else list(self.size),
            "shape": list(self.shape),
            "alpha": self.alpha,
            "any_size": self.any_size,
            "any_channels": self.any_channels,
            "notes": list(self.notes),
        })  # fmt: skip

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; it encodes to the same bits."""
        stored = state.meta
        size = stored["size"]
        encoder = cls(tuple(size) if isinstance(size, list) else size)
        encoder._settle(*stored["shape"])
        encoder.alpha, encoder.any_size = stored["alpha"], stored["any_size"]
        encoder.any_channels, encoder.notes = stored["any_channels"], list(stored["notes"])
        return encoder


def _warn(template: str, count: int) -> None:
    warnings.warn(CountedWarning(template, count), stacklevel=4)
