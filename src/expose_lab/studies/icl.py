"""ICL with and without what its authors' supplement adds, on small sets under the paper's protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expose import AnomalyDetector
from expose.objectives.base import with_changes
from expose_lab.contenders import EXPOSURES, Contender, Rule
from expose_lab.pages import Column, Page, Rows, grid
from expose_lab.studies.base import Benchmark
from expose_lab.studies.comparison import intro, results
from expose_lab.studies.paper import published

SETS = ["breastw", "lympho", "glass", "wine", "vertebral", "ecoli", "thyroid", "ionosphere", "cardio", "pima", "wbc"]
SEEDS = [0, 1]  # others than those of the page, on which nothing is chosen
PRINTED = "published"
CHANGES: dict[str, dict[str, Any]] = {
    "one order": {"orders": 1},
    "one order, not across": {"orders": 1, "across": False},
    "as the supplement": {},
    "not across": {"across": False},
}


@dataclass(frozen=True)
class Changed(Rule):
    """ICL by the rule of the paper's table, with some of its hyper-parameters changed."""

    variant: str = ""

    def __call__(self, dataset: str, n_rows: int, n_features: int) -> AnomalyDetector:
        """Make one for this training set."""
        usual = super().__call__(dataset, n_rows, n_features)
        return usual.set_params(objective=with_changes(usual.objective, CHANGES[self.variant]))

    @property
    def identity(self) -> str:
        """With what is changed."""
        return f"{super().identity} {CHANGES[self.variant]}"


def grids(sets: Sequence[str], variants: Sequence[str], seeds: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    """Each variant under all exposures, set by set, so that what is there of a killed run can be compared."""
    told: dict[str, Any] = {"protocols": ["paper"], "true_ratios": [0.1], "assumed_ratios": [0.1], "seeds": seeds}
    pairs = [(name, exposure) for name in variants for exposure in EXPOSURES]
    who = [Contender(*pair, "published", Changed("published", "icl", pair[1], pair[0])) for pair in pairs]
    for name in sets:
        yield {"datasets": [name], "contenders": who, "train_rows": None, "test_rows": None, **told}


def context(page: Page) -> dict[str, Any]:
    """Variants by exposures: means over what all of them have, and set by set."""
    rows = Rows(results(page, "icl").to_pylist())
    compared = shared(rows)
    print_ = printed(page, rows.each("dataset"))
    variants = [name for name in CHANGES if name in rows.each("detector")]

    def by_exposure(some: Rows, lines: Mapping[str, Mapping[str, Any]]) -> str:
        columns = {name: Column("f1_oracle", {"exposure": name}, spread=False) for name in EXPOSURES}
        return grid(some, lines, columns, "F1, %")

    found = Rows([*compared, *print_.where(dataset=compared.each("dataset"))])
    every = Rows([*rows, *print_])
    lines = {
        f"{dataset}, {name}": {"dataset": dataset, "detector": name}
        for dataset in rows.each("dataset")
        for name in [*variants, PRINTED]
        if every.where(dataset=dataset, detector=name)
    }
    return {
        "intro": intro(page, "icl"),
        "sets": compared.each("dataset"),
        "splits": len({(row["dataset"], row["seed"]) for row in compared}),
        "means": by_exposure(found, {name: {"detector": name} for name in [*variants, PRINTED]}),
        "most": most(rows, lambda some, names: by_exposure(some, {name: {"detector": name} for name in names}), page),
        "by_set": by_exposure(every, lines),
    }


def most(rows: Rows, means: Callable[[Rows, Sequence[str]], str], page: Page) -> dict[str, Any]:
    """The variant that was measured on most sets, under all exposures, and what is published for these."""
    complete = {name: shared(Rows(rows.where(detector=name))) for name in rows.each("detector")}
    name, own = max(complete.items(), key=lambda pair: len(pair[1].each("dataset")))
    sets = own.each("dataset")
    both = Rows([*own, *printed(page, sets)])
    return {"variant": name, "sets": sets, "splits": len(own) // len(EXPOSURES), "means": means(both, [name, PRINTED])}


def shared(rows: Rows) -> Rows:
    """Rows of those splits that all variants were measured on, under all exposures."""
    wanted = len(rows.each("detector")) * len(EXPOSURES)
    measured = Counter((row["dataset"], row["seed"]) for row in rows)
    return Rows(row for row in rows if measured[row["dataset"], row["seed"]] == wanted)


def printed(page: Page, sets: Sequence[str]) -> Rows:
    """What Qiu et al. published for these sets, in the form of rows."""
    f1 = published(page)["f1"]
    return Rows(
        {"detector": PRINTED, "dataset": name, "exposure": exposure, "seed": 0, "f1_oracle": values["mean"] / 100}
        for name in sets
        for exposure, values in f1[name]["icl"].items()
    )


STUDY = Benchmark(
    "icl",
    "ICL with and without what its authors' supplement adds",
    cells=grids,
    options={"sets": SETS, "variants": list(CHANGES), "seeds": SEEDS},
    page="notes/icl.md",
    context=context,
)
