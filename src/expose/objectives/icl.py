"""Internal contrastive learning (ICL).

Shenkar, Wolf: "Anomaly Detection for Tabular Data with Internal Contrastive Learning", ICLR 2022, with the networks of
their supplement; the abnormal loss is that of Qiu et al.: "Latent Outlier Exposure for Anomaly Detection with
Contaminated Data", ICML 2022.

A window of w consecutive columns slides over the row. At each of its J positions, one network embeds the w values
inside, another the D - w values outside. In normal rows the two belong together (mutual information), so with unit
vectors f_j of the inside and g_j of the outside, temperature tau, and

    h_j = exp(f_j . g_j / tau) / sum_l exp(f_l . g_j / tau)

the losses are

    normal(x)   = -1/J sum_j log h_j
    abnormal(x) = -1/J sum_j log (1 - h_j)

both divided by log J, so that a model whose h_j are all 1/J has normal = 1. Which columns are neighbours depends on
their order, so this is done for several orders, each with networks of its own, and the losses are the means of theirs.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks.perceptron import Linear
from expose.objectives.base import Losses, Objective, full_precision, register

VALUES_BUDGET = 2**20  # of one row's complements; binds above about 1,000 columns
VALUES_AT_ONCE = 2**22  # of a hidden layer, in which many rows of a wide table would take gigabytes
SLOPE = 0.2  # of the leaky ReLU below zero
BLOCK = 16  # rows go through the networks in multiples of it, see `expose.networks.maps`
MOST_ORDERS = 1_000  # a damaged model folder may ask for any number
USUAL_ROWS = 1_000  # their number changes the published number of orders by hardly one


@register("icl")
class ICL(Objective):
    """Internal contrastive learning over sliding windows of columns. Needs at least two columns.

    Parameters
    ----------
    window : int or None
        w. None follows the paper: 2 up to 40 columns, 10 up to 160, D - 150 above; less than D in any case.
    orders : int or None
        Orders of the columns, the first as they come, others by chance. None is the published number for 1,000 rows,
        see `column_orders`.
    hidden : int, default=200
        Width of the vectors. The network of the outside has layers of once, twice and once this width, that of the
        inside of a quarter, half and once, as published.
    temperature : float, default=0.01
        tau, the published value. The losses stay finite there.
    across : bool, default=True
        Whether each feature is brought to length one across the positions of a row before each vector is, as in the
        authors' supplement.

    Examples
    --------
    >>> icl = ICL(epochs=5)
    >>> icl.build(Layout("vector", (9,)))
    >>> len(icl.orderings), icl.positions
    (7, 8)
    """

    lowest = {"window": 1, "orders": 1, "hidden": 4, "temperature": 1e-6}  # noqa: RUF012 - never changed

    def __init__(
        self,
        window: int | None = None,
        orders: int | None = None,
        hidden: int = 200,
        temperature: float = 0.01,
        across: bool = True,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.window = window
        self.orders = orders
        self.hidden = hidden
        self.temperature = temperature
        self.across = across

    def build(self, layout: Layout) -> None:
        """Draw the orders of the columns and make two networks for each."""
        d = layout.n_values
        if d < 2:
            raise InputError(
                f"ICL contrasts columns with each other and needs at least 2; got n_features={d} after "
                "encoding. Use another objective, for example 'autoencoder'."
            )
        width = min(self.window or published_window(d), d - 1)
        self.positions = min(d - width + 1, max(2, VALUES_BUDGET // d))
        self.rows_at_once = BLOCK * max(1, VALUES_AT_ONCE // (BLOCK * 2 * self.hidden * self.positions))
        count = self.orders or column_orders(USUAL_ROWS, d)
        if count > MOST_ORDERS:
            raise InputError(f"orders must be from 1 to {MOST_ORDERS:,}; got {count}.")
        orders = [torch.arange(d), *(torch.randperm(d) for _ in range(count - 1))]
        self.orderings = nn.ModuleList(Ordering(order, width, self.positions, self.hidden) for order in orders)

    def losses(self, batch: Tensor) -> Losses:
        """Both losses of every row, some rows at a time."""
        parts = [self.losses_of_few(rows) for rows in torch.split(batch, self.rows_at_once)]
        return Losses(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def losses_of_few(self, rows: Tensor) -> Losses:
        """Means over the orders of ``-log h_j`` and ``-log (1 - h_j)``.

        As ``h_j = sigmoid(-margin)``, both are a softplus and stay finite.
        """
        margins = torch.stack([self.margins(ordering, rows) for ordering in self.orderings], dim=1)  # (B, R, J)
        unit = math.log(margins.shape[-1])
        return Losses(F.softplus(margins).mean((1, 2)) / unit, F.softplus(-margins).mean((1, 2)) / unit)

    def margins(self, ordering: nn.Module, rows: Tensor) -> Tensor:
        """``log (1 - h_j) / h_j`` of every position of an order, ``(B, J)``."""
        f, g = (self.unit(vectors.to(rows.dtype)) for vectors in ordering(rows))  # (B, J, hidden)
        with full_precision(rows):
            similarity = g @ f.transpose(1, 2) / self.temperature  # (B, J, J): complement j against window l
        same = similarity.diagonal(dim1=-2, dim2=-1)  # (B, J)
        itself = torch.eye(self.positions, dtype=torch.bool, device=rows.device)
        return similarity.masked_fill(itself, -math.inf).logsumexp(-1) - same

    def unit(self, vectors: Tensor) -> Tensor:
        """Vectors ``(B, J, hidden)`` at length one; before that each feature across the positions."""
        return F.normalize(F.normalize(vectors, dim=1) if self.across else vectors, dim=2)


class Ordering(nn.Module):
    """One order of the columns: where the windows lie, and the networks of what is inside and outside of them."""

    order: Tensor

    def __init__(self, order: Tensor, width: int, positions: int, hidden: int) -> None:
        super().__init__()
        self.width = width
        self.positions = positions
        self.register_buffer("order", order)
        outside, half, quarter = len(order) - width, hidden // 2, hidden // 4
        self.inside = nn.Sequential(
            Linear(width, quarter), nn.Tanh(), PositionScale(positions),
            Linear(quarter, half), nn.LeakyReLU(SLOPE),
            Linear(half, hidden), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.outside = nn.Sequential(
            Linear(outside, hidden), nn.Tanh(), PositionScale(positions),
            Linear(hidden, 2 * hidden), nn.LeakyReLU(SLOPE), PositionScale(positions),
            Linear(2 * hidden, hidden), nn.LeakyReLU(SLOPE),
        )  # fmt: skip

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the inside and the outside at each position, ``(B, D) -> (B, J, hidden)`` each."""
        inside, outside = self.split(rows)
        return self.inside(inside), self.outside(outside)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Values inside and outside of each window: ``(B, D) -> (B, J, w), (B, J, D - w)``."""
        last = rows.shape[-1] - self.width
        start = torch.linspace(0, last, self.positions, device=rows.device).round().long()[:, None]  # (J, 1)
        inside = start + torch.arange(self.width, device=rows.device)  # (J, w)
        outside = torch.arange(last, device=rows.device)  # (D - w,)
        outside = outside + self.width * (outside >= start)  # (J, D - w): skip the window
        return rows[:, self.order[inside]], rows[:, self.order[outside]]


class PositionScale(nn.Module):
    """A gain and a bias for each window position.

    What is learned in the authors' batch normalisation over positions. Its statistics are left out: with them a row's
    score would depend on the company that it is in.
    """

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(positions, 1))
        self.bias = nn.Parameter(torch.zeros(positions, 1))

    def forward(self, vectors: Tensor) -> Tensor:
        """Of ``(B, J, W)``."""
        return vectors * self.gain + self.bias


def published_window(n_features: int) -> int:
    """The paper's window width for a table of ``n_features`` columns."""
    if n_features <= 40:
        return 2
    return 10 if n_features <= 160 else n_features - 150


def column_orders(n_rows: int, n_features: int) -> int:
    """Orders of the columns over which the authors sum the score, each with networks of its own.

    >>> column_orders(66, 13), column_orders(1_000, 13), column_orders(10_000, 121)
    (6, 6, 1)
    """
    return math.floor(100 / (math.log(n_rows) + n_features)) + 1
