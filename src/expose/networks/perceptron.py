"""The multilayer perceptron under every tabular objective."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from expose.errors import InputError
from expose.networks.maps import linear, relu

MOST_LAYERS = 1_000  # more could not be trained, and a damaged model folder may ask for any number


class Perceptron(nn.Sequential):
    """Linear layers with a ReLU between them, none after the last.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, at least two.
    bias : bool, default=True
        Without a bias the network cannot output a constant, which keeps one-class losses from collapsing
        (Ruff et al., 2018, proposition 2).

    Examples
    --------
    >>> import torch
    >>> Perceptron([6, 24, 24], bias=False)(torch.zeros(5, 6)).shape
    torch.Size([5, 24])
    """

    def __init__(self, sizes: Sequence[int], *, bias: bool = True) -> None:
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(sizes):
            layers += [Linear(width_in, width_out, bias=bias), ReLU()]
        super().__init__(*layers[:-1])

    def __call__(self, rows: Tensor) -> Tensor:
        """Map ``(..., D)`` to ``(..., sizes[-1])``."""
        result: Tensor = super().__call__(rows)
        return result


class Linear(nn.Linear):
    """Torch's, by the quicker of its libraries."""

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(..., D)`` to ``(..., W)``."""
        made = linear(rows, self.weight)
        return made if self.bias is None else made + self.bias


class ReLU(nn.ReLU):
    """Torch's, in place where it may: what it is given is a layer's own result."""

    def forward(self, rows: Tensor) -> Tensor:
        """Of any shape."""
        return relu(rows)


def hidden_widths(width: int, layers: int) -> list[int]:
    """Widths of all hidden layers of a perceptron of so many linear layers, from 1 to 1,000."""
    if not 1 <= layers <= MOST_LAYERS:
        raise InputError(f"A network must have from 1 to {MOST_LAYERS:,} linear layers; got {layers}.")
    return [width] * (layers - 1)


def default_sizes(n_features: int) -> tuple[int, int]:
    """Hidden and latent width for tables of ``n_features`` columns: the rule of the authors of NTL and LOE."""
    if n_features < 32:
        return 2 * n_features, 2 * n_features
    return (64, 32) if n_features <= 300 else (256, 64)
