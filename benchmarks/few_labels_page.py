"""Write docs/few-labels.md and its figure from the results of ``label_budget.py``: no number on it is typed.

Run ``python benchmarks/few_labels_page.py`` after the benchmark. What is explained about the method stands in
``docs/few-labels-method.md`` and is taken over as it is. Needs the extra ``bench``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from expose.evaluation.figures import Curve, curves
from study_text import count, percent, signed, table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "label_budget.json"
PAGE, METHOD = ROOT / "docs" / "few-labels.md", ROOT / "docs" / "few-labels-method.md"
PICTURE = "few-labels.svg"
METRICS = {"auroc": "AUROC", "average_precision": "average precision"}
OURS, CLEAN = "query", "clean"


class Made(NamedTuple):
    """The page and its figure."""

    text: str
    svg: str


class Study:
    """The runs, as means over seeds in percent."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        values: dict[tuple[str, str, int, str], list[float]] = defaultdict(list)
        for run in facts["runs"]:
            measured = run | {"error": abs(run["assumed_ratio"] - run["reached_ratio"])}
            for metric in (*METRICS, "error", "anomalies"):
                unit = 1 if metric == "anomalies" else 100
                values[metric, run["way"], run["labels"], run["dataset"]].append(unit * measured[metric])
        self.values = {key: float(np.mean(found)) for key, found in values.items()}
        self.sets = sorted({key[3] for key in self.values})
        self.budgets = sorted({key[2] for key in self.values})
        self.ways = [way for way in dict.fromkeys(run["way"] for run in facts["runs"]) if way != CLEAN]
        self.seeds = sorted({run["seed"] for run in facts["runs"]})

    def per_set(self, metric: str, way: str, budget: int) -> list[float]:
        """One mean over the seeds for each data set."""
        return [self.values[metric, way, budget, name] for name in self.sets]

    def mean(self, metric: str, way: str, budget: int) -> float:
        """Mean over data sets."""
        return float(np.mean(self.per_set(metric, way, budget)))


def make(facts: dict[str, Any]) -> Made:
    """Make the page in memory."""
    study = Study(facts)
    parts = [
        METHOD.read_text(encoding="utf-8").strip("\n"),
        "## What it is worth",
        f"Protocol `disjoint` (see [How good is it?](evaluation.md#protocols)): training rows hold "
        f"{percent(facts['ratio'])} of anomalies, or as many as there are; {count(len(study.sets), 'data set')}, "
        f"{count(len(study.seeds), 'seed')}, at most {facts['train_rows']:,} training and {facts['test_rows']:,} test "
        "normals. Labels are of training rows only, given in rounds; each round fits `AnomalyDetector()` with nothing "
        f"set. Finished on {facts['finished']}, in {round(facts['seconds'] / 60)} minutes on one core. Generated "
        "from `benchmarks/results/label_budget.json` by `python benchmarks/few_labels_page.py`; remade by "
        "`python benchmarks/label_budget.py --data-dir DIR`.",
        f"![AUROC and average precision over the number of labels](images/{PICTURE})",
        *(part for metric in METRICS for part in (f"### {METRICS[metric]}", budget_table(study, metric))),
        verdict(study),
        "### Share of anomalies",
        "Mean absolute error of `contamination_`, in points.",
        budget_table(study, "error", clean=False, best=min),
        "### Set by set",
        f"AUROC without labels, with {', '.join(str(b) for b in study.budgets[1:])} labels (`query`), and of the "
        "detector trained on the normal rows alone; in brackets how many of the labelled rows were anomalies.",
        sets_table(study),
    ]
    return Made("\n\n".join(parts) + "\n", figure(study))


def budget_table(study: Study, metric: str, *, clean: bool = True, best: Any = max) -> str:
    """Ways by budgets, the best of each column bold."""
    found = {way: [study.mean(metric, way, budget) for budget in study.budgets] for way in study.ways}
    top = [best(column) for column in zip(*found.values(), strict=True)]
    rows = []
    for way, means in found.items():
        cells = [
            f"**{mean:.1f}**" if mean == highest and budget else f"{mean:.1f}"
            for mean, highest, budget in zip(means, top, study.budgets, strict=True)
        ]
        rows.append([f"`{way}`" if way == OURS else way, *cells])
    if clean:
        mean = study.mean(metric, CLEAN, 0)
        rows.append(["*trained on the normal rows alone*", f"{mean:.1f}", *[""] * (len(study.budgets) - 1)])
    return table(["labels", *map(str, study.budgets)], rows)


def verdict(study: Study) -> str:
    """Say what is reached and what is not."""
    clean = study.mean("auroc", CLEAN, 0)
    ours = {budget: study.mean("auroc", OURS, budget) for budget in study.budgets}
    reached = [budget for budget, mean in ours.items() if mean >= clean]
    middle = 20 if 20 in ours else study.budgets[-1]
    change = np.subtract(study.per_set("auroc", OURS, middle), study.per_set("auroc", OURS, 0))
    below = [name for name, step in zip(study.sets, change, strict=True) if step < -1]
    order = np.argsort(-change)[:4]
    most, share = [study.sets[place] for place in order], float(change[order].sum() / len(change))
    gap = np.subtract(study.per_set("auroc", CLEAN, 0), study.per_set("auroc", OURS, middle))
    missed = [name for name, lack in zip(study.sets, gap, strict=True) if lack > 2]
    first = (
        f"With {reached[0]} labels the mean AUROC reaches that of the detector trained on the normal rows alone."
        if reached
        else "No budget reaches the mean AUROC of the detector trained on the normal rows alone."
    )
    below_text, missed_text = count(len(below), "data set"), count(len(missed), "data set")
    return (
        f"{first} {middle} labels gain {signed(ours[middle] - ours[0], 1)} points in the mean, and lose more than one "
        f"point on {below_text}{listed(below)}. The gain is uneven: {signed(share, 1)} points of it come from "
        f"{count(len(most), 'data set')}{listed(most)}. More than two points below the clean detector remain "
        f"{missed_text}{listed(missed)}. The constants of the method were chosen on smaller samples of the same "
        "tables, partly half against half ([notes](notes.md#a-few-labels))."
    )


def listed(names: list[str]) -> str:
    """Names in brackets, if any."""
    return f" ({', '.join(names)})" if names else ""


def sets_table(study: Study) -> str:
    """AUROC of ours for every data set."""
    rows = []
    for name in study.sets:
        cells = []
        for budget in study.budgets:
            hits = study.values["anomalies", OURS, budget, name]
            cells.append(f"{study.values['auroc', OURS, budget, name]:.1f}" + (f" ({hits:.1f})" if budget else ""))
        rows.append([name, *cells, f"{study.values['auroc', CLEAN, 0, name]:.1f}"])
    return table(["data set", *map(str, study.budgets), "clean"], rows)


def figure(study: Study) -> str:
    """One panel for each metric; bands are the standard deviation over seeds of the mean over data sets."""
    panels = {}
    for metric, title in METRICS.items():
        lines = {}
        for way in study.ways:
            by_seed = [
                [seed_mean(study, metric, way, budget, seed) for seed in study.seeds] for budget in study.budgets
            ]
            means, spreads = np.mean(by_seed, axis=1), np.std(by_seed, axis=1)
            lines[way] = Curve(study.budgets, means.tolist(), spreads.tolist())
        clean = study.mean(metric, CLEAN, 0) / 100
        lines["trained on normal rows alone"] = Curve(
            study.budgets, [clean] * len(study.budgets), [0.0] * len(study.budgets)
        )
        panels[title] = lines
    return curves(panels, xlabel="labels", ylabel="mean over data sets", columns=2, percent=False)


def seed_mean(study: Study, metric: str, way: str, budget: int, seed: int) -> float:
    """Mean over data sets for one seed, as a share."""
    runs = study.facts["runs"]
    return float(np.mean([r[metric] for r in runs if (r["way"], r["labels"], r["seed"]) == (way, budget, seed)]))


if __name__ == "__main__":
    made = make(json.loads(RESULTS.read_text(encoding="utf-8")))
    PAGE.write_text(made.text, encoding="utf-8", newline="\n")
    (ROOT / "docs" / "images" / PICTURE).write_text(made.svg, encoding="utf-8", newline="\n")
    print(f"{PAGE.name} and {PICTURE}")
