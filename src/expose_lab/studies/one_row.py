"""Milliseconds per call of scoring one row or a few: ours beside scikit-learn's IsolationForest, in one process.

All are fitted on the same rows of 30 correlated columns, with their default parameters. The calls of all scorers take
turns, each with rows of its own, so that what else runs on the machine meets all alike; the machine's load is told. The
median says what a call takes, the 99th percentile how long the slowest take; on a busy machine the processor's clock is
the fairer one. The forest is given the columns of an Arrow record batch as a matrix.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import make_objective
from expose_lab.pages import Page, Rows, count, table
from expose_lab.store import Row
from expose_lab.studies import fit_cost, live_latency, scoring_speed, training_speed
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import COLUMNS, FOREST, correlated, forest

TRAINING_ROWS, EPOCHS, WARM = 10_000, 5, 50
NAMES = [f"x{i}" for i in range(COLUMNS)]
CALLS = {
    "score": "`anomaly_score` of a NumPy array",
    "decide": "`scorer.decide` of a NumPy array",
    "arrow": "`scorer(batch)`, an Arrow record batch",
}
FORESTS = {"score": "`score_samples` of a NumPy array", "arrow": "an Arrow record batch as a matrix"}
BESIDE = {"score": "score", "decide": "score", "arrow": "arrow"}  # which of the forest's calls each stands beside
Call = Callable[[NDArray[np.float32], pa.RecordBatch], Any]


def cells(rows: list[int], calls: int) -> Iterator[Row]:
    """So many rows per call."""
    yield from ({"rows": n, "calls": calls, "threads": 1} for n in rows)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Fit all, then call them in turn."""
    torch.set_num_threads(cell["threads"])
    ways = scorers(correlated(TRAINING_ROWS, seed=0))
    fresh = correlated(cell["rows"] * (WARM + cell["calls"]), seed=1).reshape(-1, cell["rows"], COLUMNS)
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {way: [] for way in ways}
    for rows in fresh:
        batch = pa.record_batch(list(rows.T.copy()), NAMES)
        for named, call in ways.items():
            started, used = time.perf_counter(), time.thread_time()
            call(rows, batch)
            taken[named].append((time.perf_counter() - started, time.thread_time() - used))
    for (scorer, way), seconds in taken.items():
        (median, used), (slow, _) = 1000 * np.quantile(seconds[WARM:], [0.5, 0.99], axis=0)
        speed = {"median_ms": float(median), "p99_ms": float(slow), "processor_ms": float(used)}
        yield {"scorer": scorer, "call": way, **speed, "load": os.getloadavg()[0], "processors": os.cpu_count()}


def scorers(rows: NDArray[np.float32]) -> dict[tuple[str, str], Call]:
    """What is called, by the names of the scorer and of the way it is called."""
    trees = forest().fit(rows)
    found: dict[tuple[str, str], Call] = {
        (FOREST, "score"): lambda X, batch: trees.score_samples(X),
        (FOREST, "arrow"): lambda X, batch: trees.score_samples(np.column_stack([c.to_numpy() for c in batch.columns])),
    }
    for name in ("default", "ntl"):
        detector = AnomalyDetector(make_objective("ntl", epochs=EPOCHS) if name == "ntl" else "auto", random_state=0)
        found |= {(name, way): call for way, call in ours(detector.fit(rows)).items()}
    return found


def ours(detector: AnomalyDetector) -> dict[str, Call]:
    """The ways in which a detector is called."""
    scorer = detector.scorer()
    return {
        "score": lambda X, batch: detector.anomaly_score(X),
        "decide": lambda X, batch: scorer.decide(X),
        "arrow": lambda X, batch: scorer(batch),
    }


def context(page: Page) -> dict[str, Any]:
    """All that is measured of speed; of what was not measured yet there is nothing."""
    others = {study.STUDY.name: study for study in (scoring_speed, fit_cost, training_speed, live_latency)}
    return {name: study.context(page) if page.has(name) else {} for name, study in others.items()} | {
        "one_row": calls_of(page.rows("one_row"))
    }


def calls_of(found: Rows) -> dict[str, Any]:
    """How many times the forest's milliseconds, by scorer, way and rows."""
    sizes = sorted(found.each("rows"))
    lines = []
    for way, says in CALLS.items():
        for scorer in found.where(call=way).each("scorer"):
            here = [found.where(rows=n) for n in sizes]
            label = says if scorer != FOREST else FORESTS[way]
            lines.append([f"{scorer}, {label}", *(said(some, scorer, way) for some in here)])
    loads = found.values("load")
    return {
        "table": table(["scorer", *(f"{count(n, 'row')} per call" for n in sizes)], lines),
        "columns": COLUMNS,
        "training_rows": TRAINING_ROWS,
        "calls": found[0]["calls"],
        "threads": found[0]["threads"],
        "processors": found[0]["processors"],
        "load": f"{min(loads):.1f} to {max(loads):.1f}",
        "day": found.finished,
    }


def said(here: Rows, scorer: str, way: str) -> str:
    """Ratio by the processor's clock, medians by both clocks, and 99th percentile."""
    rows, beside = here.where(scorer=scorer, call=way), here.where(scorer=FOREST, call=BESIDE[way])
    if not rows:
        return "—"
    processor, wall, slow = (rows.mean(name) for name in ("processor_ms", "median_ms", "p99_ms"))
    return f"{processor / beside.mean('processor_ms'):.2f} x ({processor:.2f} / {wall:.2f} / {slow:.1f} ms)"


STUDY = Study(
    "one_row",
    "milliseconds per call of scoring one row or a few, beside an isolation forest; its page is that of all speed and "
    "also shows scoring_speed, fit_cost, training_speed and live_latency",
    cells=cells,
    measure=measure,
    options={"rows": [1, 10, 100], "calls": 200},
    page="benchmark/speed.md",
    context=context,
    apart=True,
)
