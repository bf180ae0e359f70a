"""Images of any size, in memory or as files that are read when they are asked for."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import CountedWarning, InputError, SkippedWarning
from expose.files.names import listing
from expose.kinds.image_files import file_head, image_files, is_image_file, name_of, pixels_of, places_of, read_file
from expose.kinds.photo_notes import folders_of
from expose.kinds.pixels import channels_last, to_unit

NAMED: Final = 5  # damaged files in one message
SEARCHED: Final = 5.0  # seconds in which more of them are looked for


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
        heads, bad = {}, {}
        for row, one in enumerate(self.pixels):
            if isinstance(one, Path):
                try:
                    heads[row] = file_head(one)
                except InputError as error:
                    bad[row] = error
        if bad:
            raise self._refused(bad) from next(iter(bad.values()))
        if animated := [str(self.pixels[row]) for row, head in heads.items() if head.animated]:
            message = "{count} image file(s) hold several frames, of which the first is looked at: {examples}"
            warnings.warn(CountedWarning(message, len(animated), animated), stacklevel=2)
        shapes = [heads[row].shape if isinstance(one, Path) else one.shape for row, one in enumerate(self.pixels)]
        return np.array(shapes, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def folders(self) -> NDArray[Any]:
        """Names of the folders in which the files lie, ``(n,)``: classes, where there is a folder for each.

        Of folders in folders those in which the paths differ first; "" of what lies beside them.

        Examples
        --------
        >>> files = [Path("leaves/oak/1.png"), Path("leaves/elm/1.png")]
        >>> Images(files, ("leaves/oak/1.png", "leaves/elm/1.png")).folders.tolist()
        ['oak', 'elm']
        """
        if self.names is None:
            raise InputError("these images are no files, so no folders name their classes; give y as an array.")
        return np.array(folders_of(self.names))

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
        """Return one image in [0, 1], ``(1, H, W, C)``; if its file is large, not much larger than ``needed``.

        Raises
        ------
        InputError
            When its file is damaged; the message names others that are, too.
        """
        try:
            return self._at(row, needed)
        except InputError as error:
            if not isinstance(self.pixels[row], Path):
                raise
            raise self._refused({row: error} | self._others_damaged(row)) from error

    def _at(self, row: int, needed: tuple[int, int] | None) -> NDArray[np.float32]:
        one = self.pixels[row]
        if not isinstance(one, Path):
            if not one.size:
                raise InputError(f"image {row} has no pixels.")
            return to_unit(one[None], row)
        pixels = read_file(one, needed)
        try:
            return to_unit(pixels[None], row)
        except InputError as error:
            raise InputError(f"{one}: {error}") from error

    def _others_damaged(self, row: int) -> dict[int, InputError]:
        """Some files after this one that cannot be read either."""
        end = time.monotonic() + SEARCHED
        later = (other for other in range(row + 1, len(self)) if time.monotonic() < end)
        bad = ((other, error) for other in later if (error := self._fault(other)) is not None)
        return dict(islice(bad, NAMED - 1))

    def _refused(self, bad: Mapping[int, InputError]) -> InputError:
        """One error of those of several files."""
        first = next(iter(bad.values()))
        if len(bad) == 1:
            return first
        names = listing((self._name(row) for row in bad), NAMED)
        return InputError(f"{len(bad)} or more image files cannot be used: {names}. The first: {first}")

    def _name(self, row: int) -> str:
        return str(self.pixels[row]) if self.names is None else self.names[row]

    def readable(self) -> Images:
        """Return the images without those that cannot be read, and name these in a `SkippedWarning`."""
        rows = self.readable_rows()
        return self if len(rows) == len(self) else self.take(rows)

    def readable_rows(self) -> NDArray[np.intp]:
        """Return the numbers of the images that can be read, and name the others in a `SkippedWarning`."""
        bad = [row for row in range(len(self)) if self._fault(row) is not None]
        if bad:
            message = "{count} file(s) cannot be read as images and are left out: {examples}"
            warnings.warn(SkippedWarning(message, len(bad), map(self._name, bad)), stacklevel=2)
        return np.setdiff1d(np.arange(len(self)), bad)

    def _fault(self, row: int) -> InputError | None:
        """Why an image cannot be read, if it cannot."""
        try:
            self._at(row, needed=(1, 1))
        except InputError as error:
            return error
        return None


def as_images(X: Any) -> Images:
    """Turn anything that holds images into `Images`.

    Parameters
    ----------
    X : ndarray (n, H, W) or (n, H, W, C), torch tensor (n, C, H, W), list or column of arrays, Pillow images or paths,
        or the path of a folder of image files, which is searched with all its folders, in the order of the names, or a
        pattern of files, such as "photos/*.png"

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
        return images_of(places_of([str(X)]) or [Path(X)])
    X = as_list(X)
    if isinstance(X, list | tuple):
        X = [Path(one) if isinstance(one, str) and is_image_file(Path(one)) else one for one in X]
        names_given = tuple(map(name_of, X)) if X and all(isinstance(one, Path) for one in X) else None
        return Images([_one_image(one, row) for row, one in enumerate(X)], names_given)
    tensor = hasattr(X, "detach")
    values = _array(X)
    return Images(channels_last(values, tensor=tensor))


def images_of(places: Sequence[Path]) -> Images:
    """Image files of folders and files; those of one folder are called as they are in it."""
    files = [file for place in places for file in image_files(place)]
    [only, *others] = places
    if others:
        return Images(files, tuple(map(name_of, files)))
    return Images(files, tuple(name_of(Path(one.name) if one == only else one.relative_to(only)) for one in files))


def as_list(X: Any) -> Any:
    """Return an array of objects, or such a column of a frame, as a list; all else as it is."""
    objects = str(getattr(X, "dtype", "")) == "object" and len(getattr(X, "shape", ())) == 1
    return list(X.tolist()) if objects else X


def _array(X: Any) -> NDArray[Any]:
    if not hasattr(X, "detach"):
        return np.asarray(X)
    tensor = X.detach().cpu()
    return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)  # NumPy has none


def _one_image(one: Any, row: int) -> NDArray[Any] | Path:
    """Return one of a list: a file as it is, anything else as ``(H, W, C)``."""
    if isinstance(one, Path):
        return one
    if hasattr(one, "getexif"):  # an image of Pillow
        return pixels_of(one)
    tensor = hasattr(one, "detach")
    values = _array(one)
    if values.ndim == 2:
        return values[..., None]
    if values.ndim == 3:
        image: NDArray[Any] = channels_last(values[None], tensor=tensor)[0]
        return image
    raise InputError(f"image {row} of the list: expected shape (H, W) or (H, W, C); got shape {values.shape}.")
