"""Auxiliary outliers that do not fit into memory, drawn for as long as training lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError, MissingExtraError
from expose.inputs import Table, as_table, scan
from expose.outliers.rows import Seed, kind_of, n_rows_of

Chunk = Any  # ndarray (n, ...), list of str, list of arrays, Table, or Later
Opener = Callable[[], Iterator[Chunk]]
ITEMS = ("rows", "batches")
GATHERED = 1024  # single rows made one chunk
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})


@dataclass(frozen=True, eq=False)
class Later:
    """Rows that can be had by number, and are only when they are taken."""

    places: NDArray[np.intp]
    load: Callable[[NDArray[np.intp]], Any]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> Later:
        return Later(self.places[rows], self.load)


class OutlierStream:
    """Rows of a source in random order, pass after pass, without holding more than a buffer of them.

    Parameters
    ----------
    source : folder, file, iterable, or function without arguments
        A folder of image files (its folders too); a folder, file or pattern of Parquet or CSV files, as
        `expose.inputs.scan` reads; an array, a list of texts or another iterable that can be walked again and again;
        or a function that returns a new iterator whenever it is called, such as a generator function.
    items : {"rows", "batches"}
        What an iterable or function gives: single rows (a text, an array of one row or image, a sequence of numbers),
        or batches of them (a list of texts, an array (n, ...), a data frame). Arrays, frames and lists of texts are
        themselves taken as their rows.
    buffer : int, default=10,000
        Rows held to be mixed. A row can come later than its place in the source by any distance, and earlier by about
        the buffer: a source in order (by class, by time) wants a large one. Image files, and what is in memory anyway,
        are mixed as a whole.
    random_state : int, Generator or None
        Of the order. None draws one, which stays for the life of the stream.

    Attributes
    ----------
    taken : int
        Rows given so far.
    n_rows : int or None
        Rows of a pass; None before the first ends.

    Raises
    ------
    InputError
        When the source can be walked only once, is empty, or mixes kinds of rows.
    FileNotFoundError
        When there is no such file, or no data in the folder.

    Notes
    -----
    Each pass gives every row once. The same seed and source give the same rows, however many are taken at a time.
    A stream can be copied to other processes if its source can (a generator function defined in a module, a path).

    Examples
    --------
    >>> def lines():
    ...     yield from ["one text", "another", "a third"]
    >>> stream = OutlierStream(lines, random_state=0)
    >>> sorted(stream.take(3)), len(stream.take(100))
    (['a third', 'another', 'one text'], 100)
    """

    def __init__(self, source: Any, *, items: str = "rows", buffer: int = 10_000, random_state: Seed = None) -> None:
        if items not in ITEMS:
            raise InputError(f"items must be 'rows' or 'batches'; got {items!r}.")
        if buffer < 1:
            raise InputError(f"buffer must be at least 1; got {buffer}.")
        self.source = source
        self.items = items
        self.buffer = buffer
        self.n_rows: int | None = None
        self.taken = 0
        self._seed = int(np.random.default_rng(random_state).integers(2**63))
        self._open = _opener(source, items)
        self._blocks: Iterator[Chunk] | None = None
        self._rest: list[Chunk] = []

    def take(self, n: int) -> Any:
        """Return the next ``n`` rows: an array, a list of texts or of images of several sizes, or a `Table`."""
        if n < 1:
            raise InputError(f"n, the number of rows to take, must be at least 1; got {n}.")
        if self._blocks is None:
            self._blocks = self._from(self.taken)
            self._rest = []
        held_rows = sum(map(n_rows_of_chunk, self._rest))
        while held_rows < n:
            self._rest.append(next(self._blocks))
            held_rows += n_rows_of_chunk(self._rest[-1])
        held = _joined(self._rest)
        rows, rest = _part(held, slice(0, n)), _part(held, slice(n, None))
        self._rest = [rest] if n_rows_of_chunk(rest) else []
        self.taken += n
        return rows.load(rows.places) if isinstance(rows, Later) else _stacked(rows) if _are_images(rows) else rows

    def seek(self, taken: int) -> None:
        """Go to where ``taken`` rows have been given; the rows from there on are the same as ever.

        Training that goes on after an interruption finds its place so: batch size times steps done. Whole passes are
        skipped where the length of a pass is known, else the source is walked from its beginning.
        """
        if taken < 0:
            raise InputError(f"taken, the rows given before, must be at least 0; got {taken}.")
        self.taken = taken
        self._blocks = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open."""
        return self.__dict__ | {"_blocks": None, "_rest": [], "_open": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open = _opener(self.source, self.items)

    def __repr__(self) -> str:
        name = getattr(self.source, "__name__", None) or (
            repr(str(self.source)) if isinstance(self.source, str | Path) else type(self.source).__name__
        )
        return f"OutlierStream({name}, taken={self.taken})"

    # ------------------------------------------------------------------------------------------------ passes

    def _from(self, taken: int) -> Iterator[Chunk]:
        """Blocks of rows from a place on, endlessly."""
        first, skip = divmod(taken, self.n_rows) if self.n_rows else (0, taken)
        for number in count(first):
            n_rows = 0
            for block in self._mixed(number):
                size = n_rows_of_chunk(block)
                n_rows += size
                if skip >= size:
                    skip -= size
                else:
                    yield _part(block, slice(skip, size))
                    skip = 0
            if not n_rows:
                hint = "the function must open its source anew at each call" if number else "there must be some"
                raise InputError(f"the source of outliers gave no rows in pass {number + 1}; {hint}.")
            self.n_rows = n_rows

    def _mixed(self, number: int) -> Iterator[Chunk]:
        """Blocks of one pass: whenever the buffer is full it is shuffled and gives its first half."""
        generator = np.random.default_rng([self._seed, number])
        held: list[Chunk] = []
        n_held = 0
        for chunk in self._open():
            held.append(chunk)
            n_held += n_rows_of_chunk(chunk)
            while n_held > self.buffer and not isinstance(chunk, Later):
                mixed = _shuffled(_joined(held), generator)
                half = -(-n_held // 2)
                yield _part(mixed, slice(0, half))
                held = [_part(mixed, slice(half, None))]
                n_held -= half
        if held:
            yield _shuffled(_joined(held), generator)


# --------------------------------------------------------------------------------------------------- sources


def _opener(source: Any, items: str) -> Opener:
    """Return the function that begins a pass, giving chunks of rows."""
    if isinstance(source, str | Path):
        return _of_files(source)
    if isinstance(source, np.ndarray):
        return _indexed(len(source), lambda places: source[places])
    if isinstance(source, Table) or hasattr(source, "columns"):  # a data frame
        table = as_table(source)
        return _indexed(table.n_rows, table.take)
    if isinstance(source, list | tuple) and items == "rows":
        return _indexed(len(source), lambda places: _joined(list(_gathered(source[place] for place in places))))
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
            yield _stacked([np.asarray(row) for row in some])


def _stacked(rows: list[NDArray[Any]]) -> Chunk:
    shapes = {row.shape for row in rows}
    if len(shapes) == 1 and rows[0].ndim:
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
        if not n_rows_of(batch):
            continue
        if isinstance(batch, np.ndarray):
            yield batch
        elif kind_of(batch) == "table":
            yield as_table(batch)
        else:
            yield list(batch)


def _of_files(source: str | Path) -> Opener:
    folder = Path(source)
    if folder.is_dir():
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        if images:
            return _indexed(len(images), lambda places: _stacked([_image(images[place]) for place in places]))
    return lambda: (as_table(batch) for batch in scan(source))


# ---------------------------------------------------------------------------------------------------- chunks


def n_rows_of_chunk(chunk: Chunk) -> int:
    """Count the rows of a chunk."""
    return chunk.n_rows if isinstance(chunk, Table) else len(chunk)


def _part(chunk: Chunk, rows: slice) -> Chunk:
    return chunk.take(rows) if isinstance(chunk, Table) else chunk[rows]


def _shuffled(chunk: Chunk, generator: np.random.Generator) -> Chunk:
    order = generator.permutation(n_rows_of_chunk(chunk))
    if isinstance(chunk, list):
        return [chunk[row] for row in order]
    return chunk.take(order) if isinstance(chunk, Table) else chunk[order]


def _joined(chunks: list[Chunk]) -> Chunk:
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
    if rows and (all(isinstance(row, str) for row in rows) or _are_images(rows)):
        return rows
    raise InputError("the source of outliers mixes kinds of rows: all must be texts, images, or rows of equal columns.")


def _are_images(rows: Chunk) -> bool:
    """Whether this is a list of images, which may differ in size."""
    return isinstance(rows, list) and all(isinstance(row, np.ndarray) and row.ndim in (2, 3) for row in rows)


def _image(path: Path) -> NDArray[np.uint8]:
    """Read one file, (H, W) where it is grey, else (H, W, 3)."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("image files need Pillow: pip install pillow") from error
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(f"{path}: more than 8 bits per channel (mode {image.mode}); convert it to 8.")
            return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: not a complete image file. Remove it, or fetch it again. ({error})") from error
