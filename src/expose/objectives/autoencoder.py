"""Autoencoder: the reconstruction error as normal loss, its bounded inverse as abnormal loss.

The normal loss is the classical one (Hawkins et al.: "Outlier Detection Using Replicator Neural Networks", 2002).
The abnormal loss follows the inverse distance of Qiu et al. (ICML 2022) for Deep SVDD. With e the mean squared
reconstruction error of a row and E that of the training rows before training,

    normal(x)   = e / E
    abnormal(x) = 1 / (e / E + epsilon)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.networks import Perceptron, default_sizes
from expose.objectives.base import Losses, Objective, register


@register("autoencoder")
class Autoencoder(Objective):
    """A bottleneck perceptron that reconstructs its input.

    Parameters
    ----------
    hidden : int or None
        Width of the layers around the bottleneck; None follows `expose.networks.default_sizes`, at least 16.
    latent : int or None
        Width of the bottleneck; None takes half the columns, at least 1 and at most 32.
    epsilon : float, default=0.1
        Bounds the abnormal loss by ``1 / epsilon``.
    """

    forms = ("vector", "image")  # an image is a row of pixels
    unit: Tensor

    lowest = {"hidden": 1, "latent": 1, "epsilon": 1e-9}  # noqa: RUF012 - never changed

    def __init__(
        self, hidden: int | None = None, latent: int | None = None, epsilon: float = 0.1, **training: Any
    ) -> None:
        super().__init__(**training)
        self.hidden = hidden
        self.latent = latent
        self.epsilon = epsilon

    def build(self, layout: Layout) -> None:
        """Make encoder and decoder, mirror images of each other."""
        n_features = layout.n_values
        hidden = self.hidden or max(16, default_sizes(n_features)[0])
        latent = self.latent or min(32, max(1, n_features // 2))
        self.encoder = Perceptron([n_features, hidden, latent])
        self.decoder = Perceptron([latent, hidden, n_features])
        self.register_buffer("unit", torch.ones(()))

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Measure the untrained error, the unit of both losses."""
        self.unit.copy_(self.error(rows).mean().clamp(min=1e-12))

    def error(self, batch: Tensor) -> Tensor:
        """Mean squared reconstruction error of each row: ``(B, D) -> (B,)``."""
        restored = self.decoder(self.encoder(batch)).to(batch.dtype)  # (B, D)
        return (restored - batch).square().mean(-1)

    def losses(self, batch: Tensor) -> Losses:
        """Reconstruction error in units of the untrained one, and its bounded inverse."""
        error = self.error(batch) / self.unit  # (B,)
        return Losses(error, 1 / (error + self.epsilon))
