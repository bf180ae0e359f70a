"""The canvas of all figures: style, SVG text, Matplotlib imported where it is used."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from expose.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, FAINT = "#1b1b1b", "#5f6670", "#d9dce1"
COLOURS = ("#6b7280", "#0072b2", "#d55e00", "#009e73", "#b0558a", "#b8860b", "#2a93c9", "#1b1b1b", "#8c564b")
MARKERS = "osD^vPX<>"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "expose",
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same layout everywhere
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "figure.facecolor": "white",
}
P = ParamSpec("P")


def svg(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Make a function that draws a figure return its SVG text."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        mpl = matplotlib()
        with mpl.rc_context(STYLE), io.StringIO() as file:
            draw(*args, **kwargs).savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight")
            lines = file.getvalue().splitlines()
        return "\n".join(line.rstrip() for line in lines) + "\n"

    return drawn


def matplotlib() -> Any:
    """Import Matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("Figures need the extra bench: pip install 'expose[bench]'") from error
    return mpl


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that no window and no global state knows of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def panels_of(figure: Figure, count: int, columns: int, **shared: Any) -> tuple[list[Any], int]:
    """Return axes for so many panels, row by row, and how many there are in a row."""
    wide = min(columns, count)
    axes = np.atleast_1d(np.asarray(figure.subplots(-(-count // wide), wide, **shared))).ravel()
    for axis in axes[count:]:
        axis.remove()
    return list(axes[:count]), wide
