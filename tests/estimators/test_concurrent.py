"""Fits and scores in several threads at once: equal to alone, and nothing is left changed behind them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.objectives import NTL, Descend, Neighbours

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.ExposeWarning")
ROWS = [np.random.default_rng(seed).normal(size=(60, 3)) for seed in range(2)]
Y = np.arange(60) % 2
RECIPE = {"epochs": 2, "batch_size": 20}
MODELS = {
    "neighbours": lambda: AnomalyDetector(Neighbours(reference_points=40), random_state=0),
    "ntl": lambda: AnomalyDetector(NTL(**RECIPE), contamination=0.1, ensemble_size=2, random_state=0),
    "classifier": lambda: OutlierExposureClassifier(recipe=Descend(**RECIPE), random_state=0),
}


def fitted(name, number):
    return MODELS[name]().fit(ROWS[number], Y)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def at_once(work, times):
    """What a function of 0 and 1 gives when two threads call it at the same time, again and again."""
    together = Barrier(2)

    def turns(number):
        found = []
        for _ in range(times):
            together.wait()
            found.append(work(number))
        return found

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(turns, range(2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_fits_in_two_threads_are_two_fits_alone(name, two_threads):
    torch.manual_seed(7)
    state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    alone = [fitted(name, number).training_scores_ for number in range(2)]
    for number, found in enumerate(at_once(lambda number: fitted(name, number).training_scores_, times=20)):
        assert all(np.array_equal(scores, alone[number]) for scores in found)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2  # also in threads that are begun afterwards


@pytest.mark.parametrize("name", MODELS)
def test_one_model_scores_from_two_threads_as_from_one(name, two_threads):
    model = fitted(name, 0)
    alone = [model.anomaly_score(rows) for rows in ROWS]
    for number, found in enumerate(at_once(lambda number: model.anomaly_score(ROWS[number]), times=20)):
        assert all(np.array_equal(scores, alone[number]) for scores in found)
    assert torch.get_num_threads() == 2


def test_a_fit_beside_scores_changes_neither(two_threads):
    model, other = fitted("neighbours", 0), fitted("ntl", 1).training_scores_
    scores = model.anomaly_score(ROWS[1])

    def work(number):
        return fitted("ntl", 1).training_scores_ if number else model.anomaly_score(ROWS[1])

    scored, trained = at_once(work, times=5)
    assert all(np.array_equal(found, scores) for found in scored)
    assert all(np.array_equal(found, other) for found in trained)
