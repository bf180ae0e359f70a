"""Where auxiliary outliers come from: files, arrays, iterables; and chunks of rows of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files import scan
from expose.kinds import Table, as_table, kind_of
from expose.kinds.image_files import holds_images, image_files, read_file

Chunk = Any  # ndarray (n, ...), list of str, list of arrays, Table, or Later
Opener = Callable[[], Iterator[Chunk]]
GATHERED = 1024  # single rows made one chunk


@dataclass(frozen=True, eq=False)
class Later:
    """Rows that can be had by number, and are only when they are taken."""

    places: NDArray[np.intp]
    load: Callable[[NDArray[np.intp]], Any]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> Later:
        return Later(self.places[rows], self.load)


# --------------------------------------------------------------------------------------------------- sources


def opener(source: Any, items: str) -> Opener:
    """Return the function that begins a pass, giving chunks of rows."""
    if isinstance(source, str | Path):
        return _of_files(source)
    if isinstance(source, np.ndarray):
        return _indexed(len(source), lambda places: source[places])
    if isinstance(source, Table) or hasattr(source, "columns"):  # a data frame
        table = as_table(source)
        return _indexed(len(table), table.take)
    if isinstance(source, list | tuple) and items == "rows":
        return _indexed(len(source), lambda places: joined(list(_gathered(source[place] for place in places))))
    chunks = _gathered if items == "rows" else _batches
    if callable(source):
        return lambda: chunks(_iterator(source()))
    if isinstance(source, Iterator):
        raise InputError(
            f"this {type(source).__name__} can be walked only once, but training walks the outliers again and again. "
            "Give a function that opens it anew, for instance the generator function itself, not what it returned."
        )
    if isinstance(source, Iterable):
        return lambda: chunks(iter(source))
    raise InputError(
        "expected a source of outliers: a folder or file, an array, an iterable, or a function that returns an "
        f"iterator; got {type(source).__name__}."
    )


def _indexed(n_rows: int, load: Callable[[NDArray[np.intp]], Any]) -> Opener:
    """Open rows that can be had by number."""
    return lambda: iter([Later(np.arange(n_rows), load)])


def _iterator(made: Any) -> Iterator[Any]:
    if not isinstance(made, Iterable):
        raise InputError(f"the function must return an iterator over outliers; it returned {type(made).__name__}.")
    return iter(made)


def _gathered(rows: Iterator[Any]) -> Iterator[Chunk]:
    """Single rows as chunks."""
    while some := list(islice(rows, GATHERED)):
        texts = [isinstance(row, str) for row in some]
        if all(texts):
            yield some
        elif any(texts):
            raise InputError("the source of outliers mixes texts and other rows.")
        else:
            yield stacked([np.asarray(row) for row in some])


def stacked(rows: list[NDArray[Any]]) -> Chunk:
    """Make rows of one shape one array; images of several sizes stay a list."""
    shapes = {row.shape for row in rows}
    alike = rows[0].ndim == 1 or len({row.dtype for row in rows}) == 1  # 255 is white in bytes, but not in 16 bit
    if len(shapes) == 1 and rows[0].ndim and alike:
        return np.stack(rows)
    if all(row.ndim in (2, 3) for row in rows):
        return rows  # images of several sizes
    raise InputError(
        "expected rows as texts or as arrays of one shape (images may differ); got shapes "
        f"{', '.join(map(str, sorted(shapes)[:5]))}. If each item is a batch of rows, set items='batches'."
    )


def _batches(batches: Iterator[Any]) -> Iterator[Chunk]:
    for batch in batches:
        if isinstance(batch, str):
            raise InputError("expected batches of rows; got a single text. Set items='rows'.")
        if not (batch.shape[0] if hasattr(batch, "shape") else len(batch)):
            continue
        if isinstance(batch, np.ndarray):
            yield batch
        elif kind_of(batch).name == "table":
            yield as_table(batch)
        else:
            yield list(batch)


def _of_files(source: str | Path) -> Opener:
    if holds_images(Path(source)):
        files = image_files(Path(source))
        return _indexed(len(files), lambda places: stacked([read_file(files[place]) for place in places]))
    return lambda: (as_table(batch) for batch in scan(source))


# ---------------------------------------------------------------------------------------------------- chunks


def part(chunk: Chunk, rows: slice) -> Chunk:
    """Return some rows."""
    return chunk.take(rows) if isinstance(chunk, Table) else chunk[rows]


def shuffled(chunk: Chunk, generator: np.random.Generator) -> Chunk:
    """Return the rows in random order."""
    order = generator.permutation(len(chunk))
    if isinstance(chunk, list):
        return [chunk[row] for row in order]
    return chunk.take(order) if isinstance(chunk, Table) else chunk[order]


def joined(chunks: list[Chunk]) -> Chunk:
    """Put chunks together."""
    first = chunks[0]
    if len(chunks) == 1:
        return first
    kinds = {type(chunk) for chunk in chunks}
    if kinds == {Table}:
        for chunk in chunks[1:]:
            first = Table.concat(first, chunk)
        return first
    if kinds == {np.ndarray} and len({chunk.shape[1:] for chunk in chunks}) == 1:
        return np.concatenate(chunks)
    if kinds == {Later}:
        return Later(np.concatenate([chunk.places for chunk in chunks]), first.load)
    rows = [row for chunk in chunks for row in chunk] if kinds <= {list, np.ndarray} else []
    if rows and (all(isinstance(row, str) for row in rows) or are_images(rows)):
        return rows
    raise InputError("the source of outliers mixes kinds of rows: all must be texts, images, or rows of equal columns.")


def are_images(rows: Chunk) -> bool:
    """Whether this is a list of images, which may differ in size."""
    return isinstance(rows, list) and all(isinstance(row, np.ndarray) and row.ndim in (2, 3) for row in rows)
