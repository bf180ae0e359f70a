"""Rows per second and peak memory of scoring Parquet into Parquet: ours against scikit-learn's IsolationForest.

All are fitted on the same 20,000 rows of 30 float columns and score the same file, with their default parameters,
through the same reader and writer in batches of the same size; only the scorer differs. Each has a process of its own,
whose largest resident set is told. The time is that of the stream, from the first byte read to the last written,
without imports and training.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expose import AnomalyDetector
from expose.files import scan, writer
from expose.objectives import make_objective
from expose_lab.grid import peak_mib
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import COLUMNS, correlated, forest

TRAINING_ROWS, BATCH_ROWS, EPOCHS = 20_000, 65_536, 5
SCORERS = ("neighbours", "ntl", "IsolationForest")
NAMES = [f"x{i}" for i in range(COLUMNS)]


def cells(rows: list[int]) -> Iterator[Row]:
    """Each scorer and number of rows."""
    for n in rows:
        yield from ({"scorer": name, "rows": n} for name in SCORERS)


def measure(cell: Row, data: Path) -> Row:
    """Train, then stream one file through the scorer."""
    n, score = cell["rows"], scorer(cell["scorer"])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.parquet"
        generate(source, n)
        scored, started, used = 0, time.perf_counter(), time.process_time()
        with writer(Path(folder) / "scores.parquet") as sink:
            for batch in scan(source, batch_rows=BATCH_ROWS):
                sink.write(pa.table({"anomaly_score": score(pa.Table.from_batches([batch]))}))
                scored += batch.num_rows
        seconds, used = time.perf_counter() - started, time.process_time() - used
    assert scored == n
    speed = {"seconds": seconds, "rows_per_second": n / seconds, "rows_per_cpu_second": n / used}
    return {**speed, "peak_mib": peak_mib(), "load": os.getloadavg()[0], "processors": os.cpu_count()}


def scorer(name: str) -> Callable[[pa.Table], Any]:
    """A fitted one; the forest is given each batch as a float32 matrix, the type it computes in."""
    rows = correlated(TRAINING_ROWS, seed=0)
    if name == "IsolationForest":
        fitted = forest().fit(rows)
        return lambda table: -fitted.score_samples(np.column_stack([column.to_numpy() for column in table.columns]))
    objective = make_objective(name) if name == "neighbours" else make_objective(name, epochs=EPOCHS)
    return AnomalyDetector(objective, random_state=0).fit(pa.table(list(rows.T.copy()), NAMES)).anomaly_score


def generate(path: Path, n: int) -> None:
    """Write ``n`` rows in row groups of 65,536."""
    schema = pa.schema([(name, pa.float32()) for name in NAMES])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
        for seed, start in enumerate(range(0, n, BATCH_ROWS), start=1):
            rows = correlated(min(BATCH_ROWS, n - start), seed)
            file.write_table(pa.table(list(rows.T.copy()), schema=schema))


STUDY = Study(
    "scoring_speed",
    "rows per second and memory of scoring files, beside an isolation forest",
    cells=cells,
    measure=measure,
    options={"rows": [1_000_000]},
    apart=True,
)
