"""Rows per second of one and two processes of Ray, Dask and Spark, beside one process without an engine.

Each cell has a process of its own, and in it both take turns, each measured several times; the best of each counts,
since other work on the machine only slows. All score the same Parquet file of 30 columns into Parquet, one thread a
process, after a few rows for which engine, libraries and model are started; how long that takes stands beside it. What
an engine adds to each piece is measured by pieces of which there is nothing to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from expose import AnomalyDetector
from expose.objectives import make_objective
from expose.scoring.engines import opened_engine
from expose.scoring.pieces import Pieces, pieces_of, run
from expose.scoring.work import Scoring, scoring_with
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import COLUMNS, correlated
from expose_lab.studies.scoring_speed import EPOCHS, NAMES, TRAINING_ROWS, generate

ENGINES: Final = {"ray": "Ray", "dask": "Dask", "spark": "Spark"}
PROCESSES, ROUNDS, EMPTY = (1, 2), 3, 200
CLUSTER, GROUP = 1_000, 2**20  # processes of the plan, and rows of a row group as pyarrow writes them


def cells(rows: int, objective: str) -> Iterator[Row]:
    """Each engine with each number of processes."""
    for engine in ENGINES:
        for processes in PROCESSES:
            yield {"engine": engine, "processes": processes, "rows": rows, "objective": objective}


def measure(cell: Row, data: Path) -> Row:
    """Score by an engine and without one, in turns."""
    with TemporaryDirectory() as folder:
        here = Path(folder)
        work, pieces = prepared(here, cell["objective"], cell["rows"])
        few = pieces_of([str(here / "few.parquet")], at_least=1)
        started = time.perf_counter()
        with opened_engine(cell["engine"], f"local[{cell['processes']}]") as engine:
            scored(engine, work, few, here / "few")
            start = time.perf_counter() - started
            scored(InProcess(), work, few, here / "first")
            both = {"engine": engine, "plain": InProcess()}
            seconds: dict[str, list[float]] = {name: [] for name in both}
            for turn in range(ROUNDS):
                for name, one in both.items():
                    seconds[name].append(scored(one, work, pieces, here / f"{name}{turn}"))
            empty = min(timed(lambda: list(engine.map(nothing, range(EMPTY)))) for _ in range(ROUNDS))
        alike = pq.read_table(here / "engine0").equals(pq.read_table(here / "plain0"))
        width = (here / "rows.parquet").stat().st_size / cell["rows"]
    best = {name: cell["rows"] / min(times) for name, times in seconds.items()}
    return {
        "rows_per_second": best["engine"],
        "plain_rows_per_second": best["plain"],
        "times_plain": best["engine"] / best["plain"],
        "start_seconds": start,
        "seconds_per_piece": empty / EMPTY,
        "bytes_per_row": width,
        "equal": alike,
        "load": os.getloadavg()[0],
        "processors": os.cpu_count(),
    }


def prepared(folder: Path, objective: str, n: int) -> tuple[Scoring, Pieces]:
    """A model, and the rows to score by it: many, and a few to begin with."""
    rows = correlated(TRAINING_ROWS, seed=0)
    settings: dict[str, Any] = {} if objective == "neighbours" else {"epochs": EPOCHS}
    detector = AnomalyDetector(make_objective(objective, **settings), random_state=0, device="cpu")
    detector.fit(pa.table(list(rows.T.copy()), NAMES)).save(folder / "model")
    generate(folder / "rows.parquet", n)
    few = pa.table(list(correlated(4_000, seed=1).T.copy()), NAMES)
    pq.write_table(few, folder / "few.parquet", row_group_size=250)
    return scoring_with(folder / "model", device="cpu"), pieces_of([str(folder / "rows.parquet")])


def scored(engine: Any, work: Scoring, pieces: Pieces, folder: Path) -> float:
    """Score into a folder, and give the seconds that it took."""
    folder.mkdir()
    return timed(lambda: list(run(engine, work, pieces, folder)))


def timed(act: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def nothing(item: int) -> int:
    """What there is to do with an empty piece."""
    return item


class InProcess:
    """No engine: one piece after the other in this process, by one thread."""

    threads = 1

    def map(self, function: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        """Results in order."""
        return map(function, items)


def context(page: Page) -> dict[str, Any]:
    """What was measured, and what it comes to with a thousand processes."""
    found = page.rows("engines")
    measured, plan = [], []
    for engine in found.each("engine"):
        name, own = ENGINES[engine], found.where(engine=engine)
        for row in own:
            measured.append(
                [
                    f"{name}, {row['processes']} process{'es' if row['processes'] > 1 else ''}",
                    f"{row['rows_per_second']:,.0f}",
                    f"{row['plain_rows_per_second']:,.0f}",
                    f"{row['times_plain']:.2f}",
                    f"{row['start_seconds']:.0f}",
                    f"{1000 * row['seconds_per_piece']:.1f}",
                    f"{row['load']:.1f}",
                ]
            )
        plan.append(planned(name, own[-1]["seconds_per_piece"], found))
    header = ["", "rows/s", "one process without, rows/s", "ratio", "start, s", "per piece, ms", "load"]
    return {
        "measured": table(header, measured),
        "plan": table(["", "driver busy", "processes that it can feed"], plan),
        "all_equal": all(found.values("equal")),
        "rows": found[0]["rows"],
        "objective": found[0]["objective"],
        "columns": COLUMNS,
        "processors": found[0]["processors"],
        "day": found.finished,
        "cluster": CLUSTER,
        "group": GROUP,
        **sums(found),
    }


def sums(found: Any) -> dict[str, float]:
    """The arithmetic of the plan that is the same for all engines."""
    rate = max(found.values("plain_rows_per_second"))
    return {
        "rate": rate,
        "total": rate * CLUSTER,
        "seconds_of_piece": GROUP / rate,
        "pieces_per_second": CLUSTER * rate / GROUP,
        "gigabytes_per_second": rate * CLUSTER * found.mean("bytes_per_row") / 1e9,
    }


def planned(name: str, per_piece: float, found: Any) -> list[str]:
    """How busy the driver is with a thousand processes, and how many it can feed."""
    busy = sums(found)["pieces_per_second"] * per_piece
    return [name, f"{100 * busy:.1f} %", f"{CLUSTER / busy:,.0f}"]


STUDY = Study(
    "engines",
    "rows per second of Ray, Dask and Spark, beside one process",
    cells=cells,
    measure=measure,
    options={"rows": 500_000, "objective": "ntl"},
    page="notes/engines.md",
    context=context,
    apart=True,
)
