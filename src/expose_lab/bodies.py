"""Rows of real tables as bodies of requests, and the scores in what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose_lab.datasets import load

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"


class Samples(NamedTuple):
    """Rows of a real table."""

    values: NDArray[np.float64]
    names: tuple[str, ...]

    def table(self, places: Any) -> pa.Table:
        """Some of them."""
        return pa.table(list(self.values[places].T.copy()), list(self.names))

    def body(self, media: str, places: Any) -> bytes:
        """Some of them as a body."""
        if media == JSON:
            return json.dumps(
                [dict(zip(self.names, row, strict=True)) for row in self.values[places].tolist()]
            ).encode()
        sink, some = pa.BufferOutputStream(), self.table(places)
        with pa.ipc.new_stream(sink, some.schema) as stream:
            stream.write_table(some)
        return bytes(sink.getvalue())


def rows_of(dataset: str, data: Path) -> Samples:
    """All rows of a table, their numbers as short as they were written."""
    found = load(dataset, data if str(data) != "." else None)
    return Samples(np.array([[float(str(value)) for value in row] for row in found.X]), found.columns)


def scores(body: bytes, media: str) -> list[float]:
    """The scores in an answer."""
    if media == ARROW:
        found: list[float] = pa.ipc.open_stream(body).read_all()["anomaly_score"].to_pylist()
        return found
    return [row["anomaly_score"] for row in json.loads(body)["rows"]]
