"""What a user knows of the rows of a report: names, labels, classes. Checked, in one form each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import Verdict
from expose.errors import InputError
from expose.files.values import is_empty
from expose.report.typical import show_text

UNKNOWN, FOREIGN = -2, -1  # in place of the number of a class
MOST_FOREIGN = 5  # other classes named

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class KnownClasses:
    """Classes of n rows.

    Attributes
    ----------
    numbers : (n,) array of int
        Places in ``classes_``, FOREIGN for a class that was not trained on, UNKNOWN for none.
    names : list of n values
        As they were given.
    """

    numbers: Ints
    names: list[Any]

    @property
    def as_labels(self) -> Ints:
        """Rows of other classes as known anomalies: 1, 0 and -1."""
        return np.select([self.numbers == UNKNOWN, self.numbers == FOREIGN], [-1, 1], 0).astype(np.int64)

    @property
    def foreign(self) -> list[tuple[str, int]]:
        """The classes that were not trained on, with their rows, most first."""
        found = Counter(str(self.names[row]) for row in np.flatnonzero(self.numbers == FOREIGN))
        return [(show_text(name), rows) for name, rows in found.most_common(MOST_FOREIGN)]

    def name(self, row: int) -> str | None:
        """The class of a row, None where it is not known."""
        return None if self.numbers[row] == UNKNOWN else show_text(self.names[row])


def known_classes(classes: Any, n_rows: int, head: Any) -> KnownClasses | None:
    """Check classes, one per row; nothing (None, NaN, "") is not known.

    Raises
    ------
    InputError
        For another number of rows, or a model that knows no classes.
    """
    if classes is None:
        return None
    if not isinstance(head, Verdict):
        raise InputError("classes are of the rows of a classifier, and this model is a detector. Give labels instead.")
    names = listed(classes)
    if len(names) != n_rows:
        raise InputError(f"classes must hold the class of each of the {n_rows:,} rows; got {len(names):,} values.")
    empty = np.array([is_empty(name) for name in names], dtype=bool)
    return KnownClasses(np.where(empty, UNKNOWN, class_numbers(head.classes, names)), names)


def class_numbers(classes: NDArray[Any], y: Any) -> Ints:
    """Places among ``classes`` of classes ``(n,)``, which may be written as text; FOREIGN for one that is not there."""
    known = {str(name): place for place, name in enumerate(classes.tolist())}
    return np.array([known.get(str(value), FOREIGN) for value in listed(y)], dtype=np.int64)


def listed(values: Any) -> list[Any]:
    """The values of an array, an Arrow column or any sequence."""
    for method in ("to_pylist", "tolist"):
        if hasattr(values, method):
            return list(getattr(values, method)())
    return list(values)


def checked_labels(labels: Any, n_rows: int) -> Ints | None:
    """Check labels, one per row: 1, 0 or -1."""
    if labels is None:
        return None
    known = np.asarray(labels)
    if known.shape != (n_rows,) or not np.isin(known, (-1, 0, 1)).all():
        raise InputError(
            f"labels must hold {n_rows:,} values, one per row, each 1 (anomaly), 0 (normal) or -1 (unknown); "
            f"got shape {known.shape} with values such as {show_text(known.reshape(-1)[:5].tolist())}."
        )
    return known.astype(np.int64)


def id_columns(ids: Any, n_rows: int) -> dict[str, Sequence[Any]]:
    """Id columns by name; a bare sequence is one column without a name."""
    if ids is None:
        return {}
    if hasattr(ids, "column_names"):  # Arrow
        columns = {name: ids.column(name).to_pylist() for name in ids.column_names}
    elif isinstance(ids, Mapping) or hasattr(ids, "columns"):  # mapping, pandas or Polars frame
        columns = {str(name): list(ids[name]) for name in (ids if isinstance(ids, Mapping) else ids.columns)}
    else:
        columns = {"": list(ids)}
    for name, values in columns.items():
        if len(values) != n_rows:
            raise InputError(
                f"ids must name each of the {n_rows:,} rows; {show_text(name) if name else 'the list'} has "
                f"{len(values):,} values. Give the ids of exactly the rows of X, in their order."
            )
    return columns
