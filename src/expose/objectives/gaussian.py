"""Distance of each place of a sample to a Gaussian of that place (PaDiM: Defard et al., ICPR 2021), robustly fitted.

Every place p has a mean and a covariance, the latter shrunk to that of all places. They are weighted moments: samples
weigh what the exposure says, and their places less where they lie far out (Huber, 1964), for an anomalous photo is
normal in most places.

A photo pulls the moments of its places towards itself, and would seem more usual than any new one: with a hundred
values at each of a hundred photos, all new ones would be flagged. So a photo that the moments were taken of is measured
against those without it. That has a closed form: let T be the sum of the weights at its place, w its own among them, K
the number of values, by as many samples the covariance is shrunk, d its distance, and c = w T / (T - w). Then

    left out(d)^2 = (T / (T - w))^2 (T - w + K) u / (1 - c u),    u = d^2 / (T + K)

by the formula of Sherman and Morrison (1950); its part in the covariance of all places is left in. It is known again by
eight sums of its values, and nothing else of it is kept.

A vector is a sample of one place; a wide one is projected at random. Of many vectors none pulls the moments much, so
they are not told again then. Nor are the frames of a video, whose places have moments in common: things move about.

Known anomalies say in which directions it is worth looking, see `directions`; distances are multiplied by that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from expose.encoders.layout import Layout
from expose.objectives.base import Losses, MemoryObjective, register
from expose.objectives.directions import SURE, inverse_shapes, likelier
from expose.objectives.distances import spread
from expose.objectives.memory import TINY

ROUNDS = 3  # of weighting places by their distance
RIDGE = 1e-3  # of the mean variance, added to every one
AT_ONCE = 256  # samples whose differences from the mean the memory holds
USUAL = 1.0  # times the median distance: places that lie further out weigh less
SUMS, SAME = 8, 1e-2  # by which a photo is known again, and how near they are then, in standard deviations
LEAST = 1e-3  # of 1 - c u: how much of the scatter in a direction others must account for
FEWEST, PART = 5, 30  # places that a sample is judged by; where they have moments in common, one of so many
MOST = 2**18  # places that common moments are taken of
WIDEST = 1_024  # values of a vector: of a wider one so many random projections are looked at
MANY = 20  # vectors for each of their values: so many that no vector pulls the moments


class WorstPlaces(MemoryObjective):
    """Judges a sample by the mean of the distances of its worst places."""

    worst: int | None

    @property
    def n_worst(self) -> int:
        """How many places a sample is judged by."""
        return self.worst or FEWEST

    def losses(self, batch: Tensor) -> Losses:
        """Mean of the worst distances, and the negative of it."""
        normal = mean_of_worst(self.part_scores(batch), self.n_worst)
        return Losses(normal, -normal)

    def with_places(self, batch: Tensor) -> Tensor:
        """The score and the distances that it is the mean of, ``(B, 1 + P)``."""
        distances = self.part_scores(batch)
        return torch.cat([mean_of_worst(distances, self.n_worst)[:, None], distances], dim=1)


@register("gaussian")
class Gaussian(WorstPlaces):
    """Mahalanobis distances of the places of a sample; its score is the mean of the worst.

    Parameters
    ----------
    worst : int or None
        How many places a sample is judged by. None: 5, and one of 30 where they have moments in common.
    robust : bool, default=True
        Whether places far out weigh less in the moments, however many samples are assumed to be anomalous.
    **training
        ``reference_points``, the most samples that moments are taken of; see `Remember`.
    """

    forms = ("grid", "vector")
    preferred_exposure = "refine"
    lowest = {"worst": 1}  # noqa: RUF012 - never changed

    narrow: Tensor | None  # (D, K): random projections of a wide vector; M is P, or 1 where places have all in common
    root: Tensor  # (M, K, K): whitens the differences from the mean
    total: Tensor  # (M,): sums of the weights
    usual: Tensor  # (M,): distance from which on places weigh less
    sums: Tensor  # (R, 8): by which the samples that moments were taken of are known again
    kept: Tensor  # (R,): their weights
    shapes: Tensor  # (2, K, K): how differences of known anomalies and of others lie; (0, K, K) where none is known

    def __init__(self, worst: int | None = None, robust: bool = True, **training: Any) -> None:
        super().__init__(**training)
        self.worst = worst
        self.robust = robust

    @property
    def n_worst(self) -> int:
        """How many places a sample is judged by."""
        assert self.layout is not None
        usual = max(FEWEST, self.layout.n_places // PART) if self.layout.exchangeable else FEWEST
        return self.worst or usual

    def build(self, layout: Layout) -> None:
        """Make room for the moments of each place, or of all together."""
        width = layout.shape[-1]
        self.register_buffer("narrow", None)
        if layout.form == "vector" and width > WIDEST:
            self.narrow, width = torch.randn(width, WIDEST) / WIDEST**0.5, WIDEST
        apart = 1 if layout.exchangeable else layout.n_places
        self.mean = torch.nn.Parameter(torch.zeros(apart, width), requires_grad=False)  # (M, K)
        self.register_buffer("root", torch.eye(width).repeat(apart, 1, 1))
        self.register_buffer("total", torch.ones(apart))
        self.register_buffer("usual", torch.full((apart,), torch.inf))
        self.register_buffer("sums", torch.zeros(0, SUMS))
        self.register_buffer("kept", torch.zeros(0))
        self.register_buffer("shapes", torch.zeros(0, width, width))
        self._rows, self._present = torch.zeros(0), torch.zeros(0)

    @torch.no_grad()
    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Take the moments of samples, and return their scores."""
        self._rows, self._present = rows, present
        self.shapes = self.shapes[:0]
        self.take_moments(rows, present)
        return self.score(rows)

    @torch.no_grad()
    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Take the moments again, of samples with these weights."""
        self.reweigh(keep_normal, keep_abnormal)

    @torch.no_grad()
    def reweigh(self, keep_normal: Tensor, keep_abnormal: Tensor) -> Tensor:
        """The same, and return the scores of these samples, ``(R,)``."""
        rows, present = self._rows, self._present
        self.take_moments(rows, present * keep_normal)
        return self.score(rows)

    @torch.no_grad()
    def learn(self, known: Tensor, share: float) -> None:
        """Look more in the directions in which known anomalies lie."""
        self.relearn(known)

    @torch.no_grad()
    def relearn(self, known: Tensor) -> Tensor | None:
        """The same, and return the scores of the remembered samples, if it changes these."""
        rows, anomalies, others = self._rows, known == 1, (known != 1) & (self.kept > 0)
        self._rows, self._present = torch.zeros(0), torch.zeros(0)  # nothing of the photos stays in the model
        if not (anomalies.any() and others.any()):
            return None
        weights = 1 + (SURE - 1) * (known[others] == 0)
        self.shapes = inverse_shapes(self.worst_of(rows[anomalies]), self.worst_of(rows[others]), weights)
        return self.score(rows)

    def worst_of(self, batch: Tensor) -> Tensor:
        """Whitened differences at the worst places, ``(B, D) -> (B, W, K)``."""
        found = []
        for few in torch.split(self.places(batch), AT_ONCE):
            away = self.whitened(few)
            worst = self.others_distances(few, away).topk(min(self.n_worst, away.shape[1]), dim=1).indices
            found.append(away.gather(1, worst[..., None].expand(-1, -1, away.shape[2])))
        return torch.cat(found)

    def take_moments(self, rows: Tensor, weights: Tensor) -> None:
        """Weighted mean and covariance of each place, of samples ``(R, D)`` that weigh ``(R,)``."""
        places = self.places(rows)  # (R, P, K)
        self.sums, self.kept = sums_of(places), weights.to(places)
        own, layout = self.kept, self.layout
        assert layout is not None
        if layout.exchangeable:
            chosen = spread(places.shape[:2].numel())[:MOST]
            own, places = own[chosen // places.shape[1]], places.flatten(0, 1)[chosen][:, None]  # (N,), (N, 1, K)
        if layout.exchangeable or (layout.form == "vector" and len(places) >= MANY * places.shape[2]):
            self.sums = self.sums[:0]
        self.usual.fill_(torch.inf)
        self.settle(places, own[:, None].expand(places.shape[:2]))
        for _ in range(ROUNDS if self.robust else 0):
            distances = self.distances(places)
            self.usual.copy_(USUAL * distances.median(dim=0).values)
            self.settle(places, own[:, None] * self.huber(distances))

    def huber(self, distances: Tensor) -> Tensor:
        """How much less places weigh that lie far out, ``(B, P)``."""
        return (self.usual / distances.clamp(min=TINY)).clamp(max=1.0)

    def settle(self, places: Tensor, weights: Tensor) -> None:
        """Moments with these weights, ``(R, P)``."""
        width = places.shape[-1]
        self.total = total = weights.sum(dim=0).clamp(min=1e-6)  # (P,)
        scatter = places.new_empty(places.shape[1], width, width)
        for place in range(places.shape[1]):  # one by one: all samples less the mean would be a second copy of them
            there, weight = places[:, place], weights[:, place, None]
            self.mean[place] = (weight * there).sum(dim=0) / total[place]
            away = there - self.mean[place]
            torch.matmul((weight * away).T, away, out=scatter[place])
        pooled = scatter.sum(dim=0) / total.sum()
        shrunk = (scatter + width * pooled) / (total + width)[:, None, None]
        ridge = RIDGE * pooled.diagonal().mean() + 1e-12
        factor = torch.linalg.cholesky(shrunk.double() + ridge * torch.eye(width, dtype=torch.float64))
        self.root.copy_(torch.linalg.inv(factor))

    def places(self, batch: Tensor) -> Tensor:
        """What stands at each place, ``(B, D) -> (B, P, K)``."""
        assert self.layout is not None
        values = self.layout.unfold(batch.to(self.mean.dtype))
        values = values if self.narrow is None else values @ self.narrow
        return values.reshape(len(batch), -1, self.mean.shape[-1])

    def part_scores(self, batch: Tensor) -> Tensor:
        """Mahalanobis distance of each place, ``(B, P)``; of a sample that moments were taken of, to the others'."""
        return torch.cat([self.part_scores_of(few) for few in torch.split(self.places(batch), AT_ONCE)])

    def part_scores_of(self, places: Tensor) -> Tensor:
        """The same of so few that differences from the mean fit the memory, ``(B, P, K)``."""
        away = self.whitened(places)
        distances = self.others_distances(places, away)
        return distances * likelier(away, self.shapes) if len(self.shapes) else distances

    def others_distances(self, places: Tensor, away: Tensor) -> Tensor:
        """Distances ``(B, P)`` of samples to the moments of all others, from what is at their places and whitened."""
        return self.left_out(lengths(away), self.own_weight(places))

    def distances(self, places: Tensor) -> Tensor:
        """Distances of what stands at the places, ``(B, P, K) -> (B, P)``."""
        return torch.cat([lengths(self.whitened(few)) for few in torch.split(places, AT_ONCE)])

    def whitened(self, places: Tensor) -> Tensor:
        """Differences from the mean, whitened, ``(B, P, K)``."""
        away = places - self.mean
        if len(self.root) < places.shape[1]:  # all places have one in common
            return away @ self.root[0].T
        return torch.einsum("pjk,bpk->bpj", self.root, away)

    def own_weight(self, places: Tensor) -> Tensor:
        """The weight of each sample in the moments, ``(B,)``; 0 of those that they were not taken of."""
        if len(self.sums) == 0:
            return places.new_zeros(len(places))
        return (known_again(places, self.sums) * self.kept).amax(dim=1)

    def left_out(self, distances: Tensor, own: Tensor) -> Tensor:
        """Distances ``(B, P)`` to the moments without the sample itself, which weighs ``(B,)`` in them."""
        width = self.mean.shape[1]
        weight = own[:, None] * self.huber(distances)
        others = (self.total - weight).clamp(min=TINY)
        times = self.total / others
        unit = distances.square() / (self.total + width)
        rest = (1 - weight * times * unit).clamp(min=LEAST)
        return times * torch.sqrt((others + width) * unit / rest)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for as many samples and shapes as are stored."""
        for name in ("sums", "kept", "shapes"):
            setattr(self, name, torch.empty_like(state_dict[f"{prefix}{name}"]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def mean_of_worst(distances: Tensor, worst: int) -> Tensor:
    """Mean of the so many largest distances of each sample, ``(B, P) -> (B,)``."""
    return distances.topk(min(worst, distances.shape[1]), dim=1).values.mean(dim=1)


def lengths(away: Tensor) -> Tensor:
    """Lengths of differences, ``(B, P, K) -> (B, P)``."""
    return torch.sqrt(away.square().sum(dim=-1))


def sums_of(places: Tensor) -> Tensor:
    """Sums of every eighth value of samples, ``(B, P, K) -> (B, 8)``."""
    values = places.flatten(1)
    return pad(values, (0, -values.shape[1] % SUMS)).reshape(len(values), -1, SUMS).sum(dim=1)


def known_again(places: Tensor, sums: Tensor) -> Tensor:
    """Which of remembered samples, by their sums ``(R, 8)``, samples ``(B, P, K)`` are: ``(B, R)``."""
    near = SAME * sums.std(dim=0, correction=0) + TINY  # (8,)
    apart = (sums_of(places)[:, None] - sums).abs()  # (B, R, 8)
    return (apart <= near).all(dim=-1)
