import numpy as np
import pytest

from expose.errors import InputError
from expose_lab import PAPER_SEEDS, clean, disjoint, paper, thyroid

RNG = np.random.default_rng(7)
NORMAL, ANOMALOUS = 101, 30
X = RNG.standard_normal((NORMAL + ANOMALOUS, 3)).astype(np.float32)
Y = RNG.permutation(np.repeat([0, 1], [NORMAL, ANOMALOUS]))

SPLITS = [
    lambda X, y, seed: clean(X, y, seed=seed),
    lambda X, y, seed: disjoint(X, y, seed=seed, ratio=0.1),
    lambda X, y, seed: paper(X, y, seed=seed, ratio=0.1),
    lambda X, y, seed: paper(X, y, seed=seed, ratio=0.1, file_order=True),
]


def as_rows(table):
    return {row.tobytes() for row in table}


@pytest.mark.parametrize("split", SPLITS)
def test_every_normal_row_is_used_once_and_types_are_kept(split):
    result = split(X, Y, 0)
    used = np.concatenate([result.train_X[result.train_y == 0], result.test_X[result.test_y == 0]])
    assert len(used) == NORMAL
    assert as_rows(used) == as_rows(X[Y == 0])
    assert result.train_X.dtype == result.test_X.dtype == X.dtype
    assert result.reached_ratio == result.train_y.mean()


@pytest.mark.parametrize("split", SPLITS)
def test_same_seed_same_split_and_nothing_else_is_touched(split):
    before, state = X.copy(), np.random.get_state()[1].copy()
    first, again, other = split(X, Y, 3), split(X, Y, 3), split(X, Y, 4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    if split is not SPLITS[3]:
        assert not np.array_equal(first.train_X, other.train_X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_clean_has_no_anomaly_in_training_and_tests_all_of_them():
    split = clean(X, Y, seed=0)
    assert split.train_y.sum() == 0 == split.reached_ratio
    assert len(split.train_y) == NORMAL // 2
    assert as_rows(split.test_X[split.test_y == 1]) == as_rows(X[Y == 1])


@pytest.mark.parametrize("seed", range(5))
def test_disjoint_tests_no_anomaly_that_was_trained_on(seed):
    split = disjoint(X, Y, seed=seed, ratio=0.15)
    trained, tested = as_rows(split.train_X[split.train_y == 1]), as_rows(split.test_X[split.test_y == 1])
    assert trained.isdisjoint(tested)
    assert trained | tested <= as_rows(X[Y == 1])
    assert len(trained) == round(0.15 / 0.85 * (NORMAL // 2)) == 9
    assert len(tested) == ANOMALOUS // 2


def test_disjoint_has_one_test_set_for_all_ratios():
    for ratio in (0.05, 0.3):
        np.testing.assert_array_equal(
            disjoint(X, Y, seed=1, ratio=0.0).test_X, disjoint(X, Y, seed=1, ratio=ratio).test_X
        )


@pytest.mark.parametrize(
    "capped", [clean, lambda X, y, **k: disjoint(X, y, ratio=0.1, **k), lambda X, y, **k: paper(X, y, ratio=0.1, **k)]
)
def test_row_caps_bound_normal_rows_and_keep_the_share_of_tested_anomalies(capped):
    rows, truth = np.arange(6_600.0)[:, None], np.repeat([0, 1], [6_000, 600])
    full = capped(rows, truth, seed=0)
    split = capped(rows, truth, seed=0, train_rows=90, test_rows=1_500)
    assert (split.train_y == 0).sum() == 90
    assert split.train_y.sum() == (10 if full.train_y.any() else 0)
    assert (split.test_y == 0).sum() == 1_500
    factor = 1_500 / (full.test_y == 0).sum()
    assert split.test_y.sum() == max(100, round(factor * full.test_y.sum()))
    assert set(split.test_X[split.test_y == 1, 0]) <= set(full.test_X[full.test_y == 1, 0])
    assert capped(rows, truth, seed=0, train_rows=90, test_rows=15).test_y.sum() == 100
    for a, b in zip(full, capped(rows, truth, seed=0, train_rows=9_000, test_rows=9_000), strict=True):
        np.testing.assert_array_equal(a, b)


def test_disjoint_says_what_share_it_reached_when_anomalies_run_out():
    table = thyroid()
    split = disjoint(table.X, table.y, seed=0, ratio=0.1)
    assert split.train_y.sum() == 46  # half of 93; 204 were wanted
    assert split.test_y.sum() == 47
    assert split.reached_ratio == pytest.approx(46 / (46 + 3679 // 2))
    assert disjoint(table.X, table.y, seed=0, ratio=0.1, most=0.9).train_y.sum() == 83


def test_zero_ratio_is_clean():
    for split_by, split in (
        ("disjoint", disjoint(X, Y, seed=0, ratio=0.0)),
        ("paper", paper(X, Y, seed=0, ratio=0.0)),
    ):
        assert split.reached_ratio == 0.0
        assert split.test_y.sum() == (ANOMALOUS // 2 if split_by == "disjoint" else ANOMALOUS)


@pytest.mark.parametrize("seed", PAPER_SEEDS)
def test_paper_counts_on_thyroid(seed):
    table = thyroid()
    split = paper(table.X, table.y, seed=seed, ratio=0.1, file_order=True)
    normal = table.X[table.y == 0]
    np.testing.assert_array_equal(split.train_X[split.train_y == 0], normal[:1839])
    assert split.train_y.sum() == 204
    assert split.test_y.sum() == 93
    assert len(split.test_y) == 1840 + 93


def test_paper_noise_has_the_spread_of_the_anomalies():
    wide = np.concatenate([np.zeros((40_000, 2)), np.tile([[1.0, 100.0], [3.0, 500.0]], (2_000, 1))])
    truth = np.repeat([0, 1], [40_000, 4_000])
    split = paper(wide, truth, seed=0, ratio=0.1)
    drawn = split.train_X[split.train_y == 1]
    np.testing.assert_allclose(drawn.mean(0), [2.0, 300.0], rtol=0.05)
    # anomalies spread by 1 and 200; the added noise is as wide, so variances double
    np.testing.assert_allclose(drawn.var(0), [2.0, 80_000.0], rtol=0.1)


def test_paper_draws_without_replacement_while_there_are_enough():
    rows = np.concatenate([np.zeros((180, 1)), np.arange(1.0, 11.0)[:, None]])
    truth = np.repeat([0, 1], [180, 10])
    still = rows.copy()
    still[180:] = 5.0  # no spread, no noise
    assert paper(still, truth, seed=0, ratio=0.1).train_y.sum() == int(0.1 / 0.9 * 91) == 10
    np.testing.assert_array_equal(paper(still, truth, seed=0, ratio=0.1).train_X[91:], 5.0)
    many = paper(still, truth, seed=0, ratio=0.3)
    assert many.train_y.sum() == int(0.3 / 0.7 * 91)  # more than the 10 there are


def test_useless_arguments_are_named():
    with pytest.raises(InputError, match="shape"):
        clean(X[:, 0], Y, seed=0)
    with pytest.raises(InputError, match="shape"):
        clean(X, Y[:-1], seed=0)
    with pytest.raises(InputError, match=r"0 \(normal\) and 1"):
        clean(X, Y - 1, seed=0)
    with pytest.raises(InputError, match="at least 2 normal rows and 1 anomaly"):
        clean(X, np.zeros(len(X)), seed=0)
    for ratio in (-0.1, 0.5, np.nan):
        for protocol in (disjoint, paper):
            with pytest.raises(InputError, match="ratio must be"):
                protocol(X, Y, seed=0, ratio=ratio)
    with pytest.raises(InputError, match="most must be"):
        disjoint(X, Y, seed=0, ratio=0.1, most=1.0)
