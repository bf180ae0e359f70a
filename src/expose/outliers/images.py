"""Auxiliary outliers from images, changed beyond what they show.

They follow the distributions on which Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier
Exposure", ICLR 2019, appendix A, chose their parameters.

Every maker takes ``images``, an array (n_images, H, W) or (n_images, H, W, C) of bytes or of floating-point numbers in
[0, 1]; ``n``, how many outliers to make, one for each image if None; and ``random_state``, a seed, a generator or None.
It returns (n, H, W) or (n, H, W, C) images of the same type, shape and range, so that none of these gives them away,
and raises InputError where it is given something else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.outliers.noise import bernoulli_noise, blobs, gaussian_noise, uniform_noise
from expose.outliers.pixels import Floats, Images, checked_shape, made_of, unit
from expose.outliers.rows import Indices, Seed, others


def jigsaw(images: Images, n: int | None = None, *, grid: int = 4, random_state: Seed = None) -> Images:
    """Images cut into ``grid * grid`` pieces that change places; none stays where it was.

    Parameters
    ----------
    grid : int, default=4
        Pieces along each side, at least 2. Where it does not divide a side, the last few rows or columns of pixels
        stay as they are.

    Examples
    --------
    >>> jigsaw(np.array([[[10, 20], [30, 40]]], np.uint8), grid=2, random_state=0)
    array([[[20, 30],
            [40, 10]]], dtype=uint8)
    """
    height, width, channels = checked_shape(images)
    if not 2 <= grid <= min(height, width):
        raise InputError(f"grid must be at least 2 and at most the shorter side, {min(height, width)}; got {grid}.")
    tall, wide = height // grid, width // grid

    def change(rows: Indices, rng: np.random.Generator) -> Floats:
        whole = unit(images, rows)
        inner = whole[:, : tall * grid, : wide * grid].reshape(-1, grid, tall, grid, wide, channels)
        pieces = inner.swapaxes(2, 3).reshape(len(rows), grid * grid, tall, wide, channels)
        circle = rng.random(pieces.shape[:2]).argsort(1)  # each piece goes to the place of the next one on a circle
        goal = np.empty_like(circle)
        np.put_along_axis(goal, circle, np.roll(circle, 1, axis=1), 1)
        moved = np.take_along_axis(pieces, goal[:, :, None, None, None], 1)
        moved = moved.reshape(len(rows), grid, grid, tall, wide, channels).swapaxes(2, 3)
        whole[:, : tall * grid, : wide * grid] = moved.reshape(len(rows), tall * grid, wide * grid, channels)
        return whole

    return made_of(images, n, random_state, change)


def speckle(images: Images, n: int | None = None, *, deviation: float = 0.5, random_state: Seed = None) -> Images:
    """Images times noise: every value is multiplied by a normal number around 1.

    Parameters
    ----------
    deviation : float, default=0.5
        Of the factor.

    Examples
    --------
    >>> speckle(np.array([[[0, 100, 100, 100]]], np.uint8), random_state=0)
    array([[[  0,  93, 132, 105]]], dtype=uint8)
    """

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        plain = unit(images, rows)
        return plain * rng.normal(1, deviation, plain.shape)

    checked_shape(images)
    return made_of(images, n, random_state, change)


def pixelate(images: Images, n: int | None = None, *, block: int = 4, random_state: Seed = None) -> Images:
    """Images of few large pixels: squares of ``block`` pixels take their mean.

    Parameters
    ----------
    block : int, default=4
        Side of a square, at least 2; squares at the right and lower edge may be smaller.

    Examples
    --------
    >>> pixelate(np.array([[[10, 30, 50], [20, 40, 70]]], np.uint8), block=2)
    array([[[25, 25, 60],
            [25, 25, 60]]], dtype=uint8)
    """
    height, width, _ = checked_shape(images)
    if block < 2:
        raise InputError(f"block must be at least 2; got {block}.")
    down, right = np.arange(0, height, block), np.arange(0, width, block)
    sizes = np.diff([*down, height])[:, None] * np.diff([*right, width])  # (rows, columns of squares)

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        sums = np.add.reduceat(np.add.reduceat(unit(images, rows), down, axis=1), right, axis=2)
        means = sums / sizes[..., None]
        large: NDArray[Any] = means[:, np.arange(height) // block][:, :, np.arange(width) // block]
        return large

    return made_of(images, n, random_state, change)


def invert(images: Images, n: int | None = None, *, random_state: Seed = None) -> Images:
    """Images with dark and bright exchanged.

    Examples
    --------
    >>> invert(np.array([[[0, 200]]], np.uint8))
    array([[[255,  55]]], dtype=uint8)
    """
    checked_shape(images)
    return made_of(images, n, random_state, lambda rows, rng: 1 - unit(images, rows))


def channel_ghosts(images: Images, n: int | None = None, *, shift: float = 0.25, random_state: Seed = None) -> Images:
    """Colour images whose channels change places and lie apart, like a ghost beside the image.

    Parameters
    ----------
    shift : float, default=0.25
        By what share of each side a channel moves at most; the pixels at the edge are repeated.

    Raises
    ------
    InputError
        When the images have one channel, or ``shift`` moves none by a pixel.

    Examples
    --------
    >>> image = np.zeros((1, 8, 8, 3), np.uint8)
    >>> image[0, 4, 4] = 255
    >>> np.argwhere(channel_ghosts(image, random_state=0)[0])[:, :2].tolist()  # the white dot came apart
    [[3, 2], [4, 3], [6, 5]]
    """
    height, width, channels = checked_shape(images)
    if channels < 2:
        raise InputError("channel_ghosts needs images with several channels, (n, H, W, C); use jigsaw for grey ones.")
    most = np.array([int(shift * height), int(shift * width)])
    if not 1 <= most.max() < min(height, width):
        raise InputError(f"shift must move channels by at least a pixel and less than a side; got {shift}.")

    def ghost(image: Floats, rng: np.random.Generator) -> Floats:
        offsets = np.zeros((channels, 2), dtype=int)
        while not np.ptp(offsets, axis=0).any():  # all moved alike would be the same image
            offsets = rng.integers(-most, most + 1, size=(channels, 2))
        down = np.clip(np.arange(height) - offsets[:, :1], 0, height - 1)  # (C, H)
        right = np.clip(np.arange(width) - offsets[:, 1:], 0, width - 1)  # (C, W)
        order = rng.permutation(channels)
        moved: Floats = image[down[:, :, None], right[:, None, :], order[:, None, None]]  # (C, H, W)
        return moved.transpose(1, 2, 0)

    def change(rows: Indices, rng: np.random.Generator) -> Floats:
        return np.stack([ghost(image, rng) for image in unit(images, rows)])

    return made_of(images, n, random_state, change)


def mean_of_two(images: Images, n: int | None = None, *, kind: str = "arithmetic", random_state: Seed = None) -> Images:
    """The mean of two different images, pixel by pixel; there must be two at least.

    Parameters
    ----------
    kind : {"arithmetic", "geometric"}
        A geometric mean is dark wherever one of the two is.

    Examples
    --------
    >>> two = np.array([[[0.0, 0.25]], [[0.5, 1.0]]])
    >>> mean_of_two(two, 1), mean_of_two(two, 1, kind="geometric")
    (array([[[0.25 , 0.625]]]), array([[[0. , 0.5]]]))
    """
    checked_shape(images)
    if kind not in ("arithmetic", "geometric"):
        raise InputError(f"kind must be 'arithmetic' or 'geometric'; got {kind!r}.")
    if len(images) < 2:
        raise InputError("mean_of_two needs at least two images.")

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        first, second = unit(images, rows), unit(images, others(rows, len(images), rng))
        return (first + second) / 2 if kind == "arithmetic" else np.sqrt(first * second)

    return made_of(images, n, random_state, change)


IMAGE_MAKERS: dict[str, Callable[..., Images]] = {
    "gaussian_noise": gaussian_noise,
    "bernoulli_noise": bernoulli_noise,
    "uniform_noise": uniform_noise,
    "blobs": blobs,
    "jigsaw": jigsaw,
    "speckle": speckle,
    "pixelate": pixelate,
    "invert": invert,
    "channel_ghosts": channel_ghosts,
    "arithmetic_mean": mean_of_two,
    "geometric_mean": partial(mean_of_two, kind="geometric"),
}
