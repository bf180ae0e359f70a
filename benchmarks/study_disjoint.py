"""The page about disjoint contamination: every contender at every true ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.evaluation.figures import Curve, curves
from expose.evaluation.statistics import holm, mean_ranks, signed_rank, win_tie_loss
from expose.evaluation.summary import PLAIN, CellMean, Matrix, pivot
from study_text import (
    ALPHA,
    METRICS,
    Page,
    baseline,
    columns_of,
    comparable,
    count,
    measured,
    names_of,
    p_value,
    percent,
    ranks_section,
    sets_table,
    signed,
    sort_key,
    table,
    trimmed,
)

REFERENCES = (("IsolationForest", "as is"), ("kNN", "as is"))
MAIN_RATIO = 0.1
TIE = 0.01  # AUROC
Cells = dict[str, list[CellMean]]  # of each metric


def disjoint_page(page: Page, rows: pa.Table) -> None:
    """Add everything below the introduction."""
    found = {metric: measured(rows, metric) for metric in METRICS}
    ratios = sorted({cell.true_ratio for cell in found["auroc"]})
    main = min(ratios, key=lambda ratio: abs(ratio - MAIN_RATIO))
    page.add(
        "Every contender is told the share of anomalies that the training rows really hold. F1 and false positives are "
        "those of its own threshold; *oracle* is F1 at the true share of the test set. Trimmed baselines drop once or "
        "twice the assumed share of the training rows by their own scores and are fitted again. Where nothing is "
        "assumed, all exposures are `blind` and trimming drops nothing: one fit stands for all of them."
    )
    matrix, said = comparable(at_ratio(found["auroc"], main))
    page.add("## Over the ratio", said)
    curves_section(page, found, ratios)
    page.add(f"## Ranks at {percent(main)}")
    ranks_section(page, "ranks", columns_of(matrix, [w for w in matrix.contenders if not trimmed(w)]), "AUROC")
    classical = [who for who in matrix.contenders if baseline(who)]
    if any(map(trimmed, classical)):
        ranks_section(page, "ranks-trimmed", columns_of(matrix, classical), "AUROC, baselines only")
    page.add(f"## Against {' and '.join(name for name, _ in REFERENCES)}, at {percent(main)}")
    page.add(references_table(matrix), "## Against the plain version of the same detector")
    page.add(plain_table(found["auroc"], ratios), "## Means")
    for ratio in ratios:
        page.add(f"### {percent(ratio)}", *means_at(found, ratio))
    page.add(f"## Set by set, AUROC at {percent(main)}", *per_set(at_ratio(found["auroc"], main)))
    page.add("## Where the pool of anomalies was too small", reached_table(rows))


def at_ratio(found: Sequence[CellMean], ratio: float) -> list[CellMean]:
    """Cells of one true ratio."""
    return [cell for cell in found if cell.true_ratio == ratio]


def curves_section(page: Page, found: Cells, ratios: Sequence[float]) -> None:
    """Means over the sets that are complete at all ratios."""
    matrices = [comparable(at_ratio(found["auroc"], ratio))[0] for ratio in ratios]
    sets = sorted(set.intersection(*(set(matrix.datasets) for matrix in matrices)))
    where = {
        who: [ratio for ratio, matrix in zip(ratios, matrices, strict=True) if who in matrix.contenders]
        for who in sorted({who for matrix in matrices for who in matrix.contenders}, key=sort_key)
    }
    shown = [who for who, theirs in where.items() if len(theirs) > 1 and not trimmed(who)]
    for metric in ("auroc", "f1"):
        name = METRICS[metric][0]
        places = {(cell.dataset, cell.true_ratio, cell.who): cell for cell in found[metric]}
        panels: dict[str, dict[str, Curve]] = {}
        for who in shown:
            cells = [[places[dataset, ratio, who] for dataset in sets] for ratio in where[who]]
            means = np.array([[cell.mean for cell in row] for row in cells])
            stds = np.nan_to_num([[cell.std for cell in row] for row in cells])
            line = Curve(where[who], means.mean(1).tolist(), (np.sqrt((stds**2).sum(1)) / len(sets)).tolist())
            title, label = ("baselines", str(who)) if baseline(who) else (who.detector, who.exposure)
            panels.setdefault(title, {})[label] = line
        svg = curves(panels, xlabel="anomalies in training, %", ylabel=f"mean {name}")
        page.picture(f"curves-{metric}", svg, f"Mean {name} over the share of anomalies in training")
    page.add(
        f"Means over the {count(len(sets), 'data set')} with the results of all contenders at each ratio. The band is "
        "one standard deviation of this mean from seed to seed. Grey: the contenders of the other panels."
    )


def references_table(matrix: Matrix) -> str:
    """Wins, ties and losses against the references, with p-values corrected over all contenders."""
    there = [who for names in REFERENCES for who in matrix.contenders if who[:2] == names]
    if not there:
        return ""
    counts = win_tie_loss(matrix.values, tie=TIE)
    columns = []
    for reference in there:
        j = matrix.contenders.index(reference)
        others = [i for i in range(len(matrix.contenders)) if i != j]
        adjusted = dict(
            zip(others, holm([signed_rank(matrix.values[:, i] - matrix.values[:, j]) for i in others]), strict=True)
        )
        columns.append([["", "", ""] if i == j else
                        ["/".join(map(str, counts[i, j])), signed(np.mean(matrix.values[:, i] - matrix.values[:, j])),
                         p_value(adjusted[i])] for i in range(len(matrix.contenders))])  # fmt: skip
    rows = [[name, *(text for column in columns for text in column[i])]
            for i, name in enumerate(names_of(matrix.contenders))]  # fmt: skip
    said = (
        f"Sets won/tied/lost by AUROC over {count(len(matrix.datasets), 'data set')} (a difference up to {TIE:g} is a "
        "tie), mean difference, and the p-value of Wilcoxon's signed-rank test after Holm's correction over all "
        f"contenders of the column, bold below {ALPHA:g}."
    )
    header = ["contender"] + [text for who in there for text in (f"against {who}", "difference", "p")]
    return f"{said}\n\n" + table(header, rows)


def plain_table(found: Sequence[CellMean], ratios: Sequence[float]) -> str:
    """Every other exposure against `blind`, every trimmed baseline against the same as it is."""
    contenders = sorted({cell.who for cell in found}, key=sort_key)
    plain = {(who.detector, who.settings): who for who in contenders if who.exposure in PLAIN}
    others = [who for who in contenders if who.exposure not in PLAIN and (who.detector, who.settings) in plain]
    shown = [ratio for ratio in ratios if ratio > 0]
    columns = []
    for ratio in shown:
        cells = at_ratio(found, ratio)
        pairs = [(who, plain[who.detector, who.settings]) for who in others]
        there = {cell.who for cell in cells}
        matrices = [pivot([c for c in cells if c.who in pair], pair) if there >= set(pair) else None for pair in pairs]
        p_values = iter(holm([signed_rank(gap_of(matrix)) for matrix in matrices if matrix is not None]))
        columns.append(["" if matrix is None else gap_text(matrix, next(p_values)) for matrix in matrices])
    rows = [[name, *(column[i] for column in columns)] for i, name in enumerate(names_of(others))]
    said = (
        "Mean difference in AUROC to `blind`, or to the baseline as it is, and sets won/tied/lost (a difference up to "
        f"{TIE:g} is a tie), over all sets that have both. Bold: p < {ALPHA:g} in Wilcoxon's signed-rank test after "
        "Holm's correction over the column."
    )
    return f"{said}\n\n" + table(["contender", *map(percent, shown)], rows) if rows else ""


def gap_of(matrix: Matrix) -> NDArray[np.float64]:
    """How much better the first of two contenders is on each set."""
    return matrix.values[:, 0] - matrix.values[:, 1]


def gap_text(matrix: Matrix, p: float) -> str:
    """Mean difference of two contenders, bold where it is significant, and wins, ties and losses."""
    text = signed(gap_of(matrix).mean())
    return f"{f'**{text}**' if p < ALPHA else text} ({'/'.join(map(str, win_tie_loss(matrix.values, tie=TIE)[0, 1]))})"


def means_at(found: Cells, ratio: float) -> list[str]:
    """All metrics at one ratio, best mean rank first."""
    cells = [cell for cell in at_ratio(found["auroc"], ratio) if ratio > 0 or cell.who.exposure in PLAIN]
    matrix, said = comparable(cells)
    ranks = mean_ranks(matrix.values)
    columns = []
    for metric in METRICS:
        one = [cell for cell in at_ratio(found[metric], ratio) if cell.dataset in matrix.datasets]
        columns.append(pivot(one, matrix.contenders).values.mean(0))
    names = names_of(matrix.contenders)
    rows = [[names[i], f"{ranks[i]:.2f}", *(f"{column[i]:.3f}" for column in columns)]
            for i in np.argsort(ranks, kind="stable")]  # fmt: skip
    header = ["contender", "mean rank (AUROC)", *(name for name, _ in METRICS.values())]
    return [f"Means over {count(len(matrix.datasets), 'data set')}. {said}".strip(), table(header, rows)]


def per_set(found: Sequence[CellMean]) -> list[str]:
    """One table for the objectives, one for the baselines as they are."""
    contenders = sorted({cell.who for cell in found}, key=sort_key)
    groups = [[who for who in contenders if not baseline(who)],
              [who for who in contenders if baseline(who) and not trimmed(who)]]  # fmt: skip
    tables = [sets_table([cell for cell in found if cell.who in group], group) for group in groups if group]
    return ["Bold is the best of its row in this table.", *tables] if tables else []


def reached_table(rows: pa.Table) -> str:
    """Sets of which at least one more anomaly would have been wanted."""
    columns = ("dataset", "true_ratio", "reached_ratio", "n_train")
    short: dict[str, dict[float, float]] = {}
    wanted: set[float] = set()
    for name, ratio, reached, n in zip(*(rows[column].to_pylist() for column in columns), strict=True):
        if (ratio - reached) * n >= 1:
            wanted.add(ratio)
            short.setdefault(name, {})[ratio] = reached
    if not short:
        return "Every wanted ratio was reached on every set."
    ratios = sorted(wanted)
    lines = [
        [name, *(percent(found[r]) if r in found else "" for r in ratios)] for name, found in sorted(short.items())
    ]
    said = "Half of the anomalies at most go into training; the other half is tested. Reached where that was too few:"
    return f"{said}\n\n" + table(["data set", *(f"wanted {percent(ratio)}" for ratio in ratios)], lines)
