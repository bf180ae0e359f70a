"""What a user brings, tables, images or texts, as encoded rows, with scikit-learn's bookkeeping."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from expose.errors import InputError
from expose.estimators.checks import is_frame, keep_types
from expose.inputs import Encoder, Rows, Table, as_rows, as_table, encoder_for, kind_of
from expose.objectives import OBJECTIVES, Objective
from expose.outliers import OutlierStream
from expose.training import OutlierSource

FEWEST = 2
PLURAL = {"table": "tables", "image": "images", "text": "texts"}
ONES = PLURAL | {"table": "a table"}
AS_TABLE = {
    "table": "",
    "image": " Or make a table of the images: the outputs of a pretrained network for each, or, for small ones, their "
    "pixels, X.reshape(len(X), -1).",
    "text": " Or make a table of the texts: an embedding or word counts of each as one row of numbers. If they are the "
    "one column of a table, give a frame: X.to_frame(), or np.reshape(X, (-1, 1)).",
}


def check_kind_fits(objective: Objective, kind: str) -> None:
    """Raise InputError, which says what can be done, unless an objective takes rows of this kind."""
    if kind in objective.kinds:
        return
    able = sorted(name for name, registered in OBJECTIVES.items() if kind in registered.kinds)
    others = f"Objectives for {PLURAL[kind]}: {', '.join(map(repr, able))}." if able else f"None takes {PLURAL[kind]}."
    own = " and ".join(PLURAL[one] for one in objective.kinds)
    name = objective.name or type(objective).__name__
    raise InputError(f"objective {name!r} takes {own}; got {PLURAL[kind]}. {others}{AS_TABLE[kind]}")


def rows_of(estimator: Any, X: Any, kind: str, *, reset: bool) -> Rows:
    """Any input as rows of a kind; ``reset`` when training rows are read, of which the columns are remembered.

    Raises
    ------
    InputError
        When X is of another kind, or there are too few rows.
    """
    given = kind_of(X)
    if given != kind and (given != "table" or len(getattr(X, "shape", ())) == 2):  # an empty list may be of any kind
        shape = f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else ""
        raise InputError(
            f"expected {ONES[kind]}, as in training; got what looks like {ONES[given]}, a {type(X).__name__}{shape}."
            + (AS_TABLE[given] if kind == "table" else "")
        )
    if kind == "table":
        return valid_table(estimator, X, reset=reset)
    rows = as_rows(X, kind)
    if reset:
        check_enough(rows)
        estimator.__dict__.pop("feature_names_in_", None)
    return rows


def encode_rows(estimator: Any, X: Any, encoder: Encoder | None) -> tuple[Encoder, NDArray[np.float32]]:
    """Encode ``X`` ``(n, D)`` by an encoder that was fitted, or fit one for its kind."""
    kind = kind_of(X) if encoder is None else encoder.layout.kind
    rows = rows_of(estimator, X, kind, reset=encoder is None)
    if encoder is None:
        encoder = encoder_for(kind, estimator.scaling)
        encoder.fit(rows)
        keep_width(estimator, encoder)
    return encoder, encoder.transform(rows)


def keep_width(estimator: Any, encoder: Encoder) -> None:
    """Remember as features what an image or a text has: the values of an encoded one; a table has its columns."""
    if encoder.layout.kind != "table":
        estimator.n_features_in_ = encoder.n_features_out


def encode_outliers(estimator: Any, encoder: Encoder, outliers: Any) -> NDArray[np.float32] | OutlierSource:
    """Encode auxiliary outliers ``(r, D)``; those of a stream batch by batch, when they are needed."""
    if isinstance(outliers, OutlierStream):
        return EncodedStream(outliers, encoder)
    return outlier_rows(estimator, encoder, outliers)


def outlier_rows(estimator: Any, encoder: Encoder, outliers: Any) -> NDArray[np.float32]:
    """Encode auxiliary outliers that are all at hand, ``(r, D)``."""
    try:
        rows = encode_rows(estimator, outliers, encoder)[1]
    except ValueError as error:
        raise InputError(f"outliers must be {ONES[encoder.layout.kind]} like X: {error}") from error
    if len(rows) == 0:
        raise InputError("outliers holds no row; leave it out, or give at least one.")
    return rows


class EncodedStream:
    """Outliers of a stream as the loop takes them."""

    def __init__(self, stream: OutlierStream, encoder: Encoder) -> None:
        self.stream = stream
        self.encoder = encoder

    def batch(self, size: int, taken: int) -> torch.Tensor:
        """Encoded outliers ``(size, D)``, after so many that were taken before."""
        if self.stream.taken != taken:
            self.stream.seek(taken)
        return torch.from_numpy(self.encoder.transform(as_rows(self.stream.take(size), self.encoder.layout.kind)))


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
    check_enough(table)
    estimator.n_features_in_ = table.n_columns
    estimator.__dict__.pop("feature_names_in_", None)
    if table.named:
        estimator.feature_names_in_ = np.asarray(table.names, dtype=object)
    return table


def check_enough(rows: Rows) -> None:
    """Raise InputError for training rows that are none, or one."""
    if rows.n_rows < FEWEST:
        raise InputError(f"training needs at least {FEWEST} rows, better hundreds; got {rows.n_rows} sample(s).")
