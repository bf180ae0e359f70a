"""Why NTL forgot distances: AUROC with and without a constant value beside each row, on standard-scaled tables.

All layers of NTL are bias-free and its losses are made of cosines, so a row scores like any multiple of itself. On
centred data that hides how far a row is from the middle. `NTL(constant=c)` adds the value c * sqrt(D) to each row.
Disjoint protocol, at most 1,500 training rows, two seeds, about 800 steps.

    python benchmarks/ntl_constant.py [--data-dir DIR] [--sets thyroid cardio ...]
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import torch

from expose.evaluation import Split, auroc, disjoint, load
from expose.exposure import EXPOSURES
from expose.objectives import NTL
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric

SETS = ["thyroid", "cardio", "breastw", "pendigits", "ionosphere", "wbc"]
CONSTANTS = [0.0, 0.3, 1.0, 2.0, 4.0]
SEEDS = (0, 1)
ROWS, STEPS, BATCH, FAR = 1500, 800, 128, 20.0
CELLS = [(0.0, "blind"), (0.1, "blind"), (0.1, "soft")]


def scaled(split: Split, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training rows (a random 1,500 at most) and test rows, by mean and standard deviation of the former."""
    mean, std = split.train_X[:, keep].mean(0), split.train_X[:, keep].std(0)
    chosen = np.random.default_rng(0).permutation(len(split.train_X))[:ROWS]
    train, test = (np.clip((X[:, keep] - mean) / std, -FAR, FAR) for X in (split.train_X, split.test_X))
    return train[chosen].astype(np.float32), test.astype(np.float32)


def cell(name: str, constant: float, ratio: float, exposure: str, data_dir: str | None) -> list[float]:
    """AUROC in percent of each seed."""
    data = load(name, data_dir)
    splits = [disjoint(data.X, data.y, seed=seed, ratio=ratio) for seed in SEEDS]
    keep = np.all([split.train_X.std(0) > 0 for split in splits], axis=0)
    pairs = [scaled(split, keep) for split in splits]
    rows = torch.from_numpy(np.stack([train for train, _ in pairs]))
    ensemble = build_members(NTL(constant=constant), rows, SEEDS)
    epochs = max(5, STEPS // (rows.shape[1] // BATCH + 1))
    settings = Settings(seeds=SEEDS, epochs=epochs, batch_size=BATCH)
    Loop(make_fabric("auto", "32", 0), EXPOSURES[exposure], ratio, settings).run(ensemble, TrainingSet(rows))
    with torch.no_grad():
        scores = [ensemble.member(i).score(torch.from_numpy(test)).numpy() for i, (_, test) in enumerate(pairs)]
    return [100 * auroc(split.test_y, score) for split, score in zip(splits, scores, strict=True)]


def main() -> None:
    """Print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ntl_constant.json"))
    options = parser.parse_args()
    print("| set | constant | clean | 10 %, blind | 10 %, soft |\n|---|---|---|---|---|")
    rows = []
    for name in options.sets:
        for constant in CONSTANTS:
            found = [cell(name, constant, ratio, exposure, options.data_dir) for ratio, exposure in CELLS]
            rows.append({"set": name, "constant": constant, "seeds": SEEDS, "cells": CELLS, "auroc": found})
            print(
                f"| {name} | {constant} | " + " | ".join(f"{np.mean(a):.1f}" for a in found) + " |",
                flush=True,
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"date": datetime.date.today().isoformat(), "script": "benchmarks/ntl_constant.py", "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
