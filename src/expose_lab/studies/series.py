"""Anomalies in series: the default as users get it beside published detectors, on NAB and three sets of many channels.

- *whole*: a series is fitted without labels and judged by itself, as an operator has it.
- *later*: fitted on the first half, with whatever anomalies lie there, and judged on the second.

Series whose judged steps are all normal are left out, for nothing can be ranked there. Of SMAP every third channel is
taken, in the order of the names. What the makers of a set kept apart for training is not used. Each series is
standardised by what is fitted on. The window is the period of the first channel, by autocorrelation; with many channels
it is shorter. The same period is the longest buffer of VUS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose_lab.datasets.series import COLLECTIONS, SeriesSet, load_series
from expose_lab.metrics.ranking import average_precision
from expose_lab.metrics.series import series_metrics
from expose_lab.pages import Column, Page, Rows, grid
from expose_lab.series_contenders import CONTENDERS, NUMBERS, Given, compiled, period
from expose_lab.store import Row
from expose_lab.studies.base import Measure, Study

Floats = NDArray[np.floating[Any]]
Score = Callable[[Given], Floats]
OURS = "expose, default"
PROFILE = "matrix profile"
PROTOCOLS = ("whole", "later")
TITLES = {"nab": "NAB", "msl": "MSL", "smd": "SMD", "smap": "SMAP"}
EVERY = {"smap": 3}
PER = 10_000  # steps that seconds are told for
METRICS = {
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "average_precision": "average precision",
    "affiliation_f1": "affiliation F1",
    "range_f1": "range-based F1",
}


def cells(seeds: int, detectors: Sequence[str], collections: Sequence[str]) -> Iterator[Row]:
    """Each detector on each collection, under both protocols."""
    for collection, protocol, detector in product(collections, PROTOCOLS, detectors):
        several = detector == OURS or CONTENDERS[detector].seeded
        for seed in range(seeds if several else 1):
            yield {"detector": detector, "collection": collection, "protocol": protocol, "seed": seed}


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each series, by a published detector."""
    if cell["detector"] == PROFILE:
        compiled()
    return judged(cell, data, CONTENDERS[cell["detector"]].score)


def measure_ours(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each series, by the default: nothing is said to it, not even the period."""
    from expose import AnomalyDetector
    from expose.kinds import as_series

    def score(given: Given) -> Floats:
        fitted = AnomalyDetector(random_state=given.seed, device="cpu").fit(as_series(given.training))
        scores: Floats = fitted.anomaly_score(as_series(given.judged))
        return scores

    return judged(cell, data, score)


def judged(cell: Row, data: Path, score: Score) -> Iterator[Row]:
    """A row for each series in which there is something to be found."""
    for one in chosen(cell["collection"], data):
        half = len(one) // 2 if cell["protocol"] == "later" else 0
        truth = one.y[half:]
        if not truth.any() or truth.all():
            continue
        given = split(one.values, half, cell["seed"])
        started = time.process_time()
        scores = score(given)
        seconds = time.process_time() - started
        yield {
            "series": one.name,
            "steps": len(one),
            "channels": one.values.shape[1],
            "window": given.window,
            "anomalous": float(truth.mean()),
            "contaminated": float(one.y[: half or None].mean()),
            "seconds": seconds,
            "average_precision": average_precision(truth, scores),
            **series_metrics(truth, scores, given.period),
        }


@lru_cache(maxsize=1)
def chosen(collection: str, data: Path) -> list[SeriesSet]:
    """The series of a collection that take part."""
    return list(load_series(collection, data))[:: EVERY.get(collection, 1)]


def split(values: Floats, half: int, seed: int) -> Given:
    """Steps to fit on and steps to judge, standardised; one and the same if there is no half."""
    training = values[: half or None].astype(np.float64)
    mean, spread = training.mean(axis=0), training.std(axis=0)
    training, later = (((part - mean) / np.where(spread > 0, spread, 1)) for part in (training, values[half:]))
    return Given(training, later if half else training, period(values[:, 0]), seed)


def context(page: Page) -> dict[str, Any]:
    """A table for each protocol and metric, and the seconds."""
    rows = page.rows("series")
    lines = {name: {"detector": name} for name in [OURS, *CONTENDERS] if rows.where(detector=name)}
    whole, later = (rows.where(protocol=protocol) for protocol in PROTOCOLS)
    several = {TITLES[name]: {"collection": name} for name in TITLES if rows.where(collection=name)}

    def means(some: Rows, metric: str) -> str:
        columns = {name: Column(metric, where, 1, 3, spread=False) for name, where in several.items()}
        columns["all series"] = Column(metric, {"complete": True}, 1, 3, spread=False)
        return grid(with_all(some), lines, columns, METRICS[metric], bold="column")

    return {
        "means": means,
        "metrics": METRICS,
        "protocols": {"whole": whole, "later": later},
        "seconds": grid(
            Rows(row | {"per": PER * row["seconds"] / row["steps"]} for row in whole),
            lines,
            {name: Column("per", where, 1, 3, spread=False) for name, where in several.items()},
            f"CPU seconds per {PER:,} steps",
        ),
        "counts": {name: len(whole.where(**where).each("series")) for name, where in several.items()},
        "channels": {TITLES[name]: COLLECTIONS[name].channels for name in TITLES},
        "contaminated": len({row["series"] for row in later if row["contaminated"] > 0}),
        "judged": len(later.each("series")),
        "numbers": NUMBERS,
        "seeds": len(rows.each("seed")),
        "date": rows.finished,
        "has_ours": OURS in lines,
        "has_profile": PROFILE in lines,
    }


def with_all(rows: Rows) -> Rows:
    """Rows that say whether their detector was measured on all series: means over fewer compare with nothing."""
    series = {name: {row["series"] for row in rows.where(detector=name)} for name in rows.each("detector")}
    every = set.union(*series.values()) if series else set()
    return Rows(row | {"complete": series[row["detector"]] == every} for row in rows)


class SeriesStudy(Study):
    """Rows of published detectors are kept while the product changes."""

    def measure_of(self, facts: Row) -> Measure:
        """Ours by the product's code, others by the laboratory's alone."""
        return measure_ours if facts["detector"] == OURS else measure


STUDY = SeriesStudy(
    "series",
    "anomalies in series: the default beside published detectors, on NAB and sets of many channels",
    cells=cells,
    measure=measure,
    options={"seeds": 3, "detectors": [*CONTENDERS, OURS], "collections": list(TITLES)},
    page="benchmark/series.md",
    context=context,
)
