"""The classes that a label column names."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.text import count
from expose.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_CLASSES = 0.5  # of the rows; where more values than that are different, they are no classes


class Classes(NamedTuple):
    """The classes of samples: their names ``(K,)``, and the number of the class of each sample ``(n,)``."""

    names: NDArray[Any]
    rows: NDArray[np.intp]


def classes_of(column: pa.ChunkedArray, label: str) -> Classes:
    """The classes of a column; every row must have one.

    Raises
    ------
    InputError
        If a row has none, there is but one, or nearly every row has one of its own.
    """
    import numpy as np

    from expose.files import encoded, is_empty
    from expose.files.texts import is_text
    from expose.files.written import typed_column

    written, codes = encoded(typed_column(column) if is_text(column.type) else column)
    values = [as_written(value) for value in written]
    empty = [place for place, value in enumerate(values) if is_empty(value)]
    lacking = np.flatnonzero(np.isin(codes, [*empty, len(values)]))
    if len(lacking):
        raise InputError(
            f"column {label!r} names no class in {count(len(lacking), 'row')}, first in row {lacking[0]} (counting "
            "from 0). A classifier needs the class of every row: leave those out, or give them as --outliers if they "
            f"belong to none. If the column holds known labels, use: expose fit DATA --label {shlex.quote(label)}"
        )
    if len(values) > max(MOST_CLASSES * len(codes), 2):
        raise InputError(
            f"column {label!r} has {len(values):,} different values in {count(len(codes), 'row')}: too many to be "
            "classes. Name the column of classes with --label."
        )
    plain = [value if isinstance(value, bool | int | str) else str(value) for value in values]
    names = np.array(plain if len({type(value) for value in plain}) == 1 else [str(value) for value in plain])
    found, places = np.unique(names, return_inverse=True)
    if len(found) < 2:
        raise InputError(
            f"column {label!r} holds one class, {plain[0]!r}; a classifier needs two. To find what is unlike the rows "
            f"of one class, use: expose fit DATA --ignore {shlex.quote(label)}; --outliers may stay."
        )
    return Classes(found, places[codes].astype(np.intp))


def as_written(value: Any) -> Any:
    """Whole numbers as such: a CSV file in which some are lacking has them as 1.0, 2.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
