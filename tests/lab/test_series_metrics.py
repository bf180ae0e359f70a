"""VUS, affiliation and range-based metrics: against two packages, by hand, and by what must not change them."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expose.errors import InputError
from expose_lab import affiliation, auroc, average_precision, range_based, series_metrics, vus
from expose_lab.metrics.series import PrecisionRecall, spans

# Made with vus 0.0.6 (`metricor().RangeAUC_volume_opt(y, scores, window)`) and TSB_AD 1.5 (the same of
# `basic_metricor`, its `pr_from_events` of the vectors of events, and `range_recall_new(flagged, y, 0)` and
# `range_recall_new(y, flagged, 0.2)`), on the series of `made` with what is above 0.9 flagged. Both packages gave the
# same. Steps, first and last of each span, window: VUS-PR and -ROC, then precision and recall twice.
PACKAGES = [
    (
        (300, [(40, 59), (100, 100), (110, 129), (280, 299)], 20),
        (0.632010429510, 0.786394645408),
        (0.595328500522, 0.889871610779),
        (0.279069767442, 0.220666666667),
    ),
    (
        (200, [(0, 6), (90, 94)], 12),
        (0.573808223868, 0.845937179601),
        (0.613784832091, 0.987189713080),
        (0.155172413793, 0.337142857143),
    ),
    (
        (500, [(50, 79), (82, 89), (200, 259)], 33),
        (0.745522003134, 0.866457877797),
        (0.678541722949, 0.994513682101),
        (0.324626865672, 0.305608465608),
    ),
    (
        (120, [(60, 60)], 40),
        (0.642333250472, 0.934191524385),
        (0.542857142857, 0.991666666667),
        (0.0, 0.0),
    ),
]


def made(steps: int, where: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and scores that know a little of it, with ties."""
    at = np.arange(steps)
    y = np.zeros(steps, dtype=int)
    for first, last in where:
        y[first : last + 1] = 1
    return y, np.round(np.sin(at * at) + np.convolve(y, np.ones(5) / 5, "same"), 2)


@pytest.mark.parametrize(("case", "volumes", "near", "ranges"), PACKAGES)
def test_figures_are_those_of_the_packages(case, volumes, near, ranges):
    steps, where, window = case
    y, scores = made(steps, where)
    assert vus(y, scores, window) == pytest.approx(volumes)
    assert affiliation(y, scores > 0.9) == pytest.approx(near)
    assert range_based(y, scores > 0.9) == pytest.approx(ranges)
    found = series_metrics(y, scores, window)
    assert (found["vus_pr"], found["vus_roc"]) == pytest.approx(volumes)


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth of both classes and scores, with ties."""
    n = draw(st.integers(2, 60))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    y[draw(st.integers(0, n - 1))] = 1
    y[np.flatnonzero(y)[0] - 1 if not (y == 0).any() else np.flatnonzero(y == 0)[0]] = 0
    return y, np.array(draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 9.0]), min_size=n, max_size=n)))


def usable(y: np.ndarray) -> bool:
    return bool(y.any() and not y.all())


@given(judged(), st.integers(0, 12))
def test_all_lie_between_0_and_1_and_a_rising_function_of_scores_changes_nothing(case, window):
    y, scores = case
    if not usable(y):
        return
    found = series_metrics(y, scores, window)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.values())
    assert series_metrics(y, np.exp(scores) * 3, window) == pytest.approx(found)


@given(judged())
def test_the_truth_is_perfect(case):
    y = case[0]
    if usable(y):
        assert vus(y, y, 0) == pytest.approx((1, 1))
        assert affiliation(y, y) == (1, 1)
        assert range_based(y, y) == (1, 1)


@given(judged())
def test_time_may_run_backwards(case):
    y, scores = case
    if usable(y):
        flagged = scores > 0
        assert affiliation(y[::-1], flagged[::-1]) == pytest.approx(affiliation(y, flagged))
        assert vus(y[::-1], scores[::-1], 7) == pytest.approx(vus(y, scores, 7))
        assert range_based(y, flagged, bias="front") == pytest.approx(range_based(y[::-1], flagged[::-1], bias="back"))


def test_one_span_without_a_buffer_and_all_thresholds_gives_the_usual_areas():
    y, scores = made(90, [(30, 44)])
    volumes = vus(y, scores, 0, thresholds=None)
    assert volumes.pr == pytest.approx(average_precision(y, scores))
    assert volumes.roc == pytest.approx(auroc(y, scores))


def test_a_little_early_is_better_than_far_away():
    y = np.zeros(100)
    y[50:60] = 1
    hits = {start: vus(y, np.isin(np.arange(100), range(start, start + 10)) + 0.0, 20).pr for start in (50, 45, 40, 10)}
    assert hits[50] > hits[45] > hits[40] > hits[10]


def test_one_step_of_a_long_span_does_not_count_as_all_of_it():
    y = np.zeros(200, dtype=int)
    y[50:150] = 1
    lucky = np.zeros(200)
    lucky[100] = 1
    assert vus(y, lucky, 0).pr < 0.6  # chance has half
    assert range_based(y, lucky).recall == pytest.approx(0.2 + 0.8 / 100)


def test_affiliation_by_hand():
    # the span is [4, 6) of [0, 10): from [3, 4) it is half a step away in the mean, and chance farther at 7 of 10
    y = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert affiliation(y, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) == pytest.approx((0.7, 0.8))
    # two spans: the first is never found, and its zone tells nothing of precision
    both = affiliation([1, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1])
    assert both == (1.0, 0.5)
    assert affiliation(y, np.zeros(10)) == (0, 0)


def test_range_based_by_hand():
    # what is flagged covers two spans: two of three steps are right, and halved for being two
    y, flagged = [0, 1, 0, 1, 0], [0, 1, 1, 1, 0]
    assert range_based(y, flagged) == pytest.approx((1 / 3, 1))
    assert range_based(y, flagged, reciprocal=False) == pytest.approx((2 / 3, 1))
    # of four steps with weights 4, 3, 2, 1 the first is found; then the same in the middle
    front = range_based([1, 1, 1, 1, 0], [1, 0, 0, 0, 0], alpha=0, bias="front")
    assert front == pytest.approx((1, 0.4))
    assert range_based([1, 1, 1, 1, 0], [0, 1, 0, 0, 0], alpha=0, bias="middle").recall == pytest.approx(2 / 6)
    assert range_based(y, np.zeros(5)) == (0, 0)


def test_spans_reach_both_ends():
    assert spans([1, 1, 0, 1]).tolist() == [[0, 1], [3, 3]]
    assert spans([0, 0]).tolist() == []
    assert PrecisionRecall(0.0, 0.0).f1 == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: vus([0, 1], [1.0, np.nan], 1), "step 1 is not"),
        (lambda: vus([0, 1], [1.0], 1), "one entry for each step"),
        (lambda: vus([0, 0], [1.0, 2.0], 1), "normal and anomalous"),
        (lambda: vus([1, 1], [1.0, 2.0], 1), "normal and anomalous"),
        (lambda: vus([0, 2], [1.0, 2.0], 1), "0 .normal. and 1"),
        (lambda: vus([[0, 1]], [[1.0, 2.0]], 1), "one series"),
        (lambda: vus([0, 1], [1.0, 2.0], -1), "0 or more"),
        (lambda: vus([0, 1], [1.0, 2.0], 1, thresholds=0), "thresholds"),
        (lambda: affiliation([0, 1], [0.2, 1]), "flagged must hold"),
        (lambda: affiliation([0, 1], [1]), "one entry for each step"),
        (lambda: range_based([0, 1], [0, 1], bias="flatt"), "flat, front"),
        (lambda: range_based([0, 1], [0, 1], alpha=2), "share"),
    ],
)
def test_what_does_not_fit_is_told(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_a_year_of_steps_at_intervals_of_twenty_minutes_takes_no_second():
    y, scores = made(28_000, [(start, start + 80) for start in range(500, 28_000, 900)])
    started = time.process_time()
    series_metrics(y, scores, 125)
    assert time.process_time() - started < 2  # some hundredths, with room for a slow machine
