"""How near estimates of the share of anomalies come to the truth: ours, a mixture's, and thresholds'.

Every table of the registry but `speech`, the honest protocol, at most 1,500 normal training rows, true shares of 0, 10,
20 and 30 % or what the pool of anomalies reaches; a table that reaches no more at a higher share is not counted again.

- *expose*: `contamination="auto"` of the default detector, with its interval.
- *expose, for networks*: the same with `ntl`, whose estimate rests on an isolation forest.
- *mixture*: in the manner of gamma-GMM (Perini, Buerkner, Klami, ICML 2023): a Dirichlet-process mixture of Gaussians
  on the logarithms of the standardised scores of three detectors (nearest neighbors, isolation forest, local outlier
  factor). Its most extreme components, those whose mean lies two robust deviations above the median, are anomalous.
- *modified z*: isolation-forest scores more than 3.5 robust deviations above the median (Iglewicz and Hoaglin, 1993).
- *fence*: those more than 1.5 interquartile ranges above the upper quartile (Tukey, 1977).
- *none* and *5 %*: what one may say without looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from expose import AnomalyDetector
from expose.encoders import TableEncoder
from expose.kinds import as_table
from expose.objectives import make_objective
from expose_lab.datasets import load
from expose_lab.pages import Page, percent, table
from expose_lab.protocols import disjoint
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.comparison import ALL_TABLES

SHARES = (0.0, 0.1, 0.2, 0.3)
TRAIN_ROWS, NEIGHBORS, COMPONENTS = 1_500, 10, 20
Scores = NDArray[np.float64]


def cells(seeds: int) -> Iterator[Row]:
    """Each table and seed."""
    for name in ALL_TABLES:
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
    rows = TableEncoder("quantile").fit(as_table(X)).transform(as_table(X))
    forest = -IsolationForest(random_state=seed).fit(rows).score_samples(rows)
    plain = {
        "mixture": mixture(rows, forest, seed),
        "modified z": float((robust(forest) > 3.5).mean()),
        "fence": fence(forest),
        "none": 0.0,
        "5 %": 0.05,
    }
    return found | {name: (value, None, None) for name, value in plain.items()}


def robust(scores: Scores) -> Scores:
    """In robust deviations from the median."""
    centred = scores - np.median(scores)
    mad = 1.4826 * np.median(np.abs(centred))
    return centred / mad if mad > 0 else centred / max(float(np.abs(centred).mean()), 1e-12)


def fence(scores: Scores) -> float:
    """Share beyond Tukey's upper fence."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return float((scores > high + 1.5 * (high - low)).mean())


def mixture(rows: NDArray[Any], forest: Scores, seed: int) -> float:
    """Share of rows in the extreme components of a mixture on three detectors' scores."""
    k = min(NEIGHBORS, len(rows) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(rows).kneighbors()[0][:, -1]
    local = -LocalOutlierFactor(n_neighbors=k).fit(rows).negative_outlier_factor_
    scores = np.column_stack([np.log1p(np.exp(np.clip(robust(one), -30, 30))) for one in (near, forest, local)])
    scores = np.log(scores + 1e-2)
    components, prior = min(COMPONENTS, len(rows) // 5), "dirichlet_process"
    model = BayesianGaussianMixture(
        n_components=components, weight_concentration_prior_type=prior, random_state=seed
    ).fit(scores)
    extreme = robust(scores.mean(axis=1))
    member = model.predict(scores)
    return float(np.mean([extreme[member == one].mean() > 2 for one in member]))


def context(page: Page) -> dict[str, Any]:
    """Mean absolute errors in points by share, bias, and coverage of the interval; shown on the page of `auto`."""
    rows = page.rows("share_estimates")
    shares = sorted(rows.each("share"))
    lines = []
    for method in rows.each("method"):
        mine = rows.where(method=method)
        error = np.array([100 * (one["value"] - one["reached"]) for one in mine])
        at = np.array(mine.values("share"))
        inside = [one["low"] <= one["reached"] <= one["high"] for one in mine if one["low"] is not None]
        cells_ = [f"{np.abs(error[at == share]).mean():.1f}" for share in shares]
        cells_ += [f"{np.abs(error).mean():.1f}", f"{error.mean():+.1f}", f"{100 * (error > 2).mean():.0f} %"]
        lines.append([method, *cells_, f"{100 * np.mean(inside):.0f} %" if inside else "—"])
    header = ["estimate", *map(percent, shares), "all", "bias", "over by 2 points", "covered"]
    about: dict[str, Any] = {"last_seed": max(rows.each("seed")), "train_rows": TRAIN_ROWS, "date": rows.finished}
    return {**about, "table": table(header, lines)}


STUDY = Study(
    "share_estimates",
    "estimates of the share of anomalies beside the truth; shown on the page of auto",
    cells=cells,
    measure=measure,
    options={"seeds": 3},
)
