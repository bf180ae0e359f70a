"""What is flagged of series: how many spans, where they begin and end, and how they compare with single steps.

On made series nothing is said to the default, and it is known where the faults are. On sets with labels as many steps
are flagged as are anomalous, once the highest ones by themselves, once as spans; for nearest neighbours alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.kinds.events import events_of
from expose_lab.datasets.series import load_series
from expose_lab.metrics.series import affiliation, range_based
from expose_lab.pages import Column, Page, grid
from expose_lab.series_contenders import CONTENDERS
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.series import OURS, TITLES, split

Floats = NDArray[np.float64]
STEPS = 12_000
BASES = {
    "periodic": "two sines and noise",
    "walk": "a random walk and noise",
    "channels": "four channels with a common sine, noise of one size",
    "load": "days and weeks, heavy-tailed noise that grows with the load",
    "autoregressive": "AR(1)",
}
FAULTS = (("noise", 10), ("noise", 30), ("noise", 100), ("shift", 30), ("shift", 100), ("spike", 10), ("flat", 30))
COLLECTIONS = ("nab", "msl", "smd")
NEIGHBOURS = "kNN on windows"


def made(base: str, seed: int, steps: int = STEPS) -> Floats:
    """A series without a fault, ``(T, C)``."""
    from scipy.signal import lfilter

    rng, at = np.random.default_rng(seed), np.arange(steps)
    if base == "channels":
        sine = np.sin(2 * np.pi * at / 96)
        return np.stack([size * sine + 0.25 * rng.normal(size=steps) for size in (1, 0.5, -1, 0.2)], axis=1)
    if base == "load":
        level = 2 + np.sin(2 * np.pi * at / 96) + 0.5 * (at // 96 % 7 < 5)
        return np.asarray(level * (1 + 0.08 * rng.standard_t(4, size=steps)))[:, None]
    noise = rng.normal(size=steps)
    if base == "autoregressive":
        return np.asarray(lfilter([1], [1, -0.95], noise))[:, None]
    if base == "walk":
        return (0.3 * np.cumsum(rng.normal(size=steps)) + noise)[:, None]
    sines = np.sin(2 * np.pi * at / 48) + 0.3 * np.sin(2 * np.pi * at / 24 + 1)
    return np.asarray(sines + 0.15 * noise)[:, None]


def with_fault(values: Floats, where: slice, what: str, rng: np.random.Generator) -> Floats:
    """The same with a fault in the first channel."""
    values = values.copy()
    channel, spread, n = values[:, 0], values[:, 0].std(), where.stop - where.start
    if what == "noise":
        channel[where] += spread * rng.normal(size=n)
    elif what == "shift":
        channel[where] += 2 * spread
    elif what == "spike":
        channel[where] += 4 * spread * np.hanning(n + 2)[1:-1]
    else:
        channel[where] = channel[where.start]
    return values


def cells(seeds: int, steps: int, collections: Sequence[str]) -> Iterator[Row]:
    """Made series without, with one and with three faults; then sets."""
    for base in BASES:
        for seed in range(seeds):
            yield {"set": "made", "base": base, "faults": "none", "seed": seed, "steps": steps}
        for fault, (what, length) in enumerate(FAULTS):
            yield {"set": "made", "base": base, "faults": f"{what} {length}", "seed": 100 + fault, "steps": steps}
        for seed in range(2):
            yield {"set": "made", "base": base, "faults": "three", "seed": 200 + seed, "steps": steps}
    yield from ({"set": name, "detector": who} for name, who in product(collections, (OURS, NEIGHBOURS)))


def measure(cell: Row, data: Path) -> Row | Iterator[Row]:
    """A row for a made series, or one for each of a set."""
    return of_made(cell) if cell["set"] == "made" else of_set(cell, data)


def faults_of(cell: Row) -> list[tuple[str, slice]]:
    """What faults there are, and where."""
    rng = np.random.default_rng(cell["seed"])
    if cell["faults"] == "none":
        return []
    lengths = ["noise 60", "shift 40", "spike 20"] if cell["faults"] == "three" else [cell["faults"]]
    third = cell["steps"] // len(lengths)
    starts = [third * place + int(rng.integers(third // 5, 4 * third // 5)) for place in range(len(lengths))]
    found = [(name.split()[0], int(name.split()[1])) for name in lengths]
    return [(what, slice(start, start + length)) for (what, length), start in zip(found, starts, strict=True)]


def of_made(cell: Row) -> Row:
    """The share, the spans, and how far they reach beyond the faults that they cover, in windows."""
    from expose import AnomalyDetector
    from expose.encoders import WindowEncoder
    from expose.kinds import as_series

    values, faults = made(cell["base"], cell["seed"], cell["steps"]), faults_of(cell)
    for what, where in faults:
        values = with_fault(values, where, what, np.random.default_rng(cell["seed"]))
    series = as_series(values)
    detector = AnomalyDetector(random_state=0, device="cpu").fit(series)
    spans = [(int(one["start"]), int(one["end"]) + 1) for one in detector.scorer().spans(series)]
    assert isinstance(detector.encoder_, WindowEncoder)
    window = detector.encoder_.window
    covered = [next((one for one in spans if overlap(one, where)), None) for _, where in faults]
    beyond = [
        (abs(one[0] - where.start) + abs(one[1] - where.stop)) / 2
        for one, (_, where) in zip(covered, faults, strict=True)
        if one is not None
    ]
    false = [one for one in spans if not any(overlap(one, where) for _, where in faults)]
    return {
        "share": float(detector.contamination_),
        "spans": len(spans),
        "false_spans": len(false),
        "found": float(np.mean([one is not None for one in covered])) if faults else None,
        "beyond": float(np.mean(beyond)) / window if beyond else None,
        "window": window,
    }


def overlap(span: tuple[int, int], where: slice) -> bool:
    """Whether they have a step in common."""
    return bool(span[0] < where.stop and where.start < span[1])


def of_set(cell: Row, data: Path) -> Iterator[Row]:
    """Range-based and affiliation F1 of as many steps as are anomalous, and of about as many in spans."""
    from expose import AnomalyDetector
    from expose.kinds import as_series

    for one in load_series(cell["set"], data):
        if not one.y.any() or one.y.all():
            continue
        given = split(one.values, 0, 0)
        if cell["detector"] == OURS:
            detector = AnomalyDetector(random_state=0, device="cpu").fit(as_series(given.training))
            scores = np.asarray(detector.training_scores_)
        else:
            scores = np.asarray(CONTENDERS[NEIGHBOURS].score(given), dtype=np.float64)
        n = int(one.y.sum())
        steps = np.isin(np.arange(len(one)), np.argsort(-scores, kind="stable")[:n])
        spans = in_spans(scores, n)
        yield {
            "series": one.name,
            "range_f1": range_based(one.y, steps).f1,
            "range_f1_spans": range_based(one.y, spans).f1,
            "affiliation_f1": affiliation(one.y, steps).f1,
            "affiliation_f1_spans": affiliation(one.y, spans).f1,
        }


def in_spans(scores: Floats, n: int) -> NDArray[np.bool_]:
    """About so many flagged steps: the highest spans, as many as come nearest to it.

    Examples
    --------
    >>> in_spans(np.array([1.0, 1, 8, 9, 8, 1, 1, 5, 1, 1, 1, 1]), 3).nonzero()[0].tolist()
    [2, 3, 4]
    """
    flagged = np.zeros(len(scores), dtype=bool)
    for event in events_of(scores, np.array([len(scores)])):
        more = flagged.copy()
        more[event.first : event.last + 1] = True
        if abs(int(more.sum()) - n) > abs(int(flagged.sum()) - n):
            break
        flagged = more
    return flagged


def context(page: Page) -> dict[str, Any]:
    """What came of made series, by base, and of sets."""
    rows = page.rows("series_spans")
    of_made_ones = rows.where(set="made")
    sets = [name for name in COLLECTIONS if rows.where(set=name)]
    columns = {TITLES[name]: {"set": name} for name in sets}

    singles = type(rows)(row for row in of_made_ones if row["faults"] not in ("none", "three"))
    lines = {base: {"base": base} for base in BASES}
    counted = {"share (%)": Column("share", {}, 100, 2, spread=False), "spans": Column("spans", {}, 1, 2, spread=False)}
    faulty = {
        "found (%)": Column("found", {}, 100, 0, spread=False),
        "false spans": Column("false_spans", {}, 1, 2, spread=False),
        "beyond, in windows": Column("beyond", {}, 1, 2, spread=False),
    }
    who = {name: {"detector": name} for name in (OURS, NEIGHBOURS)}
    metrics = {
        "range_f1": "range-based F1, steps",
        "range_f1_spans": "range-based F1, spans",
        "affiliation_f1": "affiliation F1, steps",
        "affiliation_f1_spans": "affiliation F1, spans",
    }
    of_sets = type(rows)(row for row in rows if row["set"] != "made")

    def of_metric(name: str) -> str:
        shown = {title: Column(name, where, 1, 3, spread=False) for title, where in columns.items()}
        shown["all series"] = Column(name, {}, 1, 3, spread=False)
        return grid(of_sets, who, shown, metrics[name])

    return {
        "bases": BASES,
        "steps": max(row["steps"] for row in of_made_ones),
        "clean": grid(of_made_ones.where(faults="none"), lines, counted, "no fault"),
        "one": grid(singles, lines, {**counted, **faulty}, "one fault"),
        "three": grid(of_made_ones.where(faults="three"), lines, {**counted, **faulty}, "three faults"),
        "tables": [of_metric(name) for name in metrics],
        "faults": ", ".join(f"{what} of {length}" for what, length in FAULTS),
        "date": rows.finished,
    }


STUDY = Study(
    "series_spans",
    "what is flagged of series: how many spans, where they begin and end",
    cells=cells,
    measure=measure,
    options={"seeds": 4, "steps": STEPS, "collections": list(COLLECTIONS)},
    page="benchmark/series-spans.md",
    context=context,
)
