"""What the package costs beside the same written plainly in torch, in the same run, on one CPU core.

One training step with outliers: what `OutlierExposureClassifier.fit` needs more for more epochs, against a plain loop
over the same network, batches, optimiser and rate, in float32. Scoring: `anomaly_score` against the bare network called
in evaluation mode on the same rows, in the best of three sizes of batches. The ratios are of medians over repeats that
take turns, in seconds of the processor, so that a busy machine harms both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from expose import OutlierExposureClassifier
from expose.objectives import Descend
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

CLASSES, BATCH, STEPS, EPOCHS, LAMBDA = 10, 128, 8, 2, 0.5
SCORED, SCORING_BATCHES = 3000, (64, 256, 1024)
SHAPES = {"mlp": (30,), "conv": (28, 28)}
LONGER = {"mlp": 20, "conv": 1}  # small steps need many, to be measured at all
Samples = NDArray[np.float32]


def cells(repeats: int) -> Iterator[Row]:
    """Two networks, training and scoring."""
    for network in SHAPES:
        yield from ({"network": network, "what": what, "repeats": repeats} for what in ("training step", "scoring"))


def measure(cell: Row, data: Path) -> Row:
    """Both ways, taking turns."""
    torch.set_num_threads(1)
    longer, training = LONGER[cell["network"]], cell["what"] == "training step"
    if training:
        took = seconds(steps(cell["network"], EPOCHS * longer), cell["repeats"])
        took = {"ours": took["ours, more"] - took["ours"], "plain": took["plain"]}
        scale, unit = 1000 / (EPOCHS * longer * STEPS), "ms per step"
        values = {name: scale * value for name, value in took.items()}
    else:
        took = seconds(scoring(cell["network"], SCORED * longer), cell["repeats"])
        took = {"ours": took.pop("ours"), "plain": min(took.values())}  # the best size of batches
        values, unit = {name: SCORED * longer / value for name, value in took.items()}, "rows per second"
    return {"unit": unit, "ratio": round(took["ours"] / took["plain"], 3), "batch": BATCH, **values}


def some(network: str, rows: int, seed: int = 0) -> Samples:
    """Rows or images of chance."""
    return np.random.default_rng(seed).random((rows, *SHAPES[network]), np.float32)


def classifier(epochs: int) -> OutlierExposureClassifier:
    """Ours, in float32."""
    recipe = Descend(epochs=epochs, batch_size=BATCH, precision="32")
    return OutlierExposureClassifier(recipe=recipe, encoder="unscaled", device="cpu", random_state=0)


def steps(network: str, epochs: int) -> dict[str, Callable[[], object]]:
    """Ours for one epoch and for so many more, and a plain loop for as many."""
    X, outliers = some(network, STEPS * BATCH), some(network, STEPS * BATCH, 1)
    y = np.arange(len(X)) % CLASSES
    model = classifier(1) if network == "mlp" else classifier(1).set_params(encoder=None)
    bare = model.fit(X, y, outliers=outliers).network_
    tensors = [as_tensor(network, values) for values in (X, outliers)]

    def ours(n: int) -> object:
        return model.set_params(recipe=classifier(n).recipe).fit(X, y, outliers=outliers)

    return {
        "ours": partial(ours, 1),
        "ours, more": partial(ours, 1 + epochs),
        "plain": partial(plain_steps, bare, tensors[0], torch.from_numpy(y), tensors[1], epochs),
    }


def as_tensor(network: str, values: Samples) -> torch.Tensor:
    """As the bare network takes them."""
    return torch.from_numpy(values[:, None] if network == "conv" else values)


def plain_steps(network: nn.Module, rows: Any, classes: Any, outliers: Any, epochs: int) -> None:
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


def scoring(network: str, rows: int) -> dict[str, Callable[[], object]]:
    """From arrays as a user has them, and by the bare network."""
    X = some(network, rows)
    model = classifier(1) if network == "mlp" else classifier(1).set_params(encoder=None)
    model.fit(X[:500], np.arange(500) % CLASSES, outliers=X[500:1000])
    bare, tensor = model.network_.eval(), as_tensor(network, X)

    @torch.no_grad()
    def plain(batch: int) -> None:
        for start in range(0, len(tensor), batch):
            z = bare(tensor[start : start + batch])
            (z.mean(1) - z.logsumexp(1)).numpy()

    ways: dict[str, Callable[[], object]] = {"ours": lambda: model.anomaly_score(X)}
    return ways | {f"plain {batch}": partial(plain, batch) for batch in SCORING_BATCHES}


def seconds(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of the processor of each, taking turns, after one turn that does not count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if turn:
                found[name].append(time.process_time() - started)
    return {name: statistics.median(each) for name, each in found.items()}


def context(page: Page) -> dict[str, Any] | None:
    """Ours and plain; shown on the page of `image_outliers`."""
    if not (page.results / "exposure_speed.parquet").exists():
        return None
    rows = page.rows("exposure_speed")
    lines = [
        [f"`{row['network']}`, {row['what']}", *(f"{float(f'{row[way]:.4g}'):,g}" for way in ("ours", "plain")),
         row["unit"], f"{row['ratio']:.2f}"]
        for row in rows
    ]  # fmt: skip
    text = table(["", "ours", "plain", "unit", "time, ours : plain"], lines)
    return {"table": text, "batch": rows[0]["batch"], "repeats": rows[0]["repeats"], "date": rows.finished}


STUDY = Study(
    "exposure_speed",
    "training steps and scoring of classifiers beside plain torch; shown on the page of image_outliers",
    cells=cells,
    measure=measure,
    options={"repeats": 7},
)
