"""The default detector, told nothing, beside baselines that are told the true share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from expose import AnomalyDetector
from expose_lab.pages import Page, count, percent, table
from expose_lab.protocols import PAPER_SEEDS
from expose_lab.studies import fit_cost, share_estimates
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import COMMON, GROUPS, intro, results
from expose_lab.studies.disjoint import RATIOS
from expose_lab.studies.paper import published, whole_and_capped

SHOWN = {"auroc": "AUROC", "f1_oracle": "F1 at the true share of the test set (oracle)"}
OURS = ("default", "auto")
SORTED_AT = 0.1
Places = dict[tuple[str, float], float]  # set and true ratio: mean over seeds
Means = dict[tuple[str, str], Places]  # of each contender


def grids(groups: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The tables of each group: first what the page compares, then all ratios with five seeds."""
    common: dict[str, Any] = {"contenders": {"default": AnomalyDetector(device="cpu")}, "assumed_ratios": ["auto"]}
    compared: dict[str, Any] = {"true_ratios": [0.0, 0.1, 0.2, 0.3]}
    everything: dict[str, Any] = {"true_ratios": RATIOS, "seeds": range(5)}
    for ratios, name in product((compared, everything), groups):
        yield {**GROUPS[name].grid, **common, **ratios}


def paper_grids() -> Iterator[Mapping[str, Any]]:
    """The default and its two-sided variant under the paper's protocol, three seeds."""
    who = {"default": AnomalyDetector(device="cpu"), "default, hard": AnomalyDetector(exposure="hard", device="cpu")}
    told: dict[str, Any] = {
        "protocols": ["paper"],
        "true_ratios": [0.1],
        "assumed_ratios": ["auto"],
        "seeds": PAPER_SEEDS[:3],
    }
    yield from whole_and_capped({"contenders": who, **told})


def context(page: Page) -> dict[str, Any]:
    """The default beside the baselines of `disjoint`, by group of tables, and what was measured beside it."""
    groups = {name: group for name in GROUPS if (group := Measured(page, name)).sets("auroc")}
    return {
        "intro": intro(page, "auto"),
        "shown": SHOWN,
        "groups": groups,
        "paper": paper_section(page),
        "estimates": share_estimates.context(page),
        "costs": fit_cost.context(page),
    }


class Measured:
    """What there is of a group of tables: the default, and who can be compared with it."""

    def __init__(self, page: Page, group: str) -> None:
        self.title = GROUPS[group].title
        self.rows, self._others = results(page, "auto", group), results(page, "disjoint", group)
        self.ratios = sorted(set(self.rows["true_ratio"].to_pylist()))
        self._own = set(self.rows["seed"].to_pylist())
        self._seeds = self._own & set(self._others["seed"].to_pylist())

    @property
    def seeds(self) -> str:
        """The seeds that all have."""
        return ", ".join(map(str, sorted(self._seeds)))

    @property
    def own(self) -> str:
        """The seeds of the default, if it has more."""
        return ", ".join(map(str, sorted(self._own))) if self._own > self._seeds else ""

    def found(self, metric: str) -> Means:
        """The means of those with results on nearly all sets."""
        all_ = means(self.rows, metric, self._seeds) | means(self._others, metric, self._seeds)
        ours = all_.get(OURS, {})
        return {who: values for who, values in all_.items() if complete(values, ours, self.ratios)}

    def sets(self, metric: str) -> list[str]:
        """The sets that all of them have."""
        found = self.found(metric)
        ours = sorted({name for name, _ in found.get(OURS, {})})
        return [name for name in ours if all(has(values, name, self.ratios) for values in found.values())]

    def section(self, metric: str) -> dict[str, Any]:
        """Means over sets."""
        sets = self.sets(metric)
        return {
            "sets": count(len(sets), "data set"),
            "means": means_table(self.found(metric), sets, self.ratios),
            "spread": spread_table(self.rows, metric, self._own, sets, self.ratios),
        }

    def sets_table(self) -> str:
        """The default set by set."""
        return sets_table(self.rows, self._own, self.ratios)


def means(rows: pa.Table, metric: str, seeds: set[int]) -> Means:
    """Percent, mean over the seeds of each contender, set and ratio."""
    values: dict[tuple[str, str], dict[tuple[str, float], list[float]]] = defaultdict(lambda: defaultdict(list))
    names = ("detector", "exposure", "dataset", "true_ratio", "seed", metric)
    for detector, exposure, dataset, ratio, seed, value in zip(*(rows[n].to_pylist() for n in names), strict=True):
        if seed in seeds and exposure != "trimmed 2x":
            values[detector, exposure][dataset, ratio].append(100 * value)
    return {who: {place: float(np.mean(v)) for place, v in places.items()} for who, places in values.items()}


def has(values: Places, dataset: str, ratios: list[float]) -> bool:
    """Whether there is a result at each ratio; on clean data a trimmed or exposed contender needs none."""
    return all((dataset, ratio) in values for ratio in ratios if ratio > 0)


def complete(values: Places, ours: Places, ratios: list[float]) -> bool:
    """Whether a contender has results on nearly all of our sets."""
    sets = {dataset for dataset, _ in ours}
    return sum(has(values, dataset, ratios) for dataset in sets) >= COMMON * len(sets)


def means_table(found: Means, sets: list[str], ratios: list[float]) -> str:
    """Contenders by ratios, best at 10 % first; the best of each column is bold."""
    columns = {
        who: [np.mean([values[s, r] for s in sets]) if all((s, r) in values for s in sets) else np.nan for r in ratios]
        for who, values in found.items()
    }
    best = np.nanmax(np.array(list(columns.values())), axis=0)
    lines = []
    for who in sorted(columns, key=lambda who: -columns[who][ratios.index(SORTED_AT)]):
        cells = [
            "" if np.isnan(v) else f"**{v:.1f}**" if v == b else f"{v:.1f}"
            for v, b in zip(columns[who], best, strict=True)
        ]
        lines.append(["**default, told nothing**" if who == OURS else " ".join(who), *cells])
    return table(["contender", *map(percent, ratios)], lines)


def spread_table(rows: pa.Table, metric: str, seeds: set[int], sets: list[str], ratios: list[float]) -> str:
    """Mean over sets of the default: its mean and spread over seeds."""
    each = [means(rows, metric, {seed})[OURS] for seed in sorted(seeds)]
    over_sets = np.array([[np.mean([one[s, r] for s in sets]) for r in ratios] for one in each])  # (seeds, ratios)
    cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(over_sets.mean(0), over_sets.std(0, ddof=1), strict=True)]
    return table([*map(percent, ratios)], [cells])


def sets_table(rows: pa.Table, seeds: set[int], ratios: list[float]) -> str:
    """AUROC of the default, and what it took the share of anomalies for."""
    found = {name: means(rows, name, seeds)[OURS] for name in ("auroc", "assumed_ratio", "reached_ratio")}
    lines = []
    for dataset in sorted({name for name, _ in found["auroc"]}):
        there = [(dataset, ratio) in found["auroc"] for ratio in ratios]
        numbers = [[found[name].get((dataset, ratio), np.nan) for name in found] for ratio in ratios]
        cells = [f"{a:.1f} ({b:.1f} / {c:.1f})" if ok else "" for ok, (a, b, c) in zip(there, numbers, strict=True)]
        lines.append([dataset, *cells])
    return table(["data set", *map(percent, ratios)], lines)


def paper_section(page: Page) -> dict[str, Any]:
    """The default under the paper's protocol, beside the best of the published columns."""
    rows, theirs = results(page, "auto_paper"), published(page)["f1"]
    seeds = set(rows["seed"].to_pylist())
    found = {
        who: {name: value for (name, _), value in values.items()}
        for (who, _), values in means(rows, "f1_oracle", seeds).items()
    }
    sets = sorted({name for values in found.values() for name in values})
    best = {
        name: max(one["mean"] for objective in theirs[name].values() for one in objective.values()) for name in sets
    }
    lines = [[name, *(f"{values[name]:.1f}" for values in found.values()), f"{best[name]:.1f}"] for name in sets]
    total = [f"{np.mean(list(values.values())):.1f}" for values in found.values()]
    lines.append(["**mean**", *total, f"{np.mean(list(best.values())):.1f}"])
    header = ["data set", *(f"{name}, told nothing" for name in found), "published, best of eight"]
    return {"seeds": ", ".join(map(str, sorted(seeds))), "table": table(header, lines)}


STUDIES = [
    Benchmark(
        "auto",
        "the default, told no share, on all tables at 0 to 30 %; its page also needs disjoint, auto_paper, "
        "share_estimates and fit_cost",
        cells=grids,
        options={"groups": list(GROUPS)},
        page="benchmark/auto.md",
        context=context,
    ),
    Benchmark("auto_paper", "the default under the paper's protocol, told no share", cells=paper_grids),
]
