"""Write docs/benchmark/density.md and its pictures from the scores of ``density_outliers.py``: no number is typed.

Run ``python benchmarks/density_page.py`` after the benchmark. Needs the extra ``bench``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from expose.evaluation import OutlierResults, auroc, outlier_detection, over_seeds
from expose.evaluation.figures import score_distributions
from study_text import count, signed, table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "density.json"
PAGE = ROOT / "docs" / "benchmark" / "density.md"
PICTURES = {"images": "objective-pixelcnn.svg", "texts": "objective-language.svg"}
UNITS = {"images": "bits per dimension", "texts": "bits per word"}
LEVELS = {"images": 0.95, "texts": 0.9}  # of recall, as in the paper
STATES = ("before", "after")


class Made(NamedTuple):
    """The page and its figures."""

    text: str
    svgs: dict[str, str]


class Study:
    """The models of one study, one for each seed."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self.name, self.rows = name, facts["settings"]["rows"]
        self.runs = [run["scores"] for run in facts["runs"] if run["study"] == name]
        self.normal, *self.others = self.runs[0]["before"]["bits"]

    def judged(self, state: str, score: str) -> OutlierResults:
        """The 1:5 protocol over the sources, over all seeds."""
        every = [
            outlier_detection(run[state][score][self.normal], self.outliers(run[state][score]), level=LEVELS[self.name])
            for run in self.runs
        ]
        return over_seeds(every) if len(every) > 1 else every[0]

    def outliers(self, scores: dict[str, list[float]]) -> dict[str, list[float]]:
        """Scores of the sources that are not normal."""
        return {name: scores[name] for name in self.others}

    def bits(self, state: str, source: str) -> float:
        """Mean over rows and seeds."""
        return float(np.mean([np.mean(run[state]["bits"][source]) for run in self.runs]))


def make(facts: dict[str, Any]) -> Made:
    """Make the page in memory."""
    images, texts = Study("images", facts), Study("texts", facts)
    s, rows = facts["settings"], facts["settings"]["rows"]
    parts = [
        "# Densities and outlier exposure",
        "How well do bits tell what is normal, before and after a model has seen auxiliary outliers? The question, and "
        "the losses, are those of Hendrycks, Mazeika and Dietterich (ICLR 2019, section 4.4): a model is trained on "
        "normal rows, then goes on for a few epochs with outliers that are *not* those of the test.",
        f"Outliers are the positive class, one for five normal rows, so that chance has an average precision of 16.7; "
        f"{count(len(images.runs), 'trained seed')}, the spread is over them. FPR is the share of normal rows above "
        f"the score that finds 95 % of the outliers (images) or 90 % (texts), as in the paper. Finished on "
        f"{facts['finished']}, in {round(facts['seconds'] / 60)} minutes of one core. Generated from "
        "`benchmarks/results/density.json` by `python benchmarks/density_page.py`; remade by "
        "`python benchmarks/density_outliers.py --data-dir DIR`.",
        "## Images: Fashion-MNIST",
        f"[`pixelcnn`](../objectives/pixelcnn.md) with {s['models']['images']['width']} channels, "
        f"{s['images']['epochs']} epochs of {rows['train']:,} images, then {s['exposed']['epochs']} with as many grey "
        "natural images of ImageNet and CIFAR-100 (no image of CIFAR-10 is among them) and a margin of "
        f"{s['models']['images']['margin']:g} bit per dimension.",
        picture(images),
        bits_table(images),
        detection_table(images, ["bits"]),
        wrong_set(images),
        gain(images, "bits"),
        "The paper's own figures are of other data: PixelCNN++ on CIFAR-10, auxiliary 80 Million Tiny Images, mean over "
        "eight test sets: FPR 66.6 → 46.4, AUROC 65.8 → 83.7, average precision 39.9 → 66.0.",
        "## Texts: Penn Treebank",
        f"[`language`](../objectives/language.md) with a state of {s['models']['texts']['hidden']}, "
        f"{s['texts']['epochs']} epochs of the 3,370 sentences of the *validation* part (the training part is not at "
        f"hand), then {s['exposed']['epochs']} with sentences of WikiText-2; tested on the test part. All sources are "
        "brought into the same form: lower case, no punctuation, numbers as one word, words that the training part "
        "does not have at least twice as another, 5 to 24 words.",
        picture(texts),
        bits_table(texts),
        detection_table(texts, ["bits", "uniform"]),
        gain(texts, "bits"),
        gain(texts, "uniform"),
        "The paper's own figures are of other data: a larger model on the training part, auxiliary WikiText-2, mean over "
        "five genres of the English Web Treebank, by words: FPR 48.5 → 0.98, AUROC 81.2 → 99.2, average precision "
        "44.0 → 97.8.",
        "## Tables",
        "[`flow`](../objectives/flow.md) on half of the normal rows (at most 1,500), then a third of the epochs with "
        "the same rows, each column shuffled on its own, as outliers: rows whose columns are all usual and do not fit "
        "each other. AUROC of the anomalies against the other normal rows; one seed.",
        tables(facts),
    ]
    svgs = {PICTURES[study.name]: distributions(study) for study in (images, texts)}
    return Made("\n\n".join(part for part in parts if part) + "\n", svgs)


def picture(study: Study) -> str:
    """The figure, in Markdown."""
    return f"![{UNITS[study.name].capitalize()} by source, before and after](../images/{PICTURES[study.name]})"


def distributions(study: Study) -> str:
    """Histograms of the first seed's bits."""
    panels = {f"{state} outlier exposure": study.runs[0][state]["bits"] for state in STATES}
    svg: str = score_distributions(panels, label=UNITS[study.name])
    return svg


def bits_table(study: Study) -> str:
    """Mean bits of each source."""
    rows = [
        [f"*{name}*" if name == study.normal else name, *(f"{study.bits(state, name):.2f}" for state in STATES)]
        for name in (study.normal, *study.others)
    ]
    return table([f"mean {UNITS[study.name]}", *STATES], rows)


def detection_table(study: Study, scores: Sequence[str]) -> str:
    """FPR, AUROC and average precision of each source, before and after, by one or two scores."""
    columns = [("before", "bits"), *(("after", score) for score in scores)]
    judged = {column: study.judged(*column) for column in columns}
    names = {column: column[0] if len(scores) == 1 else " ".join(column) for column in columns}
    metrics = {
        "fpr_at_tpr": f"FPR at {100 * LEVELS[study.name]:g}",
        "auroc": "AUROC",
        "average_precision": "average precision",
    }
    parts = []
    for metric, title in metrics.items():
        best = min if metric == "fpr_at_tpr" else max
        rows = []
        for source in (*study.others, "mean"):
            found = [
                (result.mean if source == "mean" else result.sources[source].measured) for result in judged.values()
            ]
            top = best(round(100 * one.mean[metric], 1) for one in found)
            rows.append([f"*{source}*" if source == "mean" else source, *(cell(one, metric, top) for one in found)])
        parts.append(table([title, *names.values()], rows))
    return "\n\n".join(parts)


def cell(measured: Any, metric: str, top: float) -> str:
    """Percent with the spread over seeds, the best of a row bold."""
    mean, std = 100 * measured.mean[metric], 100 * measured.seed_std.get(metric, float("nan"))
    text = f"**{mean:.1f}**" if round(mean, 1) == top else f"{mean:.1f}"
    return text + ("" if np.isnan(std) else f" ± {std:.1f}")


def wrong_set(study: Study) -> str:
    """Say which sources a model trained on normal rows alone finds more normal than the normal rows."""
    cheaper = [name for name in study.others if study.bits("before", name) < study.bits("before", study.normal)]
    before, after = (study.judged(state, "bits") for state in STATES)
    if not cheaper:
        return "No other source costs fewer bits than the normal images before outlier exposure."
    said = []
    for name in cheaper:
        first, then = (100 * one.sources[name].measured.mean["auroc"] for one in (before, after))
        bits = f"{study.bits('before', name):.2f} instead of {study.bits('before', study.normal):.2f} bits"
        said.append(f"{name} costs {bits}: AUROC {first:.1f}, and {then:.1f} after outlier exposure")
    return "**Likelihood prefers the wrong set.** Trained on normal images alone, " + "; ".join(said) + "."


def gain(study: Study, score: str) -> str:
    """Say what changed in the mean, where it got worse, and what it costs the normal rows."""
    before, after = study.judged("before", "bits"), study.judged("after", score)
    change = 100 * (after.mean.mean["auroc"] - before.mean.mean["auroc"])
    worse = [
        name
        for name in study.others
        if after.sources[name].measured.mean["auroc"] < before.sources[name].measured.mean["auroc"] - 0.01
    ]
    lost = f"It is more than a point worse on {', '.join(worse)}. " if worse else "No source is more than a point worse. "
    by = "" if score == "bits" else ", judged by how little it expects (`score_by=\"uniform\"`)"
    cost = study.bits("after", study.normal) - study.bits("before", study.normal)
    paid = f"Normal rows cost {signed(cost, 2)} {UNITS[study.name]}." if score == "bits" else ""
    return f"With outliers{by}, the mean AUROC changes by {signed(change, 1)} points. {lost}{paid}".strip()


def tables(facts: dict[str, Any]) -> str:
    """AUROC of the flows."""
    rows, gains = [], []
    for run in facts["runs"]:
        if run["study"] not in PICTURES:
            found = [run["scores"][state]["bits"] for state in STATES]
            y = np.repeat([0, 1], [len(found[0]["normal"]), len(found[0]["anomalies"])])
            reached = [100 * auroc(y, one["normal"] + one["anomalies"]) for one in found]
            gains.append(reached[1] - reached[0])
            rows.append([run["study"], *(f"**{r:.1f}**" if r == max(reached) else f"{r:.1f}" for r in reached)])
    better = sum(step > 0 for step in gains)
    verdict = f"Better on {better} of {count(len(gains), 'table')}; in the mean {signed(np.mean(gains), 1)} points."
    return table(["table", *STATES], rows) + "\n\n" + verdict


if __name__ == "__main__":
    made = make(json.loads(RESULTS.read_text(encoding="utf-8")))
    PAGE.write_text(made.text, encoding="utf-8", newline="\n")
    for name, svg in made.svgs.items():
        (ROOT / "docs" / "images" / name).write_text(svg, encoding="utf-8", newline="\n")
    print(PAGE.name, *made.svgs)
