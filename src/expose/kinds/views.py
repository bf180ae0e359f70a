"""The kind "views": items that were each photographed from several sides; an item is as odd as its oddest view."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError, SkippedWarning
from expose.files.names import column_names, listing
from expose.kinds.base import Batch, Kind, Reading, kind_named, register_kind
from expose.kinds.heat_maps import HeatMaps
from expose.kinds.image_sources import images_at
from expose.kinds.images import Images, as_images
from expose.kinds.photo_notes import notes_on, sizes_in_words
from expose.kinds.photo_tables import listed
from expose.kinds.pixels import fitting, resized, with_channels

ITEM: Final = "item"  # the column that names one: the name of its files without the view
AT_ONCE: Final = 512  # items of a batch
_IMAGE: Final = "image"


@dataclass(frozen=True, eq=False)
class Views:
    """Photos of items, from several sides each.

    Attributes
    ----------
    photos : mapping of str to Images
        Of each view, by its name, photos of all n items in the same order.
    """

    photos: Mapping[str, Images]

    def __len__(self) -> int:
        return len(next(iter(self.photos.values())))

    @property
    def shapes(self) -> NDArray[np.int64]:
        """(H, W, C) of the pictures that show all views of an item, each as large as the first, ``(n, 3)``."""
        first = next(iter(self.photos.values())).shapes
        return np.stack([first[:, 0] * len(self.photos), first[:, 1], first[:, 2]], axis=1)

    def take(self, rows: NDArray[Any] | slice) -> Views:
        """Return the chosen items, by number, mask or slice."""
        return Views({name: images.take(rows) for name, images in self.photos.items()})

    def readable_rows(self) -> NDArray[np.intp]:
        """Return the numbers of the items of which every photo can be read, and name other photos in a warning."""
        kept = [images.readable_rows() for images in self.photos.values()]
        return np.flatnonzero(np.bincount(np.concatenate(kept), minlength=len(self)) == len(kept))


def as_views(X: Any) -> Views:
    """Turn a mapping from the name of each view to its photos into `Views`.

    Parameters
    ----------
    X : mapping of str to what `as_images` takes
        Photos of all items, in the same order in each; of folders, whose files are called alike in each.

    Examples
    --------
    >>> views = as_views({"top": np.zeros((5, 8, 8)), "side": np.zeros((5, 6, 9))})
    >>> len(views), list(views.photos)
    (5, ['top', 'side'])
    """
    if isinstance(X, Views):
        return X
    if not isinstance(X, Mapping) or len(X) < 2:
        raise InputError(
            "expected photos of several views of each item: a mapping from the name of each view to its photos, such "
            f"as {{'top': [...], 'side': [...]}}; got {'one view' if isinstance(X, Mapping) else type(X).__name__}."
        )
    photos = {str(name): as_images(given) for name, given in X.items()}
    if len({len(images) for images in photos.values()}) > 1:
        counts = ", ".join(f"{name!r}: {len(images)}" for name, images in photos.items())
        raise InputError(f"every item must have a photo of each view, in the same order; got {counts} photos.")
    for name, given in X.items():
        if isinstance(given, str) or hasattr(given, "iterdir"):
            _check_names(name, photos[str(name)], next(iter(photos.values())))
    return Views(photos)


def _check_names(name: str, images: Images, first: Images) -> None:
    if images.names != first.names:
        other = sorted({*(images.names or ())} ^ {*(first.names or ())})
        raise InputError(
            f"the files of each view must be called alike, so that it is known which belong together; in {name!r} "
            f"they are not those of the first: {listing(other)}."
        )


@register_kind
class ViewsKind(Kind):
    """Items of several views: a mapping of images in Python; files whose names tell the views, or columns of paths."""

    name = "views"
    plural = "items of several views"
    noun = "item"
    encoder = "views"
    numbered = False
    advice = "Or take each photo for itself, as images."

    def __init__(self) -> None:
        self.objective = kind_named(_IMAGE).objective

    def recognises(self, X: Any) -> bool:
        """Whether it is a mapping of several things that hold images."""
        if isinstance(X, Mapping):
            return len(X) > 1 and all(map(kind_named(_IMAGE).recognises, X.values()))
        return isinstance(X, Views)

    def samples(self, X: Any) -> Views | Images:
        """Make `Views`, see `as_views`; of a list of what `picture` gives images, for maps beside these."""
        return as_images(X) if isinstance(X, list) else as_views(X)

    def plain(self, samples: Any) -> list[dict[str, NDArray[Any]]]:
        """Of each item its photos ``(H, W, C)`` by view."""
        views = as_views(samples)
        return [{name: images.raw(row) for name, images in views.photos.items()} for row in range(len(views))]

    # --------------------------------------------------------------------------------------------------- files

    def asked_for(self, reading: Reading) -> bool:
        """Whether views were named, or several columns of paths."""
        return bool(reading.views) or len(_names(reading.photo)) > 1

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Find the photos and bring together which are of one item; pixels are read when they are asked for."""
        [batch] = self._batches(sources, reading, None)
        return batch._replace(notes=tuple(_notes(batch.samples)))

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Give the items in order, some at a time."""
        return self._batches(sources, reading, AT_ONCE)

    def _batches(self, sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Batch]:
        found = _of_tables(sources, reading, most) if not reading.views else _of_files(sources, reading, most)
        empty = True
        for batch in found:
            rows = batch.samples.readable_rows() if reading.skip_bad else np.arange(len(batch.samples))
            empty &= not len(rows)
            if len(rows):
                label = None if batch.label is None else batch.label.take(rows)
                yield Batch(batch.samples.take(rows), batch.ids.take(rows), label)  # type: ignore[union-attr]
        if empty:
            raise InputError("there is no item of which every photo can be read.")

    # ------------------------------------------------------------------------------------------ parts and people

    def put_back(
        self, samples: Any, scores: NDArray[np.float64], places: tuple[int, ...] = ()
    ) -> Sequence[NDArray[np.float64]]:
        """Heat maps of the pictures that show all views of an item, one below the other."""
        views, rows, columns = places if len(places) == 3 else (1, 1, scores.shape[1])
        return HeatMaps(samples, scores, (views * rows, columns))

    def picture(self, samples: Any, row: int, longest: int | None = None) -> NDArray[np.uint8]:
        """All views below each other, each as large as the first, ``(H, W, 3)``."""
        views = as_views(samples)
        height, width, _ = views.shapes[row].tolist()
        height, width = fitting(height, width, longest)
        size = (max(1, height // len(views.photos)), width)
        each = [resized(with_channels(images.at(row, size), 3), *size)[0] for images in views.photos.values()]
        shown: NDArray[np.uint8] = (255 * np.concatenate(each)).round().astype(np.uint8)
        return shown

    def measure(self, samples: Any) -> str:
        """How many views there are, and sizes and colours of the photos."""
        views = as_views(samples)
        return f"{len(views.photos)} views of each, {sizes_in_words(_shapes(views))}"

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """The files of the views."""
        views = as_views(samples)
        return {name: images.names[row] for name, images in views.photos.items() if images.names is not None}


def _shapes(views: Views) -> NDArray[np.int64]:
    return np.concatenate([images.shapes for images in views.photos.values()])


def _notes(views: Views) -> list[str]:
    files: list[Any] = [file for images in views.photos.values() for file in images.pixels]
    names = [name for images in views.photos.values() for name in images.names or ()]
    return notes_on(_shapes(views), files, names)


def _names(named: Sequence[str]) -> list[str]:
    return column_names(named, ())


# ------------------------------------------------------------------------------------------------- sources of views


def _of_tables(sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Batch]:
    """Items of tables: a row each, with a column of paths for each view."""
    for found in listed(sources, reading, most):
        yield Batch(Views({name: Images(*files) for name, files in found.photos.items()}), found.ids, found.label)


def _of_files(sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Batch]:
    """Items of files whose names differ in the view alone: part12_top.jpg and part12_side.jpg, top/12.jpg and so on."""
    images = images_at(sources, reading)
    views = _names(reading.views)
    items = _matched(images, views, skip_bad=reading.skip_bad)
    if reading.label:
        raise InputError("label: files have no labels; give a table with a column of paths for each view.")
    for start in range(0, len(items), most or len(items)):
        some = list(items.items())[start : start + (most or len(items))]
        photos = {view: images.take(np.array([rows[view] for _, rows in some])) for view in views}
        ids = {ITEM: [item for item, _ in some]} | {view: list(found.names or ()) for view, found in photos.items()}
        yield Batch(Views(photos), pa.table({name: pa.array(one, pa.string()) for name, one in ids.items()}))


def _matched(images: Images, views: Collection[str], *, skip_bad: bool) -> dict[str, dict[str, int]]:
    """Of each item by its name the photo of each view; those of which one is lacking are refused or left out."""
    if len(views) < 2:
        raise InputError(f"--views takes what tells two views or more apart in names, such as top,side; got {views}.")
    items: dict[str, dict[str, int]] = {}
    for row, name in enumerate(images.names or ()):
        found = _view_in(name, views)
        if found is not None:
            item, view = found
            items.setdefault(item, {})[view] = row
    whole = {item: rows for item, rows in items.items() if len(rows) == len(views)}
    used = {row for rows in whole.values() for row in rows.values()}
    lost = [name for row, name in enumerate(images.names or ()) if row not in used]
    said = "photo(s) belong to no item with all views, " + ", ".join(views)
    if lost and (not skip_bad or not whole):
        raise InputError(
            f"{len(lost)} {said}: {listing(lost)}. The photos of an item must be called alike but for the view, a word "
            "of its own, as in 12_top.jpg and 12_side.jpg or top/12.jpg and side/12.jpg. Leave others out by "
            "--skip-bad."
        )
    if lost:
        warnings.warn(SkippedWarning("{count} " + said + "; left out: {examples}", len(lost), lost), stacklevel=2)
    return whole


def _view_in(name: str, views: Collection[str]) -> tuple[str, str] | None:
    """The item and the view of a file.

    >>> _view_in("box/12_top.jpg", ["top", "side"]), _view_in("desktop.jpg", ["top", "side"])
    (('box/12', 'top'), None)
    >>> _view_in("top/12.png", ["top", "side"])
    ('12', 'top')
    """
    stem = name[: name.rindex(".")] if "." in name.rsplit("/", 1)[-1] else name
    words = "|".join(map(re.escape, views))
    found = list(re.finditer(rf"(?<![^\W_])(?:{words})(?![^\W_])", stem))
    if not found:
        return None
    before, after = stem[: found[-1].start()], stem[found[-1].end() :]
    # one sign that parted the view from the rest goes with it
    item = before[:-1] + after if before and not before[-1].isalnum() and after[:1] != "/" else before + after[1:]
    return item, found[-1][0]
