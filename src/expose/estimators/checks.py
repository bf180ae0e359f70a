"""Parameters and labels: what they may be, and what to say when they are not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.decide import check_threshold
from expose.errors import InputError, TooFewRowsWarning
from expose.exposure import EXPOSURES
from expose.objectives.classification import SCORES, TERMS
from expose.objectives.recipes import Descend, check_choice, check_number, is_number
from expose.scoring import Encoded, Scorer
from expose.training import torch_device

FEW_ROWS = 50  # for a network
NO_EVIDENCE = 20  # below, an estimated contamination is mostly chance: of clean rows it says 10 to 49 %

COMPARED, MOST = 64, 0.75  # rows that tell whether a table is that of the training, and the share that must agree


def check_contamination(value: Any) -> None:
    """Raise InputError unless ``value`` is in [0, 0.5) or "auto"."""
    if isinstance(value, str) and value == "auto":
        return
    expected = "contamination must be a share of anomalies in [0, 0.5) or 'auto'"
    if not is_number(value) or math.isnan(value):
        raise InputError(f"{expected}; got {value!r}. Write 0.05 for five rows in a hundred, 0 for clean data.")
    if 1 <= value < 50:
        raise InputError(f"{expected}; got {value:g}. For {value:g} % write {value / 100:g}.")
    if value >= 0.5:
        raise InputError(f"{expected}; got {value}. If most rows are anomalous, swap the roles of the two classes.")
    if value < 0:
        raise InputError(f"{expected}; got {value}. Use 0 for clean data.")


def check_parameters(parameters: dict[str, Any]) -> None:
    """Check all parameters of the detector that do not depend on the data."""
    check_contamination(parameters["contamination"])
    check_threshold(parameters["threshold"])
    check_choice("exposure", parameters["exposure"], ("auto", *EXPOSURES))
    torch_device(parameters["device"])
    check_number("ensemble_size", parameters["ensemble_size"], 1, whole=True)
    check_number("calibration", parameters["calibration"], 2, whole=True, optional=True)


def check_class_parameters(parameters: dict[str, Any]) -> None:
    """Check all parameters of the classifier that do not depend on the data, but its network."""
    if parameters["contamination"] == "auto":
        raise InputError("contamination of a classifier must be a share in [0, 0.5), 0 for clean data; got 'auto'.")
    check_contamination(parameters["contamination"])
    check_threshold(parameters["threshold"])
    check_choice("score_function", parameters["score_function"], ("auto", *SCORES))
    check_choice("exposure", parameters["exposure"], tuple(EXPOSURES))
    torch_device(parameters["device"])
    check_margins(parameters["energy_margins"])
    if parameters["recipe"] is not None and not isinstance(parameters["recipe"], Descend):
        raise InputError(
            f"recipe must be None or Descend(epochs=..., ...) of expose.objectives; got {parameters['recipe']!r}."
        )


def terms_of(given: Any) -> dict[str, float]:
    """The terms of a classifier with their lambdas, checked."""
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in TERMS]
    if unknown or not names:
        raise InputError(f"terms must be of {sorted(TERMS)}, one or several; got {given!r}.")
    terms = {name: float(given[name]) if isinstance(given, Mapping) else TERMS[name] for name in names}
    if any(not 0 <= weight < math.inf for weight in terms.values()):
        raise InputError(f"each term's lambda must be a finite number of at least 0; got {terms}.")
    return terms


def check_margins(margins: Any) -> None:
    """Raise InputError unless ``margins`` is None or two numbers, that of normal rows first and not the larger."""
    if margins is None:
        return
    if not (isinstance(margins, tuple | list) and len(margins) == 2 and all(map(is_number, margins))):
        raise InputError(f"energy_margins must be None or two numbers, of normal rows and outliers; got {margins!r}.")
    if margins[0] > margins[1]:
        raise InputError(
            f"energy_margins must not fall: normal rows have the lower energy (-logsumexp of logits); got {margins!r}."
        )


def check_classes(
    names: NDArray[Any], n_rows: int, known: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Classes ``(K,)``, those ``known`` or those that occur, and the number of each row's class ``(n,)``."""
    if len(names) != n_rows:
        raise InputError(f"y must have one class per row of X, {n_rows}; got {len(names)}.")
    missing = [name for name in names.tolist() if name is None or (isinstance(name, float) and math.isnan(name))]
    if missing:
        raise InputError(f"Input y contains NaN: {len(missing)} rows have no class. Leave such rows out.")
    found, targets = np.unique(names, return_inverse=True)
    if known is not None:
        foreign = [name for name in found.tolist() if name not in known]
        if foreign:
            raise InputError(f"y holds the classes {foreign[:5]}, which the classifier was not trained on: {known}.")
        return known, np.searchsorted(known, names).astype(np.int64)
    if len(found) < 2:
        raise InputError(
            "The number of classes has to be greater than one; got one class. For rows of one kind use "
            "AnomalyDetector, which takes outliers as well."
        )
    return found, targets.astype(np.int64)


def check_labels(labels: Any, n_rows: int) -> NDArray[np.int8] | None:
    """Known labels as ``(n_rows,)`` of 1 anomaly, 0 normal, -1 unlabelled; None if nothing is known.

    Raises
    ------
    InputError
        For another length, other values, or if no row is left that could be normal.
    """
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.shape != (n_rows,):
        raise InputError(f"labels must have one value per training row, shape ({n_rows},); got shape {array.shape}.")
    allowed = np.isin(array, [-1, 0, 1]) if array.dtype.kind in "biufO" else np.zeros(n_rows, dtype=bool)
    if not allowed.all():
        row = int(np.flatnonzero(~allowed)[0])
        raise InputError(
            f"labels must be 1 (anomaly), 0 (normal) or -1 (unlabelled); got {array[row]!r} in row {row}. "
            "scikit-learn's -1 for outliers means unlabelled here."
        )
    if (array == 1).all():
        raise InputError(
            f"labels mark all {n_rows} rows as anomalies (1); training needs normal (0) or unlabelled (-1) rows."
        )
    return None if (array == -1).all() else array.astype(np.int8)


def check_trained_on(scorer: Scorer, given: Encoded) -> None:
    """Raise InputError unless encoded samples score as the training samples did, in order.

    A few are compared. That some differ is allowed for: who looks at a table also corrects it.
    """
    fitted = scorer.fitted
    n = len(fitted.training)
    if len(given.parts) != n:
        raise InputError(f"X must be the training data, {n} rows; got {len(given.parts)} rows.")
    some = np.unique(np.linspace(0, n - 1, COMPARED).astype(int))
    then, now = fitted.training_scores[some], scorer.scores(given.take(some))
    equal = np.isclose(now, then, rtol=1e-3, atol=1e-2 * float(np.std(fitted.training_scores)))
    if equal.mean() < MOST:
        raise InputError(
            f"X must be the training data, in the same order; of {len(some)} rows compared, "
            f"{len(some) - int(equal.sum())} have another anomaly score than in training, and row numbers of another "
            "table mean other rows. Give the one that was fitted, or fit this one."
        )


class Misread(NamedTuple):
    """What is wrong with labels of another convention, how it is said in ours, and in Python."""

    what: str
    way: str
    code: str


def misread(known: NDArray[Any]) -> Misread | None:
    """Find labels ``(n,)`` that follow another convention: they would make anomalies of more than half of all rows.

    That is so of scikit-learn's, whose 1 is an inlier, and of those whose 0 is an anomaly. Where most rows are
    anomalies indeed, nothing can be learned of the normal ones.

    Examples
    --------
    >>> misread(np.array([1, 1, 1, -1])).code
    '(labels == -1).astype(int)'
    >>> misread(np.array([1, 1, 1, 0])).code
    '1 - labels'
    >>> misread(np.array([1, -1, -1, -1])) is None
    True
    """
    n_rows, found = len(known), int((known == 1).sum())
    if 2 * found <= n_rows or found == n_rows:
        return None
    what = f"{found:,} of {n_rows:,} rows ({100 * found / n_rows:.0f} %) anomalies (1), which are never the most"
    unlabelled, normal = (bool((known == value).any()) for value in (-1, 0))
    if unlabelled and not normal:
        return Misread(
            what,
            "If -1 are the outliers, as in scikit-learn, give them 1 and all others 0",
            "(labels == -1).astype(int)",
        )
    code = "np.where(labels == -1, -1, 1 - labels)" if unlabelled else "1 - labels"
    return Misread(what, "If 0 are the anomalies, exchange 0 and 1", code)


def check_minority(labels: Any) -> None:
    """Raise InputError, which says how to write them, for labels of another convention, see `misread`."""
    known = np.asarray(labels).ravel()
    if known.dtype.kind in "biuf" and (wrong := misread(known)):
        raise InputError(
            f"labels call {wrong.what}. Here 1 is an anomaly, 0 normal, -1 unlabelled. {wrong.way}: {wrong.code}."
        )


def warn_if_few(n_rows: int, *, remembers: bool, noun: str = "row") -> None:
    """Warn, on behalf of ``fit``, of training sets too small for a network, or for any method that remembers them."""
    if n_rows >= (NO_EVIDENCE if remembers else FEW_ROWS):
        return
    message = (
        f"{n_rows} training {noun}s are too few to show what is usual: below {NO_EVIDENCE}, scores, suspects and an "
        "estimated contamination are no evidence. Better hundreds."
        if remembers
        else f"{n_rows} training {noun}s are very few for a neural detector; expect unstable scores below {FEW_ROWS}."
    )
    warnings.warn(message, TooFewRowsWarning, stacklevel=5)
