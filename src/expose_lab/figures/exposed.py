"""What outlier exposure changes: how far confidence can be trusted, and where the scores of each source lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from expose.decide import Reliability
from expose.errors import InputError
from expose_lab.figures.canvas import COLOURS, FAINT, INK, MARKERS, MUTED, new_figure, panels_of, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@svg
def reliability_diagram(panels: Mapping[str, Mapping[str, Reliability]], *, columns: int = 3) -> Figure:
    """Accuracy over confidence, a dot for each bin; on the diagonal, confidence is what it says.

    Below the diagonal a classifier is too sure. Bins of equally many rows lie dense where confidences do.

    Parameters
    ----------
    panels : mapping of title to mapping of name to Reliability
        Such as "normal only" and "mixed", with "before" and "after" in each. Up to nine names in a panel.
    columns : int, default=3
        Panels in a row.

    Examples
    --------
    >>> from expose.decide import reliability
    >>> bins = reliability([True, False, True, True], [0.6, 0.5, 0.9, 0.8], rows_per_bin=2)
    >>> "before" in reliability_diagram({"mixed": {"before": bins}})
    True
    """
    if not panels or any(not 0 < len(lines) <= len(COLOURS) for lines in panels.values()):
        raise InputError(f"Expected panels with 1 to {len(COLOURS)} names; got {[len(p) for p in panels.values()]}.")
    wide = min(columns, len(panels))
    figure = new_figure(2.9 * wide, 2.9 * -(-len(panels) // wide))
    axes, wide = panels_of(figure, len(panels), columns, sharex=True, sharey=True)
    figure.subplots_adjust(wspace=0.12, hspace=0.3)
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for place, (axis, (title, lines)) in enumerate(zip(axes, panels.items(), strict=True)):
        axis.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":", zorder=1)
        for name, bins in lines.items():
            number = names.index(name) % len(COLOURS)
            axis.plot(
                bins.confidence, bins.accuracy, color=COLOURS[number], marker=MARKERS[number], ms=4, lw=1, mew=0,
                label=name, zorder=2,
            )  # fmt: skip
        axis.set(title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axis.set_ylabel("accuracy" if place % wide == 0 else "")
        axis.set_xlabel("confidence" if place + wide >= len(panels) else "")
        axis.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


@svg
def score_distributions(panels: Mapping[str, Mapping[str, ArrayLike]], *, label: str, bins: int = 60) -> Figure:
    """Histograms of the scores, a line for each source, a panel for each model; the first source, normal, in grey.

    Each histogram has the same height, whatever its number of rows, and all of a panel have the same bins. A dotted
    line shows the median of the first source.

    Parameters
    ----------
    panels : mapping of title to mapping of source to (n,) array of float
        Such as "before" and "after", with the normal rows first and the same sources in each.
    label : str
        Of the axis of scores.
    bins : int, default=60

    Examples
    --------
    >>> scores = {"normal": [0.1, 0.2, 0.2], "noise": [0.8, 0.9]}
    >>> "noise" in score_distributions({"after": scores}, label="anomaly score")
    True
    """
    sources = list(next(iter(panels.values()))) if panels else []
    values = {
        title: {source: np.asarray(scores, dtype=np.float64) for source, scores in each.items()}
        for title, each in panels.items()
    }
    if not sources or any(list(each) != sources for each in values.values()):
        raise InputError("Expected at least one panel, and the same sources, normal first, in each.")
    if not all(scores.size and np.isfinite(scores).all() for each in values.values() for scores in each.values()):
        raise InputError("Expected finite scores, at least one for each source.")
    figure = new_figure(3.0 * len(panels) + 0.6, 0.38 * len(sources) + 0.5)
    axes, _ = panels_of(figure, len(panels), len(panels), sharey=True)
    figure.subplots_adjust(wspace=0.08)
    for axis, (title, each) in zip(axes, values.items(), strict=True):
        edges = np.histogram_bin_edges(np.concatenate(list(each.values())), bins)
        axis.axvline(float(np.median(each[sources[0]])), color=INK, lw=0.7, ls=":")
        for row, scores in enumerate(each.values()):
            heights = np.histogram(scores, edges)[0] / scores.size
            top = row - 0.9 * heights / heights.max()  # the axis points down
            axis.stairs(top, edges, baseline=row, fill=True, color=COLOURS[0 if row == 0 else 2], alpha=0.85)
            axis.axhline(row, color=FAINT, lw=0.6, zorder=0)
        axis.set(title=title, xlabel=label, ylim=(len(sources) - 0.9, -1.0))
        axis.set_yticks(range(len(sources)), sources, va="bottom")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    return figure
