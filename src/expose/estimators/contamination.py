"""The share of anomalies to assume: given, estimated from scores, or from labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose.encoders import Layout
from expose.exposure import (
    HIGHEST_SHARE,
    ContaminationEstimate,
    estimate_contamination,
    given_contamination,
    labelled_contamination,
    overlapping_contamination,
    select_contamination,
    varied_contamination,
)
from expose.objectives import MemoryObjective, Objective
from expose.training import choose_places, reference_points, remembered_evidence

ESTIMATE_ROWS = 20_000  # from which "auto" estimates the contamination
FOREST_TREES = 300  # with 100 the estimate depends more on the seed (docs/notes/contamination.md)
FEWEST_LABELS = 10  # from which "auto" estimates the contamination

Floats = NDArray[np.float64]
Evidence = Callable[[NDArray[np.float32]], Floats]


def settle_contamination(
    contamination: float | str,
    objective: Objective,
    layout: Layout,
    rows: NDArray[np.float32],
    known: NDArray[np.int8] | None,
    seed: int,
    likeness: float | None = None,
) -> ContaminationEstimate:
    """The share of anomalies among the unlabelled samples.

    Parameters
    ----------
    contamination : float or "auto"
        The share among all samples, or the wish to have it estimated.
    objective, layout
        An objective that remembers rows gives evidence of its own; for others an isolation forest does.
    rows : (n, D) array, or (n, P, D)
        One vector per sample, or its parts where these overlap with those of its neighbours.
    known : (n,) array or None
    seed : int
    likeness : float or None
        How alike the samples are, where their encoder can tell: see `varied_contamination`.
    """
    unlabelled = rows if known is None else rows[known == -1]
    memory = objective if isinstance(objective, MemoryObjective) else None

    def evidence(some: NDArray[np.float32]) -> Floats:
        if memory is None:
            return isolation_scores(some if some.ndim == 2 else some.mean(axis=1), seed)
        return np.asarray(remembered_evidence(memory, layout, torch.from_numpy(some), seed), dtype=np.float64)

    if contamination == "auto" and known is not None and enough_labels(known):
        most = ESTIMATE_ROWS if memory is None else reference_points(memory)
        return of_unlabelled(labelled_share(evidence, most, rows, known, seed), known)
    if contamination == "auto" and len(unlabelled) > 1 and rows.ndim == 3:
        return overlapping_contamination(evidence(some_of(unlabelled, seed)))
    if contamination == "auto" and len(unlabelled) > 1:
        estimate = estimate_contamination if memory is None else select_contamination
        found = estimate(evidence(unlabelled))
        return found if likeness is None else varied_contamination(likeness, objective.varied_share, found)
    share = 0.0 if contamination == "auto" else float(contamination)
    if known is None:
        return given_contamination(share)
    if len(unlabelled) == 0:
        return ContaminationEstimate(0.0, 0.0, 0.0, "every row has a known label")
    return of_unlabelled(given_contamination(share), known)


def enough_labels(known: NDArray[np.int8]) -> bool:
    """Whether labels tell the share: enough of them, and not mostly anomalies, as a list of known frauds is."""
    normal, anomalies = int((known == 0).sum()), int((known == 1).sum())
    return normal + anomalies >= FEWEST_LABELS and normal >= anomalies and bool((known == -1).any())


def labelled_share(
    evidence: Evidence, most: int, rows: NDArray[np.float32], known: NDArray[np.int8], seed: int
) -> ContaminationEstimate:
    """The share among all samples, from labels, and from scores that know of none."""
    place = choose_places(torch.from_numpy(known), most, most // 2, torch.Generator().manual_seed(seed)).numpy()
    return labelled_contamination(evidence(rows[place]), known[place])


def of_unlabelled(estimate: ContaminationEstimate, known: NDArray[np.int8]) -> ContaminationEstimate:
    """The share among the unlabelled samples, from that among all, which counts known anomalies."""
    found, left = int((known == 1).sum()), int((known == -1).sum())
    value, low, high = (
        min(HIGHEST_SHARE, max(0.0, (share * len(known) - found) / left))
        for share in (estimate.value, estimate.low, estimate.high)
    )
    return ContaminationEstimate(value, low, high, estimate.method)


def some_of(rows: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """At most 20,000 of them, at random."""
    if len(rows) <= ESTIMATE_ROWS:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), ESTIMATE_ROWS, replace=False)]


def isolation_scores(rows: NDArray[np.float32], seed: int) -> Floats:
    """Anomaly scores of an isolation forest on at most 20,000 of the rows; serves the contamination estimate only."""
    rows = some_of(rows, seed)
    forest = IsolationForest(n_estimators=FOREST_TREES, random_state=seed % 2**32).fit(rows)
    return -np.asarray(forest.score_samples(rows), dtype=np.float64)
