"""Arrow streams and Parquet files of strangers: looked at before they are unpacked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expose.serve.limits import Limits
from expose.serve.problems import Problem, too_large

_HEADER, _LENGTH, _COMPRESSION, _DATA = 2, 0, 3, 1  # fields of Message, of RecordBatch, and of DictionaryBatch
_DICTIONARY, _BATCH = 2, 3  # kinds of messages
_AT_ONCE: Final = 1_024
_PARTS: Final = "Send them in parts."


def arrow_to_parquet(data: bytes, path: Path, limits: Limits) -> None:
    """The table of an Arrow stream as a Parquet file, which is read as all are.

    Raises
    ------
    Problem
        When it is no such stream, is compressed, or holds too much.
    """
    try:
        check_messages(data, limits)
        table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        table.validate(full=True)
        check_cells(len(table), table.num_columns, limits)
        for batch in table.to_batches():
            check_expanded(batch, limits)
        pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    except (pa.ArrowException, struct.error, OSError, IndexError, UnicodeDecodeError) as error:
        raise Problem(422, f"the body is no Arrow stream that can be read: {reason(error)}") from error


def check_messages(data: bytes, limits: Limits) -> None:
    """Refuse compressed batches, which unpack to any size, and rows that need no bytes."""
    rows = 0
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(data))
    for message in _messages(reader):
        head = message.metadata.to_pybytes()
        kind, batch = batch_in(head)
        if batch is None:
            continue
        if field_at(head, batch, _COMPRESSION) is not None:
            raise Problem(
                415,
                "the batches of the Arrow stream are compressed. Write it without compression; the "
                "whole body may be packed: Content-Encoding: gzip.",
            )
        place = field_at(head, batch, _LENGTH)
        length = 0 if place is None else struct.unpack_from("<q", head, place)[0]
        rows += length if kind == _BATCH else 0
        if max(rows, length) > limits.rows:
            raise too_large(f"there are {max(rows, length):,} rows", limits.rows, _PARTS)


def _messages(reader: Any) -> Iterator[Any]:
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def batch_in(head: bytes) -> tuple[int, int | None]:
    """What kind of message it is, and where its record batch begins, if it has one; ``head`` is a flatbuffer."""
    message = struct.unpack_from("<I", head, 0)[0]
    place, header = field_at(head, message, _HEADER - 1), field_at(head, message, _HEADER)
    kind = 0 if place is None else head[place]
    if header is None or kind not in (_DICTIONARY, _BATCH):
        return kind, None
    table = header + struct.unpack_from("<I", head, header)[0]
    if kind == _DICTIONARY:
        inner = field_at(head, table, _DATA)
        if inner is None:
            return kind, None
        table = inner + struct.unpack_from("<I", head, inner)[0]
    return kind, table


def field_at(head: bytes, table: int, field: int) -> int | None:
    """Where a field of a table in a flatbuffer lies; None where it is not there."""
    fields = table - struct.unpack_from("<i", head, table)[0]
    if fields < 0 or 4 + 2 * field >= struct.unpack_from("<H", head, fields)[0]:
        return None
    offset = struct.unpack_from("<H", head, fields + 4 + 2 * field)[0]
    return table + offset if offset else None


def check_parquet(data: bytes, limits: Limits) -> None:
    """Refuse a Parquet file that holds more than is allowed once it is unpacked.

    Columns of texts are looked at as dictionaries: a value that is repeated would be there as often.

    Raises
    ------
    Problem
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            names = [file.schema.column(place).path for place in range(len(file.schema.names))]
            types = [file.schema.column(place).physical_type for place in range(len(names))]
            check_cells(file.metadata.num_rows, len(names), limits)
            size = sum(file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups))
            if size > limits.body:
                raise too_large(f"the file unpacks to {size:,} bytes", limits.body, _PARTS)
        texts = [name for name, kind in zip(names, types, strict=True) if kind == "BYTE_ARRAY"]
        if not texts:
            return
        with pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts, pre_buffer=False) as file:
            rows = size = 0
            for batch in file.iter_batches(_AT_ONCE, columns=texts):
                batch.validate(full=True)  # texts are UTF-8, too
                rows += len(batch)
                size += check_expanded(batch, limits, size)
                check_cells(rows, len(names), limits)
    except MemoryError as error:
        raise too_large("the file unpacks to more than there is memory for", limits.body, _PARTS) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Problem(422, f"the body is no Parquet file that can be read: {reason(error)}") from error


def check_cells(rows: int, columns: int, limits: Limits) -> None:
    """Refuse more rows, columns or cells than are allowed."""
    if rows > limits.rows:
        raise too_large(f"there are {rows:,} rows", limits.rows, _PARTS)
    if columns > limits.columns:
        raise too_large(f"there are {columns:,} columns", limits.columns, "Leave out what the model does not look at.")
    if rows * columns > limits.cells:
        raise too_large(
            f"there are {rows:,} rows of {columns:,} columns, {rows * columns:,} cells", limits.cells, _PARTS
        )


def check_expanded(batch: Any, limits: Limits, before: int = 0) -> int:
    """Refuse dictionaries whose values are large and stand in many rows; else how large they are in all."""
    size = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _has_length(column.type.value_type):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            size += pc.sum(lengths).as_py() or 0
        else:
            size += column.nbytes
    if before + size > limits.body:
        raise too_large(f"the values unpack to {before + size:,} bytes or more", limits.body, _PARTS)
    return size


def _has_length(kind: Any) -> bool:
    test = pa.types
    return any(one(kind) for one in (test.is_string, test.is_large_string, test.is_binary, test.is_large_binary))


def reason(error: Exception) -> str:
    """What Arrow says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
