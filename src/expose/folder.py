"""What a model folder keeps of a `Fitted`, and how it is made again. No code, no pickle, no scikit-learn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from expose.decide import Combination, Verdict
from expose.encoders import State, restore_encoder
from expose.encoders.base import needs_own
from expose.errors import InputError, ModelFolderError
from expose.exposure import EXPOSURES, ContaminationEstimate
from expose.kinds import kind_named
from expose.model import Fitted, Peak
from expose.objectives import OBJECTIVES, Objective, allowed_settings
from expose.objectives.classification import Classification, usual_score
from expose.persistence import field, load_folder, refusing_nonsense, save_folder
from expose.stores import Place
from expose.training import loaded_members, ready_to_score, torch_device

WEIGHTS, ENCODER = "weights/", "encoder/"
MOST_MEMBERS, MOST_FEATURES = 10_000, 10**9  # a folder that claims more is not ours


class Own(NamedTuple):
    """What the user brings along to load a model, because a folder holds no code."""

    objective: Objective | None = None
    network: nn.Module | None = None
    encoder: Any = None


# ---------------------------------------------------------------------------------------------------------- save


def save_fitted(folder: Place, fitted: Fitted, estimator: str, parameters: Mapping[str, Any]) -> None:
    """Write a fitted model.

    Parameters
    ----------
    folder : path
    fitted : Fitted
    estimator : str
        Name of the class that holds it, which will load it.
    parameters : mapping
        Of that class. What is no plain value is left out: whoever loads the model gives it again.

    Raises
    ------
    InputError
        If it holds what no folder can keep: a threshold that is code, or classes that are no texts or numbers.
    OSError, ModelFolderError
        As `expose.persistence.save_folder`.
    """
    check_threshold_kept(parameters.get("threshold"))
    state = fitted.encoder.state()
    head = fitted.head
    meta = {
        "class": estimator,
        "parameters": {name: plain(value) for name, value in parameters.items() if is_json(plain(value))},
        "objective": described(fitted.objective),
        "members": fitted.ensemble.n_members,
        "kind": fitted.kind.name,
        "encoder": {"family": fitted.encoder.family, "state": state.meta},
        "head": None if isinstance(head, Combination) else described_verdict(head),
        "exposure": fitted.exposure,
        "contamination_estimate": vars(fitted.estimate),
        "n_features": fitted.n_features,
        "columns": list(fitted.columns),
        "history": fitted.history,
        "notes": fitted.notes,
        "root": fitted.root,
        "metadata": fitted.metadata,
    }
    tensors = {f"{WEIGHTS}{name}": weight.numpy() for name, weight in fitted.weights().items()}
    tensors |= {f"{ENCODER}{name}": array for name, array in state.arrays.items()}
    tensors |= {"training": fitted.training, "typical": fitted.typical}
    if isinstance(head, Combination):
        tensors |= {"centre": head.centre, "scale": head.scale}
    if fitted.peak is not None:
        tensors["peak"] = np.array(fitted.peak)
    if fitted.calibration is not None:
        tensors["calibration"] = fitted.calibration
    save_folder(folder, meta, tensors, {"latent": fitted.latent, "known": fitted.known})


def check_threshold_kept(threshold: Any) -> None:
    """Raise InputError for a threshold that is code."""
    if not (threshold is None or isinstance(threshold, str | float | int | np.number)):
        raise InputError(
            f"threshold is an object of your own, {type(threshold).__name__}, and a model folder holds no "
            "code. Before saving call set_params(threshold=None), or give a share or the name of a rule; once loaded, "
            "set_params(threshold=...) takes your object again: it learns from the training scores, which are kept."
        )


def described(objective: Objective) -> dict[str, Any]:
    """An objective as JSON: its name, if it is registered, and its settings."""
    settings = objective.settings()
    if isinstance(objective, Classification):
        (network,) = objective.choice
        settings |= {"network": network if isinstance(network, str) else {"class": type(network).__name__}}
    return {
        "name": objective.name,
        "class": type(objective).__name__,
        "settings": {name: plain(value) for name, value in settings.items()},
    }


def described_verdict(head: Verdict) -> dict[str, Any]:
    """How a classifier's outputs are read, as JSON."""
    classes = head.classes.tolist()
    if not all(isinstance(name, str | int | float | bool) for name in classes):
        raise InputError(f"A model folder keeps classes that are texts or numbers; these are {classes[:5]}.")
    kind = head.classes.dtype.str if head.classes.dtype.kind != "O" else "O"
    return {"classes": classes, "dtype": kind, "temperature": head.temperature, "usual": head.usual}


def is_json(value: Any) -> bool:
    """Whether a value is one that JSON knows."""
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(map(is_json, value.values()))
    return value is None or isinstance(value, str | int | float | bool)


def plain(value: Any) -> Any:
    """NumPy scalars and paths as what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, Path) else value


# ---------------------------------------------------------------------------------------------------------- load


class Loaded(NamedTuple):
    """A model, and the parameters of the estimator that was saved."""

    fitted: Fitted
    parameters: dict[str, Any]


def load_fitted(folder: Place, estimator: str | None = None, own: Own | None = None, device: str = "auto") -> Loaded:
    """Make a model of a folder.

    Parameters
    ----------
    folder : path
    estimator : str, optional
        Name of the class that must have saved it; None takes any.
    own : Own, optional
        What is the user's in the model.
    device : {"auto", "cpu", "cuda"} or "cuda:<index>"

    Raises
    ------
    ModelFolderError
        If a byte was changed, a file is missing or foreign, the folder comes from another version, or what it holds
        makes no model.
    """
    meta, tensors = load_folder(folder)
    if estimator not in (None, meta.get("class")):
        raise ModelFolderError(f"{folder} holds a model of the class {meta.get('class')}, not {estimator}.")
    where = torch_device(device)
    with refusing_nonsense(folder):
        fitted = rebuilt(meta, tensors, own or Own(), folder)
        parameters: dict[str, Any] = dict(meta["parameters"])
        fitted.ensemble.eval()
        fitted.decide(fitted.outputs(fitted.typical[:1]), parameters["threshold"])  # what is nonsense, fails here
    fitted.ensemble = ready_to_score(fitted.ensemble, where, fitted.head.method)
    return Loaded(fitted, parameters)


def rebuilt(meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], own: Own, folder: Place) -> Fitted:
    """The model that a folder describes, before it is moved to where it scores."""
    arrays = {name.removeprefix(ENCODER): array for name, array in tensors.items() if name.startswith(ENCODER)}
    stored = meta["encoder"]
    if own.encoder is not None and not needs_own(stored["family"], stored["state"]):
        raise ModelFolderError(
            f"{folder} holds its encoder, {stored['family']!r}; no other can take its place. Leave out encoder."
        )
    try:
        kind = kind_named(meta["kind"])
        encoder = restore_encoder(stored["family"], State(stored["state"], arrays), kind, own.encoder)
    except (InputError, ModelFolderError) as error:  # the message says what to bring along
        raise ModelFolderError(f"{folder}: {error}") from error
    if tensors["typical"].shape[1:] != (encoder.layout.n_values,):
        raise ValueError(f"its encoder makes {encoder.layout.n_values} values, and others were trained on")
    head = restored_head(meta, tensors)
    objective = restored_objective(meta["objective"], own, folder)
    weights = {
        name.removeprefix(WEIGHTS): torch.from_numpy(array)
        for name, array in tensors.items()
        if name.startswith(WEIGHTS)
    }
    count = field(meta, "members", int, (1, MOST_MEMBERS))
    try:
        ensemble = loaded_members(objective, encoder.layout, count, weights)
    except RuntimeError as error:
        raise ModelFolderError(f"The network does not fit the weights in {folder}: {error}") from error
    n_samples = len(tensors["training"])
    return Fitted(
        kind=kind,
        encoder=encoder,
        objective=objective,
        ensemble=ensemble,
        head=head,
        exposure=one_of(meta["exposure"], EXPOSURES),
        estimate=restored_estimate(meta),
        training=tensors["training"],
        latent=tensors.get("latent", np.zeros(n_samples)),
        known=tensors.get("known", np.full(n_samples, -1, dtype=np.int8)),
        typical=tensors["typical"],
        root=int(meta["root"]),
        history=list(meta["history"]),
        notes=list(meta["notes"]),
        n_features=field(meta, "n_features", int, (1, MOST_FEATURES)),
        columns=tuple(meta["columns"]),
        calibration=tensors.get("calibration"),
        metadata=dict(meta["metadata"]),
        peak=Peak(*tensors["peak"].tolist()) if "peak" in tensors else None,
    )


def restored_estimate(meta: Mapping[str, Any]) -> ContaminationEstimate:
    """The estimate of the contamination, whose numbers are shares."""
    stored = field(meta, "contamination_estimate", dict)
    for name in ("value", "low", "high"):
        field(stored, name, float, (0, 1))
    return ContaminationEstimate(**stored)


def one_of(value: Any, choices: Collection[str]) -> str:
    """A name that must be known."""
    if value not in choices:
        raise ValueError(f"{value!r} is none of {sorted(choices)}")
    return str(value)


def restored_head(meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Combination | Verdict:
    """How scores are made of what members say."""
    stored = meta["head"]
    if stored is None:
        return Combination(tensors["centre"], tensors["scale"])
    classes = np.asarray(stored["classes"], dtype=np.dtype(stored["dtype"]))
    terms = {str(name): float(weight) for name, weight in meta["objective"]["settings"]["terms"].items()}
    usual = str(stored.get("usual", usual_score(terms)))
    return Verdict(classes, terms, meta["parameters"]["score_function"], float(stored["temperature"]), usual)


def restored_objective(stored: Mapping[str, Any], own: Own, folder: Place) -> Objective:
    """The unbuilt objective with its stored settings: the one given, or the registered one."""
    if stored["class"] == Classification.__name__:
        return restored_classification(stored, own.network, folder)
    if own.objective is not None:
        return checked_objective(stored, own.objective, folder)
    if stored["name"] not in OBJECTIVES:
        raise ModelFolderError(
            f"{folder} was trained with an objective of its own, class {stored['class']!r}, and a model folder holds "
            f"no code. Load it with load(folder, objective={stored['class']}(...))."
        )
    objective = OBJECTIVES[stored["name"]]
    foreign = sorted(set(stored["settings"]) - set(allowed_settings(objective)))
    if foreign:
        raise ModelFolderError(
            f"{folder} holds a model by the objective {stored['name']!r} of another version of expose, which had the "
            f"setting {', '.join(map(repr, foreign))}; this one has not. Train again, and write to another place."
        )
    return objective(**stored["settings"])


def restored_classification(stored: Mapping[str, Any], network: nn.Module | None, folder: Place) -> Classification:
    """The objective of a classifier, with a network by name, or a module of the user's."""
    settings = dict(stored["settings"])
    named = settings.pop("network")
    if network is None and not isinstance(named, str):
        raise ModelFolderError(
            f"{folder} was trained with a network of its own, class {named['class']!r}, and a folder holds "
            f"no code. Load it with load(folder, network={named['class']}(...))."
        )
    return Classification(named if network is None else network, **settings)


def checked_objective(stored: Mapping[str, Any], given: Objective, folder: Place) -> Objective:
    """The objective that the user gave, if the model was trained with such a one."""
    if not isinstance(given, Objective):
        raise ModelFolderError(
            f"{folder} was trained with {stored['class']}; load(folder, objective=...) takes an instance of it, not "
            f"{given!r}."
        )
    there, here = (stored["class"], stored["settings"]), (type(given).__name__, described(given)["settings"])
    if there != here:
        raise ModelFolderError(
            f"{folder} was trained with {there[0]}, settings {there[1]}; the objective given is {here[0]}, {here[1]}. "
            "Give one that agrees."
        )
    return given
