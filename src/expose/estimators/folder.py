"""What a model folder keeps of a detector, and how a detector is made of it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from expose.decide import Combination
from expose.errors import InputError, ModelFolderError
from expose.estimators.scoring import ready_to_score
from expose.exposure import ContaminationEstimate
from expose.inputs import encoder_from_json
from expose.objectives import OBJECTIVES, Objective
from expose.persistence import load_folder, save_folder
from expose.training import blank_members, torch_device

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

    Detector = TypeVar("Detector", bound=AnomalyDetector)

CLASS, WEIGHTS = "AnomalyDetector", "weights/"
NOT_KEPT = {
    "objective",
    "random_state",
    "checkpoint",
    "device",
}  # parameters of the place and run, not of the model


def save_detector(detector: AnomalyDetector, folder: Path, metadata: dict[str, Any]) -> None:
    """Write a fitted detector."""
    if not (detector.threshold is None or isinstance(detector.threshold, str | float | int | np.number)):
        raise InputError(
            f"threshold is an object of your own, {type(detector.threshold).__name__}, and a model folder holds no "
            "code. Before saving call set_params(threshold=None), or give a share or the name of a rule; once loaded, "
            "set_params(threshold=...) takes your object again: it learns from the training scores, which are kept."
        )
    objective = detector._objective
    meta = {
        "class": CLASS,
        "parameters": kept_parameters(detector, NOT_KEPT) | {"members": detector.ensemble_.n_members},
        "objective": {
            "name": objective.name,
            "class": type(objective).__name__,
            "hyperparameters": {name: plain(value) for name, value in objective.hyperparameters().items()},
        },
        "encoder": detector.encoder_.to_json(),
        "n_features_in": detector.n_features_in_,
        "feature_names_in": [str(name) for name in getattr(detector, "feature_names_in_", [])],
        "contamination": float(detector.contamination_),
        "contamination_estimate": vars(detector.contamination_estimate_),
        "history": detector.history_,
        "notes": detector.notes_,
        "root": detector._root,
        "metadata": metadata,
    }
    save_folder(folder, meta, tensors_of(detector))


def tensors_of(detector: AnomalyDetector) -> dict[str, NDArray[Any]]:
    """All arrays of a fitted detector, by name."""
    return (
        stored_weights(detector.ensemble_)
        | {
            "training_scores": detector.training_scores_,
            "latent_labels": detector.latent_labels_,
            "known": detector._known,
            "centre": detector._combination.centre,
            "scale": detector._combination.scale,
        }
        | ({} if detector.calibration_scores_ is None else {"calibration_scores": detector.calibration_scores_})
    )


def load_detector(cls: type[Detector], folder: Path, objective: Objective | None, device: str) -> Detector:
    """Make a fitted detector of a model folder."""
    meta, tensors = load_folder(folder)
    if meta.get("class") != CLASS:
        raise ModelFolderError(f"{folder} holds a {meta.get('class')!r}, not an {CLASS}.")
    stored = meta["objective"]
    template = restore_objective(stored, objective, folder)
    choice: str | Objective = template if objective is not None or stored["hyperparameters"] else stored["name"]
    detector = cls(choice, device=device, **meta["parameters"])
    detector.encoder_ = encoder_from_json(meta["encoder"])
    detector.n_features_in_ = meta["n_features_in"]
    if meta["feature_names_in"]:
        detector.feature_names_in_ = np.asarray(meta["feature_names_in"], dtype=object)
    detector.contamination_ = meta["contamination"]
    detector.contamination_estimate_ = ContaminationEstimate(**meta["contamination_estimate"])
    detector.history_, detector.notes_, detector.metadata_ = meta["history"], meta["notes"], meta["metadata"]
    detector.training_scores_, detector.latent_labels_ = tensors["training_scores"], tensors["latent_labels"]
    detector._known = tensors["known"] if "known" in tensors else -tensors["unlabelled"].astype(np.int8)
    detector._rows, detector._root = None, meta.get("root", 0)  # folders of before have neither known nor root
    detector.calibration_scores_, detector._lines = tensors.get("calibration_scores"), {}
    detector._combination = Combination(tensors["centre"], tensors["scale"])
    template.layout = detector.encoder_.layout
    detector._objective = template
    detector.ensemble_ = blank_members(template, detector.encoder_.n_features_out, detector.members)
    detector.ensemble_.load_state_dict(weights_in(tensors))
    ready_to_score(detector.ensemble_, torch_device(device), detector.encoder_.layout)
    return detector


def kept_parameters(estimator: BaseEstimator, not_kept: Collection[str]) -> dict[str, Any]:
    """The parameters of an estimator as JSON, but for those of the place and run; a seed only if it is a number."""
    seed = estimator.random_state
    parameters = {k: plain(v) for k, v in estimator.get_params(deep=False).items() if k not in not_kept}
    return parameters | {"random_state": plain(seed) if isinstance(seed, int | np.integer) else None}


def stored_weights(module: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights of a module by name, as a folder keeps them: in single precision."""
    state = {name: value.detach().cpu() for name, value in module.state_dict().items()}
    return {f"{WEIGHTS}{k}": (v.float() if v.is_floating_point() else v).numpy() for k, v in state.items()}


def weights_in(tensors: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """What `stored_weights` stored, as a state dict."""
    own = {name: array for name, array in tensors.items() if name.startswith(WEIGHTS)}
    return {name.removeprefix(WEIGHTS): torch.from_numpy(array) for name, array in own.items()}


def restore_objective(stored: dict[str, Any], given: Objective | None, folder: Path) -> Objective:
    """The unbuilt objective with its stored hyper-parameters: the one given, or the registered one."""
    if given is not None:
        trained = (stored["class"], stored["hyperparameters"])
        present = (type(given).__name__, {k: plain(v) for k, v in given.hyperparameters().items()})
        if trained != present:
            raise ModelFolderError(
                f"{folder} was trained with {trained[0]}, hyper-parameters {trained[1]}; the objective given is "
                f"{present[0]}, {present[1]}. Give one that agrees."
            )
        return given
    if stored["name"] not in OBJECTIVES:
        raise ModelFolderError(
            f"{folder} was trained with an objective of its own, class {stored['class']!r}, and a model folder holds "
            f"no code. Load it with AnomalyDetector.load(folder, objective={stored['class']}(...))."
        )
    return OBJECTIVES[stored["name"]](**stored["hyperparameters"])


def plain(value: Any) -> Any:
    """NumPy scalars and paths as what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value
