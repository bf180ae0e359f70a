"""Where a line may be drawn through the ranking: if so many rows are anomalous, these are they."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.model import Fitted
from expose.report.typical import show_share

SHARES = (0.001, 0.01, 0.05, 0.1)


class Line(NamedTuple):
    """A line after the first ``rows`` of the ranking, the lowest of which has this ``score``.

    ``drawn`` is the line that the threshold draws. It has a place in the ranking where all above it come first, which
    they need not: training may have suspected others.
    """

    name: str
    rows: int
    score: float | None
    drawn: bool = False
    placed: bool = True


def lines_of(
    ranked: NDArray[np.float64], flagged: NDArray[np.bool_], assumed: dict[float, str] | None = None
) -> tuple[Line, ...]:
    """The lines at some shares of all rows, and the one that is drawn; the shortest list first.

    Parameters
    ----------
    ranked : (n,) array of float
        Scores in the order of the ranking.
    flagged : (n,) array of bool
        Which of these lie above the threshold.
    assumed : dict of float to str, optional
        Further shares, and what they are.

    Examples
    --------
    >>> for line in lines_of(np.arange(200.0)[::-1], np.arange(200) < 3, {0.02: "the estimate"}):
    ...     print(line.rows, line.name, line.score)
    2 1 % 198.0
    3 above the threshold 197.0
    4 2 %, the estimate 196.0
    10 5 % 190.0
    20 10 % 180.0
    """
    n, assumed = len(ranked), assumed or {}
    counts = {share: round(share * n) for share in sorted({*SHARES, *assumed})}
    lines = [
        Line(", ".join(filter(None, [show_share(share), assumed.get(share)])), rows, float(ranked[:rows].min()))
        for share, rows in counts.items()
        if rows
    ]
    k = int(flagged.sum())
    lowest = float(ranked[flagged].min()) if k else None
    drawn = Line("above the threshold", k, lowest, drawn=True, placed=bool(flagged[:k].all()))
    return tuple(sorted([drawn, *lines], key=lambda line: line.rows))


def assumed_shares(fitted: Fitted) -> dict[float, str]:
    """The share of anomalies that training assumed, and the ends of its interval."""
    (low, high), value = fitted.contamination_interval, fitted.contamination
    if low == high:
        assumed = fitted.estimate.method.startswith("assumed")
        return {value: "as assumed" if assumed else "as given"} if value else {}
    ends = {low: "the low end of the estimate", high: "the high end of the estimate"}
    return {share: name for share, name in (ends | {value: "the estimate"}).items() if share}


def marks_of(lines: Sequence[Line]) -> dict[int, str]:
    """What to write below a place of the ranking, by place."""
    found: dict[int, list[str]] = {}
    for line in lines:
        if line.placed and line.rows:
            found.setdefault(line.rows, []).append("the threshold" if line.drawn else line.name)
    return {rows: " · ".join(names) for rows, names in found.items()}
