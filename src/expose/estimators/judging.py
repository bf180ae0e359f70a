"""All that a classifier has to say of rows, by one pass through its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from expose.decide import conformal_p_values
from expose.estimators.rows import encode_rows

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier

Floats = NDArray[np.float64]


class Judgement(NamedTuple):
    """What a classifier says of n rows.

    Attributes
    ----------
    anomaly_score : (n,) array of float
    is_anomaly : (n,) array of bool
    predicted : (n,) array of int
        Number of the likeliest class, its place in ``classes_``.
    probability : (n,) array of float in [0, 1]
        Of that class, at the fitted temperature.
    p_value : (n,) array of float, or None without calibration
    """

    anomaly_score: Floats
    is_anomaly: NDArray[np.bool_]
    predicted: NDArray[np.intp]
    probability: Floats
    p_value: Floats | None

    def take(self, rows: NDArray[Any]) -> Judgement:
        """Return what is said of some rows, given by number or by a mask."""
        p_value = None if self.p_value is None else self.p_value[rows]
        return Judgement(
            self.anomaly_score[rows], self.is_anomaly[rows], self.predicted[rows], self.probability[rows], p_value
        )


def judge(classifier: OutlierExposureClassifier, X: Any) -> Judgement:
    """Classify and score rows, as the classifier's own methods do one by one.

    Raises
    ------
    InputError
        If ``X`` is of another kind than the training rows, or lacks columns.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import OutlierExposureClassifier
    >>> X = np.repeat([[0.0], [1.0]], 50, axis=0)
    >>> found = judge(OutlierExposureClassifier(epochs=5, random_state=0).fit(X, X[:, 0] > 0.5), X)
    >>> found.predicted.shape, found.p_value
    ((100,), None)
    """
    check_is_fitted(classifier)
    outputs = classifier._outputs(encode_rows(classifier, X, classifier.encoder_)[1])  # (n, K + 1) or (n, K + 2)
    scores = classifier._scores(outputs)
    logits = outputs[:, : len(classifier.classes_)] / classifier.temperature_  # (n, K)
    below = logits - logits.max(axis=1, keepdims=True)
    calibration = classifier.calibration_scores_
    return Judgement(
        scores,
        scores > classifier.threshold_score(),
        logits.argmax(axis=1),
        1 / np.exp(below).sum(axis=1),
        None if calibration is None else conformal_p_values(scores, calibration),
    )
