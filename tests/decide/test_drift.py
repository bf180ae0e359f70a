"""Drift: what has moved is said to have moved, what has not is not, and where rows are too few that is said."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import ks_2samp

from expose import AnomalyDetector
from expose.decide import Alarm, Drift, Recent
from expose.decide.drift import Reference, distance_bound, inflation_of, share_bound
from expose.errors import InputError
from expose.kinds import as_series

RNG = np.random.default_rng


def model(training: Any, **more: Any) -> Any:
    """What a fitted model is asked for, with a threshold at the highest hundredth."""
    scores = np.asarray(training, dtype=np.float64)
    usual = {
        "kind": SimpleNamespace(alone=True),
        "objective": SimpleNamespace(in_sample=0.1),
        "known": np.full(len(scores), -1, dtype=np.int8),
        "training_scores": scores,
        "calibration_scores": None,
        "threshold_score": lambda threshold: float(np.quantile(scores, 0.99)),
    }
    return SimpleNamespace(**usual | more)


def judged(drift: Drift, scores: Any) -> Any:
    drift = drift.fresh()
    drift.add(scores)
    return drift.verdict()


@pytest.fixture
def normal() -> Drift:
    return Drift.against(model(RNG(0).normal(size=2000)))


# ------------------------------------------------------------------------------------------------------ verdicts


def test_a_sensor_shifted_by_fifty_is_drift_and_quiet_days_are_not() -> None:
    def days(seed: int) -> np.ndarray:
        return np.sin(np.arange(4320) * 2 * np.pi / 144)[:, None] * [1, 2] + 0.1 * RNG(seed).normal(size=(4320, 2))

    def verdict(rows: Any) -> Any:
        scores = scorer.scores(rows)
        assert len(scores) == 4320
        return judged(Drift.against(scorer.fitted), scores)

    shifted = days(1) + np.array([50, 0])
    scorer = AnomalyDetector(random_state=0).fit(days(0)).scorer()
    assert [verdict(rows).verdict for rows in (days(0), days(1), shifted)] == ["as in training"] * 2 + ["moved"]
    assert verdict(shifted).flagged == 1
    scorer = AnomalyDetector(random_state=0).fit(as_series(days(0))).scorer()
    quiet = verdict(as_series(days(1)))
    assert not quiet.moved
    assert quiet.effective_rows < 1000  # steps resemble their neighbours
    assert verdict(as_series(shifted)).moved


@pytest.mark.parametrize("n", [1, 5, 29])
def test_few_rows_are_too_few_whatever_they_score(n: int, normal: Drift) -> None:
    for scores in (RNG(1).normal(size=n), np.full(n, 1e9)):
        found = judged(normal, scores)
        assert found.verdict == "too few rows"
        assert f"{n} row" in found.said()


def test_no_rows_are_too_few(normal: Drift) -> None:
    found = normal.verdict()
    assert (found.verdict, found.rows, found.p_value) == ("too few rows", 0, 1.0)
    assert json.loads(json.dumps(found.facts()))["rows"] == 0


def test_thirty_rows_are_enough_for_what_is_plain(normal: Drift) -> None:
    assert judged(normal, np.full(30, 9.0)).moved
    assert judged(normal, RNG(3).normal(size=30)).verdict == "as in training"


def test_millions_of_rows_that_differ_by_a_trifle_have_not_moved(normal: Drift) -> None:
    found = judged(normal, RNG(1).normal(0.05, 1, size=2_000_000))
    assert found.verdict == "as in training"
    assert ks_2samp(RNG(0).normal(size=2000), RNG(1).normal(0.05, 1, size=2_000_000)).pvalue < 0.05  # the plain test


def test_a_tenth_of_the_rows_may_become_anomalous_or_cease_to_be() -> None:
    def scores(n: int, share: float, seed: int) -> np.ndarray:
        return np.concatenate([RNG(seed).normal(size=round(n * (1 - share))), np.full(round(n * share), 9.0)])

    for before, after in ((0.1, 0.0), (0.1, 0.2), (0.0, 0.05), (0.05, 0.1)):
        line = SimpleNamespace(threshold_score=lambda threshold: 5.0).threshold_score
        drift = Drift.against(model(scores(5000, before, 0), threshold_score=line))
        assert not judged(drift, scores(100_000, after, 1)).moved
    drift = Drift.against(model(scores(5000, 0.05, 0), threshold_score=line))
    found = judged(drift, scores(2000, 0.2, 1))
    assert found.moved
    assert found.test == "share above the threshold"
    assert "20 % flagged, 5 % expected" in found.said()


def test_the_distance_is_that_of_kolmogorov_and_smirnov(normal: Drift) -> None:
    new = RNG(5).normal(0.7, 2, size=3000)
    exact = ks_2samp(RNG(0).normal(size=2000), new).statistic
    assert abs(judged(normal, new).distance - exact) <= 1 / 200
    few = Drift.against(model([1.0, 2.0, 3.0, 4.0]))
    assert judged(few, [0.0, 2.5, 2.5, 9.0]).distance == ks_2samp([1, 2, 3, 4], [0, 2.5, 2.5, 9]).statistic


def test_ties_are_counted_where_they_lie() -> None:
    drift = Drift.against(model(np.repeat([0.0, 1.0, 2.0], 500), threshold_score=lambda threshold: 1.0))
    found = judged(drift, np.repeat([0.0, 1.0, 2.0], 400))
    assert (found.distance, found.flagged, found.expected) == pytest.approx((0, 1 / 3, 1 / 3))


def test_scores_that_are_lower_have_moved_too(normal: Drift) -> None:
    found = judged(normal, RNG(1).normal(-1, 1, size=500))
    assert found.moved
    assert "lower than in training" in found.said("step")


@pytest.mark.parametrize(("lower", "tolerance", "least"), [(0.5, 0.0, 0.03), (0.6, 0.1, 0.0)])
def test_the_level_holds_at_the_edge_of_the_null_hypothesis(lower: float, tolerance: float, least: float) -> None:
    n, small = 300, 0
    for seed in range(2000):  # uniform but for the share below one half, so that the distance is the tolerance
        rng = RNG(seed)
        new = np.sort((rng.uniform(size=n) + (rng.uniform(size=n) >= lower)) / 2)
        distance = max(np.abs(np.arange(n) / n - new).max(), np.abs(np.arange(1, n + 1) / n - new).max())
        small += distance_bound(np.array([distance]), tolerance, np.array([float(n)]))[0] <= 0.05
    assert least <= small / 2000 <= 0.055


def test_the_level_of_the_share_holds() -> None:
    shares = RNG(0).binomial(300, 0.1, size=3000) / 300
    small = np.mean([share_bound(share, np.array([0.1]), np.array([300.0]))[0] <= 0.05 for share in shares])
    assert 0.005 <= small <= 0.05


def test_what_is_not_known_of_the_reference_counts() -> None:
    far = RNG(1).normal(0.6, 1, size=100_000)
    few, many = (judged(Drift.against(model(RNG(0).normal(size=n))), far) for n in (60, 6000))
    assert few.p_value > 0.01 > many.p_value
    assert few.noticeable > many.noticeable


# ----------------------------------------------------------------------------------------------------- references


def test_rows_like_those_of_training_or_of_calibration_have_not_moved() -> None:
    fitted = model(RNG(0).normal(size=2000), calibration_scores=RNG(1).normal(1.5, 1, size=2000))
    drift = Drift.against(fitted)
    assert judged(drift, fitted.training_scores).verdict == "as in training"
    assert judged(drift, RNG(2).normal(1.5, 1, size=3000)).reference == "calibration scores"
    assert not judged(drift, RNG(2).normal(1.5, 1, size=3000)).moved
    assert judged(drift, RNG(2).normal(4.0, 1, size=3000)).moved


def test_known_anomalies_need_not_come_again() -> None:
    scores = np.concatenate([RNG(0).normal(size=1000), np.full(800, 9.0)])
    known = np.repeat([-1, 1], [1000, 800]).astype(np.int8)
    for new in (RNG(1).normal(size=1000), scores):
        assert not judged(Drift.against(model(scores, known=known)), new).moved
    assert judged(Drift.against(model(scores)), RNG(1).normal(size=1000)).moved


def test_training_scores_that_say_nothing_of_others_are_not_compared_with() -> None:
    close = SimpleNamespace(in_sample=1.0)
    scores = RNG(0).normal(size=1000)
    found = judged(Drift.against(model(scores, objective=close)), scores + 9)
    assert found.verdict == "not judged"
    assert "--calibration" in found.said()
    calibrated = Drift.against(model(scores, objective=close, calibration_scores=scores + 5))
    assert [judged(calibrated, scores + by).moved for by in (0, 5, 9)] == [False, False, True]


def test_of_few_training_rows_that_are_known_by_heart_less_is_said() -> None:
    by_heart = SimpleNamespace(in_sample=0.25)
    verdicts = []
    for n in (2000, 400, 40):
        scores = np.linspace(0, 1, n)
        verdicts.append(
            judged(Drift.against(model(scores, objective=by_heart)), np.linspace(0, 1, 5000) - 0.35).verdict
        )
    assert verdicts == ["moved", "as in training", "not judged"]


@pytest.mark.parametrize("objective", ["neighbours", "svdd", "flow"])
def test_training_rows_scored_again_have_not_moved(objective: str) -> None:
    X = RNG(0).normal(size=(300, 5))
    detector = AnomalyDetector(objective, random_state=0).fit(X)
    drift = Drift.against(detector.scorer().fitted)
    assert not judged(drift, detector.anomaly_score(X)).moved
    assert not judged(drift, detector.anomaly_score(X[:100])).moved


# --------------------------------------------------------------------------------------------- dependence, memory


def test_rows_that_resemble_their_neighbours_are_worth_fewer() -> None:
    def walk(seed: int, n: int = 4000) -> np.ndarray:
        return lfilter([1], [1, -0.99], RNG(seed).normal(size=n))

    true = (1 + 0.99) / (1 - 0.99)
    assert true / 3 < np.mean([inflation_of(walk(seed)) for seed in range(20)]) < true * 2
    assert inflation_of(np.zeros(100)) == inflation_of(np.arange(5.0)) == 1
    alarms = [
        [
            judged(Drift.against(model(walk(seed), kind=SimpleNamespace(alone=alone))), walk(seed + 500)).moved
            for seed in range(40)
        ]
        for alone in (False, True)
    ]
    assert np.mean(alarms[0]) <= 0.05
    assert np.mean(alarms[1]) > 0.2  # what it would be if steps were taken for independent


def test_batches_and_processes_give_the_verdict_of_all_rows(normal: Drift) -> None:
    scores = RNG(1).normal(0.5, 1, size=1000)
    whole = judged(normal, scores)
    parts = [pickle.loads(pickle.dumps(normal)) for _ in range(3)]
    for part, piece in zip(parts, np.array_split(scores, 3), strict=True):
        for few in np.array_split(piece, 7):
            part.add(few)
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].verdict() == whole
    with pytest.raises(InputError, match="another model"):
        parts[0].merge(Drift.against(model(np.arange(50.0))))


def test_rows_without_a_score_are_no_rows(normal: Drift) -> None:
    assert judged(normal, [np.nan, 1.0, np.nan, np.inf]).rows == 2
    with pytest.raises(InputError, match="shape"):
        normal.add([[1.0]])


def test_memory_does_not_grow_with_the_rows(normal: Drift) -> None:
    scores = RNG(0).normal(size=100_000)
    recent, alarm = Recent(normal, rows=1_000_000), Alarm(normal)
    for watcher in (normal, recent, alarm):
        list(watcher.add(scores[:30_000]) or ())
    size = len(pickle.dumps([normal.counts, alarm.state()]))
    tracemalloc.start()
    for _ in range(10):
        normal.add(scores)
        recent.add(scores)
        list(alarm.add(scores[:10_000]))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000
    assert len(pickle.dumps([normal.counts, alarm.state()])) < 2 * size
    assert len(pickle.dumps(Drift.against(model(RNG(0).normal(size=1_000_000))))) < 20_000


# -------------------------------------------------------------------------------------------------------- windows


def test_a_window_of_rows_forgets(normal: Drift) -> None:
    recent = Recent(normal, rows=500)
    recent.add(np.full(10_000, 9.0))
    assert recent.verdict().moved
    for piece in np.array_split(RNG(1).normal(size=560), 80):
        recent.add(piece)
    assert not recent.verdict().moved
    assert 500 <= recent.verdict().rows < 550


def test_a_window_of_time_forgets_even_if_nothing_comes(normal: Drift) -> None:
    now = [0.0]
    recent = Recent(normal, seconds=3600, parts=6, clock=lambda: now[0])
    for minute in range(120):
        now[0] = 60.0 * minute
        recent.add(RNG(minute).normal(size=10) + (9 if minute < 50 else 0))
    assert 600 <= recent.verdict().rows <= 700
    assert not recent.verdict().moved
    now[0] += 5000
    assert recent.verdict().rows == 0


@pytest.mark.parametrize("given", [{}, {"rows": 10, "seconds": 5}, {"rows": 3}, {"seconds": 0}, {"seconds": -1.0}])
def test_a_window_has_one_length(given: dict[str, Any], normal: Drift) -> None:
    with pytest.raises(InputError, match="window"):
        Recent(normal, **given)


# ---------------------------------------------------------------------------------------------------------- alarm


def test_an_alarm_begins_once_and_ends_once(normal: Drift) -> None:
    alarm = Alarm(normal)
    stream = RNG(1).normal(size=15_000)
    stream[5_000:9_000] += 4
    told = [one for piece in np.array_split(stream, 3_000) for one in alarm.add(piece)]
    assert [what for what, _ in told] == ["moved", "as in training"]
    assert 5_000 < told[0][1] < 5_400
    assert 9_000 < told[1][1] < 10_000
    assert not alarm.on


def test_an_alarm_stays_quiet_where_little_has_changed(normal: Drift) -> None:
    for share in (0.0, 0.045):
        stream = RNG(1).normal(size=60_000)
        stream[RNG(2).uniform(size=len(stream)) < share] += 9
        assert not list(Alarm(Drift.against(model(RNG(0).normal(size=2000)))).add(stream))


def test_an_alarm_goes_on_from_its_state(normal: Drift) -> None:
    stream = np.concatenate([RNG(1).normal(size=333), RNG(1).normal(3, 1, size=300)])
    whole, first, second = Alarm(normal), Alarm(normal), Alarm(normal)
    expected = list(whole.add(stream))
    assert expected
    told = list(first.add(stream[:350]))
    second.restore(json.loads(json.dumps(first.state())))
    assert told + list(second.add(stream[350:])) == expected
    assert second.state() == whole.state()
    with pytest.raises(InputError, match="another model"):
        second.restore(Alarm(Drift(Reference.of({"few": np.arange(2.0)}, 1.0, 0.1))).state())


def test_an_alarm_of_what_cannot_be_judged_never_begins() -> None:
    alarm = Alarm(Drift.against(model(RNG(0).normal(size=500), objective=SimpleNamespace(in_sample=1.0))))
    assert not list(alarm.add(np.full(5000, 99.0)))


def test_an_alarm_is_as_rare_as_is_said_at_the_edge_of_the_null_hypothesis() -> None:
    drift = Drift(Reference.of({"training": np.linspace(0, 1, 100_001)}, 0.95, 0.1))
    patience, blocks, begun = 50.0, 25, 0
    for seed in range(100):  # above each edge lies as much as may: a tenth more; above the threshold twice as much
        stream = np.interp(RNG(seed).uniform(size=20 * blocks), [0, 0.1, 0.4, 0.7, 0.9, 1], [0, 0.2, 0.5, 0.8, 0.95, 1])
        begun += bool(list(Alarm(drift, patience=patience).add(stream)))
    assert 0 < begun / 100 <= blocks / patience  # of a submartingale with a mean of so many blocks (Doob)


def test_a_lasting_change_is_one_alarm() -> None:
    drift = Drift.against(model(RNG(0).normal(size=2000)))
    stream = RNG(1).normal(size=40_000)
    stream[RNG(2).uniform(size=len(stream)) < 0.12] = 9
    assert [what for what, _ in Alarm(drift).add(stream)] == ["moved"]
