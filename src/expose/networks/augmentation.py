"""Random changes of images that leave their class as it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = 4


def flip_and_crop(images: Tensor, padding: int = PADDING) -> Tensor:
    """Mirror each image left to right by chance, and move it by up to ``padding`` pixels: ``(B, C, H, W)``.

    What comes into view is black. Source: the usual augmentation of CIFAR, as in Zagoruyko and Komodakis, "Wide
    Residual Networks", BMVC 2016.
    """
    count, _, height, width = images.shape
    there = images.device
    flipped = torch.where(torch.rand(count, 1, 1, 1, device=there) < 0.5, images.flip(-1), images)
    padded = pad(flipped, [padding] * 4)
    top, left = torch.randint(2 * padding + 1, (2, count, 1), device=there)
    rows = top + torch.arange(height, device=there)  # (B, H)
    columns = left + torch.arange(width, device=there)  # (B, W)
    number = torch.arange(count, device=there)[:, None, None]
    return padded.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
