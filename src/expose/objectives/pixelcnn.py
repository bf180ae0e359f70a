"""PixelCNN++: how many bits an image costs when each pixel is guessed from those above it and to its left.

Salimans, Karpathy, Chen, Kingma: "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", ICLR 2017. Two streams of convolutions see no pixel that comes later: one reads the rows above,
the other also what stands to the left in the same row. For each pixel they give a mixture of K logistic distributions
over the 256 values of a channel; with values scaled to [-1, 1] and h = 1/255 half the way to the next one (eq. 2),

    P(x) = sum_k w_k prod_c [ sigmoid((x_c + h - m_kc) / s_kc) - sigmoid((x_c - h - m_kc) / s_kc) ]

where the lowest value reaches down to -infinity and the highest up to infinity. The mean of a channel depends on the
values of the channels before it in the same pixel (eq. 3): m_kc = a_kc + sum_{j<c} tanh(b_kcj) x_j. With D = C H W,

    normal(x)   = bits(x) = - sum over pixels of log P / (D log 2)
    abnormal(x) = max(0, margin + l - bits(x))          l: bits of a usual normal image, see `MarginRanking`

The margin ranking loss is that of Hendrycks et al., ICLR 2019, section 4.4. The network is a small one: no
downsampling, no dropout.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks import CausalNet
from expose.objectives.base import Losses, Objective, register
from expose.objectives.margin import MarginRanking

HALF = 1 / 255  # half the distance of two neighbouring values in [-1, 1]
SMALLEST_SCALE = -7.0  # logarithm, as published
FIRST_SCALE = -1.5


@register("pixelcnn")
class PixelCNN(Objective):
    """An autoregressive model of images with 8-bit values.

    Parameters
    ----------
    width : int, default=32
        Channels of the streams.
    blocks : int, default=3
        Gated residual blocks of each stream. With n of them a pixel sees 2 n + 1 pixels up and to the left.
    mixtures : int, default=5
        K.
    margin : float, default=1.0
        Bits per dimension that an outlier shall cost more than a usual normal image.
    """

    forms = ("image",)
    lowest = {"width": 1, "blocks": 0, "mixtures": 1, "margin": 0.0}  # noqa: RUF012 - never changed

    def __init__(
        self, width: int = 32, blocks: int = 3, mixtures: int = 5, margin: float = 1.0, **training: Any
    ) -> None:
        super().__init__(**training)
        self.width = width
        self.blocks = blocks
        self.mixtures = mixtures
        self.margin = margin

    def build(self, layout: Layout) -> None:
        """Make the streams; the mixtures begin wide and spread over all values."""
        if layout.form != "image":
            raise InputError("pixelcnn reads images; got a table or texts. Use 'flow' or 'language'.")
        channels = layout.shape[0]
        self.sizes = [channels, channels, channels * (channels - 1) // 2]  # means, log scales, dependences
        n_out = self.mixtures * (1 + sum(self.sizes))
        self.network = CausalNet(channels, n_out, width=self.width, blocks=self.blocks)
        with torch.no_grad():
            _, bias = self.network.head.parameters()
            start = bias[self.mixtures :].view(self.mixtures, -1)
            start[:, :channels] = torch.linspace(-1, 1, self.mixtures)[:, None]
            start[:, channels : 2 * channels] = FIRST_SCALE
        self.ranking = MarginRanking(self.margin)

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Take the bits of some untrained images for the usual ones."""
        self.ranking.start(self.bits(rows[:256]))

    def log_probability(self, image: Tensor) -> Tensor:
        """Logarithm of P of each pixel, given those before it: ``(B, C, H, W)`` in [-1, 1] ``-> (B, H, W)``."""
        out = self.network(image).to(image.dtype)  # (B, n_out, H, W)
        weight = out[:, : self.mixtures].log_softmax(dim=1)  # (B, K, H, W)
        rest = out[:, self.mixtures :].reshape(len(out), self.mixtures, -1, *out.shape[2:])
        mean, scale, dependence = torch.split(rest, self.sizes, dim=2)  # (B, K, C or pairs, H, W)
        shifts, first = [], 0
        for channel in range(image.shape[1]):
            pairs = torch.tanh(dependence[:, :, first : first + channel])
            shifts.append((pairs * image[:, None, :channel]).sum(2))  # (B, K, H, W)
            first += channel
        away = image[:, None] - mean - torch.stack(shifts, dim=2)  # (B, K, C, H, W)
        found: Tensor = (weight + log_bin(away, scale, image[:, None]).sum(2)).logsumexp(dim=1)
        return found

    def bits(self, batch: Tensor) -> Tensor:
        """Bits per dimension of each image: ``(B, D) -> (B,)``. Values are rounded to 8 bits."""
        assert self.layout is not None
        image = 2 * (255 * self.layout.unfold(batch).clamp(0, 1)).round() / 255 - 1  # (B, C, H, W)
        return -self.log_probability(image).sum((-2, -1)) / (batch.shape[-1] * math.log(2))

    def losses(self, batch: Tensor) -> Losses:
        """Bits per dimension, and what they lack of the margin."""
        losses: Losses = self.ranking(self.bits(batch))
        return losses

    def score(self, batch: Tensor) -> Tensor:
        """Bits per dimension ``(B,)``."""
        return self.bits(batch)


def log_bin(away: Tensor, log_scale: Tensor, value: Tensor) -> Tensor:
    """Logarithm of what a logistic distribution ``away`` from a value gives to the values that round to it.

    As ``sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))``, nothing cancels, however small it is.
    """
    precision = torch.exp(-log_scale.clamp(min=SMALLEST_SCALE, max=-SMALLEST_SCALE))
    upper, lower = (away + HALF) * precision, (away - HALF) * precision
    highest, lowest = value > 1 - HALF, value < HALF - 1
    between = torch.log(-torch.expm1(-2 * HALF * precision))
    return (
        F.logsigmoid(upper).masked_fill(highest, 0.0)
        + F.logsigmoid(-lower).masked_fill(lowest, 0.0)
        + between.masked_fill(highest | lowest, 0.0)
    )
