"""Columns of texts are understood on training rows, and held to it; equal values mean the same from every source."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expose import AnomalyDetector
from expose.encoders import TableEncoder
from expose.errors import DataWarning, InputError
from expose.files.conventions import Conventions, marked
from expose.kinds import as_table
from expose.kinds.understood import understood_alone

N = 40


def texts_of(frame: dict[str, list[object]]) -> pa.Table:
    """The frame as a reader of a CSV file gives it."""
    rows = list(csv.reader(io.StringIO(pd.DataFrame(frame).to_csv(index=False))))
    return pa.table({name: [row[i] or None for row in rows[1:]] for i, name in enumerate(rows[0])})


def stored(frame: dict[str, list[object]]) -> pa.Table:
    """The frame as it comes back from a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(frame), sink)
    return pq.read_table(pa.BufferReader(sink.getvalue()))


SOURCES = {
    "csv": texts_of,
    "parquet": stored,
    "arrow": pa.table,
    "pandas": pd.DataFrame,
    "pandas nullable": lambda frame: pd.DataFrame(frame).convert_dtypes(),
    "pandas objects": lambda frame: pd.DataFrame(frame).astype(object),
    "polars": pl.DataFrame,
}

COLUMNS: dict[str, list[object]] = {
    "integers": [i % 7 for i in range(N)],
    "floats": [None if i % 9 == 4 else i / 8 for i in range(N)],
    "booleans": [i % 3 == 0 for i in range(N)],
    "booleans with gaps": [None if i == 3 else i % 3 == 0 for i in range(N)],
    "names": [None if i == 5 else ["red", "green", "blue"][i % 3] for i in range(N)],
    "dates": [dt.date(2025, 1, 1) + dt.timedelta(days=i * 11) for i in range(N)],
    "moments": [dt.datetime(2025, 1, 1, 8) + dt.timedelta(hours=i * 31) for i in range(N)],
    "clock": [dt.time(i % 24, 5 * (i % 12), 1) for i in range(N)],
    "numbers as text": [str(i / 4) for i in range(N)],
    "numbers with a word": ["ERR" if i == 6 else str(i) for i in range(N)],
    "decimal comma": [f"{i},25" for i in range(N)],
    "padded codes": [f"00{i % 3}" for i in range(N)],
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("source", SOURCES)
def test_equal_values_are_encoded_equally_from_every_source(source, name):
    values = COLUMNS[name]
    given = SOURCES[source]({name: values})
    expected = TableEncoder().fit(pa.table({name: values}))
    encoder = TableEncoder().fit(given)
    np.testing.assert_array_equal(encoder.transform(given), expected.transform(pa.table({name: values})))
    np.testing.assert_array_equal(expected.transform(given), encoder.transform(pa.table({name: values})))


WHOLE = [i * i % 31 for i in range(N)]
GAPS = [None if i == 4 else i / 2 for i in range(N)]
EAST = dt.timezone(dt.timedelta(hours=5))
ZONED = [dt.datetime(2025, 1, 1, i % 24, tzinfo=EAST) + dt.timedelta(days=i) for i in range(N)]
HALVES = ["a\ud800" if i == 3 else "bc"[i % 2] for i in range(N)]  # half of a character
AS: dict[str, list[Callable[[], Any]]] = {
    "whole numbers": [
        lambda: pa.table({"x": WHOLE}),
        lambda: pl.DataFrame({"x": pl.Series(WHOLE).cast(pl.Int128)}),
        lambda: pl.DataFrame({"x": pl.Series(WHOLE).cast(pl.UInt8)}),
        lambda: pa.table({"x": pa.array(WHOLE).cast(pa.decimal128(19, 0))}),
        lambda: pd.DataFrame({"x": pd.array(WHOLE, dtype="Int64")}),
        lambda: pd.DataFrame({"x": pd.array(WHOLE, dtype="int64[pyarrow]")}),
        lambda: pa.table({"x": list(map(str, WHOLE))}),
    ],
    "numbers with gaps": [
        lambda: pa.table({"x": GAPS}),
        lambda: np.ma.array([[one or 0.0] for one in GAPS], mask=[[one is None] for one in GAPS]),
        lambda: np.array([(np.nan if one is None else one,) for one in GAPS], dtype=[("x", float)]),
        lambda: {"x": GAPS},
        lambda: pd.Series(GAPS, name="x"),
        lambda: pd.DataFrame({"x": pd.array(GAPS, dtype="Float64")}),
        lambda: pa.table({"x": [None if one is None else str(one) for one in GAPS]}),
    ],
    "categories of numbers": [
        lambda: pd.DataFrame({"x": pd.Categorical([one % 5 for one in WHOLE])}),
        lambda: pl.DataFrame({"x": pl.Series([str(one % 5) for one in WHOLE]).cast(pl.Categorical)}),
        lambda: pa.table({"x": pa.array([one % 5 for one in WHOLE]).dictionary_encode()}),
    ],
    "moments with zones": [
        lambda: pa.table({"x": ZONED}),
        lambda: pl.DataFrame({"x": ZONED}),
        lambda: pd.DataFrame({"x": ZONED}),
        lambda: pd.DataFrame({"x": pd.Series(ZONED, dtype=object)}),
        lambda: pa.table({"x": [one.isoformat() for one in ZONED]}),
    ],
    "half characters": [
        lambda: [[one] for one in HALVES],
        lambda: pd.DataFrame({"x": pd.Series(HALVES, dtype=object)}),
        lambda: np.array(HALVES, dtype=object)[:, None],
    ],
}


@pytest.mark.parametrize("name", AS)
def test_equal_values_are_encoded_equally_of_every_type(name):
    first, *others = [make() for make in AS[name]]
    encoder = TableEncoder().fit(first)
    expected = encoder.transform(first)
    for other in others:
        np.testing.assert_array_equal(encoder.transform(other), expected)
        np.testing.assert_array_equal(TableEncoder().fit(other).transform(first), expected)


def fitted(**columns: list[object]) -> TableEncoder:
    return TableEncoder().fit(pa.table(columns))


def test_how_each_column_was_read_is_said():
    encoder = fitted(
        x=[f"{i},5" for i in range(N)], day=[f"{1 + i % 28}.{1 + i % 12}.2025" for i in range(N)],
        odd=["-" if i == 3 else str(i * i) for i in range(N)], kind=["a", "b"] * (N // 2),
        key=[f"k{i}" for i in range(N)], same=["1"] * N,
    )  # fmt: skip
    assert [(one.name, one.kind) for one in encoder.columns_read] == [
        ("x", "number"), ("day", "date"), ("odd", "number"), ("kind", "category"), ("key", "identifier"),
        ("same", "left out"),
    ]  # fmt: skip
    how = {one.name: one.how for one in encoder.columns_read}
    assert how["x"] == "decimal ','"
    assert how["day"] == "day first"
    assert how["odd"] == "'-' count as missing"
    assert "'odd' holds numbers; 1 value(s) are none and count as missing: '-' (row 3)" in encoder.notes


def rows_of(x: list[str], y: list[str]) -> list[str]:
    return [note for note in fitted(x=x, y=y).notes if "rows, too" in note or "written otherwise" in note]


def test_rows_that_are_none_are_named():
    numbers = [str(i * i % 17) for i in range(N)]
    assert rows_of(numbers, numbers) == []
    assert rows_of(["m", *numbers], ["kg", *numbers])[0].startswith(
        "row 0, the first one, is written otherwise: 'm', 'kg'; if that is no row of data (units, a total), delete it"
    )
    assert rows_of(["ERR", *numbers], ["1", *numbers]) == []  # a reading that failed, as in any other row
    assert rows_of([*numbers, "ERR"], [*numbers, "1"]) == []
    assert rows_of([*numbers, "Total:"], [*numbers, "900"])[0].startswith(f"row {N}, the last one")
    again = rows_of([*numbers, "x", *numbers, "x", "1"], [*numbers, "y", *numbers, "y", "1"])
    assert again == [f"the names of the columns stand among the rows, too: 2 time(s), first in row {N}; delete them"]


def test_strays_known_from_training_are_missing_without_a_word_and_new_ones_are_named():
    encoder = fitted(x=["-" if i == 3 else str(i) for i in range(N)])
    later = pa.table({"x": ["-", "5"]})
    np.testing.assert_array_equal(encoder.transform(later), encoder.transform(pa.table({"x": [None, 5.0]})))
    with pytest.warns(DataWarning, match=r"1 value.* are none and count as missing .*: 'broken' in row 1001"):
        encoder.transform(marked(pa.table({"x": ["5", "broken"]}), Conventions(), first=1000))


def test_a_column_that_has_changed_its_meaning_is_refused():
    encoder = fitted(x=[str(i) for i in range(N)])
    with pytest.raises(InputError, match=r"'x' held numbers in training; row 0 .* 'a', and none of the 30 values"):
        encoder.transform(pa.table({"x": ["a"] * 30}))


def test_strict_refuses_the_first_stray():
    table = pa.table({"x": ["-" if i == 3 else str(i) for i in range(N)]})
    with pytest.raises(InputError, match=r"'x' holds numbers, but row 3 .* holds '-'. Correct it"):
        TableEncoder().fit(marked(table, Conventions(strict=True)))


def test_the_order_of_dates_can_be_said_of_a_source_where_training_had_no_texts():
    days: list[object] = [dt.datetime(2025, 1 + i % 12, 1 + i % 12) for i in range(N)]
    encoder = TableEncoder().fit(stored({"x": days}))
    for spelled in ("%d/%m/%Y", "%Y-%m-%d"):
        later = marked(pa.table({"x": [f"{day:{spelled}}" for day in days]}), Conventions(day_first=True))
        np.testing.assert_array_equal(encoder.transform(later), encoder.transform(stored({"x": days})))


def test_infinity_is_refused_or_missing_as_was_said():
    table = pa.table({"x": ["Infinity" if i == 3 else str(i) for i in range(N)]})
    with pytest.raises(InputError, match=r"row 3 .* holds inf"):
        TableEncoder().fit(table)
    encoder = TableEncoder().fit(marked(table, Conventions(infinity="missing")))
    gap = encoder.transform(pa.table({"x": [None, "1"]}))
    np.testing.assert_array_equal(encoder.transform(pa.table({"x": ["Infinity", "1"]})), gap)


def test_columns_named_as_categories_are_such_whatever_their_values():
    table = pa.table({"zip": [10, 20, 30, 40] * 10, "x": [str(i) for i in range(N)]})
    encoder = TableEncoder().fit(marked(table, Conventions(category=("zip",))))
    assert [one.kind for one in encoder.columns_read] == ["category", "number"]
    texts = pa.table({"zip": ["10", "20"], "x": ["1", "2"]})
    np.testing.assert_array_equal(encoder.transform(texts), encoder.transform(pa.table({"zip": [10, 20], "x": [1, 2]})))


@pytest.mark.parametrize(
    "values", [[True, False], [dt.datetime(2025, 1, 31), dt.datetime(2025, 2, 28)], [dt.datetime(2025, 1, 31, 9), 7]]
)
def test_categories_of_booleans_and_dates_are_the_same_names_in_all_sources(values):
    encoder = TableEncoder().fit(pd.DataFrame({"x": pd.Categorical(values * 20)}))
    expected = encoder.transform(pd.DataFrame({"x": pd.Categorical(values)}))
    later = [texts_of({"x": values}), pd.DataFrame({"x": values}, dtype=object), [{"x": value} for value in values]]
    for source in later:
        np.testing.assert_array_equal(encoder.transform(source), expected)
    np.testing.assert_array_equal(encoder.transform(texts_of({"x": values[:1]})), expected[:1])


@pytest.mark.parametrize("hour", [0, 9])
def test_dates_named_as_categories_are_the_same_names_in_all_sources(hour):
    frame: dict[str, list[object]] = {"x": [dt.datetime(2025, 1, 1 + i % 3, hour * (i % 2), 0) for i in range(60)]}
    sources = [stored(frame), texts_of(frame), pd.DataFrame(frame)]
    for training in sources[:2]:
        encoder = TableEncoder().fit(marked(training, Conventions(category=("x",))))
        encoded = encoder.transform(training)
        assert encoded[:, :-1].any(axis=1).all()  # none of them is an unknown name
        for later in sources:
            np.testing.assert_array_equal(encoder.transform(later), encoded)
        np.testing.assert_array_equal(encoder.transform(stored(frame).slice(0, 1)), encoded[:1])


def test_a_stored_encoder_understands_the_same(restored):
    table = pa.table({"x": [f"{i},5" for i in range(N)], "day": [f"{1 + i % 28}.2.2025" for i in range(N)]})
    encoder = TableEncoder().fit(marked(table, Conventions(decimal=",")))
    twin = restored(encoder)
    np.testing.assert_array_equal(twin.transform(table), encoder.transform(table))
    assert twin.columns_read == encoder.columns_read


def test_words_for_people_are_those_that_were_understood():
    encoder = fitted(x=[f"{i},5" for i in range(N)], kind=["a", "b"] * (N // 2))
    table = encoder.read(pa.table({"x": ["7,5"], "kind": ["a"]}))
    assert table.column("x").tolist() == [7.5]
    assert table.column("kind").tolist() == ["a"]


def test_a_table_alone_is_understood_by_its_own_values():
    assert understood_alone(as_table([["1", "a"], ["2", "b"]])).kinds == ("number", "category")


def test_numbers_that_stand_for_nothing_can_be_said_whatever_the_source():
    values = [-9999.0 if i % 8 == 0 else float(i) for i in range(N)]
    expected = TableEncoder().fit(pa.table({"x": [None if v == -9999 else v for v in values]}))
    for source in SOURCES.values():
        encoder = TableEncoder().fit(as_table(source({"x": values}), Conventions(null=("-9999",))))
        rows = pa.table({"x": [None, 3.0]})
        np.testing.assert_array_equal(encoder.transform(rows), expected.transform(rows))
        np.testing.assert_array_equal(encoder.transform(source({"x": [-9999.0, 3.0]})), expected.transform(rows))


def test_a_number_that_looks_like_nothing_is_noted():
    notes = fitted(x=[-9999.0 if i % 8 == 0 else float(i) for i in range(N)], y=[float(i) for i in range(N)]).notes
    assert [note for note in notes if "say --null -9999" in note and "'x' holds -9999 in 5 rows" in note]
    assert not [note for note in fitted(x=[float(i % 100) for i in range(200)]).notes if "--null" in note]  # 99 is near


def test_a_name_that_is_spelled_as_nothing_is_said_and_can_be_kept():
    table = pa.table({"country": ["DE", "NA", "US", "NA"] * 10, "x": list(range(N))})
    encoder = TableEncoder().fit(table)
    said = "'country': 'NA' (20 rows, first row 1) count as missing; name the column with --category if they are names"
    assert said in encoder.notes
    named = TableEncoder().fit(as_table(table, Conventions(category=("country",))))
    assert {one.name: one.how for one in named.columns_read}["country"] == "of 3"
    assert not [note for note in named.notes if "count as missing" in note]


def test_texts_that_nearly_all_differ_are_left_out_and_said():
    texts = [f"remark {i % 58}" for i in range(60)]
    encoder = fitted(note=texts, x=list(range(60)))
    assert encoder.columns_read[0].kind == "left out"
    assert "a text that is different in nearly every row, left out: 'note'" in encoder.notes
    assert fitted(key=[f"k{i}" for i in range(60)], x=list(range(60))).columns_read[0].kind == "identifier"
    assert fitted(kind=[f"k{i % 40}" for i in range(60)], x=list(range(60))).columns_read[0].kind == "category"


@pytest.mark.parametrize(
    "texts",
    [
        [f"{i}.5 {'kg' if i % 2 else 'g'}" for i in range(N // 2)] * 2,
        [f"{i}{',' if i % 2 else '.'}45" for i in range(N // 2)] * 2,
        [f"{'$' if i % 2 else '€'}{i}.20" for i in range(N // 2)] * 2,
    ],
)
def test_amounts_that_cannot_be_read_as_numbers_are_noted(texts):
    assert [note for note in fitted(amount=texts, x=list(range(N))).notes if "look like amounts" in note]


def test_words_are_no_amounts():
    texts = [f"{i} Main Street" for i in range(N // 2)] * 2
    assert not [note for note in fitted(place=texts, x=list(range(N))).notes if "amounts" in note]


def test_zeros_in_front_that_another_program_lost_are_found_again():
    encoder = fitted(zip=["01067", "10115", "04109", "80331"] * 10, x=list(range(N)))
    later = pa.table({"zip": [1067, 4109], "x": [1, 2]})
    np.testing.assert_array_equal(
        encoder.transform(later), encoder.transform(pa.table({"zip": ["01067", "04109"], "x": [1, 2]}))
    )


@pytest.mark.parametrize("source", SOURCES)
def test_whole_numbers_longer_than_a_number_is_exact_are_names_from_every_source(source):
    table = SOURCES[source]({"id": [10**17 + 7 * i for i in range(60)], "x": list(range(60))})
    encoder = TableEncoder().fit(table)
    assert [one.kind for one in encoder.columns_read] == ["identifier", "number"]
    few = SOURCES[source]({"x": [*range(59), 10**17]})
    assert [one.kind for one in TableEncoder().fit(few).columns_read] == ["number"]


def test_so_are_those_of_arrays():
    rows = np.array([[10**17 + 7 * i, i] for i in range(60)])
    assert [one.kind for one in TableEncoder().fit(rows).columns_read] == ["identifier", "number"]
    assert [one.kind for one in TableEncoder().fit(rows.astype(object)).columns_read] == ["identifier", "number"]


def test_estimators_say_how_columns_were_read():
    frame = pd.DataFrame({"x": [f"{i},5" for i in range(N)], "kind": ["a", "b"] * (N // 2)})
    read = AnomalyDetector(random_state=0).fit(frame).columns_read_
    assert [tuple(one) for one in read] == [("x", "number", "decimal ','"), ("kind", "category", "of 2")]
