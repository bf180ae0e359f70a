"""The scikit-learn face."""

from expose.estimators.detector import AnomalyDetector

__all__ = ["AnomalyDetector"]
