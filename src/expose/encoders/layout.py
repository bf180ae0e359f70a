"""What an encoded part is: a vector of D values in batches, scoring and files, which a network unfolds."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FORMS = ("vector", "image", "tokens")


@dataclass(frozen=True)
class Layout:
    """How ``(..., D)`` parts unfold.

    Parameters
    ----------
    form : {"vector", "image", "tokens"}
        What a network may make of a part: values without order, values on a grid, or numbers of tokens.
    shape : tuple of int
        Of one part: ``(D,)`` values, ``(C, H, W)`` values of an image in [0, 1], or ``(T,)`` numbers of tokens.
    n_tokens : int, default=0
        Different tokens, of a text: 0 is padding, 1 a token that was not seen in training.
    views : int, default=1
        Of vectors: how many scalings of each value stand side by side, so that D = values * views.

    Examples
    --------
    >>> Layout("image", (3, 8, 8)).n_values
    192
    """

    form: str
    shape: tuple[int, ...]
    n_tokens: int = 0
    views: int = 1

    @property
    def n_values(self) -> int:
        """D, the values of an encoded part."""
        return prod(self.shape)

    def unfold(self, parts: Tensor) -> Tensor:
        """Parts ``(..., D)`` as ``(..., *shape)``; the tokens of texts as whole numbers."""
        unfolded = parts.reshape(*parts.shape[:-1], *self.shape)
        return unfolded.long() if self.form == "tokens" else unfolded
