"""What a detector decides before it trains: the contamination to assume, and the loop's settings."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose.exposure import HIGHEST_SHARE, ContaminationEstimate, estimate_contamination, given_contamination
from expose.objectives import Objective
from expose.training import Settings, default_batch_size, default_epochs, mix

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

ESTIMATE_ROWS = 20_000  # rows from which "auto" estimates the contamination
FOREST_TREES = 300  # with 100 the estimate depends more on the seed (docs/notes.md)
PREPARE_ROWS = 4096
UNDETERMINING = {"objective", "threshold", "verbose", "checkpoint", "checkpoint_every", "random_state"}


def settle_contamination(
    contamination: float | str, rows: NDArray[np.float32], known: NDArray[np.int8] | None, seed: int
) -> ContaminationEstimate:
    """The share of anomalies to assume among the unlabelled rows: given for all rows, or estimated."""
    unlabelled = rows if known is None else rows[known == -1]
    if contamination == "auto" and len(unlabelled) > 1:
        return estimate_contamination(isolation_scores(unlabelled, seed))
    share = 0.0 if contamination == "auto" else float(contamination)
    if known is None:
        return given_contamination(share)
    if len(unlabelled) == 0:
        return ContaminationEstimate(0.0, 0.0, 0.0, "every row has a known label")
    rest = (share * len(rows) - int((known == 1).sum())) / len(unlabelled)
    return given_contamination(min(HIGHEST_SHARE, max(0.0, rest)))


def share_of_all(share_of_unlabelled: float, known: NDArray[np.int8] | None) -> float:
    """The share of anomalies among all training rows, known anomalies included."""
    if known is None:
        return share_of_unlabelled
    return float((share_of_unlabelled * (known == -1) + (known == 1)).mean())


def isolation_scores(rows: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Anomaly scores of an isolation forest on at most 20,000 of the rows; serves the contamination estimate only."""
    if len(rows) > ESTIMATE_ROWS:
        rows = rows[np.random.default_rng(seed).choice(len(rows), ESTIMATE_ROWS, replace=False)]
    forest = IsolationForest(n_estimators=FOREST_TREES, random_state=seed % 2**32).fit(rows)
    return -np.asarray(forest.score_samples(rows), dtype=np.float64)


def prepare_sample(known: NDArray[np.int8] | None, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Numbers of at most 4,096 random rows, none a known anomaly, on which members prepare and diagnose themselves."""
    rows = np.arange(n_rows) if known is None else np.flatnonzero(known != 1)
    if len(rows) <= PREPARE_ROWS:
        return rows
    return np.random.default_rng(seed).choice(rows, PREPARE_ROWS, replace=False)


def settings_for(
    detector: AnomalyDetector, objective: Objective, root: int, arrays: tuple[NDArray[Any] | None, ...]
) -> Settings:
    """The detector's parameters with their defaults resolved for these training arrays (rows first)."""
    n_rows = len(arrays[0]) if arrays[0] is not None else 0
    batch_size = detector.batch_size or default_batch_size(n_rows)
    return Settings(
        seeds=tuple(mix(root, member) for member in range(detector.members)),
        epochs=detector.epochs or default_epochs(n_rows, batch_size),
        batch_size=batch_size,
        learning_rate=detector.learning_rate,
        weight_decay=detector.weight_decay,
        halve_every=detector.halve_every,
        warmup=detector.warmup,
        ranking=detector.ranking,
        outlier_weight=detector.outlier_weight,
        patience=detector.patience,
        checkpoint=None if detector.checkpoint is None else Path(detector.checkpoint),
        checkpoint_every=detector.checkpoint_every,
        fingerprint=fingerprint(detector, objective, root, arrays) if detector.checkpoint else "",
        verbose=detector.verbose,
    )


def fingerprint(
    detector: AnomalyDetector, objective: Objective, root: int, arrays: tuple[NDArray[Any] | None, ...]
) -> str:
    """A digest of all that determines the training, so that a checkpoint serves only its own run."""
    parameters = {k: v for k, v in detector.get_params(deep=False).items() if k not in UNDETERMINING}
    digest = hashlib.sha256(json.dumps([parameters, root, version("expose"), torch.__version__], default=str).encode())
    digest.update(repr((objective.name, type(objective), objective.hyperparameters())).encode())
    for array in arrays:
        digest.update(repr(None if array is None else array.shape).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
