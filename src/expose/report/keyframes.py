"""The highest spans of a video as strips of key frames, with boxes around what makes them odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.kinds.heat_maps import Lazily
from expose.report.findings import Findings
from expose.report.pictures import Picture, pictures_of
from expose.report.typical import show_number, show_text
from expose.scoring import Scorer
from expose.scoring.scorer import Box

SPANS, FRAMES = 8, 6  # shown at most, and of each
SIDE = 224  # pixels of a frame
COLOUR = (240, 60, 40)

Pixels = NDArray[np.uint8]


class Strip(NamedTuple):
    """A span in words, the score of its peak, key frames in their order with their names, and which is the peak."""

    said: str
    score: str
    frames: list[tuple[str, Picture]]
    peak: int


def strips_of(findings: Findings, room: float) -> list[Strip]:
    """The highest spans, their pictures in no more than ``room`` signs of text; none where nothing is to be seen."""
    kind, samples = findings.fitted.kind, findings.shown.samples
    if not findings.pictured or not findings.flagged.any():
        return []
    spans = (kind.spans([samples], findings.scores, findings.flagged) or [])[:SPANS]
    if not spans:
        return []
    several = [rows_in(findings, span) for span in spans]
    every = [row for rows in several for row in rows]
    pictures = iter(pictures_of(framed(findings, every), room, SIDE))
    strips = []
    for span, rows in zip(spans, several, strict=True):
        frames = [(findings.name(row), next(pictures)) for row in rows]
        said, score = words_of(span, findings.nouns), show_number(span["peak_score"])
        strips.append(Strip(said, score, frames, rows.index(span["peak_row"])))
    return strips


def rows_in(findings: Findings, span: dict[str, Any]) -> list[int]:
    """Some samples of a span, evenly spaced in their order, its peak among them."""
    peak = span["peak_row"]
    found = findings.fitted.kind.events([findings.shown.samples], findings.scores, findings.threshold) or []
    inside = next((rows for rows in found if peak in rows), np.array([peak]))
    some = inside[np.unique(np.linspace(0, len(inside) - 1, min(FRAMES, len(inside))).round().astype(int))]
    some[np.abs(some - peak).argmin()] = peak  # the nearest one gives way
    rows: list[int] = some.tolist()
    return rows


def words_of(span: dict[str, Any], nouns: str) -> str:
    """What is known of a span, for people.

    >>> span = {"clip": "hall", "start": "7", "end": "9", "from": "0:01.75", "to": "0:02.25", "frames": 3, "peak": "8"}
    >>> words_of(span, "frames")
    'hall: 7 to 9 (0:01.75 to 0:02.25), 3 frames, highest at 8'
    """
    shown = {name: show_text(str(value), 60) for name, value in span.items()}
    of = next((f"{shown[name]}: " for name in ("clip", "entity") if name in span), "")
    timed = f" ({shown['from']} to {shown['to']})" if "from" in span else ""
    return f"{of}{shown['start']} to {shown['end']}{timed}, {shown[nouns]} {nouns}, highest at {shown['peak']}"


def framed(findings: Findings, rows: Sequence[int]) -> Sequence[Pixels]:
    """Pictures of some samples with their boxes."""
    chosen = np.array(rows)
    scorer = Scorer(findings.fitted)
    boxes: list[list[Box]] = [[] for _ in rows]
    if findings.layers:
        boxes = scorer.boxes(findings.shown.samples.take(chosen))
    heights = findings.shown.samples.shapes[chosen, 0].tolist()

    def at(place: int) -> Pixels:
        picture = findings.picture(rows[place], SIDE)
        shrink = len(picture) / heights[place]
        return outlined(picture, [smaller(box, shrink) for box in boxes[place]])

    return Lazily(len(rows), at)


def smaller(box: Box, shrink: float) -> Box:
    """A box in a picture that was made smaller.

    >>> smaller((10, 20, 30, 41), 0.5)
    (5, 10, 15, 20)
    """
    left, top, right, bottom = (round(edge * shrink) for edge in box)
    return left, top, right, bottom


def outlined(picture: Pixels, boxes: Sequence[Box]) -> Pixels:
    """A picture ``(H, W, 3)`` with the edges of boxes in colour.

    >>> outlined(np.zeros((4, 4, 3), dtype=np.uint8), [(1, 1, 4, 4)])[..., 0].tolist()
    [[0, 0, 0, 0], [0, 240, 240, 240], [0, 240, 0, 240], [0, 240, 240, 240]]
    """
    drawn = picture.copy()
    height, width = picture.shape[:2]
    for left, top, right, bottom in boxes:
        last, lowest = min(max(right - 1, left), width - 1), min(max(bottom - 1, top), height - 1)
        for row in (min(top, height - 1), lowest):
            drawn[row, left : last + 1] = COLOUR
        for column in (min(left, width - 1), last):
            drawn[top : lowest + 1, column] = COLOUR
    return drawn
