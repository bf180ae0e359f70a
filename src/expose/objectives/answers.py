"""How far answers about single rows correct the scores of rows like them: kernel logistic regression.

The score without the answers is the prior. Where it is above the line beyond which rows are taken as anomalies, they
are expected to be anomalies, the more surely the higher it is. An answer that was expected changes next to nothing, a
false alarm draws rows like it down, and an anomaly that nobody expected draws them up. So a round of answers without a
hit is one of false alarms, and tells where not to look.

    P(x is an anomaly) = sigmoid(SLOPE * (log(score(x) / line) + f(x))),   f(x) = sum_i a_i likeness(x, i)

with the a_i of the largest posterior under a Gaussian process as the prior of f, whose standard deviation is one: a
score may be wrong by a factor of e. Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
section 3.4; the score as the mean of the prior is ours (docs/few-labels.md).

Whether the likeness tells anything of what the answers are about, they say themselves: what all others say of each is
compared with the answer, see `trust`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

SLOPE = 3.0  # how fast certainty grows with the logarithm of a score
MOST = 2.0  # log of the furthest that a score is taken to lie from the line: no row is more certain
STEPS, ENOUGH = 100, 1e-9
FULLY = 0.75  # share of agreement from which on corrections count in full; one half is chance


def corrections(ratio: Tensor, alike: Tensor, known: Tensor) -> Tensor:
    """The weight of each answered row in the correction of the logarithm of scores.

    Parameters
    ----------
    ratio : Tensor of shape (L,)
        Scores of the answered rows over that at the line.
    alike : Tensor of shape (L, L)
        Likeness of each to each, a kernel: positive semi-definite, ones on the diagonal.
    known : Tensor of shape (L,)
        1 anomaly, 0 normal.

    Examples
    --------
    >>> said = corrections(torch.tensor([4.0, 4.0, 0.25, 0.25]), torch.eye(4), torch.tensor([1, 0, 1, 0]))
    >>> [round(float(weight), 1) for weight in said]  # as expected, a false alarm, a surprise, as expected
    [0.0, -1.4, 1.4, -0.0]
    """
    kernel, truth = alike.double(), known.double()
    prior = ratio.double().clamp(min=1e-9).log().clamp(-MOST, MOST)  # (L,)
    eye = torch.eye(len(truth), dtype=torch.float64, device=truth.device)

    def negative(weight: Tensor) -> Tensor:
        """The logarithm of the posterior, negated, but for a constant."""
        f = kernel @ weight
        return softplus((1 - 2 * truth) * SLOPE * (prior + f)).sum() + 0.5 * weight @ f

    weight = torch.zeros_like(truth)
    for _ in range(STEPS):  # Newton's, halved where they lead too far
        f = kernel @ weight
        chance = torch.sigmoid(SLOPE * (prior + f))
        bend = SLOPE**2 * chance * (1 - chance)
        step = torch.linalg.solve(bend[:, None] * kernel + eye, bend * f + SLOPE * (truth - chance)) - weight
        while negative(weight + step) > negative(weight) and float(step.abs().max()) > ENOUGH:
            step = step / 2
        weight = weight + step
        if float(step.abs().max()) <= ENOUGH:
            break
    return weight.to(alike.dtype)


def without_each(weights: Tensor, alike: Tensor, known: Tensor) -> Tensor:
    """What `corrections` would be without each of the answers, ``(L, L)``, one column each: by a step of Newton's.

    Parameters
    ----------
    weights : Tensor of shape (L,)
        Of all answers, see `corrections`.
    alike, known : Tensor of shape (L, L), (L,)

    Examples
    --------
    >>> alike, known = torch.tensor([[1.0, 0.5], [0.5, 1.0]]), torch.tensor([1, 1])
    >>> ratio = torch.tensor([0.5, 0.5])
    >>> [round(float(one), 2) for one in without_each(corrections(ratio, alike, known), alike, known)[1]]
    [0.94, 0.0]
    >>> round(float(corrections(ratio[1:], alike[1:, 1:], known[1:])), 2)
    0.95
    """
    learned = weights.double()
    chance = known.double() - learned / SLOPE  # where the posterior is largest
    bend = SLOPE**2 * chance * (1 - chance)
    response = torch.linalg.inv(bend[:, None] * alike.double() + torch.eye(len(known)).to(learned))
    without: Tensor = learned[:, None] - response * (learned / response.diagonal())
    return without.to(weights.dtype)


def trust(moved: Tensor, answered: Tensor, others: Tensor, known: Tensor) -> float:
    """How far corrections by answers may be trusted, 0 to 1: whether others foretell each of them.

    Parameters
    ----------
    moved : Tensor of shape (R, L)
        How far rows are moved by all answers but one.
    answered : Tensor of int of shape (L,)
        The row of this one: a known anomaly must be moved further up than others, a known normal row less.
    others : Tensor of bool of shape (R, L)
        The rows that each is compared with.
    known : Tensor of shape (L,)
        1 anomaly, 0 normal.

    Notes
    -----
    The mean share of others that an answer is on the right side of is taken with two more answers, one right and one
    wrong (the rule of succession): few answers prove little.

    Examples
    --------
    >>> moved = torch.tensor([[0.9, 0.9], [0.9, 0.9], [0.1, 0.1], [0.2, 0.2]])
    >>> others, known = torch.tensor([[False], [False], [True], [True]]).expand(4, 2), torch.tensor([1, 1])
    >>> trust(moved, torch.tensor([0, 1]), others, known), trust(-moved, torch.tensor([0, 1]), others, known)
    (1.0, 0.0)
    """
    own = moved[answered, torch.arange(len(answered), device=moved.device)]  # (L,)
    side = torch.sign(own - moved) * torch.where(known == 1, 1.0, -1.0)  # (R, L): 1 right, 0 even, -1 wrong
    right = 0.5 + 0.5 * (side * others).sum(dim=0) / others.sum(dim=0).clamp(min=1)  # (L,)
    agreement = (float(right.sum()) + 1) / (len(answered) + 2)
    return min(max((agreement - 0.5) / (FULLY - 0.5), 0.0), 1.0)
