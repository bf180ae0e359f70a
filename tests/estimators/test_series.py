"""The detector on series: what it promises for tables holds for steps; a short anomaly is found whatever is assumed."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from expose import AnomalyDetector, OutlierExposureClassifier, load
from expose.encoders import WindowEncoder
from expose.errors import InputError
from expose.estimators.samples import Encoded
from expose.kinds import as_series
from expose.objectives import SVDD

N, ODD = 1_500, slice(900, 912)


def waves(seed: int = 0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(N) * 2 * np.pi / 40)[:, None] + 0.1 * rng.normal(size=(N, channels))


def planted(channels: int = 1) -> np.ndarray:
    values = waves(0, channels)
    values[ODD, 0] *= 0.2
    return values


def frame(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, index=pd.date_range("2026-01-01", periods=len(values), freq="min")).add_prefix("c")


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return AnomalyDetector(random_state=0).fit(frame(planted(2)))


@pytest.mark.parametrize("exposure", ["auto", "blind", "refine", "hard", "soft"])
@pytest.mark.parametrize("contamination", ["auto", 0.05, 0.2])
def test_a_short_anomaly_comes_first_whatever_share_is_assumed(exposure, contamination):
    detector = AnomalyDetector(exposure=exposure, contamination=contamination, random_state=0)
    scores = detector.fit(as_series(planted(), window=40)).training_scores_
    assert ODD.start - 5 <= scores.argmax() < ODD.stop + 5
    truth = np.isin(np.arange(N), np.arange(N)[ODD])
    assert average_precision_score(truth, scores) > 0.5


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_neighbours_find_it_too(share):
    detector = AnomalyDetector("neighbours", exposure="soft", contamination=share, random_state=0)
    scores = detector.fit(as_series(planted(), window=40)).training_scores_
    assert ODD.start - 5 <= scores.argmax() < ODD.stop + 5


def test_networks_learn_one_window_of_each_step():
    detector = AnomalyDetector(SVDD(epochs=2), random_state=0)
    detector.fit(as_series(planted(), window=40), labels=np.where(np.arange(N) < 20, 0, -1))
    assert detector.training_scores_.shape == (N,)
    parts = np.arange(24.0, dtype=np.float32).reshape(4, 3, 2)
    encoded = Encoded(detector.fitted_.kind, as_series(waves()[:4]), detector.encoder_, parts, 1, ())
    assert encoded.taught(0).shape == (4, 2)
    assert encoded.anomalous_parts == 1.0


def test_scores_are_those_of_training(detector):
    np.testing.assert_array_equal(detector.training_scores_, detector.anomaly_score(frame(planted(2))))
    assert detector.feature_names_in_.tolist() == ["c0", "c1"]


def test_a_step_scores_the_same_in_any_company(detector):
    given = as_series(frame(planted(2)))
    scores = detector.anomaly_score(given)
    for rows in (np.array([905]), np.arange(300, 340), np.array([1_400, 3])):
        np.testing.assert_array_equal(detector.anomaly_score(given.take(rows)), scores[rows])


def test_a_score_is_the_mean_of_its_windows(detector):
    given = as_series(frame(planted(2))).take(slice(880, 930))
    parts = detector.scorer().part_scores(given)
    assert parts.shape == (50, 8)
    np.testing.assert_allclose(detector.anomaly_score(given), parts.mean(axis=1))


def test_a_folder_keeps_it(detector, tmp_path):
    detector.save(tmp_path / "m")
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again.anomaly_score(frame(planted(2))), detector.training_scores_)
    assert again.encoder_.notes == detector.encoder_.notes
    assert again.scorer().spans(frame(planted(2))) == detector.scorer().spans(frame(planted(2)))


def test_the_channel_that_is_odd_is_named(detector):
    given = as_series(frame(planted(2))).take(slice(ODD.start, ODD.stop))
    explained = detector.explain(given)
    assert explained.names == ("c0", "c1")
    assert (explained.effects[:, 0] > 3 * explained.effects[:, 1]).all()
    assert all(explained.top(row, 1)[0][1] > 0.5 for row in range(3, 9))


def test_spans_name_where_it_is(detector):
    first = detector.scorer().spans(frame(planted(2)))[0]
    assert ODD.start - 5 <= first["peak_row"] < ODD.stop + 5
    with pytest.raises(InputError, match="tables have no order in time"):
        AnomalyDetector(random_state=0).fit(waves()[:100]).scorer().spans(waves()[:100])


def test_known_anomalies_leave_the_moments():
    labels = np.full(N, -1)
    labels[ODD] = 1
    plain, taught = (
        AnomalyDetector(contamination=0, random_state=0).fit(as_series(planted(), window=40), labels=said)
        for said in (None, labels)
    )
    ratio = [one.training_scores_[ODD].mean() / np.median(one.training_scores_) for one in (plain, taught)]
    assert ratio[1] > ratio[0]


def test_p_values_of_what_is_new_are_no_smaller_than_they_should_be():
    detector = AnomalyDetector(calibration=3, random_state=0).fit(as_series(waves(), window=40))
    p_values = detector.scorer().decide(as_series(waves(1))).p_value
    assert 0.3 < p_values.mean() < 0.7


def test_several_series_learn_from_each_other():
    values = np.stack([waves(seed)[:500] for seed in range(4)])
    values[2, 300:310] = 0
    detector = AnomalyDetector(random_state=0).fit(as_series(values, window=40))
    assert 1_295 <= detector.training_scores_.argmax() < 1_315
    assert detector.scorer().spans(as_series(values))[0]["entity"] == "2"


def test_an_encoder_of_ones_own_settings():
    detector = AnomalyDetector(encoder=WindowEncoder(30, components=4), random_state=0).fit(as_series(waves()))
    assert detector.encoder_.layout.n_values == 5  # and what they leave over
    assert detector.encoder_.window == 30


def test_other_kinds_are_refused_by_name(detector):
    with pytest.raises(InputError, match="channels of training are not there"):
        detector.anomaly_score(waves())
    with pytest.raises(InputError, match=r"takes one vector per sample.*frame.reset_index\(drop=True\)"):
        OutlierExposureClassifier(random_state=0).fit(frame(waves()), ["a", "b"] * (N // 2))


def test_one_step_is_too_few():
    with pytest.raises(InputError, match="training needs at least 2 steps"):
        AnomalyDetector().fit(frame(waves()[:1]))


def test_dirty_rows_are_scored_row_by_row(detector):
    dirty = frame(planted(2)).iloc[::-1].drop(frame(planted(2)).index[100:130])
    dirty.iloc[5, 0] = np.nan
    dirty.iloc[40:60] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = detector.anomaly_score(dirty)
    assert scores.shape == (N - 30,)
    assert np.isfinite(scores).all()
    assert ODD.start - 5 <= N - 1 - scores.argmax() < ODD.stop + 5


@pytest.mark.parametrize("seed", [0, 1])
def test_one_fault_in_a_long_series_is_one_span_and_none_is_next_to_nothing(seed):
    rng = np.random.default_rng(seed)
    values = np.sin(np.arange(6_000) * 2 * np.pi / 48) + 0.15 * rng.normal(size=6_000)
    clean = AnomalyDetector(random_state=0).fit(as_series(values))
    assert clean.contamination_ < 0.01
    assert len(clean.scorer().spans(as_series(values))) <= 1
    values[4_000:4_030] += 0.7 * rng.normal(size=30)
    detector = AnomalyDetector(random_state=0).fit(as_series(values))
    [span] = detector.scorer().spans(as_series(values))
    beyond = 0.4 * detector.encoder_.window
    assert 4_000 - beyond <= int(span["start"]) <= 4_005
    assert 4_025 <= int(span["end"]) <= 4_030 + beyond
    assert detector.contamination_ < 0.05  # what sees it: a window before it and one after
