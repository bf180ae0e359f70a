"""Deep support vector data description (Deep SVDD).

Ruff et al.: "Deep One-Class Classification", ICML 2018 (one-class objective, eq. 4); the abnormal loss is that of
Qiu et al.: "Latent Outlier Exposure for Anomaly Detection with Contaminated Data", ICML 2022.

A network f without biases maps rows near a fixed centre c. With d^2 = |f(x) - c|^2 and R^2 the mean d^2 of the
training rows before training, which makes both losses free of units,

    normal(x)   = d^2 / R^2
    abnormal(x) = 1 / (d^2 / R^2 + epsilon)

epsilon keeps the inverse finite. Deep SVDD may collapse: f(x) = c for every row. Three guards of the paper's section
3.3 stand here (no bias, an unbounded activation, a centre away from 0), and `diagnose` notices when they fail.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.networks import backbone, default_sizes, hidden_widths
from expose.objectives.base import Losses, Objective, register

COLLAPSED_SHARE = 1e-4  # of the spread of f(x) before training


@register("svdd")
class SVDD(Objective):
    """Deep SVDD with a bias-free network and a fixed centre.

    Parameters
    ----------
    hidden, latent : int or None
        Widths; None follows `expose.networks.default_sizes`. Images and texts use ``latent`` only.
    layers : int, default=3
        Number of linear layers, of tables.
    epsilon : float, default=0.01
        Softens the inverse distance: ``abnormal`` is at most ``1 / epsilon``.
    """

    forms = ("vector", "image", "tokens")
    centre: Tensor
    radius2: Tensor
    spread: Tensor

    lowest = {"hidden": 1, "latent": 1, "layers": 1, "epsilon": 1e-9}  # noqa: RUF012 - never changed

    def __init__(
        self,
        hidden: int | None = None,
        latent: int | None = None,
        layers: int = 3,
        epsilon: float = 0.01,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.hidden = hidden
        self.latent = latent
        self.layers = layers
        self.epsilon = epsilon

    def build(self, layout: Layout) -> None:
        """Make the network; centre and radius wait for `prepare`."""
        default_hidden, default_latent = default_sizes(layout.n_values)
        hidden, latent = self.hidden or default_hidden, self.latent or default_latent
        self.network = backbone(layout, latent, bias=False, hidden=hidden_widths(hidden, self.layers))
        self.register_buffer("centre", torch.zeros(latent))
        self.register_buffer("radius2", torch.ones(()))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Put the centre at the untrained mean, no coordinate within 0.1 radii of zero, and measure the radius."""
        z = self.network(rows)  # (n, latent)
        scale = z.square().mean().sqrt().clamp(min=1e-6)
        mean = z.mean(0)
        self.centre.copy_(torch.where(mean < 0, -1.0, 1.0) * mean.abs().clamp(min=0.1 * float(scale)))
        self.radius2.copy_((z - self.centre).square().sum(-1).mean())
        self.spread.copy_(variance(z))

    def losses(self, batch: Tensor) -> Losses:
        """Squared distance to the centre in units of the untrained radius, and its bounded inverse."""
        distance2 = (self.network(batch).to(batch.dtype) - self.centre).square().sum(-1) / self.radius2  # (B,)
        return Losses(distance2, 1 / (distance2 + self.epsilon))

    @torch.no_grad()
    def diagnose(self, rows: Tensor) -> str | None:
        """Compare the spread of f(x) with that before training."""
        share = float(variance(self.network(rows)) / self.spread.clamp(min=1e-12))
        if share >= COLLAPSED_SHARE:
            return None
        return (
            f"The network of {self.name} collapsed: the variance of its outputs is {share:.1e} of what it was before "
            "training. Try fewer epochs, a smaller learning rate, another scaling, or another objective."
        )


def variance(z: Tensor) -> Tensor:
    """Total variance over rows: ``(n, latent) -> ()``."""
    return z.var(0, unbiased=False).sum()
