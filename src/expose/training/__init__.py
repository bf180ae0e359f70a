"""``train(plan, data)``: assign weights with the network fixed, fit the network with the weights fixed."""

from expose.training.compute import torch_device, torch_seed
from expose.training.ensemble import Ensemble, build_members, built, loaded_members
from expose.training.order import OutlierSource, Stream, generator_of, mix
from expose.training.plan import Plan, Trained, TrainingSet, default_batch_size, default_epochs
from expose.training.remember import choose_places, reference_points, remembered_evidence
from expose.training.tiles import member_outputs, ready_to_score
from expose.training.train import survey, train, train_together

__all__ = [
    "Ensemble",
    "OutlierSource",
    "Plan",
    "Stream",
    "Trained",
    "TrainingSet",
    "build_members",
    "built",
    "choose_places",
    "default_batch_size",
    "default_epochs",
    "generator_of",
    "loaded_members",
    "member_outputs",
    "mix",
    "ready_to_score",
    "reference_points",
    "remembered_evidence",
    "survey",
    "torch_device",
    "torch_seed",
    "train",
    "train_together",
]
