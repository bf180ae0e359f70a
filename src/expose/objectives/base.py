"""What an objective is: a network and two losses per row. It never knows which rows are anomalous.

A new objective is one file: subclass `Objective`, decorate it with ``@register("name")`` and import it in
``objectives/__init__.py``. Tests, the command line and the docs find it through `OBJECTIVES`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from expose.inputs import Layout

OBJECTIVES: dict[str, type[Objective]] = {}


class Losses(NamedTuple):
    """The two losses of every row of a batch, each ``(B,)`` (``(M, B)`` for M members) and finite."""

    normal: Tensor
    abnormal: Tensor


class Objective(nn.Module):
    """Base class of all objectives.

    ``__init__`` takes hyper-parameters only and stores each under its own name; `build` makes the layers once the
    number of features is known. `losses` must be finite for finite rows, also where its value ends up unused: a NaN
    in an ``abnormal`` loss that no row uses still poisons the gradient.

    Examples
    --------
    See ``docs/your-own-objective.md`` for one in 25 lines.
    """

    name: str = ""
    scalings: tuple[str, ...] | None = None  # how rows are scaled, side by side; None: as the estimator is told
    preferred_exposure: str = "soft"
    kinds: tuple[str, ...] = ("table",)  # of rows it can be trained on, see `expose.inputs.Layout`
    needs_anomalies: bool = False  # outliers, known anomalies or suspects: without any it learns to call all normal
    layout: Layout | None = None  # what its rows are, set before `build`; None: a table

    def __init__(self) -> None:
        super().__init__()

    def build(self, n_features: int) -> None:
        """Make the layers for rows of ``n_features`` values. Called once, under the member's own seed."""
        raise TypeError(f"{type(self).__name__} must define build(n_features), which makes its layers.")

    def prepare(self, rows: Tensor) -> None:
        """Set what depends on the data before training, from a sample of training rows ``(n, D)``; nothing by default.

        Keep it in buffers (``register_buffer`` in `build`): only parameters and buffers are saved, and each member
        has its own.
        """

    def losses(self, batch: Tensor) -> Losses:
        """Normal and abnormal loss of each row of ``batch`` ``(B, D)``, each ``(B,)``."""
        raise TypeError(f"{type(self).__name__} must define losses(batch), which returns Losses(normal, abnormal).")

    def score(self, batch: Tensor) -> Tensor:
        """Anomaly score ``(B,)``, higher = more anomalous. By default the normal loss (Qiu et al., 2022, sec. 3.3)."""
        return self.losses(batch).normal

    def apart(self, rows: Tensor) -> Tensor:
        """How far rows ``(n, D)`` lie apart, ``(n, n)``: over which labels spread and queries are made diverse."""
        return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")

    def diagnose(self, rows: Tensor) -> str | None:
        """Say in one sentence what went wrong in training, judged on training rows ``(n, D)``; None if nothing."""
        return None

    def forward(self, batch: Tensor, method: str = "losses", *more: Tensor) -> Any:
        """Call ``losses`` or ``score`` by name, so that torch can wrap or batch either."""
        return getattr(self, method)(batch, *more)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, as stored; what a model folder keeps of an objective."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}


class MemoryObjective(Objective):
    """Base class of objectives that remember rows instead of training weights.

    `remember` takes the place of `prepare`, and one `refit` that of all optimiser steps; neither uses a gradient. There
    is nothing to descend, so its losses are one number: the score, and its negative.
    """

    references: int  # most rows it can remember

    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Remember exactly these rows ``(R, D)``; ``present`` ``(R,)`` is 0 for known anomalies, else 1.

        Returns how far from all others each lies, ``(R,)``, higher = further: evidence for the contamination.
        """
        raise TypeError(f"{type(self).__name__} must define remember(rows, present).")

    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Take over the weights that the exposure gave the remembered rows, ``(R,)`` each."""
        raise TypeError(f"{type(self).__name__} must define refit(keep_normal, keep_abnormal).")


def nearest_rows(objective: Objective, rows: Tensor, count: int) -> Tensor:
    """Numbers of the ``count`` nearest other rows of each row, or of all others: ``(n, D) -> (n, count)``."""
    apart = objective.apart(rows).fill_diagonal_(torch.inf)
    return apart.topk(min(count, len(rows) - 1), dim=-1, largest=False).indices


def full_precision(batch: Tensor) -> torch.autocast:
    """A block in which autocast does not round products to bf16: similarities over a small temperature need more."""
    return torch.autocast(batch.device.type, enabled=False)


def register(name: str) -> Callable[[type[Objective]], type[Objective]]:
    """Make an objective known by ``name`` to the estimator, the command line, the tests and saved models."""

    def add(cls: type[Objective]) -> type[Objective]:
        cls.name = name
        OBJECTIVES[name] = cls
        return cls

    return add


def make_objective(objective: str | Objective) -> Objective:
    """Return a fresh, unbuilt objective from a registered name, or a copy of the instance given.

    Raises
    ------
    ValueError
        If the name is not registered.
    TypeError
        If it is neither a name nor an `Objective`.
    """
    if isinstance(objective, Objective):
        return copy.deepcopy(objective)
    if not isinstance(objective, str):
        raise TypeError(f"objective must be a name or an Objective instance; got {type(objective).__name__}.")
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {sorted(OBJECTIVES)} or an Objective instance; got {objective!r}.")
    return OBJECTIVES[objective]()
