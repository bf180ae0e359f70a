"""Deep semi-supervised anomaly detection (Deep SAD).

Ruff, Vandermeulen, Goernitz, Binder, Mueller, Mueller, Kloft: "Deep Semi-Supervised Anomaly Detection", ICLR 2020
(eq. 7 and 8).

Deep SVDD in which the rows known to be abnormal are pushed away from the centre, with a weight eta of their own. With
the network f, the centre c and the unit R^2 of `expose.objectives.svdd`, and d^2 = |f(x) - c|^2 / R^2,

    normal(x)   = d^2
    abnormal(x) = eta / (d^2 + epsilon)

In the paper eta also weighs rows known to be normal; here they weigh as much as unlabelled ones do. The paper trains an
autoencoder first, for the weights to begin with; here they begin at random, as those of `expose.objectives.svdd` do.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from expose.objectives.base import Losses, register
from expose.objectives.svdd import SVDD


@register("deep_sad")
class DeepSAD(SVDD):
    """Deep SAD: one group of normal rows, and some rows that are known not to belong to it.

    Parameters
    ----------
    hidden, latent, layers
        As in `SVDD`.
    epsilon : float, default=0.01
        Softens the inverse distance: ``abnormal`` is at most ``eta / epsilon``.
    eta : float, default=1.0
        Weight of what is abnormal; the paper's default.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> from expose.objectives import make_objective
    >>> rng = np.random.default_rng(0)
    >>> X, outliers = rng.normal(size=(200, 3)), rng.uniform(-6, 6, size=(50, 3))
    >>> objective = make_objective("deep_sad", epochs=100)
    >>> detector = AnomalyDetector(objective, contamination=0, random_state=0).fit(X, outliers=outliers)
    >>> inside, outside = detector.anomaly_score([[0, 0, 0], [4, -4, 4]])
    >>> bool(outside > inside)
    True
    """

    lowest = {"hidden": 1, "latent": 1, "layers": 1, "epsilon": 1e-9, "eta": 0.0}  # noqa: RUF012 - never changed

    def __init__(
        self,
        hidden: int | None = None,
        latent: int | None = None,
        layers: int = 3,
        epsilon: float = 0.01,
        eta: float = 1.0,
        **training: Any,
    ) -> None:
        super().__init__(hidden, latent, layers, epsilon, **training)
        self.eta = eta

    def losses(self, batch: Tensor) -> Losses:
        """Squared distance to the centre, and eta times its bounded inverse."""
        normal, abnormal = super().losses(batch)
        return Losses(normal, self.eta * abnormal)
