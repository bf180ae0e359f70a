"""What the one loop and the scoring cost beside the same written plainly in torch, in the same run, on one CPU core.

    python benchmarks/exposure_speed.py

One training step with outliers: our `Loop` over a few epochs, against a plain loop over the same network, batches,
optimiser and rate, in float32. Scoring: `OutlierExposureClassifier.anomaly_score` against the bare network called in
evaluation mode on the same rows, in the best of three sizes of batches. The ratios are of medians over repeats that
take turns, in seconds of the processor, so that a busy machine harms both alike.
``benchmarks/results/exposure_speed.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from expose import OutlierExposureClassifier
from expose.errors import ExposeWarning
from expose.exposure import EXPOSURES
from expose.inputs import Layout
from expose.networks import make_network
from expose.objectives.classification import Classification
from expose.training import Ensemble, Loop, Settings, TrainingSet, make_fabric

OUT = Path(__file__).parent / "results" / "exposure_speed.json"
CLASSES, BATCH, STEPS, EPOCHS, LAMBDA = 10, 128, 8, 2, 0.5
SCORED, SCORING_BATCHES = 3000, (64, 256, 1024)
CASES = {"mlp": Layout("table", (30,)), "conv": Layout("image", (1, 28, 28))}


def our_steps(network: nn.Module, layout: Layout, rows: Any, classes: Any, outliers: Any, epochs: int) -> None:
    """Train by the loop of the package."""
    objective = Classification(network, CLASSES, {"uniform": LAMBDA})
    objective.layout = layout
    settings = Settings((0,), epochs, BATCH, cosine=True)
    data = TrainingSet(rows, None, outliers, classes)
    Loop(make_fabric("cpu", "32", 0), EXPOSURES["blind"], 0.0, settings).run(Ensemble([objective.train()]), data)


def plain_steps(network: nn.Module, layout: Layout, rows: Any, classes: Any, outliers: Any, epochs: int) -> None:
    """Train as a reader of the paper would write it."""
    optimizer = torch.optim.Adam(network.train().parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(rows) // BATCH))
    for _ in range(epochs):
        order, extra = torch.randperm(len(rows)), torch.randperm(len(outliers))
        for start in range(0, len(rows), BATCH):
            index, exposed = order[start : start + BATCH], extra[start : start + BATCH]
            z = network(torch.cat([rows[index], outliers[exposed]]))
            inside, outside = z[: len(index)], z[len(index) :]
            loss = cross_entropy(inside, classes[index])
            loss = loss + LAMBDA * (outside.logsumexp(1) - outside.mean(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def training(layout: Layout, epochs: int, steps: int) -> dict[str, Callable[[], None]]:
    """Both ways to train one network, each from the same weights."""
    generator = torch.Generator().manual_seed(0)
    rows, outliers = (torch.rand(steps * BATCH, layout.n_values, generator=generator) for _ in range(2))
    classes = torch.randint(CLASSES, (len(rows),), generator=generator)

    def by(way: Callable[..., None]) -> Callable[[], None]:
        return lambda: way(make_network("auto", layout, CLASSES), layout, rows, classes, outliers, epochs)

    return {"ours": by(our_steps), "plain": by(plain_steps)}


def scoring(layout: Layout, rows: int) -> dict[str, Callable[[], None]]:
    """Both ways to score: from arrays as a user has them, and by the bare network."""
    rng = np.random.default_rng(0)
    shape = layout.shape[1:] if layout.kind == "image" else layout.shape
    some = rng.random((rows, *shape), np.float32)
    y = np.arange(len(some)) % CLASSES
    classifier = OutlierExposureClassifier(epochs=1, scaling="none", device="cpu", random_state=0)
    classifier.fit(some[:500], y[:500], outliers=some[500:1000])
    network = classifier.network_.eval()
    tensor: NDArray[np.float32] = some[:, None] if layout.kind == "image" else some

    @torch.no_grad()
    def plain(batch: int) -> None:
        for start in range(0, len(tensor), batch):
            z = network(torch.from_numpy(tensor[start : start + batch]))
            (z.mean(1) - z.logsumexp(1)).numpy()

    ways: dict[str, Callable[[], None]] = {"ours": lambda: use(classifier, some)}
    return ways | {f"plain {batch}": partial(plain, batch) for batch in SCORING_BATCHES}


def use(classifier: OutlierExposureClassifier, rows: NDArray[np.float32]) -> None:
    """Score, and forget."""
    classifier.anomaly_score(rows)


def seconds(ways: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of the processor of each, taking turns, after one turn that does not count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if turn:
                found[name].append(time.process_time() - started)
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExposeWarning)
    torch.set_num_threads(1)
    rows = []
    for name, layout in CASES.items():
        longer = 20 if name == "mlp" else 1  # small steps need many, to be measured at all
        took = seconds(training(layout, EPOCHS * longer, STEPS), options.repeats)
        steps = EPOCHS * longer * STEPS
        rows.append(record(name, "training step", took, "ms per step", {k: 1000 * v / steps for k, v in took.items()}))
        took = seconds(scoring(layout, SCORED * longer), options.repeats)
        took = {"ours": took.pop("ours"), "plain": min(took.values())}  # the best size of batches
        per_second = {k: SCORED * longer / v for k, v in took.items()}
        rows.append(record(name, "scoring", took, "rows per second", per_second))
    facts = {
        "date": datetime.now(UTC).date().isoformat(), "torch": torch.__version__, "machine": platform.machine(),
        "batch": BATCH, "repeats": options.repeats, "rows": rows,
    }  # fmt: skip
    options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")


def record(network: str, what: str, took: dict[str, float], unit: str, values: dict[str, float]) -> dict[str, Any]:
    """One line of the results."""
    ratio = took["ours"] / took["plain"]
    print(
        f"{network} {what}: ours {values['ours']:.4g}, plain {values['plain']:.4g} {unit}; ratio {ratio:.2f}",
        flush=True,
    )
    return {"network": network, "what": what, "unit": unit, "ratio": round(ratio, 3)} | {
        name: float(f"{value:.4g}") for name, value in values.items()
    }


if __name__ == "__main__":
    main()
