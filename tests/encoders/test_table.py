"""Any table becomes a finite float32 matrix, and a later table is held to the schema of training."""

from __future__ import annotations

import datetime as dt
import time
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from expose.encoders import SCALINGS, TableEncoder
from expose.encoders.scaling import LARGEST_RAW, LARGEST_SCALED
from expose.errors import DataWarning, InputError
from expose.files.conventions import Conventions, marked
from expose.kinds import as_table


def mixed(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "amount": rng.lognormal(size=n),
        "count": pd.array(rng.integers(0, 9, n), dtype="Int64"),
        "flag": rng.random(n) < 0.3,
        "kind": rng.choice(["red", "green", "blue"], n),
        "when": pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(n) * 17.3, unit="h"),
        "code": pd.Categorical(rng.integers(1, 4, n)),
    })  # fmt: skip
    frame.loc[::7, ["amount", "kind", "when", "count"]] = None
    return frame


@pytest.fixture(scope="module")
def fitted() -> TableEncoder:
    return TableEncoder().fit(as_table(mixed()))


def quiet(encoder: TableEncoder, table: object) -> np.ndarray:
    """Encode, and fail if there was anything to warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encoder.transform(as_table(table))


# --------------------------------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_result_is_a_finite_contiguous_float32_matrix(scaling):
    encoder = TableEncoder(scaling).fit(as_table(mixed()))
    rows = quiet(encoder, mixed())
    assert rows.shape == (60, encoder.layout.n_values)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert np.isfinite(rows).all()


def test_groups_cover_the_encoded_columns_in_order(fitted):
    ends = [0] + [encoded.stop for _, encoded in fitted.groups]
    assert [encoded.start for _, encoded in fitted.groups] == ends[:-1]
    assert ends[-1] == fitted.layout.n_values
    assert [name for name, _ in fitted.groups] == list(mixed().columns)


def test_a_change_in_one_column_changes_only_its_group(fitted):
    changed = mixed().assign(amount=99.0)
    columns = np.flatnonzero((quiet(fitted, changed) != quiet(fitted, mixed())).any(axis=0))
    group = dict(fitted.groups)["amount"]
    assert set(columns) <= set(range(group.start, group.stop))
    assert len(columns)


def test_missing_numbers_become_the_median_with_an_indicator():
    rows = TableEncoder().fit(as_table([[1.0], [2.0], [3.0], [np.nan]])).transform(as_table([[np.nan], [2.0]]))
    assert rows.tolist() == [[0.0, 1.0], [0.0, 0.0]]
    raw = TableEncoder("unscaled").fit(as_table([[1.0], [2.0], [6.0], [np.nan]])).transform(as_table([[np.nan]]))
    assert raw.tolist() == [[2.0, 1.0]]


def test_numbers_that_first_go_missing_later_are_imputed_with_a_warning():
    encoder = TableEncoder().fit(as_table(pa.table({"a": [1.0, 2.0, 3.0]})))
    with pytest.warns(DataWarning, match="no value was missing in training in 'a', now 2 are"):
        rows = encoder.transform(as_table(pa.table({"a": [None, np.nan, 3.0]})))
    assert rows[:2].tolist() == [[0.0], [0.0]]


def test_categories_are_one_hot_with_a_place_for_all_others():
    encoder = TableEncoder().fit(as_table([["a"], ["b"], ["b"], [None]]))
    with pytest.warns(DataWarning, match=r"column 'x0': 1 row.*unseen in training \('z'\).*other"):
        rows = encoder.transform(as_table([["a"], ["b"], [None], ["z"]]))
    assert rows.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


def test_many_categories_share_columns_and_rare_ones_are_told_by_frequency():
    names = [f"n{i // 3}" for i in range(120)] + ["once"]
    encoder = TableEncoder().fit(as_table(pa.table({"name": names})))
    assert encoder.layout.n_values == 32 + 1 + 1
    rows = quiet(encoder, pa.table({"name": ["n0", "once"]}))
    assert rows[0, -1] > rows[1, -1]
    assert rows[1, 32] == 1.0
    assert any("41 categories" in note for note in encoder.notes)


def test_times_become_seconds_and_the_phases_that_vary():
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(100)]
    encoder = TableEncoder().fit(as_table(pa.table({"t": hours})))
    assert encoder.layout.n_values == 1 + 2  # four days: the hour varies, the week and the year do not
    rows = quiet(encoder, pa.table({"t": hours}))
    np.testing.assert_allclose(rows[6, 1:], [1, 0], atol=1e-6)  # six o'clock is a quarter of the day
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(1000)]
    assert TableEncoder().fit(as_table(pa.table({"t": days}))).layout.n_values == 1 + 4  # week and year, no hour
    same = [dt.date(2024, 1, 1)] * 3
    assert dict(TableEncoder().fit(as_table(pa.table({"t": same, "x": [1, 2, 3]}))).groups)["t"] == slice(0, 0)


# ------------------------------------------------------------------------------------------- several scalings

THREE = ("quantile", "standard", "unscaled")


def test_scalings_stand_side_by_side():
    """The values are those of the first version, which had one encoder for each scaling."""
    table = pa.table({"n": [1.0, 2.0, 4.0, None, 100.0], "c": ["a", "b", "a", None, "a"], "k": [3, 3, 3, 3, 3]})
    encoder = TableEncoder(THREE).fit(as_table(table))
    rows = quiet(encoder, table).reshape(5, 6, 3)
    expected = [
        [-0.5022774338722229, -0.6086794137954712, 1.0],
        [-0.48709458112716675, -0.5850414037704468, 2.0],
        [-0.45672887563705444, -0.5377653241157532, 4.0],
        [-0.4719117283821106, -0.5614033937454224, 3.0],
        [1.0008243322372437, 1.731486201286316, 100.0],
    ]
    np.testing.assert_allclose(rows[:, 0], expected, rtol=1e-6)
    others = [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]
    assert all(rows[:, 1:, view].tolist() == others for view in range(3))
    assert encoder.groups == [("n", slice(0, 6)), ("c", slice(6, 18)), ("k", slice(18, 18))]
    assert (encoder.layout.n_values, encoder.layout.views) == (18, 3)


def test_each_warning_comes_once_however_many_scalings():
    encoder = TableEncoder(THREE).fit(as_table(pa.table({"n": [1.0, 2.0], "c": ["a", "b"], "k": [3, 3]})))
    later = pa.table({"n": [None, 2.0], "c": ["a", "z"], "k": [3, 4], "new": [0, 0]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.transform(as_table(later))
    assert sorted(str(one.message)[:8] for one in caught) == ["1 column", "column '", "ignored ", "no value"]


def test_scalings_must_be_some():
    with pytest.raises(InputError, match=r"scalings must be one or several of 'quantile'.*; got none"):
        TableEncoder([]).fit([[1.0]])


# -------------------------------------------------------------------------------------------------- bad input


def test_no_row_or_no_column_is_refused():
    with pytest.raises(InputError, match=r"0 sample\(s\)"):
        TableEncoder().fit(as_table(np.empty((0, 3))))
    with pytest.raises(InputError, match=r"0 feature\(s\) \(shape=\(3, 0\)\)"):
        TableEncoder().fit(as_table(np.empty((3, 0))))
    with pytest.raises(InputError, match=r"scalings must be one or several of 'quantile'"):
        TableEncoder("minmax").fit(as_table([[1]]))


def test_no_rows_later_are_no_rows(fitted):
    assert quiet(fitted, mixed().iloc[:0]).shape == (0, fitted.layout.n_values)


@pytest.mark.parametrize("rows", [[[1.0, "a", None]], [[3.0]] * 5, [[None]] * 4, [["same"]] * 4])
def test_one_row_and_tables_without_any_variation_give_one_column_of_zeros(rows):
    encoder = TableEncoder().fit(as_table(rows))
    assert encoder.layout.n_values == 1
    assert quiet(encoder, rows).tolist() == [[0.0]] * len(rows)
    assert any("no column is left that varies" in note for note in encoder.notes)


def test_one_column():
    assert quiet(TableEncoder().fit(as_table([[1.0], [2.0]])), [[1.0], [2.0]]).shape == (2, 1)


def test_constant_and_empty_columns_are_left_out_and_noted():
    table = pa.table({"x": [1.0, 2.0, 3.0], "same": [7, 7, 7], "none": pa.nulls(3), "word": ["a"] * 3})
    encoder = TableEncoder().fit(as_table(table))
    assert dict(encoder.groups) == {
        "x": slice(0, 1),
        "same": slice(1, 1),
        "none": slice(1, 1),
        "word": slice(1, 1),
    }
    assert any("no value at all, left out: 'none'" in note for note in encoder.notes)
    assert any("same value in every row, left out: 'same', 'word'" in note for note in encoder.notes)
    later = pa.table({"x": [1.0], "same": [8], "none": ["text"], "word": ["a"]})
    with pytest.warns(DataWarning, match=r"2 column.* hold others now: 'same', 'none'"):
        encoder.transform(as_table(later))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4_999])
def test_infinity_is_refused_with_its_place(value, row):
    table = pa.table({"a": np.arange(5_000.0), "b": np.arange(5_000.0)})
    broken = np.arange(5_000.0)
    broken[row] = value
    message = f"infinity: column 'b', row {row} "
    encoder = TableEncoder().fit(as_table(table))
    for act in (TableEncoder().fit, encoder.transform):
        with pytest.raises(InputError, match=message):
            act(as_table(table.set_column(1, "b", [broken])))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_largest_and_the_smallest_floats_survive(scaling):
    rows = np.array([[1e308, 2e-310, 1.0], [-1e308, 1e-310, 2.0], [1.0, 3e-310, 1e308], [3.0, 0.0, 3.0]] * 5)
    encoder = TableEncoder(scaling).fit(as_table(rows))
    encoded = quiet(encoder, rows)
    in_units = scaling in ("unscaled", "bounded")
    bound = LARGEST_RAW if in_units else LARGEST_SCALED
    assert np.abs(encoded).max() <= bound * 1.001
    if not in_units:
        assert len(np.unique(encoded[:, 0])) >= 3
        assert len(np.unique(encoded[:, 1])) == 4  # even denormals are told apart
    extreme = quiet(encoder, np.array([[1.7e308, -1.7e308, -1.7e308]]))
    assert np.isfinite(extreme).all()


def test_a_few_huge_values_neither_squash_nor_explode():
    rng = np.random.default_rng(0)
    column = rng.normal(size=1_000)
    column[:100] = 1e12
    encoded = TableEncoder().fit(as_table(column[:, None])).transform(as_table(column[:, None]))
    assert 0.15 < encoded[100:].std() < 0.6
    assert 2 < encoded[0, 0] < 1_000
    nearly = np.zeros((1_000, 1))
    nearly[:3] = [[1e9], [2e9], [3e9]]
    encoded = TableEncoder().fit(as_table(nearly)).transform(as_table(nearly))
    assert (encoded[3:] == 0).all()
    assert (np.diff(encoded[:3, 0]) > 0).all()
    assert encoded.max() < 20


def test_missing_columns_are_named_with_a_guess(fitted):
    frame = mixed().rename(columns={"amount": "amont"}).drop(columns="kind")
    with pytest.raises(InputError, match=r"2 column\(s\) of training are missing: 'amount', 'kind'.*mean 'amont'"):
        fitted.transform(as_table(frame))


def test_columns_are_found_by_name_and_extra_ones_ignored_with_a_warning(fitted):
    np.testing.assert_array_equal(quiet(fitted, mixed()[mixed().columns[::-1]]), quiet(fitted, mixed()))
    with pytest.warns(DataWarning, match=r"ignored 2 column\(s\).*'new', 'newer'"):
        rows = fitted.transform(as_table(mixed().assign(new=1, newer="x")))
    np.testing.assert_array_equal(rows, quiet(fitted, mixed()))


def test_arrays_and_frames_meet_by_position():
    rows = np.random.default_rng(0).normal(size=(9, 2))
    frame = pd.DataFrame(rows, columns=["b", "a"])
    named, bare = TableEncoder().fit(as_table(frame)), TableEncoder().fit(as_table(rows))
    np.testing.assert_array_equal(quiet(named, rows), quiet(bare, frame))
    with pytest.raises(InputError, match="X has 3 features, but the model is expecting 2 features"):
        named.transform(as_table(np.ones((2, 3))))
    with pytest.raises(InputError, match="X has 1 features"):
        bare.transform(as_table(frame[["b"]]))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("amount", ["x"] * 25, "column 'amount' held numbers in training; row 0 .*now holds 'x'"),
        ("amount", pd.to_datetime(["2024-01-01"] * 25), "column 'amount' held numbers.*row 0.*2024-01-01"),
        ("when", list(range(1, 26)), "column 'when' held dates in training; row 0 .*now holds 1"),
        ("when", [None, "soon"] * 20, "column 'when' held dates.*row 1 .*'soon'"),
    ],
)
def test_another_type_is_refused_with_column_row_and_value(fitted, column, values, message):
    with pytest.raises(InputError, match=message):
        fitted.transform(as_table(mixed().iloc[: len(values)].assign(**{column: values})))


def test_single_values_that_are_written_otherwise_count_as_missing(fitted):
    frame = mixed().iloc[1:4].astype({"amount": str})
    gap = frame.assign(amount=[*frame["amount"][:2], None])
    odd = frame.assign(amount=[*frame["amount"][:2], "ERR"])
    with pytest.warns(DataWarning, match=r"'amount' held numbers in training; 1 value.* 'ERR' in row 2"):
        rows = fitted.transform(as_table(odd))
    np.testing.assert_array_equal(rows, quiet(fitted, gap))
    strict = marked(pa.Table.from_pandas(odd, preserve_index=False), Conventions(strict=True))
    with pytest.raises(InputError, match=r"'amount' holds numbers, but row 2 .* holds 'ERR'"):
        fitted.transform(strict)


def test_another_type_that_says_the_same_is_taken(fitted):
    frame = mixed()[8:13].drop(columns=["when"]).assign(when=mixed()["when"][8:13])
    plain = quiet(fitted, frame)
    texts = frame.assign(
        amount=frame["amount"].astype(str), when=frame["when"].astype(str), code=frame["code"].astype(int),
        flag=frame["flag"].map({True: "True", False: "False"}),
    )  # fmt: skip
    np.testing.assert_array_equal(quiet(fitted, texts), plain)
    zoned = frame.assign(when=frame["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo").astype(str))
    np.testing.assert_array_equal(quiet(fitted, zoned), plain)


def test_columns_that_are_all_missing_later_fit_any_type(fitted):
    frame = mixed().iloc[:4].copy()
    for column in frame.columns.difference(["flag", "code"]):
        frame[column] = None
    assert np.isfinite(quiet(fitted, frame)).all()
    frame["when"] = np.full(4, np.nan)
    frame["amount"] = pd.to_datetime([None] * 4)
    assert np.isfinite(quiet(fitted, frame)).all()


def test_booleans_and_dates_find_the_names_they_had_as_text():
    words = TableEncoder().fit(
        as_table(pa.table({"b": ["True", "False", "maybe"], "d": ["2024-01-01", "2024-01-02", "never"]}))
    )
    as_types = pa.table({"b": [True, False], "d": [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]})
    as_words = pa.table({"b": ["True", "False"], "d": ["2024-01-01", "2024-01-02"]})
    np.testing.assert_array_equal(quiet(words, as_types), quiet(words, as_words))


def test_fifty_thousand_columns_are_fast():
    rows = np.random.default_rng(0).random((20, 50_000))
    start = time.process_time()
    encoder = TableEncoder().fit(as_table(rows))
    assert encoder.transform(as_table(rows)).shape == rows.shape
    assert time.process_time() - start < 6  # about 0.7 s on an idle machine


# ------------------------------------------------------------------------------------------- stored and noted


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_stored_encoder_encodes_to_the_same_bits(scaling, restored):
    encoder = TableEncoder(scaling).fit(as_table(mixed()))
    again = restored(encoder)
    np.testing.assert_array_equal(quiet(again, mixed()), quiet(encoder, mixed()))
    assert again.state().meta == encoder.state().meta
    assert (again.groups, again.layout.n_values) == (encoder.groups, encoder.layout.n_values)
    assert (again.notes, again.names, again.named) == (encoder.notes, encoder.names, encoder.named)


def test_notes_tell_what_a_first_look_would():
    n = 40
    frame = pd.DataFrame({
        "gap": [None] * 10 + list(range(30)),
        "row": np.arange(n),
        "key": [f"customer {i}" for i in range(n)],
        "zip": [f"0{i % 5}" for i in range(n)],
        "day": pd.date_range("2024-01-01", periods=n),
    })  # fmt: skip
    notes = TableEncoder().fit(as_table(frame)).notes
    for words in (
        "'gap' 25.0%",
        "running number.*'row'",
        "identifier: 'key'",
        "numbers stored as categories.*'zip'",
        "dates: 'day'",
    ):
        assert any(pd.Series([note]).str.contains(words)[0] for note in notes), (words, notes)
    twice = np.repeat(np.random.default_rng(0).normal(size=(30, 2)), 2, axis=0)
    assert "30 of 60 rows repeat another row exactly (50.0%)" in TableEncoder().fit(as_table(twice)).notes


def test_clean_data_need_no_note():
    assert TableEncoder().fit(as_table(np.random.default_rng(0).normal(size=(50, 3)))).notes == []


def test_an_identifier_may_hold_anything_later():
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(50)], "x": np.arange(50) ** 2})
    encoder = TableEncoder().fit(as_table(frame))
    assert quiet(encoder, frame.assign(key="new")).shape == (50, 1)


def test_polars_and_pandas_streams_need_no_conversion_by_the_user(fitted):
    plain = quiet(fitted, mixed())
    arrow = pa.Table.from_pandas(mixed())
    np.testing.assert_array_equal(quiet(fitted, pl.from_arrow(arrow)), plain)
    np.testing.assert_array_equal(np.vstack([quiet(fitted, b) for b in arrow.to_batches(max_chunksize=7)]), plain)
