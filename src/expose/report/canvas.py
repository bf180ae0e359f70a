"""The paper the report draws on: empty plotly figures in its style, and how they get into the page.

A colour such as ``var(--normal)`` is replaced in the browser by its value in the theme in force, so one
figure serves the light and the dark page and follows a change between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expose.errors import MissingExtraError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NORMAL, SUSPECT, THIRD, TEXT, MUTED, GRID, CARD = (
    f"var(--{name})" for name in ("normal", "suspect", "third", "text", "muted", "grid", "card")
)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


@dataclass(frozen=True)
class Drawing:
    """A figure, the sentence that says the same to somebody who cannot see it, and how to read it."""

    figure: Figure
    alt: str
    reading: str = ""
    tall: bool = False

    def json(self) -> str:
        """Return the figure as JSON that is safe inside a script element."""
        text = str(self.figure.to_json())
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def require_plotly() -> None:
    """Raise MissingExtraError, with the line that installs it, where plotly is absent."""
    try:
        import plotly.graph_objects  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "The report draws with plotly, which is not installed. Install it with: pip install 'expose[report]'"
        ) from error


def empty_figure(x_title: str, y_title: str) -> Figure:
    """Return a figure with one plot and titled axes."""
    from plotly.graph_objects import Figure

    figure = Figure(layout={"template": "none"})
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return _styled(figure)


def stacked_figure(y_titles: Sequence[str]) -> Figure:
    """Return a figure with one plot above the other, which share the epochs as x axis."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(y_titles), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    figure.update_layout(template="none")
    for row, title in enumerate(y_titles, start=1):
        figure.update_yaxes(title_text=title, row=row, col=1)
    figure.update_xaxes(title_text="epoch", row=len(y_titles), col=1)
    return _styled(figure)


def panelled_figure(titles: Sequence[str], x_title: str, y_title: str) -> Figure:
    """Return a figure with one titled plot above the other, each with an x axis of its own."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(titles), cols=1, vertical_spacing=0.2, subplot_titles=titles)
    figure.update_layout(template="none")
    figure.update_annotations(font={"color": MUTED, "size": 13})
    figure.update_yaxes(title_text=y_title)
    figure.update_xaxes(title_text=x_title, row=len(titles), col=1)
    _styled(figure)
    # As many names as there may be take two lines on a phone, and must leave the first title alone.
    return figure.update_layout(margin={"t": 80}, legend={"yref": "container", "y": 1, "yanchor": "top"})


def _styled(figure: Figure) -> Figure:
    axis = {
        "gridcolor": GRID, "zeroline": False, "linecolor": GRID, "automargin": True, "fixedrange": True,
        "title_font": {"color": MUTED, "size": 13}, "tickfont_color": MUTED, "title_standoff": 10,
    }  # fmt: skip
    figure.update_xaxes(**axis, showgrid=False)
    figure.update_yaxes(**axis)
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", dragmode=False, hovermode="closest",
        font={"color": TEXT, "size": 13, "family": FONT},
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"bgcolor": CARD, "bordercolor": GRID, "font": {"color": TEXT}},
    )  # fmt: skip
    return figure
