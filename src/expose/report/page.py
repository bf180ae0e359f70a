"""The report: findings and figures poured into one HTML file that opens offline."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expose.report import about, figures
from expose.report.canvas import Drawing, require_plotly
from expose.report.findings import Findings, examine
from expose.report.plane import project
from expose.report.rendering import SECTIONS, render, write_page
from expose.report.typical import show_text

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

MOST_EPOCHS = 1_000  # points per training curve


def build_report(
    detector: AnomalyDetector,
    X: Any,
    *,
    ids: Any = None,
    labels: Any = None,
    title: str = "Anomaly report",
    command: str | None = None,
    top: int = 20,
    fdr: float | None = None,
) -> str:
    """Write the report on the rows of ``X`` as one HTML document.

    Parameters
    ----------
    detector : AnomalyDetector
        Fitted.
    X : table-like of n rows
        The training rows or new ones; anything ``detector.anomaly_score`` takes.
    ids : sequence of n values, mapping of name to such, or a frame of n rows, optional
        Names of the rows, shown instead of row numbers.
    labels : sequence of n values in {-1, 0, 1}, optional
        Known labels (1 anomaly, 0 normal, -1 unknown), shown beside the scores and never used for them.
    title : str
        Heading of the page.
    command : str, optional
        What to run to get this report again. Without it: the command stored with the model, or the Python
        call.
    top : int
        How many suspects to explain, 1 to 200.
    fdr : float, optional
        Flag by p-values at this false-discovery rate instead of by the detector's threshold.

    Returns
    -------
    str
        The page, below 6 MB whatever the data. It loads nothing from anywhere.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    InputError
        If ids or labels do not fit the rows, or ``top`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> page = build_report(AnomalyDetector(random_state=0).fit(X), X)
    >>> page.startswith("<!doctype html>"), len(page) < 6_000_000
    (True, True)
    """
    require_plotly()
    findings = examine(detector, X, ids=ids, labels=labels, top=top, fdr=fdr)
    exposure, rule = about.exposure_name(detector)
    return render(
        "detector.html.jinja",
        sections=[(key, name) for key, name in SECTIONS.items() if key not in ("classes", "reliability")],
        title=show_text(title, 200),
        written=datetime.now(UTC),
        findings=findings,
        objective=about.objective_name(detector),
        exposure=exposure,
        rule=rule,
        n_columns=int(detector.n_features_in_),
        members=int(detector.members),
        trained_rows=len(detector.training_scores_),
        contamination=about.contamination_of(detector),
        strip=about.strip_of(detector, findings.threshold),
        check=against_labels(findings),
        drawings=_drawings(detector, findings),
        notes=about.notes_of(detector),
        command=about.command_for(detector, command),
        parameters=about.parameters_of(detector),
        versions=about.versions(),
    )


def write_report(path: str | os.PathLike[str], detector: AnomalyDetector, X: Any, **options: Any) -> Path:
    """Write the report to a file, whole or not at all.

    Parameters
    ----------
    path : path
        Target; an existing file is replaced only once the new page is complete. A device or a pipe is written to.
    detector, X, **options
        As for :func:`build_report`.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    OSError
        If the file cannot be written. Nothing is left behind, and this is found out before the work is done.

    Examples
    --------
    >>> write_report("report.html", detector, X, top=10)  # doctest: +SKIP
    PosixPath('report.html')
    """
    return write_page(path, lambda: build_report(detector, X, **options))


def _drawings(detector: AnomalyDetector, findings: Findings) -> dict[str, Drawing | None]:
    history = thinned(detector.history_)
    return {
        "scores": figures.score_distribution(findings.scores, findings.threshold, findings.labels),
        "training": figures.training_curves(history, int(detector.warmup)) if history else None,
        "churn": figures.suspect_churn(history) if history else None,
        "map": row_map(findings),
    }


def row_map(findings: Findings) -> Drawing:
    """Rows on a plane."""
    points, shares = project(findings.encoded)
    names = [suspect.name for suspect in findings.suspects]
    names += [f"row {row}" for row in findings.sample[len(names) :]]
    return figures.plane_map(points, shares, findings.flagged[findings.sample], names)


def thinned(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `MOST_EPOCHS` epochs, evenly spaced."""
    if len(history) <= MOST_EPOCHS:
        return list(history)
    kept = np.linspace(0, len(history) - 1, MOST_EPOCHS).round().astype(int)
    return [history[place] for place in kept]


def against_labels(findings: Findings) -> dict[str, Any] | None:
    """How the ranking compares with known labels; None without both kinds of rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if findings.labels is None or not {0, 1} <= set(findings.labels.tolist()):
        return None
    known = findings.labels >= 0
    truth, scores = findings.labels[known], findings.scores[known]
    return {
        "n": int(known.sum()),
        "anomalies": int(truth.sum()),
        "auroc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "hits": sum(suspect.label == 1 for suspect in findings.suspects),
    }
