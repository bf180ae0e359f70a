"""Which way up, and how far moved: MHRot.

Hendrycks, Mazeika, Kadavath, Song: "Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
NeurIPS 2019 (section 4); after Golan and El-Yaniv: "Deep Anomaly Detection Using Geometric Transformations", NeurIPS
2018. The abnormal loss is that of Qiu, Li, Kloft, Rudolph, Mandt: "Latent Outlier Exposure for Anomaly Detection with
Contaminated Data", ICML 2022.

An image x is shown in T = 4 x 3 x 3 ways: turned by quarters, and moved by a quarter of its side up or down, left or
right, or not at all. One network with three heads, with probabilities p, says which rotation r, vertical shift v and
horizontal shift h each view is:

    normal(x)   = 1/T sum_views [ -log p(r) - log p(v) - log p(h) ]
    abnormal(x) = 1/T sum_views [ sum_heads of the cross-entropy of the uniform distribution to p ]

Of anomalies it should have no idea. Both are divided by log 4 + 2 log 3, so that one who guesses has normal = 1.

Otherwise than published the network is normalised image by image, so that no image changes the losses of another, by
which suspects are chosen.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks import WideResNet
from expose.objectives.base import Losses, Objective, register
from expose.objectives.recipes import Descend

CHOICES = (4, 3, 3)  # rotations, vertical and horizontal shifts
VIEWS = math.prod(CHOICES)


@register("mhrot")
class MHRot(Objective):
    """Prediction of rotation and shifts by a wide residual network on square images.

    Parameters
    ----------
    depth, widen : int, default=16, 4
        Of the network, WRN-16-4 as published.
    dropout : float, default=0.0
        Share of values dropped in its blocks, in [0, 1); 0.3 as published.
    views : int, default=36
        In how many of the 36 ways an image is shown at each step of training, at random; for scores in all of them. The
        time of training goes with it.
    **training
        See `Descend`.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> images = np.random.default_rng(0).random((20, 8, 8), dtype=np.float32)
    >>> objective = MHRot(depth=10, widen=1, views=4, epochs=2)
    >>> AnomalyDetector(objective, contamination=0, random_state=0).fit(images).anomaly_score(images).shape
    (20,)
    """

    forms = ("image",)
    recipe = Descend(epochs=16, batch_size=10, learning_rate=1e-3)
    lowest = {"depth": 10, "widen": 1, "dropout": 0.0, "views": 1}  # noqa: RUF012 - never changed

    def __init__(
        self, depth: int = 16, widen: int = 4, dropout: float = 0.0, views: int = VIEWS, **training: Any
    ) -> None:
        super().__init__(**training)
        self.depth = depth
        self.widen = widen
        self.dropout = dropout
        self.views = views

    def check(self) -> None:
        """The network has whole blocks, and there are 36 views."""
        super().check()
        if (self.depth - 4) % 6:
            raise InputError(f"depth must be 6 n + 4, such as 10, 16 or 28; got {self.depth}.")
        if self.views > VIEWS:
            raise InputError(f"views must be at most {VIEWS}, 4 rotations of 3 x 3 shifts; got {self.views}.")
        if self.dropout >= 1:
            raise InputError(f"dropout must be a share in [0, 1); got {self.dropout!r}.")

    def build(self, layout: Layout) -> None:
        """Make the network, of as many outputs as there are choices."""
        _, height, width = layout.shape
        if height != width or height < 4:
            raise InputError(
                f"'mhrot' turns images by quarters, so it takes square ones of at least 4 pixels; got {height} x "
                f"{width}. Resize them: encoder=expose.encoders.ImageEncoder(size=32)."
            )
        self.unfold = layout.unfold
        self.network = WideResNet(
            layout.shape, sum(CHOICES), depth=self.depth, widen=self.widen, dropout=self.dropout, norm="group"
        )
        self.network.head.reset_parameters()  # from zero no gradient would come through it

    def losses(self, batch: Tensor) -> Losses:
        """Cross-entropies of the three heads to what was done and to the uniform distribution, ``(B,)`` each."""
        images, shown = self.unfold(batch), self.shown()
        turned = torch.cat([view(images, int(way)) for way in shown])  # (V * B, C, H, W)
        heads = self.network(turned).float().reshape(len(shown), len(batch), -1).split(CHOICES, dim=-1)
        answers = torch.unravel_index(shown, CHOICES)  # (V,) each
        told = [F.log_softmax(head, dim=-1) for head in heads]  # (V, B, choices)
        normal = sum(-log_p[range(len(shown)), :, answer] for log_p, answer in zip(told, answers, strict=True))
        abnormal = sum(-log_p.mean(dim=-1) for log_p in told)
        guess = sum(math.log(choices) for choices in CHOICES)
        return Losses(normal.mean(dim=0) / guess, abnormal.mean(dim=0) / guess)  # type: ignore[union-attr]

    def shown(self) -> Tensor:
        """Numbers of the ways in which images are shown: all, or while training some at random."""
        return torch.randperm(VIEWS)[: self.views] if self.training else torch.arange(VIEWS)


def view(images: Tensor, way: int) -> Tensor:
    """Images ``(B, C, H, H)`` in one of the 36 ways; what moves in from beyond the edge is the image mirrored."""
    rotation, down, right = (int(choice) for choice in torch.unravel_index(torch.tensor(way), CHOICES))
    step = images.shape[-1] // 4
    top, left = step * (down - 1), step * (right - 1)
    edges = (max(left, 0), max(-left, 0), max(top, 0), max(-top, 0))  # left, right, top, bottom
    wide = F.pad(torch.rot90(images, rotation, (-2, -1)), edges, mode="reflect")
    height, width = images.shape[-2:]
    return wide[..., edges[3] : edges[3] + height, edges[1] : edges[1] + width]
