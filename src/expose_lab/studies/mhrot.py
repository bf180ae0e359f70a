"""MHRot on contaminated images, small: one class of Fashion-MNIST is normal, the others are anomalies.

The protocol of the paper of latent outlier exposure (Qiu et al., ICML 2022): contaminating images come from the
training part of the other classes, so none is in the test. Everything else is smaller: fewer classes and images, a
smaller network, fewer of the 36 ways at each step. The folder of data holds ``images``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import MHRot
from expose_lab.metrics import auroc
from expose_lab.pages import Page, Rows, mean_std, percent, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

NORMAL, TEST = 300, 300  # normal images to train with; of the test as many normal ones as anomalies
SMALL: dict[str, Any] = {"depth": 10, "widen": 1, "views": 4, "epochs": 4}
METHODS = {
    "blind": "Blind",
    "refine": "Refine",
    "hard": "LOE_H",
    "soft": "LOE_S",
    "truth": "truth known",
}


def cells(classes: list[int], ratios: list[float], seeds: int) -> Iterator[Row]:
    """Each method on each class; without contamination they are one."""
    for seed in range(seeds):
        for normal in classes:
            for ratio in ratios:
                for method in METHODS if ratio else ["blind"]:
                    yield {"normal": normal, "ratio": ratio, "method": method, "seed": seed}


@cache
def arrays(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and classes."""
    with np.load(file) as data:
        return data["X"], data["y"]


def measure(cell: Row, data: Path) -> Row:
    """Train on one class and so many others, test on both."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(cell["seed"])
    images, classes = arrays(data / "images" / "fashion_mnist_train_part0.npz")
    tested, truth = arrays(data / "images" / "fashion_mnist_test.npz")
    count = round(NORMAL * cell["ratio"] / (1 - cell["ratio"]))
    rows = drawn(rng, classes, cell["normal"], NORMAL, count)
    test = drawn(rng, truth, cell["normal"], TEST, TEST)
    known = np.where(classes[rows] == cell["normal"], 0, 1) if cell["method"] == "truth" else None
    exposure = "hard" if known is not None else cell["method"]
    detector = AnomalyDetector(
        MHRot(**SMALL), exposure=exposure, contamination=0 if known is not None else cell["ratio"],
        random_state=cell["seed"],
    ).fit(images[rows], labels=known)  # fmt: skip
    return {"auroc": auroc(truth[test] != cell["normal"], detector.anomaly_score(tested[test]))}


def drawn(
    rng: np.random.Generator, classes: NDArray[np.int64], normal: int, count: int, others: int
) -> NDArray[np.intp]:
    """Numbers of so many images of the normal class, and of the others."""
    inside, outside = np.flatnonzero(classes == normal), np.flatnonzero(classes != normal)
    return np.concatenate([rng.permutation(inside)[:count], rng.permutation(outside)[:others]])


def context(page: Page) -> dict[str, Any]:
    """Means over classes of each method and ratio, and those of each class."""
    rows = page.rows("mhrot")
    ratios = [ratio for ratio in sorted(rows.each("ratio")) if ratio]
    clean = rows.where(ratio=0.0)
    lines = [
        [
            name,
            said(clean) if method == "blind" else "",
            *(said(rows.where(method=method, ratio=ratio)) for ratio in ratios),
        ]
        for method, name in METHODS.items()
    ]
    return {
        "table": table(["method", "clean", *(percent(ratio) for ratio in ratios)], lines),
        "classes": len(rows.each("normal")),
        "normal": NORMAL,
        "test": TEST,
        "seeds": len(rows.each("seed")),
        "settings": ", ".join(f"{name} {value}" for name, value in SMALL.items()),
        "day": rows.finished,
    }


def said(rows: Rows) -> str:
    """Mean over classes and seeds of the AUROC, and its standard deviation over seeds."""
    return mean_std(rows.per("auroc", "seed"))


STUDY = Study(
    "mhrot",
    "rotations and shifts as an objective, on contaminated classes of Fashion-MNIST, small",
    cells=cells,
    measure=measure,
    options={"classes": [0, 1, 5], "ratios": [0.0, 0.1], "seeds": 3},
    page="benchmark/mhrot.md",
    context=context,
)
