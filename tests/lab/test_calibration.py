import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from expose.decide import fit_temperature, reliability, rms_calibration_error
from expose.errors import CalibrationWarning, InputError
from expose_lab import mad_calibration_error, rescaled, soft_f1, softmax_confidence


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw predictions, with confidences from few values, so that ties are the rule and bins cut through them."""
    n = draw(st.integers(1, 60))
    correct = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    values = st.sampled_from([0.0, 1e-12, 0.1, 0.25, 0.5, 0.9, 1.0])
    return np.array(correct), np.array(draw(st.lists(values, min_size=n, max_size=n)))


def drawn_logits(n=4000, k=4, seed=0):
    """Logits whose softmax is the truth, and classes drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 2
    return logits, (logits + rng.gumbel(size=(n, k))).argmax(1)


def likelihood(logits, y, temperature):
    scaled = logits / temperature
    return float(np.mean(scaled[np.arange(len(y)), y] - np.log(np.exp(scaled).sum(1))))


def test_bins_by_hand_with_a_last_bin_that_is_smaller():
    confidence = np.array([0.9, 0.2, 0.4, 0.6, 0.8])
    bins = reliability([False, False, True, True, True], confidence, rows_per_bin=2)
    np.testing.assert_allclose(bins.confidence, [0.3, 0.7, 0.9])
    np.testing.assert_allclose(bins.accuracy, [0.5, 1.0, 0.0])
    assert bins.rows.tolist() == [2, 2, 1]
    gaps = np.array([0.2, 0.3, -0.9])
    expected = np.sqrt((2 * gaps[0] ** 2 + 2 * gaps[1] ** 2 + gaps[2] ** 2) / 5)
    right = [False, False, True, True, True]
    assert rms_calibration_error(right, confidence, rows_per_bin=2) == pytest.approx(expected)
    assert mad_calibration_error(right, confidence, rows_per_bin=2) == pytest.approx((2 * 0.2 + 2 * 0.3 + 0.9) / 5)


@pytest.mark.parametrize("n", [1, 99, 100, 101, 150, 199, 200])
def test_any_number_of_rows_is_defined_and_the_most_confident_count(n):
    confidence = np.linspace(0.5, 1, n)
    assert reliability(np.ones(n, bool), confidence).rows.sum() == n
    gaps = [1 - confidence[first : first + 100].mean() for first in range(0, n, 100)]
    weights = [len(confidence[first : first + 100]) for first in range(0, n, 100)]
    assert mad_calibration_error(np.ones(n, bool), confidence) == pytest.approx(np.average(gaps, weights=weights))
    wrong_on_top = np.arange(n) < n - 1
    assert rms_calibration_error(wrong_on_top, confidence) > 0


@given(predictions(), st.integers(1, 70), st.randoms(use_true_random=False))
def test_laws_of_calibration(found, rows_per_bin, random):
    correct, confidence = found
    order = np.array(random.sample(range(len(correct)), len(correct)))
    bins = reliability(correct, confidence, rows_per_bin=rows_per_bin)
    assert bins.rows.sum() == len(correct)
    assert (bins.rows[:-1] == rows_per_bin).all()
    assert (np.diff(bins.confidence) >= -1e-12).all()
    assert bins.rows @ bins.accuracy == pytest.approx(correct.sum())
    assert bins.rows @ bins.confidence == pytest.approx(confidence.sum())
    rms = rms_calibration_error(correct, confidence, rows_per_bin=rows_per_bin)
    mad = mad_calibration_error(correct, confidence, rows_per_bin=rows_per_bin)
    assert abs(correct.mean() - confidence.mean()) - 1e-9 <= mad <= rms + 1e-9
    assert rms <= 1
    for metric in (rms_calibration_error, mad_calibration_error):
        same = metric(correct[order], confidence[order], rows_per_bin=rows_per_bin)
        assert same == pytest.approx(metric(correct, confidence, rows_per_bin=rows_per_bin))
    assert soft_f1(correct[order], confidence[order]) == pytest.approx(soft_f1(correct, confidence))
    assert 0 <= soft_f1(correct, confidence) <= 1


def test_bins_without_ties_equal_those_of_plain_slices():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(1234), rng.random(1234) < 0.7
    order = np.argsort(confidence)
    slices = [order[first : first + 100] for first in range(0, 1234, 100)]
    plain = np.sqrt(sum(len(s) * (correct[s].mean() - confidence[s].mean()) ** 2 for s in slices) / 1234)
    assert rms_calibration_error(correct, confidence) == pytest.approx(plain)


def test_perfect_calibration_is_nearly_zero_and_overconfidence_is_its_size():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.9, 100_000)
    correct = rng.random(100_000) < truth
    assert rms_calibration_error(correct, truth, rows_per_bin=5000) < 0.015
    assert rms_calibration_error(correct, truth + 0.1, rows_per_bin=5000) == pytest.approx(0.1, abs=0.01)
    assert mad_calibration_error(correct, truth + 0.1, rows_per_bin=5000) == pytest.approx(0.1, abs=0.01)
    assert 0.03 < rms_calibration_error(correct, truth) < 0.06  # what bins of 100 rows cost by chance


def test_soft_f1_is_f1_where_confidence_is_all_or_nothing():
    correct = np.array([True, True, False, False, False])
    flagged = np.array([True, False, True, True, False])
    assert soft_f1(correct, 1.0 - flagged) == pytest.approx(2 * 2 / (3 + 3))
    assert soft_f1([True, True], [0.5, 0.7]) == soft_f1([True, True], [1.0, 1.0]) == 0.0
    assert soft_f1([False, False], [0.0, 0.0]) == 1.0


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
def test_the_temperature_of_scaled_logits_is_the_scale(scale):
    logits, y = drawn_logits()
    found = fit_temperature(logits, y)
    assert found == pytest.approx(1, abs=0.05)
    assert fit_temperature(logits * scale, y) == pytest.approx(found * scale, rel=1e-9)
    assert fit_temperature(logits + np.arange(len(y))[:, None], y) == pytest.approx(found, rel=1e-6)


def test_the_temperature_is_the_most_likely_one():
    logits, y = drawn_logits(300, seed=1)
    logits *= 3
    found = fit_temperature(logits, y)
    best = likelihood(logits, y, found)
    assert all(likelihood(logits, y, found * other) < best for other in (0.5, 0.99, 1.01, 2.0))


def test_the_temperature_of_two_classes_is_a_logistic_regression():
    logits, y = drawn_logits(500, k=2)
    model = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10).fit(logits[:, 1:] - logits[:, :1], y)
    assert fit_temperature(logits, y) == pytest.approx(1 / model.coef_[0, 0], rel=1e-3)


def test_a_temperature_that_the_rows_do_not_determine_is_warned_of():
    with pytest.warns(CalibrationWarning, match="every row is classified rightly"):
        assert fit_temperature([[1.0, 0.0], [0.0, 2.0]], [0, 1]) == 0.01
    with pytest.warns(CalibrationWarning, match="better than chance"):
        assert fit_temperature([[1.0, 0.0], [0.0, 2.0]], [1, 0]) == 100.0
    with pytest.warns(CalibrationWarning, match="better than chance"):
        assert fit_temperature(np.zeros((5, 3)), [0, 1, 2, 0, 1]) == 100.0


def test_huge_logits_do_not_overflow():
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        confidence, predicted = softmax_confidence([[1e5, -1e5], [1e5, 1e5 - 1]])
        assert fit_temperature([[50.0, 0.0]] * 9 + [[0.0, 50.0]], [0] * 10) == pytest.approx(50 / np.log(9))
    np.testing.assert_allclose(confidence, [1, 1 / (1 + np.exp(-1))])
    assert predicted.tolist() == [0, 0]


def test_softmax_confidence_by_hand_at_a_temperature():
    logits = np.random.default_rng(0).normal(size=(20, 5))
    p = np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True)
    confidence, predicted = softmax_confidence(logits, temperature=3)
    np.testing.assert_allclose(confidence, p.max(1))
    np.testing.assert_array_equal(predicted, p.argmax(1))


def test_rescaling_reaches_zero_and_one_and_keeps_the_order():
    confidence, _ = softmax_confidence(np.random.default_rng(0).normal(size=(50, 3)))
    stretched = rescaled(confidence, 3)
    np.testing.assert_array_equal(np.argsort(stretched), np.argsort(confidence))
    np.testing.assert_allclose(stretched, (confidence - 1 / 3) / (1 - 1 / 3))
    np.testing.assert_allclose(rescaled(np.array([1 / 3, 1], np.float32), 3), [0, 1], atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rms_calibration_error([True], [0.5, 0.5]), "same length"),
        (lambda: mad_calibration_error([], []), "one bool per row"),
        (lambda: rms_calibration_error([1, 0], [0.5, 0.5]), "predicted == y"),
        (lambda: soft_f1([True, True], [0.5, 1.5]), "row 1 has 1.5"),
        (lambda: soft_f1([True, True], [np.nan, 0.5]), "row 0 has nan"),
        (lambda: reliability([True], [0.5], rows_per_bin=0), "at least 1; got 0"),
        (lambda: softmax_confidence([[0.0, 1.0]], temperature=0), "positive"),
        (lambda: softmax_confidence([[0.0], [1.0]]), "at least 2 classes"),
        (lambda: softmax_confidence([[np.inf, 0.0]]), "finite"),
        (lambda: fit_temperature([0.0, 1.0], [0, 1]), "at least 2 classes"),
        (lambda: fit_temperature([[0.0, 1.0]], [2]), "in 0..1"),
        (lambda: fit_temperature([[0.0, 1.0]], [0, 1]), "for each of 1 rows"),
        (lambda: rescaled([0.2], 3), "Rescale once only"),
        (lambda: rescaled([np.nan], 3), "Rescale once only"),
        (lambda: rescaled([0.5], 1), "at least 2; got 1"),
    ],
)
def test_useless_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
