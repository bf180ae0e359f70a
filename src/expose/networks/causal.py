"""A convolutional network that tells each pixel what those before it say: the streams of PixelCNN++.

Salimans, Karpathy, Chen, Kingma: "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", ICLR 2017, without its downsampling and dropout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class CausalNet(nn.Module):
    """Two streams that see no later pixel: one reads the rows above, the other also what is to the left in the row.

    Parameters
    ----------
    channels : int
        Of the image.
    n_out : int
        Outputs per pixel.
    width : int
        Channels of the streams.
    blocks : int
        Gated residual blocks of each stream. With n of them a pixel sees 2 n + 1 pixels up and to the left.

    Examples
    --------
    >>> CausalNet(3, 20, width=8, blocks=1)(torch.rand(2, 3, 6, 5)).shape
    torch.Size([2, 20, 6, 5])
    """

    def __init__(self, channels: int, n_out: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.above = Causal(channels + 1, width, 2, 3, centred=True)
        self.row_above = Causal(channels + 1, width, 1, 3, centred=True)
        self.left = Causal(channels + 1, width, 2, 1, centred=False)
        self.down = nn.ModuleList(GatedBlock(width, 2, 3, centred=True) for _ in range(blocks))
        self.right = nn.ModuleList(GatedBlock(width, 2, 2, centred=False, beside=width) for _ in range(blocks))
        self.head = nn.Conv2d(width, n_out, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, n_out, H, W)``."""
        image = F.pad(image, (0, 0, 0, 0, 0, 1), value=1.0)  # a channel of ones tells the image from its border
        one_down, one_right = (0, 0, 1, -1), (1, -1, 0, 0)  # so that no pixel sees its own row, or itself
        down = F.pad(self.above(image), one_down)  # (B, width, H, W)
        right = F.pad(self.row_above(image), one_down) + F.pad(self.left(image), one_right)
        for block_down, block_right in zip(self.down, self.right, strict=True):
            down = block_down(down)
            right = block_right(right, down)
        result: Tensor = self.head(F.elu(right))
        return result


class Causal(nn.Module):
    """A convolution that reads its own row and rows above: on both sides if `centred`, else only to the left."""

    def __init__(self, width_in: int, width_out: int, height: int, width: int, *, centred: bool) -> None:
        super().__init__()
        side = (width - 1) // 2 if centred else 0
        self.padding = (width - 1 - side, side, height - 1, 0)  # left, right, above, below
        self.conv = nn.Conv2d(width_in, width_out, (height, width))

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, width_in, H, W)`` to ``(B, width_out, H, W)``."""
        result: Tensor = self.conv(F.pad(image, self.padding))
        return result


class GatedBlock(nn.Module):
    """A residual block with a gate; ``beside`` is the width of another stream that it reads, or 0."""

    def __init__(self, width: int, height: int, across: int, *, centred: bool, beside: int = 0) -> None:
        super().__init__()
        self.first = Causal(width, width, height, across, centred=centred)
        self.second = Causal(width, 2 * width, height, across, centred=centred)
        self.aside = nn.Conv2d(beside, width, 1) if beside else None

    def forward(self, stream: Tensor, other: Tensor | None = None) -> Tensor:
        """Map ``(B, width, H, W)`` to the same shape."""
        inner = self.first(F.elu(stream))
        if self.aside is not None and other is not None:
            inner = inner + self.aside(F.elu(other))
        value, gate = self.second(F.elu(inner)).chunk(2, dim=1)
        result: Tensor = stream + value * torch.sigmoid(gate)
        return result
