"""Distances of patches to those of other photos, wherever these lie (after SoftPatch: Jiang et al., NeurIPS 2022).

For products in varying pose, of which nothing is usual at a place. Of all patches some are remembered, evenly spread
over photos and places; the most remote of them are left out, for patches of anomalies are more often among them. Then

    d_p(x)    = distance of the patch at place p of photo x to the `near`-th nearest remembered patch of other photos
    normal(x) = mean of the largest d_p(x),    abnormal(x) = - normal(x)

More than one near patch is asked for, as one that is like it may be that of another anomaly; and a photo's own patches
are none, as of course they are like each other. A photo is known again as `gaussian` does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.objectives.base import register
from expose.objectives.distances import Points, spread
from expose.objectives.gaussian import WorstPlaces, known_again, sums_of
from expose.objectives.recipes import is_number

AT_ONCE = 8  # photos whose patches are compared
FEW = 1024  # remembered patches that are compared with all


@register("patch-memory")
class PatchMemory(WorstPlaces):
    """Distances of the patches of a photo to patches of others; its score is the mean of the worst.

    Parameters
    ----------
    near : int, default=3
        To which near patch distances are measured.
    dropped : float, default=0.1
        Share of the remembered patches that are left out: the most remote.
    most : int, default=4096
        Patches remembered.
    worst : int, default=5
        How many patches a photo is judged by.
    **training
        ``reference_points``, the most photos that patches are taken of; see `Remember`.
    """

    forms = ("grid",)
    preferred_exposure = "refine"
    lowest = {"near": 1, "most": 16, "worst": 1}  # noqa: RUF012 - never changed

    patches: Tensor  # (N, K)
    owner: Tensor  # (N,): which remembered photo each is of
    sums: Tensor  # (R, 8): by which photos are known again
    kept: Tensor  # (N,): whether each counts

    def __init__(self, near: int = 3, dropped: float = 0.1, most: int = 4096, worst: int = 5, **training: Any) -> None:
        super().__init__(**training)
        self.near = near
        self.dropped = dropped
        self.most = most
        self.worst = worst

    def check(self) -> None:
        """The share that is left out lies in [0, 1)."""
        super().check()
        if not is_number(self.dropped) or not 0 <= self.dropped < 1:
            raise InputError(f"dropped must be a share of the patches in [0, 1); got {self.dropped!r}.")

    def build(self, layout: Layout) -> None:
        """Make room for patches."""
        self.patches = torch.nn.Parameter(torch.zeros(0, layout.shape[-1]), requires_grad=False)
        self.register_buffer("owner", torch.zeros(0))
        self.register_buffer("sums", torch.zeros(0, sums_of(torch.zeros(1, 1, 1)).shape[1]))
        self.register_buffer("kept", torch.zeros(0))
        self._points: Points | None = None

    @torch.no_grad()
    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Remember patches of photos, and return how remote those of each photo are."""
        places = self.places(rows)
        there = torch.nonzero(present > 0).flatten()
        n_places = places.shape[1]
        chosen = spread(len(there) * n_places)[: self.most].sort().values  # of all patches of those that are present
        photo, place = there[chosen // n_places], chosen % n_places
        self.patches = torch.nn.Parameter(places[photo, place], requires_grad=False)
        self.owner, self.sums, self._points = photo.to(places), sums_of(places), None
        self.kept = torch.ones_like(self.owner)
        self.settle()
        return self.score(rows)

    @torch.no_grad()
    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Leave out the patches of suspects too."""
        self.kept, self._points = (keep_normal[self.owner.long()] > 0).to(self.owner), None
        self.settle()

    def settle(self) -> None:
        """Leave out the most remote of the remembered patches that count."""
        few = zip(torch.split(self.patches, FEW), torch.split(self.owner[:, None], FEW), strict=True)
        remote = torch.cat([self.nearest(patches, own) for patches, own in few])
        line = torch.quantile(remote[self.kept > 0], 1 - self.dropped) if bool((self.kept > 0).any()) else remote.max()
        self.kept, self._points = self.kept * (remote <= line), None

    def nearest(self, patches: Tensor, own: Tensor) -> Tensor:
        """Distance of patches ``(B, K)`` to the near one of photos but their own, ``(B, 1)``: ``(B,)``."""
        if self._points is None:
            self._counted = torch.nonzero(self.kept > 0).flatten()
            self._points = Points(self.patches[self._counted], double=False)
        squared = self._points.squared(self._points.lifted(patches)).clamp(min=0.0)  # (B, N)
        if bool((own >= 0).any()):
            squared = squared.masked_fill(own == self.owner[self._counted], torch.inf)
        found = squared.topk(min(self.near, squared.shape[1]), dim=1, largest=False).values
        last = torch.isfinite(found).sum(dim=1, keepdim=True).clamp(min=1) - 1
        return found.gather(1, last).squeeze(1).nan_to_num(posinf=0.0).sqrt()  # 0 where there is no other

    def places(self, batch: Tensor) -> Tensor:
        """What stands at each place, ``(B, D) -> (B, P, K)``."""
        assert self.layout is not None
        return self.layout.unfold(batch.to(self.patches.dtype)).flatten(1, -2)

    def part_scores(self, batch: Tensor) -> Tensor:
        """Distance of each patch to the near one of other photos, ``(B, P)``."""
        return torch.cat([self.distances(self.places(few)) for few in torch.split(batch, AT_ONCE)])

    def distances(self, places: Tensor) -> Tensor:
        """The same of what stands at the places of few photos, ``(B, P, K) -> (B, P)``."""
        same = known_again(places, self.sums)  # (B, R)
        own = torch.where(same.any(dim=1), same.to(self.owner).argmax(dim=1), -1)
        found = self.nearest(places.flatten(0, 1), own.repeat_interleave(places.shape[1])[:, None])
        return found.reshape(places.shape[:2])

    def _apply(self, *arguments: Any, **named: Any) -> Any:
        """Whoever moves or casts patches makes what was made of them out of date."""
        self._points = None
        return super()._apply(*arguments, **named)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for as many patches as are stored."""
        stored = state_dict[f"{prefix}patches"]
        self.patches = torch.nn.Parameter(torch.empty_like(stored), requires_grad=False)
        for name in ("owner", "sums", "kept"):
            setattr(self, name, torch.empty_like(state_dict[f"{prefix}{name}"]))
        self._points = None
        super()._load_from_state_dict(state_dict, prefix, *rest)
