"""Folders of photos that nobody sorted: the default beside published detectors on the same pretrained features.

Photos of magnetic tiles with small defects, textures one against the rest, and vectors of MVTec AD and CIFAR-10 that
others computed. Training photos are contaminated on purpose; what is tested is never trained on, but in the lines that
say so, after papers that do. All see features of one pretrained network: ours through the product, which keeps them on
disk, so that each photo is encoded once, the others as the network gives them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import make_objective
from expose_lab.datasets import EMBEDDINGS, load
from expose_lab.datasets.photos import TEXTURES, TILES, PhotoSet, magnetic_tiles, textures
from expose_lab.figures import Curve, curves
from expose_lab.metrics import auroc, average_precision, pixel_metrics
from expose_lab.pages import Column, Page, Rows, Where, grid, table
from expose_lab.photo_contenders import (
    Features,
    ImageNeighbours,
    PaDiM,
    PatchCore,
    PhotoContender,
    SoftPatch,
    described,
    heat_maps,
)
from expose_lab.protocols import Numbers, chosen
from expose_lab.store import Row
from expose_lab.studies.base import Study

RATIOS, OVERLAPPING, SEEDS = (0.0, 0.1, 0.2, 0.4), (0.1, 0.4), (0, 1, 2)
DISJOINT, OVERLAP = "disjoint", "overlap"
ALL_TEXTURES = (
    "banded", "blotchy", "braided", "bubbly", "bumpy", "chequered", "cobwebbed", "cracked", "crosshatched",
    "crystalline",
)  # fmt: skip
DEFAULT = "default"


Scores = NDArray[np.float64]


class Sizes(NamedTuple):
    """Normal samples for training and for the test, and anomalies for the test."""

    train: int
    test: int
    anomalies: int


SIZES = {TILES: Sizes(300, 200, 150), TEXTURES: Sizes(80, 40, 150)}


class Given(NamedTuple):
    """Samples in both forms: as a detector of the product takes them, and as features for the others."""

    samples: Any
    features: Features


# ---------------------------------------------------------------------------------------------------- who takes part


class Ours:
    """A detector of the product behind the face of the others."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def fit(self, given: Given, seed: int) -> Scores:
        """Fit, and rank the training samples."""
        self.detector = AnomalyDetector(**self.parameters, device="cpu", random_state=seed).fit(given.samples)
        return self.detector.training_scores_

    def score(self, given: Given) -> Scores:
        """Scores of samples."""
        return self.detector.anomaly_score(given.samples)

    def maps(self, given: Given) -> Sequence[Scores] | None:
        """Heat maps, if patches are judged."""
        scorer = self.detector.scorer()
        return scorer.maps(given.samples) if scorer.fitted.has_places else None


class Plain:
    """A published detector."""

    def __init__(self, detector: PhotoContender) -> None:
        self.detector = detector

    def fit(self, given: Given, seed: int) -> Scores:
        """Learn from features."""
        return self.detector.fit(given.features, seed).photos.astype(np.float64)

    def score(self, given: Given) -> Scores:
        """By features."""
        self.judged = self.detector.judge(given.features)
        return self.judged.photos.astype(np.float64)

    def maps(self, given: Given) -> Sequence[Scores] | None:
        """Scores of patches, which were found with those of photos."""
        return heat_maps(given.samples, given.features, self.judged)


class Detector(NamedTuple):
    """One line of the tables.

    Attributes
    ----------
    make : callable
        From the share of anomalies in training to one that is not fitted.
    told : bool
        Whether it uses that share, so that without any it is the same as another.
    vectors : bool
        Whether it takes vectors that others computed.
    """

    make: Callable[[float], Ours | Plain]
    told: bool = False
    vectors: bool = False


def exposed(exposure: str) -> Callable[[float], Ours]:
    """A Gaussian for each place of a photo, under an exposure that is told the share."""
    return lambda share: Ours(objective="gaussian", exposure=exposure, contamination=share)


BRIEF = {"epochs": 30, "batch_size": 128}
DETECTORS = {
    DEFAULT: Detector(lambda share: Ours(), vectors=True),
    "gaussian, blind": Detector(exposed("blind")),
    "gaussian, refine": Detector(exposed("refine"), told=True),
    "gaussian, soft": Detector(exposed("soft"), told=True),
    "neighbours": Detector(lambda share: Ours(objective="neighbours")),
    "ntl": Detector(lambda share: Ours(objective=make_objective("ntl", **BRIEF))),
    "PatchCore": Detector(lambda share: Plain(PatchCore())),
    "SoftPatch": Detector(lambda share: Plain(SoftPatch())),
    "PaDiM": Detector(lambda share: Plain(PaDiM())),
    "kNN of photos": Detector(lambda share: Plain(ImageNeighbours()), vectors=True),
    "kNN of photos, cosine": Detector(lambda share: Plain(ImageNeighbours(cosine=True)), vectors=True),
}
SIDE = ("gaussian, refine", "gaussian, soft", "neighbours", "ntl", "kNN of photos")  # one seed, not on textures
FEWER = 2  # seeds of each of the ten textures, for their time

# -------------------------------------------------------------------------------------------------------------- cells


def cells(
    sets: list[str], ratios: list[float], overlapping: list[float], seeds: list[int], detectors: list[str]
) -> Iterator[Row]:
    """Set by set, so that its features are read once; the honest setting first."""
    for name in sets:
        for setting, shares in ((DISJOINT, ratios), (OVERLAP, overlapping)):
            for seed in seeds[:FEWER] if name.startswith(TEXTURES) else seeds:
                for ratio in (share for share in shares if share <= most(name, setting)):
                    yield from (
                        {"set": name, "setting": setting, "ratio": ratio, "seed": seed, "detector": who}
                        for who in detectors
                        if takes_part(who, name, ratio, seed == seeds[0])
                    )


def takes_part(who: str, name: str, ratio: float, first: bool) -> bool:
    """Whether a detector is measured here."""
    one = DETECTORS[who]
    suited = one.vectors or name not in EMBEDDINGS
    wanted = who not in SIDE or (first and not name.startswith(TEXTURES))
    return suited and wanted and not (one.told and ratio == 0)


def most(name: str, setting: str) -> float:
    """The largest share of anomalies that a set has anomalies for, and time."""
    if name == TILES:
        return max(RATIOS)
    if name in EMBEDDINGS:
        return 0.2 if name.startswith("mvtec") else 0.1
    return max(RATIOS) if setting == DISJOINT else -1


# ------------------------------------------------------------------------------------------------------------ measure


class Problem(NamedTuple):
    """Samples with the truth, and their features."""

    samples: Any  # PhotoSet, or (n, D) array
    y: NDArray[np.int8]
    features: Features
    sizes: Sizes

    def given(self, rows: NDArray[np.intp]) -> Given:
        """Some of the samples."""
        some = self.samples.take(rows).photos if isinstance(self.samples, PhotoSet) else self.samples[rows]
        return Given(some, self.features.take(rows))


@lru_cache(maxsize=1)
def problem(name: str, data: Path) -> Problem:
    """A set by name; the one that was used last is kept."""
    if name in EMBEDDINGS:
        vectors = load(name, data)
        none = np.zeros((len(vectors.y), 0, 0, 0), np.float32)
        return Problem(vectors.X, vectors.y, Features(none, vectors.X), halves(vectors.y))
    family, _, normal = name.partition("/")
    photos = textures(data, normal) if normal else magnetic_tiles(data)
    return Problem(photos, photos.y, features_of(family, data), SIZES[family])


@lru_cache(maxsize=1)
def features_of(family: str, data: Path) -> Features:
    """Features of all photos of a file, by the network of the product, as it gives them."""
    photos = magnetic_tiles(data) if family == TILES else textures(data, ALL_TEXTURES[0])
    return described(list(photos.photos))


def halves(y: NDArray[np.int8]) -> Sizes:
    """Half of the normal samples for training, and half of the anomalies for the test."""
    normal, odd = int((y == 0).sum()), int((y == 1).sum())
    return Sizes(normal // 2, normal - normal // 2, odd - odd // 2)


def measure(cell: Row, data: Path) -> Row:
    """Train a detector on contaminated samples, and judge it by the test and by its ranking of the training samples."""
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    torch.set_num_threads(1)
    given = problem(cell["set"], data)
    overlap = cell["setting"] == OVERLAP
    rows = chosen(given.y, seed=cell["seed"], ratio=cell["ratio"], overlap=overlap, **given.sizes._asdict())
    with threadpool_limits(1):
        return measured(cell["detector"], given, rows, cell["seed"])


def measured(who: str, given: Problem, rows: Numbers, seed: int) -> Row:
    """The numbers of a row of results."""
    y, test = given.y[rows.train], given.given(rows.test)
    detector = DETECTORS[who].make(float(y.mean()))
    started = time.process_time()
    ranked = detector.fit(given.given(rows.train), seed)
    fitted = time.process_time()
    scores = detector.score(test)
    found = {
        "auroc": auroc(given.y[rows.test], scores),
        "average_precision": average_precision(given.y[rows.test], scores),
        "train_auroc": auroc(y, ranked) if y.any() else None,
        "fit_seconds": fitted - started,
        "score_seconds": time.process_time() - fitted,
    }
    counts = {"n_train": len(rows.train), "n_test": len(rows.test), "reached_ratio": float(y.mean())}
    return found | counts | by_pixel(detector, given, test, rows.test)


def by_pixel(detector: Ours | Plain, given: Problem, test: Given, rows: NDArray[np.intp]) -> Row:
    """How good its heat maps are, where it makes some and the truth is known."""
    none = {"pixel_auroc": None, "pixel_average_precision": None, "aupro": None}
    if not isinstance(given.samples, PhotoSet) or not given.samples.masks:
        return none
    maps = detector.maps(test)
    return none if maps is None else dict(pixel_metrics([given.samples.mask(row) for row in rows], maps))


# --------------------------------------------------------------------------------------------------------------- page

FAMILIES = {"magnetic tiles": TILES, "textures": TEXTURES, "MVTec AD, vectors": "mvtec", "CIFAR-10, vectors": "cifar10"}
AIMS = {"magnetic tiles": (0.86, 0.84, 0.82), "textures": (0.91, 0.89, 0.87)}  # at the first three ratios
RANKED_AIM = 0.86  # of the training folder of tiles at 10 %
PANELS = ("magnetic tiles", "textures")
DRAWN = (DEFAULT, "PatchCore", "SoftPatch", "PaDiM", "kNN of photos", "kNN of photos, cosine", "neighbours")


def context(page: Page) -> dict[str, Any]:
    """Tables of each family of sets, pictures, and what was aimed at."""
    rows = page.rows("photos")
    found = {label: of_family(rows, start) for label, start in FAMILIES.items()}
    found = {label: some for label, some in found.items() if some}
    return {
        "families": {label: sections(some) for label, some in found.items()},
        "sizes": {label: SIZES[FAMILIES[label]] for label in PANELS},
        "aims": aims(found),
        "tested": drawn(page, found, "auroc", "AUROC of the test"),
        "ranked": drawn(page, found, "train_auroc", "AUROC of the ranked training folder"),
        "n_sets": {label: len(some.each("set")) for label, some in found.items()},
        "n_seeds": len(rows.each("seed")),
        "side": SIDE,
        "fewer": FEWER,
        "brief": BRIEF,
        "minutes": rows.once("cpu_seconds") / 60,
        "finished": rows.finished,
        "default": DEFAULT,
        "done": len(rows),
        "wanted": len(list(cells(**STUDY.options))),
    }


def of_family(rows: Rows, start: str) -> Rows:
    """The rows of sets whose names begin so."""
    return Rows(row for row in rows if row["set"].startswith(start))


def sections(rows: Rows) -> dict[str, str]:
    """Tables by their titles."""
    honest, overlapping = rows.where(setting=DISJOINT), rows.where(setting=OVERLAP)
    titles = {
        "AUROC of the test": (honest, "auroc"),
        "Average precision of the test": (honest, "average_precision"),
        "AUROC of the ranked training folder": (honest, "train_auroc"),
        "AUROC by pixel": (honest, "pixel_auroc"),
        "AUPRO": (honest, "aupro"),
        "Seconds of fitting": (honest, "fit_seconds"),
        "Overlap, after papers that test what they train on: AUROC of the test": (overlapping, "auroc"),
        "Overlap: AUROC of the ranked training folder": (overlapping, "train_auroc"),
    }
    return {title: by_ratio(*pair) for title, pair in titles.items() if any_of(*pair)}


def any_of(rows: Rows, metric: str) -> bool:
    """Whether anything was measured by it."""
    return any(row[metric] is not None for row in rows)


def by_ratio(rows: Rows, metric: str) -> str:
    """A line for each detector, a column for each share of anomalies in training."""
    there = Rows(row for row in rows if row[metric] is not None)
    seconds = metric.endswith("seconds")
    scale, digits = (1, 1) if seconds else (100, 1)
    columns = {
        f"{100 * ratio:g} %": Column(metric, {"ratio": ratio}, scale, digits, spread=not seconds)
        for ratio in sorted(there.each("ratio"))
    }
    lines: dict[str, Where] = {who: {"detector": who} for who in DETECTORS if there.where(detector=who)}
    return grid(there, lines, columns, "detector", bold="column", best=min if seconds else max)


def aims(found: Mapping[str, Rows]) -> str:
    """What the default was to reach, and what it does."""
    lines = []
    for label, wanted in AIMS.items():
        for ratio, aim in zip(RATIOS, wanted, strict=False):
            here = found.get(label, Rows()).where(detector=DEFAULT, setting=DISJOINT, ratio=ratio)
            lines += [aimed(f"{label}, {100 * ratio:g} %, test", aim, here, "auroc")] if here else []
    here = found.get(PANELS[0], Rows()).where(detector=DEFAULT, setting=DISJOINT, ratio=RATIOS[1])
    lines += [aimed(f"{PANELS[0]}, {100 * RATIOS[1]:g} %, ranked", RANKED_AIM, here, "train_auroc")] if here else []
    return table(["AUROC of the default", "aim", "reached", ""], lines)


def aimed(label: str, aim: float, rows: Rows, metric: str) -> list[str]:
    """One line of them."""
    reached = rows.mean(metric)
    return [label, f"{100 * aim:.1f}", f"{100 * reached:.1f}", "yes" if reached >= aim else "no"]


def drawn(page: Page, found: Mapping[str, Rows], metric: str, says: str) -> str:
    """Curves over the share of anomalies in training, a panel for each family of photos."""
    panels = {label: lines_of(found[label].where(setting=DISJOINT), metric) for label in PANELS if label in found}
    svg = curves(panels, xlabel="% anomalies in training", ylabel=says, columns=2)
    return page.picture(f"benchmark/photos-{metric.replace('_', '-')}.svg", svg, f"{says} over the share of anomalies")


def lines_of(rows: Rows, metric: str) -> dict[str, Curve]:
    """Means and spreads over seeds."""
    found = {}
    for who in DRAWN:
        there = Rows(row for row in rows.where(detector=who) if row[metric] is not None)
        points = [(ratio, there.where(ratio=ratio).per(metric, "seed")) for ratio in sorted(there.each("ratio"))]
        if points:
            found[who] = Curve(
                [ratio for ratio, _ in points],
                [float(np.mean(values)) for _, values in points],
                [float(np.std(values)) for _, values in points],
            )
    return found


STUDY = Study(
    "photos",
    "folders of photos that nobody sorted: the default beside PatchCore, PaDiM, SoftPatch and neighbours, 0 to 40 %",
    cells=cells,
    measure=measure,
    options={
        "sets": [TILES, *(f"{TEXTURES}/{name}" for name in ALL_TEXTURES), *EMBEDDINGS],
        "ratios": list(RATIOS),
        "overlapping": list(OVERLAPPING),
        "seeds": list(SEEDS),
        "detectors": list(DETECTORS),
    },
    page="benchmark/photos.md",
    context=context,
)
