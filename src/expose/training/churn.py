"""How much the suspects change: between epochs, and between members. Self-confirmation shows here first."""

from __future__ import annotations

import torch
from torch import Tensor


def flipped_share(now: Tensor, before: Tensor) -> float:
    """Share of rows that changed between suspect and not; both ``(M, N)`` boolean."""
    return float((now != before).float().mean())


def epoch_overlap(now: Tensor, before: Tensor) -> float | None:
    """Jaccard overlap of two suspect sets ``(M, N)``, mean over members; None where both are empty."""
    union = (now | before).sum(-1)
    if not bool(union.any()):
        return None
    return float(((now & before).sum(-1) / union.clamp(min=1)).mean())


def member_overlap(suspects: Tensor) -> float | None:
    """Mean Jaccard overlap of the suspect sets ``(M, N)`` of all pairs of members; None without pair or suspect."""
    members = suspects.shape[0]
    if members == 1 or not bool(suspects.any()):
        return None
    sets = suspects.float()
    both = sets @ sets.T  # (M, M)
    sizes = both.diagonal()
    jaccard = both / (sizes[:, None] + sizes[None] - both).clamp(min=1)
    pairs = torch.triu_indices(members, members, offset=1, device=sets.device)
    return float(jaccard[pairs[0], pairs[1]].mean())
