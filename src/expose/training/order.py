"""In which order parts and outliers are walked through; every random number follows from a seed and an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Protocol

import torch
from torch import Tensor


class Stream(IntEnum):
    """What random numbers are for. Streams of one seed are independent; those of one number never meet."""

    ORDER = 0  # of training parts; and the seeds of members
    STEPS = 1  # what layers draw while training
    SUSPECTS = 2  # how many of a batch, where the share makes no whole number
    OUTLIERS = 3  # order of auxiliary outliers
    LATENT = 4
    FOLDS = 5
    QUERIES = 5
    FOLD_SEEDS = 6
    WILD = 6  # which outliers count as anomalous


class OutlierSource(Protocol):
    """Auxiliary outliers that need not fit into memory."""

    def batch(self, size: int, taken: int) -> Tensor:
        """Encoded outliers ``(size, D)``, after so many that were taken in all steps before."""
        ...


def shuffle(seeds: Sequence[int], epoch: int, n: int) -> Tensor:
    """Each member's own order of the parts in this epoch, ``(M, N)``."""
    generators = (generator_of(seed, epoch) for seed in seeds)
    return torch.stack([torch.randperm(n, generator=generator) for generator in generators])


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut ``(M, N)`` into batches ``(M, B)``; a last one of a single part joins the one before."""
    parts = list(torch.split(order, size, dim=-1))
    if len(parts) > 1 and parts[-1].shape[1] == 1:  # batch normalisation cannot see spread in one part
        parts[-2:] = [torch.cat(parts[-2:], dim=-1)]
    return parts


def outlier_batches(
    outliers: Tensor | OutlierSource | None, sizes: Sequence[int], seeds: Sequence[int], epoch: int
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
    order = torch.cat([shuffle(seeds, mix(number, 0, Stream.OUTLIERS), count) for number in passes], dim=-1)  # (M, ...)
    order = order[:, start % count :].to(outliers.device)
    for index in torch.split(order[:, : sum(sizes)], list(sizes), dim=-1):
        yield outliers[index]


def mix(seed: int, number: int, stream: int = Stream.ORDER) -> int:
    """One 63-bit seed from several numbers, by splitmix64: near numbers give unrelated seeds."""
    state = (seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) & (2**64 - 1)
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (state ^ (state >> 31)) >> 1


def generator_of(seed: int, number: int, stream: Stream = Stream.ORDER) -> torch.Generator:
    """A generator of our own, on the CPU: the global ones stay as they are."""
    return torch.Generator().manual_seed(mix(seed, number, stream))
