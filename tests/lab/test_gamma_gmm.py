"""gamma-GMM's posterior of the share of anomalies: its two statements hold, and it sees what is plain."""

import numpy as np
import pytest

from expose_lab.gamma_gmm import HIGH, HIGH_SHARE, NONE, Component, anomalous, calibrated, joint, shares, standardised

HEIGHTS, WEIGHTS = [1.5, 1.0, 0.2, -0.1], [30.0, 40.0, 400.0, 530.0]


def test_the_first_components_alone_are_anomalous_with_probabilities_that_add_up():
    each = np.array([0.9, 0.5, 0.2])
    exactly = joint(each)
    assert exactly == pytest.approx([0.9 * 0.5, 0.9 * 0.5 * 0.8, 0.9 * 0.5 * 0.2])
    assert exactly.sum() + (1 - each[0]) == pytest.approx(1)


def test_none_and_many_are_as_likely_as_was_said():
    steepness, solved = calibrated(HEIGHTS, WEIGHTS)
    assert solved
    heights = [np.full(20_000, height) for height in HEIGHTS]
    found = [Component(*one) for one in zip(heights, WEIGHTS, strict=True)]
    drawn = shares(found, steepness, np.random.default_rng(0))
    assert (drawn == 0).mean() == pytest.approx(NONE, abs=0.003)
    everything = joint(anomalous(np.array(HEIGHTS), HEIGHTS[0], steepness))
    assert everything[2:].sum() == pytest.approx(HIGH, abs=0.002)  # with the third, far more than 15 % are
    assert (drawn > HIGH_SHARE).mean() < 2 * HIGH


def test_a_first_component_that_is_too_large_has_no_solution():
    assert not calibrated([1.0, 0.0], [500.0, 500.0])[1]


def test_scores_that_are_all_one_do_no_harm():
    assert standardised(np.ones(5)).tolist() == [0.0] * 5


def test_anomalies_that_every_detector_sees_are_in_the_interval():
    pytest.importorskip("pyod", reason="needs the extra bench")
    from expose_lab.gamma_gmm import gamma_posterior

    X = np.random.default_rng(0).normal(size=(300, 3))
    X[:15] *= 8
    low, high = np.quantile(gamma_posterior(X, 0), [0.025, 0.975])
    assert low < 0.05 < high < 0.25
