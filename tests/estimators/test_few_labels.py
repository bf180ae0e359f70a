import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score as auroc

from expose import AnomalyDetector, fit_together
from expose.errors import InputError
from expose.objectives import SVDD, Autoencoder, Neighbours


@pytest.fixture(scope="module")
def hidden():
    """Normal rows in two clusters of unlike width, and a dense one of anomalies between; unseen rows of the same."""
    rng = np.random.default_rng(0)

    def draw(n):
        parts = [rng.normal(0, 1.0, (n, 6)), rng.normal(4, 0.5, (n, 6)), rng.normal(1.8, 0.1, (n // 4, 6))]
        return np.concatenate(parts), np.repeat([0, 0, 1], [n, n, n // 4])

    return draw(400), draw(200)


def labels_of(y, rows):
    labels = np.full(len(y), -1)
    labels[rows] = y[rows]
    return labels


def test_few_queried_labels_find_a_dense_cluster(hidden):
    (X, y), (unseen, truth) = hidden
    detector = AnomalyDetector(random_state=0).fit(X)
    before = auroc(truth, detector.anomaly_score(unseen))
    labels = labels_of(y, detector.query(X, 10))
    assert 0 < (labels == 1).sum() < 10
    after = auroc(truth, detector.fit(X, labels=labels).anomaly_score(unseen))
    assert before < 0.8
    assert after > 0.97


def test_known_labels_hold(hidden):
    (X, y), _ = hidden
    labels = labels_of(y, [0, 1, 2, 805, 806])
    wrong = labels.copy()
    wrong[850], wrong[5] = 0, 1  # among anomalies, among normal rows
    detector = AnomalyDetector(random_state=0).fit(X, labels=wrong)
    assert (detector.latent_labels_[wrong >= 0] == wrong[wrong >= 0]).all()
    memory = detector.objective_
    assert memory.keep_normal[850] == 1
    assert memory.keep_abnormal[5] == 1
    assert not np.isin(detector.suspects_["row"], np.flatnonzero(wrong >= 0)).any()


@pytest.mark.parametrize("objective", ["neighbours", SVDD(epochs=2)])
def test_queries_are_unlabelled_distinct_and_the_same_again(hidden, objective):
    (X, y), _ = hidden
    labels = labels_of(y, np.arange(0, 900, 9))
    detector = AnomalyDetector(objective, random_state=0).fit(X, labels=labels)
    rows = detector.query(X, 30)
    assert rows.dtype == np.int64
    assert len(set(rows.tolist())) == 30
    assert (labels[rows] == -1).all()
    again = clone(detector).fit(X, labels=labels)
    assert again.query(X, 30).tolist() == rows.tolist()


def test_queries_need_the_training_table_also_after_loading(hidden, tmp_path):
    (X, y), _ = hidden
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels_of(y, [0, 800]))
    detector.save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model")
    assert loaded.query(X, 5).tolist() == detector.query(X, 5).tolist()
    with pytest.raises(InputError, match="X must be the training data, 900 rows; got 10 rows"):
        loaded.query(X[:10], 5)


def test_queries_that_cannot_be(hidden):
    (X, y), _ = hidden
    with pytest.raises(ValueError, match="not fitted"):
        AnomalyDetector().query(X, 5)
    labels = y.copy()
    labels[:3] = -1
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels)
    with pytest.raises(InputError, match="number of unlabelled rows, 3 here; got 4"):
        detector.query(X, 4)
    assert sorted(detector.query(X, 3).tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        detector.query(X, 0)


def test_large_tables_are_sampled(monkeypatch, hidden):
    monkeypatch.setattr("expose.estimators.query.QUERY_ROWS", 100)
    (X, y), _ = hidden
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels_of(y, [0, 805]))
    rows = detector.query(X, 20)
    assert len(set(rows.tolist())) == 20
    with pytest.raises(InputError, match="98 here"):
        detector.query(X, 99)


def test_ten_labels_tell_the_share(hidden):
    (X, y), _ = hidden
    rows = np.random.default_rng(1).choice(len(X), 60, replace=False)
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels_of(y, rows))
    estimate = detector.contamination_estimate_
    assert "from 60 labels" in estimate.method
    assert abs(detector.contamination_ - y.mean()) < 0.06
    assert estimate.low <= estimate.value <= estimate.high
    few = AnomalyDetector(random_state=0).fit(X, labels=labels_of(y, rows[:9]))
    assert "labels" not in few.contamination_estimate_.method


def test_a_warm_start_goes_on(hidden):
    (X, y), _ = hidden
    detector = AnomalyDetector(Autoencoder(epochs=20, batch_size=64), random_state=0, warm_start=True).fit(X)
    cold = detector.history_
    labels = labels_of(y, detector.query(X, 10))
    warm = detector.set_params(objective=Autoencoder(epochs=3, batch_size=64)).fit(X, labels=labels).history_
    anew = clone(detector).fit(X, labels=labels).history_  # of a detector that is not fitted, the start is cold
    assert warm[0]["loss"] < 0.8 * anew[0]["loss"]
    assert warm[0]["loss"] < cold[0]["loss"]
    assert len(warm) == 3


def test_a_warm_start_is_shorter_and_repeatable(hidden):
    (X, y), _ = hidden
    labels = labels_of(y, [0, 805])
    scores = []
    for _ in range(2):
        detector = AnomalyDetector(SVDD(epochs=6, batch_size=900), ensemble_size=2, random_state=0, warm_start=True)
        detector.fit(X).set_params(objective=SVDD(batch_size=900)).fit(X, labels=labels)
        scores.append(detector.training_scores_)
    assert len(detector.history_) == 67  # a third of 200
    assert (scores[0] == scores[1]).all()


def test_a_warm_start_remembers_the_same_rows(monkeypatch, hidden):
    (X, y), _ = hidden
    detector = AnomalyDetector(Neighbours(reference_points=100), warm_start=True).fit(X)  # any seed
    before = {row.numpy().tobytes() for row in detector.objective_.rows}
    labels = labels_of(y, [1, 2, 3, 805, 806])
    after = {row.numpy().tobytes() for row in detector.fit(X, labels=labels).objective_.rows}
    assert len(before & after) >= 95


def test_warm_starts_that_cannot_be(hidden):
    (X, _), _ = hidden
    detector = AnomalyDetector(random_state=0, warm_start=True).fit(X)
    with pytest.raises(ValueError, match="3 features"):
        detector.fit(X[:, :3])
    with pytest.raises(InputError, match="warm_start goes on from what was fitted: objective 'neighbours'"):
        detector.set_params(objective="svdd").fit(X)
    with pytest.raises(InputError, match=r"2 member\(s\)"):
        detector.set_params(objective="neighbours", ensemble_size=2).fit(X)
    with pytest.raises(InputError, match="cannot have a warm start"):
        fit_together([AnomalyDetector(warm_start=True, random_state=0)], [X])


def test_a_warm_start_has_a_checkpoint_of_its_own(hidden, tmp_path):
    (X, _), _ = hidden
    objective, checkpoint = SVDD(epochs=4, checkpoint_every=0), tmp_path / "c"
    detector = AnomalyDetector(objective, random_state=0, warm_start=True, checkpoint=checkpoint).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning, match="other data or parameters"):
            detector.fit(X)


def test_a_list_of_known_anomalies_does_not_tell_the_share(hidden):
    (X, y), _ = hidden
    rows = np.concatenate([np.flatnonzero(y)[:60], np.arange(12)])
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels_of(y, rows))
    assert "labels" not in detector.contamination_estimate_.method


def test_auxiliary_outliers_do_not_spread(hidden):
    (X, _), _ = hidden
    labels = np.full(len(X), -1)
    labels[:3] = 0
    detector = AnomalyDetector(random_state=0).fit(X, labels=labels, outliers=X[5:50])
    assert int((detector.objective_.keep_abnormal > 0).sum()) == 45
