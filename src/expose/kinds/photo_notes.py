"""What a person is told of a set of photos: their sizes, and what is odd about the set as a whole."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.files.names import listing

SMALL: Final = 16  # pixels of a side: with fewer there is hardly anything to see
PROPORTIONS: Final = 1.5  # times as wide for their height as others, from which on resizing distorts much


def sizes_in_words(shapes: NDArray[np.int64]) -> str:
    """Sizes and colours of images ``(n, 3)``.

    Examples
    --------
    >>> sizes_in_words(np.array([[8, 8, 1], [8, 8, 3]])), sizes_in_words(np.array([[90, 120, 3], [80, 160, 3]]))
    ('8 x 8 pixels, 1 of 2 grey', '80 to 90 pixels high and 120 to 160 wide, in 2 sizes')
    """
    sizes = np.unique(shapes[:, :2], axis=0)
    (low, left), (high, right) = sizes.min(axis=0).tolist(), sizes.max(axis=0).tolist()
    same = f"{high} x {right} pixels" if high == right else f"{high} pixels high and {right} wide"
    various = f"{_range(low, high)} pixels high and {_range(left, right)} wide, in {len(sizes):,} sizes"
    grey = int((shapes[:, 2] < 3).sum())
    colours = f", {grey:,} of {len(shapes):,} grey" if grey < len(shapes) else ", grey"
    return (same if len(sizes) == 1 else various) + (colours if grey else "")


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def notes_on(shapes: NDArray[np.int64], files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Sentences on what is odd about a set of images: copies, proportions, tiny ones.

    Parameters
    ----------
    shapes : (n, 3) array
    files, names : sequence of n
        Or none, of images that are no files.
    """
    found = []
    if copies := n_copies(files):
        share = 100 * copies / len(files)
        found.append(f"{copies:,} of {len(files):,} images are copies of another, byte for byte ({share:.2g}%)")
    wide = shapes[:, 1] / shapes[:, 0]
    if wide.max() > PROPORTIONS * wide.min():
        found.append(
            f"their proportions differ, {wide.min():.2g} to {wide.max():.2g} times as wide as high: all are brought to "
            "one, which distorts; crop them alike where that matters"
        )
    if len(tiny := np.flatnonzero(shapes[:, :2].min(axis=1) < SMALL)):
        which = f": {listing(names[row] for row in tiny.tolist())}" if len(names) and len(tiny) < len(shapes) else ""
        found.append(f"{len(tiny):,} of {len(shapes):,} images have sides of less than {SMALL} pixels{which}")
    return found


def n_copies(files: Iterable[Path]) -> int:
    """How many files repeat another one; only those of equal size are read."""
    alike = defaultdict(list)
    for file in files:
        with suppress(OSError):  # whoever reads it will say so
            found = os.stat(file)
            if stat.S_ISREG(found.st_mode):  # a pipe has size 0, and would keep us waiting
                alike[found.st_size].append(file)
    return sum(len(some) - len({*map(_digest, some)}) for some in alike.values() if len(some) > 1)


def _digest(file: Path) -> bytes:
    with suppress(OSError), file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").digest()
    return os.fsencode(file)


def folders_of(names: Sequence[str]) -> list[str]:
    """The folder of each file below the one that all have in common; "" of those that lie in that one.

    Examples
    --------
    >>> folders_of(["cat/1.png", "cat/old/2.png", "dog/1.png", "3.png"])
    ['cat', 'cat', 'dog', '']
    """
    parts = [name.split("/")[:-1] for name in names]
    common = len(os.path.commonprefix(parts)) if parts else 0  # noqa: RUF071 - of lists, whose items it compares
    return [folders[common] if len(folders) > common else "" for folders in parts]


def folder_note(folders: Sequence[Any]) -> list[str]:
    """A sentence on folders whose names could be taken for labels, if there are several."""
    counts = Counter(folders)
    if len(counts) < 2:
        return []
    names = listing(name or "." for name in sorted(counts))
    return [
        f"the images lie in {len(counts)} folders ({names}), whose names play no part; expose classify learns them as "
        "classes"
    ]
