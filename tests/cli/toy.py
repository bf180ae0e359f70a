"""A kind of samples that expose does not know: files ``*.toy`` that hold a number in each line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from expose.encoders import Encoder, Layout, State, register_encoder
from expose.kinds import Batch, Kind, register_kind


@dataclass(frozen=True, eq=False)
class Toys:
    values: np.ndarray  # (n,)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Any) -> Toys:
        return Toys(self.values[rows])


@register_kind
class ToyKind(Kind):
    name, plural, encoder = "toy", "toys", "toys"

    def recognises(self, X: Any) -> bool:
        return isinstance(X, Toys)

    def samples(self, X: Any) -> Toys:
        return X

    def claims(self, sources: Any) -> bool:
        return all(source.endswith(".toy") for source in sources)

    def read(self, sources: Any, reading: Any) -> Batch:
        lines = [(source, line) for source in sources for line in Path(source).read_text().split()]
        names = pa.table({"row": [Path(source).stem for source, _ in lines]})  # a name that results have too
        return Batch(Toys(np.array([float(line) for _, line in lines])), names)


@register_encoder("toys")
class ToyEncoder(Encoder):
    encodes, layout = "toy", Layout("vector", (1,))

    def fit(self, samples: Toys) -> ToyEncoder:
        return self

    def transform(self, samples: Toys) -> np.ndarray:
        return samples.values[:, None].astype(np.float32)

    def state(self) -> State:
        return State({})

    @classmethod
    def restore(cls, state: State) -> ToyEncoder:
        return cls()


if __name__ == "__main__":
    from expose.cli import main

    main()
