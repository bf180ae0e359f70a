"""The default objective taken apart, for the ablation of `run_study.py`: what is left when a part is missing.

All variants of one cell see the same rows, so distances are computed once and kept for the next variant. Seconds in
these results therefore mean nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from expose import AnomalyDetector
from expose.objectives import Losses, Neighbours
from expose.objectives.neighbours import (
    ABNORMAL_NEIGHBOURS,
    PULL,
    SMALLEST_SPREAD,
    TINY,
    ascending,
    knots,
    nearest,
    tail,
)

ALL = ("near", "linked", "wide")
MOST_BYTES = 2 * 10**9
_kept: dict[Hashable, Tensor] = {}


class Parts(Neighbours):
    """`Neighbours` with some of its distances, in some scalings; with all of them it scores the same to the last bit.

    Parameters
    ----------
    parts : sequence of {"near", "linked", "wide"}
        What the score is the largest of. The share of suspects is estimated from wide distances in any case; who they
        are is decided by linked and wide, as far as these are among the parts, and without both by near itself.
    scalings : sequence of str
        The views.
    largest : bool
        Whether the score is the largest of the parts or their mean.
    harmonic : bool
        Whether wide distances are combined by their harmonic or by their plain mean.
    references, near, wide, linked
        As `Neighbours` takes them.
    """

    def __init__(
        self,
        parts: Sequence[str] = ALL,
        scalings: Sequence[str] = Neighbours.scalings,
        largest: bool = True,
        harmonic: bool = True,
        references: int = 2048,
        near: int = 5,
        wide: Sequence[float] = (0.1, 0.2, 0.3),
        linked: float = 0.4,
    ) -> None:
        super().__init__(references, near, wide, linked)
        self.parts = parts
        self.scalings = tuple(scalings)
        self.largest = largest
        self.harmonic = harmonic

    @torch.no_grad()
    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """As `Neighbours`; near distances count at once if there are no others to choose suspects by."""
        evidence = super().remember(rows, present)
        if tuple(self.parts) == ("near",):
            self.near_tail.copy_(knots(self.measure(self.rows)[0], self.present))
            self.refined.fill_(1.0)
        return evidence

    def losses(self, batch: Tensor) -> Losses:
        """The largest, or the mean, of what is left."""
        near, linked, wide = self.measure(batch)  # (V, B, 1), (V, B, 1), (V, B, S)
        every = {
            "near": tail(near, self.near_tail).mean(dim=(0, 2)) * self.refined,
            "linked": tail(linked, self.linked_tail, SMALLEST_SPREAD).mean(dim=(0, 2)),
            "wide": self.rarest(wide),
        }
        chosen = torch.stack([every[part] for part in self.parts])  # (P, B)
        normal = chosen.amax(dim=0) if self.largest else chosen.mean(dim=0)
        return Losses(normal, -normal)

    def rarest(self, wide: Tensor) -> Tensor:
        """Wide distances of all views and shares as one."""
        return super().rarest(wide) if self.harmonic else tail(wide, self.wide_tail).mean(dim=(0, 2))

    def measure_few(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Neighbours`, from kept distances where there are any."""
        distance, ordered = self.distances(batch), self.ordered(batch)  # (V, B, R)
        weights = digest(batch, self.rows, self.keep_normal, self.keep_abnormal)
        near = keep(("near", weights, self.settings), lambda: self.near_distance(distance))
        core = nth(ordered, self.near)
        linked = torch.maximum(distance, self.height[:, None]).amin(dim=-1, keepdim=True)  # (V, B, 1)
        linked = torch.maximum(torch.log(linked + TINY), core)
        return near, linked, torch.cat([nth(ordered, max(1, round(s * len(self.rows)))) for s in self.wide], dim=-1)

    def near_distance(self, distance: Tensor) -> Tensor:
        """To rows kept as normal, less the pull of those taken as anomalies."""
        near = nth_nearest(distance, self.keep_normal, self.near)
        if bool(self.keep_abnormal.any()):
            near = near - PULL * nth_nearest(distance, self.keep_abnormal, ABNORMAL_NEIGHBOURS)
        return near

    def heights(self) -> Tensor:
        """As `Neighbours`, kept; the ablation has no rows that are known to be anomalous."""
        made = keep(("heights", digest(self.rows), self.settings), lambda: super(Parts, self).heights())
        return made.clone()

    def distances(self, batch: Tensor) -> Tensor:
        """As `Neighbours`, kept."""
        key = ("distances", digest(batch, self.rows), self.scalings)
        return keep(key, lambda: super(Parts, self).distances(batch))

    def ordered(self, batch: Tensor) -> Tensor:
        """The distances in ascending order, kept."""
        return keep(("ordered", digest(batch, self.rows), self.scalings), lambda: ascending(self.distances(batch)))

    @property
    def settings(self) -> tuple[Any, ...]:
        """What distances depend on, besides rows and weights."""
        return self.scalings, self.near, self.linked


def nth_nearest(distance: Tensor, weight: Tensor, count: int) -> Tensor:
    """As `nearest`, by sorting where all weights are 0 or 1, which is faster."""
    if bool(((weight > 0) & (weight < 1)).any()):
        return nearest(distance, weight, count)
    return nth(ascending(distance[..., weight > 0]), count)


def nth(ordered: Tensor, count: int) -> Tensor:
    """Log of the distance to the nearest row of this number, itself aside: ``(V, B, R) -> (V, B, 1)``."""
    place = (ordered[..., :1] == 0).long() + count - 1
    return torch.log(ordered.gather(-1, place.clamp(max=ordered.shape[-1] - 1)) + TINY)


def keep(key: Hashable, make: Callable[[], Tensor]) -> Tensor:
    """What was made under this key, or make it; when too much is kept, all is forgotten."""
    if key not in _kept:
        if sum(tensor.nbytes for tensor in _kept.values()) > MOST_BYTES:
            _kept.clear()
        _kept[key] = make()
    return _kept[key]


def digest(*tensors: Tensor) -> bytes:
    """Of values and their precision."""
    found = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        array = tensor.detach().contiguous().numpy()
        found.update(repr((array.dtype, array.shape)).encode() + array.tobytes())
    return found.digest()


def detector(exposure: str = "auto", **parameters: Any) -> AnomalyDetector:
    """The default with a part changed."""
    return AnomalyDetector(Parts(**parameters), exposure=exposure, device="cpu")


def variants() -> dict[str, AnomalyDetector]:
    """All that are told nothing, the default first."""
    return {
        "default": detector(),
        "near only": detector(parts=("near",)),
        "linked only": detector(parts=("linked",)),
        "wide only": detector(parts=("wide",)),
        "near and linked": detector(parts=("near", "linked")),
        "near and wide": detector(parts=("near", "wide")),
        "linked and wide": detector(parts=("linked", "wide")),
        "mean of the three": detector(largest=False),
        "wide by plain mean": detector(harmonic=False),
        "only quantile scaling": detector(scalings=("quantile",)),
        "only standard scaling": detector(scalings=("standard",)),
        "only no scaling": detector(scalings=("none",)),
        "blind": detector("blind"),
        "hard": detector("hard"),
        "soft": detector("soft"),
        "1 near neighbour": detector(near=1),
        "20 near neighbours": detector(near=20),
        "wide 5 %": detector(wide=(0.05,)),
        "wide 40 %": detector(wide=(0.4,)),
        "linked 10 %": detector(linked=0.1),
        "linked 60 %": detector(linked=0.6),
        "256 rows remembered": detector(references=256),
    }


def told() -> dict[str, AnomalyDetector]:
    """Those that the true share is told to."""
    return {name: one for name, one in variants().items() if name in ("default", "hard", "soft")}
