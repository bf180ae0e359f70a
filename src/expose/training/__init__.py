"""The one loop: assign weights with the network fixed, step the network with the weights fixed."""

from expose.training.alternate import alternate, choose, choose_places
from expose.training.devices import PRECISIONS, make_fabric, parse_device, torch_device
from expose.training.ensemble import Ensemble, blank_members, build_members, torch_seed
from expose.training.loop import NO_CLASS, Loop, Settings, TrainingSet, survey
from expose.training.order import OutlierSource, mix
from expose.training.plan import default_batch_size, default_epochs

__all__ = [
    "NO_CLASS",
    "PRECISIONS",
    "Ensemble",
    "Loop",
    "OutlierSource",
    "Settings",
    "TrainingSet",
    "alternate",
    "blank_members",
    "build_members",
    "choose",
    "choose_places",
    "default_batch_size",
    "default_epochs",
    "make_fabric",
    "mix",
    "parse_device",
    "survey",
    "torch_device",
    "torch_seed",
]
