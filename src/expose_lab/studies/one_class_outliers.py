"""What 0, 1, 16, 128 or all auxiliary outliers are worth to one-class detectors, on images and on tables.

Images, shrunk to 16 x 16: one class of CIFAR-10 is normal, the other nine are the anomalies of the test; auxiliary
outliers come from CIFAR-100 or from a sample of ImageNet. Tables: the training rows are normal; auxiliary outliers
are other anomalies of the same table than those tested (`known`), one of them and the nearest to it (`one kind`), or
training rows whose columns were shuffled (`shuffled`). The folder of data holds ``images`` and ``tabular``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import make_objective
from expose_lab.figures import Curve, curves
from expose_lab.metrics import auroc
from expose_lab.pages import Column, Page, Rows, Where, grid, signed, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

ALL = 10**6  # as many outliers as there are
CLASSES = ("airplane", "deer")
TABLES = ("annthyroid", "cardio", "mammography", "optdigits", "satellite")
SIZE = 16  # pixels of a side: a quarter of the work of 32
TRAINING: dict[str, dict[str, Any]] = {
    "images": {"epochs": 8, "batch_size": 64},
    "tables": {"epochs": 75, "batch_size": 128},
}
TRAIN_ROWS, TEST_ROWS, TEST_IMAGES = 1000, 1000, 1000  # most rows of a table; anomalous images
COUNTS = {0: "0", 1: "1", 16: "16", 128: "128", ALL: "all"}
OBJECTIVES = ("hsc", "bce", "deep_sad", "neighbours")
SOURCES = {"known": "other anomalies of the table", "shuffled": "rows with shuffled columns"}
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
EVERY_CLASS = {"classes": (0, 100)}  # of CIFAR-100, in the runs of the main curve


def way(objective: str, source: str = "none", classes: int = 0, count: int = 0) -> Row:
    """One way to train: which objective, with which outliers, from how many classes of them, and how many."""
    return {"objective": objective, "source": source, "classes": classes, "count": count}


IMAGE_WAYS = [
    way("hsc"),
    way("deep_sad"),
    *(way("hsc", "cifar100", 100, count) for count in (1, 16, 128, ALL)),
    *(way("bce", "cifar100", 100, count) for count in (16, ALL)),
    way("deep_sad", "cifar100", 100, ALL),
    way("hsc", "cifar100", 1, 100),
    way("hsc", "cifar100", 100, 100),
    way("hsc", "imagenet", 0, 128),
]
TABLE_WAYS = [
    *(way(name) for name in ("neighbours", "hsc", "deep_sad")),
    *(way("neighbours", "known", 0, count) for count in (16, ALL)),
    *(way(name, "known", 0, count) for name in ("hsc", "bce", "deep_sad") for count in (1, 16, 128, ALL)),
    *(way(name, "shuffled", 0, count) for name in ("hsc", "bce", "deep_sad") for count in (16, ALL)),
    *(way(name, "one kind", 0, 16) for name in ("hsc", "bce", "deep_sad")),
]


def cells(seeds: int) -> Iterator[Row]:
    """All ways of each normal class and table."""
    for seed in range(seeds):
        for part, sets, ways in (("images", CLASSES, IMAGE_WAYS), ("tables", TABLES, TABLE_WAYS)):
            yield from ({"part": part, "set": name, "seed": seed, **one} for name in sets for one in ways)


class Given(NamedTuple):
    """Training rows, outliers or None, and test rows with the truth."""

    train: Any
    outliers: Any
    test: Any
    truth: NDArray[np.int64]


def measure(cell: Row, data: Path) -> Row:
    """Fit and score."""
    given = image_rows(cell, data / "images") if cell["part"] == "images" else table_rows(cell, data / "tabular")
    training = {} if cell["objective"] == "neighbours" else TRAINING[cell["part"]]
    objective = make_objective(cell["objective"], **training)
    detector = AnomalyDetector(objective, contamination=0.0, random_state=cell["seed"], device="cpu")
    detector.fit(given.train, outliers=given.outliers)
    used = 0 if given.outliers is None else len(given.outliers)
    return {"used": used, "auroc": auroc(given.truth, detector.anomaly_score(given.test))}


@cache
def decode(path: Path) -> Pixels:
    """Images of a file as ``(n, SIZE, SIZE, 3)``, shrunk by averaging."""
    from PIL import Image

    stored = np.load(path)
    blob, places = stored["blob"], pairwise(stored["offset"].tolist())
    images = (Image.open(io.BytesIO(blob[start:end].tobytes())).convert("RGB") for start, end in places)
    return np.stack([np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)) for image in images])


def image_rows(cell: Row, folder: Path) -> Given:
    """One class of CIFAR-10 against the other nine."""
    rng = np.random.default_rng(cell["seed"])
    labels, tested = (np.load(folder / f"cifar10_{part}.npz")["label"] for part in ("train_part0", "test"))
    number = list(np.load(folder / "cifar10_test.npz")["classes"]).index(cell["set"])
    train = decode(folder / "cifar10_train_part0.npz")[labels == number]
    others = rng.choice(np.flatnonzero(tested != number), TEST_IMAGES, replace=False)
    rows = np.concatenate([np.flatnonzero(tested == number), others])
    test, truth = decode(folder / "cifar10_test.npz")[rows], (tested[rows] != number).astype(np.int64)
    return Given(train, image_outliers(cell, folder, np.random.default_rng(cell["seed"])), test, truth)


def image_outliers(cell: Row, folder: Path, rng: np.random.Generator) -> Pixels | None:
    """Auxiliary images."""
    if cell["count"] == 0:
        return None
    path = folder / ("cifar100_train_part0.npz" if cell["source"] == "cifar100" else "imagenet_sample_128.npz")
    stored = np.load(path)
    rows = np.arange(len(stored["offset"]) - 1)
    if cell["source"] == "cifar100":
        rows = np.flatnonzero(np.isin(stored["label"], rng.permutation(100)[: cell["classes"]]))
    chosen: Pixels = decode(path)[rng.permutation(rows)[: cell["count"]]]
    return chosen


def table_rows(cell: Row, folder: Path) -> Given:
    """Half of the normal rows of a table; half of its anomalies are a pool of outliers, the others are tested."""
    stored, rng = np.load(folder / f"{cell['set']}.npz"), np.random.default_rng(cell["seed"])
    X, y = stored["X"].astype(np.float64), stored["y"]
    normal, anomalous = rng.permutation(np.flatnonzero(y == 0)), rng.permutation(np.flatnonzero(y == 1))
    half = min(TRAIN_ROWS, len(normal) // 2)
    train, pool = X[normal[:half]], X[anomalous[: len(anomalous) // 2]]
    rows = np.concatenate([normal[half : half + TEST_ROWS], anomalous[len(anomalous) // 2 :]])
    outliers = table_outliers(cell, train, pool, np.random.default_rng(cell["seed"]))
    return Given(train, outliers, X[rows], y[rows].astype(np.int64))


def table_outliers(cell: Row, train: Floats, pool: Floats, rng: np.random.Generator) -> Floats | None:
    """Auxiliary rows."""
    if cell["count"] == 0:
        return None
    if cell["source"] == "shuffled":
        return rng.permuted(train, axis=0)[: cell["count"]]
    if cell["source"] == "known":
        return pool[: cell["count"]]
    distance = np.linalg.norm((pool - pool[0]) / (train.std(0) + 1e-9), axis=1)
    return pool[np.argsort(distance, kind="stable")[: cell["count"]]]  # around one of them


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """Tables by number and by kind of outliers."""
    rows = page.rows("one_class_outliers")
    images, tables = rows.where(part="images"), rows.where(part="tables")
    panels = {
        "images, CIFAR-100": lines(images, "cifar100"),
        "tables, known anomalies": lines(tables, "known"),
        "tables, shuffled columns": lines(tables, "shuffled"),
    }
    svg = curves(panels, xlabel="outliers, as log2(1 + number)", ylabel="AUROC", percent=False)
    says = "AUROC over the number of auxiliary outliers, on images and on tables"
    which: dict[tuple[str, int], Where] = {
        ("CIFAR-100, 1 class", 100): {"source": "cifar100", "classes": 1},
        ("CIFAR-100, 100 classes", 100): {"source": "cifar100", "classes": 100},
        ("CIFAR-100, all classes", 128): {"source": "cifar100", "classes": 100},
        ("ImageNet, all classes", 128): {"source": "imagenet"},
    }
    narrow = [
        [words, str(number), *map(points, [found, *(found.where(set=name) for name in sorted(found.each("set")))])]
        for (words, number), where in which.items()
        for found in [images.where(objective="hsc", count=number, **where)]
    ]
    return {
        "n_runs": len(rows.each("key")),
        "n_seeds": len(rows.each("seed")),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "picture": page.picture("benchmark/one-class.svg", svg, says),
        "classes": " and ".join(sorted(images.each("set"))),
        "tables": sorted(tables.each("set")),
        "numbers": {"images": TEST_IMAGES, "size": SIZE, "rows": TRAIN_ROWS, "training": TRAINING},
        "image_numbers": number_table(images, {"cifar100": "CIFAR-100"}),
        "table_numbers": number_table(tables, SOURCES),
        "gains": lambda part, source: gains(images if part == "images" else tables, "hsc", source),
        "which": table(["outliers from", "number", "mean", *sorted(images.each("set"))], narrow),
        "kinds": kinds_table(tables),
        "sets_table": sets_table(tables),
        "order": order(images),
    }


def taken(rows: Rows, objective: str, source: str, number: int) -> Rows:
    """The runs of the main curves: no outliers are of no source, those of CIFAR-100 of all its classes."""
    if number == 0:
        return rows.where(objective=objective, source="none")
    return rows.where(objective=objective, source=source, count=number, **EVERY_CLASS)


def points(found: Rows) -> str:
    """AUROC in percent; empty where nothing was run."""
    return f"{100 * found.mean('auroc'):.1f}" if found else ""


def number_table(rows: Rows, sources: dict[str, str]) -> str:
    """Objectives and sources by number of outliers."""
    found = []
    for source, words in sources.items():
        for objective in OBJECTIVES:
            cells_ = [points(taken(rows, objective, source, number)) for number in COUNTS]
            if any(cells_[1:]):
                found.append([f"`{objective}`, {words}", *cells_])
    return table(["outliers", *COUNTS.values()], found)


def gains(rows: Rows, objective: str, source: str) -> dict[str, str]:
    """What an objective gains over no outliers, and in how many runs."""
    before = taken(rows, objective, source, 0)
    found = {number: taken(rows, objective, source, number) for number in list(COUNTS)[1:]}
    found = {number: some for number, some in found.items() if some}
    steps = {number: 100 * (some.mean("auroc") - before.mean("auroc")) for number, some in found.items()}
    pairs = {number: zip(some.values("auroc"), before.values("auroc"), strict=True) for number, some in found.items()}
    return {
        "steps": ", ".join(f"{signed(step, 1)} with {COUNTS[number]}" for number, step in steps.items()),
        "better": ", ".join(str(sum(more > less for more, less in both)) for both in pairs.values()),
        "runs": str(len(before)),
        "source": SOURCES.get(source, "CIFAR-100"),
        "objective": objective,
    }


def kinds_table(rows: Rows) -> str:
    """Objectives by diversity of 16 known outliers."""
    found = []
    for objective in OBJECTIVES:
        wide = rows.where(objective=objective, source="known", count=16)
        narrow = rows.where(objective=objective, source="one kind", count=16)
        if wide and narrow:
            difference = 100 * (narrow.mean("auroc") - wide.mean("auroc"))
            nothing = points(rows.where(objective=objective, source="none"))
            found.append([f"`{objective}`", nothing, points(wide), points(narrow), signed(difference, 1)])
    return table(["objective", "none", "at random", "one kind", "difference"], found)


def sets_table(rows: Rows) -> str:
    """AUROC of hsc for every table."""
    columns: dict[str, Where] = {
        "none": {"source": "none"},
        "16 known": {"source": "known", "count": 16},
        "all known": {"source": "known", "count": ALL},
        "shuffled": {"source": "shuffled", "count": ALL},
    }
    lines_: dict[str, Where] = {name: {"set": name} for name in sorted(rows.each("set"))}
    specified = {label: Column("auroc", where, spread=False) for label, where in columns.items()}
    return grid(rows.where(objective="hsc"), lines_, specified, "table")


def order(rows: Rows) -> dict[str, Any]:
    """Whether more outliers were better at each step, and which of two classifiers was ahead."""
    means = [taken(rows, "hsc", "cifar100", number).mean("auroc") for number in COUNTS]
    other = taken(rows, "bce", "cifar100", ALL).mean("auroc")
    up = sum(later > earlier for earlier, later in pairwise(means))
    return {"up": up, "steps": len(means) - 1, "ahead": signed(100 * (means[-1] - other), 1)}


def lines(rows: Rows, source: str) -> dict[str, Curve]:
    """One curve for each objective; the band is the standard deviation over seeds of the mean over sets."""
    made = {}
    for objective in OBJECTIVES:
        found = {number: taken(rows, objective, source, number) for number in COUNTS}
        there = {number: some for number, some in found.items() if some}
        if len(there) > 1:
            used = [rows.where(source=source, count=number).mean("used") if number else 0.0 for number in there]
            spread = [float(np.std(some.per("auroc", "seed"))) for some in there.values()]
            means = [some.mean("auroc") for some in there.values()]
            made[objective] = Curve(np.log2(1 + np.array(used)).tolist(), means, spread)
    return made


STUDY = Study(
    "one_class_outliers",
    "what 0 to all auxiliary outliers are worth to one-class detectors, on images and tables",
    cells=cells,
    measure=measure,
    options={"seeds": 2},
    page="benchmark/one-class.md",
    context=context,
)
