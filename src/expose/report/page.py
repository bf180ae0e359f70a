"""The report: findings and figures poured into one HTML file that opens offline.

A page is made of sections, each with facts of its own and a template of its name; a section without facts is absent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from expose.objectives import Descend
from expose.report import about, figures
from expose.report.canvas import Drawing, require_plotly
from expose.report.comparison import quantiles
from expose.report.curves import curve_of
from expose.report.findings import Findings, Model, examine
from expose.report.gallery import gallery_of
from expose.report.keyframes import strips_of
from expose.report.lines import marks_of
from expose.report.pictures import require_pillow
from expose.report.plane import project
from expose.report.rendering import render, write_page
from expose.report.sheet import sheet_of
from expose.report.summary import Measured, class_table, measured, summary_of
from expose.report.typical import show_text
from expose.stores import Place, Stored

SECTIONS = {  # in order, with their headings
    "summary": "Summary",
    "classes": "Classes",
    "spans": "Spans",
    "gallery": "Ranking",
    "curve": "Curve",
    "sheet": "Contact sheet",
    "atlas": "Map",
    "scores": "Score distribution",
    "lines": "Where the line is drawn",
    "sources": "Scores by source",
    "reliability": "Reliability",
    "suspects": "Ranking",
    "map": "Map",
    "training": "Training curves",
    "churn": "Suspect churn",
    "quality": "Data quality",
    "reproduce": "Reproduce",
}
ROOM = 850_000  # signs for pictures, so that with plotly and all else the page stays below 6 MB
ROOM_CARD = 2_500  # signs that a suspect takes beside its pictures
GALLERY, SHEET = 0.65, 0.35  # shares of the room,
STRIPS = 0.4  # ... of which this is taken before where there are spans to be seen
LONGEST_HOVER = 40  # signs of a name on the map: a longer one covers it on a phone
MOST_EPOCHS = 1_000  # points per training curve


def build_report(
    model: Model,
    X: Any,
    *,
    ids: Any = None,
    labels: Any = None,
    classes: Any = None,
    title: str = "Anomaly report",
    command: str | None = None,
    top: int | None = None,
    fdr: float | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> str:
    """Write the report on the rows of ``X`` as one HTML document.

    Parameters
    ----------
    model : AnomalyDetector or OutlierExposureClassifier
        Fitted.
    X : of the kind that was trained on, n rows
        The training rows or new ones; anything ``model.anomaly_score`` takes.
    ids : sequence of n values, mapping of name to such, Arrow table, or a frame of n rows, optional
        Names of the rows, shown instead of row numbers.
    labels : sequence of n values in {-1, 0, 1}, optional
        Known labels (1 anomaly, 0 normal, -1 unknown), shown beside the scores and never used for them.
    classes : sequence of n classes, optional
        What the rows of a classifier are. Nothing (None, NaN, "") is not known; a class that was not trained on makes a
        row an anomaly.
    title : str
        Heading of the page.
    command : str, optional
        What to run to get this report again. Without it: the command stored with the model, or the Python
        call.
    top : int, optional
        How many rows of the ranking to show and explain, flagged or not, 1 to 200. By default 20, and 40 of images.
    fdr : float, optional
        Flag by p-values at this false-discovery rate instead of by the model's threshold.
    comparison : dict, optional
        What `compare` found on held-out rows. Without it: the one in the model's metadata, if there is one.

    Returns
    -------
    str
        The page, below 6 MB whatever the data. It loads nothing from anywhere.

    Raises
    ------
    MissingExtraError
        If plotly is not installed, or Pillow for images.
    InputError
        If ids, labels or classes do not fit the rows, or ``top`` is out of range.

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
    if model.scorer().fitted.kind.pictured:
        require_pillow()
    findings = examine(model, X, ids=ids, labels=labels, classes=classes, top=top, fdr=fdr)
    found = measured(findings, comparison)
    drawings = drawings_of(findings, found)
    room: float = max(ROOM - ROOM_CARD * len(findings.suspects), ROOM // 3)
    strips = strips_of(findings, STRIPS * room)
    room *= 1 - STRIPS if strips else 1
    sheet = sheet_of(findings, SHEET * room)
    facts = drawings | {
        "spans": strips,
        "gallery": gallery_of(findings, GALLERY * room),
        "sheet": sheet,
        "atlas": sheet,
        "summary": summary_of(findings, found),
        "classes": class_table(findings, found),
        "lines": findings.lines,
        "suspects": () if findings.pictured else findings.suspects,
        "quality": about.quality_of(findings.fitted),
        "reproduce": about.settings_of(model, findings.fitted.objective),
    }
    return render(
        sections={key: (heading, facts[key]) for key, heading in SECTIONS.items() if facts[key]},
        figures=set(drawings),
        title=show_text(title, 200),
        written=datetime.now(UTC),
        findings=findings,
        noun=findings.noun,
        nouns=findings.nouns,
        marks={} if findings.of_events else marks_of(findings.lines),
        n_trained=len(findings.fitted.latent),
        command=about.command_for(model, command),
        version=about.versions()["expose"],
    )


def write_report(path: str | os.PathLike[str] | Stored, model: Model, X: Any, **options: Any) -> Place:
    """Write the report to a file, whole or not at all.

    Parameters
    ----------
    path : path
        Target; an existing file is replaced only once the new page is complete. A device or a pipe is written to.
    model, X, **options
        As for :func:`build_report`.

    Returns
    -------
    Path or Stored
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
    return write_page(path, lambda: build_report(model, X, **options))


# ---------------------------------------------------------------------------------------------------- drawings


def drawings_of(findings: Findings, found: Measured | None) -> dict[str, Drawing | None]:
    """All plots by section, None where there is nothing to draw."""
    history = thinned(findings.fitted.history)
    return {
        "curve": curve_of(findings),
        "scores": figures.score_distribution(
            findings.scores, findings.threshold, findings.known.labels, findings.nouns
        ),
        "sources": by_source(findings, found),
        "reliability": figures.reliability_diagram(found.sides) if found and found.sides else None,
        "map": None if findings.pictured else row_map(findings),
        "training": figures.training_curves(history, warmup_of(findings)),
        "churn": figures.suspect_churn(history),
    }


def by_source(findings: Findings, found: Measured | None) -> Drawing | None:
    """Scores of held-out rows and outliers before and after exposure, and of these rows."""
    if found is None or not found.after:
        return None
    panels = {}
    for name, side in (("before exposure", found.before), (found.last, found.after)):
        if side is not None:
            outliers = {} if side["outlier_scores"] is None else {"outliers": side["outlier_scores"]}
            panels[name] = {"classes": side["scores"]} | outliers
    panels[found.last] |= {f"these {findings.nouns}": quantiles(findings.scores)}
    return figures.source_scores(panels, findings.threshold)


def row_map(findings: Findings) -> Drawing:
    """Rows on a plane."""
    points, shares = project(findings.vectors)
    names = [show_text(suspect.name, LONGEST_HOVER) for suspect in findings.suspects]
    names += [f"{findings.noun} {row}" for row in findings.sample[len(names) :]]
    total = f"{len(findings.scores):,} {findings.nouns}"
    return figures.plane_map(points, shares, findings.flagged[findings.sample], names, total)


def warmup_of(findings: Findings) -> int:
    """Epochs in which every row counted as normal, 0 where that made no difference."""
    fitted = findings.fitted
    recipe = fitted.objective.recipe
    return recipe.warmup if isinstance(recipe, Descend) and fitted.contamination > 0 else 0


def thinned(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `MOST_EPOCHS` epochs, evenly spaced."""
    if len(history) <= MOST_EPOCHS:
        return list(history)
    kept = np.linspace(0, len(history) - 1, MOST_EPOCHS).round().astype(int)
    return [history[place] for place in kept]
