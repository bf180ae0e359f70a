import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, rankdata

from expose.errors import InputError
from expose_lab import (
    cliques,
    critical_difference,
    friedman,
    holm,
    mean_ranks,
    wilcoxon_pairs,
    win_tie_loss,
)
from expose_lab.statistics import signed_rank

# AUC of C4.5 and three variants of it on 14 data sets: table 6 of Demsar 2006.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
MATRICES = st.tuples(st.integers(2, 8), st.integers(2, 5)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 4).map(float), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


def test_ranks_by_hand():
    # first row: 0.9 is best, the two at 0.5 share places 3 and 4; second row: all alike share 2.5
    matrix = [[0.5, 0.9, 0.7, 0.5], [0.2, 0.2, 0.2, 0.2]]
    assert mean_ranks(matrix).tolist() == [3.0, 1.75, 2.25, 3.0]


def test_the_example_of_demsar():
    assert mean_ranks(DEMSAR).round(3).tolist() == [3.143, 2.0, 2.893, 1.964]  # as printed below his table
    found = friedman(DEMSAR)
    # He finds 9.28 and 3.69 without a correction for ties; with it both are a little larger.
    ranks = mean_ranks(DEMSAR)
    without = 12 * 14 / (4 * 5) * (np.sum(ranks**2) - 4 * 25 / 4)
    assert round(without, 2) == 9.28
    assert without < found.chi_square < 11
    assert 3.69 < found.f < 4.5
    assert found.p_f < 0.03  # between his critical values for 0.05 and 0.01


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_values_are_those_of_his_table_5(k, q):
    for n in (2, 14, 30):
        assert critical_difference(k, n) == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * n)), rel=5e-4)


def test_critical_value_at_another_level():
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(2.291 * math.sqrt(20 / 84), rel=5e-4)


def test_friedman_is_that_of_scipy_and_knows_the_extremes():
    matrix = np.random.default_rng(0).normal(size=(9, 4))
    expected = friedmanchisquare(*matrix.T)
    assert friedman(matrix)[:2] == pytest.approx((expected.statistic, expected.pvalue))
    assert friedman(np.ones((5, 3))) == (0.0, 1.0, 0.0, 1.0)
    always = friedman(np.tile([3.0, 2.0, 1.0], (5, 1)))
    assert (always.chi_square, always.f, always.p_f) == (10.0, math.inf, 0.0)


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04, 0.2 times 5, 4, 3, 2, 1; 2 * 0.04 < 3 * 0.03, so 0.09 stands twice
    assert holm([0.04, 0.01, 0.2, 0.005, 0.03]).round(6).tolist() == [0.09, 0.04, 0.2, 0.025, 0.09]
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_signed_ranks_by_hand():
    # |differences| 1, 2, 3, 4; only the 1 is negative: W = 1, and 2 of the 16 signs give at most that, on either side
    assert signed_rank([-1.0, 2.0, 3.0, 4.0]) == 4 / 16
    # ranks 1.5, 1.5, 3 shared; sums 3 (of the negative) to 3: 1.5+1.5 against 3 is as even as can be
    assert signed_rank([1.0, 1.0, -2.0]) == 1.0
    assert signed_rank(np.zeros(7)) == 1.0


@settings(deadline=None)
@given(st.lists(st.integers(-30, 30).filter(bool), min_size=1, max_size=8, unique_by=abs), st.integers(0, 3))
def test_without_ties_it_counts_all_signs_and_zeros_are_left_out(differences, zeros):
    ranks = rankdata(np.abs(differences))
    observed = abs(np.sum(np.sign(differences) * ranks))
    sums = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    exact = np.mean(np.array(sums) >= observed - 1e-9)
    assert signed_rank([*differences, *[0] * zeros]) == pytest.approx(exact)


def test_pairs_are_symmetric_and_corrected_over_all_of_them():
    pairs = wilcoxon_pairs(DEMSAR)
    above = np.triu_indices(4, 1)
    assert np.array_equal(pairs.p, pairs.p.T)
    assert np.array_equal(pairs.adjusted, pairs.adjusted.T)
    assert np.diag(pairs.p).tolist() == np.diag(pairs.adjusted).tolist() == [1.0] * 4
    assert pairs.adjusted[above].tolist() == holm(pairs.p[above]).tolist()
    assert pairs.p[0, 1] == signed_rank(DEMSAR[:, 0] - DEMSAR[:, 1])


def test_a_difference_as_large_as_the_margin_is_a_tie():
    counts = win_tie_loss([[0.71, 0.70], [0.72, 0.70], [0.70, 0.70], [0.70, 0.75]], tie=0.01)
    assert counts[0, 1].tolist() == [1, 2, 1]
    assert counts[1, 0].tolist() == [1, 2, 1]
    assert win_tie_loss([[0.71, 0.70], [0.70, 0.70]], tie=0)[0, 1].tolist() == [1, 1, 0]


@settings(deadline=None)
@given(MATRICES)
def test_laws(rows):
    matrix = np.array(rows)
    n, k = matrix.shape
    assert mean_ranks(matrix).mean() == pytest.approx((k + 1) / 2)
    assert mean_ranks(matrix) + mean_ranks(-matrix) == pytest.approx(np.full(k, k + 1))
    counts = win_tie_loss(matrix, tie=0)
    assert np.all(counts.sum(-1) == n)
    assert np.array_equal(counts[..., 0], counts[..., 2].T)
    pairs = wilcoxon_pairs(matrix)
    assert np.all((pairs.p <= pairs.adjusted) & (pairs.adjusted <= 1))


def test_groups_of_a_diagram_by_hand():
    ranks = np.array([4.0, 1.0, 1.5, 2.2, 6.0])
    apart = np.abs(ranks[:, None] - ranks) > 1
    assert cliques(ranks, apart) == [(1, 2), (2, 3)]  # 4.0 and 6.0 stand alone
    assert cliques(ranks, np.zeros((5, 5))) == [(1, 2, 3, 0, 4)]
    assert cliques(ranks, ~np.eye(5, dtype=bool)) == []


def test_a_group_holds_no_pair_that_differs_although_neighbours_do_not():
    apart = np.zeros((4, 4), dtype=bool)
    apart[0, 2] = apart[2, 0] = True  # as p-values may have it: the first and the last do not differ
    groups = cliques([1.0, 2.0, 3.0, 4.0], apart)
    assert groups == [(0, 1), (1, 2, 3)]
    assert not any(apart[i, j] for group in groups for i, j in itertools.combinations(group, 2))


@pytest.mark.parametrize(
    "function",
    [mean_ranks, friedman, wilcoxon_pairs, lambda matrix: win_tie_loss(matrix, tie=0)],
    ids=["ranks", "friedman", "pairs", "wins"],
)
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0], [2.0]], "contenders; got shape \\(2, 1\\)"),
        ([1.0, 2.0, 3.0], "Expected a matrix"),
        ([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]], "row 0, column 1 is nan"),
        ([[1.0, 2.0, 3.0], [1.0, 2.0, np.inf]], "row 1, column 2 is inf"),
    ],
)
def test_what_cannot_be_compared_is_refused(function, matrix, message):
    with pytest.raises(InputError, match=message):
        function(matrix)


@pytest.mark.parametrize(
    "call",
    [
        lambda: friedman([[1.0, 2.0, 3.0]]),  # one set
        lambda: wilcoxon_pairs([[1.0, 2.0, 3.0]]),
        lambda: friedman([[1.0, 2.0], [1.0, 2.0]]),  # two contenders
        lambda: critical_difference(1, 10),
        lambda: critical_difference(4, 1),
        lambda: critical_difference(4, 10, alpha=0),
        lambda: win_tie_loss([[1.0, 2.0]], tie=-0.1),
        lambda: holm([0.5, 1.5]),
        lambda: holm([np.nan]),
        lambda: signed_rank([]),
        lambda: signed_rank([1.0, np.nan]),
        lambda: cliques([1.0, 2.0], np.zeros((3, 3))),
    ],
)
def test_too_little_or_out_of_range_is_refused(call):
    with pytest.raises(InputError):
        call()
