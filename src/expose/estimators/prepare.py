"""From what a user gave to a plan and the data to carry it out on. Touches nothing that was fitted before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from expose.errors import InputError
from expose.estimators.checks import check_labels, warn_if_few
from expose.estimators.contamination import settle_contamination
from expose.estimators.overlap import warn_of_overlap
from expose.estimators.samples import Encoded, check_form, encode_outliers, encode_training
from expose.exposure import ContaminationEstimate
from expose.folder import plain
from expose.kinds import kind_of
from expose.model import Fitted
from expose.objectives import MemoryObjective, Objective, make_objective
from expose.outliers import OutlierStream
from expose.training import OutlierSource, Plan, TrainingSet, mix, reference_points, torch_device

PREPARE_ROWS = 4096
EXPOSES_SUSPECTS = {"hard", "soft"}  # to the abnormal loss
UNDETERMINING = {
    "objective", "network", "encoder", "recipe",  # these are in the digest by what they are, not by their names
    "score_function", "threshold", "calibration", "verbose", "checkpoint", "random_state",
}  # fmt: skip

Outliers = NDArray[np.float32] | OutlierSource | None


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs, and what its conclusion needs to know.

    Attributes
    ----------
    encoded : Encoded
    plan : Plan
    data : TrainingSet
        Of parts.
    known : (n,) array of int8, or None
        Of samples.
    estimate : ContaminationEstimate
        Of the unlabelled samples.
    root : int
        The seed of all seeds.
    concern : str or None
        What is wrong with the combination of objective and data, in one sentence.
    """

    encoded: Encoded
    plan: Plan
    data: TrainingSet
    known: NDArray[np.int8] | None
    estimate: ContaminationEstimate
    root: int
    concern: str | None = None


def prepare(
    parameters: Mapping[str, Any], X: Any, labels: Any, outliers: Any, before: Fitted | None = None
) -> Prepared:
    """Check and encode everything for a detector.

    Parameters
    ----------
    parameters : mapping
        Of `AnomalyDetector`, checked.
    X, labels, outliers
        As `AnomalyDetector.fit` takes them.
    before : Fitted, optional
        The fit to go on from.
    """
    kind = kind_of(X) if before is None else before.kind
    auto = parameters["objective"] == "auto"
    objective = make_objective(kind.objective if auto else parameters["objective"])
    encoded = encode_training(X, kind, parameters["encoder"], objective, before, parameters["verbose"])
    if auto and encoded.encoder.layout.form not in objective.forms:  # an encoder was chosen that makes others
        objective = make_objective(kind.objective_for(encoded.encoder.layout.form))
    check_form(objective, encoded.encoder, kind, parameters["encoder"])
    if before is not None:
        check_alike(before, objective, parameters["ensemble_size"])
    known = check_labels(labels, len(encoded.samples))
    warn_if_few(len(encoded.samples), remembers=isinstance(objective, MemoryObjective), noun=encoded.kind.noun)
    root = seed_of(parameters["random_state"]) if before is None else before.root
    extra = outliers_of(outliers, encoded, objective, known)
    layout = encoded.encoder.layout
    overlapping = encoded.parts.ndim == 2 or layout.pooling == "mean"
    vectors = encoded.parts if overlapping else encoded.parts.mean(axis=1)
    likeness = encoded.encoder.likeness(encoded.parts)
    estimate = settle_contamination(parameters["contamination"], objective, layout, vectors, known, root, likeness)
    exposure = objective.preferred_exposure if parameters["exposure"] == "auto" else parameters["exposure"]
    start = None if before is None or isinstance(objective, MemoryObjective) else before.weights()
    data = training_set(encoded, known, extra, root)
    plan = Plan(
        objective,
        layout,
        exposure,
        estimate.value * encoded.anomalous_parts,
        seeds=tuple(mix(root, member) for member in range(parameters["ensemble_size"])),
        device=torch_device(parameters["device"]),
        checkpoint=path_of(parameters["checkpoint"]),
        fingerprint=fingerprint(parameters, objective, root, data, start) if parameters["checkpoint"] else "",
        verbose=parameters["verbose"],
        start=start,
    )
    return Prepared(encoded, plan, data, known, estimate, root, one_sided(plan, data, known))


def outliers_of(
    outliers: Any, encoded: Encoded, objective: Objective, known: NDArray[np.int8] | None = None
) -> Outliers:
    """Auxiliary outliers as the objective can use them, after a warning if training samples are among them."""
    if isinstance(outliers, OutlierStream):
        outliers.seek(0)  # the same stream gives the same rows to every fit
        if isinstance(objective, MemoryObjective):
            outliers = outliers.take(reference_points(objective))  # more it cannot remember
    if outliers is None:
        return None
    rows = encode_outliers(outliers, encoded)
    if isinstance(rows, np.ndarray):  # those of a stream are not there yet
        warn_of_overlap(outliers, rows, encoded, known)
    return rows


def training_set(
    encoded: Encoded, known: NDArray[np.int8] | None, outliers: Outliers, root: int, targets: Any = None
) -> TrainingSet:
    """Parts as tensors; what is known of a sample is known of its parts."""
    rows = encoded.taught(root)
    of_parts = None if known is None else known.repeat(len(rows) // len(encoded.samples))
    return TrainingSet(
        torch.from_numpy(rows),
        None if of_parts is None else torch.from_numpy(of_parts),
        torch.from_numpy(outliers) if isinstance(outliers, np.ndarray) else outliers,
        None if targets is None else torch.from_numpy(targets),
        torch.from_numpy(typical_places(of_parts, len(rows), root)),
        certain=encoded.parts_per_sample == 1,
    )


def typical_places(known: NDArray[np.int8] | None, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Numbers of at most 4,096 random parts, none a known anomaly, on which members prepare and diagnose themselves."""
    rows = np.arange(n_rows) if known is None else np.flatnonzero(known != 1)
    if len(rows) <= PREPARE_ROWS:
        return rows
    return np.random.default_rng(seed).choice(rows, PREPARE_ROWS, replace=False)


def check_alike(before: Fitted, objective: Objective, ensemble_size: int) -> None:
    """Raise InputError unless training can go on from the fit before."""
    old = before.objective
    then = (old.name, type(old), plain(old.hyperparameters()), before.ensemble.n_members)  # lists, where tuples were
    now = (objective.name, type(objective), plain(objective.hyperparameters()), ensemble_size)
    if then != now:
        raise InputError(
            f"warm_start goes on from what was fitted: objective {old.name!r}, {then[2]}, {then[3]} member(s); now "
            f"it is {objective.name!r}, {now[2]}, {now[3]} member(s). Set warm_start=False to begin anew."
        )


def one_sided(plan: Plan, data: TrainingSet, known: NDArray[np.int8] | None) -> str | None:
    """Say in one sentence that nothing abnormal is there for an objective that cannot do without; None if fine."""
    if not plan.objective.needs_anomalies or data.outliers is not None:
        return None
    if known is not None and bool((known == 1).any()):
        return None
    if plan.exposure in EXPOSES_SUSPECTS and plan.contamination > 0:
        return None
    return (
        f"{plan.objective.name or 'This objective'} was trained on nothing abnormal, so nothing keeps it from "
        "calling every row normal: pass outliers, label some anomalies, assume a contamination, or choose another "
        "objective."
    )


def seed_of(random_state: Any) -> int:
    """The seed of all seeds: the only number that is drawn from the user's random state."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def path_of(checkpoint: Any) -> Path | None:
    """A path, or None; InputError for a folder."""
    if checkpoint is not None and Path(checkpoint).is_dir():
        raise InputError(
            f"checkpoint must be a file, which training writes; {checkpoint} is a folder. Name a file in it: "
            f"{Path(checkpoint) / 'training.checkpoint'}"
        )
    return None if checkpoint is None else Path(checkpoint)


def fingerprint(
    parameters: Mapping[str, Any],
    objective: Objective,
    root: int,
    data: TrainingSet,
    start: Mapping[str, torch.Tensor] | None,
) -> str:
    """A digest of all that determines the training, so that a checkpoint serves only its own run."""
    given = {name: value for name, value in parameters.items() if name not in UNDETERMINING}
    model = repr((objective.name, type(objective), objective.hyperparameters(), objective.recipe))
    arrays = (value.numpy() if isinstance(value, torch.Tensor) else None for value in vars(data).values())
    return digest_of(given, root, model, [*arrays, *(value.numpy() for value in (start or {}).values())])


def digest_of(parameters: Mapping[str, Any], root: int, model: str, arrays: Iterable[NDArray[Any] | None]) -> str:
    """A digest of parameters, seed, what the model is, arrays, and the versions that compute."""
    settled = [dict(parameters), root, version("expose"), torch.__version__]
    digest = hashlib.sha256(json.dumps(settled, default=str).encode() + model.encode())
    for array in arrays:
        digest.update(repr(None if array is None else array.shape).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
