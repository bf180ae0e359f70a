"""Pictures of tables: heat maps, dots, and the pairs of published and measured values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError
from expose_lab.figures.canvas import COLOURS, FAINT, INK, MARKERS, MUTED, new_figure, panels_of, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


class Compared(NamedTuple):
    """What others published and what was measured here, with spreads, each ``(n,)`` as `names`."""

    names: Sequence[str]
    published: ArrayLike
    published_std: ArrayLike
    ours: ArrayLike
    ours_std: ArrayLike


@svg
def heat_maps(
    panels: Mapping[str, ArrayLike],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    base: ArrayLike | None = None,
    row_label: str,
    column_label: str,
    colour_label: str,
) -> Figure:
    """Heat maps with their values written in the cells, such as a metric by assumed and true ratio.

    Parameters
    ----------
    panels : mapping of title to (rows, columns) array of float
        NaN leaves a cell empty.
    rows, columns : sequence of str
        Names of both sides. Cells with the same name on both are framed: there the assumption is true.
    base : (columns,) or (rows, columns) array of float, optional
        What the colour is a difference to; by default the colour is the value itself.
    row_label, column_label, colour_label : str

    Examples
    --------
    >>> text = heat_maps({"soft": [[0.9, 0.8]]}, ["10 %"], ["0 %", "10 %"], base=[0.9, 0.7], row_label="assumed",
    ...                  column_label="true", colour_label="difference to blind")
    >>> ".800" in text
    True
    """
    from matplotlib.colors import Normalize

    values = {title: np.asarray(panel, dtype=np.float64) for title, panel in panels.items()}
    shape = (len(rows), len(columns))
    if not values or any(panel.shape != shape for panel in values.values()):
        raise InputError(f"Expected panels of shape {shape}; got {[panel.shape for panel in values.values()]}.")
    shades = {title: panel if base is None else panel - np.asarray(base) for title, panel in values.items()}
    every = np.concatenate([shade[np.isfinite(shade)] for shade in shades.values()])
    reach = max(float(np.abs(every).max(initial=0)), 1e-6)
    norm = Normalize(every.min(initial=np.inf), every.max()) if base is None else Normalize(-reach, reach)
    wide, deep = min(2, len(values)), -(-len(values) // 2)
    width, height = 0.5 * len(columns) + 0.9, 0.34 * len(rows) + 0.75
    figure = new_figure(width * wide + 1.0, height * deep)
    axes, wide = panels_of(figure, len(values), 2)
    figure.subplots_adjust(left=0.7 / (width * wide), right=0.86, wspace=0.32, hspace=0.45)
    for axis, (title, panel) in zip(axes, values.items(), strict=True):
        mesh = axis.pcolormesh(shades[title], cmap="cividis" if base is None else "PuOr", norm=norm, ec="white", lw=1.5)
        for row, column in np.argwhere(np.isfinite(panel)):
            dark = mesh.cmap(norm(shades[title][row, column]))
            light_text = np.dot(dark[:3], (0.3, 0.6, 0.1)) < 0.5
            text = f"{panel[row, column]:.3f}".replace("0.", ".", 1)
            place = (column + 0.5, row + 0.5)
            axis.text(*place, text, ha="center", va="center", fontsize=8, color="white" if light_text else INK)
            if rows[row] == columns[column]:
                axis.plot(*outline(row, column), color=INK, lw=1.3, clip_on=False)
        axis.set(title=title, xlabel=column_label, ylabel=row_label)
        axis.set_xticks(np.arange(len(columns)) + 0.5, columns)
        axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.7, fraction=0.04, pad=0.04)
    bar.outline.set_visible(False)
    bar.set_label(colour_label)
    return figure


def outline(row: int, column: int) -> tuple[list[float], list[float]]:
    """Return the corners of a cell, closed."""
    left, right, low, high = column + 0.04, column + 0.96, row + 0.06, row + 0.94
    return [left, right, right, left, left], [low, low, high, high, low]


@svg
def against_published(panels: Mapping[str, Compared], *, unit: str) -> Figure:
    """Published and measured values side by side: a line for each data set, a panel for each contender.

    A faint bar reaches one published standard deviation to either side. Where `short` holds, ours is an orange diamond.

    Parameters
    ----------
    panels : mapping of title to Compared
        All with the same names.
    unit : str
        Such as "F1, %"; the axes run from 0 to 100.

    Examples
    --------
    >>> "wine" in against_published({"ntl soft": Compared(["wine"], [92.0], [4.0], [60.0], [5.0])}, unit="F1, %")
    True
    """
    names = list(next(iter(panels.values())).names) if panels else []
    if not names or any(list(points.names) != names for points in panels.values()):
        raise InputError("Expected at least one panel, and the same names in each.")
    height = 0.17 * len(names) + 0.5
    figure = new_figure(1.75 * len(panels) + 0.9, height)
    axes, _ = panels_of(figure, len(panels), len(panels), sharey=True)
    figure.subplots_adjust(wspace=0.08)
    at = np.arange(len(names))
    for axis, (title, points) in zip(axes, panels.items(), strict=True):
        axis.grid(axis="x")
        theirs, spread = np.asarray(points.published), np.asarray(points.published_std)
        ours = np.asarray(points.ours)
        axis.barh(at, 2 * spread, left=theirs - spread, height=0.55, color=FAINT, lw=0, zorder=1)
        axis.hlines(at, theirs, ours, color=MUTED, lw=1, zorder=2)
        axis.scatter(theirs, at, s=20, facecolor="white", edgecolor=INK, lw=1, zorder=3, label="published")
        low = short(theirs, ours, spread)
        axis.scatter(ours[~low], at[~low], s=22, color=COLOURS[1], lw=0, zorder=4, label="here")
        axis.scatter(
            ours[low], at[low], s=24, color=COLOURS[2], marker="D", lw=0, zorder=4,
            label="here, more than two published standard deviations lower",
        )  # fmt: skip
        axis.set(title=title, xlim=(-5, 105), ylim=(len(names) - 0.5, -0.5), xlabel=unit, xticks=range(0, 101, 25))
        axis.set_yticks(at, names)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="lower center", bbox_to_anchor=(0.5, 0.88 + 0.28 / height), ncols=3,
        frameon=False,
    )  # fmt: skip
    return figure


def short(published: ArrayLike, ours: ArrayLike, spread: ArrayLike) -> NDArray[np.bool_]:
    """Whether ours is more than two published standard deviations lower, of 1.0 where the published one is 0.

    Parameters
    ----------
    published, ours, spread : (n,) array of float
        In percent.

    Examples
    --------
    >>> short([90.0, 90.0, 100.0], [70.0, 85.0, 97.0], [5.0, 5.0, 0.0]).tolist()
    [True, False, True]
    """
    unit = np.asarray(spread, dtype=np.float64)
    lowest: Floats = np.asarray(published, dtype=np.float64) - 2 * np.where(unit == 0, 1.0, unit)
    return np.asarray(ours, dtype=np.float64) < lowest


@svg
def dots(values: Mapping[str, Mapping[str, float]], *, label: str, log: bool = True) -> Figure:
    """Dot chart: a line for each name, a dot for each kind, such as seconds of a fit.

    Parameters
    ----------
    values : mapping of kind to mapping of name to float
        Up to nine kinds; names are those of the first kind and then new ones.
    label : str
        Of the axis of values.
    log : bool, default=True
        Whether that axis is logarithmic.

    Examples
    --------
    >>> "LOF" in dots({"fit": {"LOF": 0.1, "ntl": 20.0}, "score": {"LOF": 0.01}}, label="seconds")
    True
    """
    from matplotlib.ticker import LogLocator

    names = list(dict.fromkeys(name for kind in values.values() for name in kind))
    if not names or len(values) > len(COLOURS):
        raise InputError(f"Expected 1 to {len(COLOURS)} kinds of values; got {len(values)} with {len(names)} names.")
    figure = new_figure(7.2, 0.21 * len(names) + 0.8)
    axis = figure.add_axes((0.25, 0.0, 0.72, 1.0))
    axis.grid(axis="both")
    for number, (kind, found) in enumerate(values.items()):
        at = [names.index(name) for name in found]
        colour = COLOURS[(number + 1) % len(COLOURS)]
        axis.scatter(list(found.values()), at, s=26, lw=0, label=kind, zorder=3, color=colour, marker=MARKERS[number])
    axis.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
    if log:
        every = [value for kind in values.values() for value in kind.values()]
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1,) if max(every) > 100 * min(every) else (1, 2, 5)))
        axis.minorticks_off()
        axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    if len(values) > 1:
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(values), frameon=False, borderaxespad=0.2)
    return figure
