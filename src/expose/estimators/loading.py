"""Load whichever estimator a model folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from expose.errors import ModelFolderError
from expose.estimators.classifier import OutlierExposureClassifier
from expose.estimators.detector import AnomalyDetector
from expose.objectives import Objective
from expose.persistence import class_in
from expose.stores import Stored

Model = AnomalyDetector | OutlierExposureClassifier


def load(
    folder: str | Path | Stored,
    *,
    objective: Objective | None = None,
    network: nn.Module | None = None,
    encoder: Any = None,
    device: str = "auto",
) -> Model:
    """Read a model folder: an `AnomalyDetector` or an `OutlierExposureClassifier`, whichever was saved.

    Parameters
    ----------
    folder : path
    objective, network, encoder : optional
        What is your own in the model; a folder holds no code.
    device : {"auto", "cpu", "cuda"} or "cuda:<index>", default="auto"

    Raises
    ------
    ModelFolderError
        If a byte was changed, a file is missing or foreign, or the folder comes from another version.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from expose import AnomalyDetector, load
    >>> X, folder = np.random.default_rng(0).normal(size=(100, 2)), tempfile.mkdtemp() + "/model"
    >>> AnomalyDetector(random_state=0).fit(X).save(folder)
    >>> load(folder).predict([[0.0, 0.0], [9.0, 9.0]]).tolist()
    [1, -1]
    """
    name = class_in(folder)
    if name == AnomalyDetector.__name__:
        refuse_unused(folder, name, network=network)
        return AnomalyDetector.load(folder, objective, encoder=encoder, device=device)
    if name == OutlierExposureClassifier.__name__:
        refuse_unused(folder, name, objective=objective)
        return OutlierExposureClassifier.load(folder, network, encoder=encoder, device=device)
    raise ModelFolderError(
        f"{folder} holds a model of the class {name}; expected AnomalyDetector or OutlierExposureClassifier."
    )


def refuse_unused(folder: str | Path | Stored, name: str, **given: Any) -> None:
    """Raise ModelFolderError for what was brought along and the model cannot use."""
    for parameter, value in given.items():
        if value is not None:
            raise ModelFolderError(
                f"{folder} holds a model of the class {name}, which takes no {parameter}. Leave it out."
            )
