"""Which rows are the suspects: the top share of a suspicion score, and over which rows that share is taken.

The paper imposes the share inside every mini-batch (``"batch"``). With small batches that is coarse, so two wider
scopes stand beside it: ``"running"``, over the last batches, and ``"dataset"``, for which the loop ranks all training
rows as one batch at the start of every epoch. All honour three promises: a share of 0 gives no suspects, rows with a
known label are never suspects, and counts are unbiased over batches, or rounded where all rows are ranked at once.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Ranking(Protocol):
    """Picks suspects of a batch. ``suspicion``, result and ``known`` are ``(M, B)``."""

    def suspects(self, suspicion: Tensor, known: Tensor | None) -> Tensor:
        """Boolean mask of the suspects among the unlabelled rows."""
        ...


class BatchRanking:
    """The top share of each batch, the paper's scope.

    Parameters
    ----------
    share : float, or Tensor of shape (M,)
        Share of suspects among unlabelled rows, in [0, 0.5), perhaps each member's own.
    generator : torch.Generator or None
        CPU generator for the rounding of the suspects that are due in a batch, up or down at random. None rounds to the
        nearest number: where all rows are ranked at once there is no other batch to make up for it.
    """

    def __init__(self, share: float | Tensor, generator: torch.Generator | None = None) -> None:
        self.share = share
        self.generator = generator

    def suspects(self, suspicion: Tensor, known: Tensor | None) -> Tensor:
        """Take the exact number of highest suspicions in each row of ``(M, B)``."""
        if known is None:
            unlabelled = torch.full(suspicion.shape[:-1], suspicion.shape[-1])
        else:
            unlabelled = (known < 0).sum(-1).cpu()
            suspicion = suspicion.masked_fill(known >= 0, -torch.inf)
        return top(suspicion, suspect_counts(unlabelled.double() * self.share, self.generator))


class RunningRanking:
    """Above the running quantile of the suspicions of the last batches: one small batch may hold none or several.

    Parameters
    ----------
    share, generator
        As for `BatchRanking`, which also serves the first batch.
    window : int, default=64
        Number of batches remembered.
    """

    def __init__(self, share: float, generator: torch.Generator, window: int = 64) -> None:
        self.share = share
        self.first = BatchRanking(share, generator)
        self.window = window
        self.seen: list[Tensor] = []  # (M, B) each, NaN where a label is known

    def suspects(self, suspicion: Tensor, known: Tensor | None) -> Tensor:
        """Compare each row with the running quantile, this batch included."""
        unlabelled = suspicion if known is None else suspicion.masked_fill(known >= 0, torch.nan)
        self.seen = [*self.seen[-self.window + 1 :], unlabelled]
        if self.share == 0 or len(self.seen) == 1:
            return self.first.suspects(suspicion, known)
        threshold = torch.cat(self.seen, dim=-1).nanquantile(1 - self.share, dim=-1, keepdim=True)  # (M, 1)
        return unlabelled > threshold  # NaN > x is False


RANKINGS = ("batch", "running", "dataset")


def suspect_counts(due: Tensor, generator: torch.Generator | None) -> Tensor:
    """Whole numbers of suspects ``(M,)`` from the due ones: with a generator right in the mean, else the nearest.

    Examples
    --------
    >>> suspect_counts(torch.tensor([12.8, 0.0]), None)
    tensor([13,  0])
    """
    if generator is None:
        return due.round().long()
    return torch.floor(due + torch.rand(due.shape, generator=generator)).long()


def top(suspicion: Tensor, counts: Tensor) -> Tensor:
    """Mask of the ``counts[m]`` largest entries of each ``suspicion[m]``; ties are broken, never doubled."""
    most = int(counts.max())
    mask = torch.zeros_like(suspicion, dtype=torch.bool)
    if most == 0:
        return mask
    order = suspicion.topk(most, dim=-1).indices  # (M, most)
    within = torch.arange(most) < counts[..., None]  # (M, most)
    return mask.scatter_(-1, order, within.to(mask.device).expand_as(order))
