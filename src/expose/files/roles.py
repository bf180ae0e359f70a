"""Which column plays which role: what names a row, what is left out, what is known, what is looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.names import existing, listing
from expose.files.values import is_empty, key_of


class Roles(NamedTuple):
    """A table split by the roles of its columns.

    Attributes
    ----------
    features : pyarrow.Table
        What a model sees.
    ids : pyarrow.Table or None
        What names a row.
    labels : ndarray of int64, (n,), or None
        What is known: 1 anomaly, 0 normal, -1 unlabelled.
    """

    features: Any
    ids: Any | None
    labels: NDArray[np.int64] | None


_LABELS: Final = {
    "1": 1, "true": 1, "anomaly": 1, "anomalous": 1,
    "0": 0, "false": 0, "normal": 0,
    "-1": -1, "unlabelled": -1,
}  # fmt: skip
_UNKNOWN: Final = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "?", r"\n")


def split(table: Any, *, id: Collection[str] = (), ignore: Collection[str] = (), label: str | None = None) -> Roles:
    """Split a pyarrow Table into features, ids and labels.

    Parameters
    ----------
    id, ignore : collection of str
        Columns that name a row, and columns to leave out.
    label : str, optional
        Column of what is known of each row: 1, true or "anomaly"; 0, false or "normal"; -1, "unlabelled" or
        nothing for unknown.

    Raises
    ------
    InputError
        When a named column does not exist, has two roles, no feature is left, or a label has another value.

    Examples
    --------
    >>> table = pa.table({"key": ["a", "b"], "x": [1.0, 2.0], "odd": [None, 1]})
    >>> roles = split(table, id=["key"], label="odd")
    >>> roles.features.column_names, roles.labels.tolist()
    (['x'], [-1, 1])
    """
    names = columns_by_role(table.column_names, id=id, ignore=ignore, label=label)
    return Roles(
        table.select(names.features),
        table.select(names.ids) if names.ids else None,
        known_labels(table[names.label], names.label) if names.label is not None else None,
    )


class ColumnsByRole(NamedTuple):
    """Names of the columns that a model sees, of those that name a row, and of the one that says what is known."""

    features: list[str]
    ids: list[str]
    label: str | None


def columns_by_role(
    names: Sequence[str], *, id: Collection[str] = (), ignore: Collection[str] = (), label: str | None = None
) -> ColumnsByRole:
    """Check the roles of columns, and find out which are features; parameters and errors as in `split`."""
    ids, ignored = existing(id, names, "id"), existing(ignore, names, "ignore")
    labels = existing([label], names, "label") if label is not None else []
    twice = [name for name in ids if name in ignored or name in labels] + [n for n in ignored if n in labels]
    if twice:
        raise InputError(f"a column can have only one role of id, ignore and label; {listing(twice)} has two")
    features = [name for name in names if name not in {*ids, *ignored, *labels}]
    if not features:
        raise InputError(f"no column is left to learn from; the table has only {listing(names)}")
    return ColumnsByRole(features, ids, labels[0] if labels else None)


def known_labels(column: Any, name: str, first: int = 0) -> NDArray[np.int64]:
    """Read what an Arrow column of labels says of each row, (n,): 1 anomaly, 0 normal, -1 unlabelled.

    ``first`` is the number of its first row, for messages.

    Raises
    ------
    InputError
        When a value is none of the spellings that `split` lists.

    Examples
    --------
    >>> known_labels(pa.chunked_array([["anomaly", None, "0"]]), "odd").tolist()
    [1, -1, 0]
    """
    found, codes = encoded(column)
    values = [_label(value) for value in found]
    wrong = [i for i, value in enumerate(values) if value is None]
    if wrong:
        row = int(np.argmax(np.isin(codes, wrong)))
        raise InputError(
            f"label column {name!r}, row {first + row} (counting from 0) holds {found[codes[row]]!r}. Expected 1 "
            f"(anomaly), 0 (normal), and -1 or nothing (unlabelled); the words anomaly and normal do as well."
        )
    labels: NDArray[np.int64] = np.array([*values, -1], dtype=np.int64)[codes]
    return labels


def encoded(column: Any) -> tuple[list[Any], NDArray[np.intp]]:
    """Different values of a column, and for each row the place of its own ``(n,)``: one further for a null."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    values = coded.dictionary.to_pylist()
    return values, coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.intp)


def is_known_label(value: object) -> bool:
    """Tell whether a value of a label column says what is known of a row, that nothing is included.

    Examples
    --------
    >>> [is_known_label(value) for value in (1, "normal", None, "", "cat", 2)]
    [True, True, True, True, False, False]
    """
    return _label(value) is not None


def _label(value: object) -> int | None:
    """Return what a label means, None if nothing: also of a number as it is written in a text file, such as " 1.0"."""
    name = "" if is_empty(value) else key_of(value).strip().lower()
    if name in _UNKNOWN:
        return -1
    with suppress(ValueError):
        name = key_of(float(name))
    return _LABELS.get(name)
