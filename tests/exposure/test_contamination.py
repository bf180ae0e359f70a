"""The simple estimate of the contamination: honest rather than sharp."""

import numpy as np
import pytest

from expose.exposure import estimate_contamination


def mixture(share: float, n: int = 4000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    anomalies = round(share * n)
    return np.concatenate([rng.normal(size=n - anomalies), rng.normal(8, 1, size=anomalies)])


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_separated_anomalies_are_counted_with_a_bias_to_too_few(share):
    value = estimate_contamination(mixture(share)).value
    assert 0.6 * share < value < 1.1 * share


@pytest.mark.parametrize("seed", range(5))
def test_clean_scores_give_almost_nothing(seed):
    estimate = estimate_contamination(mixture(0.0, seed=seed))
    assert estimate.value < 0.01
    assert estimate.low == 0


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_the_interval_holds_the_truth(share):
    estimate = estimate_contamination(mixture(share))
    assert estimate.low <= share <= estimate.high
    assert estimate.low <= estimate.value <= estimate.high


def test_hidden_anomalies_are_not_made_up():
    """Anomalies that score like normal rows cannot be counted, and are not: the estimate is biased low."""
    rng = np.random.default_rng(0)
    assert estimate_contamination(rng.normal(size=1000)).value < 0.02


@pytest.mark.parametrize("scores", [np.zeros(10), np.array([0.0, 1.0]), np.r_[np.zeros(99), 1.0]])
def test_constant_and_tiny_scores_do_no_harm(scores):
    estimate = estimate_contamination(scores)
    assert 0 < estimate.value < 0.5
    assert estimate.method


@pytest.mark.parametrize("distinct", [2, 8, 15])
def test_scores_with_few_distinct_values_are_not_taken_for_anomalies(distinct):
    """A clean table of categories: rare combinations are no anomalies because their scores stand in steps."""
    rng = np.random.default_rng(0)
    steps = np.sort(rng.normal(size=distinct))
    scores = steps[rng.binomial(distinct - 1, 0.3, size=2000)]
    estimate = estimate_contamination(scores)
    assert estimate.value == 1 / 2000
    assert estimate.low == 0
