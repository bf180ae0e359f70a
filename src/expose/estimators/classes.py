"""From samples of known classes to a trained classifier, by the one loop."""

from __future__ import annotations

import warnings
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
from expose.errors import ExposureWarning, InputError
from expose.estimators.checks import check_classes, terms_of
from expose.estimators.conclude import conclude
from expose.estimators.margins import outputs_of, some_outliers, train_with_margins
from expose.estimators.prepare import (
    EXPOSES_SUSPECTS,
    Prepared,
    fingerprint,
    outliers_of,
    path_of,
    seed_of,
    training_set,
)
from expose.estimators.samples import check_form, encode_training
from expose.exposure import given_contamination
from expose.kinds import kind_of
from expose.model import Fitted
from expose.objectives import Descend
from expose.objectives.classification import Classification, usual_score
from expose.training import Plan, mix, torch_device

CHANCE = 0.5  # the AUROC of a score that knows nothing


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
    trained, concern = train_with_margins(prepared)
    fitted = conclude(prepared, trained, head)
    for message in filter(None, (concern, inverted(fitted, prepared))):
        warnings.warn(message, ExposureWarning, stacklevel=3)
        fitted.notes.append(message)
    return fitted


def prepare_classes(
    parameters: Mapping[str, Any], X: Any, y: Any, outliers: Any, before: Fitted | None
) -> tuple[Prepared, Verdict]:
    """Check and encode everything for a classifier."""
    kind = kind_of(X) if before is None else before.kind
    terms = terms_of(parameters["terms"])
    any_classes = Classification("auto", (0.5, 0.5), terms)  # which there are is known after the samples are checked
    encoded = encode_training(X, kind, parameters["encoder"], any_classes, before, parameters["verbose"])
    check_form(any_classes, encoded.encoder, kind, parameters["encoder"])
    if encoded.parts.ndim == 3:
        said = "A classifier takes one vector per sample; this encoder gives parts. Pool them, or choose another."
        raise InputError(f"{said} {kind.advice}".strip())
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
    exposed = outliers is not None or (plan.contamination > 0 and plan.exposure in EXPOSES_SUSPECTS)
    head = Verdict(classes, terms, parameters["score_function"], usual=usual_score(terms, exposed))
    return Prepared(encoded, plan, data, None, estimate, root), head


def targets_of(y: Any, n_samples: int, before: Fitted | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Classes ``(K,)``, and the number of each sample's class ``(n,)``."""
    if y is None:
        raise InputError("This OutlierExposureClassifier requires y to be passed, but the target y is None.")
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


def inverted(fitted: Fitted, prepared: Prepared) -> str | None:
    """Say that a score function puts the outliers below the training samples, where the usual one does not."""
    head, data = fitted.head, prepared.data
    assert isinstance(head, Verdict)
    if data.outliers is None or head.score == head.usual:
        return None
    outliers = outputs_of(fitted.ensemble, some_outliers(data))
    chosen, usual = (
        auroc(reader.scores(fitted.training), reader.scores(outliers))
        for reader in (head, replace(head, score_function="auto"))
    )
    if chosen >= CHANCE or usual <= chosen:
        return None
    return (
        f"score_function={head.score!r} gives the auxiliary outliers lower scores than the training rows (AUROC "
        f"{chosen:.2f}): it does not belong to the terms {sorted(head.terms)}. Set "
        f"score_function={head.usual!r} (AUROC {usual:.2f}), which is what 'auto' means here; no need to train again."
    )


def auroc(normal: NDArray[np.float64], outliers: NDArray[np.float64]) -> float:
    """How often an outlier has the higher score."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([0, 1], [len(normal), len(outliers)]), np.r_[normal, outliers]))
