"""Auxiliary outliers from images: noise of several kinds, and images changed beyond what they show.

Those made from images follow the distributions on which Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with
Outlier Exposure", ICLR 2019, appendix A, chose their parameters; the noises are among the anomalies they tested on.
Results have the type, the shape and the range of the images they belong with: values are cut to [0, 1], and
whole numbers rounded to 0 .. 255, so that neither range nor type tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.outliers.rows import Indices, Seed, count, others, passes

Images = NDArray[Any]
Floats = NDArray[np.float32]
Change = Callable[[Indices, np.random.Generator], NDArray[Any]]  # row numbers (m,) to images (m, H, W, C) in [0, 1]
CHUNK = 2048  # images in floating point at a time


def gaussian_noise(
    images: Images, n: int | None = None, *, mean: float = 0.5, deviation: float = 0.5, random_state: Seed = None
) -> Images:
    """Every value drawn from a normal distribution, cut to [0, 1].

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1]; only their type and shape are used.
    n : int or None
        Outliers to make; None makes one for each image.
    mean, deviation : float
        Of the distribution, as shares of the range.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> gaussian_noise(np.zeros((1, 1, 4), np.uint8), random_state=0)
    array([[[144, 111, 209, 141]]], dtype=uint8)
    """
    shape = checked_shape(images)
    return _made(images, n, random_state, lambda rows, rng: rng.normal(mean, deviation, (len(rows), *shape)))


def bernoulli_noise(images: Images, n: int | None = None, *, p: float = 0.5, random_state: Seed = None) -> Images:
    """Every value 0 or 1, the latter with probability ``p``; with a half this is Rademacher noise on [0, 1].

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1]; only their type and shape are used.
    n : int or None
        Outliers to make; None makes one for each image.
    p : float, default=0.5
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> bernoulli_noise(np.zeros((1, 1, 4), np.uint8), random_state=0)
    array([[[  0, 255, 255, 255]]], dtype=uint8)
    """
    shape = checked_shape(images)
    return _made(images, n, random_state, lambda rows, rng: rng.random((len(rows), *shape)) < p)


def uniform_noise(images: Images, n: int | None = None, *, random_state: Seed = None) -> Images:
    """Every value drawn evenly from [0, 1].

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1]; only their type and shape are used.
    n : int or None
        Outliers to make; None makes one for each image.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> uniform_noise(np.zeros((1, 1, 2)), random_state=0).round(2)
    array([[[0.64, 0.27]]])
    """
    shape = checked_shape(images)
    return _made(images, n, random_state, lambda rows, rng: rng.random((len(rows), *shape)))


def blobs(
    images: Images, n: int | None = None, *, size: float = 0.05, cover: float = 0.4, random_state: Seed = None
) -> Images:
    """Shapeless bright spots with sharp edges on black.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1]; only their type and shape are used.
    n : int or None
        Outliers to make; None makes one for each image.
    size : float, default=0.05
        By what share of the longer side the noise under the spots is blurred (standard deviation).
    cover : float, default=0.4
        Share of each channel that is bright.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> made = blobs(np.zeros((1, 20, 20)), cover=0.25, random_state=0)
    >>> float((made > 0).mean()), bool(made[made > 0].min() >= 0.5)
    (0.25, True)
    """
    shape = checked_shape(images)

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        from scipy.ndimage import gaussian_filter

        blur = size * max(shape[:2])
        smooth = gaussian_filter(rng.normal(size=(len(rows), *shape)), (0, blur, blur, 0), mode="wrap")
        edge = np.quantile(smooth, 1 - cover, axis=(1, 2), keepdims=True)
        top = smooth.max(axis=(1, 2), keepdims=True)
        bright = 0.5 + 0.5 * (smooth - edge) / np.maximum(top - edge, 1e-12)
        return np.where(smooth > edge, bright, 0.0)

    return _made(images, n, random_state, change)


def jigsaw(images: Images, n: int | None = None, *, grid: int = 4, random_state: Seed = None) -> Images:
    """Images cut into ``grid * grid`` pieces that change places; none stays where it was.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    grid : int, default=4
        Pieces along each side, at least 2. Where it does not divide a side, the last few rows or columns of pixels
        stay as they are.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

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

    return _made(images, n, random_state, change)


def speckle(images: Images, n: int | None = None, *, deviation: float = 0.5, random_state: Seed = None) -> Images:
    """Images times noise: every value is multiplied by a normal number around 1.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    deviation : float, default=0.5
        Of the factor.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> speckle(np.array([[[0, 100, 100, 100]]], np.uint8), random_state=0)
    array([[[  0,  93, 132, 105]]], dtype=uint8)
    """

    def change(rows: Indices, rng: np.random.Generator) -> NDArray[Any]:
        plain = unit(images, rows)
        return plain * rng.normal(1, deviation, plain.shape)

    checked_shape(images)
    return _made(images, n, random_state, change)


def pixelate(images: Images, n: int | None = None, *, block: int = 4, random_state: Seed = None) -> Images:
    """Images of few large pixels: squares of ``block`` pixels take their mean.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    block : int, default=4
        Side of a square, at least 2; squares at the right and lower edge may be smaller.
    random_state : int, Generator or None
        Only chooses the images.

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

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

    return _made(images, n, random_state, change)


def invert(images: Images, n: int | None = None, *, random_state: Seed = None) -> Images:
    """Images with dark and bright exchanged.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    random_state : int, Generator or None
        Only chooses the images.

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

    Examples
    --------
    >>> invert(np.array([[[0, 200]]], np.uint8))
    array([[[255,  55]]], dtype=uint8)
    """
    checked_shape(images)
    return _made(images, n, random_state, lambda rows, rng: 1 - unit(images, rows))


def channel_ghosts(images: Images, n: int | None = None, *, shift: float = 0.25, random_state: Seed = None) -> Images:
    """Colour images whose channels change places and lie apart, like a ghost beside the image.

    Parameters
    ----------
    images : (n_images, H, W, C) array, C at least 2
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    shift : float, default=0.25
        By what share of each side a channel moves at most; the pixels at the edge are repeated.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W, C) array, of the type of the images

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

    return _made(images, n, random_state, change)


def mean_of_two(images: Images, n: int | None = None, *, kind: str = "arithmetic", random_state: Seed = None) -> Images:
    """The mean of two different images, pixel by pixel.

    Parameters
    ----------
    images : (n_images, H, W) or (n_images, H, W, C) array, at least two
        Bytes, or floating-point numbers in [0, 1].
    n : int or None
        Outliers to make; None makes one for each image.
    kind : {"arithmetic", "geometric"}
        A geometric mean is dark wherever one of the two is.
    random_state : int, Generator or None

    Returns
    -------
    (n, H, W) or (n, H, W, C) array, of the type of the images

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

    return _made(images, n, random_state, change)


def _geometric_mean(images: Images, n: int | None = None, *, random_state: Seed = None) -> Images:
    return mean_of_two(images, n, kind="geometric", random_state=random_state)


# ------------------------------------------------------------------------------------------ what all share


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
    chosen = images[rows].astype(np.float32)
    if images.dtype == np.uint8:
        chosen /= 255
    return chosen if images.ndim == 4 else chosen[..., None]


def _made(images: Images, n: int | None, random_state: Seed, change: Change) -> Images:
    """Return ``n`` changed images, cut to the range, in the type and shape of the images."""
    generator = np.random.default_rng(random_state)
    rows = passes(len(images), count(n, len(images)), generator)
    made = np.empty((len(rows), *images.shape[1:]), dtype=images.dtype)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        values = np.clip(change(part, generator), 0, 1).reshape(len(part), *images.shape[1:])
        made[start : start + CHUNK] = np.round(values * 255) if images.dtype == np.uint8 else values
    return made


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
    "geometric_mean": _geometric_mean,
}
