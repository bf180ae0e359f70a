"""Rows per second and peak memory of scoring Parquet into Parquet: ours against scikit-learn's IsolationForest.

All are fitted on the same 20,000 rows of 30 float columns and score the same files in the same run, with their default
parameters, through the very same reader and writer in batches of the same size; only the scorer differs. Each case
has a process of its own, whose largest resident set is told, so that the memory of one does not count for another.
The parent stays small, because Linux counts a parent's memory as its child's until the child has more of its own.
The time is that of the stream, from the first byte read to the last written, without imports and training.

    python benchmarks/scoring_speed.py [--rows 1000000] [--epochs 5]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

COLUMNS, TRAINING_ROWS, BATCH_ROWS = 30, 20_000, 65_536
SCORERS = ("neighbours", "ntl", "IsolationForest")
LIBRARIES = ("torch", "scikit-learn", "numpy", "pyarrow")

Score = Callable[[Any], NDArray[np.float64]]


def rows_of(n: int, seed: int) -> NDArray[np.float32]:
    """Correlated normal rows, 1 in 100 of them three times as far out, (n, 30)."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(10, COLUMNS)).astype(np.float32)
    rows = rng.standard_normal((n, 10), np.float32) @ mixing + 0.3 * rng.standard_normal((n, COLUMNS), np.float32)
    rows[rng.random(n) < 0.01] *= 3
    return rows


def generate(path: Path, n: int) -> None:
    """Write ``n`` rows in row groups of 65,536."""
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(COLUMNS)])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
        for seed, start in enumerate(range(0, n, BATCH_ROWS), start=1):
            rows = rows_of(min(BATCH_ROWS, n - start), seed)
            file.write_table(pa.table(list(rows.T.copy()), schema=schema))


def train(folder: Path, epochs: int) -> None:
    """Fit all on the same rows and keep them."""
    from sklearn.ensemble import IsolationForest

    from expose import AnomalyDetector

    rows = rows_of(TRAINING_ROWS, seed=0)
    names = [f"x{i}" for i in range(COLUMNS)]
    table = pa.table(list(rows.T.copy()), names)
    AnomalyDetector("neighbours", random_state=0).fit(table).save(folder / "neighbours")
    AnomalyDetector("ntl", epochs=epochs, random_state=0).fit(table).save(folder / "ntl")
    (folder / "IsolationForest").write_bytes(pickle.dumps(IsolationForest(random_state=0).fit(rows)))


def our_scorer(folder: Path, objective: str) -> Score:
    """The detector, as `expose score` calls it."""
    from expose import AnomalyDetector

    detector = AnomalyDetector.load(folder / objective, device="cpu")
    return detector.anomaly_score


def forest_scorer(folder: Path) -> Score:
    """The forest, given each batch as a float32 matrix, the type it computes in."""
    forest = pickle.loads((folder / "IsolationForest").read_bytes())
    return lambda table: -forest.score_samples(np.column_stack([c.to_numpy() for c in table.columns]))


def batches(path: Path) -> Iterator[pa.Table]:
    """The rows of a file, as `expose score` reads them."""
    from expose.inputs import scan

    for batch in scan(path, batch_rows=BATCH_ROWS):
        yield pa.Table.from_batches([batch])


def one_case(scorer: str, folder: Path, n: int) -> dict[str, Any]:
    """Stream one file through one scorer; runs in a process of its own."""
    from expose.inputs import writer

    score = forest_scorer(folder) if scorer == "IsolationForest" else our_scorer(folder, scorer)
    scored, started = 0, time.perf_counter()
    used = time.process_time()
    with writer(folder / f"{scorer}.parquet") as sink:
        for table in batches(folder / f"{n}.parquet"):
            sink.write(pa.table({"anomaly_score": score(table)}))
            scored += table.num_rows
    seconds, used = time.perf_counter() - started, time.process_time() - used
    assert scored == n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB; Linux counts KiB
    facts = {"scorer": scorer, "rows": n, "seconds": seconds, "cpu_seconds": used, "peak_mib": peak}
    return facts | {"threads": len(os.sched_getaffinity(0))}


def apart(*arguments: str) -> dict[str, Any]:
    """Run this script in a process of its own; return the last line it says."""
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def measure(scorer: str, folder: Path, n: int) -> dict[str, Any]:
    """Start a process for one case, and give what it says."""
    case = apart("--case", scorer, "--folder", str(folder), "--rows", str(n))
    case |= {"rows_per_second": n / case["seconds"], "load": os.getloadavg()[0]}
    print(
        f"| {scorer} | {n:,} | {case['seconds']:.1f} | {case['rows_per_second']:,.0f} | "
        f"{n / case['cpu_seconds']:,.0f} | {case['peak_mib']:.0f} |",
        flush=True,
    )
    return case


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scoring_speed.json"))
    parser.add_argument("--case", choices=["train", *SCORERS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case == "train":
        train(options.folder, options.epochs)
        print("{}")
        return
    if options.case:
        print(json.dumps(one_case(options.case, options.folder, options.rows[0])))
        return
    print("| scorer | rows | seconds | rows/s | rows per CPU second | peak MiB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        apart("--case", "train", "--folder", temporary, "--epochs", str(options.epochs))
        cases = []
        for n in options.rows:
            generate(folder / f"{n}.parquet", n)
            cases += [measure(scorer, folder, n) for scorer in SCORERS]
            (folder / f"{n}.parquet").unlink()
    result = {"date": datetime.date.today().isoformat(), "script": "benchmarks/scoring_speed.py"}
    result |= {"python": platform.python_version(), "versions": {name: version(name) for name in LIBRARIES}}
    result |= {"columns": COLUMNS, "batch_rows": BATCH_ROWS}
    result |= {"training_rows": TRAINING_ROWS, "epochs": options.epochs, "cases": cases}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
