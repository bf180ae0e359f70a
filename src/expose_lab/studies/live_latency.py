"""Milliseconds from a line to its answer where steps of series are scored as they come, beside scoring them as a file.

Waves with noise, as lines of CSV. The default is fitted on some thousand steps of all series; then two windows of each
come at once, then one line after another, of all series by turns, and last one line of each at once. Read, scored and
answered is what ``expose score MODEL - --out -`` does with a line; the pipe itself is not counted. In a file the same
model scores a hundred steps of each series and more, from texts to scores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from expose import AnomalyDetector, Scorer
from expose.files.arriving import Incoming, as_lines
from expose.files.dialect import Dialect
from expose.kinds import as_series
from expose_lab.pages import Page, Rows, count, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

PERIOD, TRAINING, STEPS = 24, 300, 100  # steps: of each series those that are fitted on and those of a file, at least
LEAST = 5_000  # rows in all, of either
TURNS, WARM = 20, 20  # how often a line of each series comes, and calls that are not counted
WAYS = {"line": "one line at a time", "turn": "a line of each series at once"}


class Waves(NamedTuple):
    """So many series of so many channels."""

    channels: int
    entities: int

    def steps(self, first: int, count: int) -> pa.Table:
        """Steps of all series, in order of time, as texts."""
        rng = np.random.default_rng(first)
        at = np.repeat(np.arange(first, first + count), self.entities)
        wave = np.sin(at * 2 * np.pi / PERIOD)[:, None] + 0.1 * rng.normal(size=(len(at), self.channels))
        when = (np.datetime64("2026-01-01T00:00") + at.astype("timedelta64[m]")).astype(str)
        names = [f"s{entity}" for entity in range(self.entities)] * count
        values = {f"x{channel}": np.char.mod("%.4f", wave[:, channel]) for channel in range(self.channels)}
        return pa.table({"when": when, "entity": names, **{name: pa.array(texts) for name, texts in values.items()}})


def cells(channels: list[int], entities: list[int], calls: int) -> Iterator[Row]:
    """Each number of channels with each number of series."""
    for n_channels, n_entities in product(channels, entities):
        yield {"channels": n_channels, "entities": n_entities, "calls": calls, "threads": 1}


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Fit, let lines come, and score a file."""
    torch.set_num_threads(cell["threads"])
    waves, named = Waves(cell["channels"], cell["entities"]), partial(as_series, time="when", entity="entity")
    training = max(TRAINING, LEAST // waves.entities)
    scorer = AnomalyDetector(random_state=0, device="cpu").fit(named(waves.steps(0, training))).scorer()
    scorer = Scorer(with_roles(scorer.fitted))
    window = scorer.fitted.encoder.window  # type: ignore[attr-defined]  # of windows
    in_file = seconds_of_file(scorer, waves.steps(training, max(STEPS, LEAST // waves.entities)))
    answer, first = answering(scorer), training + 2 * window
    answer(as_lines(waves.steps(training, 2 * window), "csv", header=True))
    after = -(-(cell["calls"] + WARM) // waves.entities)
    lines = as_lines(waves.steps(first, after), "csv").splitlines(keepends=True)[: cell["calls"] + WARM]
    turns = [as_lines(waves.steps(first + after + turn, 1), "csv") for turn in range(TURNS)]
    for way, pieces in (("line", lines), ("turn", turns if waves.entities > 1 else [])):
        if taken := [timed(answer, piece) for piece in pieces][WARM if way == "line" else 1 :]:
            rows = 1 if way == "line" else waves.entities
            (median, used), (slow, _) = 1000 * np.quantile(taken, [0.5, 0.99], axis=0) / rows
            speed = {"median_ms": float(median), "p99_ms": float(slow), "processor_ms": float(used)}
            facts = {
                "window": window,
                "file_ms": 1000 * in_file,
                "load": os.getloadavg()[0],
                "processors": os.cpu_count(),
            }
            yield {"way": way, **speed, **facts}


def with_roles(fitted: Any) -> Any:
    """A model that knows its columns as one of files does."""
    fitted.metadata |= {"time": "when", "entity": ["entity"]}
    return fitted


def answering(scorer: Scorer) -> Any:
    """What the command does with what came."""
    live = scorer.live()
    incoming = Incoming(Dialect(), lambda names: live.check(pa.schema([(name, pa.string()) for name in names])))
    return lambda data: [as_lines(live.score(piece), "csv") for piece in incoming.take(data)]


def timed(act: Any, given: Any) -> tuple[float, float]:
    """Seconds by the clock on the wall and of the processor."""
    started, used = time.perf_counter(), time.thread_time()
    act(given)
    return time.perf_counter() - started, time.thread_time() - used


def seconds_of_file(scorer: Scorer, steps: pa.Table) -> float:
    """Seconds of the processor for each row, the least of three turns."""

    def score(rows: pa.Table) -> Any:
        return scorer.table(scorer.fitted.kind.split(rows, scorer.reading))

    return min(timed(score, steps)[1] for _ in range(3)) / len(steps)


def context(page: Page) -> dict[str, Any]:
    """Milliseconds for each row, by channels and series."""
    rows = page.rows("live_latency")
    loads = rows.values("load")
    return {
        "table": table(
            ["channels", "series", "window", *WAYS.values(), "as a file"],
            [line_of(rows, *one) for one in product(sorted(rows.each("channels")), sorted(rows.each("entities")))],
        ),
        "calls": rows[0]["calls"],
        "processors": rows[0]["processors"],
        "threads": rows[0]["threads"],
        "load": f"{min(loads):.1f} to {max(loads):.1f}",
        "day": rows.finished,
    }


def line_of(rows: Rows, channels: int, entities: int) -> list[str]:
    """One line of the table."""
    here = rows.where(channels=channels, entities=entities)
    in_file = here.mean("file_ms")
    said = []
    for way in WAYS:
        some = here.where(way=way)
        if not some:
            said.append("—")
            continue
        median, slow, used = (some.mean(name) for name in ("median_ms", "p99_ms", "processor_ms"))
        said.append(f"{median:.1f} / {slow:.1f} ({used / in_file:.0f} x)")
    return [str(channels), str(entities), count(here[0]["window"], "step"), *said, f"{in_file:.3f}"]


STUDY = Study(
    "live_latency",
    "milliseconds from a line to its answer where steps of series are scored as they come; on the page of all speed",
    cells=cells,
    measure=measure,
    options={"channels": [1, 38], "entities": [1, 100], "calls": 300},
    apart=True,
)
