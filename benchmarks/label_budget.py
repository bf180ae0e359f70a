"""What a few labels are worth: curves over 0 to 50 labels, asked for in rounds as a person would give them.

    python benchmarks/label_budget.py --data-dir DIR

For every table and seed, training rows hold 10 % of anomalies (protocol `disjoint`, the share as far as there are as
many). Three ways to choose the rows to be labelled are compared: `query`, at random, and the highest anomaly scores.
Labels come from the training rows; the test rows serve the metrics only. The line to beat is the same detector,
trained on the normal training rows alone. ``benchmarks/results/label_budget.json`` holds every run, and
``python benchmarks/few_labels_page.py`` writes docs/few-labels.md from it.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.errors import ExposeWarning
from expose.evaluation import EXTRA_TABLES, PAPER_TABLES, Split, auroc, average_precision, disjoint, load

TABLES = [name for name in [*PAPER_TABLES, *EXTRA_TABLES] if name != "speech"]  # speech is not to be had
BUDGETS = (5, 10, 20, 50)
RATIO, TRAIN_ROWS, TEST_ROWS = 0.1, 1000, 1000
OUT = Path(__file__).parent / "results" / "label_budget.json"
Labels = NDArray[np.int8]
Choose = Callable[[AnomalyDetector, Labels, int, np.random.Generator], NDArray[np.int64]]


def queried(detector: AnomalyDetector, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ours."""
    return detector.query(k)


def random(detector: AnomalyDetector, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Any unlabelled rows."""
    return rng.choice(np.flatnonzero(known == -1), k, replace=False)


def highest(detector: AnomalyDetector, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The unlabelled rows of highest score."""
    return np.argsort(np.where(known == -1, -detector.training_scores_, np.inf), kind="stable")[:k]


WAYS: dict[str, Choose] = {"query": queried, "random": random, "highest scores": highest}


def new(seed: int) -> AnomalyDetector:
    """All defaults."""
    return AnomalyDetector(random_state=seed, device="cpu")


def measured(detector: AnomalyDetector, split: Split) -> dict[str, float]:
    """How good it is on the test rows, and what it took the share of anomalies for."""
    scores = detector.anomaly_score(split.test_X)
    return {
        "auroc": auroc(split.test_y, scores),
        "average_precision": average_precision(split.test_y, scores),
        "assumed_ratio": detector.contamination_,
    }


def runs(name: str, seed: int, data_dir: str | None) -> Iterator[dict[str, Any]]:
    """All results of one table and seed."""
    table = load(name, data_dir)
    split = disjoint(table.X, table.y, seed=seed, ratio=RATIO, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS)
    common = {"dataset": name, "seed": seed, "n_train": len(split.train_y), "reached_ratio": split.reached_ratio}
    nothing = common | {"labels": 0, "anomalies": 0}
    yield nothing | {"way": "clean"} | measured(new(seed).fit(split.train_X[split.train_y == 0]), split)
    first = new(seed).fit(split.train_X)
    start = measured(first, split)
    for way, choose in WAYS.items():
        yield nothing | {"way": way} | start
        rng, known, detector = np.random.default_rng(seed), np.full(len(split.train_y), -1, dtype=np.int8), first
        for budget in BUDGETS:
            rows = choose(detector, known, budget - int((known >= 0).sum()), rng)
            known[rows] = split.train_y[rows]
            detector = new(seed).fit(split.train_X, labels=known)
            told = {"way": way, "labels": budget, "anomalies": int((known == 1).sum())}
            yield common | told | measured(detector, split)


def main() -> None:
    """Run everything, in one process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExposeWarning)
    start, found = time.perf_counter(), []
    for seed in options.seeds:
        for name in TABLES:
            found += list(runs(name, seed, options.data_dir))
            print(f"{time.perf_counter() - start:6.0f} s  seed {seed}  {name}", flush=True)
    facts = {
        "finished": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.perf_counter() - start),
        "ratio": RATIO,
        "train_rows": TRAIN_ROWS,
        "test_rows": TEST_ROWS,
        "runs": found,
    }
    options.out.write_text(as_lines(facts), encoding="utf-8")


def as_lines(facts: dict[str, Any]) -> str:
    """JSON with one run a line."""
    runs = ",\n".join(json.dumps(run) for run in facts["runs"])
    return json.dumps(facts | {"runs": []}).replace('"runs": []', f'"runs": [\n{runs}\n]') + "\n"


if __name__ == "__main__":
    main()
