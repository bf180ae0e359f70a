"""Every type of Arrow in a text file, and cells that a spreadsheet would run."""

from __future__ import annotations

import csv
import datetime
import decimal
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from expose.files import read, writer

KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)


def uuids() -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([KEY.bytes, None], pa.binary(16)))


def written(folder: Path, table: pa.Table, **options: Any) -> list[list[str]]:
    """The cells of a table written as CSV, as Python's own reader finds them."""
    target = folder / "out.csv"
    with writer(target, **options) as sink:
        sink.write(table)
    with target.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (uuids(), str(KEY)),
        (pa.array([["a", "é"], None]), '["a", "é"]'),
        (pa.array([{"a": 1, "at": NOON, "raw": b"\xff"}, None]), f'{{"a": 1, "at": "{NOON}", "raw": "ff"}}'),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), '[["a", 1]]'),
        (pa.array([b"abc", None]), "abc"),
        (pa.array([b"\xff\x00", None]), "ff00"),
        (pa.array([b"a\x00", None]), "6100"),
        (pa.array([b"\xff\x01\x02", None], pa.binary(3)), "ff0102"),
        (pa.array([b"\xff", None], pa.large_binary()), "ff"),
        (pa.array([b"\xff", None]).dictionary_encode(), "ff"),
        (pa.array(["a", None]).dictionary_encode(), "a"),
        (pa.array(["a", None], pa.string_view()), "a"),
        (pa.array([decimal.Decimal("1.20"), None]), "1.20"),
        (pa.array([NOON, None], pa.timestamp("s", "Europe/Berlin")), "2024-01-01 13:00:00+0100"),
        (pa.array([datetime.timedelta(days=1, seconds=5), None]), "1 day, 0:00:05"),
        (pa.array(["000123", None]), "000123"),
    ],
)  # fmt: skip
def test_every_type_is_written_as_text(column: pa.Array, cell: str, tmp_path: Path) -> None:
    table = pa.table({"key": column, "anomaly_score": [0.5, 2.0]})
    assert written(tmp_path, table) == [["key", "anomaly_score"], [cell, "0.5"], ["", "2"]]


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    table = pa.table({"list": pa.array([[1], [2]]), "raw": [b"\xff", b"a"]})
    with writer(tmp_path / "out.parquet", spreadsheet_safe=True) as sink:
        sink.write(table)
    assert read(tmp_path / "out.parquet")["list"].to_pylist() == [[1], [2]]


def test_batches_may_differ_in_their_dictionaries(tmp_path: Path) -> None:
    with writer(tmp_path / "out.csv") as sink:
        for names in (["a", "b"], ["c"]):
            sink.write(pa.table({"key": pa.array(names).dictionary_encode()}))
    assert (tmp_path / "out.csv").read_text() == '"key"\n"a"\n"b"\n"c"\n'


DANGEROUS = ["=1+1", "+49 30", "-5", "@SUM(A1)", "\t=1", "\r=1"]


def test_formulas_are_disarmed_on_demand_in_texts_alone(tmp_path: Path) -> None:
    table = pa.table({
        "=name": [*DANGEROUS, "plain = 1", "'=1"],
        "coded": pa.array([*DANGEROUS, None, "a\n=b"]).dictionary_encode(),
        "value": np.arange(8) - 5.0,
    })  # fmt: skip
    names, *rows = written(tmp_path, table, spreadsheet_safe=True)
    assert names == ["'=name", "coded", "value"]
    disarmed = [f"'{text}" for text in DANGEROUS]
    assert [row[0] for row in rows] == [*disarmed, "plain = 1", "'=1"]
    assert [row[1] for row in rows] == [*disarmed, "", "a\n=b"]
    assert [row[2] for row in rows] == ["-5", "-4", "-3", "-2", "-1", "0", "1", "2"]


def test_texts_are_as_they_came_otherwise(tmp_path: Path) -> None:
    assert [row[0] for row in written(tmp_path, pa.table({"=name": DANGEROUS}))] == ["=name", *DANGEROUS]
