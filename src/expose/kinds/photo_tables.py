"""Tables in which a column holds the paths of photos: which files these are, and what else is said of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from expose.errors import CountedWarning, InputError
from expose.files.names import column_names, existing, listing, spelled
from expose.files.reading import opened
from expose.files.values import is_missing
from expose.kinds.base import Reading

WHOLE: Final = 2**62  # rows at a time


class Listed(NamedTuple):
    """What a table lists: of each column of paths the files, and how they are written; further columns, and a label."""

    photos: dict[str, tuple[list[Path], tuple[str, ...]]]
    ids: Any
    label: Any | None


def listed(sources: Sequence[str], reading: Reading, most: int | None) -> Iterator[Listed]:
    """Photos of tables, at most so many at a time; their paths count from the folder of the tables."""
    base = _base(sources)
    tables = opened(sources[0] if len(sources) == 1 else list(sources), dialect=reading.dialect, query=reading.query)
    if most is None:
        yield listed_in(tables.table(), reading, base)
        return
    for rows in tables.batches(most):
        yield listed_in(pa.Table.from_batches([rows]), reading, base)


def listed_in(table: Any, reading: Reading, base: Path = Path()) -> Listed:
    """Photos that the rows of a table name.

    Without ids, all other columns but the label name a photo: they are kept beside its score.

    Raises
    ------
    InputError
        When a column is not there, or a photo; the latter not if such photos are to be left out later.
    """
    names = table.column_names
    columns = existing(column_names(reading.photo, names), names, "photo")
    label = None if reading.label is None else spelled(reading.label, names)
    if label is not None and not (reading.later and label not in names):
        existing([label], names, "label")
    label = label if label in names else None
    ignored = {*columns, label, *column_names(reading.ignore, names)}
    given = column_names(reading.id, names)
    chosen = [name for name in given if name in names] if reading.later else existing(given, names, "id")
    further = [name for name in (chosen if given else names) if name not in ignored]
    photos = {}
    for photo in columns:
        table = _with_paths(table, photo, reading)
    for photo in columns:
        paths = tuple(map(str, table[photo].to_pylist()))
        photos[photo] = [base / path for path in paths], paths
        if not reading.skip_bad:
            _check_there(*photos[photo], photo, base)
    ids = [*columns, *further] if len(columns) == 1 else [*further, *columns]
    return Listed(photos, table.select(ids), None if label is None else table[label])


def _with_paths(table: Any, photo: str, reading: Reading) -> Any:
    """The rows of a table that name a photo; all must, unless what is bad is left out."""
    paths = table[photo].to_pylist()
    without = [row for row, path in enumerate(paths) if is_missing(path) or not str(path).strip()]
    if not without:
        return table
    template = "{count} row(s) name no photo in the column " + repr(photo) + ": row {examples}, counted from 0"
    if not reading.skip_bad:
        said = CountedWarning(template, len(without), without)
        raise InputError(f"{said}. Name one in each, or leave these rows out (--skip-bad).")
    warnings.warn(CountedWarning(f"{template}; left out", len(without), without), stacklevel=2)
    return table.take(np.setdiff1d(np.arange(len(paths)), without))


def _check_there(files: Sequence[Path], paths: Sequence[str], photo: str, base: Path) -> None:
    gone = [path for file, path in zip(files, paths, strict=True) if not file.is_file()]
    if gone:
        raise InputError(
            f"{len(gone):,} of {len(paths):,} photos that the column {photo!r} names are not there: {listing(gone)}. "
            f"Paths that do not begin with / count from the folder of the table, {base.resolve()}. Mend them, or leave "
            "them out (--skip-bad)."
        )


def _base(sources: Sequence[str]) -> Path:
    """The folder from which paths in tables count: the one where these lie."""
    here = [Path(source) for source in sources if source != "-" and "://" not in source]
    folders = {path if path.is_dir() else path.parent for path in here}
    if len(folders) > 1:
        raise InputError(
            f"the tables lie in several folders, {listing(map(str, sorted(folders)))}; paths of photos count from one. "
            "Give tables of one folder."
        )
    return folders.pop() if folders else Path()
