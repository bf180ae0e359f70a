"""Samples as a person reads them: as the encoder understands them, under the names of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.kinds.base import Kind
from expose.model import Fitted


@dataclass(frozen=True)
class Readable:
    """Samples to look at, one by one; ``names`` stand in place of those of their columns, if there are any."""

    kind: Kind
    samples: Any
    names: tuple[str, ...] = ()

    def show(self, row: int) -> dict[str, Any]:
        """What a person wants to see of a sample: names and values."""
        shown = self.kind.show(self.samples, row)
        return dict(zip(self.names, shown.values(), strict=True)) if self.names else shown

    def picture(self, row: int, side: int) -> NDArray[np.uint8]:
        """A sample as a picture, at most ``side`` wide and high."""
        return self.kind.picture(self.samples, row, side)


def readable(fitted: Fitted, samples: Any) -> Readable:
    """Samples as the encoder reads them; columns that it matched by their position are called as in training."""
    read = fitted.encoder.read(samples)
    columns = fitted.kind.columns(read)
    trained = tuple(column.name for column in fitted.encoder.columns_read) or fitted.columns
    by_position = columns is not None and bool(columns[1]) != bool(fitted.columns) and columns[0] == len(trained)
    return Readable(fitted.kind, read, trained if by_position else ())
