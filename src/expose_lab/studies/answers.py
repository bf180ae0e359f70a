"""What a round of answers changes, as a user sees it: the top of the ranking of a table of 9,000 rows.

The tables hold about 3 % of anomalies, made ones of four kinds (scattered; one dense group; several groups; local ones,
between two clusters of unlike width) and real ones of the registry, as far as those reach. A detector with nothing set
is fitted and answers are given truthfully, then it is fitted again: one and two rounds of 20 queried rows, one of the
20 first of the ranking, and one without a hit, the 20 normal rows that are ranked first. Metrics are of the unlabelled
training rows, the ones that are looked at next, and of rows that took no part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose_lab.datasets import load
from expose_lab.metrics import auroc
from expose_lab.pages import Page, Rows, signed, table
from expose_lab.protocols import Split
from expose_lab.store import Row
from expose_lab.studies.base import Study

ROWS, ANOMALIES, ANSWERS = 9000, 270, 20
MADE = ("scattered", "group", "groups", "local")
REAL = ("mammography", "annthyroid", "satimage-2", "shuttle", "cover")
TOPS = (50, 100, 270)
Floats = NDArray[np.float64]


def cells(seeds: int) -> Iterator[Row]:
    """Each seed and table."""
    for seed in range(seeds):
        yield from ({"dataset": name, "seed": seed} for name in (*MADE, *REAL))


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each way and number of answers."""
    seed = cell["seed"]
    split = made(cell["dataset"], seed) if cell["dataset"] in MADE else real(cell["dataset"], data, seed)
    X, y, none = split.train_X, split.train_y, np.full(len(split.train_y), -1, dtype=np.int8)
    first = fitted(X, none, seed)
    ranked = first.ranking_["row"]
    asked = {"query": first.query(X, ANSWERS), "first": ranked[:ANSWERS], "no hit": ranked[y[ranked] == 0][:ANSWERS]}
    for way, rows in asked.items():
        known = none.copy()
        known[rows] = y[rows]
        detector = fitted(X, known, seed)
        yield {"way": way, **compared(first, detector, split, known)}
        if way == "query":
            more = detector.query(X, ANSWERS)
            known[more] = y[more]
            yield {"way": way, **compared(first, fitted(X, known, seed), split, known)}


def fitted(X: Any, known: NDArray[np.int8], seed: int) -> AnomalyDetector:
    """All defaults."""
    return AnomalyDetector(random_state=seed, device="cpu").fit(X, labels=known)


def compared(before: AnomalyDetector, after: AnomalyDetector, split: Split, known: NDArray[np.int8]) -> Row:
    """What the unlabelled rows are ranked by, before and after; and how much of the top is new."""
    free = known == -1
    tops = [ranked[free[ranked]] for ranked in (before.ranking_["row"], after.ranking_["row"])]
    found: Row = {"labels": int((~free).sum()), "anomalies": int((known == 1).sum())}
    for name, detector, top in (("before", before, tops[0]), ("after", after, tops[1])):
        found |= {f"top_{count}_{name}": float(split.train_y[top[:count]].mean()) for count in TOPS}
        found[f"auroc_{name}"] = auroc(split.train_y[free], detector.training_scores_[free])
        found[f"unseen_{name}"] = auroc(split.test_y, detector.anomaly_score(split.test_X))
    return found | {"entered": len(set(tops[1][:100]) - set(tops[0][:100]))}


# ---------------------------------------------------------------------------------------------------------- tables


def made(name: str, seed: int, rows: int = ROWS) -> Split:
    """Six columns: normal rows in two clusters of unlike width, 3 % anomalies, and a third as many rows unseen."""
    rng = np.random.default_rng([seed, MADE.index(name)])
    place = rng.normal(2, 1.5, (6, 6))  # of the groups

    def draw(rows: int) -> tuple[Floats, NDArray[np.int8]]:
        odd = round(rows * ANOMALIES / ROWS)
        side = rng.permutation(np.arange(rows - odd) % 2)[:, None]
        normal = np.where(side, 4 + 0.5 * rng.normal(size=(rows - odd, 6)), rng.normal(size=(rows - odd, 6)))
        of = rng.integers(0, 6, odd)
        anomalies = {
            "scattered": rng.uniform(-3, 6, (odd, 6)),
            "group": 1.8 + 0.15 * rng.normal(size=(odd, 6)),
            "groups": place[of] + 0.3 * rng.normal(size=(odd, 6)),
            "local": 4 + 1.2 * rng.normal(size=(odd, 6)),
        }[name]
        return np.concatenate([normal, anomalies]), np.repeat([0, 1], [rows - odd, odd]).astype(np.int8)

    (X, y), (unseen, truth) = draw(rows), draw(rows // 3)
    return Split(X, y, unseen, truth, float(y.mean()))


def real(name: str, data: Path, seed: int) -> Split:
    """At most 9,000 rows, as near to 3 % of anomalies as six tenths of them make; other rows, at most 3,000, unseen."""
    stored, rng = load(name, data), np.random.default_rng(seed)
    normal, odd = (rng.permutation(np.flatnonzero(stored.y == label)) for label in (0, 1))
    most = min(ROWS - ANOMALIES, int(0.8 * len(normal)))
    few = min(round(most * ANOMALIES / (ROWS - ANOMALIES)), int(0.6 * len(odd)))
    train = np.concatenate([normal[:most], odd[:few]])
    test = np.concatenate([normal[most:][:2700], odd[few:][:300]])
    return Split(stored.X[train], stored.y[train], stored.X[test], stored.y[test], few / len(train))


# ------------------------------------------------------------------------------------------------------------ page

WAYS: dict[str, dict[str, Any]] = {
    "20 queried": {"way": "query", "labels": 20},
    "40 queried": {"way": "query", "labels": 40},
    "first 20 of the ranking": {"way": "first"},
    "no hit: the first 20 normal rows": {"way": "no hit"},
}
SHOWN = {"precision of the first 100": "top_100", "AUROC, unlabelled": "auroc", "AUROC, unseen": "unseen"}


def context(page: Page) -> dict[str, Any]:
    """All ways in the mean, and each table by its own."""
    rows = page.rows("answers")
    names = rows.each("dataset")
    header = ["", "anomalies among them", *SHOWN, "new among the first 100"]
    found = {title: [rows.where(**way, dataset=name) for name in names] for title, way in WAYS.items()}
    return {
        "n_seeds": len(rows.each("seed")),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "ways": table(header, [line(title, rows.where(**way)) for title, way in WAYS.items()]),
        "tables": {
            title: table(header, [line(name, some) for name, some in zip(names, each, strict=True)])
            for title, each in found.items()
        },
    }


def line(title: str, rows: Rows) -> list[str]:
    """Before and after in the mean, with the standard deviation of the gain over all fits."""
    cells_ = []
    for metric in SHOWN.values():
        gain = np.subtract(rows.values(f"{metric}_after"), rows.values(f"{metric}_before"))
        spread = f" ({signed(100 * gain.mean(), 1)} ± {100 * gain.std():.1f})"
        cells_.append(f"{100 * rows.mean(f'{metric}_before'):.1f} → {100 * rows.mean(f'{metric}_after'):.1f}{spread}")
    return [title, f"{rows.mean('anomalies'):.1f}", *cells_, f"{rows.mean('entered'):.0f}"]


STUDY = Study(
    "answers",
    "what a round of answers changes at the top of the ranking of 9,000 rows",
    cells=cells,
    measure=measure,
    options={"seeds": 2},
    page="notes/answers.md",
    context=context,
)
