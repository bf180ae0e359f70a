"""Critical-difference diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from expose.errors import InputError
from expose_lab.figures.canvas import COLOURS, INK, MUTED, new_figure, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@svg
def rank_diagram(
    names: Sequence[str],
    ranks: ArrayLike,
    groups: Sequence[Sequence[int]],
    *,
    difference: float | None = None,
    title: str = "",
) -> Figure:
    """Critical-difference diagram: contenders along their mean ranks, bars join those not significantly different.

    Parameters
    ----------
    names : sequence of k str
    ranks : (k,) array of float
        Mean ranks, as of `mean_ranks`.
    groups : sequence of sequences of int
        Contenders that a bar joins, as of `cliques`.
    difference : float, optional
        Critical difference, drawn as a scale.
    title : str

    Examples
    --------
    >>> "<text" in rank_diagram(["a", "b", "c"], [1.2, 2.0, 2.8], [(0, 1)], difference=1.0)
    True
    """
    places = np.asarray(ranks, dtype=np.float64)
    k = len(names)
    if k < 2 or places.shape != (k,):
        raise InputError(f"Expected a rank for each of at least 2 names; got {k} names and shape {places.shape}.")
    order = np.argsort(places, kind="stable")
    half = (k + 1) // 2
    low, high = int(np.floor(places.min())), int(np.ceil(places.max()))
    bars = 0.16 * len(groups)
    bottom = bars + 0.35 + 0.24 * half  # in inches below the axis
    top = 0.75 if difference is not None or title else 0.35
    figure = new_figure(8, bottom + top)
    axis = figure.add_axes((0.24, 0, 0.52, 1))
    span = max(high - low, 1)
    axis.set(xlim=(low, low + span), ylim=(-bottom, top))
    axis.axis("off")
    axis.plot([low, low + span], [0, 0], color=INK, lw=1.2)
    step = max(1, round(span / 12))
    for tick in range(low, low + span + 1, step):
        axis.plot([tick, tick], [0, 0.07], color=INK, lw=1.2, clip_on=False)
        axis.text(tick, 0.11, str(tick), ha="center", va="bottom")
    for row, group in enumerate(groups):
        ends = places[list(group)]
        y = -0.14 - 0.16 * row
        axis.plot([ends.min(), ends.max()], [y, y], color=COLOURS[1], lw=4, solid_capstyle="round", clip_on=False)
    for position, one in enumerate(order):
        left = position < half
        row = position if left else k - 1 - position
        y = -bars - 0.3 - 0.24 * row
        edge = low - 0.02 * span if left else low + 1.02 * span
        axis.plot([places[one], places[one], edge], [0, y, y], color=MUTED, lw=0.9, clip_on=False)
        axis.text(
            edge + (-0.015 if left else 0.015) * span,
            y,
            f"{names[one]}  {places[one]:.2f}" if left else f"{places[one]:.2f}  {names[one]}",
            ha="right" if left else "left",
            va="center",
        )
    if difference is not None:
        x = low + span - min(difference, span)
        axis.plot([x, x + min(difference, span)], [0.5, 0.5], color=INK, lw=1.2, marker="|", ms=7, clip_on=False)
        axis.text(low + span, 0.57, f"critical difference {difference:.2f}", ha="right", va="bottom")
    axis.text(-0.45, 1, title, transform=axis.transAxes, ha="left", va="top", weight="bold", fontsize=10)
    return figure
