"""The pages about a wrong assumption, image embeddings, large sets and single settings of NTL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from expose.evaluation.figures import dots, heat_maps
from expose.evaluation.summary import PLAIN, CellMean, Who, cells, fill_plain
from study_disjoint import at_ratio, curves_section, means_at, per_set, plain_table, reached_table
from study_text import METRICS, Page, count, measured, names_of, percent, signed, sort_key, table, with_std

SHOWN = ("auroc", "f1")
COSTS = ("auroc", "average_precision", "fit_seconds", "score_seconds", "peak_mib")


def sensitivity_page(page: Page, rows: pa.Table) -> None:
    """Heat maps of the assumed against the true ratio."""
    page.add(
        "The contenders are told a share of anomalies that is not the true one. Colour: the difference to `blind` that "
        "was told the same, which only moves its threshold. Framed: the assumption is true. Where nothing is assumed, "
        "all exposures are `blind`."
    )
    for metric in SHOWN:
        page.add(f"## {METRICS[metric][0]}" + (" at its own threshold" if metric == "f1" else ""))
        found = [cell for cell in fill_plain(cells(rows, metric)) if cell.assumed not in ("true", "auto")]
        for detector, settings in dict.fromkeys(
            (who.detector, who.settings) for who in sorted({cell.who for cell in found}, key=sort_key)
        ):
            theirs = [cell for cell in found if (cell.who.detector, cell.who.settings) == (detector, settings)]
            page.add(f"### {detector}")
            heat_section(page, theirs, detector, metric)
    page.add("## Where the pool of anomalies was too small", reached_table(rows))


def heat_section(page: Page, found: Sequence[CellMean], detector: str, metric: str) -> None:
    """One figure of a detector with a panel for each exposure, and what a wrong assumption costs."""
    contenders = sorted({cell.who for cell in found}, key=sort_key)
    true, assumed = sorted({cell.true_ratio for cell in found}), sorted({float(cell.assumed) for cell in found})
    needed = {(t, a, who) for t in true for a in assumed for who in contenders}
    has: dict[str, set[tuple[float, float, Who]]] = {}
    for cell in found:
        has.setdefault(cell.dataset, set()).add((cell.true_ratio, float(cell.assumed), cell.who))
    sets = sorted(name for name, places in has.items() if places >= needed)
    if not sets:
        page.add(f"No data set has all results; of {len(needed)} cells most have {max(map(len, has.values()))}.")
        return
    panels = {who: np.zeros((len(assumed), len(true))) for who in contenders}
    for cell in found:
        if cell.dataset in sets:
            place = assumed.index(float(cell.assumed)), true.index(cell.true_ratio)
            panels[cell.who][place] += cell.mean / len(sets)
    base = next((panel for who, panel in panels.items() if who.exposure in PLAIN), None)
    name = METRICS[metric][0]
    svg = heat_maps(
        {who.exposure: panel for who, panel in panels.items()},
        [percent(share) for share in assumed],
        [percent(share) for share in true],
        base=base,
        row_label="assumed",
        column_label="true",
        colour_label=name if base is None else f"difference to blind, {name}",
    )
    page.picture(f"{detector}-{metric}", svg, f"{name} of {detector} by assumed and true share of anomalies")
    left_out = sorted(set(has) - set(sets))
    page.add(
        f"Means over {count(len(sets), 'data set')}."
        + (f" Left out, incomplete: {', '.join(left_out)}." if left_out else "")
    )
    if base is not None:
        page.add(cost_table(panels, base, assumed, true))


def cost_table(panels: dict[Who, np.ndarray], base: np.ndarray, assumed: Sequence[float], true: Sequence[float]) -> str:
    """Mean difference to blind where the assumption is too low, true and too high."""
    told, real = np.meshgrid(assumed, true, indexing="ij")
    kinds = {"too low": (told > 0) & (told < real), "true": (told > 0) & (told == real), "too high": told > real}
    rows = []
    for who, panel in panels.items():
        if who.exposure in PLAIN:
            continue
        gap = panel - base
        line = [who.exposure]
        for where in kinds.values():
            line.append(
                f"{signed(gap[where].mean())} ({(gap[where] > 0).sum()} of {where.sum()})" if where.any() else ""
            )
        rows.append(line)
    said = (
        "Mean difference to `blind` over the cells of the picture, and in how many cells it is positive, by assumption:"
    )
    return f"{said}\n\n" + table(["exposure", *kinds], rows)


def embeddings_page(page: Page, rows: pa.Table) -> None:
    """Exposures on embeddings of images."""
    found = {metric: measured(rows, metric) for metric in METRICS}
    ratios = sorted({cell.true_ratio for cell in found["auroc"]})
    if len(ratios) > 1:
        page.add("## Over the ratio")
        curves_section(page, found, ratios)
    page.add("## Against the plain version of the same detector", plain_table(found["auroc"], ratios))
    for ratio in ratios:
        here = [cell for cell in at_ratio(found["auroc"], ratio) if ratio > 0 or cell.who.exposure in PLAIN]
        page.add(f"## {percent(ratio)}", *means_at(found, ratio))
        page.add(f"### Set by set, AUROC at {percent(ratio)}", *per_set(here))
    page.add("## Where the pool of anomalies was too small", reached_table(rows))


def large_page(page: Page, rows: pa.Table) -> None:
    """Sets run whole: time and memory."""
    page.add(
        "Seconds are those of one seed: the time of all that were trained together, divided by their number. Memory is "
        "the most that the process had held until then; each run had a process of its own, which read the whole set. "
        "The default is told no share of anomalies, the others the true one."
    )
    columns = ("dataset", "n_train", "n_test", "n_features")
    shapes = {name: shape for name, *shape in zip(*(rows[column].to_pylist() for column in columns), strict=True)}
    found = {metric: cells(rows, metric) for metric in COSTS}
    kinds = sorted({(cell.protocol, cell.true_ratio) for cell in found["auroc"]})
    for number, kind in enumerate(kinds):
        here = {
            metric: {(c.dataset, c.who): c for c in some if (c.protocol, c.true_ratio) == kind}
            for metric, some in found.items()
        }
        protocol, ratio = kind
        page.add(f"## {percent(ratio)} anomalies in training, or as many as there are, protocol {protocol}")
        names = sorted({name for name, _ in here["auroc"]}, key=lambda name: -shapes[name][0])
        for metric, label in (("fit_seconds", "seconds of fitting, one seed"), ("peak_mib", "memory, MiB")):
            values = fewer_kinds({name: by_contender(here[metric], name) for name in names})
            page.picture(f"{metric.replace('_', '-')}-{number}", dots(values, label=label), f"By contender: {label}")
        for name in names:
            n_train, n_test, d = shapes[name]
            page.add(f"### {name}", f"{n_train:,} training rows, {n_test:,} test rows, {count(d, 'column')}.")
            page.add(large_table(here, name))


def by_contender(here: dict[tuple[str, Who], CellMean], name: str) -> dict[str, float]:
    """Means of all contenders on one set."""
    there = sorted((who for dataset, who in here if dataset == name), key=sort_key)
    return {text: here[name, who].mean for text, who in zip(names_of(there), there, strict=True)}


def fewer_kinds(values: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Turn a table over where the names within are fewer than those outside."""
    inner = list(dict.fromkeys(text for some in values.values() for text in some))
    if len(inner) >= len(values):
        return values
    return {text: {name: some[text] for name, some in values.items() if text in some} for text in inner}


def large_table(here: dict[str, dict[tuple[str, Who], CellMean]], name: str) -> str:
    """All contenders on one set, best AUROC first."""
    there = sorted((who for dataset, who in here["auroc"] if dataset == name), key=sort_key)
    there.sort(key=lambda who: -here["auroc"][name, who].mean)
    rows = []
    for text, who in zip(names_of(there), there, strict=True):
        got = {metric: some[name, who] for metric, some in here.items()}
        line = [with_std(got[metric].mean, got[metric].std) for metric in ("auroc", "average_precision")]
        line += [f"{got[metric].mean:,.1f}" for metric in ("fit_seconds", "score_seconds")]
        rows.append([text, *line, f"{got['peak_mib'].mean:,.0f}", str(got["auroc"].n_seeds)])
    header = ["contender", "AUROC", "average precision", "fit, s", "score, s", "memory, MiB", "seeds"]
    return table(header, rows)


def ablation_page(page: Page, rows: pa.Table) -> None:
    """One setting changed at a time."""
    for metric in ("auroc", "f1_oracle"):
        found = cells(rows, metric)
        sets = sorted({cell.dataset for cell in found})
        by_name: dict[str, dict[str, float]] = {}
        for cell in found:
            by_name.setdefault(cell.who.detector, {})[cell.dataset] = 100 * cell.mean
        means = {name: np.mean([values[one] for one in sets]) for name, values in by_name.items()}
        lines = [
            [name, f"{means[name]:.1f}", *(f"{by_name[name][one]:.1f}" for one in sets)]
            for name in sorted(means, key=lambda name: -means[name])
        ]
        page.add(f"## {METRICS[metric][0]}", table(["setting", "mean", *sets], lines))
