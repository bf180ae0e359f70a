"""The page about the default detector: told nothing, beside baselines that are told the true share."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

import fit_cost
import share_estimates
from study_text import COMMON, Page, count, percent, table

SHOWN = {"auroc": "AUROC", "f1_oracle": "F1 at the true share of the test set (oracle)"}
OURS = ("default", "auto")
SORTED_AT = 0.1
Means = dict[tuple[str, str], dict[tuple[str, float], float]]  # contender: set and true ratio: mean over seeds


def auto_page(page: Page, rows: pa.Table, disjoint: pa.Table) -> None:
    """Add everything below the introduction; ``disjoint`` holds the results of the baselines."""
    ratios = sorted(set(rows["true_ratio"].to_pylist()))
    own = set(rows["seed"].to_pylist())
    seeds = own & set(disjoint["seed"].to_pylist())
    page.add(
        "`AnomalyDetector()` with nothing set is told no share of anomalies, here or anywhere on this page. The "
        "baselines and `ntl` (brief settings) stand on [the page before](disjoint.md) and are told the true share: it "
        "decides how much trimmed baselines drop, and how many suspects `ntl` has. On clean data nothing is trimmed."
    )
    for metric, name in SHOWN.items():
        found = means(rows, metric, seeds) | means(disjoint, metric, seeds)
        found = {who: values for who, values in found.items() if complete(values, found[OURS], ratios)}
        sets = [s for s in sorted({s for s, _ in found[OURS]}) if all(has(v, s, ratios) for v in found.values())]
        which = f"over {count(len(sets), 'data set')} that all of these have, seeds {listed(seeds)} of all"
        page.add(f"## {name}", f"Means in percent {which}.", means_table(found, sets, ratios))
        if own > seeds:
            page.add(
                f"The default over the same sets and its seeds {listed(own)}, mean ± standard deviation over seeds:",
                spread_table(rows, metric, own, sets, ratios),
            )
    page.add(
        "## Set by set", "AUROC in percent, and the share of anomalies in the training rows as estimated / reached."
    )
    page.add(sets_table(rows, own, ratios))


def listed(seeds: set[int]) -> str:
    """Seeds in words."""
    return ", ".join(map(str, sorted(seeds)))


def spread_table(rows: pa.Table, metric: str, seeds: set[int], sets: list[str], ratios: list[float]) -> str:
    """Mean over sets of the default: its mean and spread over seeds."""
    each = [means(rows, metric, {seed})[OURS] for seed in sorted(seeds)]
    over_sets = np.array([[np.mean([one[s, r] for s in sets]) for r in ratios] for one in each])  # (seeds, ratios)
    cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(over_sets.mean(0), over_sets.std(0, ddof=1), strict=True)]
    return table([*map(percent, ratios)], [cells])


def means(rows: pa.Table, metric: str, seeds: set[int]) -> Means:
    """Mean over the seeds of each contender, set and ratio."""
    values = defaultdict(lambda: defaultdict(list))
    names = ("detector", "exposure", "dataset", "true_ratio", "seed", metric)
    for detector, exposure, dataset, ratio, seed, value in zip(*(rows[n].to_pylist() for n in names), strict=True):
        if seed in seeds and exposure != "trimmed 2x":
            values[detector, exposure][dataset, ratio].append(100 * value)
    return {who: {place: float(np.mean(v)) for place, v in places.items()} for who, places in values.items()}


def has(values: dict[tuple[str, float], float], dataset: str, ratios: list[float]) -> bool:
    """Whether there is a result at each ratio; on clean data a trimmed or exposed contender needs none."""
    return all((dataset, ratio) in values for ratio in ratios if ratio > 0)


def complete(values: dict[tuple[str, float], float], ours: dict[tuple[str, float], float], ratios: list[float]) -> bool:
    """Whether a contender has results on nearly all of our sets."""
    sets = {dataset for dataset, _ in ours}
    return sum(has(values, dataset, ratios) for dataset in sets) >= COMMON * len(sets)


def means_table(found: Means, sets: list[str], ratios: list[float]) -> str:
    """Contenders by ratios, best at 10 % first; the best of each column is bold."""
    columns = {
        who: [np.mean([values[s, r] for s in sets]) if all((s, r) in values for s in sets) else np.nan for r in ratios]
        for who, values in found.items()
    }
    best = np.nanmax(list(columns.values()), axis=0)
    order = sorted(columns, key=lambda who: -columns[who][ratios.index(SORTED_AT)])
    lines = []
    for who in order:
        cells = [
            "" if np.isnan(v) else f"**{v:.1f}**" if v == b else f"{v:.1f}"
            for v, b in zip(columns[who], best, strict=True)
        ]
        lines.append(["**default, told nothing**" if who == OURS else " ".join(who), *cells])
    return table(["contender", *map(percent, ratios)], lines)


def sets_table(rows: pa.Table, seeds: set[int], ratios: list[float]) -> str:
    """AUROC of the default, and what it took the share of anomalies for."""
    found = {name: means(rows, name, seeds)[OURS] for name in ("auroc", "assumed_ratio", "reached_ratio")}
    lines = []
    for dataset in sorted({name for name, _ in found["auroc"]}):
        cells = []
        for ratio in ratios:
            place = (dataset, ratio)
            numbers = [found[name][place] for name in found] if place in found["auroc"] else None
            cells.append("" if numbers is None else f"{numbers[0]:.1f} ({numbers[1]:.1f} / {numbers[2]:.1f})")
        lines.append([dataset, *cells])
    return table(["data set", *map(percent, ratios)], lines)


def estimates_section(page: Page, about: dict[str, Any]) -> None:
    """How far estimates of the share are from the truth."""
    page.add(
        "## The share of anomalies, estimated",
        f"Mean absolute errors in points by true share, seeds 0 to {about['seeds'] - 1}, at most "
        f"{about['train_rows']:,} normal training rows, {about['date']}, by `python benchmarks/share_estimates.py`, "
        "which says what the others are. Bias is the mean error; the last columns say how often an estimate was more "
        "than two points too high, and how often the interval held the truth.",
        share_estimates.table(about["results"]),
    )


def cost_section(page: Page, about: dict[str, Any]) -> None:
    """What fitting costs."""
    days = sorted({one["date"] for one in about["results"]})
    wall = [one["rows"] for one in about["results"] if one["clock"] == "wall"]
    page.add(
        "## What fitting costs",
        f"Seconds, and how many times an isolation forest's, {about['threads']} thread of a CPU, on rows of "
        f"{about['columns']} columns with default parameters, {' to '.join(dict.fromkeys((days[0], days[-1])))}, by "
        "`python benchmarks/fit_cost.py`. Seconds are the processor's"
        + (f"; most up to {max(wall):,} rows are by the clock of an idle machine. " if wall else ". ")
        + "A dash was not tried.",
        fit_cost.table(about["results"]),
    )


def paper_section(page: Page, rows: pa.Table, published: dict[str, Any]) -> None:
    """The default under the paper's protocol, beside the best of the published columns."""
    seeds = set(rows["seed"].to_pylist())
    found = {who: values for (who, _), values in means(rows, "f1_oracle", seeds).items()}
    sets = sorted({name for values in found.values() for name, _ in values})
    best = {
        name: max(cell["mean"] for objective in published["f1"][name].values() for cell in objective.values())
        for name in sets
    }
    by_set = {who: {name: value for (name, _), value in values.items()} for who, values in found.items()}
    lines = [[name, *(f"{values[name]:.1f}" for values in by_set.values()), f"{best[name]:.1f}"] for name in sets]
    total = [f"{np.mean(list(values.values())):.1f}" for values in found.values()]
    lines.append(["**mean**", *total, f"{np.mean(list(best.values())):.1f}"])
    page.add(
        "## Under the paper's protocol",
        f"F1 at the true share (oracle) in percent at 10 % of noised copies of test anomalies, seeds "
        f"{', '.join(map(str, sorted(seeds)))}. The default is told no share; `hard` is the same with suspects that "
        "pull. Published: the best of the paper's eight columns on each set, which is told the share.",
        table(["data set", *(f"{name}, told nothing" for name in found), "published, best of eight"], lines),
    )
