"""Outliers that are training samples too: what training would call normal and anomalous at once."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError
from expose.estimators.samples import Encoded
from expose.kinds import samples_of
from expose.outliers import check_overlap

HASHED = 2**22  # encoded values at a time


def warn_of_overlap(
    outliers: Any, rows: NDArray[np.float32], encoded: Encoded, known: NDArray[np.int8] | None = None
) -> None:
    """Warn of outliers that equal a training sample which is no known anomaly.

    Parameters
    ----------
    outliers : of the kind that is trained on
    rows : (r * P, D) array
        The same, encoded.
    encoded : Encoded
        Training samples.
    known : (n,) array, optional
        1 known anomaly.
    """
    same = equal_outliers(outliers, rows, encoded, known)
    if not same:
        return
    n_outliers = len(rows) // encoded.parts_per_sample
    message = (
        f"{same:,} of {n_outliers:,} outliers equal a training row, so the same is called normal and anomalous. Leave "
        "them out: expose.outliers.without_overlap(outliers, X, near=0). If they are known anomalies among the rows of "
        "X, say so in labels; if only a part of the outliers is anomalous, set outlier_share."
    )
    warnings.warn(message, DataWarning, stacklevel=6)  # the line that called fit


def equal_outliers(outliers: Any, rows: NDArray[np.float32], encoded: Encoded, known: NDArray[np.int8] | None) -> int:
    """How many outliers equal a training sample that is no known anomaly."""
    training = hashes(encoded.parts.reshape(len(encoded.parts), -1))
    others = hashes(rows.reshape(-1, encoded.parts[0].size))
    if known is not None:
        training = np.where(known == 1, 0, training)
    candidates = np.flatnonzero(np.isin(others, training) & (others != 0))
    if not len(candidates):
        return 0
    # unlike samples may be encoded alike, so the few that are alike are compared as they came
    mine = samples_of(outliers, encoded.kind).take(candidates)
    theirs = encoded.samples.take(np.flatnonzero(np.isin(training, others[candidates])))
    try:
        return len(check_overlap(mine, theirs, near=0).rows)
    except InputError:  # of some kinds it is not known what is equal
        return 0


def hashes(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A number for each row ``(n,)``, the same for equal rows, never 0, and rarely the same for others."""
    factors = np.random.default_rng(0).integers(1, 2**63, rows.shape[1], dtype=np.uint64) | np.uint64(1)
    found = np.empty(len(rows), dtype=np.uint64)
    step = max(1, HASHED // rows.shape[1])
    for start in range(0, len(rows), step):
        bits = np.ascontiguousarray(rows[start : start + step] + np.float32(0)).view(np.uint32)  # -0 becomes 0
        mixed = bits.astype(np.uint64) * factors
        found[start : start + step] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    return np.maximum(found, np.uint64(1))
