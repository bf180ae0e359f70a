"""The simple estimate of the contamination: honest rather than sharp."""

import numpy as np
import pytest

from expose.exposure import (
    ContaminationEstimate,
    estimate_contamination,
    labelled_contamination,
    overlapping_contamination,
    select_contamination,
    varied_contamination,
)
from expose.exposure.contamination import selected_share


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


@pytest.mark.parametrize("rare", [0.02, 0.25])
def test_rare_categories_are_not_selected_because_their_evidence_ties(rare):
    """Rows of nominal columns lie at few distances: the middle is steep, and whatever is beyond it looks far."""
    rng = np.random.default_rng(0)
    evidence = np.where(rng.random(400) < rare, 6.0, rng.choice([0.9, 1.0, 1.1], 400))
    assert select_contamination(evidence).value == 1 / 400


def test_ties_of_a_few_rows_do_not_hide_the_others():
    evidence = np.concatenate([np.random.default_rng(0).exponential(size=900), np.full(40, 20.0)])
    assert 0.03 < select_contamination(evidence).value < 0.06


def test_labels_are_weighted_by_how_rarely_such_rows_were_looked_at():
    scores = np.array([0.0, 0, 0, 0, 0, 0, 8, 8, 8, 8])  # far apart: kernels of width 8 / 4 hardly overlap
    known = np.array([0, -1, -1, -1, -1, -1, 1, 1, 0, -1])
    weight_low, weight_high = (6 / 10) / (1 / 4), (4 / 10) / (3 / 4)
    expected = (weight_low * 0 + weight_high * 2) / 4  # two of three high rows are anomalies: 0.4 * 2 / 3
    found = labelled_contamination(scores, known)
    assert found.value == pytest.approx(expected, abs=2e-3)
    assert found.low < found.value < found.high
    assert "from 4 labels" in found.method


def test_only_suspicious_rows_looked_at_does_not_mean_most_are_anomalies():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [900, 100])
    scores = rng.normal(0, 1, 1000) + 3 * y
    errors, naive = [], []
    for seed in range(20):
        p = np.exp(scores) / np.exp(scores).sum()
        looked = np.random.default_rng(seed).choice(1000, 40, replace=False, p=p)
        known = np.full(1000, -1)
        known[looked] = y[looked]
        errors.append(labelled_contamination(scores, known).value - 0.1)
        naive.append(y[looked].mean() - 0.1)
    assert abs(np.mean(errors)) < 0.05
    assert np.mean(naive) > 0.3


def test_labels_without_an_anomaly_leave_room_for_some():
    known = np.full(100, -1)
    known[:20] = 0
    found = labelled_contamination(np.linspace(0, 1, 100), known)
    assert found.value == 1 / 100  # a row, as without labels
    assert found.low == 0
    assert 0.05 < found.high < 0.5


def test_the_excess_counts_where_the_step_up_rule_selects_next_to_nothing():
    rng = np.random.default_rng(0)
    evidence = np.concatenate([rng.exponential(size=1800), 2.7 + 0.05 * rng.normal(size=200)])
    assert selected_share(evidence, 0.3) < 0.01
    assert 0.03 < select_contamination(evidence).value < 0.1  # of a true tenth: low, not nothing


@pytest.mark.parametrize(
    ("likeness", "share", "value"), [(0.5, 0.1, 0.1), (0.62, 0.1, 0.1), (0.63, 0.1, 0.02), (0.5, 0.0, 0.02)]
)
def test_a_share_is_assumed_of_what_differs_by_who_gains_of_it(likeness, share, value):
    """Objectives that gain nothing say 0, and keep the estimate."""
    assert varied_contamination(likeness, share, ContaminationEstimate(0.02, 0.0, 0.3, "estimated")).value == value


def test_what_the_scores_find_beyond_the_assumption_stays():
    found = ContaminationEstimate(0.2, 0.15, 0.3, "estimated")
    assert varied_contamination(0.5, 0.1, found) is found


def test_an_assumed_share_says_on_which_side_of_the_line_the_photos_are():
    assert (
        "mean cosine 0.54; those of one product lie above"
        in varied_contamination(0.54, 0.1, ContaminationEstimate(0.01, 0.0, 0.3, "estimated")).method
    )


class TestOverlapping:
    """Steps of a series: means over windows that neighbours share."""

    def smooth(self, seed: int, n: int = 12_000, window: int = 100) -> np.ndarray:
        squares = np.random.default_rng(seed).normal(size=(n + window - 1, 20)) ** 2
        return np.convolve(np.sqrt(squares.sum(axis=1)), np.ones(window) / window, "valid")

    @pytest.mark.parametrize("seed", range(4))
    def test_none_are_found_where_there_is_nothing(self, seed):
        evidence = self.smooth(seed)
        assert overlapping_contamination(evidence).value == 1 / len(evidence)
        assert overlapping_contamination(np.exp(evidence)).value < 0.01  # a longer tail

    def test_one_thing_counts_with_all_that_sees_it(self):
        evidence = self.smooth(0)
        evidence[5_000:5_130] *= 2
        found = overlapping_contamination(evidence)
        assert found.low <= found.value <= found.high
        assert 0.010 <= found.value <= 0.012

    def test_ties_tell_nothing(self):
        assert overlapping_contamination(np.repeat([1.0, 2.0, 50.0], [700, 200, 100])).value == 1 / 1_000
        assert overlapping_contamination(np.zeros(50)).value == 1 / 50
