"""HOW: one file per method, each a network and two losses per row."""

from expose.objectives.autoencoder import Autoencoder
from expose.objectives.base import (
    OBJECTIVES,
    Losses,
    MemoryObjective,
    Objective,
    allowed_settings,
    make_objective,
    nearest_rows,
    register,
    with_changes,
)
from expose.objectives.bce import BCE
from expose.objectives.deep_sad import DeepSAD
from expose.objectives.flow import Flow
from expose.objectives.gaussian import Gaussian
from expose.objectives.hsc import HSC
from expose.objectives.icl import ICL
from expose.objectives.language import Language
from expose.objectives.local_global import LocalGlobal
from expose.objectives.margin import MarginRanking
from expose.objectives.mhrot import MHRot
from expose.objectives.neighbours import Neighbours
from expose.objectives.ntl import NTL
from expose.objectives.patch_memory import PatchMemory
from expose.objectives.pixelcnn import PixelCNN
from expose.objectives.recipes import Descend, Recipe, Remember
from expose.objectives.svdd import SVDD

__all__ = [
    "BCE",
    "HSC",
    "ICL",
    "NTL",
    "OBJECTIVES",
    "SVDD",
    "Autoencoder",
    "DeepSAD",
    "Descend",
    "Flow",
    "Gaussian",
    "Language",
    "LocalGlobal",
    "Losses",
    "MHRot",
    "MarginRanking",
    "MemoryObjective",
    "Neighbours",
    "Objective",
    "PatchMemory",
    "PixelCNN",
    "Recipe",
    "Remember",
    "allowed_settings",
    "make_objective",
    "nearest_rows",
    "register",
    "with_changes",
]
