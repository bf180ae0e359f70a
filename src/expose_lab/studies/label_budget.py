"""What a few labels are worth: curves over 0 to 50 labels, asked for in rounds as a person would give them.

For every table and seed, training rows hold 10 % of anomalies (protocol `disjoint`, the share as far as there are as
many). Three ways to choose the rows to be labelled are compared: `query`, at random, and the highest anomaly scores.
Labels come from the training rows; the test rows serve the metrics only. The line to beat is the same detector,
trained on the normal training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose_lab.datasets import load
from expose_lab.figures import Curve, curves
from expose_lab.metrics import auroc, average_precision
from expose_lab.pages import Column, Page, Rows, count, grid, listed, signed, table
from expose_lab.protocols import Split, disjoint
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.comparison import ALL_TABLES

BUDGETS = (5, 10, 20, 50)
RATIO, TRAIN_ROWS, TEST_ROWS = 0.1, 1000, 1000
METRICS = {"auroc": "AUROC", "average_precision": "average precision"}
OURS, CLEAN = "query", "clean"
Labels = NDArray[np.int8]
Choose = Callable[[AnomalyDetector, Any, Labels, int, np.random.Generator], NDArray[np.int64]]


def queried(detector: AnomalyDetector, X: Any, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ours."""
    return detector.query(X, k)


def random(detector: AnomalyDetector, X: Any, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Any unlabelled rows."""
    return rng.choice(np.flatnonzero(known == -1), k, replace=False)


def highest(detector: AnomalyDetector, X: Any, known: Labels, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The unlabelled rows of highest score."""
    return np.argsort(np.where(known == -1, -detector.training_scores_, np.inf), kind="stable")[:k]


WAYS: dict[str, Choose] = {OURS: queried, "random": random, "highest scores": highest}


def cells(seeds: int) -> Iterator[Row]:
    """Each seed and table."""
    for seed in range(seeds):
        yield from ({"dataset": name, "seed": seed} for name in ALL_TABLES)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each way and budget, and one for the clean detector."""
    stored, seed = load(cell["dataset"], data), cell["seed"]
    split = disjoint(stored.X, stored.y, seed=seed, ratio=RATIO, train_rows=TRAIN_ROWS, test_rows=TEST_ROWS)
    nothing = {"labels": 0, "anomalies": 0}
    yield {"way": CLEAN, **nothing, **measured(new(seed).fit(split.train_X[split.train_y == 0]), split)}
    first = new(seed).fit(split.train_X)
    start = measured(first, split)
    for way, choose in WAYS.items():
        yield {"way": way, **nothing, **start}
        rng, known, detector = np.random.default_rng(seed), np.full(len(split.train_y), -1, dtype=np.int8), first
        for budget in BUDGETS:
            rows = choose(detector, split.train_X, known, budget - int((known >= 0).sum()), rng)
            known[rows] = split.train_y[rows]
            detector = new(seed).fit(split.train_X, labels=known)
            asked = {"labels": budget, "anomalies": int((known == 1).sum())}
            yield {"way": way, **asked, **measured(detector, split)}


def new(seed: int) -> AnomalyDetector:
    """All defaults."""
    return AnomalyDetector(random_state=seed, device="cpu")


def measured(detector: AnomalyDetector, split: Split) -> dict[str, float]:
    """How good it is on the test rows, and what it took the share of anomalies for."""
    scores = detector.anomaly_score(split.test_X)
    return {
        "auroc": auroc(split.test_y, scores),
        "average_precision": average_precision(split.test_y, scores),
        "error": abs(detector.contamination_ - split.reached_ratio),
    }


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """Ways by budgets, and each set."""
    rows = page.rows("label_budget")
    budgets = sorted(rows.each("labels"))
    ways = [way for way in rows.each("way") if way != CLEAN]
    lines = {f"`{way}`" if way == OURS else way: {"way": way} for way in ways}
    asked = rows.where(way=tuple(ways))
    svg = curves(panels(rows, ways, budgets), xlabel="labels", ylabel="mean over data sets", columns=2, percent=False)
    method = (page.docs / "few-labels-method.md").read_text(encoding="utf-8").strip("\n")

    def budget_table(metric: str, best: Callable[..., Any] = max) -> str:
        columns = {str(budget): Column(metric, {"labels": budget}, spread=False) for budget in budgets}
        return grid(asked, lines, columns, "labels", over="dataset", bold="column", best=best)

    def with_clean(metric: str) -> str:
        cells_ = [f"{100 * rows.where(way=CLEAN).mean(metric):.1f}", *[""] * (len(budgets) - 1)]
        return budget_table(metric) + f"\n| *trained on the normal rows alone* | {' | '.join(cells_)} |"

    return {
        "method": method,
        "n_sets": len(rows.each("dataset")),
        "n_seeds": len(rows.each("seed")),
        "ratio": RATIO,
        "rows": (TRAIN_ROWS, TEST_ROWS),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "picture": page.picture("few-labels.svg", svg, "AUROC and average precision over the number of labels"),
        "metrics": METRICS,
        "budget_table": with_clean,
        "verdict": verdict(rows, budgets),
        "error_table": budget_table("error", min),
        "errors": {budget: 100 * rows.where(way=OURS, labels=budget).mean("error") for budget in budgets},
        "budgets": ", ".join(map(str, budgets[1:])),
        "sets_table": sets_table(rows, budgets),
    }


def per_set(rows: Rows, way: str, budget: int, metric: str = "auroc") -> list[float]:
    """Percent, one mean over the seeds for each data set by name."""
    found = Rows(sorted(rows.where(way=way, labels=budget), key=lambda row: row["dataset"]))
    return [100 * value for value in found.per(metric, "dataset")]


def verdict(rows: Rows, budgets: list[int]) -> dict[str, Any]:
    """What is reached and what is not."""
    sets, clean = sorted(rows.each("dataset")), per_set(rows, CLEAN, 0)
    ours = {budget: float(np.mean(per_set(rows, OURS, budget))) for budget in budgets}
    middle = 20 if 20 in ours else budgets[-1]
    change = np.subtract(per_set(rows, OURS, middle), per_set(rows, OURS, 0))
    gap = np.subtract(clean, per_set(rows, OURS, middle))
    lost = {budget: np.subtract(per_set(rows, OURS, budget), per_set(rows, OURS, 0)) < -1 for budget in budgets[1:]}
    order = np.argsort(-change)[:4]

    def those(chosen: Any) -> str:
        names = [sets[int(place)] for place in chosen]
        return f"{count(len(names), 'data set')}{listed(names)}" if names else "none"

    return {
        "reached": next((budget for budget, mean in ours.items() if mean >= np.mean(clean)), None),
        "middle": middle,
        "gain": signed(ours[middle] - ours[0], 1),
        "losers": ", ".join(f"with {budget} labels by {those(np.flatnonzero(who))}" for budget, who in lost.items()),
        "most": those(order),
        "their_share": signed(float(change[order].sum() / len(change)), 1),
        "missed": those(np.flatnonzero(gap > 2)),
    }


def sets_table(rows: Rows, budgets: list[int]) -> str:
    """AUROC of ours for every data set, and how many of the labelled rows were anomalies."""
    lines = []
    for name in sorted(rows.each("dataset")):
        here = rows.where(dataset=name)
        found = {budget: here.where(way=OURS, labels=budget) for budget in budgets}
        cells_ = [
            f"{100 * some.mean('auroc'):.1f}" + (f" ({some.mean('anomalies'):.1f})" if budget else "")
            for budget, some in found.items()
        ]
        lines.append([name, *cells_, f"{100 * here.where(way=CLEAN).mean('auroc'):.1f}"])
    return table(["data set", *map(str, budgets), "clean"], lines)


def panels(rows: Rows, ways: list[str], budgets: list[int]) -> dict[str, dict[str, Curve]]:
    """One panel for each metric; bands are the standard deviation over seeds of the mean over data sets."""
    found = {}
    for metric, title in METRICS.items():
        lines = {}
        for way in ways:
            by_seed = [rows.where(way=way, labels=budget).per(metric, "seed") for budget in budgets]
            lines[way] = Curve(budgets, np.mean(by_seed, axis=1).tolist(), np.std(by_seed, axis=1).tolist())
        clean = rows.where(way=CLEAN).mean(metric)
        lines["trained on normal rows alone"] = Curve(budgets, [clean] * len(budgets), [0.0] * len(budgets))
        found[title] = lines
    return found


STUDY = Study(
    "label_budget",
    "what 5 to 50 labels are worth, asked for by query, at random and by score",
    cells=cells,
    measure=measure,
    options={"seeds": 2},
    page="few-labels.md",
    context=context,
)
