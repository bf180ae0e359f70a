"""Parameters and labels: what they may be, and what to say when they are not."""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from expose.decide import check_threshold
from expose.errors import InputError, TooFewRowsWarning
from expose.exposure import EXPOSURES, RANKINGS
from expose.inputs import SCALINGS, Table
from expose.objectives import MemoryObjective, Objective
from expose.objectives.classification import SCORES
from expose.training import PRECISIONS, parse_device

FEW_ROWS = 50
NETWORK_ONLY = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "halve_every",
    "warmup",
    "ranking",
    "outlier_weight",
    "patience",
    "precision",
)
FRAME_MARKS = ("columns", "schema", "__arrow_c_stream__", "__dataframe__", "__narwhals_dataframe__")


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a table with typed columns rather than an array or a list of rows."""
    if not isinstance(data, list | tuple) and len(getattr(data, "shape", (0, 0))) == 1 and hasattr(data, "to_frame"):
        raise InputError(f"Expected a table with rows and columns; got a {type(data).__name__}. Use its to_frame().")
    return isinstance(data, Table) or any(hasattr(data, mark) for mark in FRAME_MARKS)


def keep_types(data: Any) -> Any:
    """Lists of rows that hold text as an object array: as a text array they would lose their numbers."""
    if not isinstance(data, list | tuple):
        return data
    array = np.asarray(data)
    return np.array(data, dtype=object) if array.dtype.kind in "US" else array


def is_number(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_contamination(value: Any) -> None:
    """Raise ValueError unless ``value`` is in [0, 0.5) or "auto"."""
    if isinstance(value, str) and value == "auto":
        return
    expected = "contamination must be a share of anomalies in [0, 0.5) or 'auto'"
    if not is_number(value) or math.isnan(value):
        raise ValueError(f"{expected}; got {value!r}. Write 0.05 for five rows in a hundred, 0 for clean data.")
    if value >= 0.5:
        raise ValueError(f"{expected}; got {value}. If most rows are anomalous, swap the roles of the two classes.")
    if value < 0:
        raise ValueError(f"{expected}; got {value}. Use 0 for clean data.")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}; got {value!r}.")


def check_number(name: str, value: Any, lowest: float, *, whole: bool, optional: bool = False) -> None:
    """Raise ValueError unless ``value`` is a finite number of at least ``lowest``."""
    if optional and value is None:
        return
    fits = is_number(value) and (isinstance(value, Integral) or not whole)
    if not (fits and lowest <= float(value) < math.inf):
        what = "a whole number" if whole else "a finite number"
        extra = " or None" if optional else ""
        raise ValueError(f"{name} must be {what} of at least {lowest}{extra}; got {value!r}.")


def check_parameters(parameters: dict[str, Any]) -> None:
    """Check all parameters of the detector that do not depend on the data."""
    check_contamination(parameters["contamination"])
    check_threshold(parameters["threshold"])
    check_choice("exposure", parameters["exposure"], ("auto", *EXPOSURES))
    check_choice("ranking", parameters["ranking"], RANKINGS)
    check_choice("scaling", parameters["scaling"], SCALINGS)
    check_choice("precision", parameters["precision"], PRECISIONS)
    parse_device(parameters["device"])
    check_number("members", parameters["members"], 1, whole=True)
    check_number("calibration", parameters["calibration"], 2, whole=True, optional=True)
    check_number("warmup", parameters["warmup"], 0, whole=True)
    for name in ("epochs", "batch_size", "patience", "halve_every"):
        check_number(name, parameters[name], 1, whole=True, optional=True)
    for name in ("learning_rate", "weight_decay", "outlier_weight", "checkpoint_every"):
        check_number(name, parameters[name], 0, whole=False)


def check_class_parameters(parameters: dict[str, Any]) -> None:
    """Check all parameters of the classifier that do not depend on the data, but its network and terms."""
    contamination = parameters["contamination"]
    if contamination == "auto":
        raise ValueError("contamination of a classifier must be a share in [0, 0.5), 0 for clean data; got 'auto'.")
    check_contamination(contamination)
    check_choice("score_function", parameters["score_function"], SCORES)
    check_choice("exposure", parameters["exposure"], tuple(EXPOSURES))
    check_choice("scaling", parameters["scaling"], SCALINGS)
    check_choice("optimizer", parameters["optimizer"], ("adam", "sgd"))
    check_choice("precision", parameters["precision"], PRECISIONS)
    parse_device(parameters["device"])
    for name in ("epochs", "batch_size", "outlier_batch_size"):
        check_number(name, parameters[name], 1, whole=True, optional=True)
    check_number("learning_rate", parameters["learning_rate"], 0, whole=False, optional=True)
    for name in ("weight_decay", "checkpoint_every"):
        check_number(name, parameters[name], 0, whole=False)
    for name in ("outlier_share", "hardest"):
        if not is_number(parameters[name]) or not 0 < parameters[name] <= 1:
            raise ValueError(f"{name} must be a share of the outliers in (0, 1]; got {parameters[name]!r}.")
    if not is_number(parameters["threshold"]) or not 0 <= parameters["threshold"] < 1:
        raise ValueError(f"threshold must be a share of rows in [0, 1); got {parameters['threshold']!r}.")
    check_margins(parameters["energy_margins"])


def check_margins(margins: Any) -> None:
    """Raise ValueError unless ``margins`` is None or two numbers, that of normal rows first and not the larger."""
    if margins is None:
        return
    if not (isinstance(margins, tuple | list) and len(margins) == 2 and all(map(is_number, margins))):
        raise ValueError(f"energy_margins must be None or two numbers, of normal rows and outliers; got {margins!r}.")
    if margins[0] > margins[1]:
        raise ValueError(
            f"energy_margins must not fall: normal rows have the lower energy (-logsumexp of logits); got {margins!r}."
        )


def check_classes(
    names: NDArray[Any], n_rows: int, known: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Classes ``(K,)``, those ``known`` or those that occur, and the number of each row's class ``(n,)``."""
    if len(names) != n_rows:
        raise ValueError(f"y must have one class per row of X, {n_rows}; got {len(names)}.")
    missing = [name for name in names.tolist() if name is None or (isinstance(name, float) and math.isnan(name))]
    if missing:
        raise ValueError(f"Input y contains NaN: {len(missing)} rows have no class. Leave such rows out.")
    found, targets = np.unique(names, return_inverse=True)
    if known is not None:
        foreign = [name for name in found.tolist() if name not in known]
        if foreign:
            raise ValueError(f"y holds the classes {foreign[:5]}, which the classifier was not trained on: {known}.")
        return known, np.searchsorted(known, names).astype(np.int64)
    if len(found) < 2:
        raise ValueError(
            "The number of classes has to be greater than one; got one class. For rows of one kind use "
            "AnomalyDetector, which takes outliers as well."
        )
    return found, targets.astype(np.int64)


def check_used(given: dict[str, Any], defaults: dict[str, Any], objective: Objective) -> None:
    """Raise InputError if a parameter of network training was given to an objective that trains no network."""
    unused = (
        [name for name in NETWORK_ONLY if given[name] != defaults[name]]
        if isinstance(objective, MemoryObjective)
        else []
    )
    if objective.scalings is not None and given["scaling"] != defaults["scaling"]:
        unused.append("scaling")
    if unused:
        raise InputError(
            f"{', '.join(unused)}: only for objectives that train a network; {objective.name!r} remembers rows, scaled "
            "in ways of its own. Leave it out, or choose a network, such as objective='ntl'."
        )


def check_labels(labels: Any, n_rows: int) -> NDArray[np.int8] | None:
    """Known labels as ``(n_rows,)`` of 1 anomaly, 0 normal, -1 unlabelled; None if nothing is known.

    Raises
    ------
    ValueError
        For another length, other values, or if no row is left that could be normal.
    """
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.shape != (n_rows,):
        raise ValueError(f"labels must have one value per training row, shape ({n_rows},); got shape {array.shape}.")
    allowed = np.isin(array, [-1, 0, 1]) if array.dtype.kind in "biuf" else np.zeros(n_rows, dtype=bool)
    if not allowed.all():
        row = int(np.flatnonzero(~allowed)[0])
        raise ValueError(
            f"labels must be 1 (anomaly), 0 (normal) or -1 (unlabelled); got {array[row]!r} in row {row}. "
            "scikit-learn's -1 for outliers means unlabelled here."
        )
    if (array == 1).all():
        raise ValueError(
            f"labels mark all {n_rows} rows as anomalies (1); training needs normal (0) or unlabelled (-1) rows."
        )
    return None if (array == -1).all() else array.astype(np.int8)


def warn_if_few(n_rows: int) -> None:
    """Warn, on behalf of ``fit``, of training sets too small for a neural network."""
    if n_rows < FEW_ROWS:
        warnings.warn(
            f"{n_rows} training rows are very few for a neural detector; expect unstable scores below {FEW_ROWS}.",
            TooFewRowsWarning,
            stacklevel=3,
        )
