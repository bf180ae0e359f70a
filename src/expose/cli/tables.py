"""Files to columns with roles: what names a row, what is left out, what is known, what is looked at."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.options import column_names
from expose.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pyarrow as pa

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
    from expose.inputs.files import read, split

    table = read(sources(data), encoding=encoding)
    names = {
        "id": list(column_names(id_columns or (), table.column_names)),
        "ignore": list(column_names(ignore or (), table.column_names)),
        "label": column_names([label], table.column_names)[0] if label else None,
    }
    return Named(split(table, id=names["id"], ignore=names["ignore"], label=names["label"]), names)


def read_again(table: pa.Table, names: dict[str, Any], *, with_labels: bool = False) -> Roles:
    """Split a later table as the training table was; columns without a role in scoring may be absent."""
    from expose.inputs.files import split

    there = set(table.column_names)
    label = names.get("label") if names.get("label") in there else None
    ids = [name for name in names.get("id", []) if name in there]
    absent = [name for name in names.get("id", []) if name not in there]
    if absent:
        warnings.warn(
            f"id column{'s' * (len(absent) > 1)} {', '.join(absent)} not in the new data: rows go without.",
            DataWarning,
            stacklevel=2,
        )
    ignore = [name for name in names.get("ignore", []) if name in there]
    if label and not with_labels:
        ignore.append(label)
    return split(table, id=ids, ignore=ignore, label=label if with_labels else None)


def outlier_features(source: str, names: dict[str, Any], encoding: str) -> pa.Table:
    """Features of a table of auxiliary outliers; it need not have the id, ignored and label columns."""
    from expose.inputs.files import read, split

    table = read(source, encoding=encoding)
    roles = [*names["id"], *names["ignore"], names["label"]]
    return split(table, ignore=[name for name in roles if name in table.column_names]).features


def batches(data: Sequence[str], encoding: str) -> Iterator[pa.Table]:
    """Yield the rows of files in order, some ten thousand at a time."""
    import pyarrow as pa

    from expose.inputs.files import scan

    for batch in scan(sources(data), encoding=encoding):
        yield pa.Table.from_batches([batch])


def check_output(out: Path, data: Sequence[str]) -> None:
    """Refuse an output file that is one of the inputs, or that lies where no file can be written.

    Raises
    ------
    InputError
        With what to do instead.
    """
    for source in data:
        if source != "-" and Path(source).exists() and out.exists() and out.samefile(source):
            raise InputError(f"--out {out} is the input itself; give the result another name.")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it, such as {out / 'scores.csv'}.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")
