"""Training time of five seeds in the published settings: ours, trained together, against a plain textbook loop.

The textbook loop is what a careful reader of the paper would write in PyTorch: one network per transformation, called
in a Python loop, a DataLoader, float32, one seed after another. Both train the same number of epochs on the same
splits in the same run; each side's F1 (at the true ratio, oracle) shows that the speed is not bought with quality.

The share of the peak is that of a large float32 product on the same threads in the same run; the operations that the
method needs are counted on the textbook's step, and are the same for both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from expose import AnomalyDetector, fit_together
from expose.networks import linear
from expose.objectives import make_objective
from expose_lab.contenders import PUBLISHED_BATCH, PUBLISHED_NTL
from expose_lab.datasets import load
from expose_lab.metrics import f1_at_ratio
from expose_lab.pages import Page, mean_std, percent, table
from expose_lab.protocols import PAPER_SEEDS, Split, paper
from expose_lab.store import Row
from expose_lab.studies.base import Study

RATIO, WARMUP, TRANSFORMATIONS = 0.1, 2, 9
SIDES = ("ours", "textbook")
RECIPE = {"weight_decay": 1e-5, "patience": 100, "warmup": WARMUP, "batch_size": PUBLISHED_BATCH}


def cells(epochs: int, exposure: str) -> Iterator[Row]:
    """Both sets whose settings the paper gives."""
    yield from ({"set": name, "exposure": exposure, "epochs": epochs} for name in PUBLISHED_NTL)


def measure(cell: Row, data: Path) -> Row:
    """Ours, then theirs."""
    stored = load(cell["set"], data)
    splits = [paper(stored.X, stored.y, seed=seed, ratio=RATIO, file_order=True) for seed in PAPER_SEEDS]
    found: Row = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0], "peak_gflops": peak_gflops()}
    needed = gflop_needed(cell, splits)
    for side, way in (("ours", ours), ("textbook", textbook)):
        started = time.perf_counter()
        scores = way(cell, splits)
        found[f"{side}_seconds"] = time.perf_counter() - started
        found[f"{side}_gflops"] = needed / found[f"{side}_seconds"]
        found[f"{side}_share_of_peak"] = found[f"{side}_gflops"] / found["peak_gflops"]
        found[f"{side}_f1"] = [100 * f1_at_ratio(s.test_y, x) for s, x in zip(splits, scores, strict=True)]
    return found | {"ratio": found["textbook_seconds"] / found["ours_seconds"]}


@torch.no_grad()
def peak_gflops(size: int = 2048, repeats: int = 5) -> float:
    """Of a large float32 product, by the quicker of torch's two libraries."""
    a, b = torch.randn(2, size, size)
    seconds = []
    for product in (torch.matmul, linear):
        for _ in range(repeats):
            started = time.perf_counter()
            product(a, b)
            seconds.append(time.perf_counter() - started)
    return float(2 * size**3 / min(seconds) / 1e9)


def gflop_needed(cell: Row, splits: list[Split]) -> float:
    """Multiplications and additions of all products in all epochs of all seeds."""
    rows = torch.from_numpy(splits[0].train_X[:PUBLISHED_BATCH].astype(np.float32))
    model = Textbook(rows.shape[1], **PUBLISHED_NTL[cell["set"]])
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(torch.stack(model.losses(rows)).mean())
    per_row = counter.get_total_flops() / len(rows)
    return float(per_row * sum(len(split.train_X) for split in splits) * cell["epochs"] / 1e9)


def ours(cell: Row, splits: list[Split]) -> list[NDArray[np.float64]]:
    """All seeds in one batched computation."""
    model = make_objective("ntl", **PUBLISHED_NTL[cell["set"]], **RECIPE, epochs=cell["epochs"], constant=0.0)
    told: dict[str, Any] = {"encoder": "unscaled", "exposure": cell["exposure"], "contamination": RATIO}
    detectors = [AnomalyDetector(model, **told, random_state=seed) for seed in PAPER_SEEDS]
    fit_together(detectors, [split.train_X for split in splits])
    return [detector.anomaly_score(split.test_X) for detector, split in zip(detectors, splits, strict=True)]


def textbook(cell: Row, splits: list[Split]) -> list[NDArray[np.float64]]:
    """One seed after the other."""
    return [train(cell, split, seed) for split, seed in zip(splits, PAPER_SEEDS, strict=True)]


def linears(sizes: list[int]) -> nn.Sequential:
    """Bias-free linear layers with a ReLU between them."""
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b, bias=False), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Textbook(nn.Module):
    """NTL written down as the paper reads: K small networks in a list."""

    def __init__(self, width: int, hidden: int, latent: int, transform_width: int, halve_every: int = 0) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(linears([width, transform_width, width]) for _ in range(TRANSFORMATIONS))
        self.encoder = linears([width, hidden, hidden, hidden, latent])

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normal and abnormal, ``(B,)`` each."""
        views = torch.stack([x, *[x + transform(x) for transform in self.transforms]], dim=1)  # (B, K + 1, D)
        z = F.normalize(self.encoder(views), dim=-1)
        similarity = (z @ z.transpose(1, 2) / 0.1).exp() * (1 - torch.eye(z.shape[1]))  # (B, K + 1, K + 1)
        positive = similarity[:, 1:, 0]  # (B, K)
        total = similarity[:, 1:].sum(-1)
        unit = abs(np.log(1 / (z.shape[1] - 1)))
        return -(positive / total).log().mean(1) / unit, -(1 - positive / total).log().mean(1) / unit


def train(cell: Row, split: Split, seed: int) -> NDArray[np.float64]:
    """Train one seed; return its test scores."""
    torch.manual_seed(seed)
    known, epochs = PUBLISHED_NTL[cell["set"]], cell["epochs"]
    rows = torch.from_numpy(split.train_X.astype(np.float32))
    model = Textbook(rows.shape[1], **known)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=RECIPE["weight_decay"])
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, known.get("halve_every", epochs + 1), 0.5)
    loader = DataLoader(TensorDataset(rows), batch_size=PUBLISHED_BATCH, shuffle=True)
    lowest, best = float("inf"), model.state_dict()
    for epoch in range(epochs):
        total = 0.0
        for (batch,) in loader:
            loss = loss_of(*model.losses(batch), cell["exposure"] if epoch >= WARMUP else "")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        if epoch >= WARMUP and total < lowest:
            lowest, best = total, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best)
    with torch.no_grad():
        return model.losses(torch.from_numpy(split.test_X.astype(np.float32)))[0].double().numpy()


def loss_of(normal: Tensor, abnormal: Tensor, exposure: str) -> Any:
    """The mean with suspects pulled the other way; without an exposure all are normal."""
    if not exposure:
        return normal.mean()
    suspects = (normal - abnormal).topk(int(len(normal) * RATIO)).indices
    rest = torch.ones(len(normal), dtype=torch.bool)
    rest[suspects] = False
    share = 0.5 if exposure == "soft" else 0.0
    return torch.cat([normal[rest], share * normal[suspects] + (1 - share) * abnormal[suspects]]).mean()


def context(page: Page) -> dict[str, Any]:
    """Ratio, seconds, share of the peak and F1 of both; shown on the page of speed."""
    found = page.rows("training_speed")
    lines = []
    for row in found:
        seconds = [f"{row[f'{side}_seconds']:.1f}" for side in SIDES]
        shares = [share(row.get(f"{side}_share_of_peak")) for side in SIDES]
        quality = [mean_std(row[f"{side}_f1"], scale=1) for side in SIDES]
        load = "—" if row.get("load") is None else f"{row['load']:.1f}"
        lines.append([row["set"], f"{row['ratio']:.1f} x", *seconds, *shares, *quality, load])
    parts = [f"{what}, {side}" for what in ("seconds", "share of peak", "F1") for side in SIDES]
    return {
        "table": table(["set", "times as fast", *parts, "load"], lines),
        "seeds": len(PAPER_SEEDS),
        "epochs": found[0]["epochs"],
        "exposure": found[0]["exposure"],
        "ratio": percent(RATIO),
        "threads": found[0]["threads"],
        "day": found.finished,
    }


def share(of_peak: float | None) -> str:
    """In percent; older rows do not say it."""
    return "—" if of_peak is None else percent(round(of_peak, 3))


STUDY = Study(
    "training_speed",
    "training of five seeds together beside a plain textbook loop; on the page of one_row",
    cells=cells,
    measure=measure,
    options={"epochs": 300, "exposure": "soft"},
)
