"""Laws of encoding, held against tables drawn at random."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from expose.encoders import SCALINGS, TableEncoder
from expose.errors import DataWarning
from expose.files import read, writer
from expose.kinds import Table, as_table

SOME = settings(max_examples=40, deadline=None)

numbers = st.floats(allow_nan=False, allow_infinity=False)
tame = st.floats(-1e6, 1e6)
words = st.text("abcXYZ äß,\"'", min_size=1, max_size=4).filter(str.strip)
moments = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1)).map(lambda t: t.replace(microsecond=0))
kinds = st.sampled_from([numbers, tame, st.integers(-9, 9), st.booleans(), words, moments, st.none()])


@st.composite
def tables(draw, most_columns: int = 4) -> pa.Table:
    """A table of mixed columns with gaps."""
    n_rows = draw(st.integers(1, 12))
    columns = {}
    for i in range(draw(st.integers(1, most_columns))):
        values = draw(kinds)
        columns[f"c{i}"] = pa.array(draw(st.lists(values | st.none(), min_size=n_rows, max_size=n_rows)))
    return pa.table(columns)


def encoded(encoder: TableEncoder, table: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return encoder.transform(as_table(table))


def csv_round_trip(table: pa.Table) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with writer(path) as sink:
            sink.write(table)
        return read(path)


@given(tables(), st.sampled_from(SCALINGS))
@SOME
def test_any_table_encodes_to_finite_numbers(table, scaling):
    encoder = TableEncoder(scaling).fit(as_table(table))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the training table itself gives no reason to warn
        rows = encoder.transform(as_table(table))
    assert rows.shape == (table.num_rows, encoder.layout.n_values)
    assert np.isfinite(rows).all()


@given(tables())
@SOME
def test_the_container_does_not_matter(table):
    encoder = TableEncoder().fit(as_table(table))
    expected = encoded(encoder, table)
    frame = table.to_pandas()
    floats = [abs(v) for column in table.columns if pa.types.is_floating(column.type) for v in column.to_pylist() if v]
    long = max(floats, default=0.0) >= 10**15  # whole numbers so long are names, which pandas may make of floats
    for other in (
        frame,
        frame if long else frame.convert_dtypes(),
        frame.astype(object),
        pl.from_arrow(table),
        table.to_pylist() and table,
    ):
        np.testing.assert_array_equal(encoded(encoder, other), expected)
        again = TableEncoder().fit(as_table(other))
        np.testing.assert_array_equal(encoded(again, table), expected)


@given(tables())
@SOME
def test_neither_does_a_detour_through_csv(table):
    assume(table.num_columns > 1 or table.column(0).null_count < table.num_rows)
    encoder = TableEncoder().fit(as_table(table))
    back = csv_round_trip(table)
    np.testing.assert_array_equal(encoded(encoder, back), encoded(encoder, table))


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=9))
@SOME
def test_equal_values_encode_equally_in_every_type(rows):
    array = np.array(rows)
    names = ["a", "b", "c"]
    expected = encoded(TableEncoder().fit(as_table(array)), array)
    versions = [array.astype(t) for t in (bool, np.uint8, np.float32, np.float64, object, str)]
    versions += [
        pd.DataFrame(array, columns=names).astype(t) for t in ("Int64", "boolean", "float32", "bool", "object")
    ]
    versions += [pl.DataFrame(array, schema=names), pa.table(list(array.T), names=names)]
    for version in versions:
        np.testing.assert_array_equal(encoded(TableEncoder().fit(as_table(version)), version), expected)


@given(tables(), st.data())
@SOME
def test_rows_are_encoded_one_by_one(table, data):
    encoder = TableEncoder().fit(as_table(table))
    order = np.array(data.draw(st.permutations(range(table.num_rows))))
    whole = encoded(encoder, table)
    np.testing.assert_array_equal(encoded(encoder, as_table(table).take(order)), whole[order])
    cut = data.draw(st.integers(0, table.num_rows))
    parts = [table.slice(0, cut), table.slice(cut)]
    np.testing.assert_array_equal(np.vstack([encoded(encoder, part) for part in parts]), whole)
    joined = Table.concat(*(as_table(part) for part in parts))
    np.testing.assert_array_equal(encoded(encoder, joined), whole)


@given(tables(), st.randoms(use_true_random=False))
@SOME
def test_the_order_of_named_columns_does_not_matter(table, random):
    encoder = TableEncoder().fit(as_table(table))
    names = list(table.column_names)
    random.shuffle(names)
    np.testing.assert_array_equal(encoded(encoder, table.select(names)), encoded(encoder, table))


@given(tables(), st.lists(st.sampled_from(SCALINGS), min_size=1, max_size=4))
@SOME
def test_each_of_several_scalings_is_what_it_is_alone(table, scalings):
    together = TableEncoder(scalings).fit(as_table(table))
    views = encoded(together, table).reshape(table.num_rows, -1, len(scalings))
    for view, scaling in enumerate(scalings):
        alone = TableEncoder(scaling).fit(as_table(table))
        assert views[..., view].tobytes() == encoded(alone, table).tobytes()
        assert (together.notes, together.columns_read) == (alone.notes, alone.columns_read)
        assert together.groups[-1][1].stop == alone.groups[-1][1].stop * len(scalings)


@given(tables(), st.sampled_from(SCALINGS))
@SOME
def test_storing_changes_nothing(restored, table, scaling):
    encoder = TableEncoder(scaling).fit(as_table(table))
    again = restored(encoder)
    np.testing.assert_array_equal(encoded(again, table), encoded(encoder, table))


@given(st.lists(tame, min_size=2, max_size=30), tame, st.integers(-20, 20))
@pytest.mark.parametrize("scaling", ["quantile", "robust", "standard"])
@SOME
def test_scaling_does_not_depend_on_the_unit(scaling, values, probe, exponent):
    factor = 2.0**exponent  # exact, so that nothing but the unit changes
    assume(all(v == 0 or abs(v) > 1e-100 for v in [*values, probe]))
    assume(len(set(values)) > 1)
    one, two = np.array([values]).T, np.array([values]).T * factor
    first = TableEncoder(scaling).fit(as_table(one)).transform(as_table(np.array([[probe]])))
    second = TableEncoder(scaling).fit(as_table(two)).transform(as_table(np.array([[probe * factor]])))
    np.testing.assert_allclose(first, second, rtol=1e-6)


@given(st.lists(numbers, min_size=2, max_size=30), st.lists(numbers, min_size=2, max_size=9))
@pytest.mark.parametrize("scaling", SCALINGS)
@SOME
def test_scaling_keeps_the_order(scaling, values, probes):
    assume(len(set(values)) > 1)
    encoder = TableEncoder(scaling).fit(as_table(np.array([values]).T))
    rows = encoded(encoder, np.sort(probes)[:, None])[:, 0]
    assert (np.diff(rows) >= 0).all()


@given(st.lists(tame, min_size=20, max_size=40), st.lists(st.floats(1e7, 1e300), min_size=1, max_size=2))
@SOME
def test_outliers_hardly_move_the_scale_of_the_rest(values, outliers):
    """The quantile spread may at most double or so by 10 % of outliers, however large they are."""
    rng = np.random.default_rng(len(values))
    base = rng.normal(size=(200, 1)) * max(1.0, math.fsum(map(abs, values)) / len(values))
    clean = TableEncoder().fit(as_table(base)).transform(as_table(base))
    dirty = TableEncoder().fit(as_table(np.vstack([base, np.resize(outliers, (20, 1))]))).transform(as_table(base))
    inner = np.abs(clean[:, 0]) < 2
    assert 0.5 < dirty[inner].std() / clean[inner].std() < 1.5
