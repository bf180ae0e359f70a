"""Auxiliary outliers: makers for those who have none, streams for those who have many, and a check for overlap.

Public names are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expose.outliers.gan import OutlierGAN
    from expose.outliers.images import IMAGE_MAKERS, channel_ghosts, invert, jigsaw, mean_of_two, pixelate, speckle
    from expose.outliers.noise import bernoulli_noise, blobs, gaussian_noise, uniform_noise
    from expose.outliers.overlap import Matches, Overlap, check_overlap, without_overlap
    from expose.outliers.stream import OutlierStream
    from expose.outliers.tables import TABLE_MAKERS, extrapolate_rows, shuffle_columns, uniform_box
    from expose.outliers.text import TEXT_MAKERS, draw_words, shuffle_words, splice_texts

_MODULES = {
    "gan": ("OutlierGAN",),
    "images": ("IMAGE_MAKERS", "channel_ghosts", "invert", "jigsaw", "mean_of_two", "pixelate", "speckle"),
    "noise": ("bernoulli_noise", "blobs", "gaussian_noise", "uniform_noise"),
    "overlap": ("Matches", "Overlap", "check_overlap", "without_overlap"),
    "stream": ("OutlierStream",),
    "tables": ("TABLE_MAKERS", "extrapolate_rows", "shuffle_columns", "uniform_box"),
    "text": ("TEXT_MAKERS", "draw_words", "shuffle_words", "splice_texts"),
}
_HOMES = {name: f"expose.outliers.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "IMAGE_MAKERS",
    "TABLE_MAKERS",
    "TEXT_MAKERS",
    "Matches",
    "OutlierGAN",
    "OutlierStream",
    "Overlap",
    "bernoulli_noise",
    "blobs",
    "channel_ghosts",
    "check_overlap",
    "draw_words",
    "extrapolate_rows",
    "gaussian_noise",
    "invert",
    "jigsaw",
    "mean_of_two",
    "pixelate",
    "shuffle_columns",
    "shuffle_words",
    "speckle",
    "splice_texts",
    "uniform_box",
    "uniform_noise",
    "without_overlap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'expose.outliers' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
