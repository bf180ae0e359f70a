"""The first of the ranking as pictures, with heat maps over them and ordinary ones to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from expose.report.findings import Findings
from expose.report.heat import Layer, legend_of
from expose.report.pictures import SIDES, Picture, pictures_of
from expose.report.survey import Rows
from expose.report.suspects import Suspect

SMALLER = 160  # side of ordinary pictures
OF_SUSPECTS, OF_OTHERS = 0.66, 0.24  # shares of the room for pictures; the rest is for heat


class Card(NamedTuple):
    """A suspect as a picture, a layer of heat where there are maps, and the ordinary sample that is most like it."""

    suspect: Suspect
    picture: Picture
    heat: Layer | None
    twin: Picture | None
    twin_name: str


class Ordinary(NamedTuple):
    """An ordinary sample as a picture."""

    name: str
    picture: Picture
    heat: Layer | None


class Gallery(NamedTuple):
    """Cards, ordinary pictures, the colours of heat from little to much, and why there is none."""

    cards: list[Card]
    ordinary: list[Ordinary]
    legend: Picture | None
    no_maps: str


def gallery_of(findings: Findings, room: float) -> Gallery | None:
    """The gallery, in no more than ``room`` signs of text; None where samples cannot be seen."""
    if not findings.pictured:
        return None
    suspects, examples, twins = findings.suspects, findings.examples.tolist(), twins_of(findings).tolist()
    pictures = shown(findings, [suspect.row for suspect in suspects], OF_SUSPECTS * room)
    smaller = shown(findings, [*examples, *twins], OF_OTHERS * room, SMALLER)
    heat: Sequence[Layer | None] = findings.layers or [None] * (len(suspects) + len(examples))
    beside: Sequence[Picture | None] = smaller[len(examples) :] or [None] * len(suspects)
    names = list(map(findings.name, twins)) or [""] * len(suspects)
    return Gallery(
        [Card(*one) for one in zip(suspects, pictures, heat[: len(suspects)], beside, names, strict=True)],
        [Ordinary(*one) for one in zip(map(findings.name, examples), smaller, heat[len(suspects) :], strict=False)],
        legend_of(findings.fitted) if findings.layers else None,
        findings.no_maps,
    )


def shown(findings: Findings, rows: Sequence[int], room: float, most: int = SIDES[0]) -> list[Picture]:
    """Pictures of some samples."""
    return pictures_of([findings.picture(row, most) for row in rows], room, most)


def twins_of(findings: Findings) -> Rows:
    """The typical sample most like each suspect, by their vectors; none where there is no other."""
    vectors, first = findings.vectors, len(findings.suspects)
    others = np.flatnonzero(np.isin(findings.sample, np.setdiff1d(findings.typical, findings.sample[:first])))
    if not len(others):
        return others
    differences = -2 * vectors[:first] @ vectors[others].T + (vectors[others] ** 2).sum(axis=1)
    nearest: Rows = findings.sample[others[differences.argmin(axis=1)]]
    return nearest
