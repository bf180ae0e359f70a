"""The page about the table of Qiu et al. 2022: what they published, what comes out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.evaluation.figures import Compared, against_published, dots, short
from expose.evaluation.statistics import win_tie_loss
from expose.evaluation.summary import CellMean, Matrix, Who, cells, pivot
from study_text import ALPHA, Page, count, names_of, pairs_table, ranks_section, signed, table, told_truth, with_std

Floats = NDArray[np.float64]
Published = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


def paper_page(page: Page, rows: pa.Table, published: Mapping[str, Any]) -> None:
    """Add everything below the introduction."""
    theirs: Published = published["f1"]
    found = [cell for cell in told_truth(cells(rows, "f1_oracle")) if cell.protocol == "paper"]
    columns = columns_as_published(found, theirs)
    matrix = pivot([cell for cell in found if cell.dataset in theirs], columns)
    ours, std = 100 * matrix.values, 100 * spreads(found, matrix)
    mean, theirs_std = (published_values(theirs, matrix.datasets, columns, key) for key in ("mean", "std"))
    page.add(
        f"F1 in percent at the true share of anomalies in the test set: an oracle threshold, as in the paper. ± is the "
        f"standard deviation over the seeds. Published: {published['source']}",
        missing(found, theirs, matrix),
        "## Means over the sets",
        means_table(ours, mean, theirs, matrix),
        soft_and_refine(ours, mean, matrix),
        "## Set by set",
    )
    for detector in dict.fromkeys(who.detector for who in columns):
        at = [place for place, who in enumerate(columns) if who.detector == detector]
        panels = {
            str(columns[j]): Compared(matrix.datasets, mean[:, j], theirs_std[:, j], ours[:, j], std[:, j]) for j in at
        }
        page.add(f"### {detector}")
        page.picture(detector, against_published(panels, unit="F1, %"), f"F1 of {detector}, published and here")
        page.add(sets_table(matrix, at, (ours, std), (mean, theirs_std)))
    page.add("## Where it falls short", shortfalls(matrix, ours, mean, theirs_std), "## Ranks")
    ranks_section(page, "ranks", matrix, "F1 measured here")
    ranks_section(page, "ranks-published", Matrix(mean, matrix.datasets, columns, {}), "published F1")
    page.add(
        "## Pairs",
        "Measured here. Above the diagonal: p-values of Wilcoxon's signed-rank test over the sets after Holm's "
        f"correction, bold below {ALPHA:g}. Below it: sets won/tied/lost by the row against the column; equal to a "
        "tenth of a point is a tie.",
        pairs_table(matrix, win_tie_loss(ours.round(1), tie=0)),
        "## Where the time goes",
        "Seconds of fitting, summed over all exposures and seeds; the seeds of a cell are trained together.",
    )
    time_section(page, rows)


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


def published_values(theirs: Published, datasets: Sequence[str], columns: Sequence[Who], key: str) -> Floats:
    """Published numbers in the form of the matrix."""
    return np.array([[theirs[name][who.detector][who.exposure][key] for who in columns] for name in datasets])


def missing(found: Sequence[CellMean], theirs: Published, matrix: Matrix) -> str:
    """Say which sets are not compared."""
    ran = {cell.dataset for cell in found}
    said = [f"Not run here: {', '.join(absent)}." for absent in [sorted(set(theirs) - ran)] if absent]
    said += [f"Not published: {', '.join(extra)}." for extra in [sorted(ran - set(theirs))] if extra]
    said += [f"Left out: {name} (no result of {', '.join(map(str, who))})." for name, who in matrix.left_out.items()]
    return " ".join(said)


def means_table(ours: Floats, mean: Floats, theirs: Published, matrix: Matrix) -> str:
    """Means over the sets, here and published."""
    n, everywhere = len(matrix.datasets), published_values(theirs, list(theirs), matrix.contenders, "mean")
    lines = {
        f"here, {count(n, 'set')}": ours,
        "published, the same sets": mean,
        f"published, all {len(theirs)}": everywhere,
    }
    rows = [[name, *(f"{value:.1f}" for value in values.mean(0))] for name, values in lines.items()]
    rows.append(["difference", *(signed(value, 1) for value in (ours - mean).mean(0))])
    return table(["", *names_of(matrix.contenders)], rows)


def soft_and_refine(ours: Floats, mean: Floats, matrix: Matrix) -> str:
    """On how many sets soft is better than refine, here and published."""
    lines = []
    for detector in dict.fromkeys(who.detector for who in matrix.contenders):
        at = {who.exposure: place for place, who in enumerate(matrix.contenders) if who.detector == detector}
        if {"soft", "refine"} <= set(at):
            pair = [at["soft"], at["refine"]]
            both = [win_tie_loss(values[:, pair].round(1), tie=0)[0, 1] for values in (ours, mean)]
            lines.append([detector, *("/".join(map(str, found)) for found in both)])
    head = "`soft` against `refine`, sets won/tied/lost; equal to a tenth of a point is a tie.\n\n"
    return head + table(["objective", "here", "published"], lines) if lines else ""


def sets_table(matrix: Matrix, at: Sequence[int], here: tuple[Floats, Floats], theirs: tuple[Floats, Floats]) -> str:
    """Ours beside the published; an arrow where ours is more than two published standard deviations lower."""
    low = short(theirs[0], here[0], theirs[1])
    rows = []
    for i, name in enumerate(matrix.datasets):
        line = [name]
        for j in at:
            arrow = " ↓" if low[i, j] else ""
            line += [with_std(here[0][i, j], here[1][i, j], 1) + arrow, with_std(theirs[0][i, j], theirs[1][i, j], 1)]
        rows.append(line)
    header = ["data set"] + [text for j in at for text in (f"{matrix.contenders[j].exposure}, here", "published")]
    return table(header, rows)


def shortfalls(matrix: Matrix, ours: Floats, mean: Floats, spread: Floats) -> str:
    """Every cell that is far below the published one."""
    low, high = short(mean, ours, spread), short(-mean, -ours, spread)
    rows = [
        [matrix.datasets[i], str(matrix.contenders[j]), *shown]
        for i, j in np.argwhere(low)
        for shown in [(f"{ours[i, j]:.1f}", with_std(mean[i, j], spread[i, j], 1), signed(ours[i, j] - mean[i, j], 1))]
    ]
    said = (
        f"Cells that are more than two published standard deviations lower here (↓ above): {int(low.sum())} of "
        f"{low.size}; more than two higher: {int(high.sum())}; between: {int((~low & ~high).sum())}. Where the "
        "published standard deviation is 0, one point stands for it."
    )
    return f"{said}\n\n" + table(["data set", "contender", "here", "published", "difference"], rows)


def time_section(page: Page, rows: pa.Table) -> None:
    """Seconds of fitting per set and objective, and their sums."""
    seconds: dict[str, dict[str, float]] = {}
    shape: dict[str, tuple[int, int]] = {}
    columns = ("dataset", "detector", "fit_seconds", "n_train", "n_features")
    for name, detector, spent, n, d in zip(*(rows[column].to_pylist() for column in columns), strict=True):
        kind = seconds.setdefault(detector, {})
        kind[name] = kind.get(name, 0.0) + spent
        shape[name] = (n, d)
    order = sorted(shape, key=lambda name: -sum(kind.get(name, 0.0) for kind in seconds.values()))
    ordered = {detector: {name: seconds[detector][name] for name in order if name in seconds[detector]}
               for detector in sorted(seconds)}  # fmt: skip
    page.picture("time", dots(ordered, label="seconds of fitting"), "Seconds of fitting per data set and objective")
    lines = [
        [name, f"{shape[name][0]:,}", str(shape[name][1]), *(f"{kind.get(name, 0):,.0f}" for kind in ordered.values())]
        for name in order
    ]
    lines.append(["hours in all", "", "", *(f"{sum(kind.values()) / 3600:.1f}" for kind in ordered.values())])
    page.add(table(["data set", "training rows", "columns", *ordered], lines))
