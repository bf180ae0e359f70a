"""Names as features: one-hot for the frequent ones, one column for the rest, and how common the name is."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.encoders.schema import CategoryColumn
from expose.errors import CountedWarning
from expose.kinds.columns import Categories

MOST_SLOTS: Final = 32  # categories with an encoded column of their own
MOST_KEYS: Final = 10_000  # categories remembered
FEWEST_ROWS_FOR_ID: Final = 20
NEARLY: Final = 0.9  # different texts, as a share of the rows: beyond it a name that occurs twice would count as odd


def fit_categories(column: Categories, name: str) -> CategoryColumn:
    """Learn the names in a column, how often each occurs, and whether any is missing."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.keys))
    seen = sorted((-int(count), key) for count, key in zip(counts, column.keys, strict=True) if count)
    keys, totals = tuple(key for _, key in seen), tuple(-count for count, _ in seen)
    n_present = sum(totals)
    gaps = 0 < n_present < len(column.codes)
    all_differ = n_present >= FEWEST_ROWS_FOR_ID and len(keys) > MOST_SLOTS and len(keys) >= NEARLY * n_present
    if not keys or (len(keys) == 1 and not gaps) or all_differ:
        # of texts that nearly all differ, the few that do not tell free text from an identifier
        kept = min(sum(total > 1 for total in totals), MOST_KEYS) if all_differ else MOST_KEYS
        return CategoryColumn(name, False, False, keys[:kept], totals[:kept], complete=len(keys) <= kept)
    many = len(keys) > MOST_SLOTS
    slots = sum(total > 1 for total in totals[:MOST_SLOTS]) if many else len(keys)
    return CategoryColumn(
        name, True, gaps, keys[:MOST_KEYS], totals[:MOST_KEYS], slots,
        complete=len(keys) <= MOST_KEYS, frequency=_frequency(totals) if many else None,
    )  # fmt: skip


def _frequency(totals: tuple[int, ...]) -> tuple[float, float]:
    """Return mean and standard deviation over the rows of log(1 + how often the row's name occurs)."""
    counts = np.array(totals, dtype=np.float64)
    logs = np.log1p(counts)
    mean = float(np.average(logs, weights=counts))
    spread = float(np.sqrt(np.average((logs - mean) ** 2, weights=counts)))
    return mean, spread if spread > 0 else 1.0


def encode_categories(column: Categories, schema: CategoryColumn, out: NDArray[Any]) -> None:
    """Write the encoded columns (n, width) of a column of names into zeros."""
    rank = {key: i for i, key in enumerate(schema.keys)}
    ranks = np.array([rank.get(key, -1) for key in column.keys] + [-1], dtype=np.int64)[column.codes]  # (n,)
    missing = column.missing
    _warn_unseen(column, (ranks < 0) & ~missing, schema)
    if not schema.used:
        return
    slot = np.where((ranks >= 0) & (ranks < schema.slots), ranks, schema.slots)
    if schema.indicator:
        slot = np.where(missing, schema.width - 1, slot)
    out[np.arange(len(slot)), slot] = 1.0
    if schema.frequency is not None:
        mean, spread = schema.frequency
        counts = np.array([*schema.counts, 0.0])[ranks]  # a name not remembered counts as never seen
        out[:, schema.slots + 1] = np.where(missing, 0.0, (np.log1p(counts) - mean) / spread)


def _warn_unseen(column: Categories, unseen: NDArray[np.bool_], schema: CategoryColumn) -> None:
    if not schema.complete or not unseen.any():
        return
    names = [column.keys[code] for code in np.unique(column.codes[unseen])]
    treatment = "they count as 'other'" if schema.used else "it was constant in training and is not used"
    seen = f"column {schema.name!r}: {{count}} row(s) hold names unseen in training ({{examples}}); {treatment}"
    warnings.warn(CountedWarning(seen, int(unseen.sum()), names), stacklevel=5)
