"""Rows of the kinds a user brings: tables, images, texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Seed = int | np.random.Generator | None
Indices = NDArray[np.intp]


def kind_of(data: Any) -> str:
    """Tell what the rows are: "table", "image" or "text".

    >>> kind_of(["a text"]), kind_of(np.zeros((5, 8, 8))), kind_of([[1.0, 2.0]])
    ('text', 'image', 'table')
    """
    if isinstance(data, np.ndarray):
        return "image" if data.ndim in (3, 4) else "text" if data.ndim == 1 and _all_text(data) else "table"
    if isinstance(data, list | tuple) and len(data):
        if _all_text(data):
            return "text"
        return "image" if all(isinstance(row, np.ndarray) and row.ndim in (2, 3) for row in data) else "table"
    if len(getattr(data, "shape", ())) == 1 and _all_text(data):  # a column of a frame
        return "text"
    return "table"


def _all_text(rows: Any) -> bool:
    return len(rows) > 0 and all(isinstance(row, str) for row in rows)


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
    """How many outliers to make: as many as there are rows, unless told."""
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


def take(data: Any, rows: Indices | Sequence[int]) -> Any:
    """Return rows of data by number, as the kind of thing they came in."""
    if isinstance(data, np.ndarray):
        return data[np.asarray(rows, dtype=np.intp)]
    if isinstance(data, list | tuple):
        return [data[row] for row in rows]
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, allow_series=True)
    return nw.maybe_reset_index(frame[np.asarray(rows, dtype=np.intp).tolist()]).to_native()


def n_rows_of(data: Any) -> int:
    """Count the rows."""
    return int(data.shape[0]) if hasattr(data, "shape") else len(data)
