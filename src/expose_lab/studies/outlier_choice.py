"""Which auxiliary outliers are trained on, and as what: mined hard ones, worst cases, latent labels of wild rows.

Settings are chosen by validation outliers of a training seed of their own: natural images of classes, and made ones of
kinds, that neither training nor test has. What is chosen is then compared with plain exposure on the test outliers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from expose import OutlierExposureClassifier
from expose.objectives import Descend
from expose.outliers import IMAGE_MAKERS
from expose_lab.metrics import outlier_detection
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.image_sources import PROBLEMS, Bytes, Labelled, some

HELD_ROWS, TEST_ROWS, OUTLIER_ROWS, BATCH_ROWS = 500, 1000, 300, 64
AUXILIARY_ROWS = 6000
SEEDS, CHOICE_SEED = (0, 1), 100
TRAINED, VALIDATED = (2, 3, 4), 1  # numbers of CIFAR-100's classes modulo 5; those of 0 are test outliers of CIFAR-10
TRAINED_MAKERS = ("jigsaw", "speckle", "arithmetic_mean")
VALIDATED_MAKERS = ("pixelate", "invert", "uniform_noise")
NATURAL, BOTH = "natural", "natural and made"
CHOICE_SHARE = 0.3
SCORE = "entropy"
DETECTION = {"fpr_at_tpr": "fpr", "auroc": "auroc", "average_precision": "ap"}
OPTIONS = {"problems": list(PROBLEMS), "train_rows": 2000, "epochs": 6}
PLAIN = "plain"
SETTINGS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "mined": {"candidates": 4},
    "mined, an eighth skipped": {"candidates": 4, "skipped": 0.125},
    "worst case 0.1": {"worst_case": 0.1},
    "worst case 0.3": {"worst_case": 0.3},
}
LATENT: dict[str, dict[str, Any]] = {
    "hard": {"outlier_exposure": "hard"},
    "hard, warmed up": {"outlier_exposure": "hard", "outlier_warmup": 2},
    "soft, warmed up": {"outlier_exposure": "soft", "outlier_warmup": 2},
    "refine, warmed up": {"outlier_exposure": "refine", "outlier_warmup": 2},
}
MAIN = (  # auxiliary set, share of normal rows in it, and what is compared
    (BOTH, 0.0, (PLAIN, "mined", "worst case 0.1")),
    (BOTH, 0.5, (PLAIN, "hard", "soft, warmed up")),
    (NATURAL, 0.0, (PLAIN, "mined")),
)


class Given(NamedTuple):
    """Images of a problem."""

    train: Labelled
    test: Labelled
    wild: Bytes  # normal images that hide among the auxiliary ones
    natural: Bytes
    made_of: Bytes
    validation: dict[str, Bytes]
    outliers: dict[str, Bytes]


def cells(problems: list[str], **options: Any) -> Iterator[Row]:
    """What is to be measured: first what is chosen by, then what was chosen, the most telling first."""
    every = (PLAIN, *LATENT)
    for problem in problems:
        shared = {"phase": "choice", "problem": problem, "seed": CHOICE_SEED, "auxiliary": BOTH, **options}
        yield from (shared | {"setting": name, "normal": 0.0} for name in SETTINGS)
        yield from (shared | {"setting": name, "normal": CHOICE_SHARE} for name in every)
    for seed in SEEDS:
        for problem in problems:
            shared = {"phase": "main", "problem": problem, "seed": seed, **options}
            for auxiliary, normal, names in MAIN:
                yield from (shared | {"setting": name, "auxiliary": auxiliary, "normal": normal} for name in names)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train, and judge by the outliers of the phase: rows for each score and source."""
    torch.set_num_threads(1)
    given = load(cell["problem"], data, cell["train_rows"])
    recipe = Descend(epochs=cell["epochs"], batch_size=BATCH_ROWS, **settings_of(cell))
    model = OutlierExposureClassifier("conv", recipe=recipe, device="cpu", random_state=cell["seed"])
    model.fit(given.train.X, given.train.y, outliers=auxiliary(given, cell))
    accuracy = round(float(model.score(given.test.X, given.test.y)), 5)
    sources = given.validation if cell["phase"] == "choice" else given.outliers
    outliers = {name: model.anomaly_score(X, SCORE) for name, X in sources.items()}
    result = outlier_detection(model.anomaly_score(given.test.X, SCORE), outliers)
    for name, source in result.sources.items():
        found = {short: round(source.measured.mean[metric], 5) for metric, short in DETECTION.items()}
        yield {"score": SCORE, "source": name, "accuracy": accuracy, **found}


def settings_of(cell: Row) -> dict[str, Any]:
    """Settings of the recipe; the share of outliers is told where labels are latent."""
    if cell["normal"] and cell["setting"] != PLAIN:
        return {"outlier_share": 1 - cell["normal"], **LATENT[cell["setting"]]}
    return SETTINGS[cell["setting"]]


def auxiliary(given: Given, cell: Row) -> Bytes:
    """Auxiliary images, of which a share is normal."""
    seed, normal = cell["seed"], round(cell["normal"] * AUXILIARY_ROWS)
    count = AUXILIARY_ROWS - normal
    each = 0 if cell["auxiliary"] == NATURAL else count // 2 // len(TRAINED_MAKERS)
    made = [IMAGE_MAKERS[name](given.made_of, each, random_state=seed) for name in TRAINED_MAKERS if each]
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
        train.X,
        {"CIFAR-100, other classes": some(natural, OUTLIER_ROWS).X, **made},
        problem.outliers,
    )


STUDY = Study(
    name="outlier_choice",
    says="outlier exposure: mined outliers, worst cases, latent labels of wild rows",
    cells=cells,
    measure=measure,
    options=OPTIONS,
)
