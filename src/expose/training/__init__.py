"""The one loop: assign weights with the network fixed, step the network with the weights fixed."""

from expose.training.devices import make_fabric, torch_device
from expose.training.ensemble import Ensemble, build_members
from expose.training.loop import Loop, Settings, TrainingSet, mix, survey
from expose.training.plan import default_batch_size, default_epochs

__all__ = [
    "Ensemble",
    "Loop",
    "Settings",
    "TrainingSet",
    "build_members",
    "default_batch_size",
    "default_epochs",
    "make_fabric",
    "mix",
    "survey",
    "torch_device",
]
