"""Whether ``expose fit`` trains a classifier, of which classes, and with which options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import count
from expose.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import typer
    from numpy.typing import NDArray

    from expose.estimators.classifier import OutlierExposureClassifier

    Indices = NDArray[np.intp]

FOR_CLASSES = (
    "terms",
    "score_function",
    "held_out",
    "baseline",
    "outlier_share",
    "hardest",
    "outlier_batch_size",
    "optimizer",
)
FOR_ANOMALIES = (
    "answers",
    "objective",
    "calibration",
    "members",
    "outlier_weight",
    "halve_every",
    "warmup",
    "ranking",
    "patience",
)
ONLY_WITH_OUTLIERS = ("terms", "baseline", "outlier_share", "hardest", "outlier_batch_size")
PASSED_ON = (
    "terms",
    "score_function",
    "threshold",
    "contamination",
    "exposure",
    "outlier_share",
    "hardest",
    "epochs",
    "batch_size",
    "outlier_batch_size",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "scaling",
    "precision",
    "device",
    "checkpoint_every",
)
MOST_CLASSES = 0.5  # of the rows; where more values than that are different, they are no classes


class Classes(NamedTuple):
    """The classes of a table: their names, and the number of the class of each row ``(n,)``."""

    names: NDArray[Any]
    rows: NDArray[np.int64]


# ------------------------------------------------------------------------------- is it a classifier at all?


def holds_classes(session: Session, table: pa.Table | None, label: str | None, task: str) -> bool:
    """Tell whether a classifier is to be trained, and say so to people where it was told from the values."""
    from expose.inputs.roles import existing, is_known_label

    if label is None or table is None:
        if task == "classes":
            raise InputError("--task classes needs a table, and --label COLUMN, the column that holds the classes.")
        return False
    existing([label], table.column_names, "label")
    if task != "auto":
        return task == "classes"
    others = [value for value in _values(table[label])[0] if not is_known_label(value)]
    if others:
        some = ", ".join(repr(value) for value in others[:3])
        session.say(f"Task            classes: column {label!r} holds {some}{', ...' if len(others) > 3 else ''}, ")
        session.say("                not 1, 0, -1 alone; --task anomaly would have them be known labels")
    return bool(others)


def refuse(context: typer.Context, *, classes: bool) -> None:
    """Raise InputError for options on the command line that play no part in what is trained."""
    given = [name for name in (FOR_ANOMALIES if classes else FOR_CLASSES) if is_given(context, name)]
    why = (
        "not for a classifier, and the column of --label holds classes. Leave this out, or say --task anomaly if it "
        "holds known labels: 1, 0, -1 or nothing."
        if classes
        else "only for a classifier, and none is trained. Name the column of classes with --label, and say --task "
        "classes if they are written 0 and 1; or leave this out."
    )
    if classes and not given and not context.params["outliers"]:
        given = [name for name in ONLY_WITH_OUTLIERS if is_given(context, name)]
        why = "only with --outliers FILE. Give some, or leave this out."
    if given:
        raise InputError(f"{', '.join('--' + name.replace('_', '-') for name in given)}: {why}")


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def classes_of(column: pa.ChunkedArray, label: str) -> Classes:
    """Return the classes of a column; every row must have one.

    Raises
    ------
    InputError
        If a row has none, there is but one, or nearly every row has one of its own.
    """
    import numpy as np

    values, codes = _values(column)
    empty = [place for place, value in enumerate(values) if _is_empty(value)]
    lacking = np.flatnonzero(np.isin(codes, [*empty, len(values)]))
    if len(lacking):
        raise InputError(
            f"column {label!r} names no class in {count(len(lacking), 'row')}, first in row {lacking[0]} (counting "
            "from 0). A classifier needs the class of every row: leave those out, or give them as --outliers if they "
            "belong to none. If the column holds known labels, say --task anomaly."
        )
    if len(values) > max(MOST_CLASSES * len(codes), 2):
        raise InputError(
            f"column {label!r} has {len(values):,} different values in {count(len(codes), 'row')}: too many to be "
            "classes. Name the column of classes with --label."
        )
    plain = [value if isinstance(value, bool | int | str) else str(value) for value in values]
    names = np.array(plain if len({type(value) for value in plain}) == 1 else [str(value) for value in plain])
    found, places = np.unique(names, return_inverse=True)
    if len(found) < 2:
        raise InputError(
            f"column {label!r} holds one class, {plain[0]!r}; a classifier needs two. To find what is unlike the rows "
            f"of one class, leave out --label and add --ignore {label}; --outliers may stay."
        )
    return Classes(found, places[codes].astype(np.int64))


def _values(column: pa.ChunkedArray) -> tuple[list[Any], Indices]:
    """Different values of a column, and for each row the place of its own ``(n,)``: one further for a null."""
    import numpy as np
    import pyarrow as pa

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    whole = encoded.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    values = [_as_written(value) for value in whole.dictionary.to_pylist()]
    codes = whole.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return values, codes.astype(np.intp)


def _as_written(value: Any) -> Any:
    """Whole numbers as such: a CSV file in which some are lacking has them as 1.0, 2.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124 - NaN differs from itself


# -------------------------------------------------------------------------------------- options of one


def new_classifier(context: typer.Context, checkpoint: Path, verbose: int) -> OutlierExposureClassifier:
    """Make a classifier of the options, and check them before any work is done."""
    from expose.estimators.checks import check_class_parameters
    from expose.estimators.class_training import terms_of
    from expose.estimators.classifier import OutlierExposureClassifier

    given = context.params
    if not 0 <= given["held_out"] < 1:
        raise InputError(f"--held-out must be a share of the rows in [0, 1); got {given['held_out']}.")
    chosen = {name: given[name] for name in PASSED_ON}
    chosen |= {
        "terms": weighted(given["terms"]),
        "exposure": "soft" if given["exposure"] == "auto" else given["exposure"],
    }
    chosen["contamination"] = contamination(context)
    if not is_given(context, "learning_rate"):
        chosen["learning_rate"] = None  # that of the optimizer
    chosen["threshold"] = share_of(given["threshold"])
    classifier = OutlierExposureClassifier(**chosen, checkpoint=checkpoint, random_state=given["seed"], verbose=verbose)
    check_class_parameters(classifier.get_params(deep=False))
    if given["score_function"] in ("confidence", "background") and given["score_function"] not in terms_of(classifier):
        raise InputError(f"--score-function {given['score_function']} needs --terms {given['score_function']}.")
    return classifier


def contamination(context: typer.Context) -> float:
    """The share of rows of wrong or no class that was given; 0 where none was."""
    value = context.params["contamination"]
    if value != "auto":
        return float(value)
    if is_given(context, "contamination"):
        raise InputError("--contamination of a classifier is a share in [0, 0.5), by default 0; auto is for detectors.")
    return 0.0


def share_of(threshold: str | None) -> float:
    """The threshold of a classifier: the share of normal rows that may lie above it, by default 0.05."""
    value = 0.05 if threshold is None else opt.number_or_name(threshold)
    if not isinstance(value, float) or not 0 <= value < 1:
        raise InputError(f"--threshold of a classifier is a share of rows in [0, 1); got {threshold}.")
    return value


def weighted(terms: str) -> str | list[str] | dict[str, float]:
    """Return terms as the classifier takes them.

    Examples
    --------
    >>> weighted("uniform, energy"), weighted("uniform:0.5,energy:0.1")
    (['uniform', 'energy'], {'uniform': 0.5, 'energy': 0.1})
    """
    parts = [part.partition(":") for part in map(str.strip, terms.split(",")) if part]
    names = [name.strip() for name, _, _ in parts]
    unknown = [name for name in names if name not in opt.TERMS]
    if unknown or not names or len(set(names)) < len(names):
        raise InputError(f"--terms must be of {', '.join(opt.TERMS)}, each once; got {terms!r}.")
    if not any(sign for _, sign, _ in parts):
        return names
    try:
        return {name: float(weight) for name, (_, _, weight) in zip(names, parts, strict=True)}
    except ValueError:
        raise InputError(
            f"--terms gives a weight to every term or to none, as in uniform:0.5,energy:0.1; got {terms!r}."
        ) from None
