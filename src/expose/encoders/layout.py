"""What an encoded part is: a vector of D values in batches, scoring and files, which a network unfolds."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FORMS = ("vector", "image", "tokens", "grid")


@dataclass(frozen=True)
class Layout:
    """How ``(..., D)`` parts unfold.

    Parameters
    ----------
    form : {"vector", "image", "tokens", "grid"}
        What a network may make of a part: values without order, values on a grid, numbers of tokens, or all places of a
        sample together, each with a vector.
    shape : tuple of int
        Of one part: ``(D,)`` values, ``(C, H, W)`` values of an image in [0, 1], ``(T,)`` numbers of tokens, or
        ``(*places, D)`` values of places.
    n_tokens : int, default=0
        Different tokens, of a text: 0 is padding, 1 a token that was not seen in training.
    views : int, default=1
        Of vectors: how many scalings of each value stand side by side, so that D = values * views.
    categories : tuple of int
        Of vectors: which of the values, of one scaling, are 1 for a category and else 0.
    places : tuple of int
        On which grid the places of a sample lie, ``(H, W)`` of a photo: those of a part of the form "grid", or of P
        vectors, each a part of its own. Empty where it has none.
    exchangeable : bool, default=False
        Of the form "grid": whether what is usual at one place is usual at all of them, as where things move about.
    beside : int, default=0
        Of the form "grid": how many values of a vector of the whole sample follow those of its places.
    pooling : {"largest", "mean"}
        What a sample of several parts scores, of what these do. The largest is right where one of them may be anomalous
        alone, as a place of a photo; the mean where each sees all of the sample, as the windows over a step of time.

    Examples
    --------
    >>> Layout("image", (3, 8, 8)).n_values
    192
    """

    form: str
    shape: tuple[int, ...]
    n_tokens: int = 0
    views: int = 1
    categories: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    beside: int = 0
    exchangeable: bool = False
    pooling: str = "largest"

    @property
    def n_values(self) -> int:
        """D, the values of an encoded part."""
        return prod(self.shape) + self.beside

    @property
    def least_anomalous(self) -> float:
        """How many of the parts of an anomalous sample are anomalous at least; infinite: all."""
        return inf if self.pooling == "mean" else 1

    @property
    def n_places(self) -> int:
        """P, the places of a sample; 1 where it has none."""
        return prod(self.places)

    def unfold(self, parts: Tensor) -> Tensor:
        """Parts ``(..., D)`` as ``(..., *shape)``; the tokens of texts as whole numbers."""
        unfolded = parts[..., : prod(self.shape)].reshape(*parts.shape[:-1], *self.shape)
        return unfolded.long() if self.form == "tokens" else unfolded

    def whole(self, parts: Tensor) -> Tensor:
        """Of parts ``(..., D)`` of the form "grid" the vectors of the whole samples, ``(..., beside)``."""
        return parts[..., prod(self.shape) :]
