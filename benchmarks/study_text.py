"""What the pages of `study_pages.py` have in common: Markdown, the choice of rows, orders and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from expose.evaluation.figures import rank_diagram
from expose.evaluation.statistics import cliques, critical_difference, friedman, mean_ranks, wilcoxon_pairs
from expose.evaluation.summary import PLAIN, CellMean, Matrix, Who, cells, fill_plain, pivot

ALPHA = 0.05
COMMON = 0.8  # a contender with results on less than this share of the sets is not compared
DETECTORS = ("ntl", "icl", "svdd", "autoencoder")
EXPOSURES = ("blind", "as is", "refine", "hard", "soft")
METRICS = {  # column: name, whether higher is better
    "auroc": ("AUROC", True),
    "average_precision": ("average precision", True),
    "f1": ("F1", True),
    "f1_oracle": ("F1, oracle", True),
    "fpr": ("false positives", False),
    "fpr_at_95": ("false positives at 95 %", False),
}


@dataclass
class Page:
    """A page of the docs in the making, and its figures by file name."""

    name: str
    parts: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def add(self, *parts: str) -> None:
        """Add paragraphs, headings or tables."""
        self.parts += [part for part in parts if part]

    def picture(self, name: str, svg: str, says: str) -> None:
        """Add a figure."""
        file = f"{self.name}-{name}.svg"
        self.figures[file] = svg
        self.add(f"![{says}](../images/benchmark/{file})")

    @property
    def text(self) -> str:
        """The whole page."""
        return "\n\n".join(part.strip("\n") for part in self.parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers to the right."""
    lines = [f"| {' | '.join(header)} |", "|" + "|".join(["---"] + ["--:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def intro(rows: pa.Table, file: str, command: str) -> str:
    """Say what was run and how the page is remade."""
    datasets, seeds = set(rows["dataset"].to_pylist()), sorted(set(rows["seed"].to_pylist()))
    days = sorted({text[:10] for text in rows["finished"].to_pylist() if text})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    protocols = ", ".join(f"`{name}`" for name in sorted(set(rows["protocol"].to_pylist())))
    settings = ", ".join(f"`{name}`" for name in sorted(set(rows["settings"].to_pylist())))
    return (
        f"Protocol {protocols} (see [How good is it?](../evaluation.md#protocols)), "
        f"{count(len(datasets), 'data set')}, "
        f"seeds {', '.join(map(str, seeds))}, {caps(rows)}; settings {settings}. The {rows.num_rows:,} runs were "
        f"finished {'on' if len(days) == 1 else 'from'} {when}. This page is generated from "
        f"`benchmarks/results/{file}` by `python benchmarks/study_pages.py`, and the results are remade by "
        f"`{command}`; do not edit it by hand."
    )


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


def count(number: int, thing: str) -> str:
    """Such as "1 set" and "2 sets"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, without needless digits."""
    return f"{100 * share:.3g} %"


def p_value(p: float) -> str:
    """A p-value, bold where it is significant."""
    text = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"**{text}**" if p < ALPHA else text


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign; what rounds to nothing has a plus."""
    return f"{round(float(value), digits) + 0.0:+.{digits}f}"


def with_std(mean: float, std: float, digits: int = 3) -> str:
    """Such as "0.812 ± 0.010"; without spread where there was one seed."""
    return f"{mean:.{digits}f}" + ("" if np.isnan(std) else f" ± {std:.{digits}f}")


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


def comparable(found: Sequence[CellMean]) -> tuple[Matrix, str]:
    """A matrix of sets by contenders, sorted, and a sentence about what is missing from it."""
    sets: dict[Who, set[str]] = {}
    for cell in found:
        sets.setdefault(cell.who, set()).add(cell.dataset)
    total = len(set().union(*sets.values()))
    kept = sorted((who for who, theirs in sets.items() if len(theirs) >= COMMON * total), key=sort_key)
    matrix = pivot((cell for cell in found if cell.who in kept), kept)
    said = [f"not compared, with results on fewer than {percent(COMMON)} of the sets: {', '.join(few)}"
            for few in [names_of(sorted(set(sets) - set(kept), key=sort_key))] if few]  # fmt: skip
    said += [
        f"left out: {name} (no result of {', '.join(names_of(without))})" for name, without in matrix.left_out.items()
    ]
    text = "; ".join(said)
    return matrix, f"{text[0].upper()}{text[1:]}." if text else ""


def columns_of(matrix: Matrix, wanted: Iterable[Who]) -> Matrix:
    """Some columns of a matrix."""
    chosen = [who for who in matrix.contenders if who in set(wanted)]
    at = [matrix.contenders.index(who) for who in chosen]
    return Matrix(matrix.values[:, at], matrix.datasets, tuple(chosen), matrix.left_out)


# ---------------------------------------------------------------------------------------------------------- sections


def ranks_section(page: Page, name: str, matrix: Matrix, what: str) -> None:
    """Critical-difference diagram with its test."""
    n, k = matrix.values.shape
    if n < 2 or k < 3:
        page.add(f"No ranks by {what}: {count(n, 'data set')} and {count(k, 'contender')} are too few.")
        return
    ranks = mean_ranks(matrix.values)
    difference = critical_difference(k, n, ALPHA)
    groups = cliques(ranks, np.abs(ranks[:, None] - ranks) > difference)
    svg = rank_diagram(names_of(matrix.contenders), ranks, groups, difference=difference)
    page.picture(name, svg, f"Critical-difference diagram: mean ranks by {what}")
    test = friedman(matrix.values)
    chi, f = ("p < 0.001" if p < 0.001 else f"p = {p:.3f}" for p in (test.p_chi_square, test.p_f))
    page.add(
        f"Mean ranks by {what} over {count(n, 'data set')}, 1 is best; bars join contenders whose ranks differ by less "
        f"than Nemenyi's critical difference at {percent(ALPHA)}. Friedman's test of all being alike: χ² = "
        f"{test.chi_square:.1f} ({chi}); Iman and Davenport's F = {test.f:.2f} ({f}), as in Demšar 2006."
    )


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


def sets_table(found: Iterable[CellMean], contenders: Sequence[Who]) -> str:
    """Mean of every set for these contenders, the best of each set in bold."""
    means = {(cell.dataset, cell.who): cell.mean for cell in found}
    rows = []
    for name in sorted({dataset for dataset, _ in means}):
        line = [means.get((name, who), np.nan) for who in contenders]
        top = np.nanmax(line) if not np.all(np.isnan(line)) else np.nan
        cells_ = ["" if np.isnan(v) else f"**{v:.3f}**" if round(v, 3) == round(top, 3) else f"{v:.3f}" for v in line]
        rows.append([name, *cells_])
    return table(["data set", *names_of(contenders)], rows)
