"""Classical detectors to compare with: from scikit-learn and PyOD, on standardised columns, as they are and trimmed.

All share one face and one rule of decision, so that the tables compare detectors and not their thresholds: a row is
flagged if it scores above the training rows' quantile of the assumed contamination. Of tables with columns of several
types they see the median for missing numbers, and one column of 0 and 1 per category, both by the training rows alone.
PyOD is an extra of the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.compose import make_column_transformer
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import OneClassSVM

from expose.errors import InputError, MissingExtraError

Scores = NDArray[np.float64]


class Baseline(OutlierMixin, BaseEstimator):
    """A classical detector behind scikit-learn's outlier interface.

    It takes floats, or objects: numbers, texts, and None where a value is missing.

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
        rows = rows_of(X)
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
        rows = self.encoder_.transform(rows_of(X))
        if hasattr(self.detector_, "score_samples"):
            return np.asarray(self.detector_.score_samples(rows), dtype=np.float64)
        return -np.asarray(self.detector_.decision_function(rows), dtype=np.float64)  # PyOD: higher = more anomalous

    def decision_function(self, X: ArrayLike) -> Scores:
        """Negative for flagged rows."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """-1 for flagged rows, +1 for the others."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _fit_once(self, rows: NDArray[Any]) -> Scores:
        """Encode and fit; the anomaly scores of these training rows ``(n,)``, none its own neighbour."""
        if self.name not in BASELINES:
            raise InputError(f"Baselines are {', '.join(BASELINES)}; got {self.name!r}.")
        self.encoder_ = encoder_for(rows).fit(rows)
        scaled = self.encoder_.transform(rows)
        self.detector_ = BASELINES[self.name](self.random_state, scaled).fit(scaled)
        if isinstance(self.detector_, LocalOutlierFactor):
            return -np.asarray(self.detector_.negative_outlier_factor_, dtype=np.float64)
        if hasattr(self.detector_, "decision_scores_"):  # PyOD
            return np.asarray(self.detector_.decision_scores_, dtype=np.float64).copy()
        return -np.asarray(self.detector_.score_samples(scaled), dtype=np.float64)


def rows_of(X: ArrayLike) -> NDArray[Any]:
    """Rows as floats, or as objects where they are that."""
    rows = np.asarray(X)
    return rows if rows.dtype == object else rows.astype(np.float64)


def encoder_for(rows: NDArray[Any]) -> Any:
    """What makes numbers of rows like these: standardised columns, and categories as 0 and 1, which are not scaled.

    >>> rows = np.array([["a", 1, 2.0], ["b", 3, None], ["a", 5, 4.0]], dtype=object)
    >>> encoder_for(rows).fit_transform(rows).round(1).tolist()
    [[-1.2, -1.2, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.2, 1.2, 1.0, 0.0]]
    """
    if rows.dtype != object:
        return StandardScaler()
    of_numbers = [place for place, column in enumerate(rows.T) if holds_numbers(column)]
    others = [place for place in range(rows.shape[1]) if place not in of_numbers]
    floats = FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})  # None becomes NaN
    return make_column_transformer(
        (make_pipeline(floats, SimpleImputer(strategy="median"), StandardScaler()), of_numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    )


def holds_numbers(column: NDArray[np.object_]) -> bool:
    """Whether all values that are there are numbers; of a column without any that cannot be said, so it does not."""
    there = [value for value in column if value is not None]
    return bool(there) and all(isinstance(value, Real) for value in there)


def rank_of(rows: NDArray[np.float64]) -> int:
    """How many components of the rows have any variance; the indicators of one category depend on each other."""
    return int(np.linalg.matrix_rank(rows - rows.mean(axis=0)))


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
    "PCA": lambda seed, rows: pyod("pca", "PCA", n_components=rank_of(rows), random_state=seed),
    "ECOD": lambda seed, rows: pyod("ecod", "ECOD"),
    "CBLOF": lambda seed, rows: pyod("cblof", "CBLOF", random_state=seed),
    "HBOS": lambda seed, rows: pyod("hbos", "HBOS"),
}
