"""How far answers about single rows correct the scores of rows like them: kernel logistic regression.

The score without the answers is the prior. Where it is above the line beyond which rows are taken as anomalies, they
are expected to be anomalies, the more surely the higher it is. An answer that was expected changes next to nothing, a
false alarm draws rows like it down, and an anomaly that nobody expected draws them up. So a round of answers without a
hit is one of false alarms, and tells where not to look.

    P(x is an anomaly) = sigmoid(SLOPE * (log(score(x) / line) + f(x))),   f(x) = sum_i a_i likeness(x, i)

with the a_i of the largest posterior under a Gaussian process as the prior of f, whose standard deviation is one: a
score may be wrong by a factor of e. Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
section 3.4; the score as the mean of the prior is ours (docs/few-labels.md).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

SLOPE = 3.0  # how fast certainty grows with the logarithm of a score
MOST = 2.0  # log of the furthest that a score is taken to lie from the line: no row is more certain
STEPS, ENOUGH = 100, 1e-9


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
