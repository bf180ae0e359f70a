"""From encoded rows and classes to a trained classifier, by the one loop."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn

from expose.errors import InputError
from expose.estimators.fitting import digest_of, held
from expose.estimators.scoring import member_outputs, ready_to_score
from expose.exposure import EXPOSURES, BatchRanking
from expose.inputs import Encoder
from expose.networks import Unfolded, make_network
from expose.objectives.classification import TERMS, Classification, free_energy
from expose.training import (
    Ensemble,
    Loop,
    OutlierSource,
    Settings,
    TrainingSet,
    default_batch_size,
    default_epochs,
    make_fabric,
    mix,
    survey,
    torch_device,
    torch_seed,
)

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier

RATES = {"adam": 1e-3, "sgd": 0.1}
MARGIN_ROWS = 4096  # from which the energies' quantiles are taken
INSIDE, OUTSIDE = 0.1, 0.9  # those quantiles, of normal rows and of outliers
UNDETERMINING = {"network", "score_function", "threshold", "verbose", "checkpoint", "checkpoint_every", "random_state"}


@dataclass
class Learned:
    """A trained classifier, of which the estimator shows parts as attributes."""

    encoder: Encoder
    classes: NDArray[Any]
    objective: Classification
    ensemble: Ensemble  # of the objective alone, as it scores
    root: int
    history: list[dict[str, Any]]
    latent: NDArray[np.float64]  # (n,)
    interrupted: bool = False


def learn(
    classifier: OutlierExposureClassifier,
    encoder: Encoder,
    rows: NDArray[np.float32],
    classes: NDArray[Any],
    targets: NDArray[np.int64],
    outliers: NDArray[np.float32] | OutlierSource | None,
    before: Learned | None,
) -> Learned:
    """Train on rows ``(n, D)`` with classes ``targets`` ``(n,)``, from scratch or from what was learned before."""
    root = int(check_random_state(classifier.random_state).randint(2**31 - 1)) if before is None else before.root
    objective = new_objective(classifier, encoder, len(classes), root, None if before is None else before.objective)
    shares = np.bincount(targets, minlength=len(classes)) / len(targets)
    objective.prior.copy_(torch.from_numpy(shares).float())
    if classifier.augment and encoder.layout.kind != "image":
        raise ValueError(f"augment=True flips and crops images; these are {encoder.layout.kind} rows.")
    data = TrainingSet(torch.from_numpy(rows), None, held(outliers), torch.from_numpy(targets))
    check_outputs(objective, data.rows[:2])
    settings = settings_for(classifier, objective, root, rows, targets, outliers)
    fresh = before is None and isinstance(classifier.network, str)
    history: list[dict[str, Any]] = []
    interrupted = False
    if "energy" in objective.terms and outliers is not None:
        if classifier.energy_margins is not None:
            objective.margins.copy_(torch.tensor(classifier.energy_margins))
        else:
            first = settings.epochs // 2 if fresh else 0  # an untrained network has no energies to speak of
            if first:
                early = replace(settings, epochs=first, checkpoint=None)
                history, interrupted = run(classifier, objective, replace(data, outliers=None), early)
                settings = replace(settings, epochs=settings.epochs - first)
            set_margins(objective, data, classifier.device)
    if not interrupted:  # who stopped the first half wants no second one
        records, interrupted = run(classifier, objective, data, settings)
        history += [record | {"epoch": record["epoch"] + len(history)} for record in records]
    ensemble = ready_to_score(Ensemble([objective]), torch_device(classifier.device), encoder.layout)
    latent = latent_labels(classifier, ensemble, data, root)
    return Learned(encoder, classes, objective, ensemble, root, history, latent, interrupted)


def latent_labels(
    classifier: OutlierExposureClassifier, ensemble: Ensemble, data: TrainingSet, root: int
) -> NDArray[np.float64]:
    """The weight of each training row as an anomaly ``(n,)``, ranked over all rows at the end of training."""
    if not classifier.contamination:  # none is suspected; that takes no pass over all rows
        return np.zeros(len(data.rows))
    weight = next(ensemble.parameters())
    there = TrainingSet(data.rows.to(weight.dtype), targets=data.targets).to(weight.device)
    ranking = BatchRanking(float(classifier.contamination), torch.Generator().manual_seed(mix(root, 0, stream=4)))
    keep_normal = EXPOSURES[classifier.exposure](*survey(ensemble, there), None, ranking).keep_normal[0]
    latent: NDArray[np.float64] = 1.0 - keep_normal.double().cpu().numpy()
    return latent


def run(
    classifier: OutlierExposureClassifier, objective: Classification, data: TrainingSet, settings: Settings
) -> tuple[list[dict[str, Any]], bool]:
    """Train the objective in place; return the history, and whether it was interrupted."""
    weights = sum(p.numel() for p in objective.parameters())
    fabric = make_fabric(classifier.device, classifier.precision, weights)
    loop = Loop(fabric, EXPOSURES[classifier.exposure], float(classifier.contamination), settings)
    history = loop.run(Ensemble([objective.train()]), data)
    objective.cpu()
    return history, loop.interrupted


def new_objective(
    classifier: OutlierExposureClassifier, encoder: Encoder, n_classes: int, root: int, before: Classification | None
) -> Classification:
    """The untrained objective, or a copy of the one before with the terms of now."""
    terms = terms_of(classifier)
    if before is not None:
        objective = copy.deepcopy(before).float().cpu()
        if outputs_for(terms, n_classes) != outputs_for(objective.terms, n_classes):
            raise InputError(
                f"warm_start goes on with the network that was fitted, for the terms {sorted(objective.terms)}; "
                f"{sorted(terms)} need another number of outputs. Set warm_start=False to begin anew."
            )
        objective.terms, objective.augment = terms, classifier.augment
        return objective
    with torch_seed(mix(root, 0)):
        network = network_for(classifier.network, encoder, outputs_for(terms, n_classes))
    objective = Classification(network, n_classes, terms, augment=classifier.augment)
    objective.layout = encoder.layout
    return objective


def network_for(network: str | nn.Module, encoder: Encoder, n_outputs: int) -> nn.Module:
    """A new network by name, or a copy of the user's."""
    if isinstance(network, str):
        return make_network(network, encoder.layout, n_outputs)
    return Unfolded(encoder.layout, copy.deepcopy(network).cpu())


def outputs_for(terms: Mapping[str, float], n_classes: int) -> int:
    """Outputs the network must have: one for each class, and one each for confidence and background."""
    return n_classes + ("background" in terms) + ("confidence" in terms)


def terms_of(classifier: OutlierExposureClassifier) -> dict[str, float]:
    """The terms with their lambdas, checked."""
    given = classifier.terms
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in TERMS]
    if unknown or not names:
        raise ValueError(f"terms must be of {sorted(TERMS)}, one or several; got {given!r}.")
    terms = {name: float(given[name]) if isinstance(given, Mapping) else TERMS[name] for name in names}
    if any(not 0 <= weight < np.inf for weight in terms.values()):
        raise ValueError(f"each term's lambda must be a finite number of at least 0; got {terms}.")
    return terms


@torch.no_grad()
def check_outputs(objective: Classification, rows: Tensor) -> None:
    """Raise InputError unless the network gives the outputs it must for rows ``(b, D)``."""
    shape, needed = tuple(objective.eval().network(rows).shape), outputs_for(objective.terms, objective.n_classes)
    if shape != (len(rows), needed):
        raise InputError(
            f"The network must give {needed} outputs per row, one for each of {objective.n_classes} classes"
            f"{' and one for each of the terms confidence and background' if needed > objective.n_classes else ''}; "
            f"for {len(rows)} rows it gave the shape {shape}."
        )


def set_margins(objective: Classification, data: TrainingSet, device: str) -> None:
    """Put the margins of the energy at quantiles of what the network gives now."""
    outliers = data.outliers if isinstance(data.outliers, Tensor) else data.outliers.batch(MARGIN_ROWS, 0)  # type: ignore[union-attr]
    ensemble = Ensemble([copy.deepcopy(objective).to(torch_device(device)).eval()])
    energies = []
    for rows in (data.rows, outliers):
        some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), MARGIN_ROWS)).long()].numpy()
        logits = member_outputs(ensemble, some, "outputs_of", objective.n_logits + 1)[0][:, : objective.n_classes]
        energies.append(free_energy(torch.from_numpy(logits)))
    inside, outside = energies[0].quantile(INSIDE), energies[1].quantile(OUTSIDE)
    objective.margins.copy_(torch.stack([inside, torch.maximum(outside, energies[0].quantile(OUTSIDE))]))


def settings_for(
    classifier: OutlierExposureClassifier,
    objective: Classification,
    root: int,
    rows: NDArray[np.float32],
    targets: NDArray[np.int64],
    outliers: NDArray[np.float32] | OutlierSource | None,
) -> Settings:
    """The classifier's parameters with their defaults resolved."""
    size = classifier.batch_size or default_batch_size(len(rows))
    return Settings(
        seeds=(mix(root, 0),),
        epochs=classifier.epochs or default_epochs(len(rows), size),
        batch_size=size,
        outlier_batch_size=classifier.outlier_batch_size,
        outlier_share=float(classifier.outlier_share),
        hardest=float(classifier.hardest),
        joint_pass=classifier.joint_pass,
        optimizer=classifier.optimizer,
        learning_rate=RATES[classifier.optimizer] if classifier.learning_rate is None else classifier.learning_rate,
        weight_decay=classifier.weight_decay,
        cosine=True,
        checkpoint=None if classifier.checkpoint is None else Path(classifier.checkpoint),
        checkpoint_every=classifier.checkpoint_every,
        fingerprint=fingerprint(classifier, objective, root, rows, targets, outliers) if classifier.checkpoint else "",
        verbose=classifier.verbose,
    )


def fingerprint(
    classifier: OutlierExposureClassifier,
    objective: Classification,
    root: int,
    rows: NDArray[np.float32],
    targets: NDArray[np.int64],
    outliers: NDArray[np.float32] | OutlierSource | None,
) -> str:
    """A digest of all that determines the training, so that a checkpoint serves only its own run."""
    parameters = {k: v for k, v in classifier.get_params(deep=False).items() if k not in UNDETERMINING}
    state = [value.detach().cpu().numpy() for value in objective.state_dict().values()]
    told = outliers if isinstance(outliers, np.ndarray) else None
    return digest_of(parameters, root, repr(objective.network), [*state, rows, targets, told])
