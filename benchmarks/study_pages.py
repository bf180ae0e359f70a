"""Write the pages of the docs about the benchmark from its committed results: no number on them is typed.

Run ``python benchmarks/study_pages.py`` after a benchmark. It reads ``benchmarks/results/*.parquet`` and
``benchmarks/published_loe.json`` and writes ``docs/benchmark/*.md`` and the figures in ``docs/images/benchmark``. What
is to be said about the numbers stands in ``docs/benchmark/findings/<page>.md`` and is taken over as it is. Needs the
extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

import fit_cost
import share_estimates
from expose.evaluation import read_results
from expose.evaluation.summary import latest
from study_auto import auto_page, cost_section, estimates_section, paper_section
from study_default import default_page
from study_disjoint import disjoint_page
from study_paper import paper_page
from study_small import ablation_page, embeddings_page, large_page, sensitivity_page
from study_text import Page, intro

ROOT = Path(__file__).parent.parent
COMMAND = "python benchmarks/run_study.py {} --data-dir DIR"
PUBLISHED = Path(__file__).parent / "published_loe.json"


class Study(NamedTuple):
    """A file of results and the page made of it."""

    page: str
    results: str
    title: str
    write: Callable[[Page, pa.Table], None]


def paper(page: Page, rows: pa.Table) -> None:
    """Compare with the published table."""
    paper_page(page, rows, json.loads(PUBLISHED.read_text(encoding="utf-8")))


def auto(page: Page, rows: pa.Table) -> None:
    """Compare with the baselines of the study before, and add what was measured beside it."""
    committed = ROOT / "benchmarks" / "results"
    auto_page(page, rows, latest(read_results(committed / "disjoint.parquet")))
    paper_section(
        page, latest(read_results(committed / "auto_paper.parquet")), json.loads(PUBLISHED.read_text("utf-8"))
    )
    for script, add in ((share_estimates, estimates_section), (fit_cost, cost_section)):
        add(page, json.loads(script.RESULTS.read_text(encoding="utf-8")))


STUDIES = (
    Study("paper", "paper_tables", "The tables of the paper", paper),
    Study("disjoint", "disjoint", "Contamination that is not tested", disjoint_page),
    Study("sensitivity", "sensitivity", "A wrong assumption", sensitivity_page),
    Study("embeddings", "embeddings", "Image embeddings", embeddings_page),
    Study("auto", "auto", "The default, told nothing", auto),
    Study("default-ablation", "default_ablation", "The default taken apart", default_page),
    Study("large", "large", "Large sets", large_page),
    Study("ablation", "ablation", "One setting of NTL at a time", ablation_page),
)


def make(study: Study, results: Path, findings: Path) -> Page:
    """Make one page in memory."""
    file = f"{study.results}.parquet"
    everything = read_results(results / file)
    rows = latest(everything)
    page = Page(study.page)
    page.add(f"# {study.title}", intro(rows, file, COMMAND.format(study.results)))
    if rows.num_rows < everything.num_rows:
        page.add(f"{everything.num_rows - rows.num_rows:,} rows of older code or data are in the file and not used.")
    own = findings / f"{study.page}.md"
    if own.exists():
        page.add(own.read_text(encoding="utf-8"))
    study.write(page, rows)
    return page


def write(results: Path, docs: Path) -> list[str]:
    """Write all pages for which there are results; return their names."""
    pages, images = docs / "benchmark", docs / "images" / "benchmark"
    written = []
    for study in STUDIES:
        if not (results / f"{study.results}.parquet").exists():
            print(f"{study.page}.md is not written: there is no {study.results}.parquet")
            continue
        page = make(study, results, pages / "findings")
        for folder in (pages, images):
            folder.mkdir(parents=True, exist_ok=True)
        for old in images.glob(f"{study.page}-*.svg"):
            old.unlink()
        (pages / f"{study.page}.md").write_text(page.text, encoding="utf-8", newline="\n")
        for name, svg in page.figures.items():
            (images / name).write_text(svg, encoding="utf-8", newline="\n")
        written.append(study.page)
        print(f"{study.page}.md and {len(page.figures)} figures")
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the pages of the docs about the benchmark.")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of Parquet files")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the docs")
    chosen = parser.parse_args()
    write(chosen.results, chosen.docs)
