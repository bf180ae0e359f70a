"""Any input as rows of a kind, with scikit-learn's bookkeeping; and which objectives take which kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from expose.errors import InputError
from expose.estimators.checks import is_frame, keep_types
from expose.inputs import Rows, Table, as_rows, as_table, kind_of
from expose.objectives import OBJECTIVES, Objective

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
    raise InputError(
        f"objective {objective.name or type(objective).__name__!r} takes {own}; got {PLURAL[kind]}. {others}"
        f"{AS_TABLE[kind]}"
    )


def rows_of(estimator: Any, X: Any, kind: str, *, reset: bool) -> Rows:
    """Any input as rows of a kind; ``reset`` when training rows are read, of which the columns are remembered.

    Raises
    ------
    InputError
        When X is of another kind, or there are too few rows.
    """
    if kind == "table":
        return _table_of(estimator, X, reset=reset)
    if kind_of(X) == "table" and len(getattr(X, "shape", ())) == 2:
        raise InputError(f"expected {PLURAL[kind]}, as in training; got a table of shape {tuple(X.shape)}.")
    rows = as_rows(X, kind)
    if reset:
        _check_enough(rows)
        estimator.__dict__.pop("feature_names_in_", None)
    return rows


def _table_of(estimator: Any, X: Any, *, reset: bool) -> Table:
    """Any table as a `Table`."""
    if not reset and (kind := kind_of(X)) != "table":
        raise InputError(f"expected a table, as in training; got {PLURAL[kind]}.{AS_TABLE[kind]}")
    if not is_frame(X):
        lowest = 2 if reset else 1
        array = validate_data(
            estimator, keep_types(X), reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=lowest
        )
        return as_table(array)
    table = as_table(X)
    if not reset:
        return table
    _check_enough(table)
    estimator.n_features_in_ = table.n_columns
    estimator.__dict__.pop("feature_names_in_", None)
    if table.named:
        estimator.feature_names_in_ = np.asarray(table.names, dtype=object)
    return table


def _check_enough(rows: Rows) -> None:
    if rows.n_rows < 2:
        raise InputError(f"training needs at least 2 rows, better hundreds; got {rows.n_rows} sample(s).")
