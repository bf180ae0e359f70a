"""Features moved, before the last layer, to where a loss is largest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

STEPS = 5


@contextmanager
def worst_features(
    network: nn.Module, which: Tensor, radius: float, loss: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """While it lasts, the last linear layer of a network reads some rows' features as their worst case.

    Source: DAL of Wang, Fang, Zhang, Liu, Li, Han, "Learning to Augment Distributions for Out-of-distribution
    Detection", NeurIPS 2023, with a ball of fixed radius in place of the penalty and its multiplier.

    Parameters
    ----------
    network : nn.Module
    which : Tensor of shape (B,)
        The rows that are moved.
    radius : float
        How far, as a share of the norm of the features.
    loss : callable
        From outputs of the layer ``(B, n_out)`` to losses ``(B,)``.
    """
    head = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]

    def move(layer: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        (features,) = given  # (B, F)
        added = torch.zeros_like(features)
        added[which] = worst_move(head, features[which].detach(), radius, loss)
        return (features + added,)

    handle = head.register_forward_pre_hook(move)
    try:
        yield
    finally:
        handle.remove()


def worst_move(head: nn.Linear, features: Tensor, radius: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Where within the radius the loss is largest, found by steps up its gradient: ``(O, F)``."""
    reach = radius * features.norm(dim=-1, keepdim=True)  # (O, 1)
    moved = torch.randn_like(features) * 1e-3 * reach
    for _ in range(STEPS):
        moved.requires_grad_()
        outputs = nn.functional.linear(features + moved, head.weight.detach(), None if head.bias is None else head.bias.detach())
        (slope,) = torch.autograd.grad(loss(outputs).sum(), [moved])
        moved = moved.detach() + 2 / STEPS * reach * slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        moved = moved * (reach / moved.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return moved
