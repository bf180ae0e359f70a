"""Hypersphere classifier (HSC).

Liznerski, Ruff, Vandermeulen, Franks, Kloft, Mueller: "Explainable Deep One-Class Classification", ICLR 2021 (eq. 1
and 2); Ruff, Vandermeulen, Franks, Mueller, Kloft: "Rethinking Assumptions in Deep Anomaly Detection", 2020 (eq. 3).

A network f maps normal rows near the origin and abnormal ones away from it. With the pseudo-Huber distance

    h(x)        = sqrt(|f(x)|^2 / R^2 + 1) - 1              quadratic near the origin, linear far off
    normal(x)   = h(x)
    abnormal(x) = -log(1 - exp(-(h(x) + epsilon)))

it is binary cross-entropy with exp(-h) as the probability of being normal. R^2 is the mean |f|^2 of the training rows
before training, 1 in the papers; so both losses begin at sizes that can be compared. epsilon, 0 in the papers, keeps
the logarithm finite for a row at the origin.

Only abnormal rows keep f from being 0 everywhere: auxiliary outliers, known anomalies, or suspects.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.networks import backbone, default_sizes, hidden_widths
from expose.objectives.base import Losses, Objective, register
from expose.objectives.svdd import COLLAPSED_SHARE, variance


@register("hsc")
class HSC(Objective):
    """Hypersphere classifier: for data that come with auxiliary outliers or some known anomalies.

    Parameters
    ----------
    hidden, latent : int or None
        Widths; None follows `expose.networks.default_sizes`. Images and texts use ``latent`` only.
    layers : int, default=3
        Number of linear layers, of tables.
    epsilon : float, default=1e-4
        ``abnormal`` is at most ``-log(1 - exp(-epsilon))``, about 9.2.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> from expose.objectives import make_objective
    >>> rng = np.random.default_rng(0)
    >>> X, outliers = rng.normal(size=(200, 3)), rng.uniform(-6, 6, size=(50, 3))
    >>> objective = make_objective("hsc", epochs=100)
    >>> detector = AnomalyDetector(objective, contamination=0, random_state=0).fit(X, outliers=outliers)
    >>> inside, outside = detector.anomaly_score([[0, 0, 0], [4, -4, 4]])
    >>> bool(outside > inside)
    True
    """

    forms = ("vector", "image", "tokens")
    needs_anomalies = True
    radius2: Tensor
    spread: Tensor

    lowest = {"hidden": 1, "latent": 1, "layers": 1, "epsilon": 0.0}  # noqa: RUF012 - never changed

    def __init__(
        self,
        hidden: int | None = None,
        latent: int | None = None,
        layers: int = 3,
        epsilon: float = 1e-4,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.hidden = hidden
        self.latent = latent
        self.layers = layers
        self.epsilon = epsilon

    def build(self, layout: Layout) -> None:
        """Make the network; the unit of distance waits for `prepare`."""
        hidden, latent = default_sizes(layout.n_values)
        self.network = backbone(layout, self.latent or latent, hidden=hidden_widths(self.hidden or hidden, self.layers))
        self.register_buffer("radius2", torch.ones(()))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Measure the untrained outputs."""
        z = self.network(rows)  # (n, latent)
        self.radius2.copy_(z.square().sum(-1).mean().clamp(min=1e-12))
        self.spread.copy_(variance(z))

    def losses(self, batch: Tensor) -> Losses:
        """Pseudo-Huber distance to the origin, and -log(1 - exp(-distance))."""
        square = self.network(batch).to(batch.dtype).square().sum(-1) / self.radius2  # (B,)
        distance = square / ((square + 1).sqrt() + 1)  # = sqrt(square + 1) - 1, exact also for small squares
        return Losses(distance, -torch.log(-torch.expm1(-(distance + self.epsilon))))

    @torch.no_grad()
    def diagnose(self, rows: Tensor) -> str | None:
        """Compare the spread of f(x) with that before training."""
        share = float(variance(self.network(rows)) / self.spread.clamp(min=1e-12))
        if share >= COLLAPSED_SHARE:
            return None
        return (
            f"The hypersphere classifier collapsed: the variance of its outputs is {share:.1e} of what it was before "
            "training. Give it auxiliary outliers or known anomalies, or try fewer epochs."
        )
