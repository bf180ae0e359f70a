"""What p-values and thresholds keep of their promises: false discoveries, power and false alarms on real tables.

Protocol disjoint: true shares of anomalies from 0 to 20 % in the rows that are trained on and calibrated with, other
anomalies in the test. The detector is the default, told nothing. Calibrations:

- folds: trained on all rows, calibrated by five folds of them, contaminated as they are;
- held out, clean: trained on one half of the rows, calibrated with the normal rows of the other half;
- held out: calibrated with the other half as it is;
- labels of the top m: the same after somebody has looked at the m highest-scoring calibration rows, and the anomalies
  among them are left out (Label-Trim of Bashari, Sesia and Romano, 2025);
- top 10 % dropped: the same without its highest tenth, whatever it is. A warning, not a method.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector, select
from expose.decide import conformal_p_values
from expose_lab.datasets import load
from expose_lab.pages import Column, Page, Rows, grid, table
from expose_lab.protocols import Split, disjoint
from expose_lab.store import Row
from expose_lab.studies.base import Study

SETS = ["annthyroid", "cover", "http", "mnist", "satellite", "shuttle"]
RATIOS = (0.0, 0.05, 0.1, 0.2)
RATES = (0.05, 0.1, 0.2)
LEVELS = (0.01, 0.05)
RULES = {
    "contamination": "`None`: the estimated contamination",
    "mixture": '`"mixture"`',
    "tail": '`"tail"`, 1 %',
    "conformal": '`"conformal"`, 5 %, by folds',
}
LABELLED = (50, 200)
SHOWN_BY_SET = ("folds", "held out, clean", "held out", "labels of the top 50")
TRIM, FOLDS = 0.1, 5
TRAIN_ROWS, TEST_ROWS = 1000, 1000
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def cells(sets: list[str], seeds: int) -> Iterator[Row]:
    """Each set, share and seed."""
    for name in sets:
        for ratio in RATIOS:
            yield from ({"set": name, "true_ratio": ratio, "seed": seed} for seed in range(seeds))


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each calibration and rate, calibration and level, and threshold rule."""
    stored, seed = load(cell["set"], data), cell["seed"]
    caps: dict[str, Any] = {"train_rows": TRAIN_ROWS, "test_rows": TEST_ROWS}
    split = disjoint(stored.X, stored.y, seed=seed, ratio=cell["true_ratio"], **caps)
    about: dict[str, Any] = {"reached_ratio": split.reached_ratio}
    detector = AnomalyDetector(calibration=FOLDS, random_state=seed).fit(split.train_X)
    scores = detector.anomaly_score(split.test_X)
    for rule in RULES:
        threshold = detector.set_params(threshold=None if rule == "contamination" else rule).threshold_score()
        yield {"kind": "rule", "what": rule, **about, **flagged(scores > threshold, split.test_y == 1)}
    ways = {"folds": conformal_p_values(scores, np.asarray(detector.calibration_scores_)), **held_out(split, seed)}
    for way, p_values in ways.items():
        for rate in RATES:
            found = discoveries(select(p_values, rate), split.test_y == 1)
            yield {"kind": "selected", "what": way, "rate": rate, **about, **found}
        for level in LEVELS:
            small = float((p_values[split.test_y == 0] <= level).mean())
            yield {"kind": "small", "what": way, "rate": level, **about, "small": small}


def held_out(split: Split, seed: int) -> dict[str, Floats]:
    """P-values by each way of handling held-out rows."""
    order = np.random.default_rng([seed, 9]).permutation(len(split.train_X))
    train, held = order[: len(order) // 2], order[len(order) // 2 :]
    half = AnomalyDetector(random_state=seed).fit(split.train_X[train])
    scores, kept = half.anomaly_score(split.test_X), half.anomaly_score(split.train_X[held])
    ways = calibrations(kept, split.train_y[held] == 1)
    return {name: conformal_p_values(scores, some) for name, some in ways.items()}


def calibrations(scores: Floats, truth: Bools) -> dict[str, Floats]:
    """The calibration scores that each way keeps."""
    order = np.argsort(-scores, kind="stable")
    ways = {"held out, clean": scores[~truth], "held out": scores}
    for m in LABELLED:
        known = np.zeros(len(scores), dtype=bool)
        known[order[:m]] = truth[order[:m]]
        ways[f"labels of the top {m}"] = scores[~known]
    ways["top 10 % dropped"] = scores[order[round(TRIM * len(scores)) :]]
    return ways


def discoveries(chosen: Bools, truth: Bools) -> Row:
    """Share of false discoveries, and share of the anomalies that were selected."""
    return {"false": float((~truth[chosen]).sum() / max(1, chosen.sum())), "power": float(chosen[truth].mean())}


def flagged(called: Bools, truth: Bools) -> Row:
    """What a threshold flags of the test rows."""
    hits = int((called & truth).sum())
    return {
        "false": float(called[~truth].mean()),
        "power": hits / int(truth.sum()),
        "f1": 2 * hits / (int(called.sum()) + int(truth.sum())),
    }


# ------------------------------------------------------------------------------------------------------------ page


def points(share: float) -> str:
    """Percent with one digit."""
    return f"{100 * share:.1f}"


def context(page: Page) -> dict[str, Any]:
    """Tables by true share."""
    rows = page.rows("p_values")
    ratios = sorted(rows.each("true_ratio"))
    selected, small = rows.where(kind="selected"), rows.where(kind="small")
    shares = {f"{points(ratio)} %": {"true_ratio": ratio} for ratio in ratios}

    def by_share(found: Rows, names: tuple[str, ...], lines: dict[str, Row], corner: str) -> str:
        columns = {label: [Column(name, where, spread=False) for name in names] for label, where in shares.items()}
        return grid(found, lines, columns, corner, over="set")

    ways = {way: {"what": way} for way in selected.each("what")}
    by_set = [(name, way) for name in sorted(rows.each("set")) for way in SHOWN_BY_SET]
    lines = {f"{name} | {way}": {"set": name, "what": way} for name, way in by_set}
    sets_table = by_share(selected.where(rate=RATES[1]), ("false", "power"), lines, "data set | calibration")
    highest = rows.where(true_ratio=max(ratios))
    return {
        "date": rows.finished,
        "sets": ", ".join(sorted(rows.each("set"))),
        "n_means": len(rows.each("set")) * len(ratios),
        "seeds": len(rows.each("seed")),
        "rows": (TRAIN_ROWS, TEST_ROWS),
        "folds": FOLDS,
        "reached": points(min(highest.where(set=name).mean("reached_ratio") for name in rows.each("set"))),
        "rates": RATES,
        "levels": LEVELS,
        "points": points,
        "both": lambda rate: by_share(selected.where(rate=rate), ("false", "power"), ways, "calibration"),
        "worst": worst_table(selected),
        "small": lambda level: by_share(small.where(rate=level), ("small",), ways, "calibration"),
        "rules": by_share(
            rows.where(kind="rule"),
            ("false", "power", "f1"),
            {said: {"what": rule} for rule, said in RULES.items()},
            "`threshold`",
        ),
        "sets_table": sets_table.replace("|---|--:|", "|---|--:|--:|", 1),
    }


def worst_table(selected: Rows) -> str:
    """The set with the most false discoveries, for each calibration and rate, over all shares."""
    lines = []
    for way in selected.each("what"):
        line = [way]
        for rate in RATES:
            here = selected.where(what=way, rate=rate)
            places = [(name, ratio) for name in here.each("set") for ratio in here.each("true_ratio")]
            found = [(here.where(set=name, true_ratio=ratio).mean("false"), name, ratio) for name, ratio in places]
            worst, name, ratio = max(found)
            line.append(f"{points(worst)} ({name}, {points(ratio)} %)")
        lines.append(line)
    return table(["calibration", *(f"{points(rate)} %" for rate in RATES)], lines)


STUDY = Study(
    "p_values",
    "false discoveries, power and false alarms of p-values and thresholds on six tables",
    cells=cells,
    measure=measure,
    options={"sets": SETS, "seeds": 10},
    page="benchmark/decisions.md",
    context=context,
)
