"""Parquet, a few rows at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expose.errors import InputError
from expose.files.names import check_names

_READ_AHEAD = 2**20  # bytes; without it a whole column of a row group is in memory at once


class Parquet:
    """One Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path, self.label = path, str(path)
        with self._opened() as file:
            schema = file.schema_arrow.remove_metadata()
        check_names(schema.names)
        # a column that begins like this is an unnamed index of pandas
        kept = [field for field in schema if not field.name.startswith("__index_level_")]
        self._schema = pa.schema(kept)
        self.names = tuple(self._schema.names)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        if self.path.stat().st_size == 0:
            raise InputError(f"{self.label}: the file is empty.")
        try:
            with pq.ParquetFile(self.path, buffer_size=_READ_AHEAD, pre_buffer=False) as file:
                yield file
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the system's, not Arrow's
                raise
            message = f"{self.label}: not a complete Parquet file, damaged or cut short. Fetch it again. ({error})"
            raise InputError(message) from error

    def schema(self) -> Any:
        """Return the Arrow schema of the file."""
        return self._schema

    def tables(self, schema: Any, batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of this schema."""
        with self._opened() as file:
            for batch in file.iter_batches(batch_rows, columns=schema.names, use_threads=True):
                table = pa.Table.from_batches([batch]).select(schema.names).replace_schema_metadata(None)
                yield table if table.schema == schema else table.cast(schema)
