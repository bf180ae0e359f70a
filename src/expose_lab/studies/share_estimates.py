"""How near estimates of the share of anomalies come to the truth: ours, gamma-GMM's, and thresholds'.

Every table of the registry but `speech`, the honest protocol, at most 1,500 normal training rows, true shares of 0, 10,
20 and 30 % or what the pool of anomalies reaches; a table that reaches no more at a higher share is not counted again.

- *expose*: `contamination="auto"` of the default detector, with its interval.
- *expose, for networks*: the same with `ntl`, whose estimate rests on an isolation forest.
- *gamma-GMM*: mean and 95 % interval of the posterior of Perini, Buerkner, Klami (ICML 2023), from the scores of ten
  detectors; see `expose_lab.gamma_gmm`.
- *modified z*: isolation-forest scores more than 3.5 robust deviations above the median (Iglewicz and Hoaglin, 1993).
- *fence*: those more than 1.5 interquartile ranges above the upper quartile (Tukey, 1977).
- *none* and *5 %*: what one may say without looking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose import AnomalyDetector
from expose.encoders import TableEncoder
from expose.kinds import as_table
from expose.objectives import make_objective
from expose_lab.datasets import load
from expose_lab.gamma_gmm import gamma_posterior
from expose_lab.pages import Page, Rows, percent, table
from expose_lab.protocols import disjoint
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.comparison import GROUPS

SHARES = (0.0, 0.1, 0.2, 0.3)
TRAIN_ROWS = 1_500
INTERVAL = (0.025, 0.975)
Scores = NDArray[np.float64]


def cells(seeds: int) -> Iterator[Row]:
    """Each table and seed."""
    for group in GROUPS.values():
        for name in group.tables:
            yield from ({"dataset": name, "seed": seed} for seed in range(seeds))


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each share that is new, and each method."""
    table_, reached = load(cell["dataset"], data), -1.0
    for share in SHARES:
        split = disjoint(table_.X, table_.y, seed=cell["seed"], ratio=share, train_rows=TRAIN_ROWS, test_rows=1)
        if split.reached_ratio == reached:
            continue
        reached = split.reached_ratio
        for method, (value, low, high) in estimates(split.train_X, cell["seed"]).items():
            yield {"share": share, "reached": reached, "method": method, "value": value, "low": low, "high": high}


def estimates(X: NDArray[Any], seed: int) -> dict[str, tuple[float, float | None, float | None]]:
    """Value, and low and high where there is an interval, by method."""
    found: dict[str, tuple[float, float | None, float | None]] = {}
    one_epoch = make_objective("ntl", epochs=1)  # the estimate comes before the training
    for name, objective in (("expose", "neighbours"), ("expose, for networks", one_epoch)):
        own = AnomalyDetector(objective, device="cpu", random_state=seed).fit(X).contamination_estimate_
        found[name] = (own.value, own.low, own.high)
    posterior = gamma_posterior(encoded(X, "standard"), seed)
    low, high = np.quantile(posterior, INTERVAL)
    found["gamma-GMM"] = (float(posterior.mean()), float(low), float(high))
    rows = encoded(X, "quantile")
    forest = -IsolationForest(random_state=seed).fit(rows).score_samples(rows)
    plain = {
        "modified z": float((robust(forest) > 3.5).mean()),
        "fence": fence(forest),
        "none": 0.0,
        "5 %": 0.05,
    }
    return found | {name: (value, None, None) for name, value in plain.items()}


def encoded(X: NDArray[Any], scaling: str) -> NDArray[np.float64]:
    """Rows as numbers."""
    rows = as_table(X)
    return TableEncoder(scaling).fit(rows).transform(rows).astype(np.float64)


def robust(scores: Scores) -> Scores:
    """In robust deviations from the median."""
    centred = scores - np.median(scores)
    mad = 1.4826 * np.median(np.abs(centred))
    return centred / mad if mad > 0 else centred / max(float(np.abs(centred).mean()), 1e-12)


def fence(scores: Scores) -> float:
    """Share beyond Tukey's upper fence."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return float((scores > high + 1.5 * (high - low)).mean())


def context(page: Page) -> dict[str, Any]:
    """Errors over all sets and by group, and what is said of clean rows; shown on the page of `auto`."""
    rows = page.rows("share_estimates")
    groups = {group.title: rows.where(dataset=tuple(group.tables)) for group in GROUPS.values() if group.title}
    about: dict[str, Any] = {"last_seed": max(rows.each("seed")), "train_rows": TRAIN_ROWS, "date": rows.finished}
    about["sets"] = len(rows.each("dataset"))
    about["groups"] = {title: errors_table(some) for title, some in groups.items() if some}
    return {**about, "table": errors_table(rows), "clean": clean_table(rows)}


def errors_table(rows: Rows) -> str:
    """Mean absolute errors in points by share, bias, and coverage of the interval."""
    shares = sorted(rows.each("share"))
    lines = []
    for method in rows.each("method"):
        mine = rows.where(method=method)
        error = np.array([100 * (one["value"] - one["reached"]) for one in mine])
        at = np.array(mine.values("share"))
        cells_ = [f"{np.abs(error[at == share]).mean():.1f}" for share in shares]
        cells_ += [f"{np.abs(error).mean():.1f}", f"{error.mean():+.1f}", f"{100 * (error > 2).mean():.0f} %"]
        lines.append([method, *cells_, *of_intervals([one for one in mine if one["low"] is not None])])
    header = ["estimate", *map(percent, shares), "all", "bias", "over by 2 points", "covered", "interval"]
    return table(header, lines)


def of_intervals(rows: Sequence[Row]) -> list[str]:
    """How often they held the truth, and how wide they were in the mean."""
    if not rows:
        return ["—", "—"]
    inside = np.mean([one["low"] <= one["reached"] <= one["high"] for one in rows])
    low, high = (100 * np.mean([one[end] for one in rows]) for end in ("low", "high"))
    return [f"{100 * inside:.0f} %", f"{low:.1f} to {high:.1f}"]


def clean_table(rows: Rows) -> str:
    """How high estimates of clean rows are: the mean, the largest, and how many exceed 5 %."""
    lines = []
    for method in rows.each("method"):
        found = 100 * np.array(rows.where(method=method, share=0.0).values("value"))
        lines.append([method, f"{found.mean():.1f}", f"{found.max():.1f}", f"{(found > 5).sum()} of {len(found)}"])
    return table(["estimate", "mean", "largest", "above 5 %"], lines)


STUDY = Study(
    "share_estimates",
    "estimates of the share of anomalies beside the truth; shown on the page of auto",
    cells=cells,
    measure=measure,
    options={"seeds": 2},
)
