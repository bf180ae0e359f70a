"""From samples of known classes to a trained classifier, by the one loop."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from expose.decide import Verdict
from expose.errors import InputError
from expose.estimators.checks import check_classes, terms_of
from expose.estimators.conclude import conclude
from expose.estimators.prepare import Prepared, fingerprint, outliers_of, path_of, seed_of, training_set
from expose.estimators.samples import check_form, encode_training
from expose.exposure import given_contamination
from expose.kinds import kind_of
from expose.model import Fitted
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
    mix,
    torch_device,
    train,
)

MARGIN_ROWS = 4096  # from which the energies' quantiles are taken
INSIDE, OUTSIDE = 0.1, 0.9  # those quantiles, of normal samples and of outliers


def fit_classes(parameters: Mapping[str, Any], X: Any, y: Any, outliers: Any, before: Fitted | None) -> Fitted:
    """Prepare, train and conclude a classifier.

    Parameters
    ----------
    parameters : mapping
        Of `OutlierExposureClassifier`, checked.
    X, y, outliers
        As `OutlierExposureClassifier.fit` takes them.
    before : Fitted, optional
        The fit to go on from.
    """
    prepared, head = prepare_classes(parameters, X, y, outliers, before)
    trained = train_in_two(prepared) if measures_margins(prepared) else train(prepared.plan, prepared.data)
    return conclude(prepared, trained, head)


def prepare_classes(
    parameters: Mapping[str, Any], X: Any, y: Any, outliers: Any, before: Fitted | None
) -> tuple[Prepared, Verdict]:
    """Check and encode everything for a classifier."""
    kind = kind_of(X) if before is None else before.kind
    terms = terms_of(parameters["terms"])
    any_classes = Classification("auto", (0.5, 0.5), terms)  # which there are is known after the samples are checked
    encoded = encode_training(X, kind, parameters["encoder"], any_classes, before)
    check_form(any_classes, encoded.encoder, kind)
    if encoded.parts.ndim == 3:
        raise InputError(
            "A classifier takes one vector per sample; this encoder gives parts. Pool them, or choose another."
        )
    classes, targets = targets_of(y, len(encoded.samples), before)
    objective = objective_of(parameters, terms, targets, len(classes))
    start = start_from(before, objective)
    root = seed_of(parameters["random_state"]) if before is None else before.root
    data = training_set(encoded, None, outliers_of(outliers, encoded, objective), root, targets)
    plan = Plan(
        objective,
        encoded.encoder.layout,
        parameters["exposure"],
        float(parameters["contamination"]),
        seeds=(mix(root, 0),),
        device=torch_device(parameters["device"]),
        checkpoint=path_of(parameters["checkpoint"]),
        fingerprint=fingerprint(parameters, objective, root, data, start) if parameters["checkpoint"] else "",
        verbose=parameters["verbose"],
        start=start,
    )
    estimate = given_contamination(float(parameters["contamination"]))
    return Prepared(encoded, plan, data, None, estimate, root), Verdict(classes, terms, parameters["score_function"])


def targets_of(y: Any, n_samples: int, before: Fitted | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Classes ``(K,)``, and the number of each sample's class ``(n,)``."""
    if y is None:
        raise ValueError("This OutlierExposureClassifier requires y to be passed, but the target y is None.")
    names = column_or_1d(y, warn=True)
    check_classification_targets(names)
    return check_classes(names, n_samples, None if before is None else before.head.classes)  # type: ignore[union-attr]


def objective_of(
    parameters: Mapping[str, Any], terms: Mapping[str, float], targets: NDArray[np.int64], n_classes: int
) -> Classification:
    """The unbuilt objective."""
    shares = np.bincount(targets, minlength=n_classes) / len(targets)
    recipe: Descend = parameters["recipe"] or Descend()
    cosine = True if recipe.cosine is None else recipe.cosine
    return Classification(
        parameters["network"],
        shares.tolist(),
        terms,
        augment=parameters["augment"],
        energy_margins=parameters["energy_margins"],
        **vars(replace(recipe, cosine=cosine)),
    )


def start_from(before: Fitted | None, objective: Classification) -> dict[str, Tensor] | None:
    """The weights of the fit before, for the classes as they are distributed now."""
    if before is None:
        return None
    old = before.objective
    assert isinstance(old, Classification)
    if old.n_outputs != objective.n_outputs:
        raise InputError(
            f"warm_start goes on with the network that was fitted, for the terms {sorted(old.terms)}; "
            f"{sorted(objective.terms)} need another number of outputs. Set warm_start=False to begin anew."
        )
    return {**before.weights(), "only.prior_shares": torch.tensor(objective.prior)}  # `only`: an ensemble of one


# ------------------------------------------------------------------------------------------ margins of the energy


def measures_margins(prepared: Prepared) -> bool:
    """Whether the margins of the energy are to be measured, because none were given."""
    objective = prepared.plan.objective
    assert isinstance(objective, Classification)
    return "energy" in objective.terms and prepared.data.outliers is not None and objective.energy_margins is None


def train_in_two(prepared: Prepared) -> Trained:
    """Train without outliers for half of the epochs, set the margins by what the network says, and train on."""
    plan, data = prepared.plan, prepared.data
    first = trained_early(plan, data)
    if first.interrupted:  # who stopped the first half wants no second one
        return first
    margins = measured_margins(copy.deepcopy(first.ensemble), data, plan.device)
    start = {name: value.detach().cpu().clone() for name, value in first.ensemble.state_dict().items()}
    objective = with_epochs(plan.objective, epochs_of(plan.objective, data) - len(first.history))
    second = train(replace(plan, objective=objective, start={**start, "only.margins": margins}), data)
    later = [record | {"epoch": record["epoch"] + len(first.history)} for record in second.history]
    return replace(second, history=first.history + later)


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


def measured_margins(ensemble: Ensemble, data: TrainingSet, device: torch.device) -> Tensor:
    """Quantiles of the energies that a network gives to training samples and to outliers, ``(2,)``."""
    objective = ensemble.only
    assert isinstance(objective, Classification)
    assert data.outliers is not None
    outliers = data.outliers if isinstance(data.outliers, Tensor) else data.outliers.batch(MARGIN_ROWS, 0)
    ready, energies = ensemble.to(device).eval(), []
    for rows in (data.rows, outliers):
        some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), MARGIN_ROWS)).long()].numpy()
        outputs = member_outputs(ready, some, Verdict.method, objective.n_logits + 1)[0]
        energies.append(free_energy(torch.from_numpy(outputs[:, : objective.n_classes])))
    inside, outside = energies[0].quantile(INSIDE), energies[1].quantile(OUTSIDE)
    return torch.stack([inside, torch.maximum(outside, energies[0].quantile(OUTSIDE))]).float()
