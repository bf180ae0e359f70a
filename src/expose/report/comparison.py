"""What exposure did to a classifier: how right, how sure and how watchful it is on held-out rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import Verdict, reliability
from expose.errors import InputError
from expose.estimators import OutlierExposureClassifier
from expose.model import Decisions
from expose.report.given import class_numbers

MOST_BINS, FEWEST_PER_BIN = 10, 50
MOST_SCORES = 500  # kept of each source: its quantiles

Ints = NDArray[np.int64]


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
    >>> from expose.objectives import Descend
    >>> X = np.repeat([[0.0], [1.0]], 50, axis=0)
    >>> classifier = OutlierExposureClassifier(recipe=Descend(epochs=50), random_state=0).fit(X, X[:, 0] > 0.5)
    >>> compare(classifier, X, X[:, 0] > 0.5)["after"]["accuracy"]
    1.0
    """
    targets = class_numbers(classifier.classes_, y)
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
    """Accuracy, reliability, scores, and with outliers how well scores separate them, as plain values."""
    from sklearn.metrics import roc_auc_score

    scorer = classifier.scorer()
    said = scorer.decide(X)
    head: Any = scorer.fitted.head
    facts = rightness(head, said, targets) | {"scores": quantiles(said.anomaly_score)}
    if outliers is None:
        return facts | {"outlier_scores": None, "auroc": None, "outliers_flagged": None}
    other = scorer.decide(outliers)
    truth = np.repeat([0, 1], [len(targets), len(other.anomaly_score)])
    return facts | {
        "outlier_scores": quantiles(other.anomaly_score),
        "auroc": float(roc_auc_score(truth, np.concatenate([said.anomaly_score, other.anomaly_score]))),
        "outliers_flagged": float(other.is_anomaly.mean()),
    }


def rightness(head: Verdict, said: Decisions, targets: Ints) -> dict[str, Any]:
    """Accuracy, overall and by class, and reliability of what was said of rows of known classes, ``targets`` (n,)."""
    assert said.predicted is not None  # as of every classifier
    assert said.probability is not None
    right = np.equal(said.predicted, targets)
    bins = reliability(right, said.probability, rows_per_bin=max(FEWEST_PER_BIN, math.ceil(len(targets) / MOST_BINS)))
    gaps = bins.accuracy - bins.confidence
    return {
        "rows": len(targets),
        "accuracy": float(right.mean()),
        "confidence": float(said.probability.mean()),
        "calibration_error": float(np.sqrt(np.average(gaps**2, weights=bins.rows))),
        "temperature": float(head.temperature),
        "bins": {name: values.tolist() for name, values in bins._asdict().items()},
        "per_class": [
            {"rows": int(here.sum()), "accuracy": float(right[here].mean()) if here.any() else None}
            for here in (targets == number for number in range(len(head.classes)))
        ],
    }


def quantiles(scores: NDArray[np.float64]) -> list[float]:
    """Scores, rising, with six digits each; of more than `MOST_SCORES`, that many quantiles."""
    some = np.sort(scores) if len(scores) <= MOST_SCORES else np.quantile(scores, np.linspace(0, 1, MOST_SCORES))
    return [float(f"{value:.6g}") for value in some]
