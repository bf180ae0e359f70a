import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from expose.errors import InputError
from expose_lab import (
    auroc,
    average_precision,
    base_rate,
    f1_at_ratio,
    f1_flagged,
    fnr_at_tnr,
    fpr_at_tpr,
    fpr_flagged,
    precision_at_k,
)

EVERY = [auroc, average_precision, f1_at_ratio, fpr_at_tpr, fnr_at_tnr, lambda y, s: precision_at_k(y, s, 1)]


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw truth with both classes, and scores from few values, so that ties are the rule."""
    n = draw(st.integers(2, 40))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    y[0], y[1] = 0, 1
    values = st.sampled_from([-1e200, -2.0, 0.0, 5e-324, 0.1, 0.3, 1.0, 1e200])
    return y, np.array(draw(st.lists(values, min_size=n, max_size=n)))


@given(rankings())
def test_areas_equal_scikit_learn_under_ties(ranking):
    y, scores = ranking
    assert auroc(y, scores) == pytest.approx(roc_auc_score(y, scores))
    assert average_precision(y, scores) == pytest.approx(average_precision_score(y, scores))


@given(rankings(), st.sampled_from([0.3, 0.5, 0.9, 0.95, 1.0]))
def test_fpr_at_tpr_equals_the_roc_curve(ranking, tpr):
    y, scores = ranking
    fprs, tprs, _ = roc_curve(y, scores, drop_intermediate=False)
    assert fpr_at_tpr(y, scores, tpr) == pytest.approx(fprs[np.argmax(tprs >= tpr - 1e-9)])


@given(rankings(), st.sampled_from([0.3, 0.5, 0.9, 0.95, 1.0]))
def test_fnr_at_tnr_equals_the_roc_curve_from_its_other_end(ranking, tnr):
    y, scores = ranking
    fprs, tprs, _ = roc_curve(y, scores, drop_intermediate=False)
    assert fnr_at_tnr(y, scores, tnr) == pytest.approx(1 - tprs[fprs <= 1 - tnr + 1e-9].max())


@given(rankings(), st.sampled_from([0.3, 0.9, 0.95, 1.0]))
def test_the_two_directions_are_each_other_with_the_classes_swapped(ranking, share):
    y, scores = ranking
    assert fnr_at_tnr(y, scores, share) == fpr_at_tpr(1 - y, -scores, share)


def test_the_two_directions_are_different_numbers():
    y = [0] * 20 + [1] * 20
    scores = np.concatenate([np.arange(20.0), np.arange(20.0) + 10])
    scores[20] = 0.5  # one anomaly among twenty that looks normal
    assert fpr_at_tpr(y, scores, 0.95) == 0.45  # down to 11: nine normal rows are there or above
    assert fnr_at_tnr(y, scores, 0.95) == 0.45  # up to 18: nine anomalies, of which one is the odd one
    scores[21] = 0.5
    assert fpr_at_tpr(y, scores, 0.95) == 0.95
    assert fnr_at_tnr(y, scores, 0.95) == 0.45


def test_fnr_at_tnr_keeps_a_tie_together():
    y, scores = [0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 9, 1, 1, 2, 9]
    assert fnr_at_tnr(y, scores, 0.5) == 0.5  # the cut is at 1, which two anomalies share
    assert fnr_at_tnr(y, scores, 0.75) == 0.5
    assert fnr_at_tnr(y, scores, 0.76) == 1.0
    assert fnr_at_tnr(y, np.zeros(8)) == 1.0
    assert fnr_at_tnr([0] * 20 + [1], [*range(20), 18.5], 0.95) == 0.0  # up to the nineteenth
    assert 0.55 * 100 > 55  # as floats
    assert fnr_at_tnr([0] * 100 + [1], [*range(100), 54.5], 0.55) == 0.0  # up to the fifty-fifth, despite rounding


def test_f1_equals_scikit_learn_at_the_percentile_of_the_true_share():
    rng = np.random.default_rng(0)
    y = (rng.random(500) < 0.1).astype(int)
    scores = rng.standard_normal(500) + y
    flagged = scores > np.percentile(scores, 100 * (1 - y.mean()))
    assert f1_at_ratio(y, scores) == pytest.approx(f1_score(y, flagged))
    assert flagged.sum() == y.sum()


@given(rankings(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_never_matters(ranking, random):
    y, scores = ranking
    order = np.array(random.sample(range(len(y)), len(y)))
    for metric in EVERY:
        assert metric(y, scores) == pytest.approx(metric(y[order], scores[order]))


def test_f1_leaves_out_a_tie_that_lies_across_the_cut():
    y = [0, 0, 0, 1, 1]
    assert f1_at_ratio(y, [0, 0, 1, 1, 2]) == pytest.approx(2 * 1 / (1 + 2))  # only the 2 is flagged
    assert f1_at_ratio(y, [0, 0, 1, 2, 2]) == 1.0  # a tie above the cut is flagged as a whole
    assert f1_at_ratio(y, [3, 3, 3, 3, 3]) == 0.0


def test_f1_at_a_given_ratio_flags_that_many_rows():
    y = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    scores = np.arange(10)
    assert f1_at_ratio(y, scores, ratio=0.1) == pytest.approx(2 * 1 / (1 + 3))
    assert f1_at_ratio(y, scores, ratio=0.6) == pytest.approx(2 * 3 / (6 + 3))


def test_precision_at_k_shares_a_tie_fairly():
    y = [1, 0, 1, 0, 0]
    scores = [9, 5, 5, 5, 1]
    assert precision_at_k(y, scores, 1) == 1.0
    assert precision_at_k(y, scores, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert precision_at_k(y, scores, 4) == 0.5
    assert precision_at_k(y, scores, 5) == pytest.approx(base_rate(y))


def test_fpr_at_tpr_catches_nineteen_of_twenty_anomalies_not_all():
    y = [0] * 10 + [1] * 20
    scores = np.concatenate([np.arange(10), [-1], np.full(19, 8.5)])
    assert fpr_at_tpr(y, scores, 0.95) == pytest.approx(0.1)
    assert fpr_at_tpr(y, scores, 0.96) == 1.0
    assert fpr_at_tpr(y, np.zeros(30)) == 1.0


def test_extremes():
    y = np.array([0, 0, 0, 1])
    assert [metric(y, [0, 1, 2, 3]) for metric in EVERY] == [1, 1, 1, 0, 0, 1]
    assert auroc(y, [3, 2, 1, 0]) == 0.0
    assert auroc(y, np.ones(4)) == 0.5
    assert average_precision(y, np.ones(4)) == base_rate(y) == 0.25


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        ([0, 1], [1.0], "same length"),
        ([0, 1], [np.nan, 1.0], "row 0"),
        ([0, 1, 1], [0.0, 1.0, np.inf], "row 2"),
        ([1, 1], [0.0, 1.0], "one class"),
        ([0, 0], [0.0, 1.0], "one class"),
        ([0, 2], [0.0, 1.0], "0 .normal. and 1"),
        ([0, -1], [0.0, 1.0], "known label"),
        ([], [], "non-empty"),
        ([[0, 1]], [[0.0, 1.0]], "one per row"),
    ],
)
def test_useless_input_is_named(metric, y, scores, message):
    with pytest.raises(InputError, match=message):
        metric(y, scores)


def test_parameters_out_of_range_are_named():
    y, scores = [0, 1], [0.0, 1.0]
    for k in (0, 3):
        with pytest.raises(InputError, match="between 1 and the number of rows, 2"):
            precision_at_k(y, scores, k)
    for share in (0.0, 1.1, np.nan):
        with pytest.raises(InputError, match="tpr must be"):
            fpr_at_tpr(y, scores, share)
        with pytest.raises(InputError, match="tnr must be"):
            fnr_at_tnr(y, scores, share)
        with pytest.raises(InputError, match="ratio must be"):
            f1_at_ratio(y, scores, share)
    with pytest.raises(InputError, match="flags 0 of them"):
        f1_at_ratio(y, scores, 0.01)


def test_the_largest_and_the_smallest_floats_are_told_apart():
    with np.errstate(all="raise"):
        assert auroc([0, 1, 0, 1], [-1.7e308, 1.7e308, 0.0, 5e-324]) == 1.0


def test_decisions_are_judged_by_hand():
    y, flagged = [0, 0, 0, 0, 1, 1], np.array([True, False, False, False, True, False])
    assert f1_flagged(y, flagged) == 2 * 1 / (2 + 2)
    assert fpr_flagged(y, flagged) == 0.25
    assert f1_flagged(y, np.zeros(6, dtype=bool)) == 0.0
    with pytest.raises(InputError, match="one bool per row"):
        f1_flagged(y, np.array([1, -1, 1, 1, 1, 1]))
    with pytest.raises(InputError, match="one bool per row"):
        fpr_flagged(y, flagged[:-1])
    with pytest.raises(InputError, match="anomalies only"):
        fpr_flagged([1, 1], np.array([True, True]))
