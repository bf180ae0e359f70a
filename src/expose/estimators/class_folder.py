"""What a model folder keeps of a classifier, and how a classifier is made of it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torch import nn

from expose.errors import InputError, ModelFolderError
from expose.estimators.class_training import Learned, network_for, outputs_for, terms_of
from expose.estimators.folder import kept_parameters, stored_weights, weights_in
from expose.estimators.scoring import ready_to_score
from expose.inputs import encoder_from_json
from expose.objectives.classification import Classification
from expose.persistence import load_folder, save_folder
from expose.training import Ensemble, torch_device

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier

    Classifier = TypeVar("Classifier", bound=OutlierExposureClassifier)

CLASS = "OutlierExposureClassifier"
NOT_KEPT = {"network", "random_state", "checkpoint", "device"}


def save_classifier(classifier: OutlierExposureClassifier, folder: Path, metadata: dict[str, Any]) -> None:
    """Write a fitted classifier."""
    learned = classifier._learned
    classes = learned.classes.tolist()
    if not all(isinstance(name, str | int | float | bool) for name in classes):
        raise InputError(f"A model folder keeps classes that are texts or numbers; these are {classes[:5]}.")
    network = classifier.network
    meta = {
        "class": CLASS,
        "parameters": kept_parameters(classifier, NOT_KEPT),
        "network": network if isinstance(network, str) else None,
        "network_class": None if isinstance(network, str) else type(network).__name__,
        "classes": classes,
        "classes_dtype": learned.classes.dtype.str if learned.classes.dtype.kind != "O" else "O",
        "terms": learned.objective.terms,
        "encoder": learned.encoder.to_json(),
        "n_features_in": classifier.n_features_in_,
        "feature_names_in": [str(name) for name in getattr(classifier, "feature_names_in_", [])],
        "temperature": classifier.temperature_,
        "history": learned.history,
        "root": learned.root,
        "metadata": metadata,
    }
    tensors = stored_weights(learned.objective)
    tensors["latent_labels"] = learned.latent
    tensors["training_outputs"] = classifier._training
    if classifier._calibration is not None:
        tensors["calibration_outputs"] = classifier._calibration
    save_folder(folder, meta, tensors)


def load_classifier(cls: type[Classifier], folder: Path, network: nn.Module | None, device: str) -> Classifier:
    """Make a fitted classifier of a model folder."""
    meta, tensors = load_folder(folder)
    if meta.get("class") != CLASS:
        raise ModelFolderError(f"{folder} holds a {meta.get('class')!r}, not an {CLASS}.")
    make = network if network is not None else meta["network"]
    if make is None:
        raise ModelFolderError(
            f"{folder} was trained with a network of its own, class {meta['network_class']!r}, and a folder holds "
            f"no code. Load it with {CLASS}.load(folder, network={meta['network_class']}(...))."
        )
    classifier = cls(make, device=device, **meta["parameters"])
    encoder = encoder_from_json(meta["encoder"])
    classes = np.asarray(meta["classes"], dtype=np.dtype(meta["classes_dtype"]))
    terms = meta["terms"]
    objective = Classification(
        network_for(make, encoder, outputs_for(terms, len(classes))), len(classes), terms, augment=classifier.augment
    )
    objective.layout = encoder.layout
    try:
        objective.load_state_dict(weights_in(tensors))
    except RuntimeError as error:
        raise ModelFolderError(f"The network does not fit the weights in {folder}: {error}") from error
    ensemble = ready_to_score(Ensemble([objective]), torch_device(device), encoder.layout)
    classifier._learned = Learned(
        encoder, classes, objective, ensemble, meta["root"], meta["history"], tensors["latent_labels"]
    )
    classifier.classes_, classifier.history_ = classes, meta["history"]
    classifier.latent_labels_ = tensors["latent_labels"]
    classifier.n_features_in_ = meta["n_features_in"]
    if meta["feature_names_in"]:
        classifier.feature_names_in_ = np.asarray(meta["feature_names_in"], dtype=object)
    classifier.temperature_, classifier.metadata_ = meta["temperature"], meta["metadata"]
    classifier._training = tensors["training_outputs"]
    classifier._calibration = tensors.get("calibration_outputs")
    terms_of(classifier)  # a folder of a newer version may know terms that this one does not
    return classifier
