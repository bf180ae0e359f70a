"""What a user brings, tables, images or texts, as encoded rows, with scikit-learn's bookkeeping."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from expose.errors import InputError
from expose.estimators.checks import is_frame, keep_types
from expose.inputs import Encoder, Table, as_rows, as_table, encoder_for, kind_of
from expose.training import OutlierStream

FEWEST = 2


def encode_rows(estimator: Any, X: Any, encoder: Encoder | None) -> tuple[Encoder, NDArray[np.float32]]:
    """Encode ``X`` ``(n, D)`` by an encoder that was fitted, or fit one for its kind."""
    kind = kind_of(X)
    if encoder is not None and kind != encoder.layout.kind:
        raise InputError(
            f"X must hold {encoder.layout.kind} rows, as in training; got what looks like {kind} rows, a "
            f"{type(X).__name__}{' of shape ' + str(X.shape) if hasattr(X, 'shape') else ''}."
        )
    rows = valid_table(estimator, X, reset=encoder is None) if kind == "table" else as_rows(X, kind)
    if encoder is None:
        if rows.n_rows < FEWEST:
            raise InputError(f"training needs at least {FEWEST} rows; got {rows.n_rows} sample(s).")
        encoder = encoder_for(kind, estimator.scaling)
        encoder.fit(rows)  # type: ignore[arg-type]
        if kind != "table":
            estimator.n_features_in_ = encoder.n_features_out
            estimator.__dict__.pop("feature_names_in_", None)
    encoded: NDArray[np.float32] = encoder.transform(rows)  # type: ignore[arg-type]
    return encoder, encoded


def encode_outliers(estimator: Any, encoder: Encoder, outliers: Any) -> NDArray[np.float32] | OutlierStream:
    """Encode auxiliary outliers ``(r, D)``; those of a stream batch by batch, when they are needed."""
    if hasattr(outliers, "take") and hasattr(outliers, "restart"):
        return EncodedStream(outliers, encoder)
    try:
        rows = encode_rows(estimator, outliers, encoder)[1]
    except ValueError as error:
        raise InputError(f"outliers must be of the same kind as X: {error}") from error
    if len(rows) == 0:
        raise InputError("outliers holds no row; leave it out, or give at least one.")
    return rows


class EncodedStream:
    """Outliers of a stream as the loop takes them."""

    def __init__(self, stream: Any, encoder: Encoder) -> None:
        self.stream = stream
        self.encoder = encoder

    def batch(self, size: int, step: int) -> torch.Tensor:
        """Encoded outliers ``(size, D)``."""
        return torch.from_numpy(self.encoder.transform(as_rows(self.stream.take(size), self.encoder.layout.kind)))  # type: ignore[arg-type]


def valid_table(estimator: Any, X: Any, *, reset: bool) -> Table:
    """Any table as a `Table`, with scikit-learn's bookkeeping of feature names and counts."""
    if not is_frame(X):
        lowest = FEWEST if reset else 1
        array = validate_data(
            estimator, keep_types(X), reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=lowest
        )
        return as_table(array)
    table = as_table(X)
    if not reset:
        return table
    if table.n_rows < FEWEST:
        raise InputError(f"training needs at least {FEWEST} rows, better hundreds; got {table.n_rows} sample(s).")
    estimator.n_features_in_ = table.n_columns
    estimator.__dict__.pop("feature_names_in_", None)
    if table.named:
        estimator.feature_names_in_ = np.asarray(table.names, dtype=object)
    return table
