"""Whatever a table comes in, it says the same."""

from __future__ import annotations

import datetime as dt
import decimal
import time
import uuid

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from expose.encoders import TableEncoder
from expose.errors import DataWarning, InputError
from expose.files.values import is_missing
from expose.kinds import Table, as_table
from expose.kinds.understood import understood_alone

MIXED = {
    "amount": [1.5, None, -3.0],
    "kind": ["a", None, "b"],
    "when": [dt.datetime(2024, 1, 1, 12), None, dt.datetime(2024, 5, 1)],
    "flag": [True, False, None],
}


def same(first: Table, second: Table) -> None:
    assert first.kinds == second.kinds
    assert len(first) == len(second)
    for one, two in zip(first.names, second.names, strict=True):
        np.testing.assert_array_equal(first.column(one), second.column(two))


@pytest.mark.parametrize(
    "build",
    [
        pd.DataFrame,
        lambda d: pd.DataFrame(d).convert_dtypes(),
        lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="pyarrow"),
        lambda d: pd.DataFrame(d).astype({"kind": "category"}),
        lambda d: pd.DataFrame(d).astype(object),
        pl.DataFrame,
        lambda d: pl.DataFrame(d).with_columns(pl.col("kind").cast(pl.Categorical)),
        lambda d: pl.DataFrame(d).lazy(),
        lambda d: nw.from_native(pl.DataFrame(d)),
        lambda d: pa.table(d).to_batches()[0],
        lambda d: pa.table(d).set_column(1, "kind", pa.array(d["kind"]).dictionary_encode()),
        lambda d: np.array(list(zip(*d.values(), strict=True)), dtype=object),
        lambda d: [list(row) for row in zip(*d.values(), strict=True)],
    ],
)
def test_every_container_makes_the_same_table(build):
    same(understood_alone(as_table(build(MIXED))), understood_alone(as_table(pa.table(MIXED))))


def test_the_columns_are_what_they_look_like():
    table = as_table(pa.table(MIXED))
    assert table.kinds == ("number", "text", "time", "number")
    assert table.column("kind").tolist() == ["a", None, "b"]
    assert table.column("flag").tolist()[:2] == [1.0, 0.0]
    assert table.column("when")[0] == np.datetime64("2024-01-01T12:00")
    assert as_table(table) is table


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64, np.longdouble, object, str]
)
def test_numbers_of_any_type(dtype):
    table = understood_alone(as_table(np.array([[1, 2], [3, 4]]).astype(dtype)))
    assert table.kinds == ("number", "number")
    assert not table.named
    assert table.column("x1").tolist() == [2, 4]


def test_times_come_to_utc_from_every_zone():
    zoned = pd.DataFrame({"t": pd.to_datetime(["2024-07-01 02:00"]).tz_localize("Europe/Berlin")})
    objects = pd.DataFrame({"t": [dt.datetime(2024, 7, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))]}, dtype=object)
    for frame in (zoned, objects, pl.from_pandas(zoned), pa.Table.from_pandas(zoned)):
        assert as_table(frame).column("t")[0] == np.datetime64("2024-07-01T00:00")


def test_spans_and_clock_times_are_seconds():
    table = understood_alone(as_table(pa.table({"span": [dt.timedelta(minutes=1)], "clock": [dt.time(1, 0, 30)]})))
    assert table.column("span").tolist() == [60.0]
    assert table.column("clock").tolist() == [3630.0]
    assert as_table(np.array([["90", "NaT"]], dtype="timedelta64[s]")).numbers[0, 0] == 90.0
    assert as_table(pd.DataFrame({"span": pd.to_timedelta(["2min"])})).column("span").tolist() == [120.0]
    assert as_table(np.array([[dt.timedelta(seconds=5)]], dtype=object)).column("x0").tolist() == [5.0]
    mixed = [np.timedelta64(1, "m"), np.timedelta64(5, "ns"), dt.timedelta(seconds=30), None]
    for table in (as_table({"span": mixed}), as_table([[one] for one in mixed])):
        np.testing.assert_array_equal(table.numbers[:, 0], [60, 5e-9, 30, np.nan])
    assert as_table({"span": np.array([1, 2], "timedelta64[ns]")}).column("span").tolist() == [1e-9, 2e-9]
    assert as_table({"span": [np.timedelta64(1, "m"), 5]}).kinds == ("text",)


def test_other_types_that_frames_have():
    assert as_table(pa.table({"d": [decimal.Decimal("1.5"), None]})).column("d")[0] == 1.5
    assert as_table(pd.DataFrame({"p": pd.period_range("2024-01", periods=2, freq="M")})).kinds == ("time",)
    assert as_table(pa.table({"n": pa.nulls(3)})).kinds == ("number",)
    assert as_table(pd.DataFrame({"i": pd.interval_range(0, 2)})).column("i")[0] == "(0, 1]"
    cut = pd.DataFrame({"c": pd.cut(pd.Series([1, 2]), [0, 1, 2])})
    assert as_table(cut).column("c").tolist() == ["(0, 1]", "(1, 2]"]
    assert as_table(pd.DataFrame({"s": pd.arrays.SparseArray([0.0, 1.0])})).column("s").tolist() == [0.0, 1.0]
    assert as_table(np.array([["2024-01-01"]], dtype="datetime64[D]")).kinds == ("time",)
    record = np.array([(1, "a")], dtype=[("n", int), ("s", "U1")])
    assert as_table(record).names == ("n", "s")
    masked = np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]])
    assert np.isnan(as_table(masked).numbers[0, 0])


def test_a_categorical_of_numbers_is_categorical_and_text_is_what_its_values_are():
    frame = pd.DataFrame({"c": pd.Categorical([1, 2, 1]), "s": ["1", "2", "3"]})
    assert as_table(frame).kinds == ("category", "text")
    assert as_table(frame).column("c").tolist() == ["1", "2", "1"]
    assert understood_alone(as_table(frame)).kinds == ("category", "number")
    assert understood_alone(as_table([["1", "2"], ["3", "4.5"]])).kinds == ("number", "number")


def test_mixed_types_in_a_column_are_categories():
    table = as_table(np.array([["a"], [1], [2.5], [True], [None], [b"raw"]], dtype=object))
    assert table.column("x0").tolist() == ["a", "1", "2.5", "true", None, "raw"]


def test_names_come_from_the_frame_only_if_they_are_names():
    assert not as_table(pd.DataFrame([[1, 2]])).named
    assert as_table(pd.DataFrame({"b": [1], "a": [2]})).names == ("b", "a")
    assert as_table(pd.DataFrame({"a": [1], 0: [2]})).names == ("a", "0")
    months = pd.to_datetime(["2024-01-01", "2024-02-01"])
    assert as_table(pd.DataFrame([[1, 2]], columns=months)).names == ("2024-01-01", "2024-02-01")
    levels = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    assert as_table(pd.DataFrame([[1, 2]], columns=levels)).names == ("a.x", "a.y")
    assert as_table(pd.DataFrame([[1, 2]], columns=[2010, 2011])).names == ("2010", "2011")


def test_columns_are_matched_by_name_whatever_their_names_are():
    rows = pd.DataFrame([[1.0, 20.0], [2.0, 10.0], [3.0, 15.0]], columns=[2010, 2011])
    encoder = TableEncoder().fit(rows)
    np.testing.assert_array_equal(encoder.transform(rows[[2011, 2010]]), encoder.transform(rows))


@pytest.mark.parametrize(
    ("source", "names", "rows"),
    [
        ({"a": [1.0, None], "b": ["x", "y"]}, ("a", "b"), [[1.0, "x"], [None, "y"]]),
        ({"a": np.array([1, 2]), "b": pd.Series([3, 4])}, ("a", "b"), [[1, 3], [2, 4]]),
        ([{"a": 1.0, "b": "x"}, {"b": "y"}], ("a", "b"), [[1.0, "x"], [None, "y"]]),
        (pd.Series([1.0, 2.0], name="v"), ("v",), [[1.0], [2.0]]),
        (pl.Series("v", [1.0, 2.0]), ("v",), [[1.0], [2.0]]),
        (np.rec.fromarrays([[1, 2], ["x", "y"]], names="a,b"), ("a", "b"), [[1, "x"], [2, "y"]]),
        (np.ma.array([(1.0, 2), (3.0, 4)], mask=[(True, False), (False, False)], dtype=[("a", float), ("b", int)]),
         ("a", "b"), [[None, 2], [3.0, 4]]),
        (np.ma.masked_array([["x", 1], ["y", 2]], mask=[[True, False], [False, False]], dtype=object),
         ("x0", "x1"), [[None, 1], ["y", 2]]),
        (pl.DataFrame({"i": pl.Series([1, 2], dtype=pl.Int128)}), ("i",), [[1], [2]]),
        (pa.table({"s": [{"u": 1, "v": "x"}, {"u": 2, "v": "y"}]}), ("s.u", "s.v"), [[1, "x"], [2, "y"]]),
        (pd.DataFrame({"t": ["\ud800a", "b"]}, dtype=object), ("t",), [["\\ud800a"], ["b"]]),
        (pd.DataFrame({"k": [uuid.UUID(int=1), uuid.UUID(int=2)]}), ("k",), [[str(uuid.UUID(int=i))] for i in (1, 2)]),
    ],
)  # fmt: skip
def test_what_people_call_a_table_is_one(source, names, rows):
    table = as_table(source)
    assert table.names == names
    expected = pd.DataFrame(rows, columns=names, dtype=object)
    for name in names:
        found = [None if is_missing(value) else value for value in table.column(name).tolist()]
        assert found == [None if value is None else value for value in expected[name]]


def test_dates_whose_zone_leads_beyond_the_calendar():
    first = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    assert as_table(pd.DataFrame({"t": [first]}, dtype=object)).column("t")[0] == np.datetime64("0000-12-31T15:00")


def test_a_path_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n")
    assert as_table(tmp_path / "a.csv").names == ("x", "y")
    with pytest.raises(FileNotFoundError, match="no file"):
        as_table(tmp_path / "b.csv")


def test_columns_without_a_meaning_are_left_out_and_named():
    table = pa.table({"x": [1.0, 2.0], "tags": [["a"], ["b"]], "raw": [b"\xff", b"\xfe"]})
    with pytest.warns(DataWarning, match=r"left out .*'tags' \(list<.*'raw' \(binary"):
        encoder = TableEncoder().fit(table)
    assert [(one.name, one.kind) for one in encoder.columns_read] == [
        ("x", "number"), ("tags", "left out"), ("raw", "left out"),
    ]  # fmt: skip
    np.testing.assert_array_equal(encoder.transform(table), encoder.transform(pa.table({"x": [1.0, 2.0]})))
    with pytest.raises(InputError, match=r"'tags' is of type list.* and there is no other"):
        as_table(table.select(["tags"]))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.table([[1], [2]], names=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=[3, 3]),
    ],
)
def test_duplicate_column_names_are_refused(frame):
    with pytest.raises(InputError, match=r"more than once: '[a3]'.*[Rr]ename"):
        as_table(frame)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.arange(3), r"Expected a 2D array.*Reshape your data"),
        (np.ones((2, 2), dtype=complex), "Complex data not supported"),
        (pd.DataFrame({"z": [1j]}), "column 'z' holds complex"),
        (pa.table({"v": [[1, 2]]}), "column 'v' is of type list"),
        (pa.table({"v": [b"x"]}), "column 'v' is of type binary"),
        ([[1, 2], [3]], "rows of equal length; got rows of 1, 2"),
        (42, "expected a table"),
        ("nowhere/", r"there is no folder of photos at 'nowhere/'.* expose.files.read"),
        (np.array([[10**400]], dtype=object), "column 'x0', row 0: a number too large"),
    ],
)
def test_what_is_no_table_is_refused_with_advice(source, message):
    with pytest.raises(InputError, match=message):
        as_table(source)


def test_sparse_matrices_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InputError, match="toarray"):
        as_table(scipy_sparse.eye(3).tocsr())


@pytest.mark.parametrize("container", [np.array, pd.DataFrame, lambda rows, dtype: pd.DataFrame(rows, dtype=dtype)])
def test_an_object_in_a_cell_is_a_type_error_that_names_the_place(container):
    rows = container([[1.0, 2.0], [3.0, {"foo": "bar"}]], dtype=object)
    with pytest.raises(TypeError, match=r"row 1: argument must be a string or a number, not 'dict'"):
        as_table(rows)


def test_take_and_concat():
    table = as_table(pa.table(MIXED))
    parts = Table.concat(table.take(np.array([0])), table.take(np.array([False, True, True])))
    same(parts, table)
    empty = as_table(pa.table({name: pa.nulls(2) for name in MIXED}))
    both = Table.concat(table, empty)
    assert both.column("kind").tolist() == ["a", None, "b", None, None]
    assert Table.concat(empty, table).column("when")[2] == table.column("when")[0]
    numbers = Table.concat(as_table([[1.0]]), as_table([[2]]))
    assert numbers.column("x0").tolist() == [1.0, 2.0]
    categories = Table.concat(as_table([["a"], ["b"]]), as_table([["c"], ["a"]]))
    assert categories.column("x0").tolist() == ["a", "b", "c", "a"]


def test_concat_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="same columns"):
        Table.concat(as_table([[1]]), as_table([[1, 2]]))
    with pytest.raises(InputError, match="different kinds"):
        Table.concat(as_table([[1]]), as_table([[dt.date(2024, 1, 1)]]))
    assert Table.concat(as_table([[1]]), as_table([["a"]])).column("x0").tolist() == ["1", "a"]


def test_an_unknown_column_is_named():
    with pytest.raises(InputError, match="no column 'z'"):
        as_table([[1]]).column("z")


def test_fifty_thousand_columns_are_fast():
    rows = np.random.default_rng(0).random((20, 50_000))
    names = [f"c{i}" for i in range(rows.shape[1])]
    frames = [rows, pd.DataFrame(rows, columns=names), pl.DataFrame(rows, schema=names), rows.astype(object)]
    for frame in frames:
        start = time.process_time()
        assert as_table(frame).numbers.shape == rows.shape
        assert time.process_time() - start < 4  # well under 1 s on an idle machine
