"""Files to columns with roles: what names a row, what is left out, what is known, what is looked at."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.options import column_names
from expose.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.cli.models import Model
    from expose.inputs.files import Roles


class Named(NamedTuple):
    """A table split by role, and the names that did it, as a model folder keeps them."""

    roles: Roles
    names: dict[str, Any]


def sources(data: Sequence[str]) -> str | list[str]:
    """Return what the reader is given: one source, or a list of files as a shell makes of a glob."""
    return data[0] if len(data) == 1 else list(data)


def read_training(
    data: Sequence[str],
    id_columns: Sequence[str] | None,
    ignore: Sequence[str] | None,
    label: str | None,
    encoding: str,
) -> Named:
    """Read a training table whole and split it; every column named must exist."""
    from expose.inputs.files import read

    return by_roles(read(sources(data), encoding=encoding), id_columns, ignore, label)


def by_roles(
    table: pa.Table, id_columns: Sequence[str] | None, ignore: Sequence[str] | None, label: str | None
) -> Named:
    """Split a training table; every column named must exist."""
    from expose.inputs.files import split

    names: dict[str, Any] = {
        "id": column_names(id_columns, table.column_names),
        "ignore": column_names(ignore, table.column_names),
        "label": label,
    }
    return Named(split(table, **names), names)


def roles_of(detector: Model, id_columns: Sequence[str] | None) -> dict[str, Any]:
    """Return the column roles a model was trained with, with other id columns if some are given."""
    names = {"id": [], "ignore": [], "label": None} | detector.metadata_
    return names | {"id": list(id_columns)} if id_columns else names


def read_again(table: pa.Table, names: dict[str, Any], *, with_labels: bool = False) -> Roles:
    """Split a later table as the training table was; columns that play no part in scoring may be absent."""
    from expose.inputs.files import split

    ids = [name for name in column_names(names["id"], table.column_names) if _is_in(table, name)]
    ignore = [name for name in names["ignore"] if name in table.column_names and name not in ids]
    label = names["label"] if names["label"] in table.column_names else None
    if label is None or with_labels:
        return split(table, id=ids, ignore=ignore, label=label)
    return split(table, id=ids, ignore=[*ignore, label])


def _is_in(table: pa.Table, name: str) -> bool:
    if name not in table.column_names:
        message = f"The id column {name!r} is not in the new data; their scores go without it."
        warnings.warn(message, DataWarning, stacklevel=2)
    return name in table.column_names


def outlier_features(source: str, training: pa.Table, names: dict[str, Any], encoding: str) -> pa.Table:
    """Read the features of auxiliary outliers; the id, ignored and label columns may be absent."""
    import pyarrow as pa

    from expose.inputs.files import read, split

    text = [field.name for field in training.schema if pa.types.is_string(field.type)]
    table = read(source, encoding=encoding, text=text)
    roles = [*names["id"], *names["ignore"], names["label"]]
    return split(table, ignore=[name for name in roles if name in table.column_names]).features


def batches(data: Sequence[str], encoding: str, text: Collection[str]) -> Iterator[pa.Table]:
    """Yield the rows of files in order, some ten thousand at a time; columns in ``text`` are read as text."""
    import pyarrow as pa

    from expose.inputs.files import scan

    for batch in scan(sources(data), encoding=encoding, text=text):
        yield pa.Table.from_batches([batch])


def check_output(out: Path, data: Sequence[str]) -> None:
    """Refuse an output file that is an input, or would be one the next time, before any work is done.

    Raises
    ------
    InputError
        With what to do instead.
    """
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it.")
    target = out.resolve()
    for source in data:
        place = Path(source).resolve()
        if place == target or target in {Path(name).resolve() for name in glob.glob(source, recursive=True)}:
            raise InputError(f"--out {out} is an input; give the result another name.")
        if source != "-" and place.is_dir() and target.is_relative_to(place):
            raise InputError(f"--out {out} lies in the input folder {source}; the next run would read it as data.")


def with_answers(labels: NDArray[Any] | None, files: Sequence[str], n_rows: int, encoding: str) -> NDArray[Any] | None:
    """Add what was filled in to files of ``expose query``; a later file has the last word.

    Raises
    ------
    InputError
        If a file lacks its columns, or names rows that the table does not have.
    """
    import numpy as np

    from expose.inputs.files import read, split

    known = np.full(n_rows, -1, dtype=np.int64) if labels is None else np.array(labels)
    for file in files:
        table = read(file, encoding=encoding)
        lacking = {"row", "label"} - set(table.column_names)
        if lacking:
            raise InputError(f"{file} has no column {sorted(lacking)[0]!r}; --answers takes files of 'expose query'.")
        told = split(table.select(["row", "label"]), label="label").labels
        rows = np.asarray(table["row"].to_pylist())
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_rows:
            raise InputError(f"{file}: column 'row' must hold row numbers from 0 to {n_rows - 1}, as queried.")
        if told is not None:
            known[rows[told >= 0]] = told[told >= 0]
    return known if files else labels
