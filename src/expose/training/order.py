"""In which order rows and outliers are walked through; every random number follows from a seed and an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor


class OutlierSource(Protocol):
    """Auxiliary outliers that need not fit into memory."""

    def batch(self, size: int, taken: int) -> Tensor:
        """Encoded outliers ``(size, D)``, after so many that were taken in all steps before."""
        ...


def shuffle(seeds: tuple[int, ...], epoch: int, n: int) -> Tensor:
    """Each member's own order of the rows in this epoch, ``(M, N)``."""
    generators = (torch.Generator().manual_seed(mix(seed, epoch)) for seed in seeds)
    return torch.stack([torch.randperm(n, generator=generator) for generator in generators])


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut ``(M, N)`` into batches ``(M, B)``; a last one of a single row joins the one before."""
    parts = list(torch.split(order, size, dim=-1))
    if len(parts) > 1 and parts[-1].shape[1] == 1:  # batch normalisation cannot see spread in one row
        parts[-2:] = [torch.cat(parts[-2:], dim=-1)]
    return parts


def outlier_batches(
    outliers: Tensor | OutlierSource | None, sizes: Sequence[int], seeds: tuple[int, ...], epoch: int
) -> Iterator[Tensor | None]:
    """Outliers ``(M, O, D)`` for every batch of an epoch, in shuffled passes: all are used before one is used again."""
    if outliers is None:
        yield from (None for _ in sizes)
        return
    start, end = epoch * sum(sizes), (epoch + 1) * sum(sizes)  # places in the endless row of passes
    if not isinstance(outliers, Tensor):
        for size in sizes:
            rows = outliers.batch(size, start)
            start += size
            yield rows.expand(len(seeds), *rows.shape)
        return
    count = len(outliers)
    passes = range(start // count, -(-end // count))
    order = torch.cat([shuffle(seeds, mix(number, 0, stream=3), count) for number in passes], dim=-1)  # (M, ...)
    order = order[:, start % count :].to(outliers.device)
    for index in torch.split(order[:, : sum(sizes)], list(sizes), dim=-1):
        yield outliers[index]


def mix(seed: int, number: int, stream: int = 0) -> int:
    """One 63-bit seed from several numbers, by splitmix64: near numbers give unrelated seeds."""
    state = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) & (2**64 - 1)
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (state ^ (state >> 31)) >> 1
