"""Auxiliary outliers that do not fit into memory, sampled for as long as training lasts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from expose.errors import InputError
from expose.outliers.rows import Seed
from expose.outliers.sources import (
    Chunk,
    Later,
    are_images,
    joined,
    opener,
    part,
    shuffled,
    stacked,
)

ITEMS = ("rows", "batches")


class OutlierStream:
    """Rows of a source in random order, pass after pass, without holding more than a buffer of them.

    Parameters
    ----------
    source : folder, file, iterable, or function without arguments
        A folder of image files (its folders too); a folder, file or pattern of Parquet or CSV files, as
        `expose.files.scan` reads; an array, a list of texts or another iterable that can be walked again and again;
        or a function that returns a new iterator whenever it is called, such as a generator function.
    items : {"rows", "batches"}
        What an iterable or function gives: single rows (a text, an array of one row or image, a sequence of numbers),
        or batches of them (a list of texts, an array (n, ...), a data frame). Arrays, frames and lists of texts are
        themselves taken as their rows.
    buffer : int, default=10,000
        Rows in memory, to be mixed. A row can come later than its place in the source by any distance, and earlier by
        about the buffer: a source in order (by class, by time) wants a large one. Image files, and what is in memory
        anyway, are mixed as a whole.
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
        self._open = opener(source, items)
        self._blocks: Iterator[Chunk] | None = None
        self._rest: list[Chunk] = []

    def take(self, n: int) -> Any:
        """Return the next ``n`` rows: an array, a list of texts or of images of several sizes, or a `Table`."""
        if n < 1:
            raise InputError(f"n, the number of rows to take, must be at least 1; got {n}.")
        if self._blocks is None:
            self._blocks = self._from(self.taken)
            self._rest = []
        n_waiting = sum(map(len, self._rest))
        while n_waiting < n:
            self._rest.append(next(self._blocks))
            n_waiting += len(self._rest[-1])
        waiting = joined(self._rest)
        rows, rest = part(waiting, slice(0, n)), part(waiting, slice(n, None))
        self._rest = [rest] if len(rest) else []
        self.taken += n
        return rows.load(rows.places) if isinstance(rows, Later) else stacked(rows) if are_images(rows) else rows

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
        self._open = opener(self.source, self.items)

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
                size = len(block)
                n_rows += size
                if skip >= size:
                    skip -= size
                else:
                    yield part(block, slice(skip, size))
                    skip = 0
            if not n_rows:
                hint = "the function must open its source anew at each call" if number else "there must be some"
                raise InputError(f"the source of outliers gave no rows in pass {number + 1}; {hint}.")
            self.n_rows = n_rows

    def _mixed(self, number: int) -> Iterator[Chunk]:
        """Blocks of one pass: whenever the buffer is full it is shuffled and gives its first half."""
        generator = np.random.default_rng([self._seed, number])
        waiting: list[Chunk] = []
        n_waiting = 0
        for chunk in self._open():
            waiting.append(chunk)
            n_waiting += len(chunk)
            while n_waiting > self.buffer and not isinstance(chunk, Later):
                mixed = shuffled(joined(waiting), generator)
                half = -(-n_waiting // 2)
                yield part(mixed, slice(0, half))
                waiting = [part(mixed, slice(half, None))]
                n_waiting -= half
        if waiting:
            yield shuffled(joined(waiting), generator)
