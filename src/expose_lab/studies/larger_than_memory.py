"""Memory and seconds of ``expose fit`` on a Parquet file of many rows, beside an isolation forest on a sample of it.

The command runs in a process of its own, with ``--memory 2GB``: a pass that draws a sample, the fit, and a pass that
scores and ranks all rows and writes the ranking. NTL makes one pass over all rows while it trains. The forest is fitted
on a sample of the same size, drawn by the same reader, and scores all rows; it ranks none. Peaks are of the largest
resident set of the process that does it, libraries included. Times are of the clock, so other work counts: the load of
the machine is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from expose.files import scan, writer
from expose_lab.grid import peak_mib
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import COLUMNS, FOREST, forest
from expose_lab.studies.scoring_speed import BATCH_ROWS, generate

SAMPLE_ROWS, MEMORY = 200_000, "2GB"
FITTERS = {"neighbours": [], "ntl": ["--objective", "ntl", "--set", "epochs=1"], FOREST: None}
COMMAND = """
import json, sys
from expose.cli.app import app
from expose_lab.grid import peak_mib
peaks = sys.argv.pop(1)
try:
    app()
finally:
    open(peaks, "w").write(json.dumps(peak_mib()))
"""


def cells(rows: list[int], fitters: list[str]) -> Iterator[Row]:
    """Each fitter and number of rows."""
    for n in rows:
        yield from ({"fitter": name, "rows": n} for name in fitters)


def measure(cell: Row, data: Path) -> Row:
    """Generate the rows, fit, and rank all of them."""
    options = FITTERS[cell["fitter"]]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.parquet"
        generate(source, cell["rows"])
        load = os.getloadavg()[0]
        sample = min(SAMPLE_ROWS, cell["rows"] // 2)
        found = by_forest(source, cell["rows"], sample) if options is None else by_command(source, sample, options)
    return {**found, "sample_rows": sample, "load": load, "processors": os.cpu_count()}


def by_command(source: Path, sample: int, options: list[str]) -> Row:
    """Run ``expose fit``."""
    folder = source.parent
    words = ["fit", str(source), "--out", str(folder / "model"), "--out-suspects", str(folder / "ranking.parquet")]
    words += ["--memory", MEMORY, "--sample-rows", str(sample), "--json", "--quiet", *options]
    started = time.perf_counter()
    command = [sys.executable, "-c", COMMAND, str(folder / "peak.json"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"expose fit ended with {done.returncode}: {done.stderr}")
    parts = json.loads(done.stdout)["seconds_of"]
    peak = json.loads((folder / "peak.json").read_text())
    return {"seconds": seconds, "peak_mib": peak, **{f"{name}_seconds": taken for name, taken in parts.items()}}


def by_forest(source: Path, n: int, sample: int) -> Row:
    """Fit scikit-learn's forest on a sample, and score all rows, in this process."""
    started = time.perf_counter()
    rows = sampled(source, n, sample)
    drawn = time.perf_counter()
    fitted = forest().fit(rows)
    trained = time.perf_counter()
    with writer(source.parent / "scores.parquet") as sink:
        for batch in scan(source, batch_rows=BATCH_ROWS):
            sink.write(pa.table({"anomaly_score": -fitted.score_samples(matrix(batch))}))
    ended = time.perf_counter()
    parts = {"sample_seconds": drawn - started, "fit_seconds": trained - drawn, "ranking_seconds": ended - trained}
    return {"seconds": ended - started, "peak_mib": peak_mib(), **parts}


def sampled(source: Path, n: int, sample: int) -> Any:
    """Random rows of a file, ``(sample, columns)``."""
    places = np.sort(np.random.default_rng(0).choice(n, sample, replace=False))
    found, first = [], 0
    for batch in scan(source, batch_rows=BATCH_ROWS):
        low, high = np.searchsorted(places, [first, first + batch.num_rows])
        found.append(matrix(batch)[places[low:high] - first])
        first += batch.num_rows
    return np.concatenate(found)


def matrix(batch: Any) -> Any:
    """The columns of a batch side by side, as the forest computes."""
    return np.column_stack([column.to_numpy() for column in batch.columns])


def context(page: Page) -> dict[str, Any]:
    """Memory and seconds of each."""
    found = page.rows("larger_than_memory")
    order = {name: place for place, name in enumerate(FITTERS)}
    kept = sorted(found, key=lambda one: (one["rows"], order[one["fitter"]]))
    taken = {one["rows"]: one["seconds"] for one in kept if one["fitter"] == FOREST}
    header = ["", "rows", "peak MiB", "sample s", "fit s", "ranking s", "all s", "of the forest's", "load"]
    return {
        "table": table(header, [line(one, taken.get(one["rows"])) for one in kept]),
        "sample": f"{max(one['sample_rows'] for one in kept):,}",
        "processors": kept[0]["processors"],
        "columns": COLUMNS,
        "largest": f"{max(one['peak_mib'] for one in kept if one['fitter'] != FOREST):,.0f}",
        "rows": f"{max(one['rows'] for one in kept if one['fitter'] != FOREST):,}",
        "day": found.finished,
    }


def line(one: Row, forest_: float | None) -> list[str]:
    """What one fitter took."""
    seconds = [f"{one[f'{name}_seconds']:,.0f}" for name in ("sample", "fit", "ranking")]
    ratio = "" if forest_ is None else f"{one['seconds'] / forest_:.1f} x"
    first = [one["fitter"], f"{one['rows']:,}", f"{one['peak_mib']:,.0f}"]
    return [*first, *seconds, f"{one['seconds']:,.0f}", ratio, f"{one['load']:.0f}"]


STUDY = Study(
    "larger_than_memory",
    "memory and seconds of fitting and ranking a file larger than memory, beside an isolation forest",
    cells=cells,
    measure=measure,
    options={"rows": [1_000_000, 10_000_000, 100_000_000], "fitters": list(FITTERS)},
    page="notes/larger-than-memory.md",
    context=context,
    apart=True,
)
