"""WHO among the auxiliary outliers: which of them are trained on, and as what. Pure functions of losses.

Three questions, each for itself. Which of many candidates are worth a gradient (`Mining`)? Which of those in a batch
are anomalous at all, where only a share of them is (`latent`)? And are all trained on, or the hardest (`hardest`)?
"""

from __future__ import annotations

import torch
from torch import Tensor

from expose.exposure.ranking import Ranking
from expose.exposure.rules import Weights

LATENT = {"hard": (1.0, 0.0), "soft": (0.5, 0.5), "refine": (0.0, 0.0)}  # both weights of an outlier that seems normal


class Mining:
    """Of candidates, those that the network finds hard, but for the very hardest.

    The threshold above which candidates are left out is the quantile of the last batches: one batch is too small to
    tell the hardest eighth.

    Source: NTOM of Chen, Li, Wu, Liang, Jha, "ATOM: Robustifying Out-of-distribution Detection Using Outlier Mining",
    ECML 2021, which sorts a pool of all candidates once an epoch; the running threshold, for streams, is ours.

    Parameters
    ----------
    skipped : float
        Share of the candidates that is left out.
    window : int, default=64
        Batches remembered.

    Examples
    --------
    >>> Mining(skipped=0.25).chosen(torch.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[3, 2]])
    """

    def __init__(self, skipped: float, window: int = 64) -> None:
        self.skipped = skipped
        self.window = window
        self.seen: list[Tensor] = []  # (M, C) each

    def chosen(self, abnormal: Tensor, count: int) -> Tensor:
        """Numbers ``(M, count)`` of the candidates to train on, from their abnormal losses ``(M, C)``."""
        self.seen = [*self.seen[-self.window + 1 :], abnormal]
        if self.skipped:
            threshold = torch.cat(self.seen, dim=-1).quantile(1 - self.skipped, dim=-1, keepdim=True)  # (M, 1)
            beyond = abnormal > threshold
            abnormal = abnormal - beyond * 2 * (abnormal.abs().amax() + 1)  # last, and needed only by chance
        return abnormal.topk(count, dim=-1).indices


def latent(normal: Tensor, abnormal: Tensor, exposure: str, ranking: Ranking) -> Weights:
    """Weights of outliers ``(M, O)`` of which a share is anomalous, that of the ranking; others count by the exposure.

    Examples
    --------
    >>> from expose.exposure.ranking import BatchRanking
    >>> latent(torch.tensor([[0.1, 2.0]]), torch.tensor([[3.0, 0.1]]), "refine", BatchRanking(0.5))
    Weights(keep_normal=tensor([[0., 0.]]), keep_abnormal=tensor([[0., 1.]]))
    """
    anomalous = ranking.suspects(normal - abnormal, None)
    as_normal, as_abnormal = LATENT[exposure]
    return Weights((~anomalous) * as_normal, torch.where(anomalous, 1.0, as_abnormal))


def hardest(abnormal: Tensor, ranking: Ranking) -> Weights:
    """Weights of outliers ``(M, O)`` of which the share of the ranking is trained on: those of largest loss."""
    counted = ranking.suspects(abnormal, None).float()
    return Weights(torch.zeros_like(counted), counted)


def all_outliers(abnormal: Tensor) -> Weights:
    """Weights of outliers ``(M, O)`` that all count as anomalous."""
    return Weights(torch.zeros_like(abnormal), torch.ones_like(abnormal))
