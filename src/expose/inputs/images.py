"""Images in: arrays, lists of images of any size, or a folder of files become float32 rows of one size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError
from expose.inputs.image_files import file_shape, image_files, pixels_of, read_file
from expose.inputs.layout import Layout
from expose.inputs.pixels import channels_last, resized, to_unit, with_channels

LARGEST_GUESS: Final = 64  # pixels of a side, when images differ in size and nothing was said
BLOCK: Final = 2**22  # values converted at a time
VERY_LARGE: Final = 256 * 256 * 3


@dataclass(frozen=True, eq=False)
class Images:
    """Images of any size. Files are read when they are asked for.

    Attributes
    ----------
    pixels : ndarray, (n, H, W, C), or sequence of n of ndarray (H, W, C) or Path
    names : tuple of str or None
        Of the files, relative to their folder.
    """

    pixels: NDArray[Any] | Sequence[NDArray[Any] | Path]
    names: tuple[str, ...] | None = None

    @property
    def n_rows(self) -> int:
        """Number of images."""
        return len(self.pixels)

    @cached_property
    def shapes(self) -> NDArray[np.int64]:
        """(H, W, C) of each image, ``(n, 3)``; C is 1 or 3, and one more with alpha."""
        if isinstance(self.pixels, np.ndarray):
            return np.tile(np.array(self.pixels.shape[1:], dtype=np.int64), (self.n_rows, 1))
        shapes = [file_shape(one) if isinstance(one, Path) else one.shape for one in self.pixels]
        return np.array(shapes, dtype=np.int64).reshape(-1, 3)

    def take(self, rows: NDArray[np.integer[Any]]) -> Images:
        """Return the chosen images."""
        names = None if self.names is None else tuple(self.names[row] for row in rows)
        if isinstance(self.pixels, np.ndarray):
            return Images(self.pixels[rows], names)
        return Images([self.pixels[row] for row in rows], names)

    def at(self, row: int) -> NDArray[np.float32]:
        """Return one image in [0, 1], ``(1, H, W, C)``."""
        one = self.pixels[row]
        if not isinstance(one, Path):
            return to_unit(one[None], row)
        pixels = read_file(one)
        try:
            return to_unit(pixels[None], row)
        except InputError as error:
            raise InputError(f"{one}: {error}") from error


def as_images(X: Any) -> Images:
    """Turn anything that holds images into `Images`.

    Parameters
    ----------
    X : ndarray (n, H, W) or (n, H, W, C), torch tensor (n, C, H, W), list of arrays, Pillow images or Paths, or the
        path of a folder of image files, which is searched with all its folders, in the order of the names

    Raises
    ------
    InputError
        When it holds no images, or its axes have no clear meaning.
    MissingExtraError
        When files are to be read and Pillow is not installed.

    Examples
    --------
    >>> as_images(np.zeros((5, 8, 8), dtype=np.uint8)).shapes[0].tolist()
    [8, 8, 1]
    """
    if isinstance(X, Images):
        return X
    if isinstance(X, str | Path):
        folder = Path(X)
        files = image_files(folder)
        names = [file.name if file == folder else file.relative_to(folder).as_posix() for file in files]
        return Images(files, tuple(names))
    if isinstance(X, list | tuple):
        names_given = tuple(map(str, X)) if X and all(isinstance(one, Path) for one in X) else None
        return Images([_one_image(one, row) for row, one in enumerate(X)], names_given)
    tensor = hasattr(X, "detach")
    values = np.asarray(X.detach().cpu() if tensor else X)
    return Images(channels_last(values, tensor=tensor))


def _one_image(one: Any, row: int) -> NDArray[Any] | Path:
    """Return one of a list: a file as it is, anything else as ``(H, W, C)``."""
    if isinstance(one, Path):
        return one
    if hasattr(one, "getexif"):  # an image of Pillow
        return pixels_of(one)
    tensor = hasattr(one, "detach")
    values = np.asarray(one.detach().cpu() if tensor else one)
    if values.ndim == 2:
        return values[..., None]
    if values.ndim == 3:
        image: NDArray[Any] = channels_last(values[None], tensor=tensor)[0]
        return image
    raise InputError(f"image {row} of the list: expected shape (H, W) or (H, W, C); got shape {values.shape}.")


class ImageEncoder:
    """Encode images of any size as float32 rows ``(n, C * H * W)`` in [0, 1], channels first.

    Parameters
    ----------
    size : int, (int, int) or None
        Side, or height and width, to which images are resized. None keeps the size of the training images if all
        agree, else takes their median height and width, scaled down to sides of at most 64.

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

    named = False
    text_columns: tuple[str, ...] = ()

    def __init__(self, size: int | tuple[int, int] | None = None) -> None:
        self.size = size
        self.notes: list[str] = []

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, X: Any) -> ImageEncoder:
        """Settle channels, height and width.

        Raises
        ------
        InputError
            When there is no image, or one cannot be read.
        """
        images = as_images(X)
        if not images.n_rows:
            raise InputError("Found 0 sample(s): expected at least one image.")
        shapes = images.shapes
        if shapes.min() < 1:
            raise InputError(f"image {int(np.argmin(shapes.min(axis=1)))} has no pixels.")
        colour = shapes[:, 2] >= 3
        self.notes = []
        self.alpha = bool((shapes[:, 2] % 2 == 0).any())
        self.any_channels = bool(colour.any() and not colour.all())
        self.any_size = self.size is not None or bool((shapes[:, :2] != shapes[0, :2]).any())
        height, width = self._settled_size(shapes[:, :2])
        self.shape = (3 if colour.any() else 1, height, width)
        if self.alpha:
            self.notes.append("The images have an alpha channel (transparency), which is left out.")
        if self.any_channels:
            self.notes.append(f"{len(colour) - colour.sum()} of {len(colour)} images are grey among coloured ones.")
        if self.n_features_out > VERY_LARGE:
            self.notes.append(
                f"Images of {height} x {width} pixels have {self.n_features_out:,} values each; smaller ones train "
                "faster and often as well."
            )
        return self

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
        self.notes.append(
            f"The images differ in size, {low[0]} to {high[0]} pixels high and {low[1]} to {high[1]} wide; "
            f"all are resized to {height} x {width}."
        )
        return height, width

    @property
    def n_features_out(self) -> int:
        """Values of an encoded image, D."""
        return self.layout.n_values

    @property
    def layout(self) -> Layout:
        """What an encoded row is."""
        return Layout("image", self.shape)

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """An image is one thing: all of its values."""
        return [("image", slice(0, self.n_features_out))]

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode images.

        Parameters
        ----------
        X : Images or anything `as_images` takes

        Returns
        -------
        ndarray of float32, (n, C * H * W), in [0, 1]

        Raises
        ------
        InputError
            When an image cannot be read, or a value is out of range.

        Warns
        -----
        DataWarning
            When images have another size, other channels, or alpha where none had it in training.
        """
        images = as_images(X)
        channels, height, width = self.shape
        out = np.empty((images.n_rows, channels, height, width), dtype=np.float32)
        if isinstance(images.pixels, np.ndarray):
            step = max(1, BLOCK // max(1, int(np.prod(images.pixels.shape[1:]))))
            for start in range(0, images.n_rows, step):
                out[start : start + step] = self._fitted(to_unit(images.pixels[start : start + step], start))
        else:
            for row in range(images.n_rows):
                out[row] = self._fitted(images.at(row))[0]
        self._warn_changed(images.shapes)
        return out.reshape(images.n_rows, -1)

    def _fitted(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return images ``(n, H, W, C)`` in the settled shape, channels first."""
        channels, height, width = self.shape
        return np.moveaxis(resized(with_channels(values, channels), height, width), 3, 1)

    def _warn_changed(self, shapes: NDArray[np.int64]) -> None:
        """Say how later images differ from those of training; where training had several sizes, none is another."""
        channels, height, width = self.shape
        others = (shapes[:, :2] != [height, width]).any(axis=1)
        if others.any() and not self.any_size:
            _warn(f"{others.sum()} image(s) are not {height} x {width} pixels as in training; they are resized.")
        grey = shapes[:, 2] < 3
        if channels == 1 and not grey.all():
            _warn(f"{(~grey).sum()} image(s) are in colour, and all were grey in training; they are turned to grey.")
        if channels == 3 and grey.any() and not self.any_channels:
            _warn(f"{grey.sum()} image(s) are grey, and all had colour in training; their values are repeated.")
        if (shapes[:, 2] % 2 == 0).any() and not self.alpha:
            _warn("images have an alpha channel, which none had in training; it is left out.")

    # ------------------------------------------------------------------------------------------------- store

    def to_json(self) -> dict[str, Any]:
        """Return all that was learned, in JSON types."""
        return {
            "kind": "image",
            "size": self.size if self.size is None or isinstance(self.size, int) else list(self.size),
            "shape": list(self.shape),
            "alpha": self.alpha,
            "any_size": self.any_size,
            "any_channels": self.any_channels,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ImageEncoder:
        """Return the encoder that `to_json` described; it encodes to the same bits."""
        size = stored["size"]
        encoder = cls(tuple(size) if isinstance(size, list) else size)
        channels, height, width = stored["shape"]
        encoder.shape = (channels, height, width)
        encoder.alpha, encoder.any_size = stored["alpha"], stored["any_size"]
        encoder.any_channels, encoder.notes = stored["any_channels"], list(stored["notes"])
        return encoder


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=4)
