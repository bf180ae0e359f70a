"""Write the page of the docs about p-values and thresholds from `results/p_values.json`: no number on it is typed.

    python benchmarks/study_decisions.py

What is to be said about the numbers stands in ``docs/benchmark/findings/decisions.md`` and is taken over as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from study_text import table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "p_values.json"
PAGE = ROOT / "docs" / "benchmark" / "decisions.md"
FINDINGS = ROOT / "docs" / "benchmark" / "findings" / "decisions.md"
RULES = {
    "contamination": "`None`: the estimated contamination",
    "mixture": '`"mixture"`',
    "tail": '`"tail"`, 1 %',
    "conformal": '`"conformal"`, 5 %, by folds',
}
Row = dict[str, Any]


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def mean_over(rows: list[Row], value: Callable[[Row], float]) -> float:
    """Mean over seeds, then over sets, so that each set counts once."""
    sets = sorted({row["set"] for row in rows})
    return float(np.mean([np.mean([value(row) for row in rows if row["set"] == name]) for name in sets]))


def select_rows(rows: list[Row], ratio: float, name: str | None = None) -> list[Row]:
    return [row for row in rows if row["true_ratio"] == ratio and name in (None, row["set"])]


def by_ratio(rows: list[Row], value: Callable[[Row], float], name: str | None = None) -> list[str]:
    """One cell per true share."""
    ratios = sorted({row["true_ratio"] for row in rows})
    return [percent(mean_over(select_rows(rows, ratio, name), value)) for ratio in ratios]


def p_value_of(method: str, kind: str, place: int) -> Callable[[Row], float]:
    return lambda row: float(row["p_values"][method][kind][place])


def p_value_table(rows: list[Row], kind: str, place: int, first: str) -> str:
    """Ways to calibrate by true shares."""
    methods = list(rows[0]["p_values"])
    ratios = sorted({row["true_ratio"] for row in rows})
    lines = [[method, *by_ratio(rows, p_value_of(method, kind, place))] for method in methods]
    return table([first, *(f"{percent(ratio)} %" for ratio in ratios)], lines)


def both_table(rows: list[Row], place: int) -> str:
    """False discoveries and power, side by side, by true shares."""
    methods = list(rows[0]["p_values"])
    ratios = sorted({row["true_ratio"] for row in rows})
    lines = []
    for method in methods:
        false, power = (by_ratio(rows, p_value_of(method, kind, place)) for kind in ("fdp", "power"))
        lines.append([method, *(f"{a} / {b}" for a, b in zip(false, power, strict=True))])
    return table(["calibration", *(f"{percent(ratio)} %" for ratio in ratios)], lines)


def worst_table(rows: list[Row], rates: list[float]) -> str:
    """The set with the most false discoveries, for each calibration and rate, over all shares."""
    sets, ratios = sorted({row["set"] for row in rows}), sorted({row["true_ratio"] for row in rows})
    lines = []
    for method in rows[0]["p_values"]:
        line = [method]
        for place in range(len(rates)):
            found = [
                (mean_over(select_rows(rows, ratio, name), p_value_of(method, "fdp", place)), name, ratio)
                for name in sets
                for ratio in ratios
            ]
            worst, name, ratio = max(found)
            line.append(f"{percent(worst)} ({name}, {percent(ratio)} %)")
        lines.append(line)
    return table(["calibration", *(f"{percent(rate)} %" for rate in rates)], lines)


def rule_table(rows: list[Row]) -> str:
    """Rules by true shares: false alarms, anomalies found, F1."""
    ratios = sorted({row["true_ratio"] for row in rows})
    lines = []
    for rule, words in RULES.items():
        kinds = [
            by_ratio(rows, lambda row, rule=rule, kind=kind: row["rules"][rule][kind])
            for kind in ("false_alarms", "found", "f1")
        ]
        lines.append([words, *(" / ".join(cell) for cell in zip(*kinds, strict=True))])
    return table(["`threshold`", *(f"{percent(ratio)} %" for ratio in ratios)], lines)


def sets_table(rows: list[Row], place: int) -> str:
    """Set by set: what folds and held-out rows find."""
    lines = []
    ratios = sorted({row["true_ratio"] for row in rows})
    for name in sorted({row["set"] for row in rows}):
        for method in ("folds", "held out, clean", "held out", "labels of the top 50"):
            false, power = (by_ratio(rows, p_value_of(method, kind, place), name) for kind in ("fdp", "power"))
            lines.append([name, method, *(f"{a} / {b}" for a, b in zip(false, power, strict=True))])
    return table(["data set", "calibration", *(f"{percent(ratio)} %" for ratio in ratios)], lines)


def page(found: dict[str, Any], findings: str) -> str:
    """The whole page."""
    rows, rates, levels = found["rows"], found["rates"], found["levels"]
    sets, seeds = sorted({row["set"] for row in rows}), len({row["seed"] for row in rows})
    reached = min(mean_over(select_rows(rows, max(r["true_ratio"] for r in rows), s), reached_ratio) for s in sets)
    parts = [
        "# P-values and thresholds",
        f"Measured on {found['date']} by `benchmarks/p_values.py`: protocol `disjoint`, data sets {', '.join(sets)}, "
        f"{seeds} seeds, at most {found['train_rows']:,} normal rows to train with (and to calibrate with) and "
        f"{found['test_rows']:,} to test; the default detector, told nothing; {found['folds']} folds. The "
        f"highest true share reached is {percent(reached)} % or more on each set. All numbers are "
        "percentages, means over seeds and then over data sets. Columns are the true share of anomalies "
        "among the rows trained on and calibrated with. "
        "This page is generated by `python benchmarks/study_decisions.py`; do not edit it by hand.",
        findings,
        "## Selected by Benjamini-Hochberg",
        "Each cell: the mean share of false discoveries among the selected rows, which should not exceed the "
        "nominal rate / the share of the tested anomalies that were selected (power).",
    ]
    for place, rate in enumerate(rates):
        parts += [f"### At a nominal rate of {percent(rate)} %", both_table(rows, place)]
    parts += [
        "### The worst data set",
        "Mean share of false discoveries on the data set and at the true share where it is largest, by nominal rate. "
        f"It is the largest of {len(sets) * len({row['true_ratio'] for row in rows})} means over {seeds} seeds, so "
        "chance alone raises it.",
        worst_table(rows, rates),
        "## How often a normal row has a small p-value",
    ]
    for place, level in enumerate(levels):
        parts += [f"At most {percent(level)} % of the normal test rows should have a p-value up to {level}:"]
        parts += [p_value_table(rows, "small", place, "calibration")]
    parts += [
        "## Thresholds",
        "Each cell: the share of normal test rows that are flagged (false alarms) / the share of the tested anomalies "
        "that are flagged / F1.",
        rule_table(rows),
        f"## Set by set, at a nominal rate of {percent(rates[1])} %",
        "False discoveries / power.",
        sets_table(rows, 1),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def reached_ratio(row: Row) -> float:
    return float(row["reached_ratio"])


def main() -> None:
    """Write the page."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    findings = FINDINGS.read_text(encoding="utf-8") if FINDINGS.exists() else ""
    PAGE.write_text(page(found, findings), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
