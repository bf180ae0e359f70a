"""HOW: one file per method, each a network and two losses per row."""

from expose.objectives.autoencoder import Autoencoder
from expose.objectives.base import OBJECTIVES, Losses, Objective, make_objective, register
from expose.objectives.icl import ICL
from expose.objectives.ntl import NTL
from expose.objectives.svdd import SVDD

__all__ = [
    "ICL",
    "NTL",
    "OBJECTIVES",
    "SVDD",
    "Autoencoder",
    "Losses",
    "Objective",
    "make_objective",
    "register",
]
