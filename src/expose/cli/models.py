"""Model folders of either class, for the commands that take both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.estimators.detector import AnomalyDetector

    Model = AnomalyDetector | OutlierExposureClassifier


def load_model(folder: Path, device: str) -> Model:
    """Read a model folder, a detector's or a classifier's, as it says itself.

    Raises
    ------
    ModelFolderError
        If it is damaged, or neither.
    """
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.estimators.detector import AnomalyDetector
    from expose.persistence import class_in

    if class_in(folder) == OutlierExposureClassifier.__name__:
        return OutlierExposureClassifier.load(folder, device=device)
    return AnomalyDetector.load(folder, device=device)
