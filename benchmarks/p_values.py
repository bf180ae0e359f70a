"""What p-values and thresholds keep of their promises: false discoveries, power and false alarms on real tables.

Protocol disjoint: true shares of anomalies from 0 to 20 % in the rows that are trained on and calibrated with, other
anomalies in the test. The detector is the default, told nothing. Calibrations:

- folds: trained on all rows, calibrated by five folds of them, contaminated as they are;
- held out, clean: trained on one half of the rows, calibrated with the normal rows of the other half;
- held out: calibrated with the other half as it is;
- labels of the top m: the same after somebody has looked at the m highest-scoring calibration rows, and the anomalies
  among them are left out (Label-Trim of Bashari, Sesia and Romano, 2025);
- top 10 % dropped: the same without its highest tenth, whatever it is. A warning, not a method.

    python benchmarks/p_values.py [--data-dir DIR] [--sets satellite shuttle ...] [--seeds 10]
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from expose import AnomalyDetector, __version__, select
from expose.decide import conformal_p_values
from expose.evaluation import Split, disjoint, load

SETS = ["annthyroid", "cover", "http", "mnist", "satellite", "shuttle"]
RATIOS = (0.0, 0.05, 0.1, 0.2)
RATES = (0.05, 0.1, 0.2)
LEVELS = (0.01, 0.05)
RULES = (None, "mixture", "tail", "conformal")
LABELLED = (50, 200)
TRIM, FOLDS = 0.1, 5
TRAIN_ROWS, TEST_ROWS = 1000, 1000


def calibrations(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """The calibration scores that each way of handling held-out rows keeps."""
    order = np.argsort(-scores, kind="stable")
    ways = {"held out, clean": scores[truth == 0], "held out": scores}
    for m in LABELLED:
        known = np.zeros(len(scores), dtype=bool)
        known[order[:m]] = truth[order[:m]] == 1
        ways[f"labels of the top {m}"] = scores[~known]
    ways["top 10 % dropped"] = scores[order[round(TRIM * len(scores)) :]]
    return ways


def judged(p_values: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """False discoveries, power and type-I error of p-values."""
    found: dict[str, Any] = {"selected": [], "fdp": [], "power": []}
    for rate in RATES:
        chosen = select(p_values, rate)
        found["selected"].append(int(chosen.sum()))
        found["fdp"].append(float((truth[chosen] == 0).sum() / max(1, chosen.sum())))
        found["power"].append(float(chosen[truth == 1].mean()))
    return found | {"small": [float((p_values[truth == 0] <= level).mean()) for level in LEVELS]}


def flagged_by(detector: AnomalyDetector, scores: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """What each threshold flags of the test rows."""
    found = {}
    for rule in RULES:
        flagged = scores > detector.set_params(threshold=rule).threshold_score()
        hits = int((flagged & (truth == 1)).sum())
        found[rule or "contamination"] = {
            "flagged": float(flagged.mean()),
            "false_alarms": float(flagged[truth == 0].mean()),
            "found": hits / int(truth.sum()),
            "f1": 2 * hits / (int(flagged.sum()) + int(truth.sum())),
        }
    return found


def cell(split: Split, seed: int) -> dict[str, Any]:
    """All measurements on one split."""
    detector = AnomalyDetector(calibration=FOLDS, random_state=seed).fit(split.train_X)
    scores = detector.anomaly_score(split.test_X)
    p_values = {"folds": conformal_p_values(scores, detector.calibration_scores_)}
    rules = flagged_by(detector, scores, split.test_y)
    order = np.random.default_rng([seed, 9]).permutation(len(split.train_X))
    train, held = order[: len(order) // 2], order[len(order) // 2 :]
    half = AnomalyDetector(random_state=seed).fit(split.train_X[train])
    scores = half.anomaly_score(split.test_X)
    for name, kept in calibrations(half.anomaly_score(split.train_X[held]), split.train_y[held]).items():
        p_values[name] = conformal_p_values(scores, kept)
    return {
        "reached_ratio": split.reached_ratio,
        "n_train": len(split.train_X),
        "test_normal": int((split.test_y == 0).sum()),
        "test_anomalies": int(split.test_y.sum()),
        "estimated": detector.contamination_,
        "p_values": {name: judged(values, split.test_y) for name, values in p_values.items()},
        "rules": rules,
    }


def main() -> None:
    """Run all cells, write the results after each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/p_values.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    start = time.perf_counter()
    for name in options.sets:
        data = load(name, options.data_dir)
        for ratio in RATIOS:
            for seed in range(options.seeds):
                caps = {"train_rows": TRAIN_ROWS, "test_rows": TEST_ROWS}
                split = disjoint(data.X, data.y, seed=seed, ratio=ratio, **caps)
                rows.append({"set": name, "true_ratio": ratio, "seed": seed} | cell(split, seed))
            print(f"{name} at {ratio:.0%}: {time.perf_counter() - start:.0f} s", flush=True)
        result = {
            "date": datetime.date.today().isoformat(),
            "script": "benchmarks/p_values.py",
            "version": __version__,
            "rates": RATES,
            "levels": LEVELS,
            "folds": FOLDS,
            "train_rows": TRAIN_ROWS,
            "test_rows": TEST_ROWS,
            "rows": rows,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
