"""The page about the default taken apart: what each part brings, and what choosing among the variants is worth."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from study_text import Page, percent, table

SHOWN = {"auroc": "AUROC", "f1_oracle": "F1 at the true share of the test set (oracle)"}
DEFAULT, PLAIN, TOLD = "default", "blind", ", told the true share"
PARTS = (DEFAULT, "near only", "linked only", "wide only", "near and linked", "near and wide", "linked and wide")
HALVES, SEED = 200, 0
LEAST = 0.1  # a difference that counts, in points
Values = dict[str, NDArray[np.float64]]  # of each variant, in percent: (sets, ratios)


def default_page(page: Page, rows: pa.Table) -> None:
    """Add everything below the introduction."""
    sets, ratios = (sorted(set(rows[name].to_pylist())) for name in ("dataset", "true_ratio"))
    page.add(
        "Each line changes one thing of the default and leaves the rest; `benchmarks/default_parts.py` says how. All "
        "are told nothing, but for the last three. Told that there are no anomalies, these are `blind`. The share that "
        f"was reached is {reached(rows, ratios)}: some sets have too few anomalies for the one in the column's head."
    )
    for metric, name in SHOWN.items():
        values = measured(rows, metric, sets, ratios)
        page.add(f"## {name}", "Percent, means over the sets. Difference to the default over all columns, with its "
                 "standard error over the sets, and on how many sets it is better / worse by 0.1 or more.")  # fmt: skip
        page.add(means_table(values, ratios))
    page.add("## Chosen on one half, measured on the other", *halves_section(rows, sets, ratios))
    page.add("## Set by set", f"AUROC in percent, mean over {', '.join(map(percent, ratios))}.")
    page.add(sets_table(measured(rows, "auroc", sets, ratios), sets))


def measured(rows: pa.Table, metric: str, sets: list[str], ratios: list[float]) -> Values:
    """Means over the seeds of all variants, those told nothing first."""
    found = defaultdict(list)
    names = ("detector", "assumed", "dataset", "true_ratio", metric)
    for detector, assumed, dataset, ratio, value in zip(*(rows[n].to_pylist() for n in names), strict=True):
        found[detector + TOLD * (assumed == "true"), dataset, ratio].append(100 * value)
    variants = sorted(dict.fromkeys(name for name, *_ in found), key=lambda name: name.endswith(TOLD))

    def mean(name: str, dataset: str, ratio: float) -> float:
        return float(np.mean(found[name if (name, dataset, ratio) in found else PLAIN, dataset, ratio]))

    return {name: np.array([[mean(name, s, r) for r in ratios] for s in sets]) for name in variants}


def reached(rows: pa.Table, ratios: list[float]) -> str:
    """Mean shares of anomalies in the training rows, in words."""
    pairs = list(zip(rows["true_ratio"].to_pylist(), rows["reached_ratio"].to_pylist(), strict=True))
    means = [np.mean([there for true, there in pairs if true == ratio]) for ratio in ratios]
    return ", ".join(f"{100 * mean:.1f} %" for mean in means) + " in the mean"


def means_table(values: Values, ratios: list[float]) -> str:
    """Variants by ratios, in the order in which they are defined."""
    lines = []
    for name, found in values.items():
        gap = (found - values[DEFAULT]).mean(axis=1)  # (sets,)
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        said = "" if name == DEFAULT else f"{gap.mean():+.1f} ± {error:.1f}"
        wins = "" if name == DEFAULT else f"{(gap >= LEAST).sum()} / {(gap <= -LEAST).sum()}"
        named = f"**{name}**" if name == DEFAULT else name
        lines.append([named, *(f"{mean:.1f}" for mean in found.mean(axis=0)), f"{found.mean():.1f}", said, wins])
    return table(["variant", *map(percent, ratios), "mean", "difference", "sets"], lines)


def halves_section(rows: pa.Table, sets: list[str], ratios: list[float]) -> list[str]:
    """What the best variant of a random half of the sets reaches on the other half, beside the default."""
    lines, often = [], []
    for metric, name in SHOWN.items():
        values = {who: v.mean(axis=1) for who, v in measured(rows, metric, sets, ratios).items() if TOLD not in who}
        chosen, default, best = halves(values)
        top = max(values, key=lambda who: values[who].mean())
        spreads = (f"{v.mean():.1f} ± {v.std(ddof=1):.1f}" for v in (default, chosen, chosen - default))
        lines.append([name, *spreads, f"{values[top].mean():.1f} ({top})"])
        often.append(f"{name}: " + ", ".join(f"{who} {n / best.total():.0%}" for who, n in best.most_common(5)))
    return [
        f"On a random half of the {len(sets)} sets the best of the {len(values)} variants that are told nothing is "
        "chosen, by its mean over all shares, and measured on the other half; then the halves are exchanged. Mean and "
        f"standard deviation over {HALVES} halvings, in percent. The last column is the best variant on all sets, "
        "chosen where it is measured: what a default tuned to these sets would show.",
        table(["", "the default", "chosen on the other half", "chosen less default", "best where measured"], lines),
        f"Chosen most often, by {'. By '.join(often)}.",
    ]


def halves(values: dict[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64], Counter[str]]:
    """Of each halving: the mean of the chosen, that of the default on the same sets; and who was chosen how often."""
    names, scores = list(values), np.stack(list(values.values()))  # (K, sets)
    rng, best = np.random.default_rng(SEED), Counter[str]()
    chosen, default = np.zeros(HALVES), np.zeros(HALVES)
    for number in range(HALVES):
        halved = np.array_split(rng.permutation(scores.shape[1]), 2)
        for seen, unseen in (halved, halved[::-1]):
            winner = int(scores[:, seen].mean(axis=1).argmax())
            best[names[winner]] += 1
            chosen[number] += scores[winner, unseen].mean() / 2
            default[number] += scores[names.index(DEFAULT), unseen].mean() / 2
    return chosen, default, best


def sets_table(values: Values, sets: list[str]) -> str:
    """The parts, alone and in pairs, on each set; the best of each in bold."""
    lines = []
    for place, name in enumerate(sets):
        means = [values[part][place].mean() for part in PARTS]
        top = max(round(mean, 1) for mean in means)
        lines.append([name, *(f"**{mean:.1f}**" if round(mean, 1) == top else f"{mean:.1f}" for mean in means)])
    return table(["data set", *PARTS], lines)
