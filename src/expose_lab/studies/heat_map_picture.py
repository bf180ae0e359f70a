"""The picture of heat maps that the README and the guide for photos show: the first suspects of the demo's plates.

Fits the default to the photos of ``expose demo --images`` (under a minute), and draws the most anomalous with their
maps below. Needs the extra ``images``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from expose import AnomalyDetector
from expose.cli.plates import plates
from expose.explain import overlay, scale_of
from expose.explain.pictures import encoded
from expose_lab.studies.base import Drawing

ACROSS, GAP = 5, 6  # photos side by side, and pixels between them


def draw(results: Path, docs: Path) -> None:
    """Rank the plates, and put the first in a row, their maps below."""
    photos = np.stack([made.photo for made in plates()])
    detector = AnomalyDetector(random_state=0).fit(photos)
    first = photos[detector.ranking_["row"][:ACROSS].tolist()]
    scorer = detector.scorer()
    given = scorer.encoded(first)
    lines = scorer.fitted.place_lines(scorer.part_scores(given)).tolist()
    scale = scale_of(scorer.fitted)
    heat = zip(first, scorer.maps(given), lines, strict=True)
    maps = [overlay(photo, one, scale, line) for photo, one, line in heat]
    picture = np.concatenate([beside(list(first)), beside(maps)])[:-GAP, :-GAP]
    (docs / "images" / "heat-maps.jpg").write_bytes(encoded(picture, quality=85))


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures ``(H, W, 3)`` in a row, with white to the right of each and below."""
    return np.concatenate([np.pad(one, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for one in pictures], axis=1)


STUDY = Drawing("heat_map_picture", "the picture of heat maps, for the README and the guide", draw)
