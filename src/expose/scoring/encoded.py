"""Samples with their parts, so that they are encoded once for several questions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.kinds.base import Samples


class Encoded(NamedTuple):
    """Samples that were encoded for several questions; a scorer takes them wherever it takes samples."""

    samples: Samples
    parts: NDArray[np.float32]

    def take(self, rows: NDArray[Any]) -> Encoded:
        """The chosen ones, by number."""
        return Encoded(self.samples.take(rows), self.parts[rows])
