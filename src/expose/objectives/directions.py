"""In which directions known anomalies differ from what is usual: two angular central Gaussians (Tyler, 1987).

A distance says how far a place is from the usual, and a few known anomalies cannot say that better. But they say which
way it is worth looking. Of the whitened differences from the usual only the directions u count, in K dimensions, those
of the worst places of known anomalies (A) and of the other photos (N), among which known normal ones weigh more:

    A = l K mean(u u') + (1 - l) I over anomalies,    N = the same over others,    l = n / (n + PRIOR)
    likelier(u) = sqrt( (u' N^-1 u) / (u' A^-1 u) )

which is the ratio of their densities to the power 1 / K. Both are shrunk by as much, which the number n of known
anomalies decides: without any it is 1, one changes little. What is odd in most photos, edges and reflections, loses
by it; a kind of anomaly that nobody has shown yet does not (docs/notes/photos.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from expose.objectives.memory import TINY

PRIOR = 10.0  # as many anomalies of no direction
SURE = 10.0  # times as much as others those weigh that are known to be normal: most are asked about for being odd


def inverse_shapes(anomalous: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """Inverses of A and N, ``(2, K, K)``, of differences ``(n, W, K)`` and ``(m, W, K)``; the others weigh ``(m,)``."""
    share = len(anomalous) / (len(anomalous) + PRIOR)
    even = torch.ones(len(anomalous), device=weights.device)
    shapes = torch.stack([shape(anomalous, even, share), shape(others, weights, share)])
    inverses: Tensor = torch.linalg.inv(shapes)
    return inverses.to(others)


def shape(away: Tensor, weights: Tensor, share: float) -> Tensor:
    """How directions lie, ``(n, W, K), (n,) -> (K, K)`` of trace K: this share is theirs, the rest even."""
    units = torch.nn.functional.normalize(away.double(), dim=-1)
    width = units.shape[2]
    lie = width * torch.einsum("nwj,n,nwk->jk", units, weights.double(), units) / (weights.sum() * units.shape[1])
    return share * lie + (1 - share) * torch.eye(width, dtype=lie.dtype, device=lie.device)


def likelier(away: Tensor, inverses: Tensor) -> Tensor:
    """How much likelier directions are among anomalies, ``(..., K) -> (...)``; 1 where there is none."""
    anomalous, normal = (((away @ inverse) * away).sum(dim=-1) for inverse in inverses)
    return torch.sqrt((normal + TINY) / (anomalous + TINY))
