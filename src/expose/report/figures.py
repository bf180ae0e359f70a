"""The plots of the report, each with a sentence that says the same and one that says how to read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from expose.report.canvas import (
    GRID,
    MUTED,
    NORMAL,
    SUSPECT,
    TEXT,
    THIRD,
    Drawing,
    empty_figure,
    panelled_figure,
    stacked_figure,
)
from expose.report.typical import show_number, show_share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

N_BINS, SOURCE_BINS = 60, 50
LOWEST = 0.01  # quantile of all scores where the axis of sources begins: some rows are out of all proportion sure
LONG_TAIL = 30.0  # scores all above zero whose largest exceeds the median this many times get a log axis
HEADROOM = 0.15  # of a histogram, for the label of the threshold
LABEL_RIGHT = (
    0.7  # of the axis: a threshold further right has its label, which a phone's plot is little wider than, left
)
COLOURS = (NORMAL, SUSPECT, THIRD)
DASHES = ("solid", "dash", "dot")
MARKS = ("circle", "diamond", "square")
LOSSES = {"normal": "normal loss", "abnormal": "abnormal loss", "outliers": "loss on outliers"}
CHARTS = ("One line chart", "Two line charts", "Three line charts")
CHURN = {
    "overlap": "same suspects as one epoch before",
    "flipped": "share that changed sides",
    "member_overlap": "members agreeing on suspects",
}

Floats = NDArray[np.float64]
Epochs = Sequence[Mapping[str, Any]]
Sources = Mapping[str, Sequence[float]]


def score_distribution(
    scores: Floats, threshold: float, labels: NDArray[np.int_] | None = None, nouns: str = "rows"
) -> Drawing:
    """Histogram of the anomaly scores, split at the threshold; known anomalies as ticks below.

    Parameters
    ----------
    scores : (n,) array of float
        Higher = more anomalous.
    threshold : float
        What has a larger score is flagged.
    labels : (n,) array of {-1, 0, 1}, optional
        Known labels; the scores of those equal to 1 are marked.
    nouns : str
        What is scored.
    """
    figure = empty_figure("anomaly score", f"{nouns} (log scale)")
    edges, logarithmic = _bin_edges(scores, threshold)
    counts, _ = np.histogram(scores, edges)
    middles = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    above = middles > threshold
    for mask, name, colour in ((~above, "not flagged", NORMAL), (above, "flagged", SUSPECT)):
        figure.add_bar(
            x=middles[mask], y=counts[mask], width=np.diff(edges)[mask], name=name, marker_color=colour,
            marker_line_width=0, hovertemplate=f"%{{y:,}} {nouns} near %{{x:.4g}}<extra></extra>",
        )  # fmt: skip
    if labels is not None and (labels == 1).any():
        _mark_known(figure, scores[labels == 1])
    figure.update_layout(bargap=0, barmode="overlay")
    top = (1 + HEADROOM) * math.log10(max(counts.max(), 1)) + 0.1
    figure.update_layout(yaxis={"type": "log", "dtick": 1, "range": [-0.15, top]})
    if logarithmic:
        figure.update_xaxes(type="log", dtick=1)
    _threshold_line(figure, threshold, (edges[0], edges[-1]), logarithmic=logarithmic)
    n_flagged = int((scores > threshold).sum())
    return Drawing(
        figure,
        f"Histogram of the anomaly scores of {len(scores):,} {nouns}, from {show_number(float(scores.min()))} to "
        f"{show_number(float(scores.max()))}, median {show_number(float(np.median(scores)))}. "
        f"{n_flagged:,} lie above the threshold of {show_number(threshold)}.",
        "Higher is more unusual. A clear gap before the threshold means an easy decision; a smooth slope means that "
        "the threshold is a choice.",
    )


def training_curves(history: Epochs, warmup: int = 0) -> Drawing | None:
    """Mean losses of each epoch, each on its own scale; None where nothing was trained step by step."""
    losses = {key: name for key, name in LOSSES.items() if np.isfinite(_series(history, key)).any()}
    if len(history) < 2 or not losses:
        return None
    figure = stacked_figure(tuple(losses.values()))
    for row, (key, colour) in enumerate(zip(losses, COLOURS, strict=False), start=1):
        _add_curve(figure, history, key, losses[key], colour, row=row)
    figure.update_layout(showlegend=False)
    _shade_warmup(figure, history, warmup)
    key, *others = losses
    first, last = _series(history, key)[[0, -1]]
    return Drawing(
        figure,
        f"{CHARTS[len(losses) - 1]} over {len(history)} epochs. The {losses[key]} goes from "
        f"{show_number(float(first))} to {show_number(float(last))}"
        + "".join(f"; the {losses[other]} is shown below it" for other in others)
        + ".",
        "The normal loss measures how well the data fit in, the abnormal loss how well they stand out, and that on "
        "outliers how well the model recognises what it was exposed to. All should settle.",
        tall=True,
    )


def suspect_churn(history: Epochs) -> Drawing | None:
    """How settled the set of suspects is, per epoch; None where no epoch had suspects, or there was but one."""
    shown = [key for key in CHURN if np.isfinite(_series(history, key)).any()]
    if len(history) < 2 or not _had_suspects(history):
        return None
    figure = empty_figure("epoch", "share")
    for key in shown:
        place = list(CHURN).index(key)
        _add_curve(figure, history, key, CHURN[key], COLOURS[place], dash=DASHES[place])
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return Drawing(
        figure,
        "Line chart over the epochs. " + " ".join(_last_value(history, key) for key in shown),
        "How settled the choice of suspects was. Lines that never come to rest mean that the last suspects are partly "
        "luck of the last epoch.",
    )


def plane_map(
    points: Floats, shares: Sequence[float], flagged: NDArray[np.bool_], names: Sequence[str], total: str
) -> Drawing:
    """Rows as dots on the two directions in which they differ most.

    Parameters
    ----------
    points : (n, 2) array of float
    shares : two floats
        Part of the variation each direction holds.
    flagged : (n,) array of bool
    names : n strings
        Shown when pointing at a dot; any text is safe.
    total : str
        Of how many these are some: "400 rows".
    """
    titles = [f"direction {i}: {show_share(share)} of variation" for i, share in enumerate(shares, 1)]
    figure = empty_figure(*titles)
    styles = (
        (~flagged, "not flagged", NORMAL, "circle", 5, 0.45),
        (flagged, "flagged", SUSPECT, "diamond", 8, 0.9),
    )
    for mask, name, colour, symbol, size, opacity in styles:
        figure.add_scatter(
            x=points[mask, 0].round(3), y=points[mask, 1].round(3), mode="markers", name=name,
            marker={"color": colour, "symbol": symbol, "size": size, "opacity": opacity,
                    "line": {"width": 0}},
            text=[escape(names[place]) for place in np.flatnonzero(mask).tolist()],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    shown = f"{len(points):,} {total.rsplit(maxsplit=1)[-1]}"
    some = f"{len(points):,} of the {total}, the first of the ranking among them" if shown != total else f"All {total}"
    return Drawing(
        figure,
        f"Scatter plot of {shown}, {int(flagged.sum()):,} of them flagged.",
        f"{some}, seen along the two directions in which they differ most. Only a shadow of the data: what stands in "
        "the crowd can still be unusual in what the map leaves out.",
        tall=True,
    )


def source_scores(panels: Mapping[str, Sources], threshold: float) -> Drawing:
    """How the anomaly scores of each source are distributed, one panel above the other.

    Parameters
    ----------
    panels : mapping of title to mapping of source to scores
        The last panel is that of the model itself, and has the threshold.
    threshold : float
    """
    figure = panelled_figure(list(panels), "anomaly score", "share")
    names = list(dict.fromkeys(name for sources in panels.values() for name in sources))
    for row, sources in enumerate(panels.values(), start=1):
        every = np.concatenate([np.asarray(scores, dtype=np.float64) for scores in sources.values()])
        low, high = float(np.quantile(every, LOWEST)), float(every.max())
        edges = np.linspace(low, high if high > low else low + 1, SOURCE_BINS + 1)
        for name, scores in sources.items():
            counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
            place = names.index(name)
            figure.add_scatter(
                x=edges.round(6), y=np.append(counts, counts[-1]) / len(scores), mode="lines", name=name,
                line={"shape": "hv", "color": COLOURS[place], "width": 2, "dash": DASHES[place]}, legendgroup=name,
                showlegend=row == len(panels), hovertemplate="%{y:.1%} near %{x:.4g}<extra>" + name + "</extra>",
                row=row, col=1,
            )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.add_vline(x=threshold, line={"color": TEXT, "width": 1.5, "dash": "dash"}, row=len(panels), col=1)
    last = list(panels.values())[-1]
    medians = ", ".join(f"{name} {show_number(float(np.median(scores)))}" for name, scores in last.items())
    return Drawing(
        figure,
        f"Distributions of anomaly scores by source, {' and '.join(panels)}. Medians {list(panels)[-1]}: {medians}; "
        f"threshold {show_number(threshold)}. The lowest {show_share(LOWEST)} stand at the left edge.",
        "Higher is more unusual. The further the outliers lie from the classes, the better the score separates them.",
        tall=True,
    )


def reliability_diagram(sides: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Accuracy of samples that are about equally sure of their class; on the diagonal it is what was said.

    Parameters
    ----------
    sides : mapping of name to what `rightness` found
    """
    figure = empty_figure("probability of the predicted class", "share that is right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", line={"color": MUTED, "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )  # fmt: skip
    for place, (name, side) in enumerate(sides.items()):
        bins = side["bins"]
        figure.add_scatter(
            x=np.round(bins["confidence"], 4), y=np.round(bins["accuracy"], 4), mode="lines+markers", name=name,
            line={"color": COLOURS[place], "width": 2, "dash": DASHES[place]},
            marker={"symbol": MARKS[place], "size": 8}, customdata=bins["rows"],
            hovertemplate="says %{x:.1%}, is right in %{y:.1%} of %{customdata}<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05])
    said = "; ".join(
        f"{name}: sure to {show_share(side['confidence'])} on average, right in {show_share(side['accuracy'])}, "
        f"calibration error {show_share(side['calibration_error'])}"
        for name, side in sides.items()
    )
    return Drawing(
        figure,
        f"Reliability diagram, in bins of equal size. {said}.",
        "Is the model right as often as it says? Points below the diagonal are too sure, points above it too modest.",
    )


def _bin_edges(scores: Floats, threshold: float) -> tuple[Floats, bool]:
    """Edges with one exactly at the threshold, and whether they grow geometrically."""
    low, high = float(scores.min()), float(scores.max())
    logarithmic = low > 0 and high > LONG_TAIL * float(np.median(scores))
    if logarithmic:
        edges = np.geomspace(low, np.nextafter(high, np.inf), N_BINS + 1)
    else:
        room = (high - low or abs(high) or 1.0) * 1e-6
        edges = np.linspace(low - room, high + room, N_BINS + 1)
    if edges[0] < threshold < edges[-1]:
        nearest = np.clip(np.abs(edges - threshold).argmin(), 1, N_BINS - 1)
        edges[nearest] = np.nextafter(threshold, np.inf)  # a score equal to it is not flagged
    return edges, logarithmic


def _mark_known(figure: Figure, scores: Floats) -> None:
    shown = scores if len(scores) <= 1000 else np.quantile(scores, np.linspace(0, 1, 1000))
    figure.add_scatter(
        x=shown, y=np.zeros(len(shown)), yaxis="y2", mode="markers", name="labelled anomaly",
        cliponaxis=False, marker={"symbol": "line-ns-open", "size": 10, "color": TEXT},
        hovertemplate="labelled anomaly, score %{x:.4g}<extra></extra>",
    )  # fmt: skip

    figure.update_layout(
        yaxis={"domain": [0.1, 1]},
        yaxis2={"domain": [0, 0.07], "range": [-1, 1], "visible": False, "fixedrange": True},
        xaxis={"anchor": "y2"},
    )


def _threshold_line(figure: Figure, threshold: float, ends: tuple[float, float], *, logarithmic: bool) -> None:
    """Draw the line where it can be seen beside the scores; the label is part of it, and so cannot stand elsewhere."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        low, high, place = np.log10([*ends, threshold]) if logarithmic else np.array([*ends, threshold])
        room = (high - low) / 2
    if not (math.isfinite(room) and low - room <= place <= high + room):
        return  # the caption says where it is
    margin = room / 20
    low, high = min(low, place) - margin, max(high, place) + margin
    figure.update_xaxes(range=[low, high])
    figure.add_shape(
        type="line", x0=threshold, x1=threshold, y0=0, y1=1, yref="paper",
        line={"color": TEXT, "width": 1.5, "dash": "dash"},
        label={
            "text": "threshold", "textposition": "end", "textangle": 0, "yanchor": "top", "padding": 6,
            "xanchor": "left" if place < low + LABEL_RIGHT * (high - low) else "right", "font": {"color": TEXT},
        },
    )  # fmt: skip


def _series(history: Epochs, key: str) -> Floats:
    """One figure per epoch, (epochs,), NaN where an epoch has none."""
    return np.array([np.nan if epoch.get(key) is None else epoch[key] for epoch in history], dtype=np.float64)


def _had_suspects(history: Epochs) -> bool:
    return bool(np.isfinite(_series(history, "overlap")).any() or (_series(history, "flipped") > 0).any())


def _add_curve(
    figure: Figure, history: Epochs, key: str, name: str, colour: str, *, dash: str = "solid", row: int | None = None
) -> None:
    values = _series(history, key)
    figure.add_scatter(
        x=_epochs(history), y=[float(f"{value:.5g}") if math.isfinite(value) else None for value in values],
        mode="lines" if np.isfinite(values).sum() > 1 else "markers", name=name,
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="epoch %{x}: %{y:.4g}<extra>" + name + "</extra>",
        row=row, col=row and 1,
    )  # fmt: skip


def _epochs(history: Epochs) -> list[int]:
    return [int(epoch.get("epoch", place)) for place, epoch in enumerate(history)]


def _shade_warmup(figure: Figure, history: Epochs, warmup: int) -> None:
    epochs = _epochs(history)
    if not 0 < warmup < len(epochs):
        return
    figure.add_vrect(
        x0=epochs[0] - 0.5, x1=epochs[warmup] - 0.5, fillcolor=GRID, opacity=0.5, line_width=0, layer="below"
    )
    figure.add_annotation(
        x=epochs[0] - 0.5, y=1, yref="paper", text="warm-up", showarrow=False, yanchor="bottom", xanchor="left",
        font={"color": MUTED},
    )  # fmt: skip


def _last_value(history: Epochs, key: str) -> str:
    values = _series(history, key)
    return f"{CHURN[key].capitalize()}: {show_share(float(values[np.isfinite(values)][-1]))} in the last epoch."
