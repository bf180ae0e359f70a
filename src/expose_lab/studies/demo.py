"""How well the demo does over seeds: the shipped thyroid table, all defaults; beside it five members and forests.

Trains on all 3,772 rows, unlabelled, and ranks the same rows, as ``expose demo`` does. Labels serve for figures only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sklearn.ensemble import IsolationForest

from expose import AnomalyDetector
from expose_lab.datasets import thyroid
from expose_lab.metrics import auroc, precision_at_k
from expose_lab.store import Row
from expose_lab.studies.base import Study

FOREST = "isolation forest"
SIZES = {"defaults": 1, "ensemble_size=5": 5}


def cells(seeds: int) -> Iterator[Row]:
    """Each detector and seed."""
    for name in (FOREST, *SIZES):
        yield from ({"detector": name, "seed": seed} for seed in range(seeds))


def measure(cell: Row, data: Path) -> Row:
    """AUROC and precision among the first 10, 50, and as many as there are anomalies."""
    table, seed, share, started = thyroid(), cell["seed"], None, time.perf_counter()
    if cell["detector"] == FOREST:
        scores = -IsolationForest(random_state=seed).fit(table.X).score_samples(table.X)
    else:
        detector = AnomalyDetector(ensemble_size=SIZES[cell["detector"]], random_state=seed).fit(table.X)
        scores, share = detector.training_scores_, detector.contamination_
    seconds = time.perf_counter() - started
    precision = {f"precision_at_{k}": precision_at_k(table.y, scores, k) for k in (10, 50, int(table.y.sum()))}
    return {"auroc": auroc(table.y, scores), **precision, "contamination": share, "seconds": round(seconds, 1)}


STUDY = Study(
    "demo",
    "AUROC and precision of what `expose demo` does, over seeds",
    cells=cells,
    measure=measure,
    options={"seeds": 6},
)
