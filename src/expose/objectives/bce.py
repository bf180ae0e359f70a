"""Normal or not, by binary cross-entropy, perhaps with a focus on what is hard.

One logit f(x), with the probability of being abnormal p = sigmoid(f(x)). With a focus gamma,

    normal(x)   = -p^gamma       * log(1 - p)
    abnormal(x) = -(1 - p)^gamma * log(p)

gamma = 0 is binary cross-entropy; larger values leave rows alone whose class is already clear: Lin, Goyal, Girshick,
He, Dollar: "Focal Loss for Dense Object Detection", ICCV 2017 (eq. 4). As one-class objectives with auxiliary outliers
both are studied by Ruff et al.: "Rethinking Assumptions in Deep Anomaly Detection", 2020 (section 2).

The score is the logit: it ranks as p does, and does not saturate. Without a single abnormal row p is 0 everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from expose.encoders.layout import Layout
from expose.networks import backbone, default_sizes, hidden_widths
from expose.objectives.base import Losses, Objective, register

SAME_LOGIT = 1e-5  # standard deviation of the logits, below which all rows have the same verdict


@register("bce")
class BCE(Objective):
    """Binary cross-entropy or focal loss: for data that come with auxiliary outliers or some known anomalies.

    Parameters
    ----------
    focal_gamma : float, default=0.0
        Focus on hard rows; 0 is binary cross-entropy, 2 what Lin et al. recommend.
    hidden : int or None
        Width of a table's hidden layers; None follows `expose.networks.default_sizes`.
    layers : int, default=3
        Number of linear layers, of tables.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> from expose.objectives import make_objective
    >>> rng = np.random.default_rng(0)
    >>> X, outliers = rng.normal(size=(200, 3)), rng.uniform(-6, 6, size=(50, 3))
    >>> objective = make_objective("bce", epochs=100)
    >>> detector = AnomalyDetector(objective, contamination=0, random_state=0).fit(X, outliers=outliers)
    >>> inside, outside = detector.anomaly_score([[0, 0, 0], [4, -4, 4]])
    >>> bool(outside > inside)
    True
    """

    forms = ("vector", "image", "tokens")
    needs_anomalies = True
    lowest = {"focal_gamma": 0.0, "hidden": 1, "layers": 1}  # noqa: RUF012 - never changed

    def __init__(self, focal_gamma: float = 0.0, hidden: int | None = None, layers: int = 3, **training: Any) -> None:
        super().__init__(**training)
        self.focal_gamma = focal_gamma
        self.hidden = hidden
        self.layers = layers

    def build(self, layout: Layout) -> None:
        """Make the network, of one output."""
        width = self.hidden or default_sizes(layout.n_values)[0]
        self.network = backbone(layout, 1, hidden=hidden_widths(width, self.layers))

    def score(self, batch: Tensor) -> Tensor:
        """The logit of being abnormal, ``(B,)``."""
        logit: Tensor = self.network(batch)[:, 0].to(batch.dtype)
        return logit

    def losses(self, batch: Tensor) -> Losses:
        """Focal losses of the two verdicts; -log p is softplus(-logit), never the logarithm of a sigmoid."""
        logit = self.score(batch)  # (B,)
        minus_log_p, minus_log_q = softplus(-logit), softplus(logit)  # q = 1 - p
        normal = torch.exp(-self.focal_gamma * minus_log_p) * minus_log_q
        abnormal = torch.exp(-self.focal_gamma * minus_log_q) * minus_log_p
        return Losses(normal, abnormal)

    @torch.no_grad()
    def diagnose(self, rows: Tensor) -> str | None:
        """Look whether the verdict is the same for every row."""
        if float(self.score(rows).std(unbiased=False)) >= SAME_LOGIT:
            return None
        return (
            "The classifier gives every row the same verdict. Give it auxiliary outliers or known anomalies, "
            "fewer epochs, or a smaller learning rate."
        )
