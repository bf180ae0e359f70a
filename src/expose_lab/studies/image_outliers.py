"""Outlier exposure on images: what it gains, what it costs, which term and score, and which auxiliary set helps.

Every trained model is judged on images of kinds that no training saw, one for five normal ones. The committed results
come from the small network on one CPU core. The published ones (WRN-40-2, 50,000 images, 100 epochs) need a GPU, and
more images than there are; what comes nearest, with results in a folder of its own:

    python -m expose_lab.study image_outliers --results wide --set network=wrn-40-2 device=cuda train_rows=9000 \
        epochs=100 tune_epochs=10 optimizer=sgd tune_rate=0.001 augment=true
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from expose import OutlierExposureClassifier
from expose.objectives import Descend
from expose.outliers import IMAGE_MAKERS, check_overlap, jigsaw, mean_of_two, speckle, uniform_noise
from expose_lab.figures.canvas import COLOURS, INK, MARKERS, new_figure, panels_of, svg
from expose_lab.metrics import outlier_calibration, outlier_detection, softmax_confidence
from expose_lab.pages import Column, Page, Rows, Where, grid
from expose_lab.store import Row
from expose_lab.studies import exposure_speed
from expose_lab.studies.base import Study
from expose_lab.studies.image_sources import (
    PROBLEMS,
    SEED,
    Bytes,
    Labelled,
    Problem,
    arrays,
    form_like,
    some,
)

HELD_ROWS, TEST_ROWS, OUTLIER_ROWS, BATCH_ROWS = 500, 1000, 300, 64
SEEDS, FEWER_SEEDS = (0, 1, 2), (0, 1)
UNEQUAL = 0.1  # rows of the smallest class over those of the largest
SIZES, VARIETY, VARIETY_ROWS = (10, 100, 1000), (1, 5, 20, 100), 100
SAME_SIZE = 1000  # as many of each kind; natural images of that number are among the sizes
MAKERS: dict[str, Callable[..., Bytes]] = {
    "uniform noise": uniform_noise,
    "speckle": speckle,
    "mean of two": mean_of_two,
    "jigsaw": jigsaw,
}
NOISE = ("gaussian_noise", "bernoulli_noise", "uniform_noise", "blobs")
DETECTION = {"fpr_at_tpr": "fpr", "auroc": "auroc", "average_precision": "ap"}
CALIBRATION = {"rms": "RMS", "mad": "MAD", "soft_f1": "soft F1"}
OPTIONS = {
    "problems": list(PROBLEMS),
    "network": "conv",
    "device": "cpu",
    "train_rows": 3000,
    "epochs": 6,
    "tune_epochs": 2,
    "optimizer": "adam",
    "tune_rate": 5e-4,
    "augment": False,
}


class Setting(NamedTuple):
    """One way to train: from nothing or from the baseline, exposed to what, by which term."""

    name: str
    start: str = "baseline"  # or "nothing"
    outliers: str | None = "auxiliary"
    term: str = "uniform"
    hardest: float = 1.0


MAIN = (
    Setting("baseline", start="nothing", outliers=None),
    Setting("tuned without outliers", outliers=None),
    Setting("tuned"),
    Setting("from scratch", start="nothing"),
    Setting("tuned, made ones too", outliers="made"),
    Setting("from scratch, made ones too", start="nothing", outliers="made"),
)
TERMS = (
    Setting("energy", term="energy"),
    Setting("hardest half", hardest=0.5),
    Setting("confidence, no outliers", outliers=None, term="confidence"),
    Setting("confidence", term="confidence"),
    Setting("background", term="background"),
)
UNEQUAL_CLASSES = (
    Setting("unequal: baseline", start="nothing", outliers=None),
    Setting("unequal: uniform"),
    Setting("unequal: prior", term="prior"),
)
AUXILIARY = tuple(
    Setting(name, outliers=name)
    for name in (
        *(f"size {size}" for size in SIZES),
        *(f"classes {classes}" for classes in VARIETY),
        *(f"kind {kind}" for kind in (*MAKERS, "sibling", "natural and made")),
    )
)
SETTINGS = {setting.name: setting for setting in (*MAIN, *TERMS, *UNEQUAL_CLASSES, *AUXILIARY)}
STUDIED, STUDIED_SCORE = "fashion-mnist", "entropy"  # the problem on which auxiliary sets are compared
OVERLAP = "overlap"  # a cell that checks the auxiliary images, and trains nothing


def cells(problems: list[str], **options: Any) -> Iterator[Row]:
    """What is to be measured, the most telling first."""
    further = {name: (*AUXILIARY, *TERMS, *UNEQUAL_CLASSES) if name == STUDIED else TERMS for name in problems}

    def some_of(chosen: Mapping[str, Sequence[Setting]], seed: int) -> Iterator[Row]:
        for name, settings in chosen.items():
            yield from ({"problem": name, "setting": one.name, "seed": seed, **options} for one in settings)

    yield from ({"problem": name, "setting": OVERLAP, "seed": 0, **options} for name in problems)
    main = dict.fromkeys(problems, MAIN)
    yield from some_of(main, SEEDS[0])
    yield from some_of(further, SEEDS[0])
    for seed in SEEDS[1:]:
        yield from some_of(main, seed)
    for seed in FEWER_SEEDS[1:]:
        yield from some_of(further, seed)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train and judge: rows for each score and source, and for calibration."""
    if cell["setting"] == OVERLAP:
        given = load(cell["problem"], data, cell["train_rows"])
        against = {**given.outliers, "normal training rows": given.train.X, "normal test rows": given.test.X}
        found = len(check_overlap(given.auxiliary.X, against).rows)
        yield {"kind": "overlap", "auxiliary": len(given.auxiliary.X), "found": found}
        return
    torch.set_num_threads(1)
    setting, thinned = SETTINGS[cell["setting"]], cell["setting"].startswith("unequal")
    model = trained(setting, cell, data, thinned)
    yield from judged(model, load(cell["problem"], data, cell["train_rows"], thinned), setting.term)


@lru_cache(maxsize=3)
def load(name: str, data: Path, train_rows: int, thinned: bool = False) -> Problem:
    """A problem, perhaps with unequal classes."""
    if not thinned:
        return PROBLEMS[name](data / "images", (train_rows, HELD_ROWS, TEST_ROWS, OUTLIER_ROWS))
    whole = load(name, data, train_rows)
    parts = {part: unequal(getattr(whole, part)) for part in ("train", "held_out", "test")}
    return Problem(whole.name, **parts, auxiliary=whole.auxiliary, outliers=whole.outliers)


def unequal(rows: Labelled) -> Labelled:
    """Rows whose classes shrink geometrically, from all to a tenth."""
    classes, counts = np.unique(rows.y, return_counts=True)
    shares = UNEQUAL ** np.linspace(0, 1, len(classes))
    kept = [
        np.flatnonzero(rows.y == one)[: int(share * counts.min())] for one, share in zip(classes, shares, strict=True)
    ]
    return rows.take(np.sort(np.concatenate(kept)))


def trained(setting: Setting, cell: Row, data: Path, thinned: bool) -> OutlierExposureClassifier:
    """A model under a setting."""
    shared = tuple((name, cell[name]) for name in cell if name != "setting")
    if setting.start == "nothing" and setting.outliers is None:
        return baseline(shared, data, thinned)
    given = load(cell["problem"], data, cell["train_rows"], thinned)
    network: str | nn.Module = cell["network"]
    if setting.start == "baseline":
        more = int(setting.term in ("confidence", "background"))
        network = widened(baseline(shared, data, thinned).network_, more)
    model = new(network, cell, setting.hardest, terms=setting.term)
    outliers = None if setting.outliers is None else auxiliary(setting.outliers, given, cell["seed"], data)
    return model.fit(given.train.X, given.train.y, outliers=outliers)


@lru_cache(maxsize=4)
def baseline(shared: tuple[tuple[str, Any], ...], data: Path, thinned: bool) -> OutlierExposureClassifier:
    """The classifier that never saw an outlier, which others start from."""
    cell = dict(shared)
    given = load(cell["problem"], data, cell["train_rows"], thinned)
    return new(cell["network"], cell).fit(given.train.X, given.train.y)


def new(network: str | nn.Module, cell: Row, hardest: float = 1.0, terms: str = "uniform") -> OutlierExposureClassifier:
    """All that the models have in common; a given network is tuned."""
    tuned = not isinstance(network, str)
    recipe = Descend(
        epochs=cell["tune_epochs" if tuned else "epochs"],
        learning_rate=cell["tune_rate"] if tuned else None,
        optimizer=cell["optimizer"],
        batch_size=BATCH_ROWS,
        hardest=hardest,
    )
    about: dict[str, Any] = {"augment": cell["augment"], "device": cell["device"], "random_state": cell["seed"]}
    return OutlierExposureClassifier(network, terms=terms, recipe=recipe, **about)


def widened(network: nn.Module, more: int) -> nn.Module:
    """A network with so many outputs more, which are 0 at first."""
    if more:
        place, old = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
        parent, _, own = place.rpartition(".")
        wide = nn.Linear(old.in_features, old.out_features + more)
        with torch.no_grad():
            wide.weight.zero_()[: old.out_features] = old.weight
            wide.bias.zero_()[: old.out_features] = old.bias
        setattr(network.get_submodule(parent), own, wide)
    return network


def auxiliary(name: str, given: Problem, seed: int, data: Path) -> Bytes:
    """An auxiliary set by name; which images and classes are in it depends on the seed."""
    kind, _, what = name.partition(" ")
    match kind:
        case "auxiliary":
            return given.auxiliary.X
        case "made":
            return natural_and_made(given, len(given.auxiliary.X), seed)
        case "size":
            return some(given.auxiliary, int(what), seed).X
        case "classes":
            return of_classes(given.auxiliary, int(what), seed)
        case _:
            return of_kind(what, given, seed, data)


def of_classes(pool: Labelled, n: int, seed: int) -> Bytes:
    """Equally many images of so many classes by chance."""
    rng = np.random.default_rng([SEED, seed])
    classes = rng.permutation(np.unique(pool.y))[:n]
    chosen = [rng.permutation(np.flatnonzero(pool.y == one))[: VARIETY_ROWS // n] for one in classes]
    return pool.take(np.concatenate(chosen)).X


def of_kind(kind: str, given: Problem, seed: int, data: Path) -> Bytes:
    """Images of one kind, always as many."""
    if kind == "sibling":
        return form_like(given.train.X, some(arrays(data / "images", "mnist_test"), SAME_SIZE, seed).X)
    if kind == "natural and made":
        return natural_and_made(given, SAME_SIZE, seed)
    return MAKERS[kind](given.train.X, SAME_SIZE, random_state=seed)


def natural_and_made(given: Problem, n: int, seed: int) -> Bytes:
    """One half natural images, one half by all makers that change normal images: no pure noise, and no blobs."""
    grey = given.train.X.ndim == 3
    makers = [
        make for name, make in IMAGE_MAKERS.items() if name not in NOISE and not (grey and name == "channel_ghosts")
    ]
    each = n // 2 // len(makers)
    made = [make(given.train.X, each, random_state=seed) for make in makers]
    return np.concatenate([some(given.auxiliary, n - each * len(makers), seed).X, *made])


def judged(model: OutlierExposureClassifier, given: Problem, term: str) -> Iterator[Row]:
    """Detection by every score and source, calibration at the temperature of held-out normal rows, class accuracy."""
    own = (term,) if term in ("confidence", "background") else ()
    detection: list[Row] = []
    for score in ("msp", "entropy", "energy", *own):
        outliers = {name: model.anomaly_score(X, score) for name, X in given.outliers.items()}
        result = outlier_detection(model.anomaly_score(given.test.X, score), outliers)
        for name, source in result.sources.items():
            found = {short: round(source.measured.mean[metric], 5) for metric, short in DETECTION.items()}
            detection.append({"kind": "detection", "score": score, "source": name, **found})
    logits = {name: model.decision_function(X) for name, X in given.outliers.items()}
    t = model.calibrate(given.held_out.X, given.held_out.y).temperature_
    confidence, predicted = softmax_confidence(model.decision_function(given.test.X), t)
    correct = model.classes_[predicted] == given.test.y
    doubts = {name: softmax_confidence(z, t)[0] for name, z in logits.items()}
    result = outlier_calibration(correct, confidence, doubts)
    common: dict[str, Any] = {"accuracy": round(float(correct.mean()), 5), "temperature": round(t, 4)}
    for on, values in (("normal", result.normal_only.mean), ("mixed", result.mean.mean)):
        found = {name: round(values[name], 5) for name in CALIBRATION}
        yield {"kind": "calibration", "on": on, **found, **common}
    yield from ({**row, **common} for row in detection)


# ------------------------------------------------------------------------------------------------------------ page

TITLES = {"fashion-mnist": "Fashion-MNIST", "cifar-10": "CIFAR-10"}
MADE_FOR = {  # setting: the score made for its term
    "baseline": "msp",
    "tuned": "entropy",
    "hardest half": "entropy",
    "energy": "energy",
    "confidence, no outliers": "confidence",
    "confidence": "confidence",
    "background": "background",
}
SHOWN = {"fpr": "FPR95", "auroc": "AUROC", "ap": "AUPR"}
GROUPS = {
    "photographs": ("CIFAR-10", "ImageNet"),
    "surfaces": ("textures", "magnetic tiles"),
    "noise": ("Gaussian noise", "Bernoulli noise"),
    "blobs": ("blobs",),
}
SYNTHETIC = ("Gaussian noise", "Bernoulli noise", "blobs")
KINDS = {  # name on the page: setting
    "none": "baseline",
    "uniform noise": "kind uniform noise",
    "normal images times noise": "kind speckle",
    "mean of two normal images": "kind mean of two",
    "normal images as jigsaw": "kind jigsaw",
    "sibling set (MNIST)": "kind sibling",
    "natural images (CIFAR-100)": "size 1000",
    "natural and made of normal ones": "kind natural and made",
}
BY_CLASSES = {float(number): f"classes {number}" for number in VARIETY}


def context(page: Page) -> dict[str, Any]:
    """Tables by problem, the study of auxiliary sets, and what it takes."""
    rows = page.rows("image_outliers")
    overlap = rows.where(kind="overlap")
    rows = Rows(row for row in rows if row["kind"] != "overlap")
    pool = overlap.where(problem=STUDIED)[0]["auxiliary"]
    sizes = {**{float(size): f"size {size}" for size in SIZES}, float(pool): "tuned"}
    studied = with_common_seeds(rows, STUDIED, [*sizes.values(), *BY_CLASSES.values(), *KINDS.values()])
    says = "AUROC by size, variety and kind of the auxiliary set"
    names = [setting.name for setting in MAIN]
    return {
        "problems": {name: TITLES[name] for name in rows.each("problem")},
        "options": rows[0],
        "network": "the small convolutional network" if rows[0]["network"] == "conv" else f"`{rows[0]['network']}`",
        "held_rows": HELD_ROWS,
        "test_rows": TEST_ROWS,
        "batch_rows": BATCH_ROWS,
        "n_seeds": len(rows.each("seed")),
        "few_seeds": len(Rows(row for row in rows if row["setting"] not in names).each("seed")),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "overlap": " and ".join(
            f"{one['found']} of {one['auxiliary']:,} auxiliary images for {TITLES[one['problem']]}" for one in overlap
        ),
        "main_table": lambda name: detection_table(rows, name, names),
        "sources_table": lambda name: sources_table(rows.where(problem=name), names),
        "terms_table": lambda name: terms_table(with_common_seeds(rows, name, list(MADE_FOR))),
        "unequal_table": detection_table(rows, STUDIED, [setting.name for setting in UNEQUAL_CLASSES]),
        "calibration_table": lambda name: calibration_table(rows.where(problem=name), names),
        "studied_score": STUDIED_SCORE,
        "studied_seeds": len(studied.where(setting="size 1000").each("seed")),
        "picture": page.picture("benchmark/images-auxiliary.svg", figure(studied, sizes), says),
        "auxiliary_table": auxiliary_table(studied, sizes),
        "speed": exposure_speed.context(page),
    }


def with_common_seeds(rows: Rows, problem: str, settings: Sequence[str]) -> Rows:
    """Rows of a problem with only those seeds that all of these settings have, so that they can be compared."""
    here = rows.where(problem=problem)
    seeds = [set(here.where(setting=setting).each("seed")) for setting in settings]
    return here.where(seed=set.intersection(*(some for some in seeds if some)))


def settings_of(names: Sequence[str]) -> dict[str, Where]:
    """A line for each setting."""
    return {name.removeprefix("unequal: "): {"setting": name} for name in names}


def detection_table(rows: Rows, problem: str, names: Sequence[str]) -> str:
    """Detection by two scores, and accuracy."""
    columns = {"accuracy": Column("accuracy")}
    for score in ("msp", "entropy"):
        columns |= {f"{title}, {score}": Column(metric, {"score": score}) for metric, title in SHOWN.items()}
    return grid(rows.where(problem=problem, kind="detection"), settings_of(names), columns)


def sources_table(rows: Rows, names: Sequence[str]) -> str:
    """AUROC of each source."""
    shown = [("baseline", "msp"), *((name, "entropy") for name in names)]
    columns = {f"{name}, {score}": Column("auroc", {"setting": name, "score": score}) for name, score in shown}
    found = rows.where(kind="detection")
    return grid(found, {name: {"source": name} for name in found.each("source")}, columns)


def terms_table(rows: Rows) -> str:
    """AUROC by term and score; of the score made for the term FPR95 and AUROC on noise too."""
    found = rows.where(kind="detection")
    things = tuple(name for name in found.each("source") if name not in SYNTHETIC)
    for row in found:
        row["made for it"] = row["score"] == MADE_FOR.get(row["setting"])
    own = {"made for it": True}
    columns = {"accuracy": Column("accuracy")}
    columns |= {
        score: Column("auroc", {"score": score, "source": things}) for score in dict.fromkeys(MADE_FOR.values())
    }
    columns |= {
        "FPR95 of the bold": Column("fpr", {"source": things, **own}),
        "the bold on noise": Column("auroc", {"source": SYNTHETIC, **own}),
    }
    lines = settings_of(list(MADE_FOR))
    return grid(found, lines, columns, bold=lambda line, column: MADE_FOR[line] == column)


def calibration_table(rows: Rows, names: Sequence[str]) -> str:
    """Both kinds of calibration."""
    columns = {"T": Column("temperature", scale=1, digits=2, spread=False)}
    for on in ("normal", "mixed"):
        columns |= {f"{title}, {on}": Column(name, {"on": on}) for name, title in CALIBRATION.items()}
    lines = settings_of([*names, "energy", "hardest half", "confidence", "background"])
    return grid(rows.where(kind="calibration"), lines, columns)


def auxiliary_table(rows: Rows, sizes: dict[float, str]) -> str:
    """AUROC by auxiliary set and group of sources."""
    lines: dict[str, Where] = {"none": {"setting": "baseline"}}
    lines |= {f"{size:,.0f} images": {"setting": name} for size, name in sizes.items()}
    for number, name in BY_CLASSES.items():
        lines[f"100 images of {'1 class' if number == 1 else f'{number:.0f} classes'}"] = {"setting": name}
    lines |= {f"1,000: {name}": {"setting": setting} for name, setting in KINDS.items() if name != "none"}
    every = tuple(name for group in GROUPS.values() for name in group)
    columns = {"accuracy": Column("accuracy")}
    columns |= {name: Column("auroc", {"source": group}) for name, group in GROUPS.items()}
    columns["mean of sources"] = Column("auroc", {"source": every})
    found = rows.where(kind="detection", score=STUDIED_SCORE)
    return grid(found, lines, columns, "auxiliary set")


def points(rows: Rows, settings: dict[float, str], group: str) -> tuple[list[float], list[float], list[float]]:
    """Where a line goes: x, mean AUROC and its spread."""
    found = rows.where(kind="detection", score=STUDIED_SCORE, source=GROUPS[group])
    values = {x: found.where(setting=setting).per("auroc", "seed") for x, setting in settings.items()}
    there = {x: some for x, some in values.items() if some}
    return list(there), [float(np.mean(v)) for v in there.values()], [float(np.std(v)) for v in there.values()]


@svg
def figure(rows: Rows, sizes: dict[float, str]) -> Any:
    """Draw size, variety and kind side by side."""
    drawn = new_figure(10.5, 3.2)
    axes, _ = panels_of(drawn, 3, 3, sharey=False)
    drawn.subplots_adjust(wspace=0.3)
    names = list(KINDS)
    by_kind = {float(place): KINDS[name] for place, name in enumerate(names)}
    for number, group in enumerate(GROUPS):
        for axis, settings in ((axes[0], sizes), (axes[1], BY_CLASSES)):
            x, y, spread = points(rows, settings, group)
            axis.errorbar(x, y, spread, label=group, lw=1.5, **look(number))
            axis.axhline(points(rows, {0: "baseline"}, group)[1][0], color=COLOURS[number], lw=0.8, ls=":")
        x, y, spread = points(rows, by_kind, group)
        axes[2].errorbar(y, [place + 0.12 * (number - 1.5) for place in x], xerr=spread, ls="", **look(number))
    for axis, label, settings in ((axes[0], "images", sizes), (axes[1], "classes, 100 images", BY_CLASSES)):
        axis.set(xscale="log", xlabel=label, xlim=(min(settings) / 2, max(settings) * 2), ylim=(-0.03, 1.03))
        axis.grid(axis="y")
    axes[0].set_ylabel("AUROC (dotted: not exposed)")
    axes[2].set(yticks=range(len(names)), xlim=(-0.03, 1.03), xlabel="AUROC")
    axes[2].set_yticklabels(names, color=INK, fontsize=8)
    axes[2].yaxis.tick_right()
    axes[2].invert_yaxis()
    axes[2].grid(axis="x")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncols=len(GROUPS), frameon=False)
    return drawn


def look(number: int) -> dict[str, Any]:
    """Colour and marker of a group; the first is hollow and large, to be seen below the second."""
    size: dict[str, Any] = {"ms": 8, "fillstyle": "none"} if number == 0 else {"ms": 4}
    return {"color": COLOURS[number], "marker": MARKERS[number], **size}


STUDY = Study(
    "image_outliers",
    "outlier exposure on Fashion-MNIST and CIFAR-10: gains, costs, terms, auxiliary sets",
    cells=cells,
    measure=measure,
    options=OPTIONS,
    page="benchmark/images.md",
    context=context,
)
