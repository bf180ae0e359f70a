"""Training time of five seeds in the published settings: ours, members batched, against a plain textbook loop.

The textbook loop is what a careful reader of the paper would write in PyTorch: one network per transformation, called
in a Python loop, a DataLoader, float32, one seed after another. Both train the same number of epochs on the same
splits in the same run; each side's F1 (at the true ratio, oracle) is printed to show that the speed is not bought
with quality. The machine's peak is measured by one large matrix product per precision.

    python benchmarks/training_speed.py [--data-dir DIR] [--epochs 300] [--repeats 1]
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import paper_settings
from expose.evaluation import PAPER_SEEDS, Split, f1_at_ratio
from paper_settings import PUBLISHED, RATIO, Published, splits, train_seeds


def linears(sizes: list[int]) -> nn.Sequential:
    """Bias-free linear layers with a ReLU between them."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(sizes):
        layers += [nn.Linear(width_in, width_out, bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Textbook(nn.Module):
    """NTL written down as the paper reads: K small networks in a list."""

    def __init__(self, width: int, p: Published) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(linears([width, p.transform_width, width]) for _ in range(p.transformations))
        self.encoder = linears([width, *[p.hidden] * (p.encoder_layers - 1), p.latent])

    def losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        views = torch.stack([x, *[x + transform(x) for transform in self.transforms]], dim=1)  # (B, K + 1, D)
        z = F.normalize(self.encoder(views), dim=-1)
        similarity = (z @ z.transpose(1, 2) / 0.1).exp() * (1 - torch.eye(z.shape[1]))  # (B, K + 1, K + 1)
        positive = similarity[:, 1:, 0]  # (B, K)
        total = similarity[:, 1:].sum(-1)
        unit = abs(np.log(1 / (z.shape[1] - 1)))
        return -(positive / total).log().mean(1) / unit, -(1 - positive / total).log().mean(1) / unit


def textbook(name: str, split: Split, seed: int, exposure: str, epochs: int) -> np.ndarray[Any, Any]:
    """Train one seed; return its test scores."""
    p = PUBLISHED[name]
    torch.manual_seed(seed)
    rows = torch.from_numpy(split.train_X.astype(np.float32))
    model = Textbook(rows.shape[1], p)
    optimizer = torch.optim.Adam(model.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, p.halve_every or epochs + 1, 0.5)
    loader = DataLoader(TensorDataset(rows), batch_size=p.batch_size, shuffle=True)
    lowest, best = float("inf"), model.state_dict()
    for epoch in range(epochs):
        total = 0.0
        for (batch,) in loader:
            normal, abnormal = model.losses(batch)
            if epoch < p.warmup:
                loss = normal.mean()
            else:
                suspects = (normal - abnormal).topk(int(len(batch) * RATIO)).indices
                rest = torch.ones(len(batch), dtype=torch.bool)
                rest[suspects] = False
                share = 0.5 if exposure == "soft" else 0.0
                doubted = share * normal[suspects] + (1 - share) * abnormal[suspects]
                loss = torch.cat([normal[rest], doubted]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        if epoch >= p.warmup and total < lowest:
            lowest, best = total, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best)
    with torch.no_grad():
        scores: np.ndarray[Any, Any] = model.losses(torch.from_numpy(split.test_X.astype(np.float32)))[0].numpy()
    return scores


def flop_per_step(width: int, p: Published, batch: int) -> float:
    """Arithmetic of one member's step: two per weight and row forward, and twice that backward."""
    transforms = p.transformations * 2 * width * p.transform_width
    sizes = [width, *[p.hidden] * (p.encoder_layers - 1), p.latent]
    encoder = sum(a * b for a, b in pairwise(sizes)) * (p.transformations + 1)
    return 3 * 2 * batch * (transforms + encoder)


def peak_gflops(dtype: torch.dtype) -> float:
    """Rate of a 2048 x 2048 matrix product on this machine, best of five."""
    a, b = torch.randn(2, 2048, 2048).to(dtype)
    a @ b
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2 * 2048**3 / best / 1e9


def compare(name: str, exposure: str, epochs: int, data_dir: str | None) -> dict[str, Any]:
    """One line of the table."""
    per_seed = splits(name, "paper", data_dir)
    paper_settings.PUBLISHED[name] = replace(PUBLISHED[name], epochs=epochs)
    started = time.perf_counter()
    ours = train_seeds(name, exposure, per_seed)
    our_seconds = time.perf_counter() - started
    started = time.perf_counter()
    plain = [textbook(name, s, seed, exposure, epochs) for s, seed in zip(per_seed, PAPER_SEEDS, strict=True)]
    plain_seconds = time.perf_counter() - started
    n, width = per_seed[0].train_X.shape
    p = PUBLISHED[name]
    work = epochs * len(per_seed) * flop_per_step(width, p, n) / 1e9
    row = {"set": name, "exposure": exposure, "epochs": epochs, "seeds": list(PAPER_SEEDS)}
    row |= {
        "ours_seconds": our_seconds,
        "textbook_seconds": plain_seconds,
        "ratio": plain_seconds / our_seconds,
    }
    row |= {"ours_gflops": work / our_seconds, "textbook_gflops": work / plain_seconds}
    for side, scores in (("ours", ours), ("textbook", plain)):
        row[f"{side}_f1"] = [100 * f1_at_ratio(s.test_y, x) for s, x in zip(per_seed, scores, strict=True)]
    return row


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--exposure", default="soft", choices=["hard", "soft"])
    parser.add_argument("--sets", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training_speed.json"))
    options = parser.parse_args()
    peaks = {"float32": peak_gflops(torch.float32), "bfloat16": peak_gflops(torch.bfloat16)}
    print(f"threads {torch.get_num_threads()}, peak GFLOP/s: " + ", ".join(f"{k} {v:.0f}" for k, v in peaks.items()))
    print("\n| set | ours, s | textbook, s | ratio | ours GFLOP/s | textbook GFLOP/s | F1 ours | F1 textbook |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for name in options.sets:
        row = compare(name, options.exposure, options.epochs, options.data_dir)
        rows.append(row)
        f1 = [f"{np.mean(row[k]):.1f} ± {np.std(row[k]):.1f}" for k in ("ours_f1", "textbook_f1")]
        numbers = [
            row["ours_seconds"],
            row["textbook_seconds"],
            row["ratio"],
            row["ours_gflops"],
            row["textbook_gflops"],
        ]
        print("| " + " | ".join([name, *[f"{v:.1f}" for v in numbers], *f1]) + " |", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"date": datetime.date.today().isoformat(), "script": "benchmarks/training_speed.py"}
    result |= {"threads": torch.get_num_threads(), "peak_gflops": peaks, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
