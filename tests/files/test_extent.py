"""How much there is in files, before it is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expose.files import opened
from expose.files.extent import extent_of, most_bytes

TABLE = pa.table({"a": np.arange(3_000.0), "b": np.zeros(3_000, dtype=np.float32)})


def test_of_parquet_rows_are_known_and_bytes_are_those_in_memory(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "one.parquet")
    pq.write_table(TABLE.slice(0, 10), tmp_path / "two.parquet")
    tables = opened(str(tmp_path / "*.parquet"))
    found = extent_of(tables)
    assert found.rows == 3_010
    assert found.row_bytes == pytest.approx(12, rel=0.05)  # and perhaps a bit that says whether it is missing
    assert found.bytes == round(3_010 * found.row_bytes)
    assert most_bytes(tables) >= 3_010 * 12


def test_of_text_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    text = "a,b\n" + "1.5,2\n" * 5_000
    (tmp_path / "rows.csv").write_text(text)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = (extent_of(opened(tmp_path / name)) for name in ("rows.csv", "rows.csv.gz"))
    assert (plain.rows, plain.bytes) == (None, len(text))
    assert packed.bytes == 5 * (tmp_path / "rows.csv.gz").stat().st_size
    assert plain.row_bytes == packed.row_bytes > 4


def test_text_beside_parquet_leaves_the_number_of_rows_open(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "one.parquet")
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    assert extent_of(opened([tmp_path / "one.parquet", tmp_path / "two.csv"])).rows is None
