"""Scores to decisions, by hand and as laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expose.decide import Combination, score_threshold


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60, unique=True), st.floats(0, 0.999))
def test_the_threshold_flags_the_share_exactly_where_scores_differ(scores, share):
    array = np.array(scores)
    flagged = int((array > score_threshold(array, share)).sum())
    assert flagged == min(len(array) - 1, int(share * len(array) + 0.5))


def test_ties_flag_fewer_never_more():
    assert (np.ones(10) > score_threshold(np.ones(10), 0.3)).sum() == 0


def test_one_member_keeps_its_own_scores():
    scores = np.array([[3.0, 1.0, 2.0]])
    assert Combination.of(scores).combine(scores).tolist() == [3.0, 1.0, 2.0]


def test_a_member_on_another_scale_or_gone_astray_does_not_decide():
    good = np.arange(9.0)
    training = np.stack([good, 1000 * good + 5, good[::-1]])
    combined = Combination.of(training).combine(training)
    assert np.array_equal(np.argsort(combined), np.arange(9))


def test_members_that_are_all_constant_give_constant_scores():
    training = np.ones((3, 5))
    assert np.ptp(Combination.of(training).combine(training)) == pytest.approx(0)


def test_a_collapsed_member_is_left_out_of_the_score():
    training = np.array([[1.0, 2, 3, 4, 5], [7.0, 7, 7, 7, 7], [10.0, 20, 30, 40, 50]])
    combination = Combination.of(training)
    assert len(combination.standardise(training)) == 2
    np.testing.assert_allclose(combination.combine(training), combination.standardise(training)[0])
