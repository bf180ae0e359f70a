"""The plots of the report, each with a sentence that says the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from expose.report.canvas import (
    GRID,
    MUTED,
    NORMAL,
    SUSPECT,
    TEXT,
    THIRD,
    Drawing,
    empty_figure,
    stacked_figure,
)
from expose.report.typical import show_number, show_share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

N_BINS = 60
LONG_TAIL = 30.0  # scores all above zero whose largest exceeds the median this many times get a log axis
DASHES = ("solid", "dash", "dot")
LOSSES = {"normal": "normal loss", "abnormal": "abnormal loss"}
CHARTS = ("One line chart", "Two line charts")

Floats = npt.NDArray[np.float64]
Epochs = Sequence[Mapping[str, Any]]


def score_distribution(scores: Floats, threshold: float, labels: npt.NDArray[np.int_] | None = None) -> Drawing:
    """Histogram of the anomaly scores, split at the threshold; known anomalies as ticks below.

    Parameters
    ----------
    scores : (n,) array of float
        Higher = more anomalous.
    threshold : float
        Rows with a larger score are flagged.
    labels : (n,) array of {-1, 0, 1}, optional
        Known labels; the scores of those equal to 1 are marked.
    """
    figure = empty_figure("anomaly score", "rows (log scale)")
    edges, logarithmic = _bin_edges(scores, threshold)
    counts, _ = np.histogram(scores, edges)
    middles = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    above = middles > threshold
    for mask, name, colour in ((~above, "not flagged", NORMAL), (above, "flagged", SUSPECT)):
        figure.add_bar(
            x=middles[mask], y=counts[mask], width=np.diff(edges)[mask], name=name, marker_color=colour,
            marker_line_width=0, hovertemplate="%{y:,} rows near %{x:.4g}<extra></extra>",
        )  # fmt: skip
    if labels is not None and (labels == 1).any():
        _mark_known(figure, scores[labels == 1])
    figure.update_layout(bargap=0, barmode="overlay")
    figure.update_layout(yaxis={"type": "log", "dtick": 1, "range": [-0.15, math.log10(max(counts.max(), 1)) + 0.1]})
    if logarithmic:
        figure.update_xaxes(type="log", dtick=1)
    _threshold_line(figure, math.log10(threshold) if logarithmic and threshold > 0 else threshold)
    n_flagged = int((scores > threshold).sum())
    return Drawing(
        figure,
        f"Histogram of {len(scores):,} anomaly scores from {show_number(float(scores.min()))} to "
        f"{show_number(float(scores.max()))}, median {show_number(float(np.median(scores)))}. "
        f"{n_flagged:,} lie above the threshold of {show_number(threshold)}.",
    )


def training_curves(history: Epochs, warmup: int = 0, losses: Mapping[str, str] = LOSSES) -> Drawing:
    """Mean losses of each epoch, each on its own scale: the normal and the abnormal one, or those named by key."""
    figure = stacked_figure(tuple(losses.values()))
    for place, ((key, name), colour) in enumerate(zip(losses.items(), (NORMAL, SUSPECT), strict=False), start=1):
        _add_curve(figure, history, key, name, colour, row=place)
    figure.update_layout(showlegend=False)
    _shade_warmup(figure, history, warmup)
    first, last = _series(history, next(iter(losses)))[[0, -1]]
    names = list(losses.values())
    return Drawing(
        figure,
        f"{CHARTS[len(losses) - 1]} over {len(history)} epochs. The {names[0]} goes from {show_number(float(first))} "
        f"to {show_number(float(last))}" + "".join(f"; the {name} is shown below it" for name in names[1:]) + ".",
    )


def suspect_churn(history: Epochs) -> Drawing | None:
    """How settled the set of suspects is, per epoch; None where no epoch had suspects."""
    kinds = (
        ("overlap", "same suspects as one epoch before", NORMAL),
        ("flipped", "rows that changed sides", SUSPECT),
        ("member_overlap", "members agreeing on suspects", THIRD),
    )
    shown = [kind for kind in kinds if np.isfinite(_series(history, kind[0])).any()]
    if not _had_suspects(history):
        return None
    figure = empty_figure("epoch", "share")
    for key, name, colour in shown:
        _add_curve(figure, history, key, name, colour, dash=DASHES[kinds.index((key, name, colour))])
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return Drawing(figure, "Line chart over the epochs. " + " ".join(_last_values(history, shown)))


def plane_map(points: Floats, shares: Sequence[float], flagged: npt.NDArray[np.bool_], names: Sequence[str]) -> Drawing:
    """Rows as dots on the two directions in which they differ most.

    Parameters
    ----------
    points : (n, 2) array of float
    shares : two floats
        Part of the variation each direction holds.
    flagged : (n,) array of bool
    names : n strings
        Shown when pointing at a dot; any text is safe.
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
    return Drawing(figure, f"Scatter plot of {len(points):,} rows, {int(flagged.sum()):,} of them flagged.")


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
        edges[np.clip(np.abs(edges - threshold).argmin(), 1, N_BINS - 1)] = np.nextafter(
            threshold, np.inf
        )  # a score equal to it is not flagged
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


def _threshold_line(figure: Figure, place: float) -> None:
    figure.add_shape(
        type="line",
        x0=place,
        x1=place,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": TEXT, "width": 1.5, "dash": "dash"},
    )
    figure.add_annotation(
        x=place,
        y=1,
        yref="paper",
        text="threshold",
        showarrow=False,
        yanchor="top",
        xanchor="left",
        xshift=6,
        font={"color": TEXT},
    )


def _series(history: Epochs, key: str) -> Floats:
    """One figure per epoch, (epochs,), NaN where an epoch has none."""
    return np.array([np.nan if epoch.get(key) is None else epoch[key] for epoch in history], dtype=np.float64)


def _had_suspects(history: Epochs) -> bool:
    return bool(np.isfinite(_series(history, "overlap")).any() or (_series(history, "flipped") > 0).any())


def _add_curve(
    figure: Figure,
    history: Epochs,
    key: str,
    name: str,
    colour: str,
    *,
    dash: str = "solid",
    row: int | None = None,
) -> None:
    values = _series(history, key)
    figure.add_scatter(
        x=_epochs(history), y=[float(f"{value:.5g}") if math.isfinite(value) else None for value in values],
        mode="lines" if len(values) > 1 else "markers", name=name,
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
        x=epochs[0] - 0.5,
        y=1,
        yref="paper",
        text="warm-up",
        showarrow=False,
        yanchor="bottom",
        xanchor="left",
        font={"color": MUTED},
    )


def _last_values(history: Epochs, shown: Sequence[tuple[str, str, str]]) -> list[str]:
    lasts = [(name, values[np.isfinite(values)][-1]) for key, name, _ in shown if len(values := _series(history, key))]
    return [f"{name.capitalize()}: {show_share(float(last))} in the last epoch." for name, last in lasts]
