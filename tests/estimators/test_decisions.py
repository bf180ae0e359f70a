"""Thresholds and p-values through the detector."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from expose import AnomalyDetector, fit_together, select
from expose.errors import InputError, InterruptedWarning
from expose.estimators import calibrate
from expose.objectives import Autoencoder, Neighbours

QUICK = ("autoencoder", "neighbours")
RULES = (None, 0.1, "mixture", "tail", "tail:0.02", "conformal", "conformal:0.02")


def rows(seed, n=400, anomalies=20):
    X = np.random.default_rng(seed).normal(size=(n, 4))
    X[:anomalies] += 5
    return X


def detector(objective="neighbours", batch_size=None, **changes):
    made = Neighbours() if objective == "neighbours" else Autoencoder(epochs=4, batch_size=batch_size)
    return AnomalyDetector(made, random_state=0, **changes)


@pytest.fixture(scope="module", params=QUICK)
def fitted(request):
    return detector(request.param, calibration=4).fit(rows(0, anomalies=4))


class Line:
    def __init__(self, share):
        self.share = share

    def fit(self, scores):
        self.line_ = np.quantile(scores, self.share)

    def predict(self, scores):
        return scores > self.line_


@pytest.mark.parametrize("rule", [*RULES, Line(0.9)])
def test_all_ways_to_decide_agree(fitted, rule):
    fitted.set_params(threshold=rule)
    X = rows(1)
    flagged = fitted.is_anomaly(X)
    assert 0 < flagged.sum() < len(X)
    assert np.array_equal(fitted.predict(X), np.where(flagged, -1, 1))
    assert np.array_equal(fitted.decision_function(X) < 0, flagged)
    assert np.array_equal(fitted.anomaly_score(X) > fitted.threshold_score(), flagged)
    assert fitted.threshold_rule_


def test_an_own_rule_decides(fitted):
    X, line = rows(1), np.quantile(fitted.training_scores_, 0.9)
    assert np.array_equal(fitted.set_params(threshold=Line(0.9)).is_anomaly(X), fitted.anomaly_score(X) > line)
    rule = Line(0.5)
    fitted.set_params(threshold=rule)
    half = fitted.is_anomaly(X).sum()
    rule.share = 0.9  # heard of at once, without a refit
    assert fitted.is_anomaly(X).sum() < half


def test_conformal_flags_small_p_values(fitted):
    X = rows(1)
    small = fitted.p_value(X) <= 0.05
    assert np.array_equal(fitted.set_params(threshold="conformal").is_anomaly(X), small)


def test_folds_keep_a_held_out_score_of_every_row(fitted):
    held = fitted.calibration_scores_
    assert held.shape == (400,)
    assert (np.diff(held) >= 0).all()
    assert abs(np.median(held) - np.median(fitted.training_scores_)) < np.std(fitted.training_scores_) / 2


def test_p_values_by_folds_are_small_no_more_often_than_they_should():
    """Folds are approximate: the test allows 1.3 times the level, and would fail for scores of other scales."""
    for objective in QUICK:
        small = 0
        for seed in range(4):
            trained = detector(objective, calibration=5, contamination=0.0).fit(rows(seed, 300, anomalies=0))
            small += int((trained.p_value(rows(seed + 100, 1000, anomalies=0)) <= 0.1).sum())
        assert small <= 1.3 * binom.ppf(0.99, 4000, 0.1), objective
        assert small >= 0.7 * binom.ppf(0.01, 4000, 0.1), objective


def test_other_rows_take_the_place_of_folds_and_known_anomalies_are_left_out(fitted):
    X, labels = rows(2), np.full(400, -1)
    trained = detector(calibration=4).fit(rows(0)).set_params(threshold="conformal")
    before = trained.threshold_score()
    assert trained.calibrate(X) is trained
    assert np.array_equal(trained.calibration_scores_, np.sort(trained.anomaly_score(X)))
    assert trained.threshold_score() != before
    power = select(trained.p_value(rows(3)), 0.1)[:20].mean()
    labels[:20] = 1
    labels[20:30] = 0
    trained.calibrate(X, labels)
    assert np.array_equal(trained.calibration_scores_, np.sort(trained.anomaly_score(X[20:])))
    assert select(trained.p_value(rows(3)), 0.1)[:20].mean() > power + 0.5


def test_known_anomalies_are_no_calibration_rows_of_folds():
    labels = np.full(400, -1)
    labels[:15], labels[15:30] = 1, 0
    trained = detector(calibration=4).fit(rows(0, anomalies=15), labels=labels)
    assert trained.calibration_scores_.shape == (385,)
    assert trained.calibration_scores_.max() < trained.training_scores_[:15].min()


def test_auxiliary_outliers_and_text_columns_take_part_in_folds():
    frame = pd.DataFrame(rows(0), columns=list("pqrs")).assign(kind=np.random.default_rng(0).choice(["a", "b"], 400))
    frame.loc[7, "kind"] = "alone"
    outliers = frame.iloc[:5].copy()
    trained = detector("autoencoder", calibration=3).fit(frame, outliers=outliers)
    assert np.isfinite(trained.p_value(frame.sample(50, random_state=0))).all()


def test_calibration_leaves_the_model_as_it_is():
    X = rows(1)
    for objective in QUICK:
        plain, calibrated = (detector(objective, calibration=folds).fit(rows(0)) for folds in (None, 3))
        assert np.array_equal(plain.anomaly_score(X), calibrated.anomaly_score(X))
        assert np.array_equal(detector(objective, calibration=3).fit(rows(0)).p_value(X), calibrated.p_value(X))


def test_folds_that_do_not_fit_in_memory_are_trained_one_by_one(monkeypatch):
    several = detector("autoencoder", calibration=3, contamination=0.1, batch_size=100).fit(rows(0))
    monkeypatch.setattr(calibrate, "TOGETHER", 0)
    single = detector("autoencoder", calibration=3, contamination=0.1, batch_size=100).fit(rows(0))
    np.testing.assert_allclose(single.calibration_scores_, several.calibration_scores_, rtol=0.05)


def test_fitted_together_each_is_calibrated():
    pair = fit_together([detector("autoencoder", calibration=3) for _ in range(2)], [rows(0), rows(1)])
    assert all(len(one.calibration_scores_) == 400 for one in pair)


@pytest.mark.parametrize("rule", RULES)
def test_p_values_and_rules_survive_a_model_folder_to_the_bit(fitted, rule, tmp_path):
    X = rows(1)
    fitted.set_params(threshold=rule).save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.p_value(X), fitted.p_value(X))
    assert loaded.threshold_score() == fitted.threshold_score()
    assert loaded.threshold_rule_ == fitted.threshold_rule_


def test_an_own_rule_is_not_saved(fitted, tmp_path):
    fitted.set_params(threshold=Line(0.9))
    with pytest.raises(InputError, match=r"object of your own, Line.*set_params\(threshold=None\)"):
        fitted.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    fitted.set_params(threshold=None).save(tmp_path / "model")
    X = rows(1)
    again = AnomalyDetector.load(tmp_path / "model", device="cpu").set_params(threshold=Line(0.9))
    assert np.array_equal(again.predict(X), fitted.set_params(threshold=Line(0.9)).predict(X))


def test_without_calibration_the_error_says_how():
    plain = detector().fit(rows(0))
    assert plain.calibration_scores_ is None
    for act in (lambda: plain.p_value(rows(1)), lambda: plain.set_params(threshold="conformal").predict(rows(1))):
        with pytest.raises(InputError, match=r"calibration=5.*calibrate\(X\)"):
            act()


def test_a_refit_forgets_the_calibration_before():
    trained = detector().fit(rows(0)).calibrate(rows(1))
    assert trained.fit(rows(0)).calibration_scores_ is None


@pytest.mark.parametrize("folds", [1, 0, 2.5, "5", True])
def test_folds_out_of_range(folds):
    with pytest.raises(ValueError, match="calibration must be a whole number of at least 2 or None"):
        detector(calibration=folds).fit(rows(0))


def test_more_folds_than_rows_allow():
    with pytest.raises(InputError, match="by 30 folds needs at least two rows in each; got 40"):
        detector(calibration=30).fit(rows(0, 40, 2))


def test_calibration_rows_that_are_all_known_anomalies():
    with pytest.raises(ValueError, match="all 400 rows as anomalies"):
        detector().fit(rows(0)).calibrate(rows(1), np.ones(400))


@pytest.mark.parametrize("together", [True, False])
def test_an_interrupted_calibration_leaves_a_model_without_p_values(monkeypatch, together):
    if not together:
        monkeypatch.setattr(calibrate, "TOGETHER", 0)
    name = "train_alike" if together else "train"
    train = getattr(calibrate, name)

    def stop(*arguments):
        trained = train(*arguments)
        return (
            [*trained[:-1], replace(trained[-1], interrupted=True)] if together else replace(trained, interrupted=True)
        )

    monkeypatch.setattr(calibrate, name, stop)
    with pytest.warns(InterruptedWarning, match="no p-values"):
        trained = detector("autoencoder", calibration=3).fit(rows(0))
    assert trained.calibration_scores_ is None
    assert np.isfinite(trained.anomaly_score(rows(1))).all()
