"""How near estimates of the share of anomalies come to the truth: ours, a mixture's, and thresholds'.

Every table of the registry but `speech`, the honest protocol, at most 1,500 normal training rows, true shares of 0, 10,
20 and 30 % or what the pool of anomalies reaches; a table that reaches no more at a higher share is not counted again.

- *expose*: `contamination="auto"` of the default detector, with its interval.
- *expose, for networks*: the same with `ntl`, whose estimate rests on an isolation forest.
- *mixture*: in the manner of gamma-GMM (Perini, Buerkner, Klami, ICML 2023): a Dirichlet-process mixture of Gaussians
  on the logarithms of the standardised scores of three detectors (nearest neighbours, isolation forest, local outlier
  factor). Its most extreme components, those whose mean lies two robust deviations above the median, are anomalous.
- *modified z*: isolation-forest scores more than 3.5 robust deviations above the median (Iglewicz and Hoaglin, 1993).
- *fence*: those more than 1.5 interquartile ranges above the upper quartile (Tukey, 1977).
- *none* and *5 %*: what one may say without looking.

    python benchmarks/share_estimates.py --data-dir DIR [--seeds 3]
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.mixture import BayesianGaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from expose import AnomalyDetector
from expose.evaluation import EXTRA_TABLES, PAPER_TABLES
from expose.evaluation.datasets import load
from expose.evaluation.protocols import disjoint
from expose.inputs import TableEncoder, as_table

RESULTS = Path(__file__).parent / "results" / "share_estimates.json"
SHARES = (0.0, 0.1, 0.2, 0.3)
TRAIN_ROWS, NEIGHBOURS, COMPONENTS = 1_500, 10, 20
Scores = NDArray[np.float64]


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
    k = min(NEIGHBOURS, len(rows) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(rows).kneighbors()[0][:, -1]
    local = -LocalOutlierFactor(n_neighbors=k).fit(rows).negative_outlier_factor_
    scores = np.column_stack([np.log1p(np.exp(np.clip(robust(one), -30, 30))) for one in (near, forest, local)])
    scores = np.log(scores + 1e-2)
    model = BayesianGaussianMixture(
        n_components=min(COMPONENTS, len(rows) // 5),
        weight_concentration_prior_type="dirichlet_process",
        random_state=seed,
    ).fit(scores)
    extreme = robust(scores.mean(axis=1))
    member = model.predict(scores)
    return float(np.mean([extreme[member == one].mean() > 2 for one in member]))


def estimates(X: NDArray[Any], seed: int) -> dict[str, tuple[float, float | None, float | None]]:
    """Value, and low and high where there is an interval, by method."""
    rows = TableEncoder("quantile").fit(as_table(X)).transform(as_table(X))
    forest = -IsolationForest(random_state=seed).fit(rows).score_samples(rows)
    found: dict[str, tuple[float, float | None, float | None]] = {}
    for name, objective in (("expose", "neighbours"), ("expose, for networks", "ntl")):
        own = AnomalyDetector(objective, random_state=seed)._prepare(X).estimate  # without the training after it
        found[name] = (own.value, own.low, own.high)
    plain: dict[str, Callable[[], float]] = {
        "mixture": lambda: mixture(rows, forest, seed),
        "modified z": lambda: float((robust(forest) > 3.5).mean()),
        "fence": lambda: fence(forest),
        "none": lambda: 0.0,
        "5 %": lambda: 0.05,
    }
    return found | {name: (method(), None, None) for name, method in plain.items()}


def measure(data_dir: str | None, seeds: int) -> list[dict[str, Any]]:
    """One record per table, share, seed and method."""
    found = []
    for name in (name for name in [*PAPER_TABLES, *EXTRA_TABLES] if name != "speech"):
        data = load(name, data_dir)
        for seed in range(seeds):
            reached = -1.0
            for share in SHARES:
                split = disjoint(data.X, data.y, seed=seed, ratio=share, train_rows=TRAIN_ROWS, test_rows=1)
                if split.reached_ratio == reached:
                    continue
                reached = split.reached_ratio
                for method, (value, low, high) in estimates(split.train_X, seed).items():
                    where = {"dataset": name, "seed": seed, "share": share, "reached": reached}
                    found.append(where | {"method": method, "value": value, "low": low, "high": high})
        print(name, flush=True)
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Mean absolute errors in points by share, bias, and coverage of the interval, as Markdown."""
    shares = sorted({one["share"] for one in found})
    head = ["estimate", *(f"{100 * share:g} %" for share in shares), "all", "bias", "over by 2 points", "covered"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for method in dict.fromkeys(one["method"] for one in found):
        mine = [one for one in found if one["method"] == method]
        error = np.array([100 * (one["value"] - one["reached"]) for one in mine])
        at = np.array([one["share"] for one in mine])
        inside = [one["low"] <= one["reached"] <= one["high"] for one in mine if one["low"] is not None]
        cells = [f"{np.abs(error[at == share]).mean():.1f}" for share in shares]
        cells += [f"{np.abs(error).mean():.1f}", f"{error.mean():+.1f}", f"{100 * (error > 2).mean():.0f} %"]
        lines.append(
            f"| {method} | " + " | ".join([*cells, f"{100 * np.mean(inside):.0f} %" if inside else "—"]) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found = measure(options.data_dir, options.seeds)
    print(table(found))
    about = {"date": datetime.date.today().isoformat(), "train_rows": TRAIN_ROWS, "seeds": options.seeds}
    RESULTS.write_text(json.dumps(about | {"results": found}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
