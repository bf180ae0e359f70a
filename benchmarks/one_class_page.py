"""Write docs/benchmark/one-class.md and its figure from the results of ``one_class_outliers.py``: nothing is typed.

Run ``python benchmarks/one_class_page.py`` after the benchmark. Needs the extra ``bench``.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from expose.evaluation.figures import Curve, curves
from study_text import count, signed, table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "one_class_outliers.json"
PAGE = ROOT / "docs" / "benchmark" / "one-class.md"
PICTURE = "one-class.svg"
COUNTS = {0: "0", 1: "1", 16: "16", 128: "128", 10**6: "all"}
ALL = 10**6
OBJECTIVES = ("hsc", "bce", "deep_sad", "neighbours")
SOURCES = {"known": "other anomalies of the table", "shuffled": "rows with shuffled columns"}


class Made(NamedTuple):
    """The page and its figure."""

    text: str
    svg: str


class Study:
    """The runs of one part, "images" or "tables"."""

    def __init__(self, facts: dict[str, Any], part: str) -> None:
        self.runs = [run for run in facts["runs"] if run["part"] == part]
        self.sets = sorted({run["set"] for run in self.runs})
        self.seeds = sorted({run["seed"] for run in self.runs})

    def values(self, **wanted: Any) -> list[float]:
        """AUROC in percent of the runs that have these values."""
        return [100 * r["auroc"] for r in self.runs if all(r[name] == value for name, value in wanted.items())]

    def mean(self, objective: str, source: str, number: int, **more: Any) -> float | None:
        """Mean over sets and seeds; None if nothing was run."""
        if number == 0:
            source = "none"
        elif source == "cifar100" and "classes" not in more:
            more["classes"] = 100
        found = self.values(objective=objective, source=source, count=number, **more)
        return float(np.mean(found)) if found else None

    def spread(self, objective: str, source: str, number: int) -> float:
        """Standard deviation over seeds of the mean over sets."""
        means = [self.mean(objective, source, number, seed=seed) for seed in self.seeds]
        return float(np.std([mean for mean in means if mean is not None]))


def make(facts: dict[str, Any]) -> Made:
    """Make the page in memory."""
    images, tables = Study(facts, "images"), Study(facts, "tables")
    epochs = {part: settings["epochs"] for part, settings in facts["settings"].items()}
    seconds = sum(run["fit_seconds"] for run in facts["runs"])
    parts = [
        "# One class and auxiliary outliers",
        "How much are auxiliary outliers worth to a detector of one class, how many does it take, and which? AUROC in "
        "percent, mean over sets and seeds; outliers are the positive class. The training rows are clean and "
        "`contamination=0`. The outliers of training and those of the test are never the same rows.",
        f"{count(len(facts['runs']), 'run')}, {count(len(set(images.seeds) | set(tables.seeds)), 'seed')}, finished on "
        f"{facts['finished']}; fitting took {seconds / 60:.0f} minutes on one core. Generated from "
        "`benchmarks/results/one_class_outliers.json` by `python benchmarks/one_class_page.py`; remade by "
        "`python benchmarks/one_class_outliers.py --data-dir DIR`.",
        f"![AUROC over the number of auxiliary outliers, on images and on tables](../images/benchmark/{PICTURE})",
        "## Images: how many",
        f"One class of CIFAR-10 is normal ({' and '.join(images.sets)}, 1,000 training images each), the other nine "
        f"are the anomalies of the test ({facts['test_images']:,} of them). Auxiliary outliers are images of "
        f"CIFAR-100, at most 10,000, whose classes are others. All are shrunk to {facts['size']} x {facts['size']}. "
        f"The small convolutional network, {epochs['images']} epochs.",
        number_table(images, {"cifar100": "CIFAR-100"}),
        verdict(images, "hsc", "cifar100"),
        "## Images: which",
        "`hsc` with about as many outliers, from one class of CIFAR-100 or from all, or a sample of ImageNet with one "
        "image of each of its classes.",
        which_images(images),
        "## Tables: how many, and which",
        f"{count(len(tables.sets), 'table')} ({', '.join(tables.sets)}), at most {facts['train_rows']:,} normal "
        f"training rows, {epochs['tables']} epochs. Known outliers are half of the table's anomalies, or a sample of "
        "that half; the other half is tested. *Shuffled* are training rows each of whose columns was permuted: at most "
        "as many as training rows. Where a table has fewer than 128 known outliers, all of them stand in that column. "
        "`neighbours`, the default, is shown for comparison.",
        number_table(tables, SOURCES),
        verdict(tables, "hsc", "known"),
        verdict(tables, "hsc", "shuffled"),
        "### One kind of anomaly only",
        "16 known outliers at random, or one and the 15 nearest to it; and the loss by the lack of diversity.",
        kinds_table(tables),
        "### Table by table",
        "`hsc`: without outliers, with 16 known, all known, and all shuffled.",
        sets_table(tables),
        "## Beside what was published",
        "Ruff and others (*Rethinking Assumptions in Deep Anomaly Detection*, 2020) report that classifiers trained "
        "with a few, 64, natural images as outliers surpass what was then best on ImageNet-30; Liznerski and others "
        "(*Exposing Outlier Exposure*, 2022) that one outlier, if well chosen, can be enough to do well. Their "
        "networks are large and see all training images of a class; here a network of a quarter of a million weights "
        "sees 1,000 images for a few epochs, so the numbers do not compare. What can be compared is the order: "
        + order(images),
    ]
    return Made("\n\n".join(parts) + "\n", figure(images, tables))


def number_table(study: Study, sources: dict[str, str]) -> str:
    """Objectives and sources by number of outliers."""
    rows = []
    for source, words in sources.items():
        for objective in OBJECTIVES:
            means = [study.mean(objective, source, number) for number in COUNTS]
            if any(mean is not None for mean in means[1:]):
                rows.append([f"`{objective}`, {words}", *map(cell, means)])
    return table(["outliers", *COUNTS.values()], rows)


def cell(mean: float | None) -> str:
    """A number of a table; empty where nothing was run."""
    return "" if mean is None else f"{mean:.1f}"


def verdict(study: Study, objective: str, source: str) -> str:
    """Where the gain of an objective comes from."""
    found = {number: study.mean(objective, source, number) for number in COUNTS}
    means = {number: mean for number, mean in found.items() if mean is not None}
    steps = [f"{signed(means[number] - means[0], 1)} with {COUNTS[number]}" for number in means if number]
    better = [
        sum(
            more > less
            for more, less in zip(
                study.values(objective=objective, source=source, count=number, **classes(source)),
                study.values(objective=objective, source="none"),
                strict=True,
            )
        )
        for number in means
        if number
    ]
    runs = len(study.values(objective=objective, source="none"))
    return (
        f"Points that `{objective}` gains over no outliers, {SOURCES.get(source, 'CIFAR-100')}: {', '.join(steps)}. "
        f"Runs in which it gains, of {runs}: {', '.join(map(str, better))}."
    )


def classes(source: str) -> dict[str, int]:
    """What else tells the runs of the main curve."""
    return {"classes": 100} if source == "cifar100" else {}


def which_images(study: Study) -> str:
    """The same number of outliers from narrower and wider sources."""
    ways = {
        "CIFAR-100, 1 class": ("cifar100", 100, {"classes": 1}),
        "CIFAR-100, 100 classes": ("cifar100", 100, {"classes": 100}),
        "CIFAR-100, all classes": ("cifar100", 128, {"classes": 100}),
        "ImageNet, all classes": ("imagenet", 128, {}),
    }
    rows = []
    for words, (source, number, more) in ways.items():
        each = [study.mean("hsc", source, number, set=name, **more) for name in study.sets]
        rows.append([words, str(number), *map(cell, [study.mean("hsc", source, number, **more), *each])])
    return table(["outliers from", "number", "mean", *study.sets], rows)


def kinds_table(study: Study) -> str:
    """Objectives by diversity of 16 known outliers."""
    rows = []
    for objective in OBJECTIVES:
        wide, narrow = study.mean(objective, "known", 16), study.mean(objective, "one kind", 16)
        if wide is not None and narrow is not None:
            nothing = study.mean(objective, "none", 0)
            rows.append([f"`{objective}`", cell(nothing), cell(wide), cell(narrow), signed(narrow - wide, 1)])
    return table(["objective", "none", "at random", "one kind", "difference"], rows)


def sets_table(study: Study) -> str:
    """AUROC of hsc for every table."""
    columns = {
        "none": ("none", 0),
        "16 known": ("known", 16),
        "all known": ("known", ALL),
        "shuffled": ("shuffled", ALL),
    }
    rows = [
        [name, *(cell(study.mean("hsc", source, number, set=name)) for source, number in columns.values())]
        for name in study.sets
    ]
    return table(["table", *columns], rows)


def order(study: Study) -> str:
    """Say whether more outliers were better at each step, and which of two classifiers was ahead."""
    means = [study.mean("hsc", "cifar100", number) or 0.0 for number in COUNTS]
    steps = sum(later > earlier for earlier, later in pairwise(means))
    ahead = (study.mean("hsc", "cifar100", ALL) or 0.0) - (study.mean("bce", "cifar100", ALL) or 0.0)
    return (
        f"{count(steps, 'step')} of {len(means) - 1} towards more outliers raised the mean AUROC of `hsc`, and with "
        f"all of them it differs from that of `bce` by {signed(ahead, 1)} points."
    )


def figure(images: Study, tables: Study) -> str:
    """One panel for each kind of outliers; bands are the standard deviation over seeds."""
    panels = {
        "images, CIFAR-100": lines(images, "cifar100"),
        "tables, known anomalies": lines(tables, "known"),
        "tables, shuffled columns": lines(tables, "shuffled"),
    }
    return curves(panels, xlabel="outliers, as log2(1 + number)", ylabel="AUROC", percent=False)


def lines(study: Study, source: str) -> dict[str, Curve]:
    """One curve for each objective."""
    used: dict[int, float] = {0: 0.0}
    for number in list(COUNTS)[1:]:
        found = [run["used"] for run in study.runs if (run["source"], run["count"]) == (source, number)]
        used[number] = float(np.log2(1 + np.mean(found))) if found else 0.0
    made = {}
    for objective in OBJECTIVES:
        there = [number for number in COUNTS if study.mean(objective, source, number) is not None]
        if len(there) > 1:
            means = [(study.mean(objective, source, number) or 0.0) / 100 for number in there]
            spreads = [study.spread(objective, source, number) / 100 for number in there]
            made[objective] = Curve([used[number] for number in there], means, spreads)
    return made


if __name__ == "__main__":
    made = make(json.loads(RESULTS.read_text(encoding="utf-8")))
    PAGE.write_text(made.text, encoding="utf-8", newline="\n")
    (ROOT / "docs" / "images" / "benchmark" / PICTURE).write_text(made.svg, encoding="utf-8", newline="\n")
    print(f"{PAGE.name} and {PICTURE}")
