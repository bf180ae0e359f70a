"""The curve of the series in which the most anomalous sample lies, with the spans that are flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.explain import explain
from expose.kinds.base import Curve
from expose.report.canvas import MUTED, NORMAL, SUSPECT, Drawing, stacked_figure
from expose.report.findings import Findings
from expose.report.survey import Rows
from expose.report.typical import show_number, show_text
from expose.scoring import Scorer

CHANNELS = 3  # drawn, those that carry the highest score
BUCKETS = 1_000  # of a curve, of each of which the lowest and the highest value are drawn
CLOSELY, AROUND = 1_500, 200  # values that are all drawn: of the highest spans, and so many steps around
SHADED = 60  # spans
BREAK = 10.5  # usual steps: across a longer gap no line is drawn

Floats = NDArray[np.float64]


def curve_of(findings: Findings) -> Drawing | None:
    """The channels and the score over time; None where samples do not follow each other."""
    kind, samples = findings.fitted.kind, findings.shown.samples
    row = int(findings.scores.argmax())
    curve = kind.curve(samples, row)
    if curve is None or len(curve.rows) < 2:
        return None
    names = telling(findings, curve, row)
    figure = stacked_figure([*(show_text(name, 30) for name in names), "score"])
    scores, found = findings.scores[curve.rows], spans_on(curve, findings)
    near = nearby(found, len(scores))
    drawn = [(curve.values[:, curve.names.index(name)], NORMAL) for name in names]
    for place, (values, colour) in enumerate([*drawn, (scores, MUTED)], start=1):
        at, shown = broken(curve, values, thinned(values, near))
        figure.add_scatter(
            x=at, y=shown, mode="lines", line={"color": colour, "width": 1}, row=place, col=1, showlegend=False,
            hovertemplate="%{y:.4g} at %{x}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=findings.threshold, line={"color": SUSPECT, "dash": "dash", "width": 1}, row=len(drawn) + 1)
    for first, last in found[:SHADED]:
        figure.add_vrect(
            x0=curve.at[first], x1=curve.at[last], fillcolor=SUSPECT, opacity=0.2, line_width=0, row="all", col=1
        )
    figure.update_xaxes(title_text="", fixedrange=False)
    figure.update_layout(dragmode="zoom", margin={"t": 12})
    return Drawing(figure, said_of(curve, found, scores, names, findings.nouns), READING, tall=bool(names))


READING = (
    "Shaded is what is flagged; the dashed line is the threshold. Drag over a part to see it larger; a double click "
    "shows the whole. Of long stretches the lowest and highest values are drawn, of the highest spans every one."
)


def said_of(curve: Curve, found: list[tuple[int, int]], scores: Floats, names: list[str], nouns: str) -> str:
    """The sentence for somebody who cannot see it."""
    of = f" of {curve.name}" if curve.name else ""
    place = int(scores.argmax())
    return (
        f"Curves{of}: {', '.join(names)}{' and ' if names else ''}the anomaly score of {len(scores):,} {nouns}, from "
        f"{when(curve, 0)} to "
        f"{when(curve, -1)}. {len(found):,} spans are flagged; the score is highest, "
        f"{show_number(float(scores[place]))}, at {when(curve, place)}."
    )


def when(curve: Curve, place: int) -> str:
    """The time of a step, or its number."""
    return f"{curve.at[place]}".removesuffix(".000").replace("T", " ")


def telling(findings: Findings, curve: Curve, row: int) -> list[str]:
    """The channels that carry the score of a sample, in their order; the first few where nothing tells."""
    if not curve.names:
        return []
    explained = explain(Scorer(findings.fitted), findings.shown.samples.take(np.array([row])))
    names = [name for name, _ in explained.top(0, CHANNELS)] or list(curve.names[:CHANNELS])
    return [name for name in curve.names if name in names]


def spans_on(curve: Curve, findings: Findings) -> list[tuple[int, int]]:
    """First and last place on the curve of each flagged event, the highest first."""
    found = findings.fitted.kind.events([findings.shown.samples], findings.scores, findings.threshold) or []
    place = np.full(len(findings.scores), -1)
    place[curve.rows] = np.arange(len(curve.rows))
    return [(int(place[rows[0]]), int(place[rows[-1]])) for rows in found if place[rows[0]] >= 0]


def nearby(highest: list[tuple[int, int]], n_steps: int) -> Rows:
    """Places in and around the highest flagged runs, which come first, as many as are drawn one by one."""
    chosen = np.zeros(n_steps, dtype=np.bool_)
    for first, last in highest:
        if chosen.sum() >= CLOSELY:
            break
        chosen[max(0, first - AROUND) : last + 1 + AROUND] = True
    return np.flatnonzero(chosen)[:CLOSELY]


def thinned(values: Floats, near: Rows) -> Rows:
    """Places of the lowest and the highest value of each bucket, and those near by.

    >>> len(thinned(np.sin(np.arange(600_000.0)), np.arange(5))) <= 2 * BUCKETS + 5
    True
    """
    n = len(values)
    if n <= 2 * BUCKETS:
        return np.arange(n)
    size = -(-n // BUCKETS)
    filled = np.concatenate([values, np.full(-n % size, np.nan)]).reshape(-1, size)
    some = ~np.isnan(filled).all(axis=1)
    start = np.flatnonzero(some) * size
    lowest, highest = (start + act(filled[some], axis=1) for act in (np.nanargmin, np.nanargmax))
    return np.union1d(np.concatenate([lowest, highest]), near)


def broken(curve: Curve, values: Floats, places: Rows) -> tuple[NDArray[Any], Floats]:
    """Times and values of some places, with a value missing where there is a gap between them."""
    steps = np.diff(curve.at).astype(np.float64)
    gaps = np.concatenate([[0], np.cumsum(steps > BREAK * np.median(steps))])
    after = np.flatnonzero(np.diff(gaps[places])) + 1
    return np.insert(curve.at[places], after, curve.at[places][after]), np.insert(values[places], after, np.nan)
