"""Few labels reach far: rows among a labelled row's neighbours, and theirs, count as labelled too.

Twenty labels among two thousand rows say little by themselves. But anomalies that spoil a training set come in
groups: a group without a label hides in its density, and one label settles all of it. So labels walk along the graph
of nearest neighbours: from each unlabelled row a random walker starts, stops at the first labelled row it meets, and
gives up at a fixed rate before each step. A row is taken as an anomaly where the walkers that end at known anomalies
outnumber those that end at known normal rows by a twentieth of all, and as normal where it is the other way round; the
others stay unlabelled.

Source: Zhu, Ghahramani and Lafferty, "Semi-Supervised Learning Using Gaussian Fields and Harmonic Functions", ICML
2003; giving up, which keeps labels from reaching the whole table, and the margin are ours (docs/few-labels.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from expose.exposure.rules import ANOMALY, NORMAL, UNLABELLED

RELATIVES = 10  # nearest rows that a label walks to
GIVE_UP = 0.1  # odds of giving up before each step
MARGIN = 0.05  # of all walkers
MOST_SPREAD = 0.3  # share of the rows that may be taken as anomalies
STEPS = 100  # after which less than 1 in 10,000 walkers is still on its way


def spread_labels(known: Tensor, relatives: Tensor) -> Tensor:
    """Known labels, and those of unlabelled rows that labelled neighbours decide.

    Parameters
    ----------
    known : Tensor of shape (n,)
        1 anomaly, 0 normal, -1 unlabelled.
    relatives : Tensor of shape (n, K)
        Numbers of the nearest rows of each row, itself left out.

    Returns
    -------
    Tensor of shape (n,)
        Known labels as they were. Unlabelled rows have a label only if both kinds are known, for it takes a contest.

    Examples
    --------
    >>> spread_labels(torch.tensor([1, -1, -1, 0]), torch.tensor([[1], [0], [3], [2]]))
    tensor([1, 1, 0, 0])
    """
    if not spreads(known):
        return known
    lead = walk(known, relatives)  # (n,)
    spread = torch.where((known == UNLABELLED) & (lead < -MARGIN), NORMAL, known)
    candidates = torch.nonzero((known == UNLABELLED) & (lead > MARGIN)).flatten()
    most = int(MOST_SPREAD * len(known))
    surest = candidates[lead[candidates].argsort(descending=True, stable=True)[:most]]
    spread[surest] = ANOMALY
    return spread


def spreads(known: Tensor) -> bool:
    """Whether there is anything to spread: unlabelled rows, and labels of both kinds."""
    return all(bool((known == label).any()) for label in (ANOMALY, NORMAL, UNLABELLED))


def walk(known: Tensor, relatives: Tensor) -> Tensor:
    """Share of each row's walkers that end at a known anomaly, less the share that ends at a known normal row.

    Where more anomalies are known than normal rows, they count as many as those: else frauds of years and one row that
    was found in order would make anomalies of most of the table.
    """
    n, count = relatives.shape
    edges = torch.zeros(n, n)
    edges[torch.arange(n).repeat_interleave(count), relatives.flatten()] = 1.0
    edges = torch.maximum(edges, edges.T)  # (n, n): a neighbour in either direction
    step = edges / (edges.sum(dim=-1, keepdim=True) * (1 + GIVE_UP))
    anomalies, normal = (known == ANOMALY).float(), (known == NORMAL).float()
    label = anomalies * (normal.sum() / anomalies.sum()).clamp(max=1.0) - normal  # (n,)
    lead = label
    for _ in range(STEPS):
        lead = torch.where(known == UNLABELLED, step @ lead, label)
    return lead
