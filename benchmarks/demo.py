"""How well the demo does over seeds: the shipped thyroid table, all defaults; beside it five members and forests.

    python benchmarks/demo.py

Trains on all 3,772 rows, unlabelled, and ranks the same rows, as ``expose demo`` does. Labels serve for the figures
only. Prints a table in Markdown and writes benchmarks/results/demo.json.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose import AnomalyDetector
from expose.evaluation import auroc, precision_at_k, thyroid

SEEDS = range(6)
RESULTS = Path(__file__).parent / "results" / "demo.json"


def figures(truth: NDArray[np.int8], scores: NDArray[np.float64]) -> dict[str, float]:
    """AUROC and precision among the first 10, 50, and as many as there are anomalies."""
    ill = int(truth.sum())
    precision = {f"precision_at_{k}": precision_at_k(truth, scores, k) for k in (10, 50, ill)}
    return {"auroc": auroc(truth, scores), **precision}


def main() -> None:
    """Print the table, write the results."""
    table = thyroid()
    rows = []
    for seed in SEEDS:
        forest = IsolationForest(random_state=seed).fit(table.X)
        rows.append({"detector": "isolation forest", "seed": seed, **figures(table.y, -forest.score_samples(table.X))})
    for name, members in (("defaults", 1), ("members=5", 5)):
        for seed in SEEDS:
            started = time.perf_counter()
            detector = AnomalyDetector(members=members, random_state=seed).fit(table.X)
            ours = {"contamination": detector.contamination_, "seconds": round(time.perf_counter() - started, 1)}
            rows.append({"detector": name, "seed": seed, **figures(table.y, detector.training_scores_), **ours})
    names = ["auroc", "precision_at_10", "precision_at_50", "precision_at_93"]
    print("| detector | seed | " + " | ".join(names) + " | contamination |\n|" + "---|" * 7)
    for row in rows:
        values = " | ".join(f"{row[name]:.3f}" for name in names)
        print(f"| {row['detector']} | {row['seed']} | {values} | {row.get('contamination', float('nan')):.4f} |")
    result = {"date": datetime.date.today().isoformat(), "script": "benchmarks/demo.py", "rows": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
