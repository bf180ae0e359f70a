"""Numbers of rows, and rows by number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds import Images, Table, Texts, as_images

Seed = int | np.random.Generator | None
Indices = NDArray[np.intp]


def check_texts(texts: Any) -> list[str]:
    """Return texts as a list.

    >>> check_texts("one text")
    Traceback (most recent call last):
    expose.errors.InputError: expected texts, a list of str; got str. Put a single text into a list.
    """
    if isinstance(texts, str):
        raise InputError("expected texts, a list of str; got str. Put a single text into a list.")
    rows = list(texts)
    wrong = [type(row).__name__ for row in rows if not isinstance(row, str)]
    if wrong or not rows:
        got = f"{wrong[0]} among them" if rows else "none"
        raise InputError(f"expected texts, a list of str; got {got}. Leave out missing texts, or write them as ''.")
    return rows


def count(n: int | None, n_rows: int) -> int:
    """How many outliers to make: as many as there are rows, unless a number is given."""
    wanted = n_rows if n is None else n
    if wanted < 1:
        raise InputError(f"n, the number of outliers to make, must be at least 1; got {wanted}.")
    return wanted


def passes(n_rows: int, n: int, generator: np.random.Generator) -> Indices:
    """``n`` row numbers in random order, (n,): each row once before any is used again."""
    rounds = -(-n // n_rows)
    return np.concatenate([generator.permutation(n_rows) for _ in range(rounds)])[:n]


def others(rows: Indices, n_rows: int, generator: np.random.Generator) -> Indices:
    """For each row number another one, (n,)."""
    return (rows + generator.integers(1, n_rows, size=len(rows))) % n_rows


def take(data: Any, rows: Indices) -> Any:
    """Return rows of data by number, as the kind of thing they came in; of a folder as `Images`."""
    if isinstance(data, np.ndarray):
        return data[rows]
    if isinstance(data, list | tuple):
        return [data[row] for row in rows]
    if isinstance(data, str | Path):
        data = as_images(data)
    if isinstance(data, Table | Images | Texts):
        return data.take(rows)
    if hasattr(data, "detach"):
        return data[rows.tolist()]
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, allow_series=True)
    return nw.maybe_reset_index(frame[rows.tolist()]).to_native()
