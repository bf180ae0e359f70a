"""The published settings of NTL on thyroid and arrhythmia, and how we train five seeds of one as five members.

Settings: Qiu et al., "Latent Outlier Exposure", ICML 2022, and the configuration files the authors released with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from expose.evaluation import PAPER_SEEDS, Split, disjoint, load, paper
from expose.exposure import EXPOSURES
from expose.objectives import NTL
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric, mix

RATIO = 0.1


@dataclass(frozen=True)
class Published:
    """What the paper fixes for one data set, and the F1 it reports for Blind, Refine, LOE_H, LOE_S."""

    hidden: int
    latent: int
    transform_width: int
    halve_every: int | None
    f1: dict[str, float]
    epochs: int = 300
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    warmup: int = 2
    patience: int = 100
    transformations: int = 9
    encoder_layers: int = 4

    def objective(self) -> NTL:
        """NTL at the published widths."""
        widths = (self.transformations, self.transform_width, self.hidden, self.latent, self.encoder_layers)
        return NTL(*widths, constant=0.0)


PUBLISHED = {
    "thyroid": Published(24, 24, 24, None, {"blind": 43.4, "refine": 55.1, "hard": 82.4, "soft": 82.4}),
    "arrhythmia": Published(64, 32, 200, 100, {"blind": 57.6, "refine": 59.1, "hard": 62.1, "soft": 62.7}),
}


def assumed_ratio(protocol: str, per_seed: list[Split]) -> float:
    """The contamination to assume: the true one, unless the protocol says "assumed 10 %"."""
    return RATIO if "assumed" in protocol else float(np.mean([split.reached_ratio for split in per_seed]))


def splits(name: str, protocol: str, data_dir: str | None, seeds: tuple[int, ...] = PAPER_SEEDS) -> list[Split]:
    """One split per seed under a protocol: "paper" (leaking, see its docstring) or "disjoint"."""
    data = load(name, data_dir)
    if protocol == "paper":
        return [paper(data.X, data.y, seed=seed, ratio=RATIO, file_order=True) for seed in seeds]
    return [disjoint(data.X, data.y, seed=seed, ratio=RATIO) for seed in seeds]


def train_seeds(
    name: str,
    exposure: str,
    per_seed: list[Split],
    seeds: tuple[int, ...] = PAPER_SEEDS,
    precision: str = "auto",
    contamination: float = RATIO,
) -> list[np.ndarray[Any, Any]]:
    """Train every seed on its own split, all in one batched computation; return their test scores."""
    published = PUBLISHED[name]
    rows = torch.from_numpy(np.stack([split.train_X.astype(np.float32) for split in per_seed]))  # (M, n, D)
    settings = Settings(
        seeds=tuple(mix(seed, 0) for seed in seeds),
        epochs=published.epochs,
        batch_size=published.batch_size,
        learning_rate=published.learning_rate,
        weight_decay=published.weight_decay,
        halve_every=published.halve_every,
        warmup=published.warmup,
        patience=published.patience,
    )
    ensemble = build_members(published.objective(), rows, settings.seeds)
    n_weights = sum(p.numel() for p in ensemble.parameters()) // len(seeds)
    fabric = make_fabric("auto", precision, n_weights)
    Loop(fabric, EXPOSURES[exposure], contamination, settings).run(ensemble, TrainingSet(rows))
    with torch.no_grad():
        return [
            ensemble.member(i).score(torch.from_numpy(split.test_X.astype(np.float32))).numpy()
            for i, split in enumerate(per_seed)
        ]
