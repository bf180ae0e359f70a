"""Parquet, a few rows at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expose.errors import InputError
from expose.files.names import check_names
from expose.files.origins import Origin
from expose.stores import Stored, StoreError, told

_READ_AHEAD, _FROM_AFAR = 2**20, 2**22  # bytes; without it a whole column of a row group is in memory at once
_SMALL = 2**20


class Parquet:
    """One Parquet file, or some row groups of it."""

    notes: tuple[str, ...] = ()

    def __init__(self, origin: Origin, groups: Sequence[int] | None = None) -> None:
        self.path, self.label = origin.path, origin.label
        self._groups = groups
        self._origin = origin  # holds the file if it is a temporary one
        with self._opened() as file:
            schema = file.schema_arrow.remove_metadata()
        check_names(schema.names)
        # a column that begins like this is an unnamed index of pandas
        self._outer = [name for name in schema.names if not name.startswith("__index_level_")]
        self._schema = flattened(schema.empty_table().select(self._outer)).schema
        self.names = check_names(self._schema.names)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            if isinstance(self.path, Stored):
                with told(self.path), self.path.at_random() as stored:
                    yield pq.ParquetFile(stored, buffer_size=_FROM_AFAR, pre_buffer=False)
                return
            with pq.ParquetFile(self.path, buffer_size=0 if self._is_small else _READ_AHEAD, pre_buffer=False) as file:
                yield file
        except StoreError as error:
            raise InputError(str(error)) from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the system's, not Arrow's
                raise
            message = f"{self.label}: not a complete Parquet file, damaged or cut short. Fetch it again. ({error})"
            raise InputError(message) from error

    @property
    def _is_small(self) -> bool:
        """Whether threads and buffers, one of each column, take longer than to read it."""
        return self.path is not None and not isinstance(self.path, Stored) and self.path.stat().st_size < _SMALL

    def schema(self) -> Any:
        """Return the Arrow schema of the file."""
        return self._schema

    def rows_of_groups(self) -> list[int]:
        """How many rows each row group of the file has, told without reading them."""
        with self._opened() as file:
            return [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of these columns."""
        known = frozenset(names)
        outer = [one for one in self._outer if one in known or any(name.startswith(f"{one}.") for name in names)]
        threads = not self._is_small
        with self._opened() as file:
            for batch in file.iter_batches(batch_rows, row_groups=self._groups, columns=outer, use_threads=threads):
                table = pa.Table.from_batches([batch]).select(outer).replace_schema_metadata(None)
                yield flattened(table).select(names)


def flattened(table: Any) -> Any:
    """The fields of nested columns as columns of their own, "a.b".

    >>> flattened(pa.table({"a": [{"b": 1, "c": {"d": 2}}]})).column_names
    ['a.b', 'a.c.d']
    """
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table
