"""The four exposure rules of Qiu et al., "Latent Outlier Exposure", ICML 2022.

All share one signature: from the losses of a batch, the known labels and a `Ranking` that picks the suspects, they
give each row its two weights in ``L = sum (1 - y) normal + y abnormal``. They never see the rows themselves.

Shapes: B rows, with M members ``(M, B)`` throughout.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from expose.exposure.ranking import Ranking

NORMAL, ANOMALY, UNLABELLED = 0, 1, -1


class Weights(NamedTuple):
    """How much each row's normal and abnormal loss count, each ``(M, B)`` in [0, 1]."""

    keep_normal: Tensor
    keep_abnormal: Tensor


class Exposure(Protocol):
    """The signature of a rule. ``known`` is None or ``(M, B)`` of 0 normal, 1 anomaly, -1 unlabelled."""

    def __call__(self, normal: Tensor, abnormal: Tensor, known: Tensor | None, ranking: Ranking) -> Weights:
        """Weights of each row."""
        ...


def blind(normal: Tensor, abnormal: Tensor, known: Tensor | None, ranking: Ranking) -> Weights:
    """Y = 0 for every unlabelled row: train as if the data were clean."""
    return weigh(torch.zeros_like(normal, dtype=torch.bool), known, normal=1.0, abnormal=0.0)


def refine(normal: Tensor, abnormal: Tensor, known: Tensor | None, ranking: Ranking) -> Weights:
    """Leave out the rows of largest normal loss (after Yoon et al., 2022)."""
    return weigh(ranking.suspects(normal, known), known, normal=0.0, abnormal=0.0)


def hard(normal: Tensor, abnormal: Tensor, known: Tensor | None, ranking: Ranking) -> Weights:
    """LOE_H: y = 1 for the rows of largest ``normal - abnormal``, the exact minimiser over y in {0, 1}."""
    return weigh(ranking.suspects(normal - abnormal, known), known, normal=0.0, abnormal=1.0)


def soft(normal: Tensor, abnormal: Tensor, known: Tensor | None, ranking: Ranking) -> Weights:
    """LOE_S: y = 0.5 for the rows of largest ``normal - abnormal``, the exact minimiser over y in {0, 0.5}."""
    return weigh(ranking.suspects(normal - abnormal, known), known, normal=0.5, abnormal=0.5)


EXPOSURES: dict[str, Exposure] = {"blind": blind, "refine": refine, "hard": hard, "soft": soft}


def weigh(suspect: Tensor, known: Tensor | None, *, normal: float, abnormal: float) -> Weights:
    """Give suspects the two weights, all others (1, 0), and known rows what their label says."""
    keep_normal = 1.0 - (1.0 - normal) * suspect.float()
    keep_abnormal = abnormal * suspect.float()
    if known is not None:
        keep_normal = torch.where(known == UNLABELLED, keep_normal, (known == NORMAL).float())
        keep_abnormal = torch.where(known == UNLABELLED, keep_abnormal, (known == ANOMALY).float())
    return Weights(keep_normal, keep_abnormal)
