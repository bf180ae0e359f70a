"""Where a suspect is unusual, as a coloured layer over its picture."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.explain.pictures import coloured, scale_of
from expose.model import Fitted
from expose.report.pictures import Picture, picture_of

SIDE = 64  # of a layer: maps are smooth, and the browser enlarges them
LEGEND = (64, 4)  # width and height

Floats = NDArray[np.float64]


class Layer(NamedTuple):
    """A heat map: the picture that lies over that of the sample, and where it is hottest, in words."""

    picture: Picture
    where: str


def why_no_maps(fitted: Fitted) -> str:
    """Say in one sentence why nobody knows where a sample is unusual; empty where it is known."""
    try:
        fitted.check_places()
    except InputError as error:
        said = str(error)
        return said[:1].upper() + said[1:]
    return "" if len(fitted.encoder.layout.places) > 1 else "The places of parts are not on a grid: there are no maps."


def layers_of(fitted: Fitted, samples: Any, parts: NDArray[np.float32]) -> list[Layer]:
    """Layers over the pictures of some samples, from what is encoded of them."""
    scores, places, scale = fitted.place_scores(parts), fitted.encoder.layout.places, scale_of(fitted)
    names = fitted.place_names
    maps = fitted.kind.put_back(samples, scores, places)
    return [
        Layer(picture_of(coloured(reduced(np.asarray(one)), scale)), names[int(each.argmax())])
        for one, each in zip(maps, scores, strict=True)
    ]


def reduced(scores: Floats) -> Floats:
    """Every so many values of a map ``(H, W)``, so that it is small.

    Examples
    --------
    >>> reduced(np.zeros((3000, 4000))).shape, reduced(np.zeros((8, 9))).shape
    ((48, 63), (8, 9))
    """
    step = -(-max(scores.shape) // SIDE)
    return scores[step // 2 :: step, step // 2 :: step] if min(scores.shape) > step else scores


def legend_of(fitted: Fitted) -> Picture:
    """The colours from what is usual to the strongest."""
    scale = scale_of(fitted)
    return picture_of(coloured(np.tile(np.linspace(scale.usual, scale.full, LEGEND[0]), (LEGEND[1], 1)), scale))
