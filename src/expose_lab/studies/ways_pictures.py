"""The ways in which MHRot shows an image: some of the 36, for the guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits

from expose.objectives.mhrot import CHOICES, view
from expose_lab.figures.canvas import new_figure, svg
from expose_lab.pages import save
from expose_lab.studies.base import Drawing


@svg
def picture() -> Any:
    """A digit turned by each quarter, below each other, in three of its nine places, beside each other."""
    image = torch.from_numpy(load_digits().images[3] / 16)[None, None]
    shown = [(turn, place, place) for turn in range(CHOICES[0]) for place in range(CHOICES[1])]
    figure = new_figure(3.6, 4.8)
    for axis, (turn, down, right) in zip(figure.subplots(CHOICES[0], CHOICES[1]).flat, shown, strict=True):
        way = (turn * CHOICES[1] + down) * CHOICES[2] + right
        axis.imshow(view(image, way)[0, 0], cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axis.set_title(f"turned {turn}, moved {down - 1}, {right - 1}", fontsize=7)
    return figure


def draw(results: Path, docs: Path) -> None:
    """The picture of the page of ``mhrot``."""
    save(docs / "images" / "objective-mhrot.svg", picture())


STUDY = Drawing("ways_pictures", "the ways in which MHRot shows an image, for the guide", draw)
