"""Seconds of fitting: the default detector against an isolation forest and PyOD's deep detectors, as ratios.

All are fitted with their default parameters on the same rows of 30 correlated columns, on the CPU with one thread, one
after the other, each in a process of its own. Seconds are the processor's, so that other work on the machine does not
count. The time of fitting includes the scores of the training rows where a detector computes them, as ours and PyOD's
do; the forest of scikit-learn does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

COLUMNS = 30
FOREST = "IsolationForest"


def correlated(n: int, seed: int) -> NDArray[np.float32]:
    """Correlated normal rows, 1 in 100 of them three times as far out, (n, 30)."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(10, COLUMNS)).astype(np.float32)
    rows = rng.standard_normal((n, 10), np.float32) @ mixing + 0.3 * rng.standard_normal((n, COLUMNS), np.float32)
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
    FOREST: forest,
    "default": lambda: AnomalyDetector(random_state=0, device="cpu"),
    "ntl": lambda: AnomalyDetector("ntl", random_state=0, device="cpu"),
    "PyOD AutoEncoder": lambda: pyod("auto_encoder", "AutoEncoder", device=torch.device("cpu")),
    "PyOD DeepSVDD": lambda: pyod("deep_svdd", "DeepSVDD", COLUMNS),
    "PyOD VAE": lambda: pyod("vae", "VAE", device=torch.device("cpu")),
}


def cells(rows: list[int], detectors: list[str]) -> Iterator[Row]:
    """These detectors on these numbers of rows, the fewest first."""
    for n in sorted(rows):
        yield from ({"detector": name, "rows": n} for name in detectors)


def measure(cell: Row, data: Path) -> Row:
    """Fit once."""
    torch.set_num_threads(1)
    detector, X = DETECTORS[cell["detector"]](), correlated(cell["rows"], seed=1)
    start = time.process_time()
    detector.fit(X)
    return {"seconds": time.process_time() - start, "clock": "processor", "threads": 1}


def context(page: Page) -> dict[str, Any]:
    """Seconds and, in brackets, the ratio to the forest; shown on the page of `auto`."""
    found = page.rows("fit_cost")
    sizes = sorted(found.each("rows"))
    taken = {(one["detector"], one["rows"]): one["seconds"] for one in found}
    lines = [
        [name, *(said(taken[name, n], taken[FOREST, n]) if (name, n) in taken else "—" for n in sizes)]
        for name in sorted(found.each("detector"), key=list(DETECTORS).index)
    ]
    days = sorted({text[:10] for text in found.values("finished")})
    return {
        "table": table(["detector", *(f"{n:,} rows" for n in sizes)], lines),
        "threads": found[0]["threads"],
        "columns": COLUMNS,
        "days": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "wall": max(found.where(clock="wall").values("rows"), default=0),
    }


def said(taken: float, forest_: float) -> str:
    """Seconds and how many times the forest's."""
    ratio = taken / forest_
    return f"{taken:.1f} s ({ratio:.0f} x)" if ratio >= 10 else f"{taken:.1f} s ({ratio:.2g} x)"


STUDY = Study(
    "fit_cost",
    "seconds of fitting beside an isolation forest and PyOD's deep detectors; shown on the page of auto",
    cells=cells,
    measure=measure,
    options={"rows": [1_000, 10_000], "detectors": list(DETECTORS)},
    apart=True,
)
