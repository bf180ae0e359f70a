"""What the pages of benchmarks share: which rows are compared, in which order, and tables of contenders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose_lab.contenders import PLAIN
from expose_lab.datasets import EXTRA_TABLES, MIXED_TABLES, MORE_TABLES, PAPER_TABLES
from expose_lab.figures import Curve, curves, rank_diagram
from expose_lab.pages import Page, count, percent, signed, table
from expose_lab.statistics import (
    cliques,
    critical_difference,
    friedman,
    holm,
    mean_ranks,
    signed_rank,
    wilcoxon_pairs,
    win_tie_loss,
)
from expose_lab.summary import CellMean, Matrix, Who, cells, fill_plain, latest, pivot

TABLES = [name for name in PAPER_TABLES if name != "speech"]  # speech is not to be had
ALL_TABLES = [*TABLES, *EXTRA_TABLES]


class Group(NamedTuple):
    """Tables whose means stand apart on the pages, under what title, and the caps of their grids."""

    tables: list[str]
    title: str
    caps: dict[str, int]

    @property
    def grid(self) -> dict[str, Any]:
        """Its part of the keywords of `expose_lab.bench`."""
        return {"datasets": self.tables, **self.caps}


GROUPS = {
    "old": Group(ALL_TABLES, "", {}),
    "more": Group([*MORE_TABLES], "More numeric tables", {}),
    "mixed": Group([*MIXED_TABLES], "Tables with categories and missing values", {"train_rows": 3_000}),
}
LARGE = ["cover", "http", "kdd", "kddrev", "mulcross", "shuttle"]
ALPHA = 0.05
COMMON = 0.8  # a contender with results on less than this share of the sets is not compared
TIE = 0.01  # AUROC
DETECTORS = ("ntl", "icl", "svdd", "autoencoder")
EXPOSURES = ("blind", "as is", "refine", "hard", "soft")
METRICS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "f1_oracle": "F1, oracle",
    "fpr": "false positives",
    "fpr_at_95": "false positives at 95 %",
}
Cells = dict[str, list[CellMean]]  # of each metric


def results(page: Page, study: str, group: str = "") -> pa.Table:
    """The rows of a benchmark, perhaps of one group, of runs that differ in code or versions only the last."""
    rows = latest(page.table(study))
    return of_sets(rows, GROUPS[group].tables) if group else rows


def of_sets(rows: pa.Table, names: Collection[str]) -> pa.Table:
    """The rows of some data sets."""
    return rows.filter(pa.array([name in names for name in rows["dataset"].to_pylist()], pa.bool_()))


def intro(page: Page, study: str, group: str = "") -> str:
    """Say what was run, perhaps of one group only, and how the page is remade."""
    everything = page.table(study)
    everything = of_sets(everything, GROUPS[group].tables) if group else everything
    rows = latest(everything)
    seeds, days = sorted(set(rows["seed"].to_pylist())), sorted({text[:10] for text in rows["finished"].to_pylist()})
    sets = set(rows["dataset"].to_pylist())
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    protocols, settings = (
        ", ".join(f"`{name}`" for name in sorted(set(rows[column].to_pylist()))) for column in ("protocol", "settings")
    )
    said = (
        f"Protocol {protocols} (see [How good is it?](../evaluation.md#protocols)), {count(len(sets), 'data set')}, "
        f"seeds {', '.join(map(str, seeds))}, {caps(rows)}; "
        f"settings {settings}. The {rows.num_rows:,} runs were finished {'on' if len(days) == 1 else 'from'} {when}. "
        f"This page is generated from `benchmarks/results/{study}.parquet` by `python -m expose_lab.study {study} "
        f"--page`, and the results are remade by `python -m expose_lab.study {study} --data-dir DIR`; do not edit it "
        "by hand."
    )
    older = everything.num_rows - rows.num_rows
    return said + (f"\n\n{older:,} rows of older code or data are in the file and not used." if older else "")


def caps(rows: pa.Table) -> str:
    """Say how many rows were used at most."""
    pairs = sorted(set(zip(rows["train_rows"].to_pylist(), rows["test_rows"].to_pylist(), strict=True)), key=str)
    if pairs == [(None, None)]:
        return "all rows"
    said = [
        " and ".join(
            f"{'all' if most is None else f'at most {most:,}'} normal rows {side}"
            for most, side in zip(pair, ("for training", "for testing"), strict=True)
        )
        for pair in pairs
    ]
    return " or ".join(said)


# ------------------------------------------------------------------------------------------------ who and which rows


def baseline(who: Who) -> bool:
    """Whether it is a classical detector."""
    return who.settings == "standard"


def trimmed(who: Who) -> bool:
    """Whether it is a baseline that is fitted again without what it found suspicious."""
    return baseline(who) and who.exposure not in PLAIN


def sort_key(who: Who) -> tuple[Any, ...]:
    """Objectives of expose first, then baselines; exposures from `blind` to `soft`."""
    detector = DETECTORS.index(who.detector) if who.detector in DETECTORS else len(DETECTORS)
    exposure = EXPOSURES.index(who.exposure) if who.exposure in EXPOSURES else len(EXPOSURES)
    return (baseline(who), detector, who.detector.lower(), who.settings, exposure, who.exposure)


def contenders_of(found: Iterable[CellMean]) -> list[Who]:
    """Who occurs, in order."""
    return sorted({cell.who for cell in found}, key=sort_key)


def names_of(contenders: Iterable[Who]) -> list[str]:
    """Names, with the settings where they are needed to tell two apart."""
    everyone = list(contenders)
    texts = [str(who) for who in everyone]
    return [f"{t} ({w.settings})" if texts.count(t) > 1 else t for t, w in zip(texts, everyone, strict=True)]


def told_truth(found: Iterable[CellMean]) -> list[CellMean]:
    """Cells in which the true share was assumed; as "true" where it was also given as a number."""
    best: dict[tuple[Any, ...], CellMean] = {}
    for cell in found:
        key = (cell.dataset, cell.protocol, cell.true_ratio, cell.who)
        if cell.assumes_truth and (key not in best or cell.assumed == "true"):
            best[key] = cell
    return list(best.values())


def measured(rows: pa.Table, metric: str) -> list[CellMean]:
    """Cells told the truth, those included for which a plain contender stands."""
    return told_truth(fill_plain(cells(rows, metric)))


def at_ratio(found: Sequence[CellMean], ratio: float) -> list[CellMean]:
    """Cells of one true ratio."""
    return [cell for cell in found if cell.true_ratio == ratio]


def ratios_of(found: Cells) -> list[float]:
    """The true ratios that occur."""
    return sorted({cell.true_ratio for cell in found["auroc"]})


def comparable(found: Sequence[CellMean]) -> tuple[Matrix, str]:
    """A matrix of sets by contenders, sorted, and a sentence about what is missing from it."""
    sets: dict[Who, set[str]] = {}
    for cell in found:
        sets.setdefault(cell.who, set()).add(cell.dataset)
    total = len(set().union(*sets.values()))
    kept = sorted((who for who, theirs in sets.items() if len(theirs) >= COMMON * total), key=sort_key)
    matrix = pivot((cell for cell in found if cell.who in kept), kept)
    few = names_of(sorted(set(sets) - set(kept), key=sort_key))
    said = [f"not compared, with results on fewer than {percent(COMMON)} of the sets: {', '.join(few)}"] if few else []
    said += [f"left out: {name} (no result of {', '.join(names_of(who))})" for name, who in matrix.left_out.items()]
    text = "; ".join(said)
    return matrix, f"{text[0].upper()}{text[1:]}." if text else ""


def columns_of(matrix: Matrix, wanted: Iterable[Who]) -> Matrix:
    """Some columns of a matrix."""
    chosen = [who for who in matrix.contenders if who in set(wanted)]
    at = [matrix.contenders.index(who) for who in chosen]
    return Matrix(matrix.values[:, at], matrix.datasets, tuple(chosen), matrix.left_out)


# ---------------------------------------------------------------------------------------------------------- sections


def ranks(page: Page, file: str, matrix: Matrix, what: str) -> str:
    """Critical-difference diagram with its test."""
    n, k = matrix.values.shape
    if n < 2 or k < 3:
        return f"No ranks by {what}: {count(n, 'data set')} and {count(k, 'contender')} are too few."
    places = mean_ranks(matrix.values)
    difference = critical_difference(k, n, ALPHA)
    groups = cliques(places, np.abs(places[:, None] - places) > difference)
    svg = rank_diagram(names_of(matrix.contenders), places, groups, difference=difference)
    test = friedman(matrix.values)
    chi, f = ("p < 0.001" if p < 0.001 else f"p = {p:.3f}" for p in (test.p_chi_square, test.p_f))
    return (
        page.picture(f"benchmark/{file}.svg", svg, f"Critical-difference diagram: mean ranks by {what}")
        + f"\n\nMean ranks by {what} over {count(n, 'data set')}, 1 is best; bars join contenders whose ranks differ "
        f"by less than Nemenyi's critical difference at {percent(ALPHA)}. Friedman's test of all being alike: χ² = "
        f"{test.chi_square:.1f} ({chi}); Iman and Davenport's F = {test.f:.2f} ({f}), as in Demšar 2006."
    )


def p_value(p: float) -> str:
    """A p-value, bold where it is significant."""
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"**{text}**" if p < ALPHA else text


def with_std(mean: float, std: float, digits: int = 3) -> str:
    """Such as "0.812 ± 0.010"; without spread where there was one seed."""
    return f"{mean:.{digits}f}" + ("" if np.isnan(std) else f" ± {std:.{digits}f}")


def pairs_table(matrix: Matrix, wins: Any) -> str:
    """Adjusted p-values above the diagonal, wins, ties and losses below it."""
    if min(matrix.values.shape) < 2:
        return "Too few data sets or contenders to compare."
    pairs = wilcoxon_pairs(matrix.values)
    names = names_of(matrix.contenders)
    rows = []
    for i, name in enumerate(names):
        below = ["/".join(map(str, wins[i, j])) for j in range(i)]
        above = [p_value(pairs.adjusted[i, j]) for j in range(i + 1, len(names))]
        rows.append([name, *below, "", *above])
    return table(["", *names], rows)


def curves_of(page: Page, found: Cells) -> str:
    """Pictures of means over the sets that are complete at all ratios."""
    ratios = ratios_of(found)
    matrices = [comparable(at_ratio(found["auroc"], ratio))[0] for ratio in ratios]
    sets = sorted(set.intersection(*(set(matrix.datasets) for matrix in matrices)))
    where = {
        who: [ratio for ratio, matrix in zip(ratios, matrices, strict=True) if who in matrix.contenders]
        for who in sorted({who for matrix in matrices for who in matrix.contenders}, key=sort_key)
    }
    shown = {who: theirs for who, theirs in where.items() if len(theirs) > 1 and not trimmed(who)}
    pictures = []
    for metric in ("auroc", "f1"):
        places = {(cell.dataset, cell.true_ratio, cell.who): cell for cell in found[metric]}
        panels: dict[str, dict[str, Curve]] = {}
        for who, theirs in shown.items():
            line = curve(theirs, [[places[dataset, ratio, who] for dataset in sets] for ratio in theirs])
            title, label = ("baselines", str(who)) if baseline(who) else (who.detector, who.exposure)
            panels.setdefault(title, {})[label] = line
        name = METRICS[metric]
        svg = curves(panels, xlabel="anomalies in training, %", ylabel=f"mean {name}")
        file = f"benchmark/{page.path.split('/')[-1].removesuffix('.md')}-curves-{metric}.svg"
        pictures.append(page.picture(file, svg, f"Mean {name} over the share of anomalies in training"))
    return "\n\n".join(pictures) + (
        f"\n\nMeans over the {count(len(sets), 'data set')} with the results of all contenders at each ratio. The band "
        "is one standard deviation of this mean from seed to seed. Grey: the contenders of the other panels."
    )


def curve(ratios: list[float], found: list[list[CellMean]]) -> Curve:
    """The mean over data sets at each ratio, and its standard deviation."""
    means = np.array([[cell.mean for cell in row] for row in found])
    stds = np.nan_to_num([[cell.std for cell in row] for row in found])
    return Curve(ratios, means.mean(1).tolist(), (np.sqrt((stds**2).sum(1)) / means.shape[1]).tolist())


def plain_table(found: Sequence[CellMean], ratios: Sequence[float]) -> str:
    """Every other exposure against `blind`, every trimmed baseline against the same as it is."""
    contenders = contenders_of(found)
    plain = {(who.detector, who.settings): who for who in contenders if who.exposure in PLAIN}
    others = [who for who in contenders if who.exposure not in PLAIN and (who.detector, who.settings) in plain]
    shown = [ratio for ratio in ratios if ratio > 0]
    columns = []
    for ratio in shown:
        here = at_ratio(found, ratio)
        pairs = [(who, plain[who.detector, who.settings]) for who in others]
        there = {cell.who for cell in here}
        matrices = [pivot([c for c in here if c.who in pair], pair) if there >= set(pair) else None for pair in pairs]
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


def means_at(found: Cells, ratio: float) -> str:
    """All metrics at one ratio, best mean rank first."""
    here = [cell for cell in at_ratio(found["auroc"], ratio) if ratio > 0 or cell.who.exposure in PLAIN]
    matrix, said = comparable(here)
    places = mean_ranks(matrix.values)
    columns = []
    for metric in METRICS:
        one = [cell for cell in at_ratio(found[metric], ratio) if cell.dataset in matrix.datasets]
        columns.append(pivot(one, matrix.contenders).values.mean(0))
    names = names_of(matrix.contenders)
    order = np.argsort(places, kind="stable")
    rows = [[names[i], f"{places[i]:.2f}", *(f"{column[i]:.3f}" for column in columns)] for i in order]
    header = ["contender", "mean rank (AUROC)", *METRICS.values()]
    return f"Means over {count(len(matrix.datasets), 'data set')}. {said}".strip() + "\n\n" + table(header, rows)


def per_set(found: Sequence[CellMean]) -> str:
    """One table for the objectives, one for the baselines as they are."""
    contenders = contenders_of(found)
    groups = [
        [who for who in contenders if not baseline(who)],
        [who for who in contenders if baseline(who) and not trimmed(who)],
    ]
    tables = [sets_table([cell for cell in found if cell.who in group], group) for group in groups if group]
    return "\n\n".join(["Bold is the best of its row in this table.", *tables]) if tables else ""


def sets_table(found: Iterable[CellMean], contenders: Sequence[Who]) -> str:
    """Mean of every set for these contenders, the best of each set in bold."""
    means = {(cell.dataset, cell.who): cell.mean for cell in found}
    rows = []
    for name in sorted({dataset for dataset, _ in means}):
        line = [means.get((name, who), np.nan) for who in contenders]
        top = np.nanmax(line) if not np.all(np.isnan(line)) else np.nan
        texts = ["" if np.isnan(v) else f"**{v:.3f}**" if round(v, 3) == round(top, 3) else f"{v:.3f}" for v in line]
        rows.append([name, *texts])
    return table(["data set", *names_of(contenders)], rows)


def reached_table(rows: pa.Table) -> str:
    """Sets of which at least one more anomaly would have been wanted."""
    columns = ("dataset", "true_ratio", "reached_ratio", "n_train")
    short: dict[str, dict[float, float]] = {}
    for name, ratio, reached, n in zip(*(rows[column].to_pylist() for column in columns), strict=True):
        if (ratio - reached) * n >= 1:
            short.setdefault(name, {})[ratio] = reached
    if not short:
        return "Every wanted ratio was reached on every set."
    ratios = sorted({ratio for found in short.values() for ratio in found})
    lines = [
        [name, *(percent(found[r]) if r in found else "" for r in ratios)] for name, found in sorted(short.items())
    ]
    said = "Half of the anomalies at most go into training; the other half is tested. Reached where that was too few:"
    return f"{said}\n\n" + table(["data set", *(f"wanted {percent(ratio)}" for ratio in ratios)], lines)
