"""Two losses from a density: how costly a row is to describe, and how much too cheap an outlier is.

Hendrycks, Mazeika, Dietterich: "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, section 4.4, ask an outlier
to cost at least one unit per dimension more than a normal row,

    max(0, D + nll(x_in) - nll(x_out))

and leave open whether the unit is a nat or a bit. Here it is a bit, and both sides are divided by D. A loss of one row
cannot look at another row, so the normal rows' bits are a parameter, the level l, that they pull along while training:

    normal(x)   = bits(x)      and the gradient of  10 |l - bits(x)|  to l alone
    abnormal(x) = max(0, margin + l - bits(x))

The minimum over l of a sum of |l - bits(x)| is the median of the rows that count as normal, whatever counts as an
anomaly. As in the paper, an outlier that is too cheap may also lower the other side of the comparison; the factor 10
keeps l between the median and the 45 % quantile for equally many outliers of weight 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from expose.objectives.base import Losses

PULL = 10.0  # of normal rows on the level, against the push of outliers
PACE = 10.0  # bits of level per unit of the parameter: Adam moves every parameter about equally fast


class MarginRanking(nn.Module):
    """Both losses from bits per dimension.

    Parameters
    ----------
    margin : float
        Bits per dimension that an outlier shall cost more than a normal row.

    Examples
    --------
    >>> ranking = MarginRanking(margin=1.0)
    >>> ranking.start(torch.tensor([2.0, 4.0]))
    >>> ranking(torch.tensor([3.0, 3.5, 9.0])).abnormal.tolist()
    [1.0, 0.5, 0.0]
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin
        self.pace = nn.Parameter(torch.zeros(()))

    @property
    def level(self) -> Tensor:
        """Bits per dimension of a usual normal row."""
        return PACE * self.pace

    @torch.no_grad()
    def start(self, bits: Tensor) -> None:
        """Begin at the mean of untrained ``bits`` ``(n,)``."""
        self.pace.copy_(bits.mean() / PACE)

    def forward(self, bits: Tensor) -> Losses:
        """Losses ``(B,)`` of rows that cost so many bits per dimension ``(B,)``."""
        pull = PULL * (self.level - bits.detach()).abs()
        normal = bits + (pull - pull.detach())  # bits, with one gradient more
        return Losses(normal, F.relu(self.margin + self.level - bits))
