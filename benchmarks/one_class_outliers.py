"""What 0, 1, 16, 128 or all auxiliary outliers are worth to one-class detectors, on images and on tables.

    python benchmarks/one_class_outliers.py --data-dir DIR

Images, shrunk to 16 x 16: one class of CIFAR-10 is normal, the other nine are the anomalies of the test; auxiliary
outliers come from CIFAR-100 or from a sample of ImageNet. Tables: the training rows are normal; auxiliary outliers
are other anomalies of the same table than those tested (`known`), one of them and the nearest to it (`one kind`), or
training rows whose columns were shuffled (`shuffled`).

Runs that ``benchmarks/results/one_class_outliers.json`` holds already are not repeated; ``one_class_page.py`` writes
docs/benchmark/one-class.md from it. DIR holds the folders ``images`` and ``tabular``. Needs Pillow.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from expose import AnomalyDetector
from expose.errors import ExposeWarning
from expose.evaluation import auroc

OUT = Path(__file__).parent / "results" / "one_class_outliers.json"
ALL = 10**6  # as many outliers as there are
CLASSES = (0, 4)  # airplane and deer
TABLES = ("annthyroid", "cardio", "mammography", "optdigits", "satellite")
SIZE = 16  # pixels of a side: a quarter of the work of 32
IMAGE_SETTINGS = {"contamination": 0.0, "epochs": 8, "batch_size": 64}
TABLE_SETTINGS = {"contamination": 0.0, "epochs": 75, "batch_size": 128}
TRAIN_ROWS, TEST_ROWS, TEST_IMAGES = 1000, 1000, 1000  # most rows of a table; anomalous images
Pixels = NDArray[np.uint8]
Rows = NDArray[np.float64]


class Cell(NamedTuple):
    """One way to train: which objective, with which outliers, from how many classes of them, and how many."""

    objective: str
    source: str = "none"
    classes: int = 0
    count: int = 0


IMAGE_CELLS = [
    Cell("hsc"),
    Cell("deep_sad"),
    *(Cell("hsc", "cifar100", 100, count) for count in (1, 16, 128, ALL)),
    *(Cell("bce", "cifar100", 100, count) for count in (16, ALL)),
    Cell("deep_sad", "cifar100", 100, ALL),
    Cell("hsc", "cifar100", 1, 100),
    Cell("hsc", "cifar100", 100, 100),
    Cell("hsc", "imagenet", 0, 128),
]
TABLE_CELLS = [
    *(Cell(name) for name in ("neighbours", "hsc", "deep_sad")),
    *(Cell("neighbours", "known", 0, count) for count in (16, ALL)),
    *(Cell(name, "known", 0, count) for name in ("hsc", "bce", "deep_sad") for count in (1, 16, 128, ALL)),
    *(Cell(name, "shuffled", 0, count) for name in ("hsc", "bce", "deep_sad") for count in (16, ALL)),
    *(Cell(name, "one kind", 0, 16) for name in ("hsc", "bce", "deep_sad")),
]


@cache
def decode(path: Path) -> Pixels:
    """Images of a file as ``(n, SIZE, SIZE, 3)``, shrunk by averaging."""
    held = np.load(path)
    blob, places = held["blob"], pairwise(held["offset"].tolist())
    images = (Image.open(io.BytesIO(blob[start:end].tobytes())).convert("RGB") for start, end in places)
    return np.stack([np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)) for image in images])


def image_runs(folder: Path, number: int, seed: int, done: set[Any]) -> Iterator[dict[str, Any]]:
    """All results of one normal class of CIFAR-10 and one seed."""
    rng = np.random.default_rng(seed)
    labels, tested = (np.load(folder / f"cifar10_{part}.npz")["label"] for part in ("train_part0", "test"))
    name = str(np.load(folder / "cifar10_test.npz")["classes"][number])
    train = decode(folder / "cifar10_train_part0.npz")[labels == number]
    others = rng.choice(np.flatnonzero(tested != number), TEST_IMAGES, replace=False)
    rows = np.concatenate([np.flatnonzero(tested == number), others])
    test, truth = decode(folder / "cifar10_test.npz")[rows], (tested[rows] != number).astype(np.int64)
    for cell in IMAGE_CELLS:
        run = {"part": "images", "set": name, "seed": seed} | cell._asdict()
        if key(run) not in done:
            outliers = image_outliers(folder, cell, np.random.default_rng(seed))
            detector = AnomalyDetector(cell.objective, random_state=seed, device="cpu", **IMAGE_SETTINGS)
            yield run | measured(detector, train, outliers, test, truth)


def image_outliers(folder: Path, cell: Cell, rng: np.random.Generator) -> Pixels | None:
    """Auxiliary images of a cell."""
    if cell.count == 0:
        return None
    path = folder / ("cifar100_train_part0.npz" if cell.source == "cifar100" else "imagenet_sample_128.npz")
    held = np.load(path)
    rows = np.arange(len(held["offset"]) - 1)
    if cell.source == "cifar100":
        rows = np.flatnonzero(np.isin(held["label"], rng.permutation(100)[: cell.classes]))
    return decode(path)[rng.permutation(rows)[: cell.count]]


def table_runs(folder: Path, name: str, seed: int, done: set[Any]) -> Iterator[dict[str, Any]]:
    """All results of one table and one seed."""
    held, rng = np.load(folder / f"{name}.npz"), np.random.default_rng(seed)
    X, y = held["X"].astype(np.float64), held["y"]
    normal, anomalous = rng.permutation(np.flatnonzero(y == 0)), rng.permutation(np.flatnonzero(y == 1))
    half = min(TRAIN_ROWS, len(normal) // 2)
    train, pool = X[normal[:half]], X[anomalous[: len(anomalous) // 2]]
    rows = np.concatenate([normal[half : half + TEST_ROWS], anomalous[len(anomalous) // 2 :]])
    for cell in TABLE_CELLS:
        run = {"part": "tables", "set": name, "seed": seed} | cell._asdict()
        if key(run) not in done:
            outliers = table_outliers(train, pool, cell, np.random.default_rng(seed))
            settings = {"contamination": 0.0} if cell.objective == "neighbours" else TABLE_SETTINGS
            detector = AnomalyDetector(cell.objective, random_state=seed, device="cpu", **settings)
            yield run | measured(detector, train, outliers, X[rows], y[rows].astype(np.int64))


def table_outliers(train: Rows, pool: Rows, cell: Cell, rng: np.random.Generator) -> Rows | None:
    """Auxiliary rows of a cell."""
    if cell.count == 0:
        return None
    if cell.source == "shuffled":
        return rng.permuted(train, axis=0)[: cell.count]
    if cell.source == "known":
        return pool[: cell.count]
    apart = np.linalg.norm((pool - pool[0]) / (train.std(0) + 1e-9), axis=1)
    return pool[np.argsort(apart, kind="stable")[: cell.count]]  # around one of them


def measured(detector: AnomalyDetector, train: Any, outliers: Any, test: Any, truth: Any) -> dict[str, Any]:
    """Fit and score one cell."""
    started = time.process_time()
    detector.fit(train, outliers=outliers)
    seconds = time.process_time() - started
    used = 0 if outliers is None else len(outliers)
    return {"used": used, "auroc": auroc(truth, detector.anomaly_score(test)), "fit_seconds": round(seconds, 2)}


def key(run: dict[str, Any]) -> tuple[Any, ...]:
    """What tells runs apart."""
    return tuple(run[name] for name in ("part", "set", "seed", *Cell._fields))


def main() -> None:
    """Run what is missing, in one process, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExposeWarning)
    runs = json.loads(options.out.read_text(encoding="utf-8"))["runs"] if options.out.exists() else []
    done = {key(run) for run in runs}
    for seed in options.seeds:
        for run in chain(
            *(image_runs(options.data_dir / "images", number, seed, done) for number in CLASSES),
            *(table_runs(options.data_dir / "tabular", name, seed, done) for name in TABLES),
        ):
            print(run, flush=True)
            runs.append(run)
            write(options.out, runs)


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    """JSON with one run a line."""
    facts = {
        "finished": datetime.now(UTC).date().isoformat(),
        "settings": {"images": IMAGE_SETTINGS, "tables": TABLE_SETTINGS},
        "train_rows": TRAIN_ROWS,
        "test_rows": TEST_ROWS,
        "size": SIZE,
        "test_images": TEST_IMAGES,
        "runs": [],
    }
    lines = ",\n".join(json.dumps(run) for run in runs)
    path.write_text(json.dumps(facts).replace('"runs": []', f'"runs": [\n{lines}\n]') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
