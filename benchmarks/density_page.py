"""Write docs/benchmark/density.md and its pictures from the scores of ``density_outliers.py``: no number is typed.

Run ``python benchmarks/density_page.py`` after the benchmark. Needs the extra ``bench``.
"""

from __future__ import annotations

import json
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
COLUMNS = {  # heading: which model, judged by which score
    "images": {"before": ("before", "bits"), "natural": ("natural", "bits"), "silhouettes": ("silhouettes", "bits")},
    "texts": {
        "before": ("before", "bits"),
        "after": ("WikiText-2", "bits"),
        "before, uniform": ("before", "uniform"),
        "after, uniform": ("WikiText-2", "uniform"),
    },
}
PUBLISHED = {  # tables 5 and 6 of the paper: means over its test sets, before and after
    "images": ("PixelCNN++ on CIFAR-10, auxiliary 80 Million Tiny Images", (66.6, 46.4), (65.8, 83.7), (39.9, 66.0)),
    "texts": ("words of the Penn Treebank, auxiliary WikiText-2", (48.5, 0.98), (81.2, 99.2), (44.0, 97.8)),
}
METRICS = {"fpr_at_tpr": "FPR at {:g}", "auroc": "AUROC", "average_precision": "average precision"}


class Made(NamedTuple):
    """The page and its figures."""

    text: str
    svgs: dict[str, str]


class Study:
    """The models of one study, one for each seed."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self.name = name
        self.runs = [run["scores"] for run in facts["runs"] if run["study"] == name]
        self.overlap = next(run["overlap"] for run in facts["runs"] if run["study"] == name)
        self.normal, *self.others = self.runs[0]["before"]["bits"]
        self.states = list(self.runs[0])

    def judged(self, column: str) -> OutlierResults:
        """The 1:5 protocol over the sources that are not normal, over all seeds."""
        state, score = COLUMNS[self.name][column]
        level = LEVELS[self.name]
        every = []
        for run in self.runs:
            others = {name: run[state][score][name] for name in self.others}
            every.append(outlier_detection(run[state][score][self.normal], others, level=level))
        return over_seeds(every) if len(every) > 1 else every[0]

    def reached(self, column: str, source: str, metric: str = "auroc") -> float:
        """Percent, mean over seeds; of the mean over sources or of one."""
        result = self.judged(column)
        measured = result.mean if source == "mean" else result.sources[source].measured
        return 100 * measured.mean[metric]

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
        "Outliers are the positive class, one for five normal rows, so that chance has an average precision of 16.7; "
        f"{count(len(images.runs), 'trained seed')}, the spread is over them. FPR is the share of normal rows above "
        "the score that finds 95 % of the outliers (images) or 90 % (texts), as in the paper. Finished on "
        f"{facts['finished']}, in {round(sum(run['seconds'] for run in facts['runs']) / 60)} minutes of one "
        "core. Generated from `benchmarks/results/density.json` by `python benchmarks/density_page.py`; remade by "
        "`python benchmarks/density_outliers.py --data-dir DIR`.",
        "## Images: Fashion-MNIST",
        f"[`pixelcnn`](../objectives/pixelcnn.md) with {s['models']['images']['width']} channels, images at 14 x 14 "
        f"pixels, {s['images']['epochs']} epochs of {rows['train']:,}, then {s['exposed']['images']['epochs']} "
        f"with outliers and a margin of {s['models']['images']['margin']:g} bit per dimension. Outliers are "
        f"{rows['outliers']:,} images of ImageNet and CIFAR-100 in grey: *natural*, as they are, or *silhouettes*, "
        "what is brighter than a random share of the pixels, at a random contrast, on black. "
        f"{overlapping(images)}",
        picture(images),
        bits_table(images),
        *detection_tables(images),
        wrong_set(images),
        *(gain(images, "before", column) for column in ("natural", "silhouettes")),
        reason(images, s["models"]["images"]["margin"]),
        "The silhouettes were made, and their contrast and the number of epochs settled, after natural images and "
        "silhouettes of less contrast had taught little about MNIST: no outlier of the test was trained on, but this "
        "choice has seen its scores. The other sources had no part in it.",
        published("images"),
        "## Texts: Penn Treebank",
        f"[`language`](../objectives/language.md) with a state of {s['models']['texts']['hidden']}, "
        f"{s['texts']['epochs']} epochs of the sentences of the *validation* part (the training part is not at "
        f"hand), then {s['exposed']['texts']['epochs']} with sentences of WikiText-2; tested on the test part. All "
        "sources are brought into the same form: lower case, no punctuation, numbers as one word, words that the "
        'training part does not have at least twice as another, 5 to 20 words. *Uniform* is `score_by="uniform"`: '
        f"how little the model expects. {overlapping(texts)}",
        picture(texts),
        bits_table(texts),
        *detection_tables(texts),
        wrong_set(texts),
        gain(texts, "before", "after"),
        gain(texts, "before, uniform", "after, uniform"),
        published("texts"),
        "## Tables",
        "[`flow`](../objectives/flow.md) on half of the normal rows (at most 1,500), then a third of the epochs with "
        "the same rows, each column shuffled on its own, as outliers: rows whose columns are all usual and do not fit "
        "each other. AUROC of the anomalies against the other normal rows; one seed.",
        tables(facts),
    ]
    svgs = {PICTURES[study.name]: distributions(study) for study in (images, texts)}
    return Made("\n\n".join(part for part in parts if part) + "\n", svgs)


def published(study: str) -> str:
    """The paper's own figures."""
    what, *pairs = PUBLISHED[study]
    titles = [title.format(100 * LEVELS[study]) for title in METRICS.values()]
    said = ", ".join(f"{title} {pair[0]} → {pair[1]}" for title, pair in zip(titles, pairs, strict=True))
    return f"The paper's own figures are of larger models and other test sets ({what}): {said}."


def reason(study: Study, margin: float) -> str:
    """Say why outliers that are dear already teach nothing, if these were."""
    more = study.bits("before", "CIFAR-10") - study.bits("before", study.normal)
    if more <= margin:
        return ""
    return (
        f"Before it has seen any, the model charges images like the natural ones (CIFAR-10) {more:.2f} bits more than "
        f"normal ones, where the margin asks for {margin:g}: their loss is zero, and teaches nothing. A margin ranking "
        "loss learns from outliers that are about as cheap as normal rows."
    )


def overlapping(study: Study) -> str:
    """Say how many auxiliary outliers were rows of the test."""
    found = ", ".join(f"{number} of {name}" for name, number in study.overlap.items())
    return f"Left out, because a test row equals or nearly equals them (`check_overlap`): {found}."


def picture(study: Study) -> str:
    """The figure, in Markdown."""
    return f"![{UNITS[study.name].capitalize()} by source, before and after](../images/{PICTURES[study.name]})"


def distributions(study: Study) -> str:
    """Histograms of the first seed's bits."""
    panels = {
        state if state == "before" else f"exposed to {state}": study.runs[0][state]["bits"] for state in study.states
    }
    svg: str = score_distributions(panels, label=UNITS[study.name])
    return svg


def bits_table(study: Study) -> str:
    """Mean bits of each source."""
    rows = [
        [f"*{name}*" if name == study.normal else name, *(f"{study.bits(state, name):.2f}" for state in study.states)]
        for name in (study.normal, *study.others)
    ]
    return table([f"mean {UNITS[study.name]}", *study.states], rows)


def detection_tables(study: Study) -> list[str]:
    """FPR, AUROC and average precision of each source, for each model and score."""
    judged = {column: study.judged(column) for column in COLUMNS[study.name]}
    parts = []
    for metric, title in METRICS.items():
        best = min if metric == "fpr_at_tpr" else max
        rows = []
        for source in (*study.others, "mean"):
            found = [one.mean if source == "mean" else one.sources[source].measured for one in judged.values()]
            top = best(round(100 * one.mean[metric], 1) for one in found)
            rows.append([f"*{source}*" if source == "mean" else source, *(cell(one, metric, top) for one in found)])
        parts.append(table([title.format(100 * LEVELS[study.name]), *judged], rows))
    return parts


def cell(measured: Any, metric: str, top: float) -> str:
    """Percent with the spread over seeds, the best of a row bold."""
    mean, std = 100 * measured.mean[metric], 100 * measured.seed_std.get(metric, float("nan"))
    text = f"**{mean:.1f}**" if round(mean, 1) == top else f"{mean:.1f}"
    return text + ("" if np.isnan(std) else f" ± {std:.1f}")


def wrong_set(study: Study) -> str:
    """Say which sources a model trained on normal rows alone finds more normal than the normal rows."""
    own = study.bits("before", study.normal)
    cheaper = {name: study.bits("before", name) for name in study.others if study.bits("before", name) < own}
    if not cheaper:
        return "No other source costs fewer bits than the normal rows before outlier exposure."
    said = "; ".join(f"{name} {bits:.2f} (AUROC {study.reached('before', name):.1f})" for name, bits in cheaper.items())
    return (
        f"**Likelihood prefers the wrong set.** Trained on normal rows alone, the model charges those of the test "
        f"{own:.2f} {UNITS[study.name]}, and less for {count(len(cheaper), 'source')} of others: {said}."
    )


def gain(study: Study, first: str, then: str) -> str:
    """Say what outliers changed in the mean, where it got worse, and what it costs the normal rows."""
    change = {source: study.reached(then, source) - study.reached(first, source) for source in (*study.others, "mean")}
    worse = [name for name in study.others if change[name] < -1]
    lost = f"more than a point on {', '.join(worse)}" if worse else "no more than a point on any"
    states = [COLUMNS[study.name][column][0] for column in (first, then)]
    cost = study.bits(states[1], study.normal) - study.bits(states[0], study.normal)
    return (
        f"*{then.capitalize()}*: the mean AUROC changes by {signed(change['mean'], 1)} points, from "
        f"{study.reached(first, 'mean'):.1f} to {study.reached(then, 'mean'):.1f}. It falls by {lost}. "
        f"The normal rows of the test cost {signed(cost, 2)} {UNITS[study.name]} by it."
    )


def tables(facts: dict[str, Any]) -> str:
    """AUROC of the flows."""
    rows, gains = [], []
    for run in facts["runs"]:
        if run["study"] not in PICTURES:
            found = [run["scores"][state]["bits"] for state in ("before", "shuffled")]
            y = np.repeat([0, 1], [len(found[0]["normal"]), len(found[0]["anomalies"])])
            reached = [100 * auroc(y, one["normal"] + one["anomalies"]) for one in found]
            gains.append(reached[1] - reached[0])
            rows.append([run["study"], *(f"**{r:.1f}**" if r == max(reached) else f"{r:.1f}" for r in reached)])
    better = sum(step > 0.1 for step in gains)
    said = f"More than a tenth of a point better on {better} of {count(len(gains), 'table')}"
    verdict = f"{said}; in the mean {signed(np.mean(gains), 1)} points."
    return table(["table", "before", "after"], rows) + "\n\n" + verdict


if __name__ == "__main__":
    made = make(json.loads(RESULTS.read_text(encoding="utf-8")))
    PAGE.write_text(made.text, encoding="utf-8", newline="\n")
    for name, svg in made.svgs.items():
        (ROOT / "docs" / "images" / name).write_text(svg, encoding="utf-8", newline="\n")
    print(PAGE.name, *made.svgs)
