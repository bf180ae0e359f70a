"""Rows per second of scoring: the default and `ntl` beside scikit-learn's IsolationForest, in one process.

All are fitted on the same 20,000 rows, with their default parameters, and score the same rows in two ways: from a
Parquet file into a Parquet file, through the same reader and writer in batches of the same size, and a float32 matrix
in memory. All take turns, and the best of several counts, since other work on the machine only slows. With two threads
the forest has its best of one job and two. The operations that a row needs are those of the products that torch counts;
the peak is that of a large float32 product on the same threads in the same run.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from expose import AnomalyDetector
from expose.files import scan, writer
from expose.objectives import make_objective
from expose_lab.pages import Page, Rows, count, percent, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import COLUMNS, FOREST, correlated, forest
from expose_lab.studies.training_speed import peak_gflops

TRAINING_ROWS, BATCH_ROWS, EPOCHS = 20_000, 65_536, 5
COUNTED = 7_680  # rows whose operations are counted: whole tiles
NAMES = [f"x{i}" for i in range(COLUMNS)]
WAYS = {"parquet": "Parquet to Parquet", "memory": "in memory"}
Score = Callable[[Any], Any]  # of a matrix or an Arrow table
Call = Callable[[], Any]


def cells(rows: int, columns: list[int], threads: list[int], repeats: int) -> Iterator[Row]:
    """Each number of columns with each number of threads."""
    for width in columns:
        yield from ({"columns": width, "threads": n, "rows": rows, "repeats": repeats} for n in threads)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Fit all, then let them score in turns."""
    n, threads = cell["rows"], cell["threads"]
    set_threads(1)  # of several, torch counts the operations of the calling one only
    train, X = (correlated(rows, seed, cell["columns"]) for seed, rows in enumerate((TRAINING_ROWS, n)))
    detectors = {name: detector(name).fit(train) for name in ("default", "ntl")}
    needed = {name: flop_per_row(one, X) for name, one in detectors.items()}
    set_threads(threads)
    trees = forest().fit(train)
    scorers: dict[str, list[Score]] = {name: [one.anomaly_score] for name, one in detectors.items()}
    scorers[FOREST] = [partial(by_forest, trees, jobs) for jobs in range(1, threads + 1)]
    machine = {"load": os.getloadavg()[0], "processors": os.cpu_count(), "peak_gflops": peak_gflops()}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.parquet"
        generate(source, n, cell["columns"])
        calls = {
            (name, way): [partial(act, score) for score in scores]
            for name, scores in scorers.items()
            for way, act in (("parquet", partial(stream, source)), ("memory", partial(call, X)))
        }
        best = in_turns(calls, cell["repeats"])
    for (name, way), (seconds, used) in best.items():
        speed = {"seconds": seconds, "rows_per_second": n / seconds, "rows_per_cpu_second": n / used}
        ratio = best[FOREST, way][0] / seconds
        share = None if name not in needed else needed[name] * n / seconds / 1e9 / machine["peak_gflops"]
        yield {"scorer": name, "way": way, "times_forest": ratio, **speed, "share_of_peak": share, **machine}


def set_threads(n: int) -> None:
    """Those of torch and of Arrow's reader."""
    torch.set_num_threads(n)
    pa.set_cpu_count(n)


def detector(name: str) -> AnomalyDetector:
    """One of ours, not fitted; how long `ntl` trains does not matter here."""
    objective = make_objective(name, epochs=EPOCHS) if name == "ntl" else "auto"
    return AnomalyDetector(objective, random_state=0, device="cpu")


def flop_per_row(fitted: AnomalyDetector, X: NDArray[np.float32]) -> float:
    """Multiplications and additions of all products."""
    rows = np.resize(X, (COUNTED, X.shape[1]))
    with FlopCounterMode(display=False) as counter:
        fitted.anomaly_score(rows)
    return float(counter.get_total_flops() / COUNTED)


def by_forest(trees: Any, jobs: int, rows: NDArray[np.float32] | pa.Table) -> NDArray[np.float64]:
    """Scores of a matrix in float32, the type that the forest computes in."""
    from joblib import parallel_config

    X = np.column_stack([column.to_numpy() for column in rows.columns]) if isinstance(rows, pa.Table) else rows
    with parallel_config("threading", n_jobs=jobs):
        return np.asarray(-trees.score_samples(X))


def call(X: NDArray[np.float32], score: Score) -> None:
    """Score a matrix."""
    assert len(score(X)) == len(X)


def stream(source: Path, score: Score) -> None:
    """Score a Parquet file into another."""
    with writer(source.with_name("scores.parquet")) as sink:
        for batch in scan(source, batch_rows=BATCH_ROWS):
            sink.write(pa.table({"anomaly_score": score(pa.Table.from_batches([batch]))}))


def in_turns(
    calls: Mapping[tuple[str, str], Sequence[Call]], repeats: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """Least seconds of each, by the clock on the wall and of the processor, all taking turns."""
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in calls}
    for _ in range(repeats):
        for key, several in calls.items():
            taken[key] += map(timed, several)
    return {key: min(seconds) for key, seconds in taken.items()}


def timed(act: Call) -> tuple[float, float]:
    """Seconds on the wall and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - started, time.process_time() - used


def generate(path: Path, n: int, columns: int = COLUMNS) -> None:
    """Write ``n`` rows in row groups of 65,536."""
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(columns)])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
        for seed, start in enumerate(range(0, n, BATCH_ROWS), start=1):
            rows = correlated(min(BATCH_ROWS, n - start), seed, columns)
            file.write_table(pa.table(list(rows.T.copy()), schema=schema))


def context(page: Page) -> dict[str, Any]:
    """How many times the forest's rows per second, and the share of the peak; shown on the page of speed."""
    found = page.rows("scoring_speed")
    kinds = sorted({(row["columns"], row["threads"]) for row in found})
    header = [f"{columns} columns, {count(threads, 'thread')}" for columns, threads in kinds]

    def line(scorer: str, way: str, say: Callable[[Row], str]) -> list[str]:
        here = found.where(scorer=scorer, way=way)
        return [said(here.where(columns=c, threads=t), say) for c, t in kinds]

    scorers = found.each("scorer")
    return {
        "table": table(
            ["scorer", *header],
            ([f"{name}, {says}", *line(name, way, speed)] for way, says in WAYS.items() for name in scorers),
        ),
        "shares": table(
            ["scorer", *header], ([name, *line(name, "memory", share)] for name in scorers if name != FOREST)
        ),
        "rows": max(found.values("rows")),
        "repeats": min(found.values("repeats")),
        "training_rows": TRAINING_ROWS,
        "batch_rows": BATCH_ROWS,
        "peak": " and ".join(
            f"{max(found.where(threads=n).values('peak_gflops')):,.0f} ({count(n, 'thread')})"
            for n in sorted(found.each("threads"))
        ),
        "processors": found[0]["processors"],
        "load": f"{min(found.values('load')):.1f} to {max(found.values('load')):.1f}",
        "day": found.finished,
    }


def said(rows: Rows, say: Callable[[Row], str]) -> str:
    """What there is to say of the last row, if there is one."""
    return say(rows[-1]) if rows else "—"


def speed(row: Row) -> str:
    """Ratio, and rows per second."""
    return f"{row['times_forest']:.2f} x ({row['rows_per_second']:,.0f})"


def share(row: Row) -> str:
    """Of the peak."""
    return percent(round(row["share_of_peak"], 2))


STUDY = Study(
    "scoring_speed",
    "rows per second of scoring, from Parquet and in memory, beside an isolation forest; on the page of one_row",
    cells=cells,
    measure=measure,
    options={"rows": 300_000, "columns": [10, 30, 100], "threads": [1, 2], "repeats": 5},
    apart=True,
)
