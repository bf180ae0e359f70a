"""p-values and the step-up rule: by hand, against SciPy, and as laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control

from expose import select
from expose.decide import StepUp, conformal_p_values, conformal_threshold
from expose.errors import InputError

WHOLE = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=40)  # with many ties


def test_by_hand_and_ties_count_against_the_row():
    assert conformal_p_values([5.0, 4.0, 3.5, 0.0], [1.0, 3.0, 4.0, 4.0]).tolist() == [0.2, 0.6, 0.6, 1.0]


def test_normal_rows_have_small_p_values_no_more_often_than_allowed():
    rng, trials, levels = np.random.default_rng(0), 4000, (0.05, 0.1, 0.25)
    ties = [conformal_p_values(scores[:1], scores[1:])[0] for scores in rng.integers(0, 12, size=(trials, 60))]
    for p_values in (
        np.array([conformal_p_values(scores[:1], scores[1:])[0] for scores in rng.normal(size=(trials, 60))]),
        np.array(ties),
    ):
        for level in levels:
            assert (p_values <= level).sum() <= binom.ppf(0.999, trials, level)
    exact = [conformal_p_values(scores[:1], scores[1:])[0] for scores in rng.normal(size=(trials, 20))]
    assert (np.array(exact) <= 0.1).sum() >= binom.ppf(0.001, trials, 0.1)  # and no less often, without ties


@given(WHOLE, WHOLE, st.floats(0.03, 0.99))
def test_the_threshold_flags_exactly_the_small_p_values(scores, calibration, level):
    scores, calibration = np.array(scores), np.array(calibration)
    small = conformal_p_values(scores, calibration) <= level
    if level * (len(calibration) + 1) < 1:
        with pytest.raises(InputError, match="calibration rows or more"):
            conformal_threshold(calibration, level)
    else:
        assert np.array_equal(scores > conformal_threshold(calibration, level), small)


def test_too_few_calibration_rows_for_a_level():
    with pytest.raises(InputError, match="needs 99 calibration rows or more; there are 98"):
        conformal_threshold(np.arange(98.0), 0.01)
    assert conformal_threshold(np.arange(99.0), 0.01) == 98.0


def test_no_calibration_row_is_an_error():
    with pytest.raises(InputError, match="got none"):
        conformal_p_values([1.0], [])


def test_step_up_by_hand():
    p_values = [0.9, 0.02, 0.035, 0.05]  # bounds at 10 %: 0.025, 0.05, 0.075, 0.1; the third holds, so do the lower
    assert select(p_values, 0.1).tolist() == [False, True, True, True]
    assert select([0.03, 0.04, 0.06, 0.9], 0.1).tolist() == [True, True, True, False]  # the first alone would not
    assert not select([0.2, 0.3], 0.1).any()
    assert select([], 0.1).shape == (0,)


@given(st.lists(st.integers(1, 50).map(lambda k: k / 50), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_step_up_is_that_of_scipy(p_values, rate):
    adjusted = false_discovery_control(p_values)
    clear = np.abs(adjusted - rate) > 1e-12
    assert np.array_equal(select(p_values, rate)[clear], (adjusted <= rate)[clear])


@given(st.lists(st.lists(st.integers(1, 9).map(lambda k: k / 9), max_size=20), min_size=1, max_size=5))
def test_step_up_in_parts_is_step_up_of_all(parts):
    whole, stream = StepUp(), StepUp()
    whole.add(np.array([value for part in parts for value in part], dtype=float))
    for part in parts:
        stream.add(np.array(part, dtype=float))
    assert whole.cutoff(0.4) == stream.cutoff(0.4)
    assert len(stream.values) <= 9


def test_what_two_have_counted_together() -> None:
    p_values = np.random.default_rng(0).integers(1, 20, 500) / 20
    whole, first, second = StepUp(), StepUp(), StepUp()
    whole.add(p_values)
    first.add(p_values[:200])
    second.add(p_values[200:])
    first.merge(second)
    np.testing.assert_array_equal(first.values, whole.values)
    np.testing.assert_array_equal(first.counts, whole.counts)


def test_the_false_discovery_rate_is_kept_with_common_calibration_rows():
    """Mean over fixed draws, calibration included; 90 of 100 rows are normal, so the bound is 0.2 * 0.9."""
    rng, shares, power = np.random.default_rng(1), [], []
    for _ in range(600):
        scores = np.concatenate([rng.normal(size=90), rng.normal(3.5, 1, size=10)])
        chosen = select(conformal_p_values(scores, rng.normal(size=200)), 0.2)
        shares.append(chosen[:90].sum() / max(1, chosen.sum()))
        power.append(chosen[90:].mean())
    assert np.mean(shares) < 0.18 + 3 * np.std(shares) / 600**0.5
    assert np.mean(shares) > 0.1
    assert np.mean(power) > 0.5


def test_anomalies_among_the_calibration_rows_cost_power_and_labels_bring_it_back():
    rng, found = np.random.default_rng(2), {"dirty": [], "trimmed": []}
    for _ in range(200):
        scores = np.concatenate([rng.normal(size=180), rng.normal(4, 1, size=20)])
        calibration = np.concatenate([rng.normal(size=475), rng.normal(4, 1, size=25)])
        top = np.argsort(-calibration)[:50]
        kept = np.delete(calibration, top[top >= 475])  # confirmed anomalies only
        for name, rows in (("dirty", calibration), ("trimmed", kept)):
            chosen = select(conformal_p_values(scores, rows), 0.1)
            found[name].append((chosen[:180].sum() / max(1, chosen.sum()), chosen[180:].mean()))
    dirty, trimmed = (np.mean(rows, axis=0) for rows in found.values())
    assert trimmed[1] > dirty[1] + 0.3
    assert max(dirty[0], trimmed[0]) < 0.1 + 0.02


@pytest.mark.parametrize("rate", [0, 1, -0.1, True, "0.1", float("nan")])
def test_rates_out_of_range(rate):
    with pytest.raises(InputError, match="rate must be a number between 0 and 1"):
        select([0.5], rate)


@pytest.mark.parametrize("p_values", [[0.0], [1.1], [float("nan")], [[0.5]]])
def test_what_is_no_p_value(p_values):
    with pytest.raises(InputError, match="p-values must be"):
        select(p_values, 0.1)
