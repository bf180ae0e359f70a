"""Several scalings of one table side by side, for objectives that look at it in more than one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.inputs.encoder import TableEncoder
from expose.inputs.frames import as_table
from expose.inputs.layout import Layout


class ViewEncoder:
    """Encode tables like `TableEncoder`, in V scalings: the V values of an encoded column stand side by side.

    Parameters
    ----------
    scalings : sequence of str
        As `TableEncoder` takes them.

    Attributes
    ----------
    n_features_out : int
        D times V.
    groups : list of (str, slice)
        Each input column and its encoded columns, all views of them.

    Notes
    -----
    Everything else is that of the first view.

    Examples
    --------
    >>> from expose.inputs import as_table
    >>> encoder = ViewEncoder(["standard", "none"]).fit(as_table([[1.0], [3.0]]))
    >>> encoder.transform(as_table([[3.0]])).tolist()
    [[1.0, 3.0]]
    """

    def __init__(self, scalings: Sequence[str]) -> None:
        self.encoders = [TableEncoder(scaling) for scaling in scalings]

    def fit(self, table: Any) -> ViewEncoder:
        """Learn the schema of a table, once for each view."""
        table = as_table(table)
        for encoder in self.encoders:
            encoder.fit(table)
        return self

    def transform(self, table: Any) -> NDArray[np.float32]:
        """Encode a table: float32, ``(n, D * V)``."""
        table = as_table(table)
        return np.stack([encoder.transform(table) for encoder in self.encoders], axis=-1).reshape(table.n_rows, -1)

    @property
    def n_features_out(self) -> int:
        """Number of encoded columns, all views of them."""
        return self.encoders[0].n_features_out * len(self.encoders)

    @property
    def layout(self) -> Layout:
        """What an encoded row is."""
        return Layout("table", (self.n_features_out,))

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """Each input column and its encoded columns."""
        views = len(self.encoders)
        return [(name, slice(part.start * views, part.stop * views)) for name, part in self.encoders[0].groups]

    @property
    def notes(self) -> list[str]:
        """What a person should know about the quality of the training table."""
        return self.encoders[0].notes

    @property
    def named(self) -> bool:
        """Whether the training table had names of its own."""
        return self.encoders[0].named

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns of categories: the ones a CSV reader must not guess numbers in."""
        return self.encoders[0].text_columns

    def to_json(self) -> dict[str, Any]:
        """Return all that was learned, in JSON types."""
        return {"views": [encoder.to_json() for encoder in self.encoders]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ViewEncoder:
        """Return the encoder that `to_json` described."""
        encoder = cls([])
        encoder.encoders = [TableEncoder.from_json(view) for view in stored["views"]]
        return encoder
