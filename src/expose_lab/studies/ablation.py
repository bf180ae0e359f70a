"""One setting of NTL at a time: why a first rough version lost to classical detectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expose import AnomalyDetector
from expose_lab.pages import Column, Page, Rows, grid
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import intro, results

SETS = ["breastw", "cardio", "pendigits", "satellite", "thyroid", "wbc"]  # on some neighbors did better, on some not
BASE: dict[str, Any] = {"exposure": "soft", "device": "cpu"}
TRAINING: dict[str, Any] = {"batch_size": 128, "epochs": 60}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # of the objective and its training, of the detector
    "base": ({}, {}),
    "no constant, as published": ({"constant": 0.0}, {}),
    "standard scaling": ({}, {"encoder": "standard"}),
    "no scaling": ({}, {"encoder": "unscaled"}),
    "no constant, standard scaling": ({"constant": 0.0}, {"encoder": "standard"}),
    "4 transformations": ({"transformations": 4}, {}),
    "18 transformations": ({"transformations": 18}, {}),
    "encoder half as wide": ({"hidden": 16, "latent": 16}, {}),
    "encoder of 2 layers": ({"encoder_layers": 2}, {}),
    "15 epochs": ({"epochs": 15}, {}),
    "240 epochs": ({"epochs": 240}, {}),
    "batches of 32, 15 epochs": ({"batch_size": 32, "epochs": 15}, {}),
    "batches of 512, 240 epochs": ({"batch_size": 512, "epochs": 240}, {}),
    "no warm-up": ({"warmup": 0}, {}),
    "20 epochs of warm-up": ({"warmup": 20}, {}),
    "ranked over the whole set": ({"ranking": "dataset"}, {}),
    "5 members": ({}, {"ensemble_size": 5}),
    "blind": ({}, {"exposure": "blind"}),
    "hard": ({}, {"exposure": "hard"}),
}
SHOWN = {"auroc": "AUROC", "f1_oracle": "F1, oracle"}


def grids() -> Iterator[Mapping[str, Any]]:
    """All changes, at 10 %."""
    from expose.objectives import make_objective

    who = {
        name: AnomalyDetector(make_objective("ntl", **{**TRAINING, **objective}), **{**BASE, **detector})
        for name, (objective, detector) in CHANGES.items()
    }
    yield {"datasets": SETS, "contenders": who, "true_ratios": [0.1]}


def context(page: Page) -> dict[str, Any]:
    """Settings by sets, best mean first."""
    rows = Rows(results(page, "ablation").to_pylist())

    def section(metric: str) -> str:
        order = sorted(rows.each("detector"), key=lambda name: -rows.where(detector=name).mean(metric))
        columns = {"mean": Column(metric, spread=False)}
        columns |= {name: Column(metric, {"dataset": name}, spread=False) for name in sorted(rows.each("dataset"))}
        return grid(rows, {name: {"detector": name} for name in order}, columns, "setting")

    return {"intro": intro(page, "ablation"), "shown": SHOWN, "section": section}


STUDY = Benchmark(
    "ablation",
    "NTL with one setting changed at a time",
    cells=grids,
    page="benchmark/ablation.md",
    context=context,
)
