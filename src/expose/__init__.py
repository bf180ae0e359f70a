"""Anomaly detection on data nobody has cleaned.

Public names are imported when first used, so that ``import expose`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expose.decide import select
    from expose.estimators import AnomalyDetector, OutlierExposureClassifier, fit_together, load
    from expose.objectives import Losses, Objective, register
    from expose.scoring import Scorer

    __version__: str

_HOMES = {
    "AnomalyDetector": "expose.estimators",
    "Losses": "expose.objectives",
    "Objective": "expose.objectives",
    "OutlierExposureClassifier": "expose.estimators",
    "Scorer": "expose.scoring",
    "fit_together": "expose.estimators",
    "load": "expose.estimators",
    "register": "expose.objectives",
    "select": "expose.decide",
}

__all__ = [
    "AnomalyDetector",
    "Losses",
    "Objective",
    "OutlierExposureClassifier",
    "Scorer",
    "__version__",
    "fit_together",
    "load",
    "register",
    "select",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # only when asked for: importlib.metadata is slow to import
        return import_module("importlib.metadata").version("expose")
    if name not in _HOMES:
        raise AttributeError(f"module 'expose' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
