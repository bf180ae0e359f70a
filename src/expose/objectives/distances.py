"""Squared distances of rows to remembered points, by one matrix product.

|x - y|^2 is the product of (x, |x|^2, 1) and (-2 y, 1, |y|^2). That is some hundred times as fast as differences, but
where x and y are nearly equal, only rounding is left of it. So all is measured from the middle of the points, and in
double precision where most points are nearer to others than single precision could tell; what rounding may have made of
0 is told by `Points.rounding`, and counts as 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from expose.networks.maps import linear

WORST = 32.0  # rounding of a sum of some hundred products, in units of the last digit
FINE = 0.1  # of a usual row's distance from the middle: where neighbours are nearer, single precision is too coarse
GOLDEN = 0.5 * (5**0.5 - 1)


class Points:
    """Points ``(P, D)``, filled up by some infinitely far away where their number has to be a multiple.

    Parameters
    ----------
    points : Tensor of shape (P, D)
    multiple : int, default=1
    double : bool, default=True
        Whether products are made in double precision.

    Attributes
    ----------
    lifted_points : Tensor of shape (P', D + 2)

    Examples
    --------
    >>> points = Points(torch.tensor([[0.0], [3.0], [5.0]]), multiple=2)
    >>> points.squared(points.lifted(torch.tensor([[1.0], [3.0]]))).tolist()
    [[1.0, 4.0, 16.0, inf], [9.0, 0.0, 4.0, inf]]
    """

    def __init__(self, points: Tensor, multiple: int = 1, *, double: bool = True) -> None:
        self.dtype = torch.float64 if double else torch.float32
        points = points.to(self.dtype)
        self.middle = points.median(dim=0).values if len(points) else points.new_zeros(points.shape[1])
        away = points - self.middle
        length = away.square().sum(dim=1, keepdim=True)
        lifted = torch.cat([-2 * away, torch.ones_like(length), length], dim=1)  # (P, D + 2)
        self.lifted_points = pad(lifted, (0, 0, 0, -len(points) % multiple))
        self.lifted_points[len(points) :, -1] = torch.inf

    def lifted(self, rows: Tensor) -> Tensor:
        """Rows as `squared` takes them, ``(B, D) -> (B, D + 2)``."""
        lifted = torch.ones(len(rows), rows.shape[1] + 2, dtype=self.dtype, device=rows.device)
        away = torch.sub(rows, self.middle, out=lifted[:, :-2])
        torch.sum(away.square(), dim=1, out=lifted[:, -2])
        return lifted

    def squared(self, lifted: Tensor) -> Tensor:
        """Squared distances of rows to the points, ``(B, P')``, of nearly equal ones perhaps negative."""
        return linear(lifted, self.lifted_points).float()

    def rounding(self, lifted: Tensor) -> Tensor:
        """Squared distances that may be 0 but for rounding, ``(B, 1)``."""
        return WORST * torch.finfo(self.dtype).eps * lifted[:, -2:-1]


def exact(points: Tensor) -> Tensor:
    """Distances of all pairs, ``(P, D) -> (P, P)``, in double precision; of equal points exactly 0."""
    known = Points(points)
    rows = known.lifted(points)
    squared = rows @ known.lifted_points.T
    return squared.masked_fill_(squared <= known.rounding(rows), 0.0).fill_diagonal_(0.0).sqrt_()


def needs_double(points: Tensor, usual: float) -> bool:
    """Whether neighbours at a usual distance are too near for products in single precision."""
    away = points.double() - points.double().median(dim=0).values
    return bool(torch.quantile(away.square().sum(dim=1), 0.9).sqrt() * FINE > usual)


def spread(n: int) -> Tensor:
    """An order of n numbers of which every beginning is spread over all of them, the same on every machine.

    >>> spread(8).tolist()
    [0, 5, 2, 7, 4, 1, 6, 3]
    """
    return (torch.arange(n, dtype=torch.float64) * GOLDEN).frac().argsort(stable=True)
