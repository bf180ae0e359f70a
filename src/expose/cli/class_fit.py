"""Train a classifier for ``expose fit``, measure it on rows kept aside, save it and tell."""

from __future__ import annotations

import shlex
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.classes import Classes, classes_of, new_classifier, refuse
from expose.cli.session import Session
from expose.cli.text import aligned, count, percent
from expose.errors import CalibrationWarning, DataWarning, InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import typer
    from numpy.typing import NDArray

    from expose.estimators.classifier import OutlierExposureClassifier

    Indices = NDArray[np.intp]

SHOWN = 20  # classes listed


class Part(NamedTuple):
    """Rows with their classes, and outliers if there are any."""

    features: pa.Table
    y: NDArray[Any]
    outliers: pa.Table | None


def fit_classes(session: Session, context: typer.Context, table: pa.Table) -> None:
    """Train a classifier on a table, measure it on rows kept aside, save it and tell."""
    from expose.cli.fit import checkpoint_beside, command_line
    from expose.cli.tables import by_roles, outlier_features

    refuse(context, classes=True)
    given, start = context.params, time.perf_counter()
    label, out, share = given["label"], given["out"], given["held_out"]
    classifier = new_classifier(context, checkpoint_beside(out), session.verbose)
    found = classes_of(table[label], label)
    (features, _, _), names = by_roles(table, given["id_columns"], [*(given["ignore"] or []), label], None)
    names |= {"ignore": [name for name in names["ignore"] if name != label], "label": label}
    outliers = outlier_features(given["outliers"], features, names, given["encoding"]) if given["outliers"] else None
    if outliers is not None:
        tell_overlap(outliers, features)
    training, aside = parted(features, found, outliers, share, given["seed"])
    classifier.fit(training.features, training.y, outliers=training.outliers)
    comparison = None if aside is None else measured(classifier, training, aside, baseline=given["baseline"], out=out)
    kept = {**names, "task": "classes", "encoding": given["encoding"], "command": command_line()}
    classifier.save(out, kept | {"comparison": comparison})
    seconds = time.perf_counter() - start
    session.result(**facts(classifier, found, training, comparison), model=str(out), seconds=round(seconds, 3))
    session.say("\n".join(described(classifier, found, training, comparison, seconds)))
    session.say(f"Model           {out}")
    session.say(f"Next            {shlex.join(['expose', 'score', str(out), 'NEW_DATA', '--out', 'scores.csv'])}")
    session.say(f"                {shlex.join(['expose', 'report', str(out), 'DATA'])}")


def tell_overlap(outliers: pa.Table, features: pa.Table) -> None:
    """Warn of outliers that are rows of the classes: the network would learn to doubt what it is to know."""
    from expose.outliers import check_overlap

    same = len(check_overlap(outliers, {"DATA": features}, near=0).rows)
    if same:
        message = (
            f"{same:,} of {count(outliers.num_rows, 'outlier')} equal a row of the classes; they teach the classifier "
            "to doubt its own classes. Leave them out, or say with --outlier-share how many are anomalous."
        )
        warnings.warn(message, DataWarning, stacklevel=2)


def parted(
    features: pa.Table, found: Classes, outliers: pa.Table | None, share: float, seed: int
) -> tuple[Part, Part | None]:
    """Part what is trained on from what is kept aside: of each class, and of the outliers, the same share."""
    import numpy as np

    y, rng = found.names[found.rows], np.random.default_rng(seed)
    if share == 0:
        return Part(features, y, outliers), None
    aside = np.concatenate([drawn(np.flatnonzero(found.rows == k), share, rng) for k in range(len(found.names))])
    if not len(aside):
        raise InputError(
            f"--held-out {share} of {len(y)} rows leaves none to measure by; give more rows, or --held-out 0."
        )
    here = np.isin(np.arange(len(y)), aside)
    rows = [np.flatnonzero(~here), np.flatnonzero(here)]
    if outliers is None:
        parts = [Part(features.take(some), y[some], None) for some in rows]
    else:
        other = np.isin(np.arange(outliers.num_rows), drawn(np.arange(outliers.num_rows), share, rng))
        extra = [outliers.take(np.flatnonzero(~other)), outliers.take(np.flatnonzero(other))]
        parts = [Part(features.take(some), y[some], more) for some, more in zip(rows, extra, strict=True)]
    return parts[0], parts[1]


def drawn(rows: Indices, share: float, rng: np.random.Generator) -> Indices:
    """Draw a share of rows, and leave at least one."""
    return rng.permutation(rows)[: min(round(share * len(rows)), len(rows) - 1)]


def measured(
    classifier: OutlierExposureClassifier, training: Part, aside: Part, *, baseline: bool, out: Path
) -> dict[str, Any]:
    """Calibrate a classifier on rows kept aside and measure it there, beside the same one without outliers."""
    from expose.report import compare

    calibrate(classifier, aside)
    before = None
    if baseline and training.outliers is not None and not classifier._learned.interrupted:
        before = unexposed(classifier, training, out.resolve().with_name(f"{out.resolve().name}.baseline.checkpoint"))
        if before is not None:
            calibrate(before, aside)
    outliers = aside.outliers if aside.outliers is not None and aside.outliers.num_rows else None
    return compare(classifier, aside.features, aside.y, outliers=outliers, before=before)


def calibrate(classifier: OutlierExposureClassifier, aside: Part) -> None:
    """Take threshold, p-values and temperature from rows kept aside; the facts that are shown say which it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # nobody chose those rows: no fault, and 1 is shown
        classifier.calibrate(aside.features, aside.y)


def unexposed(
    classifier: OutlierExposureClassifier, training: Part, checkpoint: Path
) -> OutlierExposureClassifier | None:
    """Train the same classifier without outliers; None if that was interrupted."""
    from sklearn.base import clone

    before: OutlierExposureClassifier = clone(classifier).set_params(checkpoint=checkpoint)
    before.fit(training.features, training.y)
    if before._learned.interrupted:
        return None
    checkpoint.unlink(missing_ok=True)
    return before


# --------------------------------------------------------------------------------------------------- telling


def facts(
    classifier: OutlierExposureClassifier, found: Classes, training: Part, comparison: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what came of it, as plain values."""
    import numpy as np

    rows = np.bincount(found.rows, minlength=len(found.names)).tolist()
    sides = ("accuracy", "calibration_error", "auroc", "outliers_flagged", "temperature")
    held: dict[str, Any] = {"held_out": 0, "outliers_held_out": 0}
    if comparison is not None:
        held = {"held_out": comparison["rows"], "outliers_held_out": comparison["outliers"]}
        for when in ("before", "after"):
            side = comparison[when]
            held[when] = None if side is None else {name: side[name] for name in sides}
    return {
        "task": "classes",
        "classes": dict(zip(map(str, found.names.tolist()), rows, strict=True)),
        "rows": len(training.y),
        "columns": training.features.num_columns,
        "outliers": 0 if training.outliers is None else training.outliers.num_rows,
        "terms": classifier._learned.objective.terms,
        "threshold": classifier.threshold_score(),
        "threshold_rule": classifier.threshold_rule_,
        **held,
    }


def described(
    classifier: OutlierExposureClassifier,
    found: Classes,
    training: Part,
    comparison: Mapping[str, Any] | None,
    seconds: float,
) -> list[str]:
    """Return what came of it, for people."""
    known = facts(classifier, found, training, comparison)
    extra = f" and {count(known['outliers'], 'outlier')}" if known["outliers"] else ", without outliers"
    table = f"{count(known['rows'], 'row')} x {count(known['columns'], 'column')}"
    classes = [{"class": name, "rows": rows} for name, rows in list(known["classes"].items())[:SHOWN]]
    more = len(known["classes"]) - len(classes)
    return [
        f"Trained         on {table}{extra} in {seconds:.0f} s",
        f"Classes         {len(known['classes'])}" + (f", of which the first {SHOWN}:" if more else ""),
        *aligned(classes),
        *measurements(comparison),
        f"Threshold       {known['threshold']:.4g}; {known['threshold_rule']}",
        *(["P-values        by the rows kept aside"] if comparison is not None else []),
    ]


def measurements(comparison: Mapping[str, Any] | None) -> list[str]:
    """Return how right, sure and watchful a classifier is on rows kept aside, before and after exposure."""
    if comparison is None:
        return ["Kept aside      nothing: accuracy is not known, and there are no p-values (--held-out 0)"]
    before, after = comparison["before"], comparison["after"]
    outliers = comparison["outliers"]

    def change(name: str, show: Callable[[float], str]) -> str:
        return " -> ".join(show(side[name]) for side in (before, after) if side is not None)

    lines = [
        f"Kept aside      {count(comparison['rows'], 'row')}" + (f", {count(outliers, 'outlier')}" if outliers else ""),
        *(["                before -> after exposure"] if before is not None else []),
        f"  Accuracy      {change('accuracy', percent)}",
        f"  Calibration   error {change('calibration_error', percent)}; temperature {after['temperature']:.3g}",
    ]
    if after["auroc"] is not None:
        lines.append(
            f"  Outliers      AUROC {change('auroc', '{:.3f}'.format)}; {change('outliers_flagged', percent)} flagged"
        )
    return lines
