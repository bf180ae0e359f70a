"""Near, linked and wide neighbours: distances to remembered training rows, at three scales, under the exposure rules.

Nearest neighbours are hard to beat on clean rows and the first to fail on dirty ones: anomalies that form a small
cluster of their own are each other's neighbours. Two larger scales still find that cluster: the distance at which it
is linked to many other rows, across the gap around it, and the distance to a far neighbour, the one that a tenth of
all rows are nearer than, where there is no gap. Both are blind to some of what is odd only locally. So it has all:

    near(x) = mean over the views of  tail(mean log distance of the `near` nearest rows kept as normal)
    linked(x) = mean over the views of  tail(log distance at which the cluster of x holds the share `linked` of rows)
    wide(x) = log mean exp over the views and the shares of
              tail(log distance within which that share of all rows lies)
              and of  own(x) = tail(log Mahalanobis distance from the middle)  in the first view
    normal(x) = max(near(x), linked(x), wide(x)),    abnormal(x) = - normal(x)

A view is one scaling of the columns. Rows which break what columns have in common are far from the middle by their
covariance; categories are no part of it. A row is nearer in a covariance that it made itself, the more so the more
columns there are, and so is judged by the one that the others would have made (`Ellipsoid`). Of a hundred numbers or
more, such as those of a network's vectors, what they have in common tells most: wide is then at least 1/4 + own(x),
and own the mean over all views.

tail(d) = -log P(D > d) for D the same distance of the remembered rows, by their deciles, and exponential beyond the
70 % quantile, which 30 % of anomalies leave nearly in place. So all scales speak of the same thing, how rare a distance
is, and are combined as p-values are: near and linked by their product (Fisher, 1932), wide by their harmonic mean
(Wilson, PNAS 2019), which one small p-value suffices for. Suspects are first chosen by linked and wide, over all rows;
then the exposure's weights say who counts as a neighbour in near. No gradient is involved: one assignment, one refit.

Rows that are known or taken as anomalies (weight as abnormal) pull the other way: near then measures
``log d_normal - log d_abnormal / 2``, the two-sided score of which docs/notes/default-objective.md tells.

Answers of somebody who looked correct the score where it was wrong about them, see `answers`:

    normal(x) = max(near(x), linked(x), wide(x)) * exp(sum over the answered rows i of  a_i * likeness(x, i))

Sources: k-th neighbour distances, Ramaswamy et al., "Efficient Algorithms for Mining Outliers from Large Data Sets",
SIGMOD 2000; shrunk covariance, Ledoit and Wolf, "A Well-Conditioned Estimator", J. Multivariate Analysis
2004; linkage by mutual reachability, see `linking`; refinement, Yoon et al., "Self-supervise, Refine, Repeat", TMLR
2022; the combination is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks.maps import linear
from expose.objectives.answers import corrections
from expose.objectives.base import Losses, MemoryObjective, register
from expose.objectives.distances import Points, exact, needs_double, spread
from expose.objectives.linking import joining_heights
from expose.objectives.memory import SAME, TINY, Ellipsoid, Memory
from expose.objectives.recipes import is_number

SURVIVAL = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # shares of rows beyond the knots of a tail
FIRST, LAST = 3, 7  # places of 0.7 and 0.3 among them, between which the slope of the exponential is measured
SMALLEST_STEP = 1e-2  # in log distance: one per cent
SMALLEST_SPREAD = 0.1  # of linked distances beyond the middle: most rows may be joined at nearly the same one
COMPARED = 1024  # remembered rows that others are compared with
CELLS = 256  # that these fall into; of twice as many or fewer, each has its own
AT_ONCE = 768  # rows whose distances the memory holds
SOME = 256  # rows whose distances tell how far apart any two are
LEAST_SHARE = 0.005  # of anomalies: where fewer are assumed, answers count as if it were so many
INSIDE = 0.1  # added to scores before their logarithm is taken: below, all are in the midst of others
WHITENED = 0.5  # weight of Mahalanobis distances in what tells how many rows are anomalous
CROWDED = 100  # numbers: of as many, what they have in common tells most (docs/notes/default-objective.md)
AHEAD = 0.25  # in logarithms of a share: by so much, then, Mahalanobis distances count for more than others
LEAST_VARIANCE = 1e-6  # of a direction, in that of the widest
WIDEST = 2048  # columns: of more, the matrix that whitens them would be larger than all that is remembered
MANNER = 2.0  # in logarithms: rows further apart in how odd they are at the three scales are not alike
WEIGHTS = ("present", "keep_normal", "keep_abnormal", "correction", "manner")


@register("neighbours")
class Neighbours(MemoryObjective):
    """Distances to near, to linked and to wide neighbours among remembered training rows.

    Parameters
    ----------
    near : int, default=5
        How many near neighbours count, among the rows kept as normal.
    wide : sequence of float, default=(0.1, 0.2, 0.3)
        Shares of all remembered rows that wide neighbours enclose. A cluster of anomalies that is larger than the
        largest is not found.
    linked : float, default=0.4
        A cluster of at least this share of all remembered rows is taken as normal, whatever gap is around it.
    whiten : bool, default=True
        Whether Mahalanobis distances count among the wide ones. Where there are more than 2,048 numbers, or one, they
        do not.
    **training
        ``reference_points``, the most rows remembered; see `Remember`.
    """

    encoders = {"table": "two-scalings"}  # noqa: RUF012 - never changed
    preferred_exposure = "refine"
    components = {  # noqa: RUF012 - never changed
        "near": "far from its nearest neighbours",
        "linked": "alone, or in a small cluster that a gap sets apart from most others",
        "wide": "far from the bulk of the data",
    }
    lowest = {"near": 1}  # noqa: RUF012 - never changed
    smallest_tile = 4

    rows: Tensor
    present: Tensor
    keep_normal: Tensor
    keep_abnormal: Tensor
    correction: Tensor  # how far each answer moves the logarithm of the score of rows like it
    manner: Tensor  # logarithms of the scores at the three scales
    refined: Tensor
    apart: Tensor  # usual distance of two rows, in each view
    height: Tensor
    same: Tensor  # distance up to which a row counts as a remembered one, in each view
    compared: Tensor  # how many remembered rows others are compared with
    cells: Tensor  # how many cells these fall into
    middle: Tensor  # of the numbers of the first view, or of all
    turning: Tensor  # what makes them uncorrelated
    leverage: Tensor  # how much a row that made it is in it, in its own squared distance
    tails: Tensor  # of near, linked and wide distances; of Mahalanobis distances in place of the wide ones

    def __init__(
        self,
        near: int = 5,
        wide: Sequence[float] = (0.1, 0.2, 0.3),
        linked: float = 0.4,
        whiten: bool = True,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.near = near
        self.wide = wide
        self.linked = linked
        self.whiten = whiten

    def check(self) -> None:
        """Shares lie in (0, 1], and there is at least one that wide neighbours enclose."""
        super().check()
        wide = list(self.wide) if isinstance(self.wide, Sequence) and not isinstance(self.wide, str) else []
        if not wide or not all(is_number(share) and 0 < share <= 1 for share in wide):
            raise InputError(f"wide must be shares of the rows in (0, 1], one or more, as a list; got {self.wide!r}.")
        if not is_number(self.linked) or not 0 < self.linked <= 1:
            raise InputError(f"linked must be a share of the rows in (0, 1]; got {self.linked!r}.")
        if not isinstance(self.whiten, bool):
            raise InputError(f"whiten must be True or False; got {self.whiten!r}.")

    def build(self, layout: Layout) -> None:
        """Make room for what is remembered of rows that hold each value in V scalings, side by side."""
        views = self.n_views = layout.views
        self.rows = torch.nn.Parameter(torch.zeros(0, layout.n_values), requires_grad=False)  # (R, D * V)
        for name in WEIGHTS:
            self.register_buffer(name, torch.zeros(0))  # (R,), manner (R, 3)
        self.register_buffer("refined", torch.zeros(()))
        self.register_buffer("apart", torch.ones(views, 1, 1))
        self.register_buffer("height", torch.zeros(views, 0))  # (V, R)
        self.register_buffer("same", torch.zeros(views, 1, 1))
        self.register_buffer("compared", torch.zeros(()))
        self.register_buffer("cells", torch.zeros(()))
        numbers = sorted(set(range(layout.n_values // views)) - set(layout.categories))
        self.whitens = self.whiten and 1 < len(numbers) <= WIDEST
        width = len(numbers) if self.whitens else 0
        self.numbers = torch.from_numpy(np.array(numbers[:width], dtype=np.int64))
        self.others = torch.from_numpy(np.array(layout.categories, dtype=np.int64))
        self.crowded = width >= CROWDED
        whitened = 0 if not self.whitens else views if self.crowded else 1
        self.register_buffer("middle", torch.zeros(whitened, width))
        self.register_buffer("turning", torch.zeros(whitened, width, width))
        self.register_buffer("leverage", torch.zeros(whitened))
        self.register_buffer("tails", torch.zeros(views + whitened, 2 + len(self.wide), len(SURVIVAL)))
        self._memories: list[Memory | Ellipsoid] = []

    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Remember rows, measure their linked and wide distances, and return how rare the wide ones are, see `agreed`.

        They tell how many are anomalous: a gap, which linked distances see, is no proof (docs/notes/contamination.md).
        """
        return self.take_in(rows, present)

    def evidence(self, rows: Tensor) -> Tensor:
        """The same where nothing else is wanted: clusters, which take most of the time, are left out."""
        return self.take_in(rows, torch.ones(len(rows)), clusters=False)

    @torch.no_grad()
    def take_in(self, rows: Tensor, present: Tensor, *, clusters: bool = True) -> Tensor:
        """Remember rows, perhaps without their clusters, as if each was in one that holds enough."""
        self.rows = torch.nn.Parameter(rows.clone(), requires_grad=False)
        self.present = present.to(rows.dtype)
        self.keep_normal, self.keep_abnormal = self.present.clone(), torch.zeros_like(self.present)
        self.correction, self.manner = torch.zeros_like(self.present), self.present.new_zeros(len(rows), 3)
        self.refined.zero_()
        compared = min(COMPARED, int((present > 0).sum()))
        self.compared.fill_(compared)
        self.cells.fill_(CELLS if compared > 2 * CELLS else compared)
        self.height = self.heights(clusters=clusters)
        for view, some in zip(range(len(self.middle)), self.views(rows[self.chosen()]), strict=False):
            self.middle[view], self.turning[view], self.leverage[view] = whitening(some[:, self.numbers])
        return self.agreed(self.settle()[..., 2:])

    @torch.no_grad()
    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Take over the weights of the remembered rows, ``(R,)`` each: from now on near neighbours count too."""
        self.keep_normal.copy_(keep_normal)
        self.keep_abnormal.copy_(keep_abnormal)
        self.refined.fill_(1.0)
        self.settle()

    def settle(self) -> Tensor:
        """Measure how the distances of the remembered rows are distributed, with their weights as they are now.

        Returns the log distances, see `measure`.
        """
        self._memories = []
        measured = self.measure(self.rows)
        self.tails.copy_(torch.stack([knots(view[self.present > 0]) for view in measured]))
        return measured

    @torch.no_grad()
    def learn(self, known: Tensor, share: float) -> None:
        """Correct the scores of rows like those that were answered, where they were wrong about these."""
        answered = torch.nonzero(known >= 0).flatten()
        if len(answered) == 0:
            return
        some = self.views(self.rows[:: max(1, len(self.rows) // SOME)])
        self.apart.copy_(torch.cdist(some, some).flatten(1).median(dim=1).values.clamp(min=TINY)[:, None, None])
        scales = self.scales(self.rows)
        scores = scales.amax(dim=-1)
        odd = float((known == 1).sum()) + share * float((known < 0).sum())  # known and assumed anomalies
        line = torch.quantile(scores, 1 - max(odd / len(known), LEAST_SHARE)).clamp(min=TINY)
        self.manner = torch.log(scales + INSIDE)
        alike = self.likeness(self.rows[answered], scales[answered], answered)
        self.correction[answered] = corrections(scores[answered] / line, alike, known[answered])

    def losses(self, batch: Tensor) -> Losses:
        """How rare the distances of each row are, and the negative of it."""
        normal = self.component_scores(batch).amax(dim=-1)
        return Losses(normal, -normal)

    def component_scores(self, batch: Tensor) -> Tensor:
        """The scores at the three scales, ``(B, 3)``, corrected by answers, if there are any."""
        scales = self.scales(batch)
        answered = torch.nonzero(self.correction).flatten()
        if len(answered) == 0:
            return scales
        alike = self.likeness(batch, scales, answered)  # (B, L)
        return scales * torch.exp((alike * self.correction[answered]).sum(dim=-1, keepdim=True))

    def scales(self, batch: Tensor) -> Tensor:
        """How rare the near, the linked and the wide distances of each row are, ``(B, 3)``."""
        return torch.cat([self.rarity(self.measure(few)) for few in torch.split(batch, AT_ONCE)])

    def rarity(self, measured: Tensor) -> Tensor:
        """How rare log distances ``(V', B, 2 + S)`` are at the three scales, ``(B, 3)``; V' with whitened views."""
        smallest = self.tails.new_full((self.tails.shape[1],), SMALLEST_STEP)
        smallest[1] = SMALLEST_SPREAD
        rare = tail(measured, self.tails, smallest)  # (V, B, 2 + S)
        near, linked = rare[: self.n_views, :, :2].mean(dim=0).unbind(-1)
        return torch.stack([near * self.refined, linked, self.rarest(rare[..., 2:])], dim=-1)

    def rarest(self, wide: Tensor) -> Tensor:
        """How rare wide distances of all views and shares are together: ``(V, B, S) -> (B,)``."""
        if self.crowded:
            wide, own = wide[: self.n_views], AHEAD + wide[self.n_views :, :, 0].mean(dim=0)
        rarest = torch.logsumexp(wide, dim=(0, 2)) - math.log(wide.shape[0] * wide.shape[2])
        return torch.maximum(rarest, own) if self.crowded else rarest

    def agreed(self, wide: Tensor) -> Tensor:
        """How rare wide log distances are in the mean, most of all when whitened: ``(V', B, S) -> (B,)``.

        The score takes the rarest. For how many rows are anomalous that is too much: one column with a long tail, or
        two clusters of normal rows, would make a tenth of clean rows rare in one view.
        """
        rare = tail(wide, self.tails[:, 2:]).mean(dim=-1)  # (V', B)
        scaled = rare[: self.n_views].mean(dim=0)
        return torch.lerp(scaled, rare[self.n_views :].mean(dim=0), WHITENED) if self.whitens else scaled

    def likeness(self, batch: Tensor, scales: Tensor, places: Tensor) -> Tensor:
        """How alike rows and some remembered ones are, in place and in how odd at which scale: ``(B, L)``, 0 to 1."""
        exact = "donot_use_mm_for_euclid_dist"
        rows = self.views(self.rows[places])
        distance = torch.cdist(self.views(batch.to(self.rows.dtype)), rows, compute_mode=exact)  # (V, B, L)
        near = torch.exp(-0.5 * (distance / self.apart).square()).mean(dim=0)
        manner = torch.cdist(torch.log(scales + INSIDE), self.manner[places], compute_mode=exact)
        return near * torch.exp(-0.5 * (manner / MANNER).square())

    def measure(self, batch: Tensor) -> Tensor:
        """Log distances of rows to near, linked and wide neighbours in each view, ``(V', B, 2 + S)``.

        Mahalanobis distances come last, with 0 in place of near and linked ones.
        """
        if not self._memories:
            self._memories = self.memories()
        views = self.views(batch.to(self.rows.dtype))
        return torch.stack([self.distances(views, place, memory) for place, memory in enumerate(self._memories)])

    def distances(self, views: Tensor, place: int, memory: Memory | Ellipsoid) -> Tensor:
        """Log distances ``(B, 2 + S)`` to what is remembered of a view or, further on, of a whitened one."""
        if isinstance(memory, Memory):
            return torch.cat([memory.measure(few, self.near, self.wide) for few in torch.split(views[place], AT_ONCE)])
        rows = self.whitened(views[place - self.n_views], place - self.n_views)
        found = torch.cat([memory.measure(few) for few in torch.split(rows, AT_ONCE)])
        return pad(found.expand(-1, len(self.wide)), (2, 0))

    def memories(self) -> list[Memory | Ellipsoid]:
        """What rows are compared with in each view, the whitened ones last."""
        views, chosen = self.views(self.rows), self.chosen()
        found: list[Memory | Ellipsoid] = [self.memory(view, rows) for view, rows in enumerate(views)]
        for view, leverage in enumerate(self.leverage.tolist()):
            found.append(Ellipsoid(self.whitened(views[view, chosen], view), len(self.numbers), leverage))
        return found

    def whitened(self, rows: Tensor, view: int) -> Tensor:
        """Rows ``(n, D)`` of a view with uncorrelated numbers of variance 1, in double precision."""
        rows = rows.double()
        turned = linear(rows[:, self.numbers] - self.middle[view].double(), self.turning[view].double())
        return torch.cat([turned, rows[:, self.others]], dim=1)

    def chosen(self) -> Tensor:
        """Places of the remembered rows that others are compared with."""
        there = torch.nonzero(self.present > 0).flatten()
        return there[spread(len(there)).to(there.device)][: int(self.compared)]

    def memory(self, view: int, rows: Tensor) -> Memory:
        """What rows are compared with in a view, in which these ``(R, D)`` are remembered."""
        there = self.chosen()
        against = torch.nonzero(self.keep_abnormal > 0).flatten()
        same = float(self.same[view])
        double = rows.dtype is torch.float64 or needs_double(rows[there], same / SAME)
        cells = int(self.cells)
        points = Points(rows[there], cells, double=double)
        abnormal, weights = Points(rows[against]), self.keep_abnormal[against]  # few, and often very near to each other
        return Memory(points, cells, self.height[view, there], self.keep_normal[there], abnormal, weights, same)

    def heights(self, *, clusters: bool = True) -> Tensor:
        """At which distance the cluster of each remembered row holds enough others: ``(V, R)``, infinite where absent.

        A row that is reached from a remembered one joins its cluster: no link of that one is shorter than its height.
        """
        there = torch.nonzero(self.present > 0).flatten()
        height = self.rows.new_full((self.n_views, len(self.rows)), torch.inf)
        for view, rows in enumerate(self.views(self.rows[there])):
            distance = exact(rows).cpu()
            number = min(self.near, len(there) - 1)  # itself is number 0
            core = torch.from_numpy(np.partition(distance.numpy(), number, axis=1)[:, number])
            usual = core.median()
            if usual <= 2 * TINY:  # most rows have several equals: measure by the distance to another row
                usual = distance.masked_fill(distance == 0, torch.inf).amin(dim=1).median().nan_to_num(posinf=0.0)
            self.same[view] = SAME * usual
            height[view, there] = 0.0
            if clusters:
                found = joining_heights(distance.numpy(), core.numpy(), self.linked)
                height[view, there] = torch.from_numpy(found).to(height)
        return height

    def pairwise_distances(self, rows: Tensor) -> Tensor:
        """Mean over the views of the distances, each in its view's median."""
        views = self.views(rows)
        distance = torch.cdist(views, views, compute_mode="donot_use_mm_for_euclid_dist")  # (V, n, n)
        return (distance / distance.flatten(1).median(dim=1).values.clamp(min=TINY)[:, None, None]).mean(dim=0)

    def views(self, rows: Tensor) -> Tensor:
        """Separate the scalings: ``(n, D * V) -> (V, n, D)``."""
        return rows.reshape(len(rows), -1, self.n_views).movedim(-1, 0)

    def _apply(self, *arguments: Any, **named: Any) -> Any:
        """Whoever moves or casts what is remembered makes what was made of it out of date."""
        self._memories = []
        return super()._apply(*arguments, **named)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for as many rows as are stored."""
        stored = {name: state_dict.get(f"{prefix}{name}", self.apart).shape for name in ("turning", "leverage")}
        if any(shape != getattr(self, name).shape for name, shape in stored.items()):
            raise RuntimeError("it was saved by an older version, which measured other distances. Fit the model again")
        self.rows = torch.nn.Parameter(torch.empty_like(state_dict[f"{prefix}rows"]), requires_grad=False)
        for name in WEIGHTS:
            setattr(self, name, torch.empty_like(state_dict[f"{prefix}{name}"]))
        self.height = torch.empty_like(state_dict[f"{prefix}height"])
        self._memories = []
        super()._load_from_state_dict(state_dict, prefix, *rest)


def whitening(rows: Tensor) -> tuple[Tensor, Tensor, float]:
    """The middle of rows ``(n, D)``, and the matrix ``(D, D)`` that makes their columns uncorrelated, of variance 1.

    Last, how much a row is in it: what its squared distance has to be multiplied by (`Ellipsoid`).

    The covariance is shrunk as Ledoit and Wolf (2004) do.
    """
    from sklearn.covariance import ledoit_wolf

    middle = rows.double().mean(dim=0)
    covariance, shrinkage = ledoit_wolf((rows.double() - middle).cpu().numpy(), assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    turning = vectors / np.sqrt(np.maximum(values, max(values[-1] * LEAST_VARIANCE, TINY)))
    return middle.to(rows), torch.from_numpy(turning.T.copy()).to(rows), (1 - shrinkage) / len(rows)


def knots(measured: Tensor) -> Tensor:
    """Deciles of log distances, ``(n, S) -> (S, 8)``."""
    levels = 1 - torch.tensor(SURVIVAL, dtype=measured.dtype, device=measured.device)
    return torch.quantile(measured, levels, dim=0).T


def tail(measured: Tensor, knots: Tensor, smallest: float | Tensor = SMALLEST_STEP) -> Tensor:
    """``-log P(D > d)``, piecewise linear between the deciles, exponential beyond: ``(V, B, S)``, ``(V, S, 8)``.

    The exponential is as wide as the upper deciles are apart, and at least ``smallest``, perhaps one for each ``(S,)``.
    """
    level = -torch.log(torch.tensor(SURVIVAL, dtype=measured.dtype, device=measured.device))  # (8,)
    at = knots[:, None]  # (V, 1, S, 8)
    step = (at[..., 1:] - at[..., :-1]).clamp(min=SMALLEST_STEP)
    inside = ((measured[..., None] - at[..., :-1]) / step).clamp(0, 1) * level.diff()  # (V, B, S, 7)
    rate = (level[LAST] - level[FIRST]) / (at[..., LAST] - at[..., FIRST]).clamp(min=smallest)
    return inside.sum(dim=-1) + rate * (measured - at[..., LAST]).clamp(min=0)
