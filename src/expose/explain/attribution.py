"""Which columns make a row unusual: a batched, model-agnostic attribution on the anomaly score.

For every suspect and column two questions are asked of the model, averaged over several typical rows:

- how far does the score **fall** when this column of the suspect is replaced by a typical value, and
- how far does the score of a typical row **rise** when it is given the suspect's value.

They are the two ends of a Shapley value: the column joins last, and the column joins first. The first alone
misses a row with two independent faults (repairing one leaves the other), the second alone misses a
combination that is odd only together; their mean sees both, at the cost of two scores per pair instead of two
to the number of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]

MOST_REFERENCES, FEWEST_REFERENCES = 16, 4  # typical rows averaged over
MOST_COLUMNS = 64  # columns examined per suspect
FEWEST_COLUMNS = 6  # ... however wide the data
ROWS_IN_ALL = 100_000  # rows sent through the model, and
CELLS_IN_ALL = 50_000_000  # numbers: bound the time
CELLS_AT_ONCE = 8_000_000  # numbers in memory at a time: 32 MB


@dataclass(frozen=True)
class Attribution:
    """Columns examined for each of S suspects, the most telling first.

    Attributes
    ----------
    columns : (S, K) array of int
        Positions in ``groups``.
    effects : (S, K) array of float
        Change of the anomaly score due to the column, in units of the score, descending along each row.
    excess : (S,) array of float
        Score of the suspect minus the mean score of the typical rows.
    """

    columns: Indices
    effects: npt.NDArray[np.float64]
    excess: npt.NDArray[np.float64]

    def shares(self) -> npt.NDArray[np.float64]:
        """Effects as a share of the excess, (S, K), at least 0; zero where a suspect has no excess."""
        excess = np.where(self.excess > 0, self.excess, np.inf)
        return np.maximum(self.effects, 0.0) / excess[:, None]


def attribute(
    score: Score,
    rows: npt.NDArray[np.float32],
    typical: npt.NDArray[np.float32],
    groups: Sequence[tuple[str, slice]],
    *,
    seed: int = 0,
) -> Attribution:
    """Measure what each column adds to the anomaly score of each row.

    Parameters
    ----------
    score : callable
        Maps encoded rows (n, D) to anomaly scores (n,), higher = more anomalous.
    rows : (S, D) array of float32
        The encoded suspects.
    typical : (T, D) array of float32
        Encoded typical rows, T >= 1. The effects are averaged over at most 16 of them, 4 where there are many suspects.
    groups : sequence of (name, slice)
        Input columns and the encoded columns that belong to each. An empty slice is never examined.
    seed : int
        Chooses which typical rows are used; the same seed gives the same answer.

    Returns
    -------
    Attribution
        At most ``MOST_COLUMNS`` columns per row. Where there are more, those whose encoded values lie
        furthest from the typical rows, in units of their spread, are examined.

    Examples
    --------
    >>> import numpy as np
    >>> distance = lambda rows: np.abs(rows).sum(axis=1).astype(float)
    >>> typical = np.zeros((4, 3), dtype=np.float32)
    >>> odd = np.array([[0.0, 9.0, 1.0]], dtype=np.float32)
    >>> groups = [("a", slice(0, 1)), ("b", slice(1, 2)), ("c", slice(2, 3))]
    >>> found = attribute(distance, odd, typical, groups)
    >>> found.columns[0].tolist(), found.effects[0].tolist()
    ([1, 2, 0], [9.0, 1.0, 0.0])
    """
    owner = column_owners(groups, rows.shape[1])
    n_references, n_columns = _affordable(len(rows), len(typical), len(np.unique(owner[owner >= 0])), rows.shape[1])
    references = typical[np.random.default_rng(seed).permutation(len(typical))[:n_references]]
    columns = most_deviant(rows, typical, owner, n_columns)
    row_scores, reference_scores = score(rows), score(references)
    effects = np.concatenate(
        [
            _effects(score, rows[chunk // columns.shape[1]], columns.reshape(-1)[chunk], references, owner)
            for chunk in _chunks(columns.size, len(references) * rows.shape[1])
        ]
        or [np.empty(0)]  # no column was worth encoding
    )
    # An effect is half of (score - mixed) + (mixed - reference score), and _effects leaves the constants out.
    excess = row_scores - reference_scores.mean()
    effects = (effects.reshape(columns.shape) + excess[:, None]) / 2
    best = np.argsort(-effects, axis=1, kind="stable")
    return Attribution(np.take_along_axis(columns, best, 1), np.take_along_axis(effects, best, 1), excess)


def most_anomalous_parts(score: Score, parts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of each encoded sample, ``(n, D)`` or ``(n, P, D)``, the part that its score comes from, ``(n, D)``."""
    if parts.ndim == 2:
        return parts
    scores = score(parts.reshape(-1, parts.shape[-1])).reshape(parts.shape[:2])  # (n, P)
    chosen: npt.NDArray[np.float32] = parts[np.arange(len(parts)), scores.argmax(axis=1)]
    return chosen


def column_owners(groups: Sequence[tuple[str, slice]], n_encoded: int) -> Indices:
    """Position in ``groups`` of each encoded column, (D,); -1 for a column that no group claims."""
    owner = np.full(n_encoded, -1, dtype=np.intp)
    for position, (_, part) in enumerate(groups):
        owner[part] = position
    return owner


def most_deviant(
    rows: npt.NDArray[np.float32], typical: npt.NDArray[np.float32], owner: Indices, n_columns: int
) -> Indices:
    """Columns of each row that lie furthest from the typical rows, (S, K), by their furthest encoded part."""
    centre = np.asarray(np.median(typical, axis=0), dtype=np.float32)
    spread = np.abs(typical - centre).mean(axis=0) + 1e-3
    distance = np.abs(rows - centre) / spread  # (S, D)
    claimed = np.flatnonzero(owner >= 0)
    order = claimed[np.argsort(owner[claimed], kind="stable")]
    present, starts = np.unique(owner[order], return_index=True)
    by_column = np.maximum.reduceat(distance[:, order], starts, axis=1)  # (S, C)
    furthest = np.argsort(-by_column, axis=1, kind="stable")[:, :n_columns]
    return present[furthest]


def _affordable(n_rows: int, n_typical: int, n_columns: int, n_encoded: int) -> tuple[int, int]:
    """How many typical rows to average over, and how many columns to examine, for each suspect."""
    scores = min(ROWS_IN_ALL, CELLS_IN_ALL // n_encoded) // (2 * max(n_rows, 1))  # two for each column and typical row
    affordable = scores // max(1, min(n_columns, MOST_COLUMNS))
    references = min(n_typical, int(np.clip(affordable, FEWEST_REFERENCES, MOST_REFERENCES)))
    return references, int(np.clip(scores // references, FEWEST_COLUMNS, MOST_COLUMNS))


def _chunks(n_pairs: int, cells_per_pair: int) -> list[Indices]:
    size = max(1, CELLS_AT_ONCE // cells_per_pair)
    return [np.arange(start, min(start + size, n_pairs)) for start in range(0, n_pairs, size)]


def _effects(
    score: Score,
    rows: npt.NDArray[np.float32],
    columns: Indices,
    references: npt.NDArray[np.float32],
    owner: Indices,
) -> npt.NDArray[np.float64]:
    """Score of typical rows given one column of a row, minus that of the row given a typical one, (P,)."""
    swap = (owner == columns[:, None])[:, None, :]  # (P, 1, D)
    mine, theirs = rows[:, None, :], references[None, :, :]  # (P, 1, D), (1, R, D)
    spoiled = _mean_scores(score, np.where(swap, mine, theirs))
    repaired = _mean_scores(score, np.where(swap, theirs, mine))
    return spoiled - repaired


def _mean_scores(score: Score, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    pairs, references, width = rows.shape
    scores = score(rows.reshape(-1, width)).reshape(pairs, references)
    return np.asarray(scores.mean(axis=1), dtype=np.float64)
