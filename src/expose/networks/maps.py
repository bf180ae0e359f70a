"""Products of rows with weights, by the quicker of torch's two libraries.

On a CPU torch multiplies float32 matrices by MKL, which computes by the half width of the vector unit on processors of
AMD. Its convolutions go to oneDNN, which takes the full width of any. A linear map is a convolution of 1x1 pixels, so
wide maps are written as such: the same numbers in half the time (docs/notes/training-speed.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

IMAGES = 16  # of fewer torch leaves the convolution to its own code, which is slower
PAYS = 1_000_000  # multiplications; for fewer the call itself costs more than it gains
ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
WIDE_VECTORS = ONEDNN and torch.backends.cpu.get_cpu_capability() == "AVX512"


def linear(rows: Tensor, weight: Tensor) -> Tensor:
    """One linear map, as `torch.nn.functional.linear` has it: ``(..., D)`` by ``(W, D)`` to ``(..., W)``.

    Examples
    --------
    >>> linear(torch.ones(32, 40), torch.ones(20, 40)).shape
    torch.Size([32, 20])
    """
    flat = rows.reshape(-1, rows.shape[-1])
    if not convolves(flat, weight):
        return F.linear(rows, weight)
    return convolved(flat, weight, 1).reshape(*rows.shape[:-1], len(weight))


def linears(rows: Tensor, weights: Tensor) -> Tensor:
    """K linear maps side by side, of the same row or each of its own: ``(B, 1 or K, D)`` by ``(K, D, W)``.

    Returns ``(B, K, W)``.

    Examples
    --------
    >>> linears(torch.ones(32, 1, 40), torch.ones(3, 40, 20)).shape
    torch.Size([32, 3, 20])
    """
    maps, width_in, width_out = weights.shape
    if not convolves(rows, weights):
        return (rows.transpose(0, 1) @ weights).transpose(0, 1)
    stacked = weights.transpose(1, 2).reshape(maps * width_out, width_in)
    return convolved(rows.flatten(1), stacked, rows.shape[1]).view(len(rows), maps, width_out)


def relu(values: Tensor) -> Tensor:
    """Torch's, in place where no gradient asks for what was there: scoring would wait for fresh memory.

    Examples
    --------
    >>> relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return F.relu(values, inplace=not torch.is_grad_enabled())


def convolves(rows: Tensor, weights: Tensor) -> bool:
    """Whether a product is made by a convolution: where one can be, for scores always, for training where it pays.

    MKL's products of small matrices round by where in the batch a row is, and scores must not
    (`expose.training.tiles`). `torch.vmap` would reorder a convolution of all members.
    """
    possible = ONEDNN and len(rows) % IMAGES == 0 and rows.dtype == torch.float32 and rows.device.type == "cpu"
    if not possible or torch.is_autocast_enabled("cpu") or torch._C._functorch.is_batchedtensor(rows):
        return False
    return not torch.is_grad_enabled() or (WIDE_VECTORS and len(rows) * weights.numel() >= PAYS)


def convolved(rows: Tensor, weight: Tensor, groups: int) -> Tensor:
    """``(n, groups * D)`` by ``(W, D)`` to ``(n, W)``; rows are the pixels of images whose channels come last."""
    images = rows.reshape(IMAGES, -1, 1, rows.shape[-1]).permute(0, 3, 1, 2)  # (16, groups * D, n / 16, 1)
    made = F.conv2d(images, weight[:, :, None, None], groups=groups)
    return made.permute(0, 2, 3, 1).reshape(len(rows), -1)
