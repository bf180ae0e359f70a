"""Normalising flow: how many bits a row costs under a density that was learned from normal rows.

Dinh, Sohl-Dickstein, Bengio: "Density estimation using Real NVP", ICLR 2017. L affine couplings turn a row into white
noise. Coupling l keeps the columns of its mask m_l and changes the others by what it reads from the kept ones:

    z_l = m_l z_(l-1)  +  (1 - m_l) ( z_(l-1) exp(s_l) + t_l ),      s_l, t_l = f_l(m_l z_(l-1))

with z_0 the standardised row, and s_l bounded by c tanh(. / c). The row's density follows from the change of variables
(eq. 2 and 6 there), in bits per dimension of the encoded row:

    bits(x) = [ 1/2 |z_L|^2 + D/2 log 2 pi - sum_l sum_j (1 - m_lj) s_lj + sum_j log spread_j ] / (D log 2)

    normal(x)   = bits(x)
    abnormal(x) = max(0, margin + l - bits(x))          l: bits of a usual normal row, see `MarginRanking`

The margin ranking loss is that of Hendrycks et al., ICLR 2019. There is no normalisation over the batch, which would
let rows change each other's bits.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.networks import Perceptron
from expose.objectives.base import Losses, Objective, register
from expose.objectives.margin import MarginRanking

WEIGHTS_BUDGET = 4_000_000  # of all couplings together; binds above about 3,000 columns
FINEST = 0.05  # smallest spread of a column by which it is standardised: a constant column has no density


@register("flow")
class Flow(Objective):
    """A normalising flow of affine couplings.

    Parameters
    ----------
    couplings : int, default=6
        L, at least 2. Masks come in pairs, so that each pair changes every column once.
    hidden : int, default=64
        Width of the two hidden layers of each f_l; narrower for very wide tables.
    bound : float, default=1.0
        c: a coupling stretches a column by at most exp(c). It limits how much a column of few different values, whose
        density has no limit, can count for.
    margin : float, default=1.0
        Bits per dimension that an outlier shall cost more than a usual normal row.
    """

    masks: Tensor
    centre: Tensor
    spread: Tensor

    in_sample = 1.0  # it knows rows that it was trained on far better than others, by as much as the training is long
    lowest = {"couplings": 2, "hidden": 1, "bound": 1e-3, "margin": 0.0}  # noqa: RUF012 - never changed

    def __init__(
        self, couplings: int = 6, hidden: int = 64, bound: float = 1.0, margin: float = 1.0, **training: Any
    ) -> None:
        super().__init__(**training)
        self.couplings = couplings
        self.hidden = hidden
        self.bound = bound
        self.margin = margin

    def build(self, layout: Layout) -> None:
        """Draw the masks and make the couplings, near to the identity."""
        n_features = layout.n_values
        width = min(self.hidden, max(8, WEIGHTS_BUDGET // (3 * n_features * self.couplings)))
        sizes = [n_features, width, width, 2 * n_features]
        self.networks = nn.ModuleList(Perceptron(sizes) for _ in range(self.couplings))
        for network in self.networks:
            weight, bias = list(network.parameters())[-2:]
            nn.init.normal_(weight, std=0.01)
            nn.init.zeros_(bias)
        halves = [torch.randperm(n_features) < n_features // 2 for _ in range((self.couplings + 1) // 2)]
        masks = [mask for half in halves for mask in (half, ~half)][: self.couplings]
        self.register_buffer("masks", torch.stack(masks).float())  # (L, D)
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.ranking = MarginRanking(self.margin)

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Standardise by these rows, and take their untrained bits for the usual ones."""
        self.centre.copy_(rows.mean(0))
        self.spread.copy_(rows.std(0, unbiased=False).clamp(min=FINEST))
        self.ranking.start(self.bits(rows))

    def bits(self, batch: Tensor) -> Tensor:
        """Bits per dimension of each row: ``(B, D) -> (B,)``."""
        z = (batch - self.centre) / self.spread  # (B, D)
        stretched = torch.zeros_like(z[:, 0])  # (B,): log of the volume a coupling makes of a volume of 1
        for network, mask in zip(self.networks, self.masks, strict=True):
            scale, shift = network(z * mask).to(z.dtype).chunk(2, dim=-1)  # (B, D) each
            scale = (1 - mask) * self.bound * torch.tanh(scale / self.bound)
            z = z * torch.exp(scale) + (1 - mask) * shift
            stretched = stretched + scale.sum(-1)
        dimensions = batch.shape[-1]
        nats = 0.5 * z.square().sum(-1) + 0.5 * dimensions * math.log(2 * math.pi) - stretched
        return (nats + self.spread.log().sum()) / (dimensions * math.log(2))

    def losses(self, batch: Tensor) -> Losses:
        """Bits per dimension, and what they lack of the margin."""
        losses: Losses = self.ranking(self.bits(batch))
        return losses

    def score(self, batch: Tensor) -> Tensor:
        """Bits per dimension ``(B,)``."""
        return self.bits(batch)
