"""What exposure did to a classifier: how right, how sure and how watchful it is on rows kept aside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from expose.decide import reliability
from expose.errors import InputError
from expose.estimators.judging import Judgement, judge

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier

MOST_BINS, FEWEST_PER_BIN = 10, 50
MOST_SCORES = 500  # kept of each source: its quantiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def compare(
    classifier: OutlierExposureClassifier,
    X: Any,
    y: Any,
    *,
    outliers: Any = None,
    before: OutlierExposureClassifier | None = None,
) -> dict[str, Any]:
    """Measure a classifier, and the same one without exposure, on rows that neither was trained on.

    Parameters
    ----------
    classifier : OutlierExposureClassifier
        Fitted.
    X : of the kind that was trained on, n rows
    y : sequence of n classes
    outliers : of the same kind, m rows, optional
    before : OutlierExposureClassifier, optional
        Fitted on the same rows without outliers.

    Returns
    -------
    dict
        Plain values that JSON can hold: "rows" and "outliers", their numbers, and "after" and "before", what
        `measure` gives, or None.

    Raises
    ------
    InputError
        If there is no row, or a class that the classifier was not trained on.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import OutlierExposureClassifier
    >>> X = np.repeat([[0.0], [1.0]], 50, axis=0)
    >>> classifier = OutlierExposureClassifier(epochs=50, random_state=0).fit(X, X[:, 0] > 0.5)
    >>> compare(classifier, X, X[:, 0] > 0.5)["after"]["accuracy"]
    1.0
    """
    targets = class_numbers(classifier, y)
    if not len(targets) or (targets < 0).any():
        raise InputError(
            f"y must hold at least one class, all of them trained on, {classifier.classes_.tolist()[:10]}; got "
            f"{len(targets)} rows, {int((targets < 0).sum())} of other classes."
        )
    return {
        "rows": len(targets),
        "outliers": 0 if outliers is None else len(outliers),
        "after": measure(classifier, X, targets, outliers),
        "before": None if before is None else measure(before, X, targets, outliers),
    }


def measure(classifier: OutlierExposureClassifier, X: Any, targets: Ints, outliers: Any = None) -> dict[str, Any]:
    """Return accuracy, reliability, scores, and with outliers how well scores tell them apart, as plain values."""
    from sklearn.metrics import roc_auc_score

    found = judge(classifier, X)
    facts = rightness(classifier, found, targets) | {"scores": quantiles(found.anomaly_score)}
    if outliers is None:
        return facts | {"outlier_scores": None, "auroc": None, "outliers_flagged": None}
    other = judge(classifier, outliers)
    truth = np.repeat([0, 1], [len(targets), len(other.anomaly_score)])
    return facts | {
        "outlier_scores": quantiles(other.anomaly_score),
        "auroc": float(roc_auc_score(truth, np.concatenate([found.anomaly_score, other.anomaly_score]))),
        "outliers_flagged": float(other.is_anomaly.mean()),
    }


def rightness(classifier: OutlierExposureClassifier, found: Judgement, targets: Ints) -> dict[str, Any]:
    """Accuracy, overall and by class, and reliability of what was found of rows of known classes, ``targets`` (n,)."""
    right = found.predicted == targets
    bins = reliability(right, found.probability, rows_per_bin=max(FEWEST_PER_BIN, math.ceil(len(targets) / MOST_BINS)))
    gaps = bins.accuracy - bins.confidence
    return {
        "rows": len(targets),
        "accuracy": float(right.mean()),
        "confidence": float(found.probability.mean()),
        "calibration_error": float(np.sqrt(np.average(gaps**2, weights=bins.rows))),
        "temperature": float(classifier.temperature_),
        "bins": {name: values.tolist() for name, values in bins._asdict().items()},
        "per_class": [
            {"rows": int(here.sum()), "accuracy": float(right[here].mean()) if here.any() else None}
            for here in (targets == number for number in range(len(classifier.classes_)))
        ],
    }


def class_numbers(classifier: OutlierExposureClassifier, y: Any) -> Ints:
    """Places in ``classes_`` of classes ``(n,)``, which may be written as text; -1 for one that is not there."""
    known = {str(name): place for place, name in enumerate(classifier.classes_.tolist())}
    values = y.tolist() if isinstance(y, np.ndarray) else list(y)
    return np.array([known.get(str(value), -1) for value in values], dtype=np.int64)


def quantiles(scores: Floats) -> list[float]:
    """Scores, rising, with six digits each; of more than `MOST_SCORES`, that many quantiles."""
    some = np.sort(scores) if len(scores) <= MOST_SCORES else np.quantile(scores, np.linspace(0, 1, MOST_SCORES))
    return [float(f"{value:.6g}") for value in some]
