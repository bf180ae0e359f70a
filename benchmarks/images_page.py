"""Write docs/benchmark/images.md and its figure from ``image_outliers.py`` and ``exposure_speed.py``.

Run ``python benchmarks/images_page.py`` after them. What is to be said about the numbers stands in
``docs/benchmark/findings/images.md`` and is taken over as it is; no number on the page is typed. Needs the extra
``bench``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from expose.evaluation.figures.canvas import COLOURS, INK, MARKERS, new_figure, panels_of, svg
from study_text import Page, count, table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "image_outliers.json"
SPEED = ROOT / "benchmarks" / "results" / "exposure_speed.json"
PAGE = ROOT / "docs" / "benchmark" / "images.md"
FINDINGS = ROOT / "docs" / "benchmark" / "findings" / "images.md"
TITLES = {"fashion-mnist": "Fashion-MNIST", "cifar-10": "CIFAR-10"}
MAIN = (
    "baseline",
    "tuned without outliers",
    "tuned",
    "from scratch",
    "tuned, made ones too",
    "from scratch, made ones too",
)
TERMS = {  # setting: the score made for it
    "baseline": "msp",
    "tuned": "entropy",
    "hardest half": "entropy",
    "energy": "energy",
    "confidence, no outliers": "confidence",
    "confidence": "confidence",
    "background": "background",
}
UNEQUAL = ("unequal: baseline", "unequal: uniform", "unequal: prior")
SCORES = ("msp", "entropy", "energy", "confidence", "background")
METRICS = {"fpr": "FPR95", "auroc": "AUROC", "ap": "AUPR"}
GROUPS = {
    "photographs": ("CIFAR-10", "ImageNet"),
    "surfaces": ("textures", "magnetic tiles"),
    "noise": ("Gaussian noise", "Bernoulli noise"),
    "blobs": ("blobs",),
}
SYNTHETIC = ("Gaussian noise", "Bernoulli noise", "blobs")
STUDIED, STUDIED_SCORE = "fashion-mnist", "entropy"
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
Runs = list[dict[str, Any]]
Take = Callable[[dict[str, Any]], float]


class Study:
    """The runs by problem and setting."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.runs: dict[tuple[str, str], Runs] = defaultdict(list)
        for run in facts["runs"]:
            self.runs[run["problem"], run["setting"]].append(run)
        self.problems = list(dict.fromkeys(run["problem"] for run in facts["runs"]))

    def sources(self, problem: str) -> list[str]:
        """Names of the test outliers."""
        return list(self.runs[problem, "baseline"][0]["scores"]["msp"])

    def there(self, problem: str, settings: Sequence[str]) -> list[str]:
        """Those settings that were measured."""
        return [setting for setting in settings if self.runs.get((problem, setting))]

    def shared(self, problem: str, settings: Sequence[str]) -> Study:
        """The same, with only those seeds that all of these settings have, so that they can be compared."""
        seeds = [{run["seed"] for run in self.runs[problem, setting]} for setting in self.there(problem, settings)]
        both = set.intersection(*seeds)
        return Study(self.facts | {"runs": [run for run in self.facts["runs"] if run["seed"] in both]})

    def cell(self, problem: str, setting: str, take: Take, *, digits: int = 1, spread: bool = True) -> str:
        """Mean over seeds in percent, with its standard deviation where there are several."""
        values = [100 * take(run) for run in self.runs[problem, setting]]
        text = f"{np.mean(values):.{digits}f}"
        return text + (f" ± {np.std(values, ddof=1):.{digits}f}" if spread and len(values) > 1 else "")


def mean_of(score: str, metric: str, sources: Sequence[str] | None = None) -> Take:
    """A metric of a score, mean over sources."""

    def take(run: dict[str, Any]) -> float:
        found = run["scores"][score]
        return float(np.mean([found[name][metric] for name in sources or found]))

    return take


def calibrated(rows: str, name: str) -> Take:
    """A measure of calibration."""
    return lambda run: float(run["calibration"][rows][name])


def accuracy(run: dict[str, Any]) -> float:
    """Share of right classes."""
    return float(run["accuracy"])


def sizes(study: Study) -> dict[float, str]:
    """Settings by the number of auxiliary images."""
    return {10: "size 10", 100: "size 100", 1000: "size 1000", study.facts["overlap"][STUDIED]["auxiliary"]: "tuned"}


CLASSES: dict[float, str] = {1: "classes 1", 5: "classes 5", 20: "classes 20", 100: "classes 100"}


def make(facts: dict[str, Any], speed: dict[str, Any] | None, findings: str) -> Page:
    """Make the page in memory."""
    study, page = Study(facts), Page("images")
    page.add("# Outlier exposure on images", intro(study), findings)
    page.add("## Exposed or not", main_text(study))
    for problem in study.problems:
        page.add(f"### {TITLES[problem]}", main_table(study, problem), "AUROC, source by source:")
        page.add(sources_table(study, problem))
    page.add("## Terms and scores", terms_text())
    for problem in study.problems:
        page.add(f"### {TITLES[problem]}: each term", terms_table(study.shared(problem, list(TERMS)), problem))
    if study.there(STUDIED, UNEQUAL):
        page.add("### Classes of unequal size", unequal_text(), unequal_table(study.shared(STUDIED, UNEQUAL)))
    page.add("## Calibration", calibration_text(study))
    for problem in study.problems:
        page.add(f"### {TITLES[problem]}: calibration", calibration_table(study, problem))
    if study.there(STUDIED, list(KINDS.values())[1:]):
        alike = study.shared(STUDIED, [*sizes(study).values(), *CLASSES.values(), *KINDS.values()])
        page.add("## Which auxiliary set helps", auxiliary_text(alike))
        page.picture("auxiliary", figure(alike), "AUROC by size, variety and kind of the auxiliary set")
        page.add(auxiliary_table(alike))
    if speed is not None:
        page.add("## What it takes", speed_text(speed), speed_table(speed))
    page.add("## The published numbers", published_text())
    return page


def intro(study: Study) -> str:
    """Say what was run."""
    s = study.facts["settings"]
    seeds = {run["seed"] for run in study.facts["runs"]}
    few = {run["seed"] for run in study.facts["runs"] if run["setting"] not in MAIN}
    minutes = sum(run["cpu_seconds"] for run in study.facts["runs"]) / 60
    network = "the small convolutional network" if s["network"] == "conv" else f"the network `{s['network']}`"
    checked = [
        f"{found['found']} of {found['auxiliary']:,} auxiliary images for {TITLES[name]}"
        for name, found in study.facts["overlap"].items()
    ]
    return (
        f"A classifier of {' and '.join(TITLES[name] for name in study.problems)} (`OutlierExposureClassifier`, "
        f"{network}), judged on images of kinds that no training saw, all in one form. {s['train_rows']:,} training "
        f"images, {s['epochs']} epochs from nothing, {s['tune_epochs']} to tune a baseline, batches of "
        f"{s['batch_rows']} and as many outliers; {s['test_rows']:,} normal test images, for each source of outliers "
        "one for five of them (see [the protocol](../evaluation.md)). Means over "
        f"{count(len(seeds), 'trained seed')}, of terms and auxiliary sets {len(few)}, ± their standard deviation; the "
        f"normal images are always the same ones. Finished on {study.facts['finished']}; training took {minutes:.0f} "
        "minutes of one CPU core. Generated from `benchmarks/results/image_outliers.json` by "
        "`python benchmarks/images_page.py`; remade by `python benchmarks/image_outliers.py --data-dir DIR`.\n\n"
        "Auxiliary outliers are images of CIFAR-100, for Fashion-MNIST in grey, for CIFAR-10 of four classes in five: "
        "the fifth is a test set. CIFAR-10 and CIFAR-100 have no class in common; from the sample of ImageNet birds, "
        "cats, dogs, frogs, horses, deer, cars, trucks, ships and aircraft were taken out for CIFAR-10. "
        f"`check_overlap` finds {' and '.join(checked)} among the test outliers or normal images."
    )


def main_text(study: Study) -> str:
    """Explain the first tables."""
    epochs = study.facts["settings"]["tune_epochs"]
    return (
        "Percent, mean over the sources; FPR95 is the share of normal images above the threshold that finds 95 % of "
        'the outliers. "msp" is minus the maximum softmax probability, the usual baseline; "entropy" is the default '
        f'score. "Tuned without outliers" trains as many epochs more ({epochs}) as "tuned", but on normal images. '
        '"Made ones too": half of the natural images are replaced by images that were made of normal ones in all the '
        "ways of `expose.outliers.IMAGE_MAKERS` that are neither pure noise nor blobs."
    )


def main_table(study: Study, problem: str) -> str:
    """Detection by two scores, and accuracy."""
    header = ["", "accuracy", *(f"{name}, {score}" for score in ("msp", "entropy") for name in METRICS.values())]
    rows = []
    for setting in study.there(problem, MAIN):
        cells = [study.cell(problem, setting, mean_of(s, m)) for s in ("msp", "entropy") for m in METRICS]
        rows.append([setting, study.cell(problem, setting, accuracy), *cells])
    return table(header, rows)


def sources_table(study: Study, problem: str) -> str:
    """AUROC of each source."""
    columns = [("baseline", "msp"), *((setting, "entropy") for setting in study.there(problem, MAIN))]
    rows = [
        [name, *(study.cell(problem, setting, mean_of(score, "auroc", [name])) for setting, score in columns)]
        for name in study.sources(problem)
    ]
    return table(["", *(f"{setting}, {score}" for setting, score in columns)], rows)


def terms_text() -> str:
    """Explain the tables of terms."""
    return (
        "All are tuned from the same baseline; the networks with one output more (confidence, background) get it at 0. "
        "Columns are scores of the same network, AUROC in percent, mean over the sources that are images of something; "
        "bold is the score made for the term, whose FPR95 is told too, and in the last column its AUROC on noise and "
        'blobs. "Hardest half" trains on the half of each batch of outliers that is most taken for normal.'
    )


def terms_table(study: Study, problem: str) -> str:
    """AUROC by term and score."""
    things = [name for name in study.sources(problem) if name not in SYNTHETIC]
    rows = []
    for setting in study.there(problem, list(TERMS)):
        own, cells = TERMS[setting], []
        for score in SCORES:
            there = score in study.runs[problem, setting][0]["scores"]
            text = study.cell(problem, setting, mean_of(score, "auroc", things)) if there else ""
            cells.append(f"**{text}**" if own == score else text)
        fpr = study.cell(problem, setting, mean_of(own, "fpr", things))
        made = study.cell(problem, setting, mean_of(own, "auroc", SYNTHETIC))
        rows.append([setting, study.cell(problem, setting, accuracy), *cells, fpr, made])
    return table(["", "accuracy", *SCORES, "FPR95 of the bold", "the bold on noise"], rows)


def unequal_text() -> str:
    """Explain the table of unequal classes."""
    return (
        "Fashion-MNIST again, each class smaller than the one before, the last a tenth of the first, in training and "
        'test. "Prior" teaches the shares of the classes where "uniform" teaches equal ones.'
    )


def unequal_table(study: Study) -> str:
    """Detection with unequal classes."""
    rows = []
    for setting in study.there(STUDIED, UNEQUAL):
        cells = [study.cell(STUDIED, setting, mean_of(s, m)) for s in ("msp", "entropy") for m in METRICS]
        rows.append([setting.partition(": ")[2], study.cell(STUDIED, setting, accuracy), *cells])
    return table(
        ["", "accuracy", *(f"{name}, {score}" for score in ("msp", "entropy") for name in METRICS.values())], rows
    )


def calibration_text(study: Study) -> str:
    """Explain the tables of calibration."""
    held = study.facts["settings"]["held_rows"]
    return (
        f"At the temperature T that fits {held:,} held-out normal images best, for each model its own. RMS and MAD are "
        "calibration errors (lower is better), soft F1 rewards doubt where it is due (higher is better); on normal "
        "test images alone, and mixed with one outlier for five, which counts as wrong whatever is predicted. Percent."
    )


def calibration_table(study: Study, problem: str) -> str:
    """Both kinds of calibration."""
    names = {"rms": "RMS", "mad": "MAD", "soft_f1": "soft F1"}
    rows = []
    for setting in study.there(problem, (*MAIN, "energy", "hardest half", "confidence", "background")):
        temperature = np.mean([run["temperature"] for run in study.runs[problem, setting]])
        cells = [study.cell(problem, setting, calibrated(on, name)) for on in ("normal", "mixed") for name in names]
        rows.append([setting, f"{temperature:.2f}", *cells])
    return table(["", "T", *(f"{name}, {on}" for on in ("normal", "mixed") for name in names.values())], rows)


def auxiliary_text(study: Study) -> str:
    """Explain the study of auxiliary sets."""
    seeds = len(study.runs[STUDIED, "size 1000"])
    return (
        f"Fashion-MNIST, tuned with one auxiliary set after another; AUROC of the score {STUDIED_SCORE}, "
        f"{count(seeds, 'seed')}. Which images and classes are in a set is drawn anew for each seed. Left: so many "
        "images of CIFAR-100. Middle: one hundred images of CIFAR-100, of so many classes. Right and last in the "
        "table: one thousand images of each kind. MNIST is a sibling here and no test set."
    )


def points(study: Study, settings: dict[float, str], group: str) -> tuple[list[float], list[float], list[float]]:
    """Where a line goes: x, mean AUROC and its spread."""
    take = mean_of(STUDIED_SCORE, "auroc", GROUPS[group])
    there = {x: setting for x, setting in settings.items() if study.runs.get((STUDIED, setting))}
    values = [[take(run) for run in study.runs[STUDIED, setting]] for setting in there.values()]
    return list(there), [float(np.mean(v)) for v in values], [float(np.std(v)) for v in values]


@svg
def figure(study: Study) -> Any:
    """Draw size, variety and kind side by side."""
    drawn = new_figure(10.5, 3.2)
    axes, _ = panels_of(drawn, 3, 3, sharey=False)
    drawn.subplots_adjust(wspace=0.3)
    panels = (("images", sizes(study)), ("classes, 100 images", CLASSES))
    for axis, (label, settings) in zip(axes, panels, strict=False):
        for number, group in enumerate(GROUPS):
            x, y, spread = points(study, settings, group)
            axis.errorbar(x, y, spread, label=group, lw=1.5, **look(number))
            start = points(study, {0: "baseline"}, group)[1][0]
            axis.axhline(start, color=COLOURS[number], lw=0.8, ls=":")
        axis.set(xscale="log", xlabel=label, xlim=(min(settings) / 2, max(settings) * 2), ylim=(-0.03, 1.03))
        axis.grid(axis="y")
    axes[0].set_ylabel("AUROC (dotted: not exposed)")
    names = [name for name, setting in KINDS.items() if study.runs.get((STUDIED, setting))]
    for number, group in enumerate(GROUPS):
        settings = {float(place): KINDS[name] for place, name in enumerate(names)}
        x, y, spread = points(study, settings, group)
        shifted = [place + 0.12 * (number - 1.5) for place in x]
        axes[2].errorbar(y, shifted, xerr=spread, ls="", **look(number))
    axes[2].set(yticks=range(len(names)), xlim=(-0.03, 1.03), xlabel="AUROC")
    axes[2].set_yticklabels(names, color=INK, fontsize=8)
    axes[2].yaxis.tick_right()
    axes[2].invert_yaxis()
    axes[2].grid(axis="x")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncols=len(GROUPS), frameon=False)
    return drawn


def look(number: int) -> dict[str, Any]:
    """Colour and marker of a group; the first is hollow and large, to be seen below the second."""
    return {"color": COLOURS[number], "marker": MARKERS[number]} | (
        {"ms": 8, "fillstyle": "none"} if number == 0 else {"ms": 4}
    )


def auxiliary_table(study: Study) -> str:
    """AUROC by auxiliary set and group of sources."""
    settings = {"none": "baseline"}
    settings |= {f"{x:,.0f} images": name for x, name in sizes(study).items()}
    settings |= {f"100 images of {count(int(x), 'class').replace('classs', 'classes')}": v for x, v in CLASSES.items()}
    settings |= {f"1,000: {name}": setting for name, setting in KINDS.items() if name != "none"}
    every = [name for group in GROUPS.values() for name in group]
    rows = []
    for label, setting in settings.items():
        if study.runs.get((STUDIED, setting)):
            cells = [study.cell(STUDIED, setting, mean_of(STUDIED_SCORE, "auroc", g)) for g in GROUPS.values()]
            mean = study.cell(STUDIED, setting, mean_of(STUDIED_SCORE, "auroc", every))
            rows.append([label, study.cell(STUDIED, setting, accuracy), *cells, mean])
    return table(["auxiliary set", "accuracy", *GROUPS, "mean of sources"], rows)


def speed_text(speed: dict[str, Any]) -> str:
    """Explain the table of speed."""
    return (
        f"One CPU thread, batches of {speed['batch']} and as many outliers, float32; medians of {speed['repeats']} "
        'repeats in seconds of the processor, both sides taking turns. "Plain" is the same network in a loop written '
        "by hand, and called bare in evaluation mode on the same rows, in the best of three sizes of batches. A ratio "
        "above 1 is what the package costs: some half a millisecond a step, which only a tiny network feels. Measured "
        f"on {speed['date']} by `python benchmarks/exposure_speed.py`."
    )


def speed_table(speed: dict[str, Any]) -> str:
    """Ours and plain."""
    rows = [
        [
            f"`{row['network']}`, {row['what']}",
            f"{row['ours']:,g}",
            f"{row['plain']:,g}",
            row["unit"],
            f"{row['ratio']:.2f}",
        ]
        for row in speed["rows"]
    ]
    return table(["", "ours", "plain", "unit", "time, ours : plain"], rows)


def published_text() -> str:
    """Say what these numbers are not."""
    return (
        "Hendrycks et al. (2019) train WRN-40-2 on all 50,000 images of CIFAR-10 for 100 epochs, expose it to 80 "
        "million images, and report a mean FPR95 of 34.94 for the baseline, 9.50 tuned and 6.15 from scratch. That "
        "needs a GPU and images that are not to be had any more; nothing here is a reproduction of it. The script "
        "takes `--network wrn-40-2 --device cuda --optimizer sgd --augment` and numbers of epochs and rows, which "
        "trains that network on the images there are; it was not run."
    )


if __name__ == "__main__":
    measured = json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.exists() else None
    made = make(json.loads(RESULTS.read_text(encoding="utf-8")), measured, FINDINGS.read_text(encoding="utf-8"))
    PAGE.write_text(made.text, encoding="utf-8", newline="\n")
    for file, drawing in made.figures.items():
        (ROOT / "docs" / "images" / "benchmark" / file).write_text(drawing, encoding="utf-8", newline="\n")
    print(f"{PAGE.name} and {', '.join(made.figures)}")
