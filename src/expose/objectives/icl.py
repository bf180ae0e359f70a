"""Internal contrastive learning (ICL).

Shenkar, Wolf: "Anomaly Detection for Tabular Data with Internal Contrastive Learning", ICLR 2022; the abnormal loss
is that of Qiu et al.: "Latent Outlier Exposure for Anomaly Detection with Contaminated Data", ICML 2022.

A window of w consecutive columns slides over the row. At each of its J positions, network F embeds the w values
inside and network G the D - w values outside. In normal rows the two belong together (mutual information), so with
unit vectors f_j, g_j, temperature tau, and

    h_j = exp(f_j . g_j / tau) / sum_l exp(f_l . g_j / tau)

the losses are

    normal(x)   = -1/J sum_j log h_j
    abnormal(x) = -1/J sum_j log (1 - h_j)

both divided by log J, so that a model whose h_j are all 1/J has normal = 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.networks import Perceptron
from expose.objectives.base import Losses, Objective, full_precision, register

VALUES_BUDGET = 2**20  # of one row's complements; binds above about 1,000 columns


@register("icl")
class ICL(Objective):
    """Internal contrastive learning over sliding windows of columns. Needs at least two columns.

    Parameters
    ----------
    window : int or None
        w. None follows the paper: 2 up to 40 columns, 10 up to 160, D - 150 above; less than D in any case.
    hidden, latent : int
        Widths of F and G, which have three layers each and a hyperbolic tangent after the first, as published.
    temperature : float, default=0.01
        tau, the published value. The losses stay finite there.
    """

    lowest = {"window": 1, "hidden": 1, "latent": 1, "temperature": 1e-6}  # noqa: RUF012 - never changed

    def __init__(
        self, window: int | None = None, hidden: int = 50, latent: int = 32, temperature: float = 0.01, **training: Any
    ) -> None:
        super().__init__(**training)
        self.window = window
        self.hidden = hidden
        self.latent = latent
        self.temperature = temperature

    def build(self, layout: Layout) -> None:
        """Choose the window positions and make F and G."""
        n_features = layout.n_values
        if n_features < 2:
            raise ValueError(
                f"ICL contrasts columns with each other and needs at least 2; got n_features={n_features} after "
                "encoding. Use another objective, for example 'autoencoder'."
            )
        self.width = min(self.window or published_window(n_features), n_features - 1)
        self.positions = min(n_features - self.width + 1, max(2, VALUES_BUDGET // n_features))
        widths = [self.hidden, self.hidden, self.latent]
        self.inside = Perceptron([self.width, *widths], first=nn.Tanh)
        self.outside = Perceptron([n_features - self.width, *widths], first=nn.Tanh)

    def split(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Values inside and outside of each window: ``(B, D) -> (B, J, w), (B, J, D - w)``."""
        d = batch.shape[-1]
        last = d - self.width
        start = torch.linspace(0, last, self.positions, device=batch.device).round().long()[:, None]  # (J, 1)
        inside = start + torch.arange(self.width, device=batch.device)  # (J, w)
        outside = torch.arange(last, device=batch.device)  # (D - w,)
        outside = outside + self.width * (outside >= start)  # (J, D - w): skip the window
        return batch[:, inside], batch[:, outside]

    def losses(self, batch: Tensor) -> Losses:
        """``-log h_j`` and ``-log (1 - h_j)``; as ``h_j = sigmoid(-margin)``, both are a softplus and stay finite."""
        inside, outside = self.split(batch)
        f = F.normalize(self.inside(inside).to(batch.dtype), dim=-1)  # (B, J, latent)
        g = F.normalize(self.outside(outside).to(batch.dtype), dim=-1)  # (B, J, latent)
        with full_precision(batch):
            similarity = g @ f.transpose(1, 2) / self.temperature  # (B, J, J): complement j against window l
        same = similarity.diagonal(dim1=-2, dim2=-1)  # (B, J)
        itself = torch.eye(self.positions, dtype=torch.bool, device=batch.device)
        margin = similarity.masked_fill(itself, -math.inf).logsumexp(-1) - same  # (B, J): log (1 - h_j) / h_j
        unit = math.log(self.positions)
        return Losses(F.softplus(margin).mean(-1) / unit, F.softplus(-margin).mean(-1) / unit)


def published_window(n_features: int) -> int:
    """The paper's window width for a table of ``n_features`` columns."""
    if n_features <= 40:
        return 2
    return 10 if n_features <= 160 else n_features - 150
