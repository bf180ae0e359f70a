"""What rows are compared with in one view: the distances to near, linked and wide neighbours among remembered rows.

Near neighbours are found as the nearest of each cell. Where all points have a cell of their own that is exact. Where
several share one, two of the nearest may, which then count once: the distance becomes a trifle larger, that of the
remembered rows alike, and no sort of all distances is needed. Wide neighbours are found among the first of each cell,
which are a fair sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from expose.objectives.distances import Points

SAME = 1e-3  # of the usual near distance: within it a row is a remembered one, whose input was rounded since
TINY = 1e-9  # a distance of 0 has no logarithm
PULL, ABNORMAL_NEIGHBOURS = 0.5, 3  # of rows known or taken as anomalies


class Memory:
    """Points with weights, and what is measured to them.

    Parameters
    ----------
    points : Points
        Of P remembered rows, filled up to a multiple of the cells.
    n_cells : int
    heights : Tensor of shape (P,)
        Distances at which their clusters hold enough others.
    weights : Tensor of shape (P,)
        How much each counts as a near neighbour: 0, or at least 1/2.
    abnormal : Points
        Rows known or taken as anomalies, perhaps none.
    abnormal_weights : Tensor of shape (Q,)
        Positive.
    same : float
        Distance up to which a row counts as a remembered one.
    """

    def __init__(
        self,
        points: Points,
        n_cells: int,
        heights: Tensor,
        weights: Tensor,
        abnormal: Points,
        abnormal_weights: Tensor,
        same: float,
    ) -> None:
        filled = (0, len(points.lifted_points) - len(heights))
        self.points, self.n_cells, self.same = points, n_cells, same
        self.abnormal, self.abnormal_weights = abnormal, abnormal_weights
        self.heights = pad(heights.float().square(), filled)
        self.weights = pad(weights.float(), filled)
        self.whole_weights = bool(((weights == 0) | (weights == 1)).all())
        self.left_out = None if bool((weights == 1).all()) else torch.where(self.weights > 0, 0.0, torch.inf)
        self.n_kept = int((self.weights > 0).reshape(-1, n_cells).any(dim=0).sum())  # cells with a point that counts

    def measure(self, rows: Tensor, near: int, wide: Sequence[float]) -> Tensor:
        """Log distances to near, linked and wide neighbours, ``(B, D) -> (B, 2 + S)``; near is a mean over ``near``."""
        lifted = self.points.lifted(rows)
        same = self.points.rounding(lifted).float().clamp(min=self.same**2)  # (B, 1)
        squared = self.points.squared(lifted)  # (B, P)
        linked = torch.maximum(squared, self.heights).amin(dim=1, keepdim=True)
        enclosed = enclosing(ascending(squared[:, : self.n_cells]), wide, same)
        if self.whole_weights:
            kept = squared if self.left_out is None else squared + self.left_out
            cells = kept.view(len(rows), -1, self.n_cells).amin(dim=1)
            nearest = first_others(ascending(cells), near, same, self.n_kept)
        else:
            nearest = torch.cat([weighted(squared, self.weights, count, same) for count in range(1, near + 1)], dim=1)
        found = log_distance(torch.cat([nearest, linked, enclosed], dim=1), same)
        found[:, near - 1] = found[:, :near].mean(dim=1)
        found = found[:, near - 1 :]
        torch.maximum(found[:, 0], found[:, 1], out=found[:, 1])  # no link of a row is shorter than to its near ones
        if len(self.abnormal_weights):
            lifted = self.abnormal.lifted(rows)
            same = self.abnormal.rounding(lifted).float().clamp(min=self.same**2)
            against, count = self.abnormal.squared(lifted), ABNORMAL_NEIGHBOURS
            found[:, :1] -= PULL * log_distance(weighted(against, self.abnormal_weights, count, same), same)
        return found


class Ellipsoid:
    """Points that a covariance was made of, whitened by it, from whose middle the Mahalanobis distance is measured.

    A row that is one of them is judged by the covariance of the others, which follows from its own squared distance d
    without another fit (Sherman and Morrison, 1950): without it, it is d / (1 - leverage d).

    Parameters
    ----------
    points : Tensor of shape (P, D)
    width : int
        How many of the D are whitened numbers.
    leverage : float
        The weight of one point in the covariance.
    """

    def __init__(self, points: Tensor, width: int, leverage: float) -> None:
        self.points, self.width, self.leverage = Points(points), width, leverage
        lifted = self.points.lifted(points)
        squared = self.points.squared(lifted)
        others = squared.masked_fill(squared <= self.points.rounding(lifted), torch.inf).amin(dim=1)
        self.same = SAME * float(others.median().sqrt().nan_to_num(posinf=0.0))

    def measure(self, rows: Tensor) -> Tensor:
        """The log distance from the middle, ``(B, D) -> (B, 1)``."""
        lifted = self.points.lifted(rows)
        same = self.points.rounding(lifted).float().clamp(min=self.same**2)
        known = self.points.squared(lifted).amin(dim=1, keepdim=True) <= same
        squared = rows[:, : self.width].square().sum(dim=1, keepdim=True)
        alone = squared / (1 - self.leverage * squared).clamp(min=TINY)
        distance = torch.where(known, alone, squared).sqrt()
        return torch.log(distance + TINY).float()


def log_distance(squared: Tensor, same: Tensor) -> Tensor:
    """Logarithms of distances, of which those up to ``same`` are 0; both come as squares."""
    return torch.log(torch.where(squared <= same, 0.0, squared).sqrt() + TINY)


def weighted(squared: Tensor, weight: Tensor, count: int, same: Tensor) -> Tensor:
    """The distance at which the nearest points' weights sum to ``count``: ``(B, P), (P,), (B, 1) -> (B, 1)``.

    A weight is 0, or at least 1/2. The row itself, the first no further than ``same``, is not its own neighbour. Where
    the weights do not suffice, it is the distance of the furthest point that has any.
    """
    having = torch.nonzero(weight > 0).flatten()
    found = squared[:, having].topk(min(2 * count + 1, len(having)), dim=1, largest=False)  # (B, K)
    weights = weight[having][found.indices]
    mass = weights.cumsum(dim=1) - weights[:, :1] * (found.values[:, :1] <= same)
    place = (mass < count - 1e-4).sum(dim=1, keepdim=True).clamp(max=mass.shape[1] - 1)
    return found.values.gather(1, place)


def first_others(ordered: Tensor, count: int, same: Tensor, most: int) -> Tensor:
    """The distances of the nearest ``count`` other points; of the last of ``most`` again where there are fewer.

    Ascending ``(B, P)`` to ``(B, count)``.
    """
    places = torch.arange(count, device=ordered.device) + (ordered[:, :1] <= same)
    return ordered.gather(1, places.clamp(max=most - 1))


def enclosing(ordered: Tensor, shares: Sequence[float], same: Tensor) -> Tensor:
    """The distance within which each share of the other points lies; ascending ``(B, P) -> (B, S)``."""
    last = ordered.shape[1] - 1
    places = torch.tensor([max(0, round(share * (last + 1)) - 1) for share in shares], device=ordered.device)
    return ordered.gather(1, (places + (ordered[:, :1] <= same)).clamp(max=last))


def ascending(distance: Tensor) -> Tensor:
    """Sort the last axis. On a CPU NumPy is five times faster than torch."""
    if distance.device.type == "cpu":
        return torch.from_numpy(np.sort(distance.detach().numpy(), axis=-1))
    return distance.sort(dim=-1).values
