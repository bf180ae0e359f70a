"""Write docs/benchmark/text.md from the results of ``text_outliers.py``: no number on it is typed.

Run ``python benchmarks/text_outliers_page.py`` after the benchmark. Published numbers stand in
``benchmarks/published_oe_text.json``; what is to be said about the numbers stands in
``docs/benchmark/findings/text.md`` and is taken over as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from study_text import count, table
from text_outliers import (
    AUXILIARY_FOR,
    BASELINE,
    EXPOSED,
    FEWEST_WORDS,
    HELD_OUT,
    IN_PAPER,
    MOST_TESTED,
    MOST_TOKENS,
    TESTED,
    VARIANTS,
)

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "text_outliers.json"
PUBLISHED = ROOT / "benchmarks" / "published_oe_text.json"
PAGE, FINDINGS = ROOT / "docs" / "benchmark" / "text.md", ROOT / "docs" / "benchmark" / "findings" / "text.md"
METRICS = {"fpr_at_tpr": "FPR90", "auroc": "AUROC", "average_precision": "AUPR"}
CALIBRATION = {"rms": "RMS", "mad": "MAD", "soft_f1": "soft F1"}
NAMES = {
    "20ng": "20 Newsgroups",
    "trec": "TREC",
    "sst": "SST",
    "imdb": "IMDB",
    "multi30k": "Multi30k",
    "wmt16": "WMT16",
    "mr": "movie reviews",
    "ptb": "Penn Treebank",
}
BEFORE, AFTER, AFTER_ENTROPY = ("before", "msp"), ("after", "msp"), ("after", "entropy")
WAYS = {BEFORE: "before, MSP", AFTER: "after, MSP", AFTER_ENTROPY: "after, -H(U; p)"}
Run = dict[str, Any]


class Study:
    """The runs, sorted."""

    def __init__(self, facts: dict[str, Any], published: dict[str, Any]) -> None:
        self.facts = facts
        self.published = published
        self.main = {name: [run for run in self.of("main") if run["dataset"] == name] for name in TESTED}
        self.main = {name: runs for name, runs in self.main.items() if runs}

    def of(self, kind: str) -> list[Run]:
        """Runs of a kind."""
        return [run for run in self.facts["runs"] if run["run"] == kind]

    def like(self, kind: str, standard: str) -> dict[tuple[str, str], list[Run]]:
        """Runs of a kind by data set and what was tried; the standard is what the main runs of the same seeds gave."""
        found: dict[tuple[str, str], list[Run]] = {}
        for run in self.of(kind):
            found.setdefault((run["dataset"], run["what"]), []).append(run)
        for name in sorted({name for name, _ in found}):
            found.setdefault((name, standard), [run["after"] | {"seed": run["seed"]} for run in self.main[name]])
        return found

    def printed(self, name: str, sources: Iterable[str], metric: str) -> list[float]:
        """Published means over some sources, before and after."""
        rows = [self.published["rows"][name][source][metric] for source in sources]
        return [float(mean) for mean in np.mean(rows, axis=0)]


def detection(judged: Run, score: str, sources: Sequence[str], metric: str) -> float:
    """Mean of a metric over sources, in percent, of one trained model."""
    values = {record["source"]: record[metric] for record in judged["detection"] if record["score"] == score}
    return 100 * float(np.mean([values[source] for source in sources]))


def calibration(judged: Run, sources: Sequence[str], metric: str) -> float:
    """The same of calibration."""
    values = {record["source"]: record[metric] for record in judged["calibration"]["records"]}
    return 100 * float(np.mean([values[source] for source in sources]))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def arrow(pair: Sequence[float]) -> str:
    """Published numbers before and after."""
    return f"{pair[0]:.1f} → {pair[1]:.1f}"


def over_seeds(runs: Sequence[Run], value: Callable[[Run], float]) -> str:
    """A value of each run, as mean and spread."""
    return spread([value(run) for run in runs])


# ---------------------------------------------------------------------------------------------------------- sections


def make(facts: dict[str, Any], published: dict[str, Any]) -> str:
    """The page."""
    study = Study(facts, published)
    parts = [
        "# Text: classes and outliers",
        intro(study),
        FINDINGS.read_text(encoding="utf-8").strip("\n") if FINDINGS.exists() else "",
        "## Means",
        "Over the sources that the paper has too and that are here, ours beside the published rows of exactly these, "
        "and over all that are here. Published is the score MSP.",
        means_table(study),
        goals(study),
        "## Source by source",
        "Percent; *published* is before → after. Sources without published numbers are ours alone.",
        *(part for name in study.main for part in (f"### {NAMES[name]}", sources_table(study, name))),
        "## What it costs the classes",
        "Share of the test rows taken for a wrong class, in percent.",
        errors_table(study),
        "## Calibration",
        "In percent, at the temperature that held-out normal rows like best, fitted before and after apart. *Normal* "
        "is the test rows alone; *mixed* has one outlier for five of them, each of which counts as wrong, as a mean "
        "over all sources. RMS and MAD are better low, soft F1 high. The paper has no such numbers for text.",
        calibration_table(study),
        *auxiliary_section(study),
        *variants_section(study),
        "## Texts",
        data_text(study),
        overlap_table(study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def intro(study: Study) -> str:
    """What was run and how the page is remade."""
    runs = study.facts["runs"]
    seeds = {name: len(found) for name, found in study.main.items()}
    told = ", ".join(f"{NAMES[name]} {count(number, 'seed')}" for name, number in seeds.items())
    minutes = sum(run["cpu_seconds"] for run in runs) / 60
    return (
        "`OutlierExposureClassifier` with the settings of Hendrycks, Mazeika, Dietterich 2019, section 4.3: gated "
        f"recurrent units, two layers of 128, words as 50 numbers, Adam, {BASELINE['epochs']} epochs from a rate of "
        f"{BASELINE['learning_rate']} along a cosine, {BASELINE['batch_size']} rows a step; then {EXPOSED['epochs']} "
        f"more epochs with as many auxiliary outliers a step, λ = 1. Auxiliary: the {study.facts['outliers']:,} "
        f"sentences of at least {FEWEST_WORDS} words in the *validation and test parts* of WikiText-2; the paper took "
        "the training part, which is larger and not here. FPR90 is the share of normal test rows "
        "above the score that 90 % of the outliers reach; outliers are one for five normal rows, a mean over 10 "
        f"draws; ± is over trained models ({told}). Finished on {study.facts['finished']}, in "
        f"{minutes:.0f} minutes of one core. Generated from `benchmarks/results/text_outliers.json` by "
        "`python benchmarks/text_outliers_page.py`; remade by `python benchmarks/text_outliers.py --data-dir DIR`."
    )


def means_table(study: Study) -> str:
    """Ours and the published means, before and after."""
    rows = []
    for name, runs in study.main.items():
        for label, sources in (("same sources", IN_PAPER), ("all sources here", TESTED[name])):
            if label == "same sources":
                columns = [study.printed(name, sources, metric) for metric in METRICS]
                rows += [
                    [f"{NAMES[name]}, {label}", f"published, {when}", *(f"{column[i]:.1f}" for column in columns)]
                    for i, when in enumerate(("before", "after"))
                ]
            for (when, score), way in WAYS.items():
                cells = [
                    over_seeds(runs, lambda run, m=metric, w=when, s=score, of=sources: detection(run[w], s, of, m))
                    for metric in METRICS
                ]
                rows.append([f"{NAMES[name]}, {label}", way, *cells])
        printed = study.published["mean"][name]
        rows.append(
            [f"{NAMES[name]}, all ten of the paper", "published", *(arrow(printed[metric]) for metric in METRICS)]
        )
    return table(["tested on", "", *METRICS.values()], rows)


def goals(study: Study) -> str:
    """Whether the published FPR90 after exposure is reached on the same sources."""
    said = []
    for name, runs in study.main.items():
        theirs = study.printed(name, IN_PAPER, "fpr_at_tpr")
        ours = [np.mean([detection(run[w], s, IN_PAPER, "fpr_at_tpr") for run in runs]) for w, s in (BEFORE, AFTER)]
        reached = "reached" if ours[1] <= theirs[1] else "not reached"
        cut, their_cut = (1 - after / before for before, after in (ours, theirs))
        said.append(
            f"- {NAMES[name]}: FPR90 {arrow(theirs)} published, {arrow(ours)} here: the published level is "
            f"**{reached}**; exposure takes away {100 * cut:.0f} % of it, published {100 * their_cut:.0f} %."
        )
    return "\n".join(said)


def sources_table(study: Study, name: str) -> str:
    """All sources of one data set."""
    rows = []
    for source in TESTED[name]:
        known = study.published["rows"][name].get(source)
        cells = [NAMES[source]]
        for metric in METRICS:
            cells.append(arrow(known[metric]) if known else "")
            cells += [
                over_seeds(study.main[name], lambda run, w=w, s=s, m=metric, of=source: detection(run[w], s, [of], m))
                for w, s in WAYS
            ]
        rows.append(cells)
    header = ["source"]
    for title in METRICS.values():
        header += [f"{title} published", *(f"{title} {way}" for way in WAYS.values())]
    per_metric = len(WAYS) + 1
    return "\n\n".join(
        table(
            ["source", *(text.removeprefix(f"{title} ") for text in header[1 + i * per_metric :][:per_metric])],
            [[row[0], *row[1 + i * per_metric :][:per_metric]] for row in rows],
        ).replace("| source |", f"| {title} |", 1)
        for i, title in enumerate(METRICS.values())
    )


def errors_table(study: Study) -> str:
    """Error of the classes before and after."""
    rows = [
        [
            NAMES[name],
            str(runs[0]["classes"]),
            *(over_seeds(runs, lambda run, w=when: 100 * run[w]["error"]) for when in ("before", "after")),
        ]
        for name, runs in study.main.items()
    ]
    return table(["data set", "classes", "before", "after"], rows)


def calibration_table(study: Study) -> str:
    """Calibration before and after, normal and mixed."""
    rows = []
    for name, runs in study.main.items():
        for when in ("before", "after"):
            cells = [
                over_seeds(runs, lambda run, w=when, m=metric, of=sources: calibration(run[w], of, m))
                for sources in (["normal only"], TESTED[name])
                for metric in CALIBRATION
            ]
            warm = np.mean([run[when]["calibration"]["temperature"] for run in runs])
            rows.append([NAMES[name], when, f"{warm:.2f}", *cells])
    heads = [f"{part} {title}" for part in ("normal", "mixed") for title in CALIBRATION.values()]
    return table(["data set", "", "temperature", *heads], rows)


def tried_rows(tried: dict[str, list[Run]], sources: Sequence[str]) -> Iterable[list[str]]:
    """For each thing tried the mean over sources, both scores, and the error."""
    for what, runs in tried.items():
        cells = [
            over_seeds(runs, lambda run, s=score, m=metric: detection(run, s, sources, m))
            for score, metric in (("msp", "fpr_at_tpr"), ("entropy", "fpr_at_tpr"), ("entropy", "auroc"))
        ]
        yield [what, str(len(runs)), *cells, over_seeds(runs, lambda run: 100 * run["error"])]


def auxiliary_section(study: Study) -> list[str]:
    """Which auxiliary set helps."""
    found = {what: runs for (_, what), runs in study.like("auxiliary", "").items() if what}
    if not found:
        return []
    sources = [
        source
        for source in TESTED[AUXILIARY_FOR]
        if source in {r["source"] for r in next(iter(found.values()))[0]["detection"]}
    ]
    seeds = {run["seed"] for runs in found.values() for run in runs}
    before = [run["before"] for run in study.main[AUXILIARY_FOR] if run["seed"] in seeds]
    sizes = {what: round(np.mean([run["outliers"] for run in runs])) for what, runs in found.items()}
    rows = list(tried_rows({"none: before exposure": before} | found, sources))
    for row in rows:
        row.insert(1, f"{sizes[row[0]]:,}" if row[0] in sizes else "0")
    return [
        "## Which auxiliary set helps",
        f"{NAMES[AUXILIARY_FOR]}, the same training with other auxiliary outliers; means over "
        f"{', '.join(NAMES[source] for source in sources)}.",
        table(["auxiliary outliers", "texts", "seeds", "FPR90 MSP", "FPR90 -H(U; p)", "AUROC -H(U; p)", "error"], rows),
    ]


def variants_section(study: Study) -> list[str]:
    """Other ways of exposing."""
    standard = next(iter(VARIANTS))
    found = study.like("variant", standard)
    if not found:
        return []
    parts = [
        "## Other ways of exposing",
        "Means over the sources the paper has too; *from scratch* meets outliers from the start.",
    ]
    for name in dict.fromkeys(name for name, _ in found):
        tried = {what: found[name, what] for what in VARIANTS if (name, what) in found}
        rows = list(tried_rows(tried, IN_PAPER))
        parts.append(table([NAMES[name], "seeds", "FPR90 MSP", "FPR90 -H(U; p)", "AUROC -H(U; p)", "error"], rows))
    return parts


def data_text(study: Study) -> str:
    """How the texts were treated."""
    sizes = "; ".join(
        f"{NAMES[name]} {runs[0]['rows']['train']:,} training, {runs[0]['rows']['held_out']:,} held-out and "
        f"{runs[0]['rows']['test']:,} test rows of at most {runs[0]['tokens']} tokens"
        for name, runs in study.main.items()
    )
    return (
        f"{sizes}. Classes of TREC are the fine ones; SST is positive against negative, without its neutral rows; "
        f"20 Newsgroups is split by date, without headers. The temperature is fitted on SST's development part, "
        f"elsewhere on {100 * HELD_OUT:.0f} % of the training rows, set apart. One encoder, fitted on the training "
        f"rows, treats all sources alike: lower case, words and signs as tokens, at most 10,000 of them known, texts "
        f"cut after {MOST_TOKENS} tokens or where the encoder cuts. Escapes of files are undone before: entities and "
        f"line breaks of HTML, the signs WikiText has in place of hyphens and in numbers; a word that a source has "
        f"crossed out is one that no vocabulary knows. Of each source at most {MOST_TESTED:,} texts are tested, drawn "
        "once. Movie reviews (Pang and Lee) and the sentences of SST are from the same pages, so they are not tested "
        "against each other. IMDB is close to SST too; it stays, since the paper has it. Of the paper's ten sources "
        "SNLI, Yelp and the five of the English Web Treebank are not here."
    )


def overlap_table(study: Study) -> str:
    """What the auxiliary outliers share with others."""
    rows = [
        [NAMES[row["source"]], f"{row['texts']:,}", str(row["equal"]), str(row["near"])]
        for row in study.facts["overlap"]
    ]
    found = [f'"{text}"' for row in study.facts["overlap"] for text in row["examples"]]
    said = f" Equal: {', '.join(found)}." if found else ""
    return (
        "Auxiliary outliers that are, or nearly are (four fifths of their series of three words), texts of other sets, "
        f"by `expose.outliers.check_overlap`:\n\n{table(['set', 'texts', 'equal', 'nearly equal'], rows)}"
        + (f"\n\n{said.strip()}" if said else "")
    )


if __name__ == "__main__":
    facts, published = (json.loads(path.read_text(encoding="utf-8")) for path in (RESULTS, PUBLISHED))
    PAGE.write_text(make(facts, published), encoding="utf-8", newline="\n")
    print(PAGE.name)
