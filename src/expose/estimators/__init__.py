"""The scikit-learn face."""

from expose.estimators.classifier import OutlierExposureClassifier
from expose.estimators.detector import AnomalyDetector
from expose.estimators.loading import load
from expose.estimators.together import fit_together

__all__ = ["AnomalyDetector", "OutlierExposureClassifier", "fit_together", "load"]
