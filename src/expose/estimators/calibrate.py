"""Scores of training samples by detectors that have not seen them: what p-values compare with.

Every detector has a scale of its own. Scores of the detector without a fold are brought to that of the final one by
median and median absolute deviation of the training scores of either, as members are (`Combination`). That the folds'
detectors are somewhat other ones than the final one is why p-values by folds are approximate; see Vovk,
"Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence, 2015.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import Combination
from expose.errors import DataWarning, InputError, InterruptedWarning, TooFewRowsWarning
from expose.estimators.alike import train_alike
from expose.estimators.conclude import conclude
from expose.estimators.prepare import Prepared, prepare
from expose.model import Fitted
from expose.objectives import MemoryObjective
from expose.scoring import Scorer
from expose.training import Stream, mix, train

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
TOGETHER = 2**26  # encoded values of all folds, above which they are trained one by one: 256 MB


def calibrated_by_folds(fitted: Fitted, prepared: Prepared, parameters: Mapping[str, Any], outliers: Any) -> Fitted:
    """The same model with scores of each training sample by a detector that was trained without its fold.

    Known anomalies are left out of the calibration; all other samples are in it.
    """
    folds = parameters["calibration"]
    if folds is None:
        return fitted
    if fitted.interrupted:
        say_interrupted()
        return fitted
    n = len(prepared.encoded.samples)
    if n < 2 * folds:
        raise InputError(f"calibration by {folds} folds needs at least two rows in each; got {n} rows.")
    order = np.random.default_rng(mix(prepared.root, 0, Stream.FOLDS)).permutation(n)
    parts = prepared.encoded.kind.folds(prepared.encoded.samples, order, folds)
    scores = held_out_scores(fitted, prepared, parameters, parts, outliers)
    if scores is None:
        say_interrupted()
        return replace(fitted, interrupted=True)  # so that a checkpoint is kept and the same call can go on
    return fitted.calibrated(scores if prepared.known is None else scores[prepared.known != 1])


def held_out_scores(
    fitted: Fitted, prepared: Prepared, parameters: Mapping[str, Any], folds: Sequence[Rows], outliers: Any
) -> Floats | None:
    """Score each training sample by the detector that was trained without its fold, ``(n,)``; None if interrupted."""
    scores = np.empty(len(prepared.encoded.samples))
    for numbers in groups_of_folds(prepared, len(folds), outliers):
        rest = [without(prepared, parameters, folds[number], number, outliers) for number in numbers]
        trained = train_alike(rest) if len(rest) > 1 else [train(rest[0].plan, rest[0].data)]
        if any(one.interrupted for one in trained):
            return None
        for number, ready, one in zip(numbers, rest, trained, strict=True):
            scores[folds[number]] = on_its_scale(fitted, conclude(ready, one), prepared, folds[number])
    return scores


def groups_of_folds(prepared: Prepared, count: int, outliers: Any) -> list[list[int]]:
    """Which folds are trained at once: all where networks can be batched and memory allows, else one by one."""
    plain = prepared.known is None and outliers is None and not isinstance(prepared.plan.objective, MemoryObjective)
    if plain and prepared.encoded.parts.size * count <= TOGETHER:
        return [list(range(count))]
    return [[number] for number in range(count)]


def without(prepared: Prepared, parameters: Mapping[str, Any], fold: Rows, number: int, outliers: Any) -> Prepared:
    """Prepare a detector of the same settings, with a seed of its own, for all samples but those of a fold."""
    seed = mix(prepared.root, number, Stream.FOLD_SEEDS) % 2**31
    own = {**parameters, "calibration": None, "checkpoint": None, "threshold": None, "random_state": seed}
    rest = np.delete(np.arange(len(prepared.encoded.samples)), fold)
    labels = None if prepared.known is None else prepared.known[rest]
    with warnings.catch_warnings():
        for given in (DataWarning, TooFewRowsWarning):  # those of the whole table, before
            warnings.simplefilter("ignore", given)
        return prepare(own, prepared.encoded.samples.take(rest), labels, outliers)


def on_its_scale(final: Fitted, other: Fitted, prepared: Prepared, fold: Rows) -> Floats:
    """Scores that another detector gives to samples, in units of the final one, ``(len(fold),)``."""
    own, theirs = (Combination.of(one.training_scores[None]) for one in (final, other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # what this fold alone has is no news to the user
        standard = theirs.standardise(Scorer(other).scores(prepared.encoded.samples.take(fold))[None])[0]
    scores: Floats = standard * own.scale[0] + own.centre[0]
    return scores


def say_interrupted() -> None:
    """Warn that there are no p-values."""
    message = "Training was interrupted before the calibration by folds was done: the model has no p-values."
    warnings.warn(message, InterruptedWarning, stacklevel=4)
