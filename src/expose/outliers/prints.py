"""What rows are recognised by: keys that equal rows share, vectors and word series that similar rows nearly share."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.encoders import TableEncoder
from expose.errors import DataWarning
from expose.kinds import Table, as_images, as_table, as_texts
from expose.kinds.columns import Strings, Times
from expose.kinds.pixels import to_unit
from expose.kinds.understood import understood_alone

Keys = tuple[list[bytes], list[bytes]]
Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]
SIDE = 8  # of a thumbnail
SERIES = 3  # words
CHUNK = 2048

# ---------------------------------------------------------------------------------------------------- tables


def table_keys(mine: Any, theirs: Any) -> Keys:
    """The values of each row, as bytes."""
    first, second = as_table(mine), as_table(theirs)
    single = np.float32 in (first.numbers.dtype, second.numbers.dtype)
    both = understood_alone(Table.concat(first, second))
    numbers = both.numbers.astype(np.float32 if single else np.float64).astype(np.float64) + 0.0  # -0 becomes 0
    numbers[np.isnan(numbers)] = np.nan  # one of the many
    rest = [
        column.moments.astype(np.int64) if isinstance(column, Times) else column.codes
        for column in both.others.values()
        if not isinstance(column, Strings)  # none is left
    ]
    matrix = np.column_stack([np.ascontiguousarray(numbers).view(np.int64), *rest])
    keys = [row.tobytes() for row in matrix]
    return keys[: len(first)], keys[len(first) :]


def table_vectors(mine: Any, theirs: Any) -> Vectors:
    """Rows as a network would see them: scaled numbers, one-hot categories; the scale is that of the other set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # that outliers hold other categories is to be expected
        encoder = TableEncoder().fit(as_table(theirs))
        return encoder.transform(as_table(mine)), encoder.transform(as_table(theirs))


# ---------------------------------------------------------------------------------------------------- images


def image_keys(mine: Any, theirs: Any) -> Keys:
    """The pixels of each image to 8 bit as a digest, and its size."""
    first, second = ([_image_key(image) for chunk in _chunks(images) for image in chunk] for images in (mine, theirs))
    return first, second


def _image_key(image: NDArray[np.float32]) -> bytes:
    pixels = np.round(image * 255).astype(np.uint8)
    return blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest()


def thumbnails(mine: Any, theirs: Any) -> Vectors:
    """Images of 8 x 8 pixels in [0, 1]; all grey where any of them is."""
    grey = any(bool((as_images(images).shapes[:, 2] < 3).any()) for images in (mine, theirs))
    first, second = (np.concatenate([_small(chunk, grey) for chunk in _chunks(images)]) for images in (mine, theirs))
    return first, second


def _chunks(source: Any) -> Iterator[NDArray[np.float32]]:
    """Images in [0, 1], (m, H, W, C), a few at a time."""
    images = as_images(source)
    if isinstance(images.pixels, np.ndarray):
        for start in range(0, len(images), CHUNK):
            yield to_unit(images.pixels[start : start + CHUNK], start)
    else:
        yield from (images.at(row) for row in range(len(images)))


def _small(images: NDArray[np.float32], grey: bool) -> NDArray[np.float32]:
    """Mean colours of 8 x 8 fields, (n, 64 or 192)."""
    values: NDArray[Any] = images[..., : 1 if images.shape[3] < 3 else 3]
    if grey:
        values = values.mean(-1, keepdims=True)
    for axis in (1, 2):
        size = values.shape[axis]
        starts = np.arange(SIDE) * size // SIDE
        sums = np.add.reduceat(values, starts, axis=axis)  # sides under 8: some pixels stand in two fields
        fields = np.maximum(np.diff([*starts.tolist(), size]), 1)
        values = sums / np.expand_dims(fields, tuple(i for i in range(4) if i != axis))
    return values.reshape(len(values), -1).astype(np.float32)


# ----------------------------------------------------------------------------------------------------- texts


def _words(text: str) -> list[str]:
    """Letters and digits only, without case or accents' ways of being written."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c if c.isalnum() else " " for c in plain).split()


def text_keys(mine: Any, theirs: Any) -> Keys:
    """The words of each text."""
    first, second = ([" ".join(_words(text)).encode() for text in as_texts(texts).values] for texts in (mine, theirs))
    return first, second


def text_shingles(texts: Any) -> list[frozenset[str]]:
    """The series of three words of each text; a shorter text is one series."""
    return [_series(_words(text)) for text in as_texts(texts).values]


def _series(words: list[str]) -> frozenset[str]:
    last = max(len(words) - SERIES, 0)
    return frozenset(" ".join(words[i : i + SERIES]) for i in range(last + 1))
