"""Which network for which rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks.convolutional import ConvNet
from expose.networks.perceptron import Perceptron, default_sizes
from expose.networks.recurrent import RecurrentNet
from expose.networks.wide_resnet import WideResNet

DEFAULTS = {"vector": "mlp", "image": "conv", "tokens": "gru"}  # a network for each form of parts


class Unfolded(nn.Module):
    """A network of rows ``(B, *layout.shape)`` that reads encoded ones: they are unfolded as their layout says."""

    def __init__(self, layout: Layout, network: nn.Module) -> None:
        super().__init__()
        self.layout = layout
        self.network = network

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows ``(B, D)`` to ``(B, n_out)``."""
        result: Tensor = self.network(self.layout.unfold(rows))
        return result


def backbone(layout: Layout, n_out: int, *, bias: bool = True, hidden: Sequence[int] | None = None) -> nn.Module:
    """The network under a one-class objective, from rows ``(B, D)`` to ``(B, n_out)``: no row changes another's output.

    A table gets a perceptron, images a `ConvNet` normalised image by image, texts a `RecurrentNet`.

    Parameters
    ----------
    bias : bool, default=True
        Without, the network cannot output a constant, whatever the row.
    hidden : sequence of int, optional
        Widths of the hidden layers of a table's perceptron; two of the usual width by default. Others ignore it.

    Examples
    --------
    >>> import torch
    >>> network = backbone(Layout("image", (1, 28, 28)), 16, bias=False)
    >>> network(torch.rand(3, 784)).shape
    torch.Size([3, 16])
    """
    if layout.form == "image":
        return Unfolded(layout, ConvNet(layout.shape, n_out, norm="group", bias=bias))
    if layout.form == "tokens":
        return Unfolded(layout, RecurrentNet(layout.n_tokens, n_out, bias=bias))
    width = default_sizes(layout.n_values)[0]
    return Perceptron([layout.n_values, *(hidden or (width, width)), n_out], bias=bias)


def make_perceptron(layout: Layout, n_out: int) -> nn.Module:
    """A perceptron with two hidden layers, at least 64 wide, so that it can tell many classes apart."""
    width = max(64, default_sizes(layout.n_values)[0])
    return Perceptron([layout.n_values, width, width, n_out])


def make_wide(layout: Layout, n_out: int, *, depth: int, widen: int, dropout: float) -> nn.Module:
    """A `WideResNet`."""
    return Unfolded(layout, WideResNet(layout.shape, n_out, depth=depth, widen=widen, dropout=dropout))


NETWORKS: dict[str, tuple[tuple[str, ...], Callable[[Layout, int], nn.Module]]] = {  # name: forms of parts, maker
    "mlp": (("vector", "image"), make_perceptron),
    "conv": (("image",), lambda layout, n_out: Unfolded(layout, ConvNet(layout.shape, n_out))),
    "wrn-40-2": (("image",), partial(make_wide, depth=40, widen=2, dropout=0.3)),
    "wrn-16-4": (("image",), partial(make_wide, depth=16, widen=4, dropout=0.4)),
    "gru": (("tokens",), lambda layout, n_out: Unfolded(layout, RecurrentNet(layout.n_tokens, n_out))),
}


def make_network(name: str, layout: Layout, n_out: int) -> nn.Module:
    """A classifier's network by name, from rows ``(B, D)`` to ``(B, n_out)``.

    Parameters
    ----------
    name : {"auto", "mlp", "conv", "wrn-40-2", "wrn-16-4", "gru"}
        "auto": a perceptron for tables, a small convolutional network for images, a recurrent one for texts. The wide
        residual networks drop as Hendrycks et al. (ICLR 2019) do: 0.3 of WRN-40-2's values, 0.4 of WRN-16-4's.

    Raises
    ------
    InputError
        If there is no such network, or it is made for other rows.

    Examples
    --------
    >>> make_network("auto", Layout("vector", (6,)), 3)[0]
    Linear(in_features=6, out_features=64, bias=True)
    """
    chosen = DEFAULTS[layout.form] if name == "auto" else name
    if chosen not in NETWORKS:
        raise InputError(f"The network must be one of {['auto', *NETWORKS]} or a torch module; got {name!r}.")
    forms, make = NETWORKS[chosen]
    if layout.form not in forms:
        fitting = ["auto", *(other for other, (its_forms, _) in NETWORKS.items() if layout.form in its_forms)]
        raise InputError(
            f"The network {name!r} is made for parts of the form {' or '.join(forms)}; these have the form "
            f"{layout.form}. Choose one of {fitting}."
        )
    return make(layout, n_out)
