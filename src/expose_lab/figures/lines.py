"""Curves of a metric, a panel for each kind of contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from expose.errors import InputError
from expose_lab.figures.canvas import COLOURS, FAINT, INK, MARKERS, new_figure, panels_of, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """A line with a band: `x`, `y` and `spread` (half the height of the band), each ``(points,)``."""

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float]


@svg
def curves(
    panels: Mapping[str, Mapping[str, Curve]], *, xlabel: str, ylabel: str, columns: int = 3, percent: bool = True
) -> Figure:
    """Small multiples of curves, such as a metric over the true ratio, one panel for each kind of contender.

    Parameters
    ----------
    panels : mapping of title to mapping of name to Curve
        Up to nine curves in each panel. Those of the other panels are shown in grey behind them.
    xlabel, ylabel : str
    columns : int, default=3
        Panels in a row.
    percent : bool, default=True
        Whether x is a share to be written in percent.

    Examples
    --------
    >>> line = Curve([0, 0.1], [0.9, 0.8], [0.01, 0.02])
    >>> "soft" in curves({"ntl": {"soft": line}}, xlabel="true ratio", ylabel="AUROC")
    True
    """
    if not panels or any(not 0 < len(lines) <= len(COLOURS) for lines in panels.values()):
        raise InputError(f"Expected panels with 1 to {len(COLOURS)} curves; got {[len(p) for p in panels.values()]}.")
    wide = min(columns, len(panels))
    figure = new_figure(3.1 * wide + 0.4, 2.9 * -(-len(panels) // wide))
    axes, wide = panels_of(figure, len(panels), columns, sharex=True, sharey=True)
    figure.subplots_adjust(wspace=0.45, hspace=0.3)
    everything = [line for lines in panels.values() for line in lines.values()]
    low = min(float(np.min(np.subtract(line.y, line.spread))) for line in everything)
    high = max(float(np.max(np.add(line.y, line.spread))) for line in everything)
    room = 0.04 * max(high - low, 1e-6)
    for place, (axis, (title, lines)) in enumerate(zip(axes, panels.items(), strict=True)):
        axis.grid(axis="y")
        axis.set(title=title, ylim=(low - room, high + room))
        if place % wide == 0:
            axis.set_ylabel(ylabel)
        if place + wide >= len(panels):
            axis.set_xlabel(xlabel)
            axis.tick_params(labelbottom=True)
        for other, theirs in panels.items():
            for line in theirs.values() if other != title else ():
                axis.plot(line.x, line.y, color=FAINT, lw=0.8, zorder=1)
        for number, line in enumerate(lines.values()):
            look = {"color": COLOURS[number], "marker": MARKERS[number], "ls": "-" if number < 5 else "--"}
            axis.fill_between(
                line.x, np.subtract(line.y, line.spread), np.add(line.y, line.spread), color=COLOURS[number],
                alpha=0.12, lw=0, zorder=2,
            )  # fmt: skip
            axis.plot(line.x, line.y, ms=4, lw=1.5, zorder=3, **look)
        name_ends(axis, lines, (low, high))
        if percent:
            axis.set_xticks(apart(sorted({x for line in everything for x in line.x})))
            axis.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.3g}")
    return figure


def apart(ticks: Sequence[float]) -> list[float]:
    """Those ticks whose labels do not overlap, from the left."""
    kept = [ticks[0]]
    for tick in ticks[1:]:
        if tick - kept[-1] > 0.05 * (ticks[-1] - ticks[0]):
            kept.append(tick)
    return kept


def name_ends(axis: Any, lines: Mapping[str, Curve], limits: tuple[float, float]) -> None:
    """Write the name of each curve at its right end, moved apart where they would overlap."""
    gap = 0.068 * (limits[1] - limits[0])
    leader = {"arrowstyle": "-", "lw": 0.6, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}
    width = axis.dataLim.width
    right = max(line.x[-1] for line in lines.values()) + 0.1 * width
    ends = [float(line.y[-1]) for line in lines.values()]
    for place, (number, y) in enumerate(spread_out(ends, gap, *limits)):
        name, line = list(lines.items())[number]
        axis.annotate(
            name, (line.x[-1], ends[number]), (right, y), textcoords="data", color=INK,
            va="center", fontsize=8, annotation_clip=False, zorder=4 + place,
            arrowprops=leader | {"color": COLOURS[number]},
        )  # fmt: skip


def spread_out(values: Sequence[float], gap: float, low: float, high: float) -> list[tuple[int, float]]:
    """Places for labels, least far from these heights, at least `gap` apart, within the limits if they fit."""
    from sklearn.isotonic import isotonic_regression

    order = sorted(range(len(values)), key=lambda number: values[number])
    steps = gap * np.arange(len(order))
    free = isotonic_regression(np.array([values[number] for number in order]) - steps)
    places = np.maximum(np.minimum(free, high - steps[-1]), low) + steps
    return list(zip(order, map(float, places), strict=True))
