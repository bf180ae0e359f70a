"""The report on a classifier: its classes before and after exposure, and the most anomalous rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from expose.errors import InputError
from expose.estimators.judging import Judgement, judge
from expose.inputs.frames import as_table
from expose.report import about, figures
from expose.report.canvas import Drawing, require_plotly
from expose.report.class_figures import reliability_diagram, source_scores
from expose.report.comparison import class_numbers, quantiles, rightness
from expose.report.findings import Findings, examine, table_encoder
from expose.report.page import against_labels, row_map, thinned
from expose.report.rendering import SECTIONS, render, write_page
from expose.report.typical import is_missing, show_text

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier

MOST_CLASSES = 50  # in the table of accuracies
MOST_FOREIGN = 5  # other classes named
UNKNOWN, FOREIGN = -2, -1  # in place of the number of a class
BEFORE, AFTER, HERE = "before exposure", "after exposure", "these rows"

Ints = npt.NDArray[np.int64]


def build_class_report(
    classifier: OutlierExposureClassifier,
    X: Any,
    y: Any = None,
    *,
    ids: Any = None,
    title: str = "Classes and anomalies",
    command: str | None = None,
    top: int = 20,
    fdr: float | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> str:
    """Write the report on a classifier and the rows of ``X`` as one HTML document.

    Parameters
    ----------
    classifier : OutlierExposureClassifier
        Fitted on a table.
    X : table-like of n rows
    y : sequence of n classes, optional
        What the rows are. Nothing (None, NaN, "") is not known; a class that was not trained on makes a row an anomaly.
    ids : sequence of n values, mapping of name to such, or a frame of n rows, optional
        Names of the rows.
    title, command, top, fdr
        As in `build_report`.
    comparison : dict, optional
        What `compare` found on rows kept aside. Without it: the one that ``expose fit`` keeps in the model's metadata.

    Returns
    -------
    str
        The page; it loads nothing from anywhere.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    InputError
        If ids or classes do not fit the rows, or ``top`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import OutlierExposureClassifier
    >>> X = np.random.default_rng(0).normal(size=(80, 2))
    >>> classifier = OutlierExposureClassifier(epochs=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> "Classes" in build_class_report(classifier, X, X[:, 0] > 0)
    True
    """
    require_plotly()
    truth = None if y is None else y.tolist() if isinstance(y, np.ndarray) else list(y)
    table_encoder(classifier)
    n_rows = as_table(X).n_rows
    if truth is not None and len(truth) != n_rows:
        raise InputError(f"y must hold the class of each of the {n_rows:,} rows; got {len(truth):,} values.")
    known, foreign = _known(classifier, truth)
    findings = examine(classifier, X, ids=ids, labels=None if known is None else _as_labels(known), top=top, fdr=fdr)
    held = comparison if comparison is not None else classifier.metadata_.get("comparison")
    found = judge(classifier, X)
    here = _rightness(found, known, classifier)
    drawings = _drawings(classifier, findings, held, here)
    absent = {"churn"} | {key for key in ("reliability",) if drawings[key] is None}
    return render(
        "classes.html.jinja",
        sections=[(key, name) for key, name in SECTIONS.items() if key not in absent],
        title=show_text(title, 200),
        written=datetime.now(UTC),
        findings=findings,
        n_columns=int(classifier.n_features_in_),
        trained_rows=len(classifier.latent_labels_),
        terms=", ".join(f"{name} {weight:g}" for name, weight in classifier._learned.objective.terms.items()),
        score_function=classifier.score_function,
        held=held,
        here=here,
        foreign=foreign,
        check=against_labels(findings),
        classes=[show_text(name) for name in classifier.classes_.tolist()][:MOST_CLASSES],
        n_classes=len(classifier.classes_),
        verdicts=_verdicts(classifier, found, truth, findings),
        drawings=drawings,
        notes=about.notes_of(classifier),
        command=about.command_for(classifier, command),
        parameters=about.parameters_of(classifier),
        versions=about.versions(),
    )


def write_class_report(
    path: str | os.PathLike[str], classifier: OutlierExposureClassifier, X: Any, y: Any = None, **options: Any
) -> Path:
    """Write the report on a classifier to a file, whole or not at all.

    Parameters
    ----------
    path : path
        Target; an existing file is replaced only once the new page is complete.
    classifier, X, y, **options
        As for `build_class_report`.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    return write_page(path, lambda: build_class_report(classifier, X, y, **options))


def _known(classifier: OutlierExposureClassifier, truth: list[Any] | None) -> tuple[Ints | None, list[tuple[str, int]]]:
    """Classes (n,) as places in ``classes_``, UNKNOWN or FOREIGN; and the foreign ones with their rows, most first."""
    if truth is None:
        return None, []
    empty = np.array([_is_empty(value) for value in truth], dtype=bool)
    numbers = np.where(empty, UNKNOWN, class_numbers(classifier, truth))
    others = Counter(str(truth[row]) for row in np.flatnonzero(numbers == FOREIGN))
    return numbers, [(show_text(name), rows) for name, rows in others.most_common(MOST_FOREIGN)]


def _as_labels(known: Ints) -> Ints:
    """Rows of other classes as known anomalies: 1, 0 and -1."""
    return np.select([known == UNKNOWN, known == FOREIGN], [-1, 1], 0).astype(np.int64)


def _rightness(found: Judgement, known: Ints | None, classifier: OutlierExposureClassifier) -> dict[str, Any] | None:
    """Accuracy and reliability on those of these rows that are of known classes; None if there are none."""
    if known is None or not (known >= 0).any():
        return None
    some = known >= 0
    return rightness(classifier, found.take(some), known[some])


def _drawings(
    classifier: OutlierExposureClassifier, findings: Findings, held: Mapping[str, Any] | None, here: Any
) -> dict[str, Drawing | None]:
    history = thinned(classifier.history_)
    exposed = any(epoch.get("outliers") is not None for epoch in history)
    losses = {"normal": "loss on the classes"} | ({"outliers": "loss on the outliers"} if exposed else {})
    sides = {BEFORE: held["before"], AFTER: held["after"]} if held else {}
    sides = {name: side for name, side in sides.items() if side is not None} | ({HERE: here} if here else {})
    return {
        "scores": source_scores(_panels(classifier, findings, held), findings.threshold),
        "reliability": reliability_diagram(sides) if sides else None,
        "training": figures.training_curves(history, 0, losses) if history else None,
        "map": row_map(findings),
    }


def _panels(
    classifier: OutlierExposureClassifier, findings: Findings, held: Mapping[str, Any] | None
) -> dict[str, dict[str, list[float]]]:
    """Scores by source, by panel: rows kept aside where there are any, otherwise the training rows; and these rows."""
    here = {HERE: quantiles(findings.scores)}
    if not held:
        return {AFTER: {"training rows": quantiles(classifier.training_scores_)} | here}
    panels = {}
    for title, side in ((BEFORE, held["before"]), (AFTER, held["after"])):
        if side is not None:
            panels[title] = {"classes": side["scores"]}
            if side["outlier_scores"] is not None:
                panels[title]["outliers"] = side["outlier_scores"]
    panels[AFTER] |= here
    return panels


def _verdicts(
    classifier: OutlierExposureClassifier, found: Judgement, truth: list[Any] | None, findings: Findings
) -> dict[int, dict[str, Any]]:
    """Of each suspect, by row: the predicted class, its probability, and the class it is of, None if not known."""
    rows = [suspect.row for suspect in findings.suspects]
    told = {row: None if truth is None or _is_empty(truth[row]) else show_text(truth[row]) for row in rows}
    return {
        row: {
            "predicted": show_text(classifier.classes_[found.predicted[row]]),
            "probability": float(found.probability[row]),
            "truth": told[row],
        }
        for row in rows
    }


def _is_empty(value: Any) -> bool:
    return is_missing(value) or value == ""
