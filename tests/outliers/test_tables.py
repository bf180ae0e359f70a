import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from expose.errors import InputError
from expose.outliers import TABLE_MAKERS, extrapolate_rows, shuffle_columns, uniform_box


def mixed_frame(n=60):
    rng = np.random.default_rng(0)
    kinds = np.array(["a", "b", "c"])[rng.integers(3, size=n)]
    return pd.DataFrame(
        {
            "amount": rng.normal(size=n).astype(np.float32),
            "items": rng.integers(1, 30, size=n),
            "kind": kinds,
            "flag": rng.random(n) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(90, size=n), unit="D"),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
        },
        index=np.arange(n) * 7,
    )


def gaps_to(made, rows):
    return np.sqrt(((made[:, None] - rows[None]) ** 2).sum(-1)).min(1)


@pytest.mark.parametrize("maker", TABLE_MAKERS.values(), ids=TABLE_MAKERS)
@pytest.mark.parametrize(
    "convert", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
def test_a_frame_stays_a_frame_of_the_same_columns_and_types(maker, convert):
    frame = mixed_frame()
    given = convert(frame.reset_index(drop=True) if convert is not frame else frame)
    made = maker(given, 150, random_state=0)
    assert type(made) is type(given)
    assert made.shape == (150, frame.shape[1])
    if isinstance(given, pa.Table):
        assert made.schema.names == given.schema.names
        assert made.schema.types == given.schema.types
    else:
        assert list(made.columns) == list(given.columns)
        assert list(made.dtypes) == list(given.dtypes)


@pytest.mark.parametrize("maker", TABLE_MAKERS.values(), ids=TABLE_MAKERS)
def test_a_frame_whose_index_is_not_0_1_2_is_not_mixed_up(maker):
    made = maker(mixed_frame(), 30, random_state=0)
    assert made.drop(columns="gaps").notna().all().all()
    assert list(made.index) == list(range(30))


@pytest.mark.parametrize("maker", TABLE_MAKERS.values(), ids=TABLE_MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_an_array_stays_an_array_of_its_type_and_is_not_changed(maker, dtype):
    X = (np.random.default_rng(1).normal(size=(80, 3)) * 50).astype(dtype)
    before = X.copy()
    first, second = maker(X, 100, random_state=3), maker(X, 100, random_state=3)
    assert first.dtype == dtype
    assert first.shape == (100, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(X, before)
    assert not np.array_equal(first, maker(X, 100, random_state=4))


@pytest.mark.parametrize("maker", TABLE_MAKERS.values(), ids=TABLE_MAKERS)
def test_the_global_random_state_is_left_alone(maker):
    before = np.random.get_state()[1].copy()
    maker(np.random.default_rng(1).normal(size=(30, 3)), random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# ----------------------------------------------------------------------------------------- shuffle_columns


@pytest.mark.parametrize("columns", [None, 1, 2, 4])
@pytest.mark.parametrize("passes", [1, 3])
def test_every_column_keeps_exactly_its_values(columns, passes):
    X = np.random.default_rng(0).normal(size=(41, 4))
    made = shuffle_columns(X, passes * 41, columns=columns, random_state=0)
    for j in range(4):
        np.testing.assert_array_equal(np.sort(made[:, j]), np.sort(np.tile(X[:, j], passes)))


def test_dependence_goes_and_no_row_stays():
    x = np.random.default_rng(0).normal(size=2000)
    X = np.column_stack([x, x, -x])
    made = shuffle_columns(X, random_state=0)
    assert np.abs(np.corrcoef(made.T)[np.triu_indices(3, 1)]).max() < 0.1
    assert not (made[:, 0] == made[:, 1]).any()


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_so_many_columns_of_each_row_come_from_elsewhere(columns):
    X = np.repeat(np.arange(500)[:, None], 6, axis=1)
    made = shuffle_columns(X, columns=columns, random_state=0)
    own = np.array([np.bincount(row).max() for row in made])
    assert (own >= 6 - columns - 1).all()
    assert (own == 6 - columns).mean() > 0.95  # two exchanged values can come from the same row
    assert not (own == 6).any()


@pytest.mark.parametrize("n", [2, 3, 5])
def test_even_of_few_rows_none_comes_back_whole(n):
    X = np.repeat(np.arange(n)[:, None], 4, axis=1)
    for seed in range(30):
        made = shuffle_columns(X, columns=1, random_state=seed)
        assert (made != made[:, :1]).any(1).all()
        np.testing.assert_array_equal(np.sort(made, axis=0), X)


def test_what_cannot_be_shuffled_is_said():
    with pytest.raises(InputError, match="two rows and two columns; got 5 and 1"):
        shuffle_columns(np.zeros((5, 1)))
    with pytest.raises(InputError, match=r"between 1 and the 3 columns of X, or None; got 4"):
        shuffle_columns(np.zeros((5, 3)), columns=4)
    with pytest.raises(InputError, match="at least 1; got 0"):
        shuffle_columns(np.zeros((5, 3)), 0)


# --------------------------------------------------------------------------------------------- uniform_box


def test_the_box_is_that_of_the_columns_and_filled():
    X = np.random.default_rng(0).normal(size=(300, 2)) * [1, 100]
    made = uniform_box(X, 20_000, widen=0.25, random_state=0)
    low, high = X.min(0), X.max(0)
    for edge, reached in ((low - 0.25 * (high - low), made.min(0)), (high + 0.25 * (high - low), made.max(0))):
        np.testing.assert_allclose(edge, reached, atol=0.01 * (high - low).max())
    np.testing.assert_allclose(made.mean(0), (low + high) / 2, atol=0.02 * (high - low).max())


def test_box_categories_are_as_frequent_as_each_other_and_gaps_stay_as_frequent():
    frame = pd.DataFrame({"kind": ["a"] * 95 + ["b"] * 5, "x": [np.nan] * 30 + list(np.linspace(0, 1, 70))})
    made = uniform_box(frame, 4000, random_state=0)
    assert abs((made["kind"] == "b").mean() - 0.5) < 0.05
    assert abs(made["x"].isna().mean() - 0.3) < 0.01


def test_whole_numbers_stay_whole_and_inside_their_type():
    X = np.array([[0, 0.0], [255, 3.0]])
    assert (uniform_box(X, 500, random_state=0) % 1 == 0).all()
    narrow = uniform_box(X[:, :1].astype(np.uint8), 500, widen=1, random_state=0)
    assert {0, 255} <= set(narrow.ravel().tolist())
    wide = np.array([[0], [2**63 - 1]])
    assert (uniform_box(wide, 500, random_state=0) >= -(2**62)).all()  # none turned over


def test_box_nullable_integers_keep_their_gaps():
    frame = pd.DataFrame({"x": pd.array([1, None, 9, 4], dtype="Int64")})
    made = uniform_box(frame, 40, random_state=0)
    assert made["x"].dtype == "Int64"
    assert made["x"].isna().sum() == 10


# ---------------------------------------------------------------------------------------- extrapolate_rows


@pytest.mark.parametrize("away_from", ["neighbours", "centre"])
@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_no_row_of_the_data_is_nearer_than_the_margin(away_from, margin):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + 8])
    made = extrapolate_rows(X, 300, away_from=away_from, margin=margin, random_state=0)
    scaled = X / X.std(0)
    distances = np.sort(np.sqrt(((scaled[:, None] - scaled[None]) ** 2).sum(-1)), axis=1)[:, 1]
    least = margin * np.quantile(distances, 0.95)
    reached = gaps_to(made / X.std(0), scaled)
    assert reached.min() >= least * (1 - 1e-9)
    assert np.median(reached) < 4 * least  # beyond, but not far beyond


def test_away_from_neighbours_fills_the_gap_between_clusters_and_away_from_the_centre_does_not():
    rng = np.random.default_rng(0)
    ring = rng.uniform(0, 2 * np.pi, 600)
    X = np.column_stack([np.cos(ring), np.sin(ring)]) * 5 + rng.normal(size=(600, 2)) * 0.1
    inside = {
        way: (np.linalg.norm(extrapolate_rows(X, 600, away_from=way, random_state=0), axis=1) < 4.7).mean()
        for way in ("neighbours", "centre")
    }
    assert inside["neighbours"] > 0.2
    assert inside["centre"] < 0.02


def test_columns_that_cannot_move_keep_the_values_of_their_row():
    frame = mixed_frame().assign(twin=lambda f: f["amount"] > 0)
    made = extrapolate_rows(frame[["amount", "kind", "flag", "items"]], 50, random_state=0)
    assert (made["items"] % 1 == 0).all()
    known = set(zip(frame["kind"], frame["flag"], strict=True))
    assert set(zip(made["kind"], made["flag"], strict=True)) <= known
    assert not set(made["amount"]) & set(frame["amount"])


def test_many_equal_rows_and_missing_values_do_no_harm():
    X = np.repeat([[0.0, 1.0], [2.0, np.nan], [3.0, 5.0], [3.5, 7.0]], 20, axis=0)
    made = extrapolate_rows(X, 80, random_state=0)
    assert np.isnan(made[:, 1]).sum() == 20
    assert np.isfinite(made[:, 0]).all()


def test_a_type_that_ends_before_the_margin_is_said():
    X = np.arange(256, dtype=np.uint8)[:, None]
    with pytest.raises(InputError, match="within the integer type"):
        extrapolate_rows(X, 10, random_state=0)


def test_nothing_to_move_is_said():
    with pytest.raises(InputError, match="use shuffle_columns"):
        extrapolate_rows([["a", "b"], ["c", "d"]])
    with pytest.raises(InputError, match="'neighbours' or 'centre'; got 'mean'"):
        extrapolate_rows(np.eye(3), away_from="mean")
    with pytest.raises(InputError, match="margin must be above 0"):
        extrapolate_rows(np.eye(3), margin=0)


def test_infinite_numbers_are_said():
    with pytest.raises(InputError, match="infinite"):
        uniform_box(np.array([[1.0], [np.inf]]))
