"""How many trees the isolation forest behind ``contamination="auto"`` should have: estimates over ten seeds each.

    python benchmarks/forest_trees.py [--data-dir DIR]

The estimate of one table should not depend on the seed. Disjoint protocol, at most 2,000 training rows (thyroid: the
whole table). Prints a table in Markdown and writes benchmarks/results/forest_trees.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose.evaluation import disjoint, load, thyroid
from expose.exposure import estimate_contamination
from expose.inputs import TableEncoder, as_table

SETS = ["cardio", "breastw", "pendigits", "satellite", "mammography"]
TREES = [100, 300]
SEEDS = range(10)
ROWS = 2_000
RESULTS = Path(__file__).parent / "results" / "forest_trees.json"


def tables(data_dir: str | None) -> Iterator[tuple[str, NDArray[np.float32], float]]:
    """Name, rows and true share of anomalies of each training table."""
    whole = thyroid()
    yield "thyroid, whole", whole.X, float(whole.y.mean())
    for name in SETS:
        data = load(name, data_dir)
        for ratio in (0.0, 0.1):
            split = disjoint(data.X, data.y, seed=0, ratio=ratio)
            kept = np.random.default_rng(0).permutation(len(split.train_X))[:ROWS]
            yield f"{name}, {ratio:.0%}", split.train_X[kept], float(split.train_y[kept].mean())


def main() -> None:
    """Print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    rows = []
    print("| table | true share | " + " | ".join(f"{trees} trees" for trees in TREES) + " |\n|" + "---|" * 4)
    for name, X, share in tables(parser.parse_args().data_dir):
        table = as_table(X)
        encoded = TableEncoder().fit(table).transform(table)
        cells = []
        for trees in TREES:
            started = time.perf_counter()
            forests = [IsolationForest(n_estimators=trees, random_state=seed).fit(encoded) for seed in SEEDS]
            found = [estimate_contamination(-forest.score_samples(encoded)).value for forest in forests]
            seconds = (time.perf_counter() - started) / len(found)
            rows.append({"table": name, "true": share, "trees": trees, "estimates": found, "seconds": seconds})
            cells.append(f"{100 * np.mean(found):.1f} ± {100 * np.std(found):.1f}")
        print(f"| {name} | {100 * share:.1f} | " + " | ".join(cells) + " |", flush=True)
    result = {"date": datetime.date.today().isoformat(), "script": "benchmarks/forest_trees.py", "rows": rows}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
