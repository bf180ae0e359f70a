"""Checkpoints of a running training, so that a killed run goes on where it was."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expose.errors import CheckpointWarning
from expose.persistence import load_checkpoint, save_checkpoint
from expose.training.ensemble import Ensemble


@dataclass
class State:
    """What changes while training, beside the weights."""

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    suspects: Tensor | None = None  # (M, N) boolean, of the last epoch
    best: list[float] = field(default_factory=list)  # lowest epoch loss of each member since the warm-up
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # the members' weights at that epoch's end
    stale: int = 0  # epochs in which no member's loss fell by a thousandth


def store(path: Path, fingerprint: str, ensemble: Ensemble, optimizer: Any, state: State) -> None:
    """Write everything the loop needs to go on, whole or not at all."""
    tensors = {f"model/{name}": value for name, value in ensemble.state_dict().items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in entry.items()}
    tensors |= {f"best/{name}": value for name, value in state.best_weights.items()}
    if state.suspects is not None:
        tensors["suspects"] = state.suspects.to(torch.uint8)
    meta = {
        "fingerprint": fingerprint,
        "epoch": state.epoch,
        "history": state.history,
        "best": state.best,
        "stale": state.stale,
    }
    save_checkpoint(path, meta, {name: value.detach().cpu().numpy() for name, value in tensors.items()})


def restore(path: Path | None, fingerprint: str, ensemble: Ensemble, optimizer: Any, state: State) -> State:
    """Load a checkpoint of the same data and parameters into model and optimiser; else return ``state`` as it is."""
    found = load_checkpoint(path) if path else None
    if found is None:
        return state
    if found[0]["fingerprint"] != fingerprint:
        warnings.warn(
            f"{path} is the checkpoint of a training with other data or parameters (or random_state=None), so this "
            "training starts anew. Give it another file to keep the old one.",
            CheckpointWarning,
            stacklevel=4,
        )
        return state
    meta, arrays = found
    device = next(ensemble.parameters()).device
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    ensemble.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    slots: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            slots.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    state.epoch, state.history = meta["epoch"], meta["history"]
    state.best, state.stale = meta["best"], meta["stale"]
    state.best_weights = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
    state.suspects = tensors["suspects"].bool() if "suspects" in tensors else None
    return state
