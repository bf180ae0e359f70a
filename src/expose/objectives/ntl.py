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
from expose.networks import Perceptron, default_sizes, hidden_widths, linears, relu
from expose.objectives.base import Losses, Objective, full_precision, register

WEIGHTS_BUDGET = 4_000_000  # of all transformations together; binds above about 1,000 columns
SHORTEST = 1e-12  # length of a vector that has a direction
FURTHEST = 1e12  # value beyond which a square could overflow


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
    encoders = {"image": "efficientnet-lite2"}  # noqa: RUF012 - never changed; pixels alone say little
    varied_share = 0.1
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
        """Return the row and its K views, ``x + T_k(x)``: ``(B, D) -> (B, K + 1, D)``."""
        within = batch.clamp(-FURTHEST, FURTHEST)
        padded = F.pad(within, (0, 1), value=self.pad) if self.pad else within
        row = padded.unsqueeze(1)  # (B, 1, D), D one more with the constant
        changed = row + linears(relu(linears(row, self.inner)), self.outer)  # (B, K, D)
        return torch.cat([row, changed], dim=1)

    def losses(self, batch: Tensor) -> Losses:
        """``-log h_k`` and ``-log (1 - h_k)``; as ``h_k = sigmoid(-margin)``, both are a softplus and stay finite."""
        z = self.encoder(self.views(batch)).to(batch.dtype)  # (B, K + 1, latent)
        with full_precision(batch):
            products = z @ z.transpose(1, 2)  # (B, K + 1, K + 1)
        lengths = products.diagonal(dim1=1, dim2=2).clamp(min=SHORTEST**2).sqrt()  # (B, K + 1)
        cosines = products / (lengths[:, :, None] * lengths[:, None])
        similar = cosines / self.temperature
        same, among = similar[:, 1:, 0], similar[:, 1:, 1:]  # (B, K), view k and its row; (B, K, K), views k and l
        itself = torch.diag(among.new_full((self.transformations,), -math.inf))
        margin = (among + itself).logsumexp(-1) - same  # (B, K): log (1 - h_k) / h_k
        unit = math.log(self.transformations)
        return Losses(F.softplus(margin).mean(-1) / unit, F.softplus(-margin).mean(-1) / unit)


def uniform_weights(stack: int, width_in: int, width_out: int) -> nn.Parameter:
    """``stack`` linear maps, random as torch makes one: uniform within ``1 / sqrt(width_in)``."""
    bound = 1 / math.sqrt(width_in)
    return nn.Parameter(torch.empty(stack, width_in, width_out).uniform_(-bound, bound))
