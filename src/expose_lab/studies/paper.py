"""The table of Qiu et al. 2022: what they published, what comes out here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose_lab.contenders import ours
from expose_lab.figures import Compared, against_published, dots, short
from expose_lab.pages import Page, count, signed, table
from expose_lab.protocols import PAPER_SEEDS
from expose_lab.statistics import win_tie_loss
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import (
    ALPHA,
    LARGE,
    TABLES,
    intro,
    names_of,
    pairs_table,
    ranks,
    results,
    told_truth,
    with_std,
)
from expose_lab.summary import CellMean, Matrix, Who, cells, pivot

Floats = NDArray[np.float64]
Published = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


def grids() -> Iterator[Mapping[str, Any]]:
    """Two objectives, four exposures, 10 % of noised copies; large sets with fewer rows."""
    told: dict[str, Any] = {"protocols": ["paper"], "true_ratios": [0.1], "assumed_ratios": [0.1], "seeds": PAPER_SEEDS}
    for objective in ("ntl", "icl"):
        who = {"contenders": ours([objective], settings="published"), **told}
        yield from whole_and_capped(who)


def whole_and_capped(common: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All tables, of large ones at most 10,000 training and 20,000 test normals."""
    small = [name for name in TABLES if name not in LARGE]
    large = [name for name in TABLES if name in LARGE]
    yield {"datasets": small, "train_rows": None, "test_rows": None, **common}
    yield {"datasets": large, "train_rows": 10_000, "test_rows": 20_000, **common}


def published(page: Page) -> dict[str, Any]:
    """The table as it was published."""
    found: dict[str, Any] = json.loads((page.results.parent / "published_loe.json").read_text(encoding="utf-8"))
    return found


def context(page: Page) -> dict[str, Any]:
    """Ours beside theirs."""
    rows, print_ = results(page, "paper_tables"), published(page)
    theirs: Published = print_["f1"]
    found = [cell for cell in told_truth(cells(rows, "f1_oracle")) if cell.protocol == "paper"]
    columns = columns_as_published(found, theirs)
    matrix = pivot([cell for cell in found if cell.dataset in theirs], columns)
    here = (100 * matrix.values, 100 * spreads(found, matrix))
    there = (values_of(theirs, matrix, "mean"), values_of(theirs, matrix, "std"))

    def of_detector(detector: str) -> str:
        at = [place for place, who in enumerate(columns) if who.detector == detector]
        panels = {
            str(columns[j]): Compared(matrix.datasets, there[0][:, j], there[1][:, j], here[0][:, j], here[1][:, j])
            for j in at
        }
        svg = against_published(panels, unit="F1, %")
        picture = page.picture(f"benchmark/paper-{detector}.svg", svg, f"F1 of {detector}, published and here")
        return f"{picture}\n\n{sets_table(matrix, at, here, there)}"

    return {
        "intro": intro(page, "paper_tables"),
        "source": print_["source"],
        "missing": missing(found, theirs, matrix),
        "means_table": means_table(here[0], there[0], theirs, matrix),
        "soft_and_refine": soft_and_refine(here[0], there[0], matrix),
        "detectors": list(dict.fromkeys(who.detector for who in columns)),
        "of_detector": of_detector,
        "shortfalls": shortfalls(matrix, here[0], *there),
        "ranks": ranks(page, "paper-ranks", matrix, "F1 measured here"),
        "ranks_published": ranks(
            page, "paper-ranks-published", Matrix(there[0], matrix.datasets, columns, {}), "published F1"
        ),
        "alpha": f"{ALPHA:g}",
        "pairs": pairs_table(matrix, win_tie_loss(here[0].round(1), tie=0)),
        "time": time_section(page, rows),
    }


def columns_as_published(found: Sequence[CellMean], theirs: Published) -> tuple[Who, ...]:
    """Our contenders in the order of the published columns."""
    columns = next(iter(theirs.values()))
    order = [(detector, exposure) for detector in columns for exposure in columns[detector]]
    here = {who[:2]: who for who in sorted({cell.who for cell in found})}
    return tuple(here[names] for names in order if names in here)


def spreads(found: Sequence[CellMean], matrix: Matrix) -> Floats:
    """Standard deviations in the form of the matrix."""
    std = {(cell.dataset, cell.who): cell.std for cell in found}
    return np.array([[std[name, who] for who in matrix.contenders] for name in matrix.datasets])


def values_of(theirs: Published, matrix: Matrix, key: str, datasets: Sequence[str] | None = None) -> Floats:
    """Published numbers in the form of the matrix."""
    names = matrix.datasets if datasets is None else datasets
    return np.array([[theirs[name][who.detector][who.exposure][key] for who in matrix.contenders] for name in names])


def missing(found: Sequence[CellMean], theirs: Published, matrix: Matrix) -> str:
    """Say which sets are not compared."""
    ran = {cell.dataset for cell in found}
    said = [f"Not run here: {', '.join(absent)}." for absent in [sorted(set(theirs) - ran)] if absent]
    said += [f"Not published: {', '.join(more)}." for more in [sorted(ran - set(theirs))] if more]
    said += [f"Left out: {name} (no result of {', '.join(map(str, who))})." for name, who in matrix.left_out.items()]
    return " ".join(said)


def means_table(ours_: Floats, mean: Floats, theirs: Published, matrix: Matrix) -> str:
    """Means over the sets, here and published."""
    lines = {
        f"here, {count(len(matrix.datasets), 'set')}": ours_,
        "published, the same sets": mean,
        f"published, all {len(theirs)}": values_of(theirs, matrix, "mean", list(theirs)),
    }
    rows = [[name, *(f"{value:.1f}" for value in values.mean(0))] for name, values in lines.items()]
    rows.append(["difference", *(signed(value, 1) for value in (ours_ - mean).mean(0))])
    return table(["", *names_of(matrix.contenders)], rows)


def soft_and_refine(ours_: Floats, mean: Floats, matrix: Matrix) -> str:
    """On how many sets soft is better than refine, here and published."""
    lines = []
    for detector in dict.fromkeys(who.detector for who in matrix.contenders):
        at = {who.exposure: place for place, who in enumerate(matrix.contenders) if who.detector == detector}
        if {"soft", "refine"} <= set(at):
            pair = [at["soft"], at["refine"]]
            both = [win_tie_loss(values[:, pair].round(1), tie=0)[0, 1] for values in (ours_, mean)]
            lines.append([detector, *("/".join(map(str, found)) for found in both)])
    return table(["objective", "here", "published"], lines) if lines else ""


def sets_table(matrix: Matrix, at: Sequence[int], here: tuple[Floats, Floats], there: tuple[Floats, Floats]) -> str:
    """Ours beside the published; an arrow where ours is more than two published standard deviations lower."""
    low = short(there[0], here[0], there[1])
    rows = []
    for i, name in enumerate(matrix.datasets):
        line = [name]
        for j in at:
            arrow = " ↓" if low[i, j] else ""
            line += [with_std(here[0][i, j], here[1][i, j], 1) + arrow, with_std(there[0][i, j], there[1][i, j], 1)]
        rows.append(line)
    header = ["data set"] + [text for j in at for text in (f"{matrix.contenders[j].exposure}, here", "published")]
    return table(header, rows)


def shortfalls(matrix: Matrix, ours_: Floats, mean: Floats, spread: Floats) -> str:
    """Every cell that is far below the published one."""
    low, high = short(mean, ours_, spread), short(-mean, -ours_, spread)
    rows = [
        [matrix.datasets[i], str(matrix.contenders[j]), f"{ours_[i, j]:.1f}", with_std(mean[i, j], spread[i, j], 1),
         signed(ours_[i, j] - mean[i, j], 1)]
        for i, j in np.argwhere(low)
    ]  # fmt: skip
    said = (
        f"Cells that are more than two published standard deviations lower here (↓ above): {int(low.sum())} of "
        f"{low.size}; more than two higher: {int(high.sum())}; between: {int((~low & ~high).sum())}. Where the "
        "published standard deviation is 0, one point stands for it."
    )
    return f"{said}\n\n" + table(["data set", "contender", "here", "published", "difference"], rows)


def time_section(page: Page, rows: pa.Table) -> str:
    """Seconds of fitting per set and objective, and their sums."""
    seconds: dict[str, dict[str, float]] = {}
    shape: dict[str, tuple[int, int]] = {}
    columns = ("dataset", "detector", "fit_seconds", "n_train", "n_features")
    for name, detector, spent, n, d in zip(*(rows[column].to_pylist() for column in columns), strict=True):
        kind = seconds.setdefault(detector, {})
        kind[name] = kind.get(name, 0.0) + spent
        shape[name] = (n, d)
    order = sorted(shape, key=lambda name: -sum(kind.get(name, 0.0) for kind in seconds.values()))
    ordered = {one: {name: seconds[one][name] for name in order if name in seconds[one]} for one in sorted(seconds)}
    svg = dots(ordered, label="seconds of fitting")
    picture = page.picture("benchmark/paper-time.svg", svg, "Seconds of fitting per data set and objective")
    lines = [
        [name, f"{shape[name][0]:,}", str(shape[name][1]), *(f"{kind.get(name, 0):,.0f}" for kind in ordered.values())]
        for name in order
    ]
    lines.append(["hours in all", "", "", *(f"{sum(kind.values()) / 3600:.1f}" for kind in ordered.values())])
    return f"{picture}\n\n" + table(["data set", "training rows", "columns", *ordered], lines)


STUDY = Benchmark(
    "paper_tables",
    "the paper's table: NTL and ICL under four exposures, its protocol at 10 %, five seeds",
    cells=grids,
    page="benchmark/paper.md",
    context=context,
)
