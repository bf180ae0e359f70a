"""Large sets run whole: time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expose import AnomalyDetector
from expose_lab.contenders import baselines, ours
from expose_lab.figures import dots
from expose_lab.pages import Page, percent, table
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import LARGE, intro, names_of, results, sort_key, with_std
from expose_lab.summary import CellMean, Who, cells

COSTS = ("auroc", "average_precision", "fit_seconds", "score_seconds", "peak_mib")
SHOWN = {"fit_seconds": "seconds of fitting, one seed", "peak_mib": "memory, MiB"}
Found = Mapping[str, Mapping[tuple[str, Who], CellMean]]  # of each metric


def grids() -> Iterator[Mapping[str, Any]]:
    """NTL and a forest, told the true share, and the default, told nothing; no caps, one seed."""
    whole: dict[str, Any] = {"true_ratios": [0.1], "seeds": [0], "train_rows": None, "test_rows": None}
    told = ours(["ntl"], ["soft"]) + baselines(["IsolationForest"], trimmed=[])
    for name in LARGE:
        yield {"datasets": [name], "contenders": told, **whole}
        yield {
            "datasets": [name],
            "contenders": {"default": AnomalyDetector(device="cpu")},
            "assumed_ratios": ["auto"],
            **whole,
        }


def context(page: Page) -> dict[str, Any]:
    """Pictures by contender, and a table for each set."""
    rows = results(page, "large")
    columns = ("dataset", "n_train", "n_test", "n_features")
    shapes = {name: shape for name, *shape in zip(*(rows[column].to_pylist() for column in columns), strict=True)}
    found = {metric: cells(rows, metric) for metric in COSTS}

    def section(number: int, kind: tuple[str, float]) -> dict[str, Any]:
        here = {
            metric: {(c.dataset, c.who): c for c in some if (c.protocol, c.true_ratio) == kind}
            for metric, some in found.items()
        }
        names = sorted({name for name, _ in here["auroc"]}, key=lambda name: -shapes[name][0])
        pictures = []
        for metric, label in SHOWN.items():
            values = fewer_kinds({name: by_contender(here[metric], name) for name in names})
            file = f"benchmark/large-{metric.replace('_', '-')}-{number}.svg"
            pictures.append(page.picture(file, dots(values, label=label), f"By contender: {label}"))
        return {
            "protocol": kind[0],
            "ratio": percent(kind[1]),
            "pictures": "\n\n".join(pictures),
            "sets": {name: (shapes[name], set_table(here, name)) for name in names},
        }

    kinds = sorted({(cell.protocol, cell.true_ratio) for cell in found["auroc"]})
    return {"intro": intro(page, "large"), "sections": [section(*one) for one in enumerate(kinds)]}


def by_contender(here: Mapping[tuple[str, Who], CellMean], name: str) -> dict[str, float]:
    """Means of all contenders on one set."""
    there = sorted((who for dataset, who in here if dataset == name), key=sort_key)
    return {text: here[name, who].mean for text, who in zip(names_of(there), there, strict=True)}


def fewer_kinds(values: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Turn a table over where the names within are fewer than those outside."""
    inner = list(dict.fromkeys(text for some in values.values() for text in some))
    if len(inner) >= len(values):
        return values
    return {text: {name: some[text] for name, some in values.items() if text in some} for text in inner}


def set_table(here: Found, name: str) -> str:
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


STUDY = Benchmark(
    "large",
    "the large sets whole, one seed, each run in a process of its own",
    cells=grids,
    page="benchmark/large.md",
    context=context,
    apart=True,
)
