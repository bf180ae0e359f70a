"""Optimisers and learning rates of the loop."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


def make_optimizer(model: nn.Module, name: str, rate: float, decay: float) -> torch.optim.Optimizer:
    """Adam, or "sgd": stochastic gradient descent with Nesterov's momentum of 0.9."""
    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True, fused=True)


def set_rate(optimizer: Any, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def cosine(gone: float, epochs: int) -> float:
    """Factor of the learning rate after so many epochs: from 1 along half a cosine to 0."""
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, gone / epochs))
