"""Image files as rows: of a folder, or of a glob; each row is named by its file."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expose.errors import InputError

if TYPE_CHECKING:
    from expose.cli.models import Model
    from expose.inputs import Images
    from expose.inputs.files import Roles

FILE = "file"  # the column of a scores file that names an image
NAMES: dict[str, Any] = {"id": [FILE], "ignore": [], "label": None}
AT_ONCE = 1024  # images of a batch
TABLES = (".csv", ".tsv", ".parquet", ".pq")


def images_in(data: Sequence[str]) -> Images | None:
    """Return the images of files, folders and patterns; None if these are not images.

    Raises
    ------
    InputError
        When a folder holds tables as well: it must be said which are meant.
    """
    from expose.inputs import Images, as_images
    from expose.inputs.image_files import holds_images, image_files

    places = [place for source in data for place in _places(source)]
    if not places or not all(map(holds_images, places)):
        return None
    for folder in (place for place in places if place.is_dir()):
        tables = sorted(file.name for file in folder.rglob("*") if file.suffix.lower() in TABLES)
        if tables:
            raise InputError(
                f"{folder} holds images and tables, such as {tables[0]}. Give a quoted pattern that names one kind: "
                f"'{folder}/*.png' or '{folder}/*{Path(tables[0]).suffix}'."
            )
    if len(places) == 1 and places[0].is_dir():
        return as_images(places[0])
    files = [file for place in places for file in image_files(place)]
    return Images(files, tuple(map(str, files)))


def _places(source: str) -> list[Path]:
    path = Path(source)
    return [path] if path.exists() else [Path(name) for name in sorted(glob.glob(source, recursive=True))]


def needs_images(data: Sequence[str]) -> Images:
    """Return the images of files, folders and patterns, or say that they were expected."""
    images = images_in(data)
    if images is None:
        raise InputError(f"Expected images, as in training: a folder or files of them; got {' '.join(data)}.")
    return images


def image_roles(images: Images) -> Roles:
    """Return images as rows that are named by their files."""
    import pyarrow as pa

    from expose.inputs.files import Roles

    return Roles(images, pa.table({FILE: pa.array(images.names, pa.string())}), None)


def refuse_columns(**given: Any) -> None:
    """Refuse options that name columns: images have none."""
    named = [f"--{name}" for name, value in given.items() if value]
    if named:
        raise InputError(f"{' and '.join(named)}: images have no columns; their files name them. Leave it out.")


def image_batches(data: Sequence[str]) -> Iterator[Roles]:
    """Yield images in order, some at a time, named by their files."""
    import numpy as np

    images = needs_images(data)
    for start in range(0, images.n_rows, AT_ONCE):
        yield image_roles(images.take(np.arange(start, min(start + AT_ONCE, images.n_rows))))


def check_readable(detector: Model, kinds: Sequence[str], command: str) -> None:
    """Refuse a model of rows that a command cannot read."""
    kind = detector.encoder_.layout.kind
    if kind not in kinds:
        raise InputError(f"The model was trained on {kind} rows, which {command!r} cannot read. Use it from Python.")
