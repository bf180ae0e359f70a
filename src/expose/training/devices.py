"""Where and how precisely to compute."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("auto", "32", "bf16")
SMALL_STEP = 2_000_000  # weights of all members times rows of a batch
WIDE = 200_000  # weights of one member above which matrix products outweigh the casts to bf16 (docs/notes.md)


def make_fabric(device: str, precision: str, n_weights: int) -> Fabric:
    """A one-device Fabric.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"} or "cuda:<index>"
        "auto" takes a CUDA device where there is one.
    precision : {"auto", "32", "bf16"}
        "auto" takes bf16 for members of more than 200,000 weights on hardware that computes in it.
    n_weights : int
        Weights of one member.

    Raises
    ------
    ValueError
        For other values, or a CUDA device that is not there.
    """
    from lightning_fabric import Fabric  # takes seconds; scoring does without
    from lightning_fabric.plugins.precision import MixedPrecision

    class Bf16Products(MixedPrecision):
        """Rounds what is multiplied, and no row on its way in: bf16 cannot hold the number of a token."""

        def convert_input(self, data: Any) -> Any:
            return data

    accelerator, devices = parse_device(device)
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {list(PRECISIONS)}; got {precision!r}.")
    if precision == "auto":
        precision = "bf16" if n_weights > WIDE and has_bf16(accelerator) else "32"
    how: Any = {"plugins": Bf16Products("bf16-mixed", accelerator)} if precision == "bf16" else {"precision": "32-true"}
    with warnings.catch_warnings(), quiet("lightning_fabric"):
        warnings.filterwarnings("ignore", message=".*(srun|SLURM).*")
        return Fabric(accelerator=accelerator, devices=devices, **how)


@contextmanager
def fitting_threads(weights_times_rows: int) -> Iterator[None]:
    """One CPU thread inside the block where a step is small, all of them otherwise.

    Threads that wait for each other at every tiny operation gain nothing on an idle machine, and on a busy one they
    make a training up to twenty times slower (docs/notes.md).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if weights_times_rows < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet(logger_name: str) -> Iterator[None]:
    """Hold back a library's remarks below warnings inside the block."""
    logger = logging.getLogger(logger_name)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def parse_device(device: str) -> tuple[str, int | list[int]]:
    """Fabric's accelerator and devices for our one device string."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'; got {device!r}.")
    if device == "cpu":
        return "cpu", 1
    index = int(match[1] or 0)
    if index >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} is not there: torch sees {torch.cuda.device_count()} CUDA device(s). "
            "Use device='cpu' or 'auto'."
        )
    return "cuda", [index]


def torch_device(device: str) -> torch.device:
    """The same place as `make_fabric` takes, as torch names it; what scoring needs."""
    accelerator, devices = parse_device(device)
    return torch.device("cpu") if isinstance(devices, int) else torch.device(accelerator, devices[0])


def has_bf16(accelerator: str) -> bool:
    """Whether the hardware multiplies bf16 matrices faster than float32 ones."""
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
