"""Results: one Parquet file, found again by the key of each row.

The file is written anew after every task, whole or not at all, so what is killed loses what was running and nothing
else. Only one runner may write to a file at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from expose.atomic import whole_file
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


class Store:
    """Rows of results, in memory and perhaps in a Parquet file. A key may have several rows.

    Parameters
    ----------
    path : Path or None
        The file; made if it is not there. None keeps the rows in memory only.
    schema : pyarrow.Schema, optional
        The columns that all rows have. Without it they are those that the rows bring.

    Raises
    ------
    InputError
        If the file is not a file of such results, or another runner is writing to it.

    Examples
    --------
    >>> with Store(None) as store:
    ...     store.add([{"key": "a", "dataset": "thyroid"}])
    ...     "a" in store, store.table(["a"]).num_rows
    (True, 1)
    """

    def __init__(self, path: Path | None, schema: pa.Schema | None = None) -> None:
        import pyarrow as pa

        self.path = None if path is None else path.absolute()
        self.schema = schema
        self._rows = (schema or pa.schema([("key", pa.string())])).empty_table()
        self._places: dict[str, list[int]] = {}

    def __enter__(self) -> Store:
        if self.path is not None:
            self._lock = locked(self.path)
            try:
                if self.path.exists():
                    self._append(read_table(self.path, self.schema))
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

    def add(self, rows: Iterable[Row]) -> None:
        """Add finished rows and write them; those of a key that is there already stay as they are."""
        new = [row for row in rows if row["key"] not in self]
        if not new:
            return
        self._append(as_table(new, self.schema))
        if self.path is not None:
            write_table(self._rows, self.path)

    def table(self, keys: Iterable[str]) -> pa.Table:
        """The rows of these keys that there are, in this order."""
        import pyarrow as pa

        places = [place for key in keys for place in self._places.get(key, ())]
        return self._rows.take(pa.array(places, pa.int64()))

    def _append(self, rows: pa.Table) -> None:
        import pyarrow as pa

        first = self._rows.num_rows
        self._rows = pa.concat_tables([self._rows, rows], promote_options="permissive").combine_chunks()
        for place, key in enumerate(rows["key"].to_pylist(), first):
            self._places.setdefault(key, []).append(place)


def as_table(rows: Sequence[Row], schema: pa.Schema | None = None) -> pa.Table:
    """Rows as a table, with the columns of a schema or with all that occur."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row) if schema is None else schema.names
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=schema)


def read_table(path: str | Path, schema: pa.Schema | None = None) -> pa.Table:
    """Read a file of results with at least a key, or with exactly the columns of a schema.

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
    wanted = {"key"} if schema is None else set(schema.names)
    wrong = sorted(wanted - set(table.column_names) if schema is None else wanted ^ set(table.column_names))
    if wrong:
        raise InputError(
            f"{path} is not a file of results: columns {wrong} are missing or too many. Give --out another name."
        )
    return table if schema is None else table.select(schema.names).cast(schema)


def write_table(table: pa.Table, path: Path) -> None:
    """Write the file whole or not at all, and wait until the disk has it."""
    import pyarrow.parquet as pq

    with whole_file(path.absolute()) as file:
        pq.write_table(table, file, compression="zstd")


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
