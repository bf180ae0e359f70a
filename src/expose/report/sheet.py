"""All pictures at a glance: a contact sheet in the order of the ranking, and a map of the same pictures.

Both show one image, a sprite of thumbnails, of which every place of the page sees its own cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.report.findings import Findings
from expose.report.pictures import Picture, Pixels, picture_of, pillow_image
from expose.report.plane import project
from expose.report.typical import show_number

MOST = 400  # thumbnails
CELL = 64  # pixels, high and wide on average
SHRUNK = 0.8  # each time that there is not room enough
EDGE = 0.02  # share of the pictures that lies at each edge of the map, however far out
THUMB = 0.045  # of a picture on the map, in widths of it
HEIGHT = 0.62  # of the map, in widths
MARGIN = 0.05  # beside the crowd on the map

Points = NDArray[np.float64]


class Thumb(NamedTuple):
    """One picture: its cell of the sprite, what it is called, and where it lies on the map, in percent.

    ``dot`` says that there is no room for it on the map where it lies.
    """

    cell: tuple[float, float]
    title: str
    flagged: bool
    at: tuple[float, float]
    dot: bool


class Sheet(NamedTuple):
    """Thumbnails in the order of the ranking, the sprite, and the part of the variation that the map shows each way.

    Attributes
    ----------
    thumbs : list of Thumb
    sprite : Picture
    columns, rows : int
        Cells of the sprite.
    aspect : float
        Width of a cell by its height.
    shares : two floats
    """

    thumbs: list[Thumb]
    sprite: Picture
    columns: int
    rows: int
    aspect: float
    shares: tuple[float, float]


def sheet_of(findings: Findings, room: float) -> Sheet | None:
    """The sheet, its sprite in no more than ``room`` signs of text; None where samples cannot be seen."""
    if not findings.pictured:
        return None
    ranks = findings.ranks
    places = evenly(np.argsort(ranks[findings.sample]), MOST)
    rows = findings.sample[places]
    columns = math.ceil(math.sqrt(len(rows)))
    sprite, aspect = sprite_of([findings.picture(row, CELL * 2) for row in rows.tolist()], columns, room)
    points, shares = project(findings.vectors)
    size = THUMB, THUMB / aspect / HEIGHT
    at = within(points, size)[places]
    seen = roomy(at, size)
    thumbs = [
        Thumb(
            cell(number, columns, len(rows)),
            title(findings, int(ranks[row]), row),
            bool(findings.flagged[row]),
            (round(100 * left, 2), round(100 * top, 2)),
            not seen[number],
        )
        for number, (row, (left, top)) in enumerate(zip(rows.tolist(), at.tolist(), strict=True))
    ]
    return Sheet(thumbs, sprite, columns, -(-len(rows) // columns), aspect, shares)


def evenly(ordered: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """As many of some places, evenly spaced.

    Examples
    --------
    >>> evenly(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if len(ordered) <= most:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, most).round().astype(np.intp)]


def title(findings: Findings, rank: int, row: int) -> str:
    """What is said of a picture that is pointed at."""
    return f"{rank:,}. {findings.name(row)}, score {show_number(float(findings.scores[row]))}"


def cell(number: int, columns: int, n: int) -> tuple[float, float]:
    """Where a cell of the sprite lies, as positions of a background: 0 is its first column or row, 100 its last."""
    lines = -(-n // columns)
    row, column = divmod(number, columns)
    return round(100 * column / max(columns - 1, 1), 3), round(100 * row / max(lines - 1, 1), 3)


def sprite_of(pixels: Sequence[Pixels], columns: int, room: float) -> tuple[Picture, float]:
    """One picture of many, each whole within a cell of its own; and how many times as wide as high a cell is."""
    aspect = float(np.clip(np.median([one.shape[1] / one.shape[0] for one in pixels]), 0.5, 2.0))
    longest = max(max(one.shape[:2]) for one in pixels)
    side = min(CELL, longest / math.sqrt(max(aspect, 1 / aspect)))  # none is made larger than it is
    while True:
        width, height = (max(1, round(side * factor)) for factor in (math.sqrt(aspect), 1 / math.sqrt(aspect)))
        sprite = picture_of(tiled(pixels, columns, width, height))
        if len(sprite.address) <= room or side < 4:
            return sprite, width / height
        side *= SHRUNK


def tiled(pixels: Sequence[Pixels], columns: int, width: int, height: int) -> Pixels:
    """Pictures row by row, each within ``width`` and ``height`` and clear around, with alpha."""
    lines = -(-len(pixels) // columns)
    sheet = np.zeros((lines * height, columns * width, 4), dtype=np.uint8)
    for number, one in enumerate(pixels):
        small = np.asarray(pillow_image(one, (width, height)))
        row, column = divmod(number, columns)
        top = row * height + (height - small.shape[0]) // 2
        left = column * width + (width - small.shape[1]) // 2
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = np.dstack(
            [small, np.full(small.shape[:2], 255, dtype=np.uint8)]
        )
    return sheet


def within(points: Points, size: tuple[float, float]) -> Points:
    """Points as shares of the map's width and height, with room for a thumbnail; those far out stand at its edge."""
    room = np.array(size)
    low, high = np.quantile(points, [EDGE, 1 - EDGE], axis=0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    shares: Points = np.clip((points - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return np.where(high > low, room / 2 + (1 - room) * shares, 0.5)


def roomy(at: Points, size: tuple[float, float]) -> NDArray[np.bool_]:
    """Which pictures may be shown whole at their points ``(n, 2)``, the first first, without lying on one another."""
    seen = np.zeros(len(at), dtype=bool)
    for number, point in enumerate(at):
        seen[number] = not (np.abs(at[seen] - point) < size).all(axis=1).any()
    return seen
