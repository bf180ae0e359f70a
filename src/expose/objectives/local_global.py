"""Photos that are odd in a few places, or as a whole: a Gaussian of each place and neighbours among photos, together.

Small defects show in a few places and hardly move a vector of the whole photo; a photo of another thing is odd
everywhere, in ways that its places alone do not tell. Either score is a poor judge of the other's anomalies, so both
are brought to one scale, how rare they are among the remembered photos, and combined as p-values are:

    local(x) = tail(log mean of the worst distances of places), see `gaussian`
    whole(x) = the score of `neighbours` of the vectors of the photos, each divided by its length
    normal(x) = log((exp local(x) + exp whole(x)) / 2),    abnormal(x) = - normal(x)

tail(d) = -log P(D > d) as in `neighbours`, so that normal is minus the logarithm of the harmonic mean of two p-values
(Wilson, PNAS 2019), which one small p-value suffices for. Suspects, which the moments and the near neighbours leave
out, are chosen by the whole alone: a photo that is odd in places only is as good a teacher of all others. Answers
correct the scores of wholes only as far as what the others say of each would have been right, see `answers`: whether a
photo has a small defect its vector does not tell, and what is learned of it there would be noise. The length of
a vector of a network tells how strongly anything at all was recognised; without it, neighbours of photos are of one
kind (docs/notes/photos.md has both).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from expose.encoders.layout import Layout
from expose.objectives.answers import trust, without_each
from expose.objectives.base import Losses, MemoryObjective, register
from expose.objectives.gaussian import Gaussian
from expose.objectives.memory import TINY
from expose.objectives.neighbours import SURVIVAL, Neighbours, knots, tail


@register("local-global")
class LocalGlobal(MemoryObjective):
    """How rare a photo is by the distances of its worst places, and by those of the whole to other photos.

    Parameters
    ----------
    worst : int, default=5
        How many places a photo is judged by.
    near : int, default=5
        How many other photos count as its near neighbours.
    **training
        ``reference_points``, the most photos remembered; see `Remember`.
    """

    forms = ("grid",)
    preferred_exposure = "refine"
    varied_share = 0.1
    components = {  # noqa: RUF012 - never changed
        "local": "odd in a few places, where the map is highest",
        "whole": "unlike other photos as a whole",
    }
    placeless = "whole"
    lowest = {"worst": 1, "near": 1}  # noqa: RUF012 - never changed

    tails: Tensor  # (1, 1, 8), of the distances of the worst places

    def __init__(self, worst: int = 5, near: int = 5, **training: Any) -> None:
        super().__init__(**training)
        self.worst = worst
        self.near = near

    def build(self, layout: Layout) -> None:
        """Make both parts: one of the places, one of the photos' vectors, or of the mean place where there are none."""
        width = layout.beside or layout.shape[-1]
        self.local, self.whole = Gaussian(self.worst), Neighbours(self.near, whiten=False)
        for part, own in ((self.local, layout), (self.whole, Layout("vector", (width,)))):
            part.layout = own
            part.build(own)
        self.register_buffer("tails", torch.zeros(1, 1, len(SURVIVAL)))

    @torch.no_grad()
    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Remember photos, and return how rare each is."""
        self.settle(self.local.remember(rows, present), present)
        self.whole.remember(self.vectors(rows), present)
        return self.score(rows)

    @torch.no_grad()
    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Take over the weights of the remembered photos."""
        self.settle(self.local.reweigh(keep_normal, keep_abnormal), self.whole.present)
        self.whole.refit(keep_normal, keep_abnormal)

    @torch.no_grad()
    def learn(self, known: Tensor, share: float) -> None:
        """Correct the scores of photos like those that were answered, in places, and as wholes so far as these tell."""
        self.whole.learn(known, share)
        if bool((known >= 0).any()):
            self.whole.correction *= self.trust(known)
        distances = self.local.relearn(known)
        if distances is not None:
            self.settle(distances, self.whole.present)

    def trust(self, known: Tensor) -> float:
        """How well what photos are as wholes foretells each answer from all others, 0 to 1: small defects hardly show.

        Photos that were left out, as the like of known anomalies are, are none to compare with.
        """
        whole, answered = self.whole, torch.nonzero(known >= 0).flatten()
        alike = whole.likeness(whole.rows, whole.scales(whole.rows), answered)  # (R, L)
        learned = without_each(whole.correction[answered], alike[answered], known[answered])
        others = (known[:, None] != known[answered]) & ((whole.present > 0) | (known == 1))[:, None]
        return trust(alike @ learned, answered, others, known[answered])

    def settle(self, distances: Tensor, present: Tensor) -> None:
        """Measure how the distances of the remembered photos are distributed."""
        self.tails.copy_(knots(torch.log(distances[present > 0] + TINY)[:, None])[None])

    def vectors(self, batch: Tensor) -> Tensor:
        """Vectors of the whole photos, of length 1, ``(B, V)``."""
        assert self.layout is not None
        whole = self.layout.whole(batch) if self.layout.beside else self.local.places(batch).mean(dim=1)
        return normalize(whole, dim=-1)

    def losses(self, batch: Tensor) -> Losses:
        """How rare photos are, and the negative of it; as wholes alone until suspects, chosen by that, are left out."""
        normal = self.score(batch) if bool(self.whole.refined) else self.whole.score(self.vectors(batch))
        return Losses(normal, -normal)

    def score(self, batch: Tensor) -> Tensor:
        """How rare photos are by places and whole together, ``(B,)``."""
        return self.component_scores(batch).amax(dim=-1)

    def component_scores(self, batch: Tensor) -> Tensor:
        """The score ``(B, 2)`` at what is rarer of places and whole; the other is as much lower as it is less rare."""
        return self.combined(self.local.score(batch), batch)

    def with_places(self, batch: Tensor) -> Tensor:
        """The score and the distances of the places, of which it is made too, ``(B, 1 + P)``."""
        local = self.local.with_places(batch)
        return torch.cat([self.combined(local[:, 0], batch).amax(dim=-1, keepdim=True), local[:, 1:]], dim=1)

    def combined(self, distances: Tensor, batch: Tensor) -> Tensor:
        """`component_scores` of photos whose worst places are so far out, ``(B,)``."""
        local = tail(torch.log(distances + TINY)[None, :, None], self.tails)[0, :, 0]
        whole = self.whole.score(self.vectors(batch)).to(local)
        together = torch.logaddexp(local, whole) - math.log(2)
        each = torch.stack([local, whole], dim=-1)
        return together[:, None] + (each - each.amax(dim=-1, keepdim=True))

    def part_scores(self, batch: Tensor) -> Tensor:
        """Distances of the places ``(B, P)``, see `Gaussian.part_scores`."""
        return self.local.part_scores(batch)

    def pairwise_distances(self, rows: Tensor) -> Tensor:
        """Distances of all pairs of photos as wholes, ``(n, n)``."""
        return self.whole.pairwise_distances(self.vectors(rows))
