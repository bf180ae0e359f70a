"""One plan, or several alike, carried out as the objective's recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from expose.objectives import Descend, Losses
from expose.threads import torch_threads
from expose.training.descend import Model, descend, survey_model
from expose.training.ensemble import Ensemble
from expose.training.plan import Plan, Trained, TrainingSet
from expose.training.remember import remember


def train(plan: Plan, data: TrainingSet) -> Trained:
    """Train what is planned.

    Raises
    ------
    NonFiniteLossError
        If a loss became NaN or infinite.
    """
    if isinstance(plan.objective.recipe, Descend):
        return descend(plan, data)
    with torch_threads():  # what is remembered depends on sums, and sums in the last digit on the number of threads
        return remember(plan, data)


def train_together(plans: Sequence[Plan], sets: Sequence[TrainingSet]) -> list[Trained]:
    """Train several plans that differ in seeds and contamination alone, where gradients are descended at once.

    The sets have equally many parts, no known labels and no outliers.
    """
    first = plans[0]
    if len(plans) == 1 or not isinstance(first.objective.recipe, Descend):
        return [train(plan, data) for plan, data in zip(plans, sets, strict=True)]
    members = len(first.seeds)
    own = [data.rows for data in sets]
    rows = torch.stack(own).repeat_interleave(members, dim=0)  # (M, N, D)
    whole = replace(first, seeds=tuple(seed for plan in plans for seed in plan.seeds))
    sample = torch.stack([data.sample for data in sets]).repeat_interleave(members, dim=0)
    trained = descend(whole, TrainingSet(rows), shares_of(plans), sample)
    return [replace(trained, ensemble=members_of(trained.ensemble, number, members)) for number in range(len(plans))]


def shares_of(plans: Sequence[Plan]) -> Tensor | None:
    """The contamination to assume for each member ``(M,)``; None where it is the same for all."""
    values = [plan.contamination for plan in plans]
    if len(set(values)) == 1:
        return None
    return torch.tensor(values, dtype=torch.float64).repeat_interleave(len(plans[0].seeds))


def members_of(ensemble: Ensemble, number: int, count: int) -> Ensemble:
    """The members of one of several plans that were trained as one ensemble."""
    return Ensemble([ensemble.member(index) for index in range(number * count, (number + 1) * count)])


def survey(ensemble: Ensemble, data: TrainingSet) -> Losses:
    """Losses of all training parts, ``(M, N)`` each, in the precision of the weights."""
    precision = torch.autocast(data.rows.device.type, enabled=False)
    with torch_threads():
        return survey_model(Model(ensemble, precision), data)
