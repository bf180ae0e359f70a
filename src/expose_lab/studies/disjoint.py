"""The honest protocol: every contender at every true ratio, on tables and on embeddings of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expose_lab.classical import BASELINES
from expose_lab.contenders import PLAIN, baselines, ours
from expose_lab.datasets import EMBEDDINGS
from expose_lab.pages import Page, count, percent, signed, table
from expose_lab.statistics import holm, signed_rank, win_tie_loss
from expose_lab.studies import loe_images, mvtec_embeddings
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import (
    ALPHA,
    GROUPS,
    METRICS,
    TIE,
    at_ratio,
    baseline,
    columns_of,
    comparable,
    curves_of,
    intro,
    means_at,
    measured,
    names_of,
    p_value,
    per_set,
    plain_table,
    ranks,
    ratios_of,
    reached_table,
    results,
    trimmed,
)
from expose_lab.summary import Matrix

RATIOS = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3]
REFERENCES = (("IsolationForest", "as is"), ("kNN", "as is"))
MAIN_RATIO = 0.1


def tables(groups: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The classical and ours, on the tables of these groups; ICL at two ratios, on the old ones only."""
    for who in (baselines(BASELINES), ours(["ntl"], settings="brief")):
        yield from ({**GROUPS[name].grid, "contenders": who, "true_ratios": RATIOS} for name in groups)
    if "old" in groups:
        icl = ours(["icl"], settings="brief")
        yield {**GROUPS["old"].grid, "contenders": icl, "true_ratios": [0.0, 0.1]}


def embeddings() -> Iterator[Mapping[str, Any]]:
    """Image features."""
    who = ours(["ntl"], settings="brief") + baselines(["IsolationForest", "kNN", "PCA"], trimmed=[1])
    yield {"datasets": EMBEDDINGS, "contenders": who, "true_ratios": [0.0, 0.1, 0.2]}


def common_context(page: Page, study: str, group: str = "") -> dict[str, Any]:
    """What both pages show."""
    rows = results(page, study, group)
    found = {metric: measured(rows, metric) for metric in METRICS}
    return {
        "intro": intro(page, study, group),
        "found": found,
        "ratios": ratios_of(found),
        "curves": curves_of(page, found) if len(ratios_of(found)) > 1 else "",
        "plain_table": plain_table(found["auroc"], ratios_of(found)),
        "means_at": lambda ratio: means_at(found, ratio),
        "reached": reached_table(rows),
    }


def tables_page(page: Page) -> dict[str, Any]:
    """Ranks and references at the main ratio, means at all, of the old tables; the page of the default has the rest."""
    common = common_context(page, "disjoint", "old")
    main = min(common["ratios"], key=lambda ratio: abs(ratio - MAIN_RATIO))
    here = at_ratio(common["found"]["auroc"], main)
    matrix, said = comparable(here)
    classical = [who for who in matrix.contenders if baseline(who)]
    untrimmed = [who for who in matrix.contenders if not trimmed(who)]
    sections = [ranks(page, "disjoint-ranks", columns_of(matrix, untrimmed), "AUROC")]
    if any(map(trimmed, classical)):
        sections.append(ranks(page, "disjoint-ranks-trimmed", columns_of(matrix, classical), "AUROC, baselines only"))
    return common | {
        "main": percent(main),
        "left_out": said,
        "ranks": "\n\n".join(sections),
        "references": " and ".join(name for name, _ in REFERENCES),
        "references_table": references_table(matrix),
        "others": sum(results(page, "disjoint", name).num_rows for name in GROUPS if name != "old"),
        "per_set": per_set(here),
    }


def references_table(matrix: Matrix) -> str:
    """Wins, ties and losses against the references, with p-values corrected over all contenders."""
    there = [who for names in REFERENCES for who in matrix.contenders if who[:2] == names]
    if not there:
        return ""
    counts, k = win_tie_loss(matrix.values, tie=TIE), len(matrix.contenders)
    columns = []
    for reference in there:
        j = matrix.contenders.index(reference)
        gaps = {i: matrix.values[:, i] - matrix.values[:, j] for i in range(k) if i != j}
        adjusted = dict(zip(gaps, holm([signed_rank(gap) for gap in gaps.values()]), strict=True))
        columns.append([["", "", ""] for _ in range(k)])
        for i, gap in gaps.items():
            columns[-1][i] = ["/".join(map(str, counts[i, j])), signed(float(gap.mean())), p_value(adjusted[i])]
    names = names_of(matrix.contenders)
    rows = [[name, *(text for column in columns for text in column[i])] for i, name in enumerate(names)]
    said = (
        f"Sets won/tied/lost by AUROC over {count(len(matrix.datasets), 'data set')} (a difference up to {TIE:g} is a "
        "tie), mean difference, and the p-value of Wilcoxon's signed-rank test after Holm's correction over all "
        f"contenders of the column, bold below {ALPHA:g}."
    )
    header = ["contender"] + [text for who in there for text in (f"against {who}", "difference", "p")]
    return f"{said}\n\n" + table(header, rows)


def embeddings_page(page: Page) -> dict[str, Any]:
    """The same of embeddings, set by set at each ratio."""
    common = common_context(page, "embeddings")

    def at(ratio: float) -> str:
        here = at_ratio(common["found"]["auroc"], ratio)
        return per_set([cell for cell in here if ratio > 0 or cell.who.exposure in PLAIN])

    known = loe_images.summary(page) if page.has("loe_images") else None
    mvtec = mvtec_embeddings.section(page) if page.has("mvtec_embeddings") else None
    return common | {"per_set": at, "images": known, "mvtec": mvtec}


STUDIES = [
    Benchmark(
        "disjoint",
        "the honest protocol at 0 to 30 %: NTL, ICL and nine classical detectors on all tables",
        cells=tables,
        options={"groups": list(GROUPS)},
        page="benchmark/disjoint.md",
        context=tables_page,
    ),
    Benchmark(
        "embeddings",
        "the same on embeddings of images, 0 to 20 %",
        cells=embeddings,
        page="benchmark/embeddings.md",
        context=embeddings_page,
    ),
]
