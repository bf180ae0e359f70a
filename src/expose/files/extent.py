"""How much there is in files, before their rows are read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from expose.files.parquet import Parquet
from expose.files.reading import Tables

_PACKED: Final = {".gz": 5, ".bz2": 7, ".xz": 8, ".zst": 5, ".zip": 5}  # how much larger such files are, about
_LOOKED_AT: Final = 1_024  # rows
_WIDE: Final = 64  # bytes that few values exceed


class Extent(NamedTuple):
    """How many rows there are, None if only reading would tell, and how many bytes in Arrow's form, about."""

    rows: int | None
    bytes: int
    row_bytes: float


def extent_of(tables: Tables) -> Extent:
    """Look at the first rows, at what Parquet files say of themselves, and at the size of others.

    Files that are not on this machine, and are no Parquet, count for nothing.
    """
    first = next(iter(tables.batches(_LOOKED_AT)))
    row_bytes = first.nbytes / first.num_rows
    rows, others = parts_of(tables)
    return Extent(rows if others is None else None, round(rows * row_bytes) + (others or 0), row_bytes)


def most_bytes(tables: Tables) -> int:
    """More bytes than most tables have, found without reading a row."""
    rows, others = parts_of(tables)
    return rows * len(tables.schema) * _WIDE + (others or 0)


def parts_of(tables: Tables) -> tuple[int, int | None]:
    """Rows of the Parquet files, and bytes of the others, None without any."""
    parquet = [file for file in tables.files if isinstance(file, Parquet)]
    others = [size_of(Path(file.label)) for file in tables.files if not isinstance(file, Parquet)]
    return sum(sum(file.rows_of_groups()) for file in parquet), sum(others) if others else None


def size_of(path: Path) -> int:
    """Bytes of a file, of a packed one about when it is unpacked; 0 of none."""
    with suppress(OSError):
        return path.stat().st_size * _PACKED.get(path.suffix.lower(), 1)
    return 0
