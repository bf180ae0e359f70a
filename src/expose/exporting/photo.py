"""`PhotoEncoder`: a frozen EfficientNet-Lite, in float32 as it computes, then principal components of its patches."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from expose.encoders.efficientnet_lite import USED, Block, EfficientNetLite, SamePadded
from expose.encoders.photo import PhotoEncoder
from expose.errors import InputError
from expose.exporting.base import Input, exports_encoder
from expose.exporting.graph import DOUBLE, SINGLE, Value, op, side_by_side

HALF: Final = 10  # float16, as ONNX numbers it
AT_ONCE: Final = 4  # photos: their maps fit the cache of a processor
EXAMPLES: Final = 6  # photos that are compared


@exports_encoder(PhotoEncoder)
def photo(encoder: PhotoEncoder) -> Input:
    """Photos of the network's size, ``(n, 3, side, side)`` in [0, 1].

    Raises
    ------
    InputError
        If the network is another, or looks at tiles, or its grids do not fit each other.
    """
    network = encoder.frozen.network
    whole = isinstance(network, EfficientNetLite) and network.whole
    if not isinstance(network, EfficientNetLite) or not whole or encoder.precision != "32" or encoder.tiles > 1:
        raise InputError(
            "of encoders of photos 'efficientnet-lite2' and 'efficientnet-lite0' can be exported, in float32 and "
            f"without tiles; this one is {type(network).__name__} with tiles={encoder.tiles}, "
            f"precision={encoder.precision!r}. Scorer takes any."
        )
    side, width = encoder.frozen.size
    if encoder.gives == "patches" or -(-side // 8) % 2 or side != width:
        raise InputError(
            "of encoders of photos those can be exported that give 'grid' or 'vector', of photos with an even number "
            f"of patches of 8 pixels each way, such as side=224; this one gives {encoder.gives!r}, with side={side}. "
            "Scorer takes any."
        )

    def examples(n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        photos = smooth_photos(n, side)
        return photos, np.ascontiguousarray(np.moveaxis(photos, 1, 3))

    return Input(
        "photos", SINGLE, (3, side, side), [], lambda photos: parts(encoder, network, photos), examples,
        at_once=AT_ONCE, n_examples=EXAMPLES,
    )  # fmt: skip


def parts(encoder: PhotoEncoder, network: EfficientNetLite, photos: Value) -> Value:
    """Photos as parts ``(n, D)``, as `PhotoEncoder` makes them."""
    maps, vector = described(network, photos)
    if encoder.layout.form == "vector":
        return vector
    half = op("Cast", op("Cast", maps, to=HALF), to=DOUBLE)  # features are kept in half precision
    patches = ((half.unit() - encoder.mean) @ encoder.axes).rounded()  # (n, H, W, K)
    return side_by_side([patches.reshape(0, int(np.prod(encoder.layout.shape))), vector])


def described(network: EfficientNetLite, photos: Value) -> tuple[Value, Value]:
    """Features of patches ``(n, H, W, C)`` and of photos ``(n, V)``, as `EfficientNetLite.forward` finds them."""
    single = photos.graph.root.single
    maps = (photos * single(np.array(255)) - single(np.array(127))) / single(np.array(128))
    maps = relu6(convolved(network.stem, maps))
    used = []
    for number, block in enumerate(network.blocks):
        maps = inverted(block, maps)
        if number in {network.ends[stage] for stage in USED}:
            used.append(maps)
    vector = op("GlobalAveragePool", relu6(convolved(network.last, maps)))
    return on_one_grid(network, used), op("Cast", vector.reshape(0, -1), to=DOUBLE)


def inverted(block: Block, maps: Value) -> Value:
    """A block of the network."""
    *wide, last = block.convolutions
    through = maps
    for layer in wide:
        through = relu6(convolved(layer, through))
    narrow = convolved(last, through)
    return narrow + maps if block.residual else narrow


def convolved(layer: torch.nn.Conv2d, maps: Value) -> Value:
    """A convolution, into which its normalisation was folded."""
    assert layer.bias is not None
    weight, bias = maps.graph.root.single(layer.weight.numpy()), maps.graph.root.single(layer.bias.numpy())
    same = {"auto_pad": "SAME_UPPER"} if isinstance(layer, SamePadded) else {}
    return op("Conv", maps, weight, bias, strides=list(layer.stride), group=layer.groups, **same)


def relu6(maps: Value) -> Value:
    """Between 0 and 6."""
    single = maps.graph.root.single
    return op("Clip", maps, single(np.array(0)), single(np.array(6)))


def on_one_grid(network: EfficientNetLite, maps: list[Value]) -> Value:
    """Maps of stages, each of means over 3 x 3, on the grid of the last, ``(n, H, W, C)``."""
    smooth: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 0}
    pooled = [op("AveragePool", one, **smooth) for one in maps]
    finest = op("AveragePool", pooled[0], kernel_shape=[2, 2], strides=[2, 2])  # its stage is twice as fine
    return side_by_side([finest, *pooled[1:]], axis=1).transpose(0, 2, 3, 1)


def smooth_photos(n: int, side: int) -> NDArray[np.float32]:
    """Made-up photos ``(n, 3, side, side)`` in [0, 1]: smooth ones, a black one and a white one."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((n, 3, 7, 7)).astype(np.float32))
    photos = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1).numpy()
    photos[0], photos[1] = 0.0, 1.0
    made: NDArray[np.float32] = photos
    return made
