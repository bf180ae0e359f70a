"""The margins of the term "energy": measured where none were given, and doubted where they cost the classes.

The energy of a sample is -logsumexp of its logits. Margins far from the energies that cross-entropy alone leads to make
a loss that is all about energies: the classes are forgotten.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose.decide import Verdict
from expose.estimators.prepare import Prepared
from expose.objectives import Descend, Objective
from expose.objectives.classification import Classification, free_energy
from expose.training import (
    Ensemble,
    Plan,
    Trained,
    TrainingSet,
    build_members,
    default_batch_size,
    default_epochs,
    member_outputs,
    train,
)

MARGIN_ROWS = 4096  # from which the energies' quantiles are taken
INSIDE, OUTSIDE = 0.1, 0.9  # those quantiles, of normal samples and of outliers
GOOD = (
    0.9  # accuracy on the training samples from which given margins are not doubted, so that nothing is trained twice
)
COST = 0.1  # accuracy that margins may cost

Floats = NDArray[np.float64]


class Early(NamedTuple):
    """What a network says that learned the classes alone: margins ``(2,)``, and the share of samples it gets right."""

    margins: Tensor
    accuracy: float


def train_with_margins(prepared: Prepared) -> tuple[Trained, str | None]:
    """Train a classifier, and say in one sentence if margins of the energy cost it its classes."""
    plan, data = prepared.plan, prepared.data
    objective = plan.objective
    assert isinstance(objective, Classification)
    if "energy" not in objective.terms or data.outliers is None:
        return train(plan, data), None
    if objective.energy_margins is None:
        return train_in_two(plan, data)
    trained = train(plan, data)
    accuracy = accuracy_of(ready(trained, plan), data)
    if trained.interrupted or accuracy >= GOOD:
        return trained, None
    first = trained_early(replace(plan, objective=without_margins(objective), verbose=0), data)
    return trained, None if first.interrupted else concern(plan, accuracy, early(first, plan, data))


def without_margins(objective: Classification) -> Classification:
    """The same objective, that learns the classes as if no margins were given."""
    other = copy.deepcopy(objective)
    other.energy_margins = None
    return other


def concern(plan: Plan, accuracy: float, before: Early) -> str | None:
    """One sentence if a training with margins forgot classes that were known without."""
    if accuracy >= before.accuracy - COST:
        return None
    objective = plan.objective
    assert isinstance(objective, Classification)
    low, high = before.margins.tolist()
    margins = f"({low:.3g}, {high:.3g})"
    if objective.energy_margins is None:
        used, advice = margins, "Give the term 'energy' a smaller weight, or take 'uniform'."
    else:
        used = str(tuple(objective.energy_margins))
        advice = f"The energies of these data suggest energy_margins={margins}; None measures them."
    return (
        f"energy_margins={used} cost the classes: {100 * accuracy:.0f} % of the training rows are classified rightly, "
        f"and {100 * before.accuracy:.0f} % before any outlier was exposed. {advice}"
    )


# ------------------------------------------------------------------------------------------------------ measured


def train_in_two(plan: Plan, data: TrainingSet) -> tuple[Trained, str | None]:
    """Train without outliers for half of the epochs, set the margins by what the network says, and train on."""
    first = trained_early(plan, data)
    if first.interrupted:  # who stopped the first half wants no second one
        return first, None
    before = early(first, plan, data)
    start = {name: value.detach().cpu().clone() for name, value in first.ensemble.state_dict().items()}
    objective = with_epochs(plan.objective, epochs_of(plan.objective, data) - len(first.history))
    second = train(replace(plan, objective=objective, start={**start, "only.margins": before.margins}), data)
    later = [record | {"epoch": record["epoch"] + len(first.history)} for record in second.history]
    whole = replace(second, history=first.history + later)
    if whole.interrupted:
        return whole, None
    return whole, concern(plan, accuracy_of(ready(whole, plan), data), before)


def trained_early(plan: Plan, data: TrainingSet) -> Trained:
    """Half a training without outliers; none where a network has energies to speak of, being trained before."""
    assert isinstance(plan.objective, Classification)
    half = epochs_of(plan.objective, data) // 2
    if plan.start is None and isinstance(plan.objective.choice[0], str) and half:
        early = replace(plan, objective=with_epochs(plan.objective, half), checkpoint=None)
        return train(early, replace(data, outliers=None))
    ensemble = build_members(plan.objective, plan.layout, data.sample, plan.seeds)
    if plan.start is not None:
        ensemble.load_state_dict(plan.start)
    return Trained(ensemble, [])


def epochs_of(objective: Objective, data: TrainingSet) -> int:
    """Passes over the training samples, both halves together."""
    recipe = objective.recipe
    assert isinstance(recipe, Descend)
    return recipe.epochs or default_epochs(len(data.rows), recipe.batch_size or default_batch_size(len(data.rows)))


def with_epochs(objective: Objective, epochs: int) -> Objective:
    """The same objective, trained for other passes."""
    other = copy.deepcopy(objective)
    assert isinstance(other.recipe, Descend)
    other.recipe = replace(other.recipe, epochs=epochs)
    return other


# ------------------------------------------------------------------------------------------- what a network says


def ready(trained: Trained, plan: Plan) -> Ensemble:
    """A copy that scores, so that what was trained stays where and as it is."""
    return copy.deepcopy(trained.ensemble).to(plan.device).eval()


def early(first: Trained, plan: Plan, data: TrainingSet) -> Early:
    """What a network says before outliers are exposed."""
    ensemble = ready(first, plan)
    return Early(measured_margins(ensemble, data), accuracy_of(ensemble, data))


def measured_margins(ensemble: Ensemble, data: TrainingSet) -> Tensor:
    """Quantiles of the energies that a network gives to training samples and to outliers, ``(2,)``."""
    objective = ensemble.only
    assert isinstance(objective, Classification)
    inner, outer = (
        free_energy(torch.from_numpy(outputs_of(ensemble, rows)[:, : objective.n_classes]))
        for rows in (data.rows[spread(len(data.rows))], some_outliers(data))
    )
    inside, outside = inner.quantile(INSIDE), outer.quantile(OUTSIDE)
    return torch.stack([inside, torch.maximum(outside, inner.quantile(OUTSIDE))]).float()


def accuracy_of(ensemble: Ensemble, data: TrainingSet) -> float:
    """The share of training samples whose class is the likeliest."""
    objective = ensemble.only
    assert isinstance(objective, Classification)
    assert data.targets is not None
    some = spread(len(data.rows))
    likeliest = outputs_of(ensemble, data.rows[some])[:, : objective.n_classes].argmax(axis=1)
    return float((likeliest == data.targets[some].numpy()).mean())


def some_outliers(data: TrainingSet) -> Tensor:
    """At most 4,096 of the outliers, of a stream the first ones."""
    assert data.outliers is not None
    if isinstance(data.outliers, Tensor):
        return data.outliers[spread(len(data.outliers))]
    return data.outliers.batch(MARGIN_ROWS, 0)


def spread(n_rows: int) -> Tensor:
    """Numbers of at most 4,096 rows from first to last."""
    return torch.linspace(0, n_rows - 1, min(n_rows, MARGIN_ROWS)).long()


def outputs_of(ensemble: Ensemble, rows: Tensor) -> Floats:
    """All outputs of a classifier that is ready to score, for encoded samples, ``(n, W)``."""
    objective = ensemble.only
    assert isinstance(objective, Classification)
    said: Floats = member_outputs(ensemble, rows.numpy(), Verdict.method, objective.n_logits + 1)[0]
    return said
