"""Several trainings of the same settings, in one batched computation where their sets have the same shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from expose.estimators.prepare import Prepared
from expose.objectives import Descend
from expose.training import Trained, train_together


def train_alike(several: Sequence[Prepared]) -> list[Trained]:
    """Train several that are unlabelled and alike in their settings; what comes out is in the order of what went in."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, prepared in enumerate(several):
        groups[shape_of(prepared)].append(place)
    trained: dict[int, Trained] = {}
    for places in groups.values():
        group = [several[place] for place in places]
        found = train_together([one.plan for one in group], [one.data for one in group])
        trained |= dict(zip(places, found, strict=True))
    return [trained[place] for place in range(len(several))]


def shape_of(prepared: Prepared) -> Any:
    """What trainings must have in common to be made at once."""
    recipe = prepared.plan.objective.recipe
    # a running quantile is taken over all members, so they must have one share
    running = isinstance(recipe, Descend) and recipe.ranking == "running"
    return tuple(prepared.data.rows.shape), prepared.plan.contamination if running else None
