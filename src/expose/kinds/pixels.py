"""Pixels of any number type, order of axes and number of channels, as ``(n, H, W, C)`` and in [0, 1]."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

CHANNELS: Final = (1, 3, 4)  # grey, colour, colour with alpha
_GREY: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow has it
_ROUNDING: Final = 1e-4  # by which a float may lie outside [0, 1]


def channels_last(values: NDArray[Any], *, tensor: bool = False) -> NDArray[Any]:
    """View images ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)`` as ``(n, H, W, C)``, or raise InputError.

    Channels stand first only where they cannot stand last; of a torch tensor, where they usually stand first, it must
    be clear.
    """
    shape = values.shape
    if values.ndim == 3:
        if shape[2] in CHANNELS:
            raise InputError(
                f"expected images of shape (n, H, W) or (n, H, W, C); got {shape}, which looks like one image. "
                "Write image[None] for a stack of one."
            )
        return values[..., None]
    if values.ndim != 4:
        raise InputError(f"expected images of shape (n, H, W) or (n, H, W, C); got an array of shape {shape}.")
    last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
    if tensor and last and first:
        raise InputError(
            f"a tensor of shape {shape} could hold its channels first or last; give a NumPy array (n, H, W, C) "
            "instead, for example tensor.permute(0, 2, 3, 1).numpy()."
        )
    if last:
        return values
    if first:
        return np.moveaxis(values, 1, 3)
    raise InputError(
        f"expected images of shape (n, H, W, C) with 1, 3 or 4 channels; got {shape}. Other bands than grey, RGB and "
        "alpha are not supported: choose three of them."
    )


def to_unit(values: NDArray[Any], first: int = 0) -> NDArray[np.float32]:
    """Return pixels in [0, 1]: 8 and 16 bit are divided by their largest value, floats must lie there already.

    Images stand along the first axis; ``first`` is the number of the first of them, for the message of the InputError
    that a value outside the range of its type, infinite or missing, raises.
    """
    kind, largest = values.dtype.kind, 1.0
    if kind in "iu" and values.size:
        largest = 65535.0 if values.dtype == np.uint16 else 255.0
    elif kind not in "bfiu":
        raise InputError(f"pixels must be numbers; got an array of type {values.dtype}.")
    slack = _ROUNDING if kind == "f" else 0.0
    inside = (values >= -slack) & (values <= largest + slack) if kind in "fi" or values.dtype.itemsize > 2 else None
    if inside is not None and not inside.all():  # a missing value is not inside either
        place = np.unravel_index(int(np.argmin(inside)), values.shape)
        raise InputError(
            f"image {first + int(place[0])} holds the value {values[place]}; expected "
            + ("floats in [0, 1]. Divide by the largest possible value, such as 255." if kind == "f" else
               "whole numbers in [0, 255], or type uint16 for 16 bit.")
        )  # fmt: skip
    unit = values.astype(np.float32)
    if largest > 1:
        unit /= np.float32(largest)
    return np.clip(unit, 0.0, 1.0, out=unit) if kind == "f" else unit


def with_channels(values: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return ``(n, H, W, C)`` images with 1 or 3 channels: alpha is dropped, grey repeated, colour weighted to grey."""
    values = values[..., : values.shape[3] - 1 + values.shape[3] % 2]  # 2 and 4 channels hold alpha
    if values.shape[3] == channels:
        return values
    return np.repeat(values, 3, axis=3) if channels == 3 else (values @ _GREY)[..., None]


def fitting(height: int, width: int, longest: int | None) -> tuple[int, int]:
    """Height and width of the same shape, the longer at most so many pixels.

    Examples
    --------
    >>> fitting(3000, 4000, 400), fitting(30, 40, 400), fitting(1, 9000, 400)
    ((300, 400), (30, 40), (1, 400))
    """
    shrink = 1.0 if longest is None else min(1.0, longest / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def block_means(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Return means of squares of ``side`` pixels of an image ``(H, W, C)``; at the far edges of what is left there.

    Examples
    --------
    >>> block_means(np.arange(6, dtype=np.float32).reshape(2, 3, 1), 2)[..., 0].tolist()
    [[2.0, 3.5]]
    """
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], side)
        counts = np.diff(starts, append=values.shape[axis]).reshape((-1, 1, 1) if axis == 0 else (-1, 1))
        values = np.add.reduceat(values, starts, axis) / counts.astype(np.float32)
    return values


def resized(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return ``(n, H, W, C)`` images of another size, by linear interpolation that averages where it shrinks."""
    if values.shape[1:3] == (height, width):
        return values
    import torch
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 3, 1)))  # (n, C, H, W)
    scaled = interpolate(planes, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    return np.moveaxis(scaled.clamp(0.0, 1.0).numpy(), 1, 3)
