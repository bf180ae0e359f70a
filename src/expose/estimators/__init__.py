"""The scikit-learn face."""

from expose.estimators.detector import AnomalyDetector
from expose.estimators.together import fit_together

__all__ = ["AnomalyDetector", "fit_together"]
