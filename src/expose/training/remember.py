"""The one idea without gradients: assign weights, refit the objective's memory to them, once.

For objectives that remember parts instead of training weights (`MemoryObjective`), such as `Neighbours`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.exposure import EXPOSURES, RELATIVES, BatchRanking, Weights, spread_labels, spreads
from expose.objectives import Losses, MemoryObjective, Remember, nearest_rows
from expose.training.compute import torch_seed
from expose.training.descend import joined, mean_where
from expose.training.ensemble import Ensemble, built
from expose.training.order import generator_of
from expose.training.plan import Plan, Trained, TrainingSet

SOME = 512  # samples of which all parts are scored together
MOST_KNOWN, MOST_OUTLIERS = 0.5, 0.25  # of an objective's memory, for parts with a known label and auxiliary outliers


@torch.no_grad()
def remember(plan: Plan, data: TrainingSet) -> Trained:
    """Build the members of a plan and fit each; each seed decides which parts are remembered, of more than can be."""
    started = time.perf_counter()
    members, fitted = [], []
    for seed in plan.seeds:
        generator = generator_of(seed, 0)
        with torch_seed(seed):
            member = built(plan.objective, plan.layout)
        assert isinstance(member, MemoryObjective)
        most = reference_points(member)
        rows, known = choose(data, most, generator)
        own = len(rows) - min(len(resident_outliers(data)), most_outliers(most))
        spread = torch.cat([spread_known(member, rows[:own], known[:own]), known[own:]])
        member.remember(rows, (spread != 1).to(rows.dtype))
        losses = member.losses(rows)
        ranking = BatchRanking(share_left(plan.contamination, known, spread))
        weights = EXPOSURES[plan.exposure](losses.normal[None], losses.abnormal[None], spread[None], ranking)
        member.refit(weights.keep_normal[0], weights.keep_abnormal[0])
        certain = own if data.certain else 0  # normal parts of an anomalous sample would teach that they are anomalous
        member.learn(torch.cat([known[:certain], torch.full_like(known[certain:], -1)]), plan.contamination)
        members.append(member)
        fitted.append((losses, Weights(*(weight[0] for weight in weights))))
    record = summary([losses for losses, _ in fitted], [weights for _, weights in fitted], plan.contamination)
    return Trained(Ensemble(members), [record | {"seconds": time.perf_counter() - started}])


@torch.no_grad()
def remembered_evidence(objective: MemoryObjective, layout: Layout, rows: Tensor, seed: int) -> Tensor:
    """How far from all others an objective finds some of these parts ``(n, D)``, when it remembers them: ``(R,)``.

    Of samples ``(n, P, D)`` whose parts overlap it remembers a part of some; each has the mean of its own, ``(n,)``.
    """
    member = built(objective, layout)
    assert isinstance(member, MemoryObjective)
    one = rows if rows.ndim == 2 else rows[:, rows.shape[1] // 2]
    chosen, _ = choose(TrainingSet(one), reference_points(member), torch.Generator().manual_seed(seed))
    evidence = member.evidence(chosen)
    if rows.ndim == 2:
        return evidence
    member.refit(torch.ones(len(chosen)), torch.zeros(len(chosen)))
    scores = [member.score(few.flatten(0, 1)).reshape(len(few), -1).mean(1) for few in torch.split(rows, SOME)]
    return torch.cat(scores)


def reference_points(objective: MemoryObjective) -> int:
    """The most parts that an objective remembers."""
    assert isinstance(objective.recipe, Remember)
    return objective.recipe.reference_points


def spread_known(member: MemoryObjective, rows: Tensor, known: Tensor) -> Tensor:
    """Known labels, and those of the rows whose nearest rows decide them, ``(n,)``."""
    if not spreads(known):
        return known
    return spread_labels(known, nearest_rows(member, rows, RELATIVES))


def share_left(contamination: float, known: Tensor, spread: Tensor) -> float:
    """The share of suspects among the parts that are still undecided, when known labels ``(n,)`` have spread."""
    due = contamination * int((known < 0).sum()) - int(((known < 0) & (spread == 1)).sum())
    return max(0.0, due) / max(1, int((spread < 0).sum())) if bool((spread != known).any()) else contamination


def choose(data: TrainingSet, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows to remember ``(n, D)`` and what is known of them ``(n,)``: known rows and outliers first, then others."""
    known = torch.full((len(data.rows),), -1) if data.known is None else data.known.long()
    outliers = resident_outliers(data)
    outliers = outliers[sample(torch.arange(len(outliers)), most_outliers(most), generator)]
    place = choose_places(known, most - len(outliers), int(MOST_KNOWN * most), generator)
    rows = torch.cat([data.rows[place], outliers])
    return rows, torch.cat([known[place], torch.ones(len(outliers), dtype=torch.long)])


def resident_outliers(data: TrainingSet) -> Tensor:
    """The auxiliary outliers ``(R, D)``, perhaps none."""
    if data.outliers is None:
        return data.rows[:0]
    if not isinstance(data.outliers, Tensor):
        raise TypeError("An objective that remembers rows needs the outliers in memory; got a stream of them.")
    return data.outliers


def most_outliers(most: int) -> int:
    """How many of so many remembered rows may be auxiliary outliers; no part of the data, they do not spread."""
    return int(MOST_OUTLIERS * most)


def choose_places(known: Tensor, most: int, most_known: int, generator: torch.Generator) -> Tensor:
    """Numbers of at most so many rows, in their order: those with a label first, then others at random.

    Which others does not depend on the labels, so that a row more with a label changes one row.
    """
    labelled = sample(torch.nonzero(known >= 0).flatten(), most_known, generator)
    if len(known) <= most and len(labelled) == int((known >= 0).sum()):
        return torch.arange(len(known))
    order = torch.randperm(len(known), generator=generator)
    return torch.cat([labelled, order[known[order] < 0][: most - len(labelled)]]).sort().values


def sample(places: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """At most so many of these row numbers, at random."""
    return places if len(places) <= most else places[torch.randperm(len(places), generator=generator)[:most]]


def summary(losses: Sequence[Losses], weights: Sequence[Weights], contamination: float) -> dict[str, Any]:
    """The history's only record, like those of the loop, from the losses by which suspects were chosen."""
    (normal, abnormal), (keep_normal, keep_abnormal) = joined(losses), joined(weights)
    return {
        "epoch": 1,
        "loss": mean_where(normal, keep_normal),
        "normal": mean_where(normal, keep_normal),
        "abnormal": mean_where(abnormal, keep_abnormal),
        "contamination": float(contamination),
        "flipped": float((keep_normal < 1).double().mean()),
        "overlap": None,
        "member_overlap": None,
        "outliers": None,
    }
