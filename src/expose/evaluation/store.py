"""The results of a benchmark: one Parquet file, one row per finished run, found again by its key.

The file is written anew after every cell, whole or not at all, so a killed benchmark loses what was running and nothing
else. Only one benchmark may write to a file at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from expose.atomic import all_or_nothing
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = ("key", "dataset", "protocol", "assumed", "detector", "exposure", "settings", "parameters")
RATIOS = ("true_ratio", "reached_ratio", "assumed_ratio")
METRICS = ("auroc", "average_precision", "base_rate", "f1_oracle", "f1", "fpr", "fpr_at_95")
COUNTS = ("seed", "n_train", "n_test", "n_features", "train_rows", "test_rows", "seeds_together")
COSTS = ("fit_seconds", "score_seconds", "peak_mib")
ORIGIN = ("code", "data", "versions", "finished")


def schema() -> pa.Schema:
    """Columns of the file; every row has all of them."""
    import pyarrow as pa

    kinds = [(TEXT, pa.string()), (RATIOS + METRICS, pa.float64()), (COUNTS, pa.int64()), (COSTS, pa.float64())]
    kinds.append((ORIGIN, pa.string()))
    return pa.schema([(name, kind) for names, kind in kinds for name in names])


class Store:
    """Rows of results by key, in memory and perhaps in a Parquet file.

    Parameters
    ----------
    path : Path or None
        The file; made if it is not there. None keeps the rows in memory only.

    Raises
    ------
    InputError
        If the file is not a file of results, or another benchmark is writing to it.

    Examples
    --------
    >>> with Store(None) as store:
    ...     store.add([{"key": "a", "dataset": "thyroid"}])
    ...     "a" in store, store.table(["a"]).num_rows
    (True, 1)
    """

    def __init__(self, path: Path | None) -> None:
        self.path = None if path is None else path.absolute()
        self._rows = schema().empty_table()
        self._places: dict[str, int] = {}

    def __enter__(self) -> Store:
        if self.path is not None:
            self._lock = locked(self.path)
            try:
                if self.path.exists():
                    self._append(read_results(self.path))
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path is not None:
            self._lock.release()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add finished runs and write them; one that is there already stays as it is."""
        import pyarrow as pa

        new = {row["key"]: row for row in rows if row["key"] not in self}
        self._append(pa.Table.from_pylist(list(new.values()), schema=schema()))
        if self.path is not None and new:
            write(self._rows, self.path)

    def table(self, keys: Iterable[str]) -> pa.Table:
        """The rows of these keys that there are, in this order."""
        places = [self._places[key] for key in keys if key in self]
        return self._rows.take(np.array(places, dtype=np.int64))

    def _append(self, rows: pa.Table) -> None:
        import pyarrow as pa

        first = self._rows.num_rows
        self._rows = pa.concat_tables([self._rows, rows]).combine_chunks()
        self._places |= {key: first + place for place, key in enumerate(rows["key"].to_pylist())}


def read_results(path: str | Path) -> pa.Table:
    """Read a file of results.

    Parameters
    ----------
    path : path
        What `bench` wrote to its ``out``.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    InputError
        If it is something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a Parquet file of results ({error}). Give --out another name.") from error
    differing = sorted(set(schema().names) ^ set(table.column_names))
    if differing:
        raise InputError(
            f"{path} is not a file of results: columns {differing} are missing or too many. Give --out another name."
        )
    return table.select(schema().names).cast(schema())


def write(table: pa.Table, path: Path) -> None:
    """Write the file whole or not at all, and wait until the disk has it."""
    import pyarrow.parquet as pq

    with all_or_nothing(path) as draft:
        with draft.open("xb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def locked(path: Path) -> Any:
    """Hold the file's lock until it is released or the process ends, however it ends."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"Another benchmark is writing to {path}. Wait for it, or give --out another name.") from None
    return lock
