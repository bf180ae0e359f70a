"""Image sets for `image_outliers`: all as bytes of one size and number of channels, no outlier in two roles.

Fashion-MNIST (28 x 28, grey) is exposed to CIFAR-100. CIFAR-10 (32 x 32, colour) is exposed to four fifths of the
classes of CIFAR-100, which shares none with CIFAR-10, and tested on the last fifth. The sample of ImageNet is a test
set, for CIFAR-10 without the classes that show what CIFAR-10 shows.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.kinds.pixels import resized, to_unit, with_channels
from expose.outliers import bernoulli_noise, blobs, gaussian_noise

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
SEED = 0  # the same rows for every trained seed, whose spread is that of training alone
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))
CATS_DOGS_FROGS = (*range(30, 33), *range(151, 294))  # with their wild kin
HOOFED = (339, 340, 351, 352, 353)  # horses, and what passes for deer
IN_THE_AIR = (404, 405, 408, 895, 908)
SHIPS = (403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 833, 871, 913, 914)
CARS = (407, 436, 468, 511, 573, 575, 609, 627, 656, 661, 717, 734, 751, 817)
TRUCKS = (555, 569, 586, 654, 675, 779, 847, 864, 867)
IN_CIFAR_10 = (*BIRDS, *CATS_DOGS_FROGS, *HOOFED, *IN_THE_AIR, *SHIPS, *CARS, *TRUCKS)  # classes of ImageNet by number
Sizes = tuple[int, int, int, int]  # rows for training, for the temperature, for testing, and outliers of each source


@dataclass(frozen=True)
class Labelled:
    """Images ``(n, H, W)`` or ``(n, H, W, 3)`` and their classes ``(n,)``."""

    X: Bytes
    y: Labels

    def take(self, rows: NDArray[Any]) -> Labelled:
        """Those rows."""
        return Labelled(self.X[rows], self.y[rows])


@dataclass(frozen=True)
class Problem:
    """Normal images for training, for the temperature and for testing; auxiliary and test outliers."""

    name: str
    train: Labelled
    held_out: Labelled
    test: Labelled
    auxiliary: Labelled  # with the numbers of their classes
    outliers: dict[str, Bytes]


def arrays(folder: Path, name: str) -> Labelled:
    """A file of plain arrays."""
    with np.load(folder / f"{name}.npz") as file:
        return Labelled(file["X"], file["y"].astype(np.int64))


def encoded(folder: Path, name: str, rows: NDArray[Any] | None = None) -> Labelled:
    """A file of encoded images; labels where it has some. Grey ones come with three equal channels."""
    from PIL import Image

    with np.load(folder / f"{name}.npz") as file:
        blob, ends = file["blob"], file["offset"]
        labels = file["label"].astype(np.int64) if "label" in file.files else np.arange(len(ends) - 1)
    chosen = np.arange(len(labels)) if rows is None else rows
    images = [np.asarray(Image.open(io.BytesIO(blob[ends[i] : ends[i + 1]].tobytes())).convert("RGB")) for i in chosen]
    return Labelled(np.stack(images), labels[chosen])


def as_form(images: Bytes, side: int, channels: int) -> Bytes:
    """Images of one form, whatever they were: size by linear interpolation, grey by the weights of ITU-R BT.601."""
    whole = images[..., None] if images.ndim == 3 else images
    parts = [
        np.rint(255 * resized(with_channels(to_unit(whole[i : i + 1000]), channels), side, side)).astype(np.uint8)
        for i in range(0, len(whole), 1000)
    ]
    formed: Bytes = np.concatenate(parts)
    return formed[..., 0] if channels == 1 else formed


def some(rows: Labelled, count: int, seed: int = SEED) -> Labelled:
    """So many rows by chance, or all."""
    return rows.take(np.random.default_rng(seed).permutation(len(rows.X))[:count])


def fashion_mnist(folder: Path, sizes: Sizes) -> Problem:
    """Grey, 28 x 28."""

    def form(images: Bytes) -> Bytes:
        return as_form(images, 28, 1)

    n_train, n_held, n_test, n_out = sizes
    normal = some(arrays(folder, "fashion_mnist_train_part0"), n_train + n_held)
    auxiliary = encoded(folder, "cifar100_train_part0")
    sources = {
        "MNIST": form(some(arrays(folder, "mnist_test"), n_out).X),
        "CIFAR-10": form(some_encoded(folder, "cifar10_test", n_out)),
        "ImageNet": form(some_encoded(folder, "imagenet_sample_128", n_out)),
    }
    return Problem(
        "fashion-mnist",
        normal.take(np.arange(n_train)),
        normal.take(np.arange(n_train, len(normal.X))),
        some(arrays(folder, "fashion_mnist_test"), n_test),
        Labelled(form(auxiliary.X), auxiliary.y),
        sources | surfaces_and_noise(folder, form, n_out),
    )


def cifar_10(folder: Path, sizes: Sizes) -> Problem:
    """Colour, 32 x 32."""

    def form(images: Bytes) -> Bytes:
        return as_form(images, 32, 3)

    n_train, n_held, n_test, n_out = sizes
    normal = some(encoded(folder, "cifar10_train_part0"), n_train + n_held)
    hundred = encoded(folder, "cifar100_train_part0")
    fifth = hundred.y % 5 == 0
    other = np.setdiff1d(np.arange(1000), IN_CIFAR_10)
    sources = {
        "CIFAR-100, other classes": form(some(hundred.take(np.flatnonzero(fifth)), n_out).X),
        "ImageNet, other classes": form(encoded(folder, "imagenet_sample_128", shuffled(other)[:n_out]).X),
        "MNIST": form(some(arrays(folder, "mnist_test"), n_out).X),
        "Fashion-MNIST": form(some(arrays(folder, "fashion_mnist_test"), n_out).X),
    }
    return Problem(
        "cifar-10",
        normal.take(np.arange(n_train)),
        normal.take(np.arange(n_train, len(normal.X))),
        some(encoded(folder, "cifar10_test"), n_test),
        hundred.take(np.flatnonzero(~fifth)),
        sources | surfaces_and_noise(folder, form, n_out),
    )


def surfaces_and_noise(folder: Path, form: Callable[[Bytes], Bytes], count: int) -> dict[str, Bytes]:
    """Sources that both problems are tested on."""
    surfaces = {
        "textures": form(some_encoded(folder, "dtd_10classes_128", count)),
        "magnetic tiles": form(some_encoded(folder, "magnetic_tile_128", count)),
    }
    noise: dict[str, Callable[..., Bytes]] = {
        "Gaussian noise": gaussian_noise,
        "Bernoulli noise": bernoulli_noise,
        "blobs": blobs,
    }
    like = surfaces["textures"][:1]
    return surfaces | {name: make(like, count, random_state=SEED) for name, make in noise.items()}


def some_encoded(folder: Path, name: str, count: int) -> Bytes:
    """So many images of a file by chance, the others not decoded."""
    with np.load(folder / f"{name}.npz") as file:
        available = len(file["offset"]) - 1
    return encoded(folder, name, shuffled(np.arange(available))[:count]).X


def form_like(normal: Bytes, images: Bytes) -> Bytes:
    """Images in the form of the normal ones."""
    return as_form(images, normal.shape[1], 1 if normal.ndim == 3 else 3)


def shuffled(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in an order of chance, always the same one."""
    return np.random.default_rng(SEED).permutation(numbers)


PROBLEMS = {"fashion-mnist": fashion_mnist, "cifar-10": cifar_10}
