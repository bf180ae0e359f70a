import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import IsolationForest

from expose.errors import InputError, MissingExtraError
from expose_lab import auroc
from expose_lab.classical import BASELINES, Baseline, encoder_for

PYOD = {"kNN", "PCA", "ECOD", "CBLOF", "HBOS"}


@pytest.fixture(params=list(BASELINES))
def name(request):
    if request.param in PYOD:
        pytest.importorskip("pyod", reason="needs the extra bench")
    return request.param


def shuffled(toy):
    order = np.random.default_rng(5).permutation(len(toy.y))
    return toy.X[order] * [1, 10, 100, 1000], toy.y[order]  # scales differ: each is standardised


def test_each_finds_planted_anomalies_in_scikit_learns_direction(name, make_toy):
    X, y = shuffled(make_toy(normal=300, anomalies=10))
    fitted = Baseline(name, contamination=0.05, random_state=0).fit(X)
    assert auroc(y, -fitted.score_samples(X)) > 0.9
    np.testing.assert_array_equal(fitted.predict(X) == -1, fitted.decision_function(X) < 0)
    assert np.unique(fitted.predict(X)).tolist() == [-1, 1]


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_the_assumed_share_of_the_training_rows_is_flagged(name, make_toy, contamination):
    X, _ = shuffled(make_toy(normal=300, anomalies=20))
    fitted = Baseline(name, contamination=contamination, random_state=0).fit(X)
    flagged = (fitted.predict(X) == -1).mean()
    # LOF and kNN score training rows without themselves as a neighbour, new rows with all
    assert flagged == pytest.approx(contamination, abs=0.11 if name in ("LOF", "kNN") else 0.02)


def test_same_seed_same_scores(name, toy):
    scores = [Baseline(name, random_state=3).fit(toy.X).score_samples(toy.X) for _ in range(2)]
    np.testing.assert_array_equal(*scores)


def test_it_can_be_fitted_with_few_rows_and_constant_columns(name):
    X = np.random.default_rng(0).normal(size=(12, 3))
    X[:, 1] = 7
    assert np.isfinite(Baseline(name, random_state=0, trimmed=1).fit(X).score_samples(X)).all()


@pytest.mark.parametrize(
    ("trimmed", "contamination", "left"),
    [(0, 0.1, [200]), (1, 0.1, [200, 180]), (2, 0.1, [200, 160]), (2, 0.4, [200, 100]), (1, 0.001, [200])],
)
def test_trimming_drops_so_many_of_the_highest_scores_and_fits_again(toy, monkeypatch, trimmed, contamination, left):
    seen = []
    monkeypatch.setitem(BASELINES, "spy", lambda seed, rows: seen.append(rows) or IsolationForest(random_state=seed))
    fitted = Baseline("spy", trimmed=trimmed, contamination=contamination, random_state=0).fit(toy.X)
    assert [len(rows) for rows in seen] == left
    scores = -fitted.score_samples(toy.X)  # of all rows, also of those dropped, by the last fit
    assert fitted.offset_ == pytest.approx(-np.quantile(scores, 1 - contamination))
    if len(left) == 2:
        first = Baseline("spy", random_state=0).fit(toy.X)
        kept = np.sort(np.argsort(-first.score_samples(toy.X), kind="stable")[: left[1]])
        np.testing.assert_allclose(fitted.encoder_.mean_, toy.X[kept].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("classical", "many", "gain"), [("LOF", 2, 0.05), ("OneClassSVM", 1, 0.005)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_trimming_gains_where_anomalies_are_planted(classical, many, gain, seed):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(size=(180, 4)), rng.normal(size=(20, 4)) + 2.5])
    test = np.concatenate([rng.normal(size=(200, 4)), rng.normal(size=(100, 4)) + 2.5])
    truth = np.repeat([0, 1], [200, 100])
    plain, trimmed = (Baseline(classical, trimmed=times, contamination=0.1).fit(rows) for times in (0, many))
    assert auroc(truth, -trimmed.score_samples(test)) > auroc(truth, -plain.score_samples(test)) + gain


def mixed_rows(normal=150, anomalies=15, seed=0):
    """A number, a category that goes with it, a second number; some of all are missing. Anomalies break the rule."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["a", "b", "c"], normal + anomalies).astype(object)
    numbers = rng.normal(size=(normal + anomalies, 2)).astype(object)
    numbers[normal:] += 6
    X = np.column_stack([numbers[:, 0], kinds, numbers[:, 1]])
    X[rng.random(X.shape) < 0.05] = None
    return X, np.repeat([0, 1], [normal, anomalies])


def test_columns_of_several_types_are_read_by_each(name):
    X, y = mixed_rows()
    fitted = Baseline(name, contamination=0.05, random_state=0, trimmed=1).fit(X[:150])
    assert auroc(y, -fitted.score_samples(X)) > 0.9
    new = X[:1].copy()
    new[0, 1] = "never seen"
    assert np.isfinite(fitted.score_samples(new)).all()


def test_categories_and_medians_are_those_of_the_training_rows():
    X = np.array([["a", 1, None], ["b", None, None], ["a", 3, None], ["a", 8, None]], dtype=object)
    encoder = encoder_for(X).fit(X)
    deviation = np.std([1, 3, 3, 8])
    expected = [[(3 - 3.75) / deviation, 0, 1, 1], [(9 - 3.75) / deviation, 0, 0, 0]]
    later = np.array([["b", None, None], ["c", 9, "what"]], dtype=object)
    np.testing.assert_allclose(encoder.transform(later), expected)


def test_objects_that_are_all_numbers_are_judged_as_numbers(toy):
    plain, objects = (Baseline("LOF").fit(X).score_samples(X) for X in (toy.X, toy.X.astype(object)))
    np.testing.assert_allclose(plain, objects)


def test_its_parameters_are_scikit_learns(toy):
    one = clone(Baseline("LOF", trimmed=2, contamination=0.2))
    assert one.get_params() == {"name": "LOF", "trimmed": 2, "contamination": 0.2, "random_state": None}
    with pytest.raises(InputError, match="IsolationForest, LOF"):
        Baseline("forest").fit(toy.X)


def test_without_pyod_the_install_line_is_said(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyod.models.knn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[bench\]'"):
        Baseline("kNN").fit(toy.X)
