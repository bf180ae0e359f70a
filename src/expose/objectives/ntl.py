"""Neural transformation learning (NTL).

Qiu, Pfrommer, Kloft, Mandt, Rudolph: "Neural Transformation Learning for Deep Anomaly Detection Beyond Images",
ICML 2021; the abnormal loss is that of Qiu, Li, Kloft, Rudolph, Mandt: "Latent Outlier Exposure for Anomaly
Detection with Contaminated Data", ICML 2022.

K learned transformations T_k make K views of a row; an encoder f maps the row and its views to z_0 and z_1 .. z_K.
With the cosine similarity s(a, b) = a.b / (|a| |b|), temperature tau, and

    h_k = exp(s(z_k, z_0) / tau) / [ exp(s(z_k, z_0) / tau) + sum_{l != k, l >= 1} exp(s(z_k, z_l) / tau) ]

the deterministic contrastive loss (Qiu et al., 2021, eq. 2) asks each view to resemble the row it came from and to
differ from the other views:

    normal(x)   = -1/K sum_k log h_k
    abnormal(x) = -1/K sum_k log (1 - h_k)

Both are divided by log K, so that a model whose h_k are all 1/K has normal = 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.networks import Perceptron, default_sizes, hidden_widths
from expose.objectives.base import Losses, Objective, full_precision, register

WEIGHTS_BUDGET = 4_000_000  # of all transformations together; binds above about 1,000 columns


@register("ntl")
class NTL(Objective):
    """Neural transformation learning with residual two-layer transformations.

    Parameters
    ----------
    transformations : int, default=9
        K, the number of learned views, at least 2.
    transform_width : int or None
        Hidden width of each transformation; None takes the number of columns, at most 200, less for very wide tables.
    hidden, latent : int or None
        Encoder widths; None follows `expose.networks.default_sizes`.
    encoder_layers : int, default=4
        Number of linear layers of the encoder.
    temperature : float, default=0.1
        tau.
    constant : float, default=1.0
        Each row is given one more value, ``constant * sqrt(D)``. Without it (0, as published) every layer is
        homogeneous and the cosine forgets lengths, so a row scores like any multiple of itself: on centred data the
        distance from the middle is lost (docs/notes/ntl-distances.md).
    """

    forms = ("vector", "image")  # an image is a row of pixels
    lowest = {  # noqa: RUF012 - never changed
        "transformations": 2, "transform_width": 1, "hidden": 1, "latent": 1, "encoder_layers": 1,
        "temperature": 1e-6, "constant": 0.0,
    }  # fmt: skip

    def __init__(
        self,
        transformations: int = 9,
        transform_width: int | None = None,
        hidden: int | None = None,
        latent: int | None = None,
        encoder_layers: int = 4,
        temperature: float = 0.1,
        constant: float = 1.0,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.transformations = transformations
        self.transform_width = transform_width
        self.hidden = hidden
        self.latent = latent
        self.encoder_layers = encoder_layers
        self.temperature = temperature
        self.constant = constant

    def build(self, layout: Layout) -> None:
        """Make K transformations and the encoder; no layer has a bias, which would let views ignore their row."""
        n_features = layout.n_values
        self.pad = self.constant * math.sqrt(n_features)
        n_features += self.pad > 0
        affordable = max(8, WEIGHTS_BUDGET // (2 * self.transformations * n_features))
        width = self.transform_width or min(n_features, 200, affordable)
        self.inner = uniform_weights(self.transformations, n_features, width)  # (K, D, W)
        self.outer = uniform_weights(self.transformations, width, n_features)  # (K, W, D)
        default_hidden, default_latent = default_sizes(n_features)
        hidden, latent = self.hidden or default_hidden, self.latent or default_latent
        self.encoder = Perceptron([n_features, *hidden_widths(hidden, self.encoder_layers), latent], bias=False)

    def views(self, batch: Tensor) -> Tensor:
        """Return the row and its K views, ``x + T_k(x)``: ``(B, D) -> (K + 1, B, D)``."""
        row = F.pad(batch, (0, 1), value=self.pad) if self.pad else batch  # (B, D), one more with the constant
        changed = row + F.relu(row @ self.inner) @ self.outer  # (K, B, D)
        return torch.cat([row.unsqueeze(0), changed])

    def losses(self, batch: Tensor) -> Losses:
        """``-log h_k`` and ``-log (1 - h_k)``; as ``h_k = sigmoid(-margin)``, both are a softplus and stay finite."""
        encoded = self.encoder(self.views(batch)).to(batch.dtype).transpose(0, 1)  # (B, K + 1, latent)
        z = F.normalize(encoded.contiguous(), dim=-1)
        row, views = z[:, :1], z[:, 1:]  # (B, 1, latent), (B, K, latent)
        same = (views * row).sum(-1) / self.temperature  # (B, K): view k against its row
        with full_precision(batch):
            among = views @ views.transpose(1, 2) / self.temperature  # (B, K, K): view k against view l
        itself = torch.diag(among.new_full((self.transformations,), -math.inf))
        margin = (among + itself).logsumexp(-1) - same  # (B, K): log (1 - h_k) / h_k
        unit = math.log(self.transformations)
        return Losses(F.softplus(margin).mean(-1) / unit, F.softplus(-margin).mean(-1) / unit)


def uniform_weights(stack: int, width_in: int, width_out: int) -> nn.Parameter:
    """``stack`` linear maps, random as torch makes one: uniform within ``1 / sqrt(width_in)``."""
    bound = 1 / math.sqrt(width_in)
    return nn.Parameter(torch.empty(stack, width_in, width_out).uniform_(-bound, bound))
