"""A wrong assumption: every pair of a true and an assumed share of anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose_lab.contenders import PLAIN, ours
from expose_lab.figures import heat_maps
from expose_lab.pages import Page, count, percent, signed, table
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import METRICS, contenders_of, intro, reached_table, results
from expose_lab.summary import CellMean, Who, cells, fill_plain

PLENTY = ["breastw", "ionosphere", "pima", "satellite"]  # half of their anomalies suffice for 40 % and more
SHARES = [0.0, 0.05, 0.1, 0.2, 0.4]
SHOWN = {"auroc": "AUROC", "f1": "F1 at its own threshold"}
Panels = dict[Who, NDArray[np.float64]]  # (assumed, true)


def grids() -> Iterator[Mapping[str, Any]]:
    """NTL told anything, whatever is true."""
    who = ours(["ntl"], settings="brief")
    yield {"datasets": PLENTY, "contenders": who, "true_ratios": SHARES, "assumed_ratios": SHARES}


def context(page: Page) -> dict[str, Any]:
    """A picture and a table for each metric."""
    rows = results(page, "sensitivity")

    def section(metric: str) -> str:
        found = [cell for cell in fill_plain(cells(rows, metric)) if cell.assumed not in ("true", "auto")]
        kinds = dict.fromkeys((who.detector, who.settings) for who in contenders_of(found))
        return "\n\n".join(
            f"### {kind[0]}\n\n"
            + heat_section(page, [c for c in found if (c.who.detector, c.who.settings) == kind], kind[0], metric)
            for kind in kinds
        )

    return {
        "intro": intro(page, "sensitivity"),
        "shown": SHOWN,
        "section": section,
        "reached": reached_table(rows),
    }


def heat_section(page: Page, found: Sequence[CellMean], detector: str, metric: str) -> str:
    """One figure of a detector with a panel for each exposure, and what a wrong assumption costs."""
    true, assumed = sorted({cell.true_ratio for cell in found}), sorted({float(cell.assumed) for cell in found})
    needed = {(t, a, who) for t in true for a in assumed for who in contenders_of(found)}
    has: dict[str, set[tuple[float, float, Who]]] = {}
    for cell in found:
        has.setdefault(cell.dataset, set()).add((cell.true_ratio, float(cell.assumed), cell.who))
    sets = sorted(name for name, places in has.items() if places >= needed)
    if not sets:
        return f"No data set has all results; of {len(needed)} cells most have {max(map(len, has.values()))}."
    panels = {who: np.zeros((len(assumed), len(true))) for who in contenders_of(found)}
    for cell in found:
        if cell.dataset in sets:
            place = assumed.index(float(cell.assumed)), true.index(cell.true_ratio)
            panels[cell.who][place] += cell.mean / len(sets)
    base = next((panel for who, panel in panels.items() if who.exposure in PLAIN), None)
    left_out = sorted(set(has) - set(sets))
    said = f"Means over {count(len(sets), 'data set')}."
    said += f" Left out, incomplete: {', '.join(left_out)}." if left_out else ""
    parts = [picture(page, f"{detector}-{metric}", panels, base, assumed, true, METRICS[metric]), said]
    return "\n\n".join(parts + ([cost_table(panels, base, assumed, true)] if base is not None else []))


def picture(
    page: Page,
    file: str,
    panels: Panels,
    base: NDArray[np.float64] | None,
    assumed: Sequence[float],
    true: Sequence[float],
    name: str,
) -> str:
    """Heat maps, a panel for each exposure."""
    svg = heat_maps(
        {who.exposure: panel for who, panel in panels.items()},
        [percent(share) for share in assumed],
        [percent(share) for share in true],
        base=base,
        row_label="assumed",
        column_label="true",
        colour_label=name if base is None else f"difference to blind, {name}",
    )
    says = f"{name} of {file.partition('-')[0]} by assumed and true share of anomalies"
    return page.picture(f"benchmark/sensitivity-{file}.svg", svg, says)


def cost_table(panels: Panels, base: NDArray[np.float64], assumed: Sequence[float], true: Sequence[float]) -> str:
    """Mean difference to blind where the assumption is too low, true and too high."""
    told, real = np.meshgrid(assumed, true, indexing="ij")
    kinds = {"too low": (told > 0) & (told < real), "true": (told > 0) & (told == real), "too high": told > real}
    rows = []
    for who, panel in panels.items():
        if who.exposure not in PLAIN:
            gap = panel - base
            cells_ = [
                f"{signed(gap[at].mean())} ({(gap[at] > 0).sum()} of {at.sum()})" if at.any() else ""
                for at in kinds.values()
            ]
            rows.append([who.exposure, *cells_])
    said = (
        "Mean difference to `blind` over the cells of the picture, and in how many cells it is positive, by assumption:"
    )
    return f"{said}\n\n" + table(["exposure", *kinds], rows)


STUDY = Benchmark(
    "sensitivity",
    "assumed against true share, 0 to 40 %, on sets with enough anomalies",
    cells=grids,
    page="benchmark/sensitivity.md",
    context=context,
)
