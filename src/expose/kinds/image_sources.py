"""Sources of images on the command line: folders, files and patterns, and tables that list files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from expose.errors import InputError
from expose.files.names import listing
from expose.kinds.base import Batch, Reading
from expose.kinds.image_files import holds_images, places_of
from expose.kinds.images import Images, images_of
from expose.kinds.photo_tables import Listed

FILE: Final = "file"  # the column that names an image
FOLDER: Final = "folder"  # as a label: the one in which it lies
_TABLES: Final = (".csv", ".tsv", ".parquet", ".pq")


def of_files(found: Listed) -> Batch:
    """Images of paths that a table named."""
    if len(found.photos) != 1:
        raise InputError(f"images come from one column of paths; got {listing(found.photos)}.")
    [(files, names)] = found.photos.values()
    return Batch(Images(files, names), found.ids, found.label)


def readable(batch: Batch) -> Batch:
    """Without images that cannot be read."""
    rows = batch.samples.readable_rows()
    if len(rows) == len(batch.samples):
        return batch
    ids, label = (None if one is None else one.take(rows) for one in (batch.ids, batch.label))
    return Batch(batch.samples.take(rows), ids, label)


def found_in(sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Batch]:
    """Images of folders, files and patterns, at most so many at a time; their files name them."""
    images = images_at(sources, reading)
    _refuse_columns(reading)
    label = None if reading.label is None else _classes(images, later=reading.later)
    for start in range(0, len(images), most or len(images)):
        rows = np.arange(start, min(start + (most or len(images)), len(images)))
        some = images.take(rows)
        names = pa.table({FILE: pa.array(some.names, pa.string())})
        yield Batch(some, names, None if label is None else label.take(rows))


def _classes(images: Images, *, later: bool) -> Any:
    """Names of the folders as a label column; None where later images do not lie in folders."""
    folders = images.folders.tolist()
    if "" not in folders and len(set(folders)) > 1:
        return pa.chunked_array([pa.array(folders, pa.string())])
    if later:
        return None
    beside = folders.count("") if len(set(folders)) > 1 else 0
    raise InputError(
        "the class of an image is the folder in which it lies, such as photos/cat/1.png and photos/dog/1.png; here "
        + (f"{beside} lie beside the folders." if beside else "all lie in one.")
        + " Give a folder with one for each class, or a table of paths and labels: --photo COLUMN --label COLUMN."
    )


def images_at(sources: Sequence[str], reading: Reading) -> Images:
    """Image files of folders, of files and of patterns."""
    for source in sources:
        if not places_of([source]):
            raise InputError(f"there is no file or folder {source!r}; give images, a folder of them, or a pattern.")
    places = places_of(sources)
    if not places or not all(map(holds_images, places)):
        known = ", as in training" if reading.later else ""
        listed = " A table that lists photos needs --photo COLUMN." if any(map(_is_table, places)) else ""
        raise InputError(f"Expected images{known}: a folder or files of them; got {' '.join(sources)}.{listed}")
    for folder in (place for place in places if place.is_dir()):
        _refuse_tables(folder)
    return images_of(places)


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in _TABLES


def _refuse_tables(folder: Path) -> None:
    tables = sorted(file.name for file in folder.rglob("*") if _is_table(file))
    if tables:
        raise InputError(
            f"{folder} holds images and tables, such as {tables[0]}. Give a quoted pattern that names one kind: "
            f"'{folder}/*.png' or '{folder}/*{Path(tables[0]).suffix}'."
        )


def _refuse_columns(reading: Reading) -> None:
    if reading.later and reading.photo:  # trained on a table of paths: its columns name nothing here
        return
    label = reading.label not in (None, FOLDER)
    given = {"id": set(reading.id) - {FILE}, "ignore": reading.ignore, "label": label}
    named = [role for role, columns in given.items() if columns]
    if named:
        raise InputError(
            f"{' and '.join(named)}: images have no columns; their files name them. Leave it out, or give a table of "
            "their paths: --photo COLUMN."
            + (" Or --label folder: of each the folder in which it lies." if label else "")
        )
