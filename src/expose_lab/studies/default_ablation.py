"""The default taken apart: what is left when a part is missing, and what choosing among the variants is worth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose import AnomalyDetector
from expose.encoders import TableEncoder
from expose.objectives import Losses, Neighbours
from expose_lab.pages import Page, percent, table
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import GROUPS, intro, results

ALL = ("near", "linked", "wide")
SHOWN = {"auroc": "AUROC", "f1_oracle": "F1 at the true share of the test set (oracle)"}
DEFAULT, PLAIN, TOLD = "default", "blind", ", told the true share"
BEFORE = "three scalings, none bounded, no Mahalanobis distances"
PARTS = (DEFAULT, "near only", "linked only", "wide only", "near and linked", "near and wide", "linked and wide")
HALVES, SEED = 200, 0
TABLES = [name for group in GROUPS.values() for name in group.tables]
LEAST = 0.1  # a difference that counts, in points
Floats = NDArray[np.float64]
Values = dict[str, Floats]  # of each variant, in percent: (sets, ratios)


class Parts(Neighbours):
    """`Neighbours` with some of its distances; with all of them it scores the same to the last bit.

    Parameters
    ----------
    parts : sequence of {"near", "linked", "wide"}
        What the score is the largest of. The share of suspects is estimated from wide distances in any case; who they
        are is decided by linked and wide, as far as these are among the parts, and without both by near itself.
    largest : bool
        Whether the score is the largest of the parts or their mean.
    harmonic : bool
        Whether wide distances are combined by their harmonic or by their plain mean.
    near, wide, linked, **training
        As `Neighbours` takes them.
    """

    def __init__(
        self,
        parts: Sequence[str] = ALL,
        largest: bool = True,
        harmonic: bool = True,
        near: int = 5,
        wide: Sequence[float] = (0.1, 0.2, 0.3),
        linked: float = 0.4,
        **training: Any,
    ) -> None:
        super().__init__(near, wide, linked, **training)
        self.parts = parts
        self.largest = largest
        self.harmonic = harmonic

    @torch.no_grad()
    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """As `Neighbours`; near distances count at once if there are no others to choose suspects by."""
        evidence = super().remember(rows, present)
        if tuple(self.parts) == ("near",):
            self.refined.fill_(1.0)
        return evidence

    def losses(self, batch: Tensor) -> Losses:
        """The largest, or the mean, of what is left."""
        chosen = self.scales(batch)[:, [ALL.index(part) for part in self.parts]]  # (B, P)
        normal = chosen.amax(dim=1) if self.largest else chosen.mean(dim=1)
        return Losses(normal, -normal)

    def rarest(self, wide: Tensor) -> Tensor:
        """Wide distances of all views and shares as one."""
        return super().rarest(wide) if self.harmonic else wide.mean(dim=(0, 2))


def detector(exposure: str = "auto", encoder: Any = None, **parameters: Any) -> AnomalyDetector:
    """The default with a part changed."""
    return AnomalyDetector(Parts(**parameters), encoder=encoder, exposure=exposure, device="cpu")


def variants() -> dict[str, AnomalyDetector]:
    """All that are told nothing, the default first."""
    return {
        DEFAULT: detector(),
        "near only": detector(parts=("near",)),
        "linked only": detector(parts=("linked",)),
        "wide only": detector(parts=("wide",)),
        "near and linked": detector(parts=("near", "linked")),
        "near and wide": detector(parts=("near", "wide")),
        "linked and wide": detector(parts=("linked", "wide")),
        "mean of the three": detector(largest=False),
        "wide by plain mean": detector(harmonic=False),
        "only quantile scaling": detector(encoder="quantile"),
        "only standard scaling": detector(encoder="standard"),
        "only no scaling": detector(encoder="unscaled"),
        "only bounded scaling": detector(encoder="bounded"),
        "no Mahalanobis distances": detector(whiten=False),
        BEFORE: detector(encoder=TableEncoder(("quantile", "standard", "unscaled")), whiten=False),
        PLAIN: detector("blind"),
        "hard": detector("hard"),
        "soft": detector("soft"),
        "1 near neighbour": detector(near=1),
        "20 near neighbours": detector(near=20),
        "wide 5 %": detector(wide=(0.05,)),
        "wide 40 %": detector(wide=(0.4,)),
        "linked 10 %": detector(linked=0.1),
        "linked 60 %": detector(linked=0.6),
        "256 rows remembered": detector(reference_points=256),
    }


def grids() -> Iterator[Mapping[str, Any]]:
    """All variants told nothing, three of them told the true share; few rows, one seed, as sets differ more."""
    few: dict[str, Any] = {"true_ratios": [0.0, 0.1, 0.2], "seeds": [0], "train_rows": 600, "test_rows": 1_200}
    told: dict[str, Any] = {name: one for name, one in variants().items() if name in (DEFAULT, "hard", "soft")}
    yield {"datasets": TABLES, "contenders": variants(), "assumed_ratios": ["auto"], **few}
    yield {"datasets": TABLES, "contenders": told, "assumed_ratios": ["true"], **few}


def context(page: Page) -> dict[str, Any]:
    """Means of the variants, halves against halves, and each set."""
    rows = results(page, "default_ablation")
    sets, ratios = (sorted(set(rows[name].to_pylist())) for name in ("dataset", "true_ratio"))
    pairs = list(zip(rows["true_ratio"].to_pylist(), rows["reached_ratio"].to_pylist(), strict=True))
    reached = [np.mean([there for true, there in pairs if true == ratio]) for ratio in ratios]
    return {
        "intro": intro(page, "default_ablation"),
        "reached": ", ".join(f"{100 * mean:.1f} %" for mean in reached),
        "shown": SHOWN,
        "means_table": lambda metric: means_table(measured(rows, metric, sets, ratios), ratios),
        "halves": halves_section(rows, sets, ratios),
        "ratios": ", ".join(map(percent, ratios)),
        "sets_table": sets_table(measured(rows, "auroc", sets, ratios), sets),
    }


def measured(rows: pa.Table, metric: str, sets: list[str], ratios: list[float]) -> Values:
    """Means over the seeds of all variants, those told nothing first; `blind` where there was nothing to tell."""
    found = defaultdict(list)
    names = ("detector", "assumed", "dataset", "true_ratio", metric)
    for detector_, assumed, dataset, ratio, value in zip(*(rows[n].to_pylist() for n in names), strict=True):
        found[detector_ + TOLD * (assumed == "true"), dataset, ratio].append(100 * value)
    order = sorted(dict.fromkeys(name for name, *_ in found), key=lambda name: (name.endswith(TOLD), name != DEFAULT))

    def mean(name: str, dataset: str, ratio: float) -> float:
        return float(np.mean(found[name if (name, dataset, ratio) in found else PLAIN, dataset, ratio]))

    return {name: np.array([[mean(name, s, r) for r in ratios] for s in sets]) for name in order}


def means_table(values: Values, ratios: list[float]) -> str:
    """Variants by ratios, in the order in which they are defined."""
    lines = []
    for name, found in values.items():
        gap = (found - values[DEFAULT]).mean(axis=1)  # (sets,)
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        said = "" if name == DEFAULT else f"{gap.mean():+.1f} ± {error:.1f}"
        wins = "" if name == DEFAULT else f"{(gap >= LEAST).sum()} / {(gap <= -LEAST).sum()}"
        label = f"**{name}**" if name == DEFAULT else name
        lines.append([label, *(f"{mean:.1f}" for mean in found.mean(axis=0)), f"{found.mean():.1f}", said, wins])
    return table(["variant", *map(percent, ratios), "mean", "difference", "sets"], lines)


def halves_section(rows: pa.Table, sets: list[str], ratios: list[float]) -> dict[str, Any]:
    """What the best variant of a random half of the sets reaches on the other half, beside the default."""
    lines, often, told_nothing = [], [], 0
    for metric, name in SHOWN.items():
        values = {who: v.mean(axis=1) for who, v in measured(rows, metric, sets, ratios).items() if TOLD not in who}
        chosen, default, best = halves(values)
        top = max(values, key=lambda who: values[who].mean())
        spreads = (f"{v.mean():.1f} ± {v.std(ddof=1):.1f}" for v in (default, chosen, chosen - default))
        lines.append([name, *spreads, f"{values[top].mean():.1f} ({top})"])
        often.append(f"{name}: " + ", ".join(f"{who} {n / best.total():.0%}" for who, n in best.most_common(5)))
        told_nothing = len(values)
    header = ["", "the default", "chosen on the other half", "chosen less default", "best where measured"]
    about: dict[str, Any] = {
        "sets": len(sets),
        "variants": told_nothing,
        "halvings": HALVES,
        "often": ". By ".join(often),
    }
    return {**about, "table": table(header, lines)}


def halves(values: dict[str, Floats]) -> tuple[Floats, Floats, Counter[str]]:
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
        means = [round(values[part][place].mean(), 1) for part in PARTS]
        lines.append([name, *(f"**{mean:.1f}**" if mean == max(means) else f"{mean:.1f}" for mean in means)])
    return table(["data set", *PARTS], lines)


STUDY = Benchmark(
    "default_ablation",
    "the default with one part of its objective left out or changed at a time",
    cells=grids,
    page="benchmark/default-ablation.md",
    context=context,
)
