"""Which auxiliary outliers are trained on, and as what: mined hard ones, worst cases, latent labels of wild rows.

Settings are chosen by validation outliers, under a training seed of their own: natural images of classes, and made ones
of kinds, that neither training nor test has. What is chosen is then compared with plain exposure on the test outliers.
Of what was tried only plain exposure and the inference of labels are in the package; rows of the others are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from expose import OutlierExposureClassifier
from expose.objectives import Descend
from expose.outliers import IMAGE_MAKERS
from expose_lab.metrics import outlier_detection
from expose_lab.pages import Column, Page, Rows, Where, grid, percent
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.image_outliers import TITLES
from expose_lab.studies.image_sources import PROBLEMS, Bytes, Labelled, some

HELD_ROWS, TEST_ROWS, OUTLIER_ROWS, BATCH_ROWS = 500, 1000, 300, 64
AUXILIARY_ROWS = 6000
SEEDS, CHOICE_SEED = (0, 1), 100
TRAINED, VALIDATED = (2, 3, 4), 1  # numbers of CIFAR-100's classes modulo 5; those of 0 are test outliers of CIFAR-10
TRAINED_MAKERS = ("jigsaw", "speckle", "arithmetic_mean")
VALIDATED_MAKERS = ("pixelate", "invert", "uniform_noise")
BOTH = "natural and made"
CHOICE_SHARE = 0.3
SCORE = "entropy"
DETECTION = {"fpr_at_tpr": "fpr", "auroc": "auroc", "average_precision": "ap"}
OPTIONS = {"problems": list(PROBLEMS), "train_rows": 2000, "epochs": 6}
PLAIN = "plain"
MINED, SKIPPED, NEAR, FAR = "mined", "mined, an eighth skipped", "worst case 0.1", "worst case 0.3"
HARD, WARM, SOFT, REFINE = "hard", "hard, warmed up", "soft, warmed up", "refine, warmed up"
SETTINGS = (PLAIN, SOFT)
TRIED = {  # what each is, those that are in the package no more included
    PLAIN: "every outlier counts as anomalous",
    MINED: "of four candidates the hardest is trained on",
    SKIPPED: "the same, but candidates above the running quantile of an eighth, the hardest, are left out",
    NEAR: "features of outliers moved to their largest loss within a tenth of their norm",
    FAR: "the same within three tenths",
    HARD: "labels inferred from the first step: what seems normal counts as normal",
    WARM: "the same after two epochs in which every outlier counts as anomalous",
    SOFT: "so too, but what seems normal counts half as normal, half as anomalous",
    REFINE: "so too, but what seems normal is left out",
}
HALF = 0.5


class Given(NamedTuple):
    """Images of a problem."""

    train: Labelled
    test: Labelled
    wild: Bytes  # normal images that hide among the auxiliary ones
    natural: Bytes
    validation: dict[str, Bytes]
    outliers: dict[str, Bytes]


def cells(problems: list[str], **options: Any) -> Iterator[Row]:
    """What of all that was measured can be measured again."""
    for phase, share, seeds in (("choice", CHOICE_SHARE, (CHOICE_SEED,)), ("main", HALF, SEEDS)):
        for seed, problem in product(seeds, problems):
            shared = {"phase": phase, "problem": problem, "seed": seed, "auxiliary": BOTH, **options}
            yield shared | {"setting": PLAIN, "normal": 0.0}
            yield from (shared | {"setting": name, "normal": share} for name in SETTINGS)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train, and judge by the outliers of the phase: rows for each score and source."""
    torch.set_num_threads(1)
    given = load(cell["problem"], data, cell["train_rows"])
    share = 1.0 if cell["setting"] == PLAIN else 1 - cell["normal"]  # is told where labels are latent
    recipe = Descend(epochs=cell["epochs"], batch_size=BATCH_ROWS, outlier_share=share)
    model = OutlierExposureClassifier("conv", recipe=recipe, device="cpu", random_state=cell["seed"])
    model.fit(given.train.X, given.train.y, outliers=auxiliary(given, cell))
    accuracy = round(float(model.score(given.test.X, given.test.y)), 5)
    sources = given.validation if cell["phase"] == "choice" else given.outliers
    outliers = {name: model.anomaly_score(X, SCORE) for name, X in sources.items()}
    result = outlier_detection(model.anomaly_score(given.test.X, SCORE), outliers)
    for name, source in result.sources.items():
        found = {short: round(source.measured.mean[metric], 5) for metric, short in DETECTION.items()}
        yield {"score": SCORE, "source": name, "accuracy": accuracy, **found}


def auxiliary(given: Given, cell: Row) -> Bytes:
    """Auxiliary images, of which a share is normal."""
    seed, normal = cell["seed"], round(cell["normal"] * AUXILIARY_ROWS)
    count = AUXILIARY_ROWS - normal
    each = count // 2 // len(TRAINED_MAKERS)
    made = [IMAGE_MAKERS[name](given.train.X, each, random_state=seed) for name in TRAINED_MAKERS]
    natural = np.random.default_rng(seed).permutation(len(given.natural))[: count - each * len(made)]
    return np.concatenate([given.natural[natural], *made, given.wild[:normal]])


@lru_cache(maxsize=1)
def load(name: str, data: Path, train_rows: int) -> Given:
    """A problem, and what of it is for validation."""
    wild = AUXILIARY_ROWS // 2
    problem = PROBLEMS[name](data / "images", (train_rows + wild, HELD_ROWS, TEST_ROWS, OUTLIER_ROWS))
    train, group = problem.train.take(np.arange(train_rows)), problem.auxiliary.y % 5
    natural = problem.auxiliary.take(np.flatnonzero(group == VALIDATED))
    made = {name: IMAGE_MAKERS[name](problem.held_out.X, OUTLIER_ROWS, random_state=0) for name in VALIDATED_MAKERS}
    return Given(
        train,
        problem.test,
        problem.train.X[train_rows:],
        problem.auxiliary.X[np.isin(group, TRAINED)],
        {"CIFAR-100, other classes": some(natural, OUTLIER_ROWS).X, **made},
        problem.outliers,
    )


# ------------------------------------------------------------------------------------------------------------ page

SHOWN = {"fpr": "FPR95", "auroc": "AUROC", "ap": "AUPR"}


def context(page: Page) -> dict[str, Any]:
    """Tables of what was chosen by, and of what was chosen."""
    rows = page.rows("outlier_choice")
    choice, main = rows.where(phase="choice"), rows.where(phase="main")
    return {
        "tried": {name: said for name, said in TRIED.items() if name in rows.each("setting")},
        "titles": {name: TITLES[name] for name in rows.each("problem")},
        "options": rows[0],
        "numbers": {
            "auxiliary": AUXILIARY_ROWS, "tested": TEST_ROWS, "outliers": OUTLIER_ROWS, "batch": BATCH_ROWS,
            "choice": CHOICE_SHARE, "half": HALF,
        },
        "seeds": len(main.each("seed")),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "choices": lambda normal: choice_table(choice.where(normal=normal)),
        "compared": lambda problem: main_table(main.where(problem=problem)),
        "sources": lambda problem: sources_table(main.where(problem=problem)),
    }  # fmt: skip


def choice_table(rows: Rows) -> str:
    """Both problems side by side, by the validation outliers."""
    lines = {name: {"setting": name} for name in rows.each("setting")}
    columns = {
        f"{TITLES[problem]}: {title}": Column(metric, {"problem": problem})
        for problem in rows.each("problem")
        for metric, title in (*SHOWN.items(), ("accuracy", "accuracy"))
    }
    return grid(rows, lines, columns)


def lines_of(rows: Rows) -> dict[str, Where]:
    """A line for each share of normal rows in the auxiliary set, and setting."""
    return {
        f"{percent(normal)} normal: {name}" if normal else name: {"normal": normal, "setting": name}
        for normal in sorted(rows.each("normal"))
        for name in TRIED
        if rows.where(normal=normal, setting=name)
    }


def main_table(rows: Rows) -> str:
    """Detection and accuracy on the test outliers."""
    return grid(rows, lines_of(rows), {"accuracy": Column("accuracy"), **{t: Column(m) for m, t in SHOWN.items()}})


def sources_table(rows: Rows) -> str:
    """AUROC source by source."""
    columns = {name: Column("auroc", {"source": name}, spread=False) for name in rows.each("source")}
    return grid(rows, lines_of(rows), columns)


STUDY = Study(
    name="outlier_choice",
    says="outlier exposure: mined outliers, worst cases, latent labels of wild rows",
    cells=cells,
    measure=measure,
    options=OPTIONS,
    page="benchmark/outlier-choice.md",
    context=context,
)
