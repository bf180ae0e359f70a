"""Seconds of fitting: the default detector against an isolation forest and PyOD's deep detectors, as ratios.

All are fitted with their default parameters on the same rows of 30 correlated columns, on the CPU with one thread, one
after the other, each in a process of its own. Seconds are the processor's, so that other work on the machine does not
count; with one thread they are those of an idle machine. The time of fitting includes the scores of the training rows
where a detector computes them, as ours and PyOD's do; the forest of scikit-learn does not. Each result is kept at once
and takes the place of an older one of the same detector and number of rows.

    OMP_NUM_THREADS=1 python benchmarks/fit_cost.py [--rows 1000 10000] [--detectors IsolationForest default ...]
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Iterator
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
    start = time.process_time()
    detector.fit(X)
    return time.process_time() - start


def measure(names: list[str], rows: list[int]) -> Iterator[dict[str, Any]]:
    """These detectors on these numbers of rows, the fewest first."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as one_by_one:
        for n in sorted(rows):
            for name in names:
                taken = one_by_one.submit(seconds, name, n).result()
                day = datetime.date.today().isoformat()
                yield {"detector": name, "rows": n, "seconds": taken, "clock": "processor", "date": day}


def table(found: list[dict[str, Any]]) -> str:
    """Seconds and, in brackets, the ratio to the forest, as Markdown."""
    rows, names = sorted({one["rows"] for one in found}), dict.fromkeys(one["detector"] for one in found)
    taken = {(one["detector"], one["rows"]): one["seconds"] for one in found}
    lines = ["| detector | " + " | ".join(f"{n:,} rows" for n in rows) + " |", "|---" + "|--:" * len(rows) + "|"]
    for name in names:
        said = [cell(taken[name, n], taken[FOREST, n]) if (name, n) in taken else "—" for n in rows]
        lines.append(f"| {name} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def cell(taken: float, forest: float) -> str:
    """Seconds and how many times the forest's."""
    ratio = taken / forest
    return f"{taken:.1f} s ({ratio:.0f} x)" if ratio >= 10 else f"{taken:.1f} s ({ratio:.2g} x)"


def main() -> None:
    """Measure, keep each result, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--detectors", nargs="+", choices=list(detectors()), default=list(detectors()))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    order = list(detectors())
    about = {
        "columns": COLUMNS,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in LIBRARIES},
    }
    there = json.loads(options.out.read_text(encoding="utf-8"))["results"] if options.out.exists() else []
    found = {(one["rows"], order.index(one["detector"])): one for one in there}
    for one in measure(options.detectors, options.rows):
        print(one, flush=True)
        found[one["rows"], order.index(one["detector"])] = one
        results = [found[place] for place in sorted(found)]
        options.out.write_text(json.dumps(about | {"results": results}, indent=1) + "\n", encoding="utf-8")
    print(table([found[place] for place in sorted(found)]))


if __name__ == "__main__":
    main()
