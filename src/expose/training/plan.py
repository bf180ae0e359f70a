"""All that is settled before a training: a plan and the data in, what was trained out. Nothing else goes either way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.objectives import Descend, Objective
from expose.training.ensemble import Ensemble
from expose.training.order import OutlierSource

STEPS = 3_000
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
SMALLEST_BATCH, LARGEST_BATCH = 128, 1024
BATCHES_PER_EPOCH = 200
WARM_SHORTER = 3  # how many times fewer epochs are made from where an earlier fit ended
RATES = {"adam": 1e-3, "sgd": 0.1}


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    objective : Objective
        Unbuilt. Its recipe says how it is trained.
    layout : Layout
        What the parts are.
    exposure : str
        The rule by which unlabelled parts are weighted.
    contamination : float
        Assumed share of anomalies among the unlabelled parts, in [0, 0.5).
    seeds : tuple of int
        One per member.
    device : torch.device
    checkpoint : Path or None
        File for the state of a running training.
    fingerprint : str
        Of all that determines the training: a checkpoint serves its own run only.
    verbose : int
    start : mapping of str to Tensor, or None
        Weights of the members to go on from.
    """

    objective: Objective
    layout: Layout
    exposure: str
    contamination: float
    seeds: tuple[int, ...]
    device: torch.device
    checkpoint: Path | None = None
    fingerprint: str = ""
    verbose: int = 0
    start: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class TrainingSet:
    """Parts ``(N, D)`` or ``(M, N, D)``, one set per member; known ``(N,)``; outliers ``(R, D)``; targets ``(N,)``.

    Outliers may be a stream instead of a tensor; targets are the numbers of the classes, for a classifier. ``typical``
    are numbers of parts, none a known anomaly, on which members prepare and diagnose themselves. ``certain``: the label
    of an anomaly is that of its part; of a sample of several parts one alone may be anomalous.
    """

    rows: Tensor
    known: Tensor | None = None
    outliers: Tensor | OutlierSource | None = None
    targets: Tensor | None = None
    typical: Tensor | None = None
    certain: bool = True

    @property
    def sample(self) -> Tensor:
        """Parts ``(n, D)``, or ``(M, n, D)``, on which members prepare themselves."""
        return self.rows if self.typical is None else self.rows[..., self.typical, :]

    @property
    def n_rows(self) -> int:
        """How many parts there are to train on."""
        return self.rows.shape[-2]

    @property
    def n_blocks(self) -> int:
        """Of how many blocks, each the parts of an epoch of its own, a pass over all parts is made."""
        return 1

    def block(self, number: int) -> TrainingSet:
        """The parts of an epoch."""
        return self

    def to(self, device: torch.device) -> TrainingSet:
        """The same set on another device; a stream stays where it is."""

        def there(tensor: Any) -> Any:
            return tensor.to(device) if isinstance(tensor, Tensor) else tensor

        return replace(self, **{name: there(value) for name, value in vars(self).items()})

    def batch(self, index: Tensor) -> Tensor:
        """Parts by number: ``(M, B) -> (M, B, D)``."""
        if self.rows.ndim == 2:
            return self.rows[index]
        return self.rows[torch.arange(len(index), device=index.device)[:, None], index]


@dataclass(frozen=True)
class Trained:
    """What came of a training: the members, one record per epoch, and whether it was interrupted."""

    ensemble: Ensemble
    history: list[dict[str, Any]]
    interrupted: bool = False


@dataclass(frozen=True)
class Settled(Descend):
    """A recipe of which nothing is left open."""

    epochs: int = 1
    batch_size: int = 1
    learning_rate: float = 1e-3

    def in_blocks(self, count: int) -> Settled:
        """The recipe for epochs that walk through a block each, of so many that a pass is made of."""
        passes = ("epochs", "warmup", "halve_every", "patience")
        return replace(self, **{name: getattr(self, name) and getattr(self, name) * count for name in passes})


def settled(recipe: Descend, n_rows: int, *, warm: bool) -> Settled:
    """The recipe with its defaults settled for so many training parts; ``warm``: weights to go on from exist."""
    batch_size = recipe.batch_size or default_batch_size(n_rows)
    usual = default_epochs(n_rows, batch_size)
    epochs = recipe.epochs or (-(-usual // WARM_SHORTER) if warm else usual)
    found: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": RATES[recipe.optimizer] if recipe.learning_rate is None else recipe.learning_rate,
        # an exposure that never begins would be no exposure
        "warmup": 0 if warm else min(recipe.warmup, epochs - 1),
    }
    return Settled(**(vars(recipe) | found))


def default_batch_size(n_rows: int) -> int:
    """A power of two from 128 to 1,024 that makes about 200 batches of large tables.

    >>> default_batch_size(2_000), default_batch_size(1_000_000)
    (128, 1024)
    """
    power = 1 << int(math.log2(max(1, n_rows / BATCHES_PER_EPOCH)))
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, power))


def default_epochs(n_rows: int, batch_size: int) -> int:
    """As many passes as make about 3,000 steps, from 5 to 200.

    >>> default_epochs(2_000, 128), default_epochs(1_000_000, 1024)
    (188, 5)
    """
    steps_per_epoch = -(-n_rows // batch_size)
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(STEPS / steps_per_epoch)))
