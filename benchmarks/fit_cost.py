"""Seconds of fitting: the default detector against an isolation forest and PyOD's deep detectors, as ratios.

All are fitted with their default parameters on the same rows of 30 correlated columns, on the CPU, one after the other
in the same run, each in a process of its own; for every number of rows all of them before the next number. A detector
that took longer than the limit is not tried on more rows. The time of fitting includes the scores of the training rows
where a detector computes them, as ours and PyOD's do; the forest of scikit-learn does not.

    python benchmarks/fit_cost.py [--rows 1000 10000 100000 1000000] [--limit 60]
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from scoring_speed import COLUMNS, rows_of

RESULTS = Path(__file__).parent / "results" / "fit_cost.json"
LIBRARIES = ("torch", "scikit-learn", "pyod", "numpy")
FOREST = "IsolationForest"


def detectors() -> dict[str, Any]:
    """Unfitted, by name."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.deep_svdd import DeepSVDD
    from pyod.models.vae import VAE
    from sklearn.ensemble import IsolationForest

    from expose import AnomalyDetector

    return {
        FOREST: IsolationForest(random_state=0),
        "default": AnomalyDetector(random_state=0, device="cpu"),
        "ntl": AnomalyDetector("ntl", random_state=0, device="cpu"),
        "PyOD AutoEncoder": AutoEncoder(random_state=0, device=torch.device("cpu"), verbose=0),
        "PyOD DeepSVDD": DeepSVDD(COLUMNS, random_state=0, verbose=0),
        "PyOD VAE": VAE(random_state=0, device=torch.device("cpu"), verbose=0),
    }


def seconds(name: str, rows: int) -> float:
    """Fit once."""
    detector, X = detectors()[name], rows_of(rows, seed=1)
    start = time.perf_counter()
    detector.fit(X)
    return time.perf_counter() - start


def measure(rows: list[int], limit: float) -> list[dict[str, Any]]:
    """All detectors on every number of rows, the fewest first."""
    names, found, slow = list(detectors()), [], set()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as one_by_one:
        for n in sorted(rows):
            taken = {name: one_by_one.submit(seconds, name, n).result() if name not in slow else None for name in names}
            slow |= {name for name, time_taken in taken.items() if time_taken is None or time_taken > limit}
            for name, time_taken in taken.items():
                ratio = None if time_taken is None else round(time_taken / (taken[FOREST] or 1), 1)
                found.append({"detector": name, "rows": n, "seconds": time_taken, "times_the_forest": ratio})
                print(found[-1], flush=True)
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Seconds and, in brackets, the ratio to the forest, as Markdown."""
    rows, names = sorted({one["rows"] for one in found}), dict.fromkeys(one["detector"] for one in found)
    cell = {(one["detector"], one["rows"]): one for one in found}
    lines = ["| detector | " + " | ".join(f"{n:,} rows" for n in rows) + " |", "|---" + "|--:" * len(rows) + "|"]
    for name in names:
        here = [cell[name, n] for n in rows]
        said = ["—" if c["seconds"] is None else f"{c['seconds']:.1f} s ({c['times_the_forest']:g} x)" for c in here]
        lines.append(f"| {name} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds; slower ones are not tried on more rows")
    options = parser.parse_args()
    found = measure(options.rows, options.limit)
    print(table(found))
    about = {
        "date": datetime.date.today().isoformat(),
        "columns": COLUMNS,
        "limit": options.limit,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in LIBRARIES},
    }
    RESULTS.write_text(json.dumps(about | {"results": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
