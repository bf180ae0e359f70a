"""Seconds of fitting: the default detector against an isolation forest and PyOD's deep detectors, as ratios.

All are fitted with their default parameters on the same correlated rows, on the CPU with one thread, each in a process
of its own, in which a forest takes turns with it: the best of several turns counts, fewer where a turn takes long.
Seconds are the processor's, so that other work on the machine hardly counts. The time of fitting includes the scores of
the training rows where a detector computes them, as ours and PyOD's do; the forest of scikit-learn does not, so its
scoring of these rows is told beside its fit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose_lab.pages import Page, Rows, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

COLUMNS = 30
SMALL = 10_000  # rows on which all are fitted
TURNS, ENOUGH = 5, 30.0  # at most, and the seconds after which no other one begins
WARM = 256  # rows fitted first, for what is imported on the way
FOREST = "IsolationForest"


def correlated(n: int, seed: int, columns: int = COLUMNS) -> NDArray[np.float32]:
    """Correlated normal rows, 1 in 100 of them three times as far out, (n, columns)."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(10, columns)).astype(np.float32)
    rows = rng.standard_normal((n, 10), np.float32) @ mixing + 0.3 * rng.standard_normal((n, columns), np.float32)
    rows[rng.random(n) < 0.01] *= 3
    return rows


def pyod(module: str, name: str, *arguments: Any, **parameters: Any) -> Any:
    """A deep detector of PyOD."""
    from importlib import import_module

    return getattr(import_module(f"pyod.models.{module}"), name)(*arguments, random_state=0, verbose=0, **parameters)


def forest() -> Any:
    """Scikit-learn's."""
    from sklearn.ensemble import IsolationForest

    return IsolationForest(random_state=0)


DETECTORS: dict[str, Callable[[], Any]] = {
    "default": lambda: AnomalyDetector(random_state=0, device="cpu"),
    "ntl": lambda: AnomalyDetector("ntl", random_state=0, device="cpu"),
    "PyOD AutoEncoder": lambda: pyod("auto_encoder", "AutoEncoder", device=torch.device("cpu")),
    "PyOD DeepSVDD": lambda: pyod("deep_svdd", "DeepSVDD", COLUMNS),
    "PyOD VAE": lambda: pyod("vae", "VAE", device=torch.device("cpu")),
}


def cells(rows: list[int], detectors: list[str], large: list[str]) -> Iterator[Row]:
    """These detectors on these numbers of rows, the fewest first; only some of them on many."""
    for n in sorted(rows):
        yield from ({"detector": name, "rows": n} for name in detectors if n <= SMALL or name in large)


def measure(cell: Row, data: Path) -> Row:
    """Fit in turns with a forest, which also scores the rows."""
    torch.set_num_threads(1)
    make, X = DETECTORS[cell["detector"]], correlated(cell["rows"], seed=1)
    machine = {"load": os.getloadavg()[0], "processors": os.cpu_count()}
    turn(make, X[:WARM])
    turns: list[tuple[float, ...]] = []
    while not turns or (len(turns) < TURNS and sum(map(sum, turns)) < ENOUGH):
        turns.append(turn(make, X))
    seconds, fit, score = map(min, zip(*turns, strict=True))
    taken = {"seconds": seconds, "forest_fit_seconds": fit, "forest_score_seconds": score, "turns": len(turns)}
    return {**taken, "times_forest": seconds / (fit + score), "clock": "processor", "threads": 1, **machine}


def turn(make: Callable[[], Any], X: NDArray[np.float32]) -> tuple[float, float, float]:
    """Seconds of a detector's fit, of the forest's, and of its scoring."""
    trees = forest()
    fit, score = used(trees.fit, X), used(trees.score_samples, X)
    return used(make().fit, X), fit, score


def used(act: Callable[[Any], Any], X: NDArray[np.float32]) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    act(X)
    return time.process_time() - started


def context(page: Page) -> dict[str, Any]:
    """Seconds and ratios to the forest's: to its fit on the page of `auto`, to fit and scoring on that of speed."""
    found = page.rows("fit_cost")
    sizes = sorted(found.each("rows"))
    header = ["detector", *(f"{n:,} rows" for n in sizes)]
    names = sorted(found.each("detector"), key=list(DETECTORS).index)
    with_scoring = Rows(row for row in found if row.get("times_forest"))
    loads = with_scoring.values("load")
    days = sorted({text[:10] for text in found.values("finished")})
    return {
        "table": table(header, lines(found, names, sizes, fit_alone)),
        "with_scoring": table(header, lines(with_scoring, names, sizes, fit_and_scoring)) if with_scoring else "",
        "load": f"{min(loads):.1f} to {max(loads):.1f}" if loads else "",
        "threads": found[0]["threads"],
        "columns": COLUMNS,
        "days": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "wall": max(found.where(clock="wall").values("rows"), default=0),
    }


Say = Callable[[Row], tuple[float, float]]  # seconds of a detector, and of the forest


def lines(found: Rows, names: list[str], sizes: list[int], say: Say) -> Iterator[list[str]]:
    """The forest, and what was fitted beside it."""
    forests = [[say(row)[1] for row in found.where(rows=n)] for n in sizes]
    yield [FOREST, *(said(min(some), min(some)) if some else "—" for some in forests)]
    for name in names:
        here = [found.where(detector=name, rows=n) for n in sizes]
        if any(here):
            yield [name, *(said(*say(some[-1])) if some else "—" for some in here)]


def fit_alone(row: Row) -> tuple[float, float]:
    """Fit beside fit."""
    return row["seconds"], row["forest_fit_seconds"]


def fit_and_scoring(row: Row) -> tuple[float, float]:
    """Fit, which scores the rows, beside fit and scoring."""
    return row["seconds"], row["forest_fit_seconds"] + row["forest_score_seconds"]


def said(taken: float, forest_: float) -> str:
    """How many times the forest's seconds, and seconds."""
    return f"{rounded(taken / forest_)} x ({rounded(taken)} s)"


def rounded(number: float) -> str:
    """Two digits at least, and none behind the point of large numbers."""
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2g}"


STUDY = Study(
    "fit_cost",
    "seconds of fitting beside an isolation forest and PyOD's deep detectors; on the pages of auto and one_row",
    cells=cells,
    measure=measure,
    options={
        "rows": [1_000, 10_000, 100_000, 1_000_000],
        "detectors": list(DETECTORS),
        "large": ["default"],
    },
    apart=True,
)
