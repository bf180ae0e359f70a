"""The kind "image": arrays, lists of images of any size, folders and files of them."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import CountedWarning, InputError, SkippedWarning
from expose.kinds.base import Batch, Kind, Reading, register_kind
from expose.kinds.image_files import file_head, holds_images, image_files, name_of, pixels_of, read_file
from expose.kinds.pixels import channels_last, to_unit

FILE: Final = "file"  # the column that names an image
AT_ONCE: Final = 1024  # images of a batch
_TABLES: Final = (".csv", ".tsv", ".parquet", ".pq")


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

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def shapes(self) -> NDArray[np.int64]:
        """(H, W, C) of each image, ``(n, 3)``; C is 1 or 3, and one more with alpha."""
        if isinstance(self.pixels, np.ndarray):
            return np.tile(np.array(self.pixels.shape[1:], dtype=np.int64), (len(self), 1))
        heads = {row: file_head(one) for row, one in enumerate(self.pixels) if isinstance(one, Path)}
        if animated := [str(self.pixels[row]) for row, head in heads.items() if head.animated]:
            message = "{count} image file(s) hold several frames, of which the first is looked at: {examples}"
            warnings.warn(CountedWarning(message, len(animated), animated), stacklevel=2)
        shapes = [heads[row].shape if isinstance(one, Path) else one.shape for row, one in enumerate(self.pixels)]
        return np.array(shapes, dtype=np.int64).reshape(-1, 3)

    def take(self, rows: NDArray[Any] | slice) -> Images:
        """Return the chosen images, by number, mask or slice."""
        chosen = np.arange(len(self))[rows].tolist()
        names = None if self.names is None else tuple(self.names[row] for row in chosen)
        if isinstance(self.pixels, np.ndarray):
            return Images(self.pixels[rows], names)
        return Images([self.pixels[row] for row in chosen], names)

    def raw(self, row: int) -> NDArray[Any]:
        """Return one image as it is, ``(H, W, C)``."""
        one = self.pixels[row]
        return read_file(one) if isinstance(one, Path) else one

    def at(self, row: int, needed: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Return one image in [0, 1], ``(1, H, W, C)``; if its file is large, not much larger than ``needed``."""
        one = self.pixels[row]
        if not isinstance(one, Path):
            return to_unit(one[None], row)
        pixels = read_file(one, needed)
        try:
            return to_unit(pixels[None], row)
        except InputError as error:
            raise InputError(f"{one}: {error}") from error

    def readable(self) -> Images:
        """Return the images without those that cannot be read, and name these in a `SkippedWarning`."""
        bad = [row for row in range(len(self)) if not self._is_readable(row)]
        if not bad:
            return self
        names = [str(self.pixels[row]) if self.names is None else self.names[row] for row in bad]
        message = "{count} file(s) cannot be read as images and are left out: {examples}"
        warnings.warn(SkippedWarning(message, len(bad), names), stacklevel=2)
        return self.take(np.setdiff1d(np.arange(len(self)), bad))

    def _is_readable(self, row: int) -> bool:
        try:
            self.at(row, needed=(1, 1))
        except InputError:
            return False
        return True


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
        names = [name_of(Path(file.name) if file == folder else file.relative_to(folder)) for file in files]
        return Images(files, tuple(names))
    if isinstance(X, list | tuple):
        names_given = tuple(map(name_of, X)) if X and all(isinstance(one, Path) for one in X) else None
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


def _is_image(value: object) -> bool:
    """Tell whether a value of a list is an image: an array with 2 or 3 axes, a Pillow image or a Path."""
    return isinstance(value, Path) or hasattr(value, "getexif") or len(getattr(value, "shape", ())) in (2, 3)


@register_kind
class ImageKind(Kind):
    """Images: an array or tensor with 3 or 4 axes, a list of them, Pillow images or Paths, files and folders."""

    name = "image"
    plural = "images"
    noun = "image"
    encoder = "pixels"
    objective = "ntl"
    advice = (
        "Or make a table of the images: the outputs of a pretrained network for each, or, for small ones, their "
        "pixels, X.reshape(len(X), -1)."
    )

    def recognises(self, X: Any) -> bool:
        """Whether it holds images, by its form."""
        if isinstance(X, str | Path):
            return holds_images(Path(X))
        if isinstance(X, list | tuple):
            return bool(X) and all(map(_is_image, X))
        return isinstance(X, Images) or len(getattr(X, "shape", ())) in (3, 4)

    def samples(self, X: Any) -> Images:
        """Make `Images`, see `as_images`."""
        return as_images(X)

    def plain(self, samples: Any) -> list[NDArray[Any]]:
        """Images as arrays ``(H, W, C)``, with the values that they came with."""
        images = as_images(samples)
        return [images.raw(row) for row in range(len(images))]

    def claims(self, sources: Sequence[str]) -> bool:
        """Whether all of them are image files, or folders with one."""
        places = _places(sources)
        return bool(places) and all(map(holds_images, places))

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Find the images; the pixels are read when they are asked for.

        Raises
        ------
        InputError
            When there are tables too, no images, or columns were named.
        """
        [batch] = self._batches(sources, reading)
        return batch

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Give the images in order, some at a time."""
        return self._batches(sources, reading, AT_ONCE)

    def _batches(self, sources: Sequence[str], reading: Reading, most: int | None = None) -> Iterator[Batch]:
        _refuse_columns(reading)
        images, found = _found(sources, reading), 0
        for start in range(0, len(images), most or len(images)):
            some = images.take(slice(start, start + most if most else None))
            some = some.readable() if reading.skip_bad else some
            found += len(some)
            if len(some):
                yield Batch(some, pa.table({FILE: pa.array(some.names, pa.string())}))
        if not found:
            raise InputError(f"none of the {len(images)} image file(s) can be read. The first: {images.pixels[0]}.")

    def split(self, table: Any, reading: Reading) -> Batch:
        """Images of the files that the column "file" names; other columns than ids play no part."""
        if FILE not in table.column_names:
            raise InputError(f"images come as a column {FILE!r} of their paths; got the columns {table.column_names}.")
        ids = [name for name in table.column_names if name == FILE or name in reading.id]
        return Batch(as_images([Path(name) for name in table[FILE].to_pylist()]), table.select(ids))

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Name of the file, if it has one, and size."""
        image = as_images(samples).take(np.array([row]))
        height, width, _ = image.shapes[0].tolist()
        return ({} if image.names is None else {FILE: image.names[0]}) | {"size": f"{height} x {width}"}


def _found(sources: Sequence[str], reading: Reading) -> Images:
    for source in sources:
        if not _matches(source):
            raise InputError(f"there is no file or folder {source!r}; give images, a folder of them, or a pattern.")
    places = _places(sources)
    if not places or not all(map(holds_images, places)):
        known = ", as in training" if reading.later else ""
        raise InputError(f"Expected images{known}: a folder or files of them; got {' '.join(sources)}.")
    for folder in (place for place in places if place.is_dir()):
        _refuse_tables(folder)
    if len(places) == 1 and places[0].is_dir():
        return as_images(places[0])
    files = [file for place in places for file in image_files(place)]
    return Images(files, tuple(map(name_of, files)))


def _places(sources: Sequence[str]) -> list[Path]:
    return [place for source in sources for place in _matches(source)]


def _matches(source: str) -> list[Path]:
    path = Path(source)
    return [path] if path.exists() else [Path(name) for name in sorted(glob.glob(source, recursive=True))]


def _refuse_tables(folder: Path) -> None:
    tables = sorted(file.name for file in folder.rglob("*") if file.suffix.lower() in _TABLES)
    if tables:
        raise InputError(
            f"{folder} holds images and tables, such as {tables[0]}. Give a quoted pattern that names one kind: "
            f"'{folder}/*.png' or '{folder}/*{Path(tables[0]).suffix}'."
        )


def _refuse_columns(reading: Reading) -> None:
    given = {"id": set(reading.id) - {FILE}, "ignore": reading.ignore, "label": reading.label}
    named = [role for role, columns in given.items() if columns]
    if named:
        raise InputError(
            f"{' and '.join(named)}: images have no columns; their files name them. Leave it out"
            + (", or give labels in Python." if reading.label else ".")
        )
