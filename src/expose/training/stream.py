"""Training parts that memory does not hold: encoded once into a file, and read in blocks of chunks in random order.

An epoch of the loop walks through one block, and several blocks make a pass over all parts. Each pass deals the chunks
anew, and the loop shuffles the parts of a block, so that a batch mixes parts from all over the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expose.atomic import whole_file
from expose.training.plan import TrainingSet

CHUNK = 1_024  # parts that stay together: what one read gives
BLOCK_BYTES = 2**28  # of a block in memory, with what the loop notes of its parts
NOTED = 64  # bytes for each part beside its values: its place, losses and weights
VALUES, KNOWN, ABOUT = "parts.f32", "known.i8", "parts.json"

Encoded = tuple[NDArray[np.float32], NDArray[np.int8] | None]


@dataclass(frozen=True)
class Store:
    """Encoded parts in a folder: float32 ``(N, D)``, and what is known of them int8 ``(N,)``, if anything is."""

    folder: Path
    n_rows: int
    width: int
    has_known: bool

    def chunks(self, numbers: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.int8] | None]:
        """The parts of some chunks, in the order given."""
        sizes = np.minimum(CHUNK, self.n_rows - numbers * CHUNK)
        rows = np.empty((int(sizes.sum()), self.width), dtype=np.float32)
        known = np.empty(len(rows), dtype=np.int8) if self.has_known else None
        read_chunks(self.folder / VALUES, numbers, sizes, rows)
        if known is not None:
            read_chunks(self.folder / KNOWN, numbers, sizes, known)
        return rows, known


def read_chunks(path: Path, numbers: NDArray[np.intp], sizes: NDArray[np.intp], found: NDArray[Any]) -> None:
    """Fill an array with chunks of a file; with plain reads, as pages of a mapped file would count as memory held."""
    row_bytes, start = found[:1].nbytes, 0
    with path.open("rb", buffering=0) as file:
        for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
            file.seek(number * CHUNK * row_bytes)
            if file.readinto(found[start : start + size].data) != size * row_bytes:
                raise OSError(f"{path} was cut short while a training read it.")
            start += size


def stored(folder: Path, fingerprint: str, encoded: Iterable[Encoded]) -> Store:
    """Write encoded parts to a folder, or find there what the same fingerprint was written with.

    Parameters
    ----------
    folder : Path
    fingerprint : str
        Of all that determines the parts.
    encoded : iterable of (parts, known)
        Walked through only if they are not there yet.
    """
    about = folder / ABOUT
    if about.exists():
        found = json.loads(about.read_text())
        if found.pop("fingerprint") == fingerprint:
            return Store(folder, **found)
        about.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    n_rows, width, has_known = 0, 0, False
    with (folder / VALUES).open("wb") as values, (folder / KNOWN).open("wb") as labels:
        for parts, known in encoded:
            values.write(np.ascontiguousarray(parts, dtype=np.float32).data)
            n_rows, width = n_rows + len(parts), parts.shape[1]
            if known is not None:
                labels.write(np.ascontiguousarray(known, dtype=np.int8).data)
                has_known = True
    said: dict[str, Any] = {"n_rows": n_rows, "width": width, "has_known": has_known}
    with whole_file(about) as file:  # last: what it speaks of is complete
        file.write(json.dumps({"fingerprint": fingerprint, **said}).encode())
    return Store(folder, **said)


@dataclass(frozen=True)
class Blocks(TrainingSet):
    """A training set of which one block at a time is in memory; ``rows`` are a sample, on which members prepare.

    Attributes
    ----------
    store : Store
    seed : int
        Of the order of chunks.
    block_bytes : int
        Memory for a block, about.
    """

    store: Store | None = None
    seed: int = 0
    block_bytes: int = BLOCK_BYTES

    @property
    def whole(self) -> Store:
        """Where all parts are."""
        assert self.store is not None
        return self.store

    @property
    def n_rows(self) -> int:
        """How many parts there are to train on."""
        return self.whole.n_rows

    @property
    def n_chunks(self) -> int:
        """How many chunks the parts make."""
        return -(-self.n_rows // CHUNK)

    @property
    def n_blocks(self) -> int:
        """Of how many blocks a pass is made."""
        fit = max(1, self.block_bytes // (4 * self.whole.width + NOTED) // CHUNK)  # chunks in a block
        return -(-self.n_chunks // fit)

    def block(self, number: int) -> TrainingSet:
        """The parts of an epoch: the next chunks of a pass, in the order in which they are stored."""
        number_of_pass, place = divmod(number, self.n_blocks)
        order = np.random.default_rng([self.seed, number_of_pass]).permutation(self.n_chunks)
        rows, known = self.whole.chunks(np.sort(np.array_split(order, self.n_blocks)[place]))
        return TrainingSet(
            torch.from_numpy(rows),
            None if known is None else torch.from_numpy(known),
            self.outliers,
            certain=self.certain,
        )
