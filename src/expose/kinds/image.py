"""The kind "image": arrays, lists of images of any size, folders and files of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds.base import Batch, Kind, Reading, register_kind
from expose.kinds.heat_maps import HeatMaps
from expose.kinds.image_files import GAP, holds_images, places_of
from expose.kinds.image_sources import FILE, FOLDER, found_in, of_files, readable
from expose.kinds.images import Images, as_images, as_list
from expose.kinds.photo_notes import folder_note, notes_on, sizes_in_words
from expose.kinds.photo_tables import listed, listed_in
from expose.kinds.pixels import fitting, resized, with_channels

__all__ = ["FILE", "ImageKind", "Images", "as_images"]

PRETRAINED: Final = "efficientnet-lite2"
AT_ONCE: Final = 1024  # images of a batch
NINTHS: Final = (
    ("upper left", "top", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "bottom", "lower right"),
)


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
    objective = "local-global"
    identifies = (FILE,)
    numbered = False
    classes = FOLDER
    advice = (
        "Or make a table of the images: the outputs of a pretrained network for each, or, for small ones, their "
        "pixels, X.reshape(len(X), -1)."
    )

    def encoder_for(self, forms: Collection[str]) -> str:
        """A pretrained network, or pixels for objectives that learn from these."""
        return PRETRAINED if "grid" in forms or ("vector" in forms and "image" not in forms) else self.encoder

    def recognises(self, X: Any) -> bool:
        """Whether it holds images, by its form."""
        if isinstance(X, str | Path):
            return self.claims([str(X)])
        X = X if isinstance(X, Images) else as_list(X)
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
        places = places_of(sources)
        return bool(places) and all(map(holds_images, places))

    def asked_for(self, reading: Reading) -> bool:
        """Whether a column of paths was named."""
        return bool(reading.photo)

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Find the images; the pixels are read when they are asked for.

        Raises
        ------
        InputError
            When there are tables too, no images, or columns were named.
        """
        [batch] = self._batches(sources, reading)
        images: Images = batch.samples
        found = notes_on(images.shapes, images.pixels, images.names or ())  # type: ignore[arg-type]  # of files
        unused = images.names is not None and not (reading.label or reading.photo or reading.later)
        return batch._replace(notes=(*batch.notes, *found, *(folder_note(images.folders.tolist()) if unused else ())))

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Give the images in order, some at a time."""
        return self._batches(sources, reading, AT_ONCE)

    def _batches(self, sources: Sequence[str], reading: Reading, most: int | None = None) -> Iterator[Batch]:
        total, found, first = 0, 0, ""
        for batch in self._found(sources, reading, most):
            total, first = total + len(batch.samples), first or str(batch.samples.pixels[0])
            kept = readable(batch) if reading.skip_bad else batch
            found += len(kept.samples)
            if len(kept.samples):
                yield kept
        if not found:
            raise InputError(f"none of the {total} image file(s) can be read. The first: {first}.")

    def _found(self, sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Batch]:
        if reading.photo and not self.claims(sources):
            return (of_files(one) for one in listed(sources, reading, most))
        return found_in(sources, reading, most)

    def split(self, table: Any, reading: Reading) -> Batch:
        """Images of the files that a column names: that of `Reading.photo`, or else "file"."""
        if not reading.photo and FILE not in table.column_names:
            raise InputError(f"images come as a column {FILE!r} of their paths; got the columns {table.column_names}.")
        if reading.photo:
            return of_files(listed_in(table, reading))
        ids = [name for name in table.column_names if name == FILE or name in reading.id]
        return Batch(as_images([Path(name) for name in table[FILE].to_pylist()]), table.select(ids))

    def measure(self, samples: Any) -> str:
        """Sizes and colours."""
        return sizes_in_words(as_images(samples).shapes)

    def put_back(
        self, samples: Any, scores: NDArray[np.float64], places: tuple[int, ...] = ()
    ) -> Sequence[NDArray[np.float64]]:
        """Heat maps of the size of each image, ``(H, W)``, made when they are looked at."""
        return HeatMaps(as_images(samples), scores, places)

    def name_places(self, places: tuple[int, ...]) -> tuple[str, ...]:
        """Of each place the ninth of the image that it lies in, as people say it: "upper left", "middle"."""
        rows, columns = (np.minimum(3 * np.arange(n) // n, 2) for n in places)
        return tuple(NINTHS[row][column] for row in rows for column in columns)

    def picture(self, samples: Any, row: int, longest: int | None = None) -> NDArray[np.uint8]:
        """The image upright and in colour, ``(H, W, 3)``, made smaller while it is decoded."""
        images = as_images(samples)
        height, width, _ = images.shapes[row].tolist()
        size = fitting(height, width, longest)
        needed = (-(-size[0] // GAP), -(-size[1] // GAP))  # people need no such gap as networks do
        pixels = (255 * resized(with_channels(images.at(row, needed), 3), *size)[0]).round()
        shown: NDArray[np.uint8] = pixels.astype(np.uint8)
        return shown

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Name of the file, if it has one, and size."""
        image = as_images(samples).take(np.array([row]))
        height, width, _ = image.shapes[0].tolist()
        return ({} if image.names is None else {FILE: image.names[0]}) | {"size": f"{height} x {width}"}
