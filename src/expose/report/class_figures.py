"""The plots that only classifiers have: scores of each source, before and after exposure, and reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from expose.report.canvas import MUTED, NORMAL, SUSPECT, TEXT, THIRD, Drawing, empty_figure, panelled_figure
from expose.report.typical import show_number, show_share

N_BINS = 50
LOWEST = 0.01  # quantile of all scores where the axis begins: some rows are out of all proportion sure
COLOURS = (NORMAL, SUSPECT, THIRD)
DASHES = ("solid", "dash", "dot")
MARKS = ("circle", "diamond", "square")

Sources = Mapping[str, Sequence[float]]


def source_scores(panels: Mapping[str, Sources], threshold: float) -> Drawing:
    """How the anomaly scores of each source are distributed, one panel above the other.

    Parameters
    ----------
    panels : mapping of title to mapping of source to scores
        The last panel is that of the model itself, and has the threshold.
    threshold : float
    """
    figure = panelled_figure(list(panels), "anomaly score", "share of rows")
    names = list(dict.fromkeys(name for sources in panels.values() for name in sources))
    for row, sources in enumerate(panels.values(), start=1):
        every = np.concatenate([np.asarray(scores, dtype=np.float64) for scores in sources.values()])
        low, high = float(np.quantile(every, LOWEST)), float(every.max())
        edges = np.linspace(low, high if high > low else low + 1, N_BINS + 1)
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
        f"threshold {show_number(threshold)}. The lowest {show_share(LOWEST)} are drawn at the left edge.",
    )


def reliability_diagram(sides: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Accuracy of rows that are about equally sure of their class; on the diagonal it is what was said.

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
            hovertemplate="says %{x:.1%}, is right in %{y:.1%} of %{customdata} rows<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05])
    said = "; ".join(
        f"{name}: sure to {show_share(side['confidence'])} on average, right in {show_share(side['accuracy'])}, "
        f"calibration error {show_share(side['calibration_error'])}"
        for name, side in sides.items()
    )
    return Drawing(figure, f"Reliability diagram, in bins of equally many rows. {said}.")
