"""Scores of training rows by detectors that have not seen them: what p-values compare with.

Every detector has a scale of its own. Scores of the detector without a fold are brought to that of the final one by
median and median absolute deviation of the training scores of either, as members are (`Combination`). That the folds'
detectors are somewhat other ones than the final one is why p-values by folds are approximate; see Vovk,
"Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence, 2015.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from expose.decide import Combination
from expose.errors import DataWarning, InputError, InterruptedWarning
from expose.estimators.fitting import Prepared, train, train_alike
from expose.objectives import MemoryObjective
from expose.training import mix

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
TOGETHER = 2**26  # encoded values of all folds, above which they are trained one by one: 256 MB


def calibrate_by_folds(prepared: Prepared, outliers: Any = None) -> None:
    """Train a detector without each fold, as many as the parameter `calibration` says, and keep held-out scores.

    Known anomalies are left out of the calibration; all other rows are in it.
    """
    detector = prepared.detector
    if detector.calibration is None:
        return
    if detector._interrupted:
        say_interrupted()
        return
    n = len(prepared.rows)
    if n < 2 * detector.calibration:
        raise InputError(f"calibration by {detector.calibration} folds needs at least two rows in each; got {n} rows.")
    order = np.random.default_rng(mix(prepared.root, 0, stream=5)).permutation(n)
    folds = [np.sort(order[number :: detector.calibration]) for number in range(detector.calibration)]
    scores = held_out_scores(prepared, folds, outliers)  # (n,)
    if scores is None:
        detector._interrupted = True  # so that a checkpoint is kept and the same call can go on
        say_interrupted()
        return
    kept = scores if prepared.known is None else scores[prepared.known != 1]
    detector.calibration_scores_ = np.sort(needs_rows(kept))


def needs_rows(scores: Floats) -> Floats:
    """Return the calibration scores, or say that none is left."""
    if not len(scores):
        raise InputError("Calibration needs rows that are not known anomalies; got none.")
    return scores


def held_out_scores(prepared: Prepared, folds: Sequence[Rows], outliers: Any) -> Floats | None:
    """Score each training row by the detector that was trained without its fold, ``(n,)``; None if interrupted."""
    detector, scores = prepared.detector, np.empty(len(prepared.rows))
    at_once = prepared.known is None and outliers is None and not isinstance(prepared.objective, MemoryObjective)
    if at_once and prepared.rows.size * len(folds) <= TOGETHER:
        several = [without(prepared, fold, number, outliers) for number, fold in enumerate(folds)]
        train_alike(several)
        trained = [one.detector for one in several]
        if any(one._interrupted for one in trained):
            return None
        for one, fold in zip(trained, folds, strict=True):
            scores[fold] = on_its_scale(detector, one, prepared, fold)
        return scores
    for number, fold in enumerate(folds):  # one at a time: no more than one is held in memory
        rest = without(prepared, fold, number, outliers)
        train([rest])
        if rest.detector._interrupted:
            return None
        scores[fold] = on_its_scale(detector, rest.detector, prepared, fold)
    return scores


def without(prepared: Prepared, fold: Rows, number: int, outliers: Any) -> Prepared:
    """Prepare a detector of the same settings, with a seed of its own, for all rows but those of a fold."""
    seed = mix(prepared.root, number, stream=6) % 2**31
    detector: AnomalyDetector = clone(prepared.detector)
    detector.set_params(calibration=None, checkpoint=None, threshold=None, random_state=seed)
    rest = np.delete(np.arange(len(prepared.rows)), fold)
    labels = None if prepared.known is None else prepared.known[rest]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the whole table's were given before
        return detector._prepare(prepared.table.take(rest), labels, outliers)


def on_its_scale(final: AnomalyDetector, other: AnomalyDetector, prepared: Prepared, fold: Rows) -> Floats:
    """Scores that another detector gives to rows, in units of the final one, ``(len(fold),)``."""
    own, theirs = (Combination.of(one.training_scores_[None]) for one in (final, other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # what this fold alone has is no news to the user
        standard = theirs.standardise(other.anomaly_score(prepared.table.take(fold))[None])[0]
    scores: Floats = standard * own.scale[0] + own.centre[0]
    return scores


def say_interrupted() -> None:
    """Warn that there are no p-values."""
    message = "Training was interrupted before the calibration by folds was done: the model has no p-values."
    warnings.warn(message, InterruptedWarning, stacklevel=4)
