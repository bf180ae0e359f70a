"""Classical detectors to compare with: from scikit-learn and PyOD, on standardised columns, as they are and trimmed.

All share one face and one rule of decision, so that the tables compare detectors and not their thresholds: a row is
flagged if it scores above the training rows' quantile of the assumed contamination. PyOD is an extra of the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from expose.errors import InputError, MissingExtraError

Scores = NDArray[np.float64]


class Baseline(OutlierMixin, BaseEstimator):
    """A classical detector behind scikit-learn's outlier interface.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    trimmed : int, default=0
        Fit, drop this many times the assumed contamination of the training rows (half of them at most), those with
        the highest scores, and fit again. 0 fits once.
    contamination : float, default=0.1
        Assumed share of anomalies in the training rows; decides the threshold, and how many are trimmed.
    random_state : int or None

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 3))
    >>> Baseline("IsolationForest", random_state=0).fit(rows).predict([[9.0, 9.0, 9.0]]).tolist()
    [-1]
    """

    def __init__(
        self, name: str, *, trimmed: int = 0, contamination: float = 0.1, random_state: int | None = None
    ) -> None:
        self.name = name
        self.trimmed = trimmed
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit, once or again after trimming; ``y`` is ignored."""
        rows = np.asarray(X, dtype=np.float64)
        scores = self._fit_once(rows)  # (n,)
        dropped = min(round(self.trimmed * self.contamination * len(rows)), len(rows) // 2)
        if dropped:
            order = np.argsort(scores, kind="stable")
            kept, rest = np.sort(order[:-dropped]), order[-dropped:]
            scores[kept] = self._fit_once(rows[kept])
            scores[rest] = -self.score_samples(rows[rest])
        self.offset_ = -float(np.quantile(scores, 1 - self.contamination))
        return self

    def score_samples(self, X: ArrayLike) -> Scores:
        """Scikit-learn's direction: lower = more anomalous."""
        rows = self.scaler_.transform(np.asarray(X, dtype=np.float64))
        if hasattr(self.detector_, "score_samples"):
            return np.asarray(self.detector_.score_samples(rows), dtype=np.float64)
        return -np.asarray(self.detector_.decision_function(rows), dtype=np.float64)  # PyOD: higher = more anomalous

    def decision_function(self, X: ArrayLike) -> Scores:
        """Negative for flagged rows."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """-1 for flagged rows, +1 for the others."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _fit_once(self, rows: NDArray[np.float64]) -> Scores:
        """Scale and fit; the anomaly scores of these training rows ``(n,)``, none its own neighbour."""
        if self.name not in BASELINES:
            raise InputError(f"Baselines are {', '.join(BASELINES)}; got {self.name!r}.")
        self.scaler_ = StandardScaler().fit(rows)
        scaled = self.scaler_.transform(rows)
        self.detector_ = BASELINES[self.name](self.random_state, scaled).fit(scaled)
        if isinstance(self.detector_, LocalOutlierFactor):
            return -np.asarray(self.detector_.negative_outlier_factor_, dtype=np.float64)
        if hasattr(self.detector_, "decision_scores_"):  # PyOD
            return np.asarray(self.detector_.decision_scores_, dtype=np.float64).copy()
        return -np.asarray(self.detector_.score_samples(scaled), dtype=np.float64)


def pyod(module: str, name: str, **parameters: Any) -> Any:
    """A detector of PyOD."""
    try:
        return getattr(import_module(f"pyod.models.{module}"), name)(**parameters)
    except ImportError as error:
        raise MissingExtraError(f"The baseline {name} is PyOD's: pip install 'expose[bench]'") from error


Make = Callable[[int | None, NDArray[np.float64]], Any]  # from the seed and the scaled training rows

# As their libraries have them, but for what would fail: no more neighbours than rows, no component without variance.
BASELINES: dict[str, Make] = {
    "IsolationForest": lambda seed, rows: IsolationForest(random_state=seed),
    "LOF": lambda seed, rows: LocalOutlierFactor(n_neighbors=min(20, len(rows) - 1), novelty=True),
    "kNN": lambda seed, rows: pyod("knn", "KNN", n_neighbors=min(5, len(rows) - 1)),
    "OneClassSVM": lambda seed, rows: OneClassSVM(),
    "MCD": lambda seed, rows: EllipticEnvelope(random_state=seed),
    "PCA": lambda seed, rows: pyod("pca", "PCA", n_components=int(np.linalg.matrix_rank(rows)), random_state=seed),
    "ECOD": lambda seed, rows: pyod("ecod", "ECOD"),
    "CBLOF": lambda seed, rows: pyod("cblof", "CBLOF", random_state=seed),
    "HBOS": lambda seed, rows: pyod("hbos", "HBOS"),
}
