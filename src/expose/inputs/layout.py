"""What an encoded row is: a vector of D values in batches, scoring and files, which a network unfolds."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("table", "image", "text")


@dataclass(frozen=True)
class Layout:
    """How ``(..., D)`` rows unfold.

    Parameters
    ----------
    kind : {"table", "image", "text"}
    shape : tuple of int
        Of one row: ``(D,)`` columns, ``(C, H, W)`` values of an image in [0, 1], or ``(T,)`` numbers of tokens.
    n_tokens : int, default=0
        Different tokens, of a text: 0 is padding, 1 a token that was not seen in training.

    Examples
    --------
    >>> Layout("image", (3, 8, 8)).n_values
    192
    """

    kind: str
    shape: tuple[int, ...]
    n_tokens: int = 0

    @property
    def n_values(self) -> int:
        """D, the values of an encoded row."""
        return prod(self.shape)

    def unfold(self, rows: Tensor) -> Tensor:
        """Rows ``(..., D)`` as ``(..., *shape)``; the tokens of texts as whole numbers."""
        unfolded = rows.reshape(*rows.shape[:-1], *self.shape)
        return unfolded.long() if self.kind == "text" else unfolded
