"""Samples that come one after another: which of them can be judged by now, and what is kept of them for later ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Indices = NDArray[np.intp]
MOST: Final = 10_000  # series of which something is kept


class Arrived(NamedTuple):
    """What can be said of samples by now.

    Attributes
    ----------
    numbers : (n,) array of int
        Of those that can be judged, in the order in which all came.
    parts : (n, D) or (n, P, D) array of float32
        Encoded.
    unscored : tuple of int
        Numbers of those that never can.
    """

    numbers: Indices
    parts: NDArray[np.float32]
    unscored: tuple[int, ...] = ()


class Transforms(Protocol):
    """What encodes samples, each by itself."""

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode them."""
        ...


class Arrivals:
    """Samples that are each judged by itself: none has to wait, and nothing is kept of one for another."""

    rule = "each is scored when it comes, by itself."
    whole: bool = True  # whether scores are those that files have

    def __init__(self, encoder: Transforms) -> None:
        self.encoder = encoder

    def check(self, samples: Any) -> None:
        """Raise InputError where no samples of this form can be judged; these hold no values."""
        self.encoder.transform(samples)

    def take(self, samples: Any, first: int) -> Arrived:
        """Take samples, the first of which has this number.

        Raises
        ------
        InputError
            When one of them cannot be read; then none was taken.
        """
        parts = self.encoder.transform(samples)
        return Arrived(np.arange(first, first + len(parts)), parts)

    def rest(self) -> Arrived:
        """Those that still wait, by what is known: nothing more will come."""
        return self.nothing()

    def nothing(self) -> Arrived:
        """Nothing can be said of any."""
        return Arrived(np.zeros(0, dtype=np.intp), np.zeros((0, 1), dtype=np.float32))

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What is kept, as JSON types and arrays by name."""
        return {}, {}

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave."""


def check_delay(delay: int, plural: str) -> None:
    """Refuse to wait where samples are judged each by itself."""
    if delay:
        raise InputError(
            f"delay must be 0 here, got {delay}: {plural} are judged each by itself, so none has to wait for others."
        )
