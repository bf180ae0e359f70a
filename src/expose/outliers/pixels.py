"""What makers of images share: which images can be used, and in what form they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds.pixels import to_unit
from expose.outliers.rows import Indices, Seed, count, passes

Images = NDArray[Any]
Floats = NDArray[np.float32]
Change = Callable[[Indices, np.random.Generator], NDArray[Any]]  # row numbers (m,) to images (m, H, W, C) in [0, 1]
CHUNK = 2048  # images in floating point at a time


def checked_shape(images: Images) -> tuple[int, int, int]:
    """Height, width and channels of images that can be used; a message says why others cannot."""
    if not isinstance(images, np.ndarray) or images.ndim not in (3, 4) or 0 in images.shape:
        got = f"an array of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise InputError(f"expected images, an array (n, H, W) or (n, H, W, C); got {got}. Stack images of equal size.")
    if images.ndim == 4 and images.shape[3] > 4:
        hint = "; it looks as if channels came first: images.transpose(0, 2, 3, 1)" if images.shape[1] <= 4 else ""
        raise InputError(f"expected channels last, at most 4 of them; got shape {images.shape}{hint}.")
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):
            got = f"{low:g} to {high:g}"
            raise InputError(f"floating-point images must lie in [0, 1]; got {got}. Scale them, or give bytes.")
    elif images.dtype != np.uint8:
        raise InputError(f"images must be bytes (uint8) or floating-point numbers in [0, 1]; got {images.dtype}.")
    height, width, *channels = images.shape[1:]
    return height, width, channels[0] if channels else 1


def unit(images: Images, rows: Indices) -> Floats:
    """Return images by number as (m, H, W, C) numbers in [0, 1]."""
    chosen = to_unit(images[rows])
    return chosen if images.ndim == 4 else chosen[..., None]


def made_of(images: Images, n: int | None, random_state: Seed, change: Change) -> Images:
    """Return ``n`` changed images, cut to the range, in the type and shape of the images."""
    generator = np.random.default_rng(random_state)
    rows = passes(len(images), count(n, len(images)), generator)
    made = np.empty((len(rows), *images.shape[1:]), dtype=images.dtype)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        values = np.clip(change(part, generator), 0, 1).reshape(len(part), *images.shape[1:])
        made[start : start + CHUNK] = np.round(values * 255) if images.dtype == np.uint8 else values
    return made
