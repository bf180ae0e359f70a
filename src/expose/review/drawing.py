"""The stretch of a series around a sample, as lines of a drawing: nothing but numbers reaches the page."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.kinds.base import Curve
from expose.report.curves import broken, thinned, when
from expose.review.standing import Standing

CHANNELS: Final = 3  # drawn, those that carry the score
AROUND: Final = 150  # steps on either side of what is looked at
WIDTH, HEIGHT = 600, 90  # of a panel, in units of the drawing

Floats = NDArray[np.float64]


class Panel(NamedTuple):
    """One line: its name, lowest and highest value, the path, and the height of the threshold where it has one."""

    name: str
    lowest: float
    highest: float
    path: str
    line: float | None


class Stretch(NamedTuple):
    """Panels over one time: what it is called, first and last time, and where in the drawing the event lies."""

    title: str
    first: str
    last: str
    event: tuple[float, float]
    panels: list[Panel]


def stretches_of(standing: Standing, row: int) -> list[Stretch]:
    """The series around a row, close by and whole; none where samples do not follow each other."""
    curve = standing.fitted.kind.curve(standing.material.shown.samples, row)
    if curve is None or len(curve.rows) < 2:
        return []
    place = np.full(len(standing.scores), -1)
    place[curve.rows] = np.arange(len(curve.rows))
    event = place[standing.meant(row)]
    first, last = int(event[event >= 0].min()), int(event.max())
    names = telling(standing, curve, row)
    near = slice(max(0, first - AROUND), last + 1 + AROUND)
    close = stretch(standing, curve, names, near, (first, last), "Around it")
    whole = stretch(standing, curve, names, slice(0, len(curve.rows)), (first, last), "The whole series")
    return [close] if near.start == 0 and near.stop >= len(curve.rows) else [close, whole]


def telling(standing: Standing, curve: Curve, row: int) -> list[str]:
    """The channels that carry the score of a row; the first few where nothing tells."""
    reasons = [one.name for one in standing.look(row).reasons if one.name in curve.names]
    return (reasons or list(curve.names))[:CHANNELS]


def stretch(
    standing: Standing, curve: Curve, names: list[str], part: slice, event: tuple[int, int], title: str
) -> Stretch:
    """One part of a series as panels: channels, then the score."""
    cut = Curve(curve.name, curve.rows[part], curve.at[part], curve.names, curve.values[part])
    scores = standing.scores[cut.rows]
    panels = [panel(name, cut, cut.values[:, cut.names.index(name)]) for name in names]
    panels.append(panel("score", cut, scores, standing.threshold))
    at = positions(cut.at, cut.at[[event[0] - part.start, event[1] - part.start]])
    title = f"{title} of {curve.name}" if curve.name and part.start == 0 and title.startswith("The") else title
    return Stretch(title, at_place(cut, 0), at_place(cut, -1), (float(at[0]), float(at[1])), panels)


def at_place(curve: Curve, place: int) -> str:
    """The time of a step; the number of one whose time is a number."""
    return when(curve, place).removesuffix(".0")


def positions(times: NDArray[Any], some: NDArray[Any]) -> Floats:
    """Where times lie across the drawing."""
    span = (
        (times[-1] - times[0]).astype(np.float64) if hasattr(times[-1] - times[0], "astype") else times[-1] - times[0]
    )
    return np.asarray((some - times[0]).astype(np.float64) / max(float(span), 1e-12) * WIDTH)


def panel(name: str, curve: Curve, values: Floats, line: float | None = None) -> Panel:
    """Values over time as a path; gaps stay gaps."""
    at, shown = broken(curve, values, thinned(values, np.arange(0)))
    finite = shown[np.isfinite(shown)]
    if not len(finite):
        return Panel(name, 0.0, 0.0, "", None)
    lowest, highest = float(finite.min()), float(finite.max())
    if line is not None and np.isfinite(line):
        lowest, highest = min(lowest, line), max(highest, line)
    scale = (HEIGHT - 4) / (highest - lowest) if highest > lowest else 0.0
    across, up = positions(curve.at, at), HEIGHT - 2 - (shown - lowest) * scale
    pieces, pen = [], "M"
    for x, y in zip(across.tolist(), up.tolist(), strict=True):
        if np.isfinite(y):
            pieces.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    drawn = None if line is None or not np.isfinite(line) else HEIGHT - 2 - (line - lowest) * scale
    return Panel(name, lowest, highest, " ".join(pieces), drawn)
