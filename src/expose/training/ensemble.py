"""M differently seeded members of one objective, trained and scored in one batched computation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from expose.encoders.layout import Layout
from expose.objectives import Losses, MemoryObjective, Objective
from expose.training.compute import torch_seed


class Ensemble(nn.Module):
    """Evaluates all members at once: parameters carry a leading axis M (torch.func). One member costs nothing extra.

    Parameters
    ----------
    members : sequence of Objective
        Built members, alike but for the values of their parameters and buffers.

    Attributes
    ----------
    components : tuple of str
        Names of the scores that the members' score is the largest of, if it is.
    smallest_tile : int
        As the members have it.
    smaller_tiles : tuple of int
        Tiles for few rows, found by `ready_to_score`; ascending.
    """

    smaller_tiles: tuple[int, ...] = ()

    def __init__(self, members: Sequence[Objective]) -> None:
        super().__init__()
        self.n_members = len(members)
        self.layout = members[0].layout or Layout("vector", (1,))
        self.components = tuple(members[0].components)
        self.smallest_tile = members[0].smallest_tile
        self._template: list[Objective] = []  # in a list: not a submodule, it holds no weights
        if self.n_members == 1:
            self.only = members[0]
            return
        if not stackable(members[0]):
            self.each = nn.ModuleList(members)
            return
        self._template = [copy.deepcopy(members[0]).to("meta")]
        parameters, buffers = stack_module_state(list(members))
        self.stacked = nn.ParameterDict(
            {flat(k): nn.Parameter(v.detach(), v.requires_grad) for k, v in parameters.items()}
        )
        for name, value in buffers.items():
            self.register_buffer(flat(name), value)
        self._buffer_names = list(buffers)

    def train(self, mode: bool = True) -> Self:
        """Switch all members between training and evaluation."""
        for template in self._template:
            template.train(mode)
        return super().train(mode)

    def forward(self, batch: Tensor, method: str = "losses", targets: Tensor | None = None) -> Any:
        """Call ``method`` of every member.

        Parameters
        ----------
        batch : Tensor
            ``(M, B, D)``, each member's own rows, or ``(B, D)``, the same rows for all.
        method : str
        targets : Tensor, optional
            ``(1, B)``, the numbers of the classes, for the one member of a classifier.

        Returns
        -------
        Losses of ``(M, B)``, or scores ``(M, B)``.
        """
        if self.n_members == 1:
            more = () if targets is None else (targets[0],)
            result = self.only(batch[0] if batch.ndim == 3 else batch, method, *more)
            return Losses(*(loss[None] for loss in result)) if isinstance(result, tuple) else result[None]
        rows_axis = 0 if batch.ndim == 3 else None
        if self._template and self.training:
            together = vmap(self._call_member, in_dims=(0, 0, rows_axis, None), randomness="different")
            return together(*self._state(), batch, method)
        own = batch.unbind() if batch.ndim == 3 else [batch] * self.n_members
        results = [self._member_by_number(index, rows, method) for index, rows in enumerate(own)]
        if method == "losses":
            return Losses(*(torch.stack(losses) for losses in zip(*results, strict=True)))
        return torch.stack(results)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and buffers of all members, by the names that one has."""
        buffers = {name: self.get_buffer(flat(name)) for name in self._buffer_names}
        return {unflat(name): value for name, value in self.stacked.items()}, buffers

    def _member_by_number(self, index: int, rows: Tensor, method: str) -> Any:
        """One after another: each alone computes by the quicker products (`expose.networks.maps`)."""
        if not self._template:
            return self.each[index](rows, method)
        parameters, buffers = ({name: value[index] for name, value in part.items()} for part in self._state())
        return self._call_member(parameters, buffers, rows, method)

    def _call_member(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], rows: Tensor, method: str) -> Any:
        return functional_call(self._template[0], (parameters, buffers), (rows, method))

    def take_over(self, kept: dict[str, Tensor], which: Sequence[bool]) -> dict[str, Tensor]:
        """Return ``kept``, a state dict of this ensemble, with the present weights of the chosen members in it."""
        present = {name: value.detach() for name, value in self.state_dict().items()}
        if not kept or all(which):
            return {name: value.clone() for name, value in present.items()}
        if any(which):
            chosen = torch.tensor(which, device=next(self.parameters()).device)
            for name, value in kept.items():
                if self._template:
                    value[chosen] = present[name][chosen]
                elif which[int(name.split(".")[1])]:  # each.<member>.<parameter>
                    value.copy_(present[name])
        return kept

    def member(self, index: int) -> Objective:
        """A copy of one member as a plain objective, on the CPU."""
        if self.n_members == 1:
            return copy.deepcopy(self.only).cpu()
        if not self._template:
            own: Objective = copy.deepcopy(self.each[index]).cpu()  # type: ignore[assignment]
            return own
        state = {unflat(name): value[index] for name, value in self.stacked.items()}
        state |= {name: self.get_buffer(flat(name))[index] for name in self._buffer_names}
        single = copy.deepcopy(self._template[0]).to_empty(device="cpu")
        single.load_state_dict({name: value.detach().cpu() for name, value in state.items()})
        return single


def stackable(member: Objective) -> bool:
    """Whether members are evaluated in one batched computation: perceptrons on vectors gain from it.

    What others remember may differ in size; torch.func knows no packed recurrent layers, and its convolutions of
    many members at once are not quicker than one after another.
    """
    return not isinstance(member, MemoryObjective) and (member.layout is None or member.layout.form == "vector")


def built(objective: Objective, layout: Layout) -> Objective:
    """A copy of an unbuilt objective, built for parts of a layout."""
    member = copy.deepcopy(objective)
    member.check()
    member.layout = layout
    member.build(layout)
    return member


def build_members(objective: Objective, layout: Layout, rows: Tensor, seeds: Sequence[int]) -> Ensemble:
    """Build one member per seed, each prepared on training parts: ``(n, D)`` shared or ``(M, n, D)`` its own."""
    members = []
    for index, seed in enumerate(seeds):
        own = rows[index] if rows.ndim == 3 else rows
        with torch_seed(seed):
            member = built(objective, layout)
            member.prepare(own)
            check_losses(member, own[:3])
        members.append(member)
    return Ensemble(members)


def loaded_members(objective: Objective, layout: Layout, count: int, weights: Mapping[str, Tensor]) -> Ensemble:
    """Build members with stored weights.

    They are built without memory for weights first, so that no more is ever taken than what is stored needs.

    Raises
    ------
    RuntimeError
        If the weights are of other members.
    """
    with torch.device("meta"), torch_seed(0):
        ensemble = Ensemble([built(objective, layout) for _ in range(count)])
    ensemble.load_state_dict(weights, assign=True)
    return ensemble


@torch.no_grad()
def check_losses(member: Objective, rows: Tensor) -> None:
    """Raise TypeError unless the losses of ``rows`` ``(n, D)`` are a `Losses` of two tensors ``(n,)``."""
    losses = member.eval().losses(rows)
    member.train()
    shapes = [tuple(loss.shape) for loss in losses] if isinstance(losses, Losses) else None
    if shapes != [(len(rows),)] * 2:
        raise TypeError(
            f"{type(member).__name__}.losses must return Losses(normal, abnormal), each with one value per row, shape "
            f"({len(rows)},) here; got {'shapes ' + str(shapes) if shapes else type(losses).__name__}."
        )


def flat(name: str) -> str:
    """A dotted parameter name as torch accepts it for a direct child."""
    return name.replace(".", "/")


def unflat(name: str) -> str:
    """Undo `flat`."""
    return name.replace("/", ".")
