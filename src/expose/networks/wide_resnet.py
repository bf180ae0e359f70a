"""Wide residual networks.

Zagoruyko & Komodakis: "Wide Residual Networks", BMVC 2016 (table 1; blocks of two 3x3 convolutions, "B(3, 3)", with
normalisation and ReLU before each, and dropout between the two, section 2.4). WRN-d-k has d layers, k times as wide as
a plain residual network: three groups of (d - 4) / 6 blocks with 16 k, 32 k and 64 k channels, at full, half and
quarter resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from expose.errors import InputError
from expose.networks.convolutional import group_norm


class WideResNet(nn.Module):
    """WRN-``depth``-``widen`` for images of about 32x32.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` of an image.
    n_out : int
        Outputs per image.
    depth : int, default=40
        Layers, 6 n + 4 for n blocks in each group.
    widen : int, default=2
        Factor of the widths.
    dropout : float, default=0.0
        Share of values dropped between the two convolutions of a block, in [0, 1).
    norm : {"batch", "group"}, default="batch"
        As published, or image by image, as `ConvNet` has it.

    Raises
    ------
    InputError
        If ``depth`` is not 6 n + 4.

    Examples
    --------
    >>> sum(p.numel() for p in WideResNet((3, 32, 32), 10, depth=40, widen=2).parameters())
    2243546
    """

    def __init__(
        self,
        shape: Sequence[int],
        n_out: int,
        *,
        depth: int = 40,
        widen: int = 2,
        dropout: float = 0.0,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if blocks < 1 or rest:
            raise InputError(f"depth must be 6 n + 4, such as 16, 28 or 40; got {depth}.")
        width, normalise = 16, nn.BatchNorm2d if norm == "batch" else group_norm
        self.stem = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        for group in range(3):
            for number in range(blocks):
                stride = 2 if group > 0 and number == 0 else 1
                layers.append(Block(width, 16 * 2**group * widen, stride, dropout, normalise))
                width = 16 * 2**group * widen
        self.blocks = nn.Sequential(*layers)
        self.last = nn.Sequential(normalise(width), nn.ReLU())
        self.head = nn.Linear(width, n_out)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` with values in [0, 1] to ``(B, n_out)``."""
        features = self.last(self.blocks(self.stem(4 * images - 2)))  # (B, 64 k, H / 4, W / 4)
        result: Tensor = self.head(features.mean((-2, -1)))
        return result


class Block(nn.Module):
    """Two convolutions, each after normalisation and ReLU, added to what came in."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, dropout: float, normalise: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.before = nn.Sequential(normalise(width_in), nn.ReLU())
        self.convolutions = nn.Sequential(
            nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False),
            normalise(width_out),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(width_out, width_out, 3, padding=1, bias=False),
        )
        same = width_in == width_out and stride == 1
        self.shortcut = None if same else nn.Conv2d(width_in, width_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, width_in, H, W)`` to ``(B, width_out, H / stride, W / stride)``."""
        active = self.before(x)
        straight = x if self.shortcut is None else self.shortcut(active)  # where sizes change, from the activated
        result: Tensor = straight + self.convolutions(active)
        return result


def initialise(module: nn.Module) -> None:
    """He et al. (2015): the variance that keeps gradients alike through layers with a ReLU."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
