"""Where and how precisely to compute, and torch's random state, which all threads of a process share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from expose.errors import InputError
from expose.threads import TURN, torch_threads

SMALL_STEP = 4_000_000  # weights of all members times parts of a batch
WIDE = 200_000  # weights of one member above which matrix products outweigh the casts to bf16 (docs/notes/precision.md)


@contextmanager
def fitting_threads(weights_times_rows: int) -> Iterator[None]:
    """One CPU thread inside the block where a step is small, all of them otherwise.

    Threads that wait for each other at every tiny operation gain nothing on an idle machine, and on a busy one they
    make a training up to twenty times slower (docs/notes/threads.md).
    """
    with torch_threads(1 if weights_times_rows < SMALL_STEP else None):
        yield


@contextmanager
def torch_seed(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators inside the block only; outside they are as they were.

    Layers draw their first weights, and dropout its masks, from those generators and from no other.
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with TURN.lock, torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


def torch_device(device: str) -> torch.device:
    """The device that "auto", "cpu", "cuda" or "cuda:<index>" names; "auto" is a CUDA device where there is one.

    Raises
    ------
    InputError
        For other names, or a CUDA device that is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise InputError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'; got {device!r}.")
    if device == "cpu":
        return torch.device("cpu")
    index = int(match[1] or 0)
    if index >= torch.cuda.device_count():
        raise InputError(
            f"device={device!r} is not there: torch sees {torch.cuda.device_count()} CUDA device(s). "
            "Use device='cpu' or 'auto'."
        )
    return torch.device("cuda", index)


def mixed_precision(precision: str, device: torch.device, n_weights: int) -> torch.autocast:
    """A block in which products are made in bf16, or one that changes nothing.

    Parameters
    ----------
    precision : {"auto", "32", "bf16"}
        "auto" takes bf16 for members of more than 200,000 weights on hardware that computes in it.
    device : torch.device
    n_weights : int
        Weights of one member.
    """
    wanted = precision == "bf16" or (precision == "auto" and n_weights > WIDE and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
