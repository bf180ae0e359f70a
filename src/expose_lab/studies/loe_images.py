"""LOE's table of images: NTL on features of CIFAR-10 and Fashion-MNIST, one class against the rest, from 0 to 20 %.

The protocol of Qiu et al. (ICML 2022): images of one class are normal, and those of the other nine, of the training
part, are added to them until they make the wanted share. Testing is on the test part, so nothing is seen in both. The
features are those of a pretrained network, which the paper took too, ResNet-152 there and the product's own here. As
there, the share is told.

Images come 32 and 28 pixels wide, and are enlarged to what the network was trained on. Whole sets are encoded once in
each process, through the cache of features, so that a study that was stopped goes on at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import FunctionTransformer

from expose import AnomalyDetector
from expose.encoders import PhotoEncoder
from expose.objectives import NTL
from expose_lab.figures import Curve, curves
from expose_lab.metrics import auroc
from expose_lab.pages import Column, Page, Rows, count, grid, percent, signed, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.image_sources import Labelled, arrays, encoded

Floats = NDArray[np.float32]

SETS = {"cifar-10": "CIFAR-10", "fashion-mnist": "Fashion-MNIST"}
NAMES = {
    "cifar-10": ("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion-mnist": (
        "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip
CLEAN, TRUTH = "blind", "truth"
EXPOSURES = ("blind", "refine", "hard", "soft", TRUTH)
RATIOS = (0.1, 0.0, 0.2, 0.05, 0.15)  # in the order in which they are run
MAIN = 0.1
SEEDS = (0, 1, 2)
TRAIN_ROWS, TEST_ROWS = 1000, 300  # of each class
TRAINING: dict[str, Any] = {
    "epochs": 15, "warmup": 6, "batch_size": 128, "learning_rate": 1e-3,
    "transform_width": 64, "hidden": 128, "encoder_layers": 2, "constant": 0.3,
}  # fmt: skip


class Vectors(NamedTuple):
    """Features of the training and the test part of a set, and their classes."""

    train: Floats
    train_class: NDArray[np.int64]
    test: Floats
    test_class: NDArray[np.int64]


class Task(NamedTuple):
    """Training rows, which of them are anomalies, and test rows."""

    train: Floats
    truth: NDArray[np.int8]
    test: Floats
    test_truth: NDArray[np.int8]


def cells(sets: list[str], ratios: list[float], exposures: list[str], seeds: list[int]) -> Iterator[Row]:
    """One class of one set under one exposure; without contamination all exposures are one."""
    for ratio, seed, name in product(ratios, seeds, sets):
        for normal, exposure in product(range(len(NAMES[name])), exposures):
            if ratio > 0 or exposure == CLEAN:
                yield {"set": name, "normal": normal, "true_ratio": ratio, "exposure": exposure, "seed": seed}


def measure(cell: Row, data: Path) -> Row:
    """Train and test."""
    torch.set_num_threads(1)
    vectors = features(cell["set"], data / "images")
    task = contaminated(vectors, cell["normal"], cell["true_ratio"], cell["seed"])
    detector = fitted(task, cell["exposure"], cell["true_ratio"], cell["seed"])
    return {"auroc": auroc(task.test_truth, detector.anomaly_score(task.test)), "n_train": len(task.train)}


def fitted(
    task: Task, exposure: str, ratio: float, seed: int, training: Mapping[str, Any] = TRAINING
) -> AnomalyDetector:
    """NTL that is told the share of anomalies, or which rows they are."""
    told = exposure == TRUTH
    detector = AnomalyDetector(
        NTL(**training),
        encoder=FunctionTransformer(),  # vectors as they are
        exposure="blind" if told else exposure,
        contamination=0 if told else ratio,
        random_state=seed,
        device="cpu",
    )
    return detector.fit(task.train, labels=task.truth if told else None)


def contaminated(vectors: Vectors, normal: int, ratio: float, seed: int) -> Task:
    """One class, and so many of the others that they make a share; all of the test part."""
    rng = np.random.default_rng([seed, normal])
    ours = rng.permutation(np.flatnonzero(vectors.train_class == normal))
    others = rng.permutation(np.flatnonzero(vectors.train_class != normal))
    others = others[: round(ratio / (1 - ratio) * len(ours))]
    truth = np.repeat(np.array([0, 1], dtype=np.int8), [len(ours), len(others)])
    test_truth = (vectors.test_class != normal).astype(np.int8)
    return Task(vectors.train[np.concatenate([ours, others])], truth, vectors.test, test_truth)


@lru_cache(maxsize=2)
def features(name: str, images: Path) -> Vectors:
    """A set as the product's encoder of photos describes it."""
    stem = name.replace("-", "_") if name == "fashion-mnist" else name.replace("-", "")
    read = arrays if name == "fashion-mnist" else encoded
    train = some_of_each(read(images, f"{stem}_train_part0"), TRAIN_ROWS)
    test = some_of_each(read(images, f"{stem}_test"), TEST_ROWS)
    encoder = PhotoEncoder(give="vector", precision="bf16").fit(train.X[:2])
    return Vectors(encoder.transform(train.X), train.y, encoder.transform(test.X), test.y)


def some_of_each(images: Labelled, most: int) -> Labelled:
    """So many images of each class, by chance and always the same."""
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(np.flatnonzero(images.y == one))[:most] for one in np.unique(images.y)]
    return images.take(np.sort(np.concatenate(chosen)))


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """Ours beside theirs, over the ratio, and class by class."""
    found = page.rows("loe_images")
    published = json.loads((page.results.parent / "published_loe.json").read_text(encoding="utf-8"))["images"]
    sets = [name for name in SETS if name in found.each("set")]
    rows = {name: with_clean(found.where(set=name)) for name in sets}
    panels = {SETS[name]: lines_over_ratio(rows[name]) for name in sets}
    svg = curves(panels, xlabel="share of anomalies in training", ylabel="mean AUROC, %", columns=2)
    return {
        "sets": {name: SETS[name] for name in sets},
        "n_train": f"{TRAIN_ROWS:,}",
        "n_test": f"{TEST_ROWS:,}",
        "seeds": count(len(found.each("seed")), "seed"),
        "finished": found.finished,
        "minutes": round(found.once("cpu_seconds") / 60),
        "settings": ", ".join(f"{name}={value}" for name, value in TRAINING.items()),
        "picture": page.picture("benchmark/loe-images-curves.svg", svg, "AUROC over the share of anomalies"),
        "means": lambda name: means_table(rows[name], published[name]),
        "classes": lambda name: classes_table(rows[name], name),
        "gains": lambda name: gains(rows[name], name),
        "main": percent(MAIN),
    }


def summary(page: Page) -> dict[str, Any]:
    """What the page of embeddings says of it: gains and losses at the main ratio."""
    found = page.rows("loe_images").where(true_ratio=MAIN)
    sets = [name for name in SETS if name in found.each("set")]
    return {
        "main": percent(MAIN),
        "gains": {SETS[name]: gains(found.where(set=name), name) for name in sets},
    }


def with_clean(rows: Rows) -> Rows:
    """Rows of a set; without contamination the one exposure stands for all."""
    clean = rows.where(true_ratio=0.0)
    return Rows([*rows.where(true_ratio=tuple(r for r in rows.each("true_ratio") if r > 0)),
                 *(row | {"exposure": one} for row in clean for one in EXPOSURES)])  # fmt: skip


def means_table(rows: Rows, published: Mapping[str, Mapping[str, float]]) -> str:
    """Means over the classes and their spread over the seeds, with the published ones in brackets."""
    ratios = sorted(rows.each("true_ratio"))
    lines = []
    for exposure in (one for one in EXPOSURES if rows.where(exposure=one)):
        theirs = published[exposure]
        texts = [
            f"{Column('auroc').text(rows.where(exposure=exposure, true_ratio=ratio).per('auroc', 'seed'))}"
            f" ({theirs[f'{100 * ratio:g}']:.1f})"
            for ratio in ratios
        ]
        lines.append([f"`{exposure}`" if exposure != TRUTH else "the truth, as labels", *texts])
    return table(["exposure", *map(percent, ratios)], lines)


def classes_table(rows: Rows, name: str) -> str:
    """Each class under each exposure at the main ratio, beside blind training on clean rows."""
    here = {one: Column("auroc", {"exposure": one, "true_ratio": MAIN}) for one in EXPOSURES}
    columns = {"clean": Column("auroc", {"exposure": CLEAN, "true_ratio": 0.0}), **here}
    return grid(
        rows, {NAMES[name][one]: {"normal": one} for one in sorted(rows.each("normal"))}, columns, "normal class"
    )


def gains(rows: Rows, name: str) -> dict[str, str]:
    """For each exposure what it gains over blind at the main ratio, by how well blind training does on a class."""
    here = rows.where(true_ratio=MAIN)
    classes = sorted(here.each("normal"))

    def mean(exposure: str, normal: int) -> float:
        return 100 * here.where(exposure=exposure, normal=normal).mean("auroc")

    said = {}
    for exposure in ("refine", "hard", "soft"):
        change = {one: mean(exposure, one) - mean(CLEAN, one) for one in classes}
        worse = [f"{NAMES[name][one]} {signed(gain, 1)}" for one, gain in change.items() if round(gain, 1) < 0]
        helped = f"{signed(float(np.mean(list(change.values()))), 1)} points in the mean, more than `blind` on "
        helped += f"{len(classes) - len(worse)} of {len(classes)} classes"
        said[exposure] = helped + (f"; less on {', '.join(worse)}" if worse else "")
    return said


def lines_over_ratio(rows: Rows) -> dict[str, Curve]:
    """A curve for each exposure; bands are the standard deviation over seeds of the mean over classes."""
    found = {}
    for exposure in (one for one in EXPOSURES if rows.where(exposure=one)):
        ratios = sorted(rows.where(exposure=exposure).each("true_ratio"))
        by_seed = [rows.where(exposure=exposure, true_ratio=ratio).per("auroc", "seed") for ratio in ratios]
        means, spreads = ([100 * float(act(values)) for values in by_seed] for act in (np.mean, np.std))
        found[exposure] = Curve(ratios, means, spreads)
    return found


STUDY = Study(
    "loe_images",
    "LOE's table of images: NTL on features of CIFAR-10 and Fashion-MNIST, 0 to 20 %",
    cells=cells,
    measure=measure,
    options={"sets": list(SETS), "ratios": list(RATIOS), "exposures": list(EXPOSURES), "seeds": list(SEEDS)},
    page="benchmark/loe-images.md",
    context=context,
)
