"""What a fitted model holds, and what it does not."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.decide import conformal_p_values
from expose.objectives import Autoencoder, Descend, Neighbours

COLUMNS = 50


def models():
    recipe = {"epochs": 1, "batch_size": 1000}
    yield "neighbours", lambda: AnomalyDetector(Neighbours(reference_points=100), random_state=0)
    yield "folds", lambda: AnomalyDetector(Neighbours(reference_points=100), calibration=2, random_state=0)
    yield "autoencoder", lambda: AnomalyDetector(Autoencoder(**recipe), random_state=0)
    yield "classifier", lambda: OutlierExposureClassifier(recipe=Descend(**recipe), random_state=0)


def fitted(make, n):
    rows = np.random.default_rng(0).normal(size=(n, COLUMNS))
    return make().fit(rows, np.arange(n) % 2)


def arrays_in(thing, seen=None):
    """All arrays and tensors that can be reached from an object."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | type(None) | type):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray | torch.Tensor):
        yield thing
        return
    inside = list(thing.values()) if isinstance(thing, dict) else []
    inside += list(thing) if isinstance(thing, list | tuple | set) else []
    for each in [*inside, *vars(thing).values()] if hasattr(thing, "__dict__") else inside:
        yield from arrays_in(each, seen)


@pytest.mark.parametrize(("name", "make"), list(models()), ids=lambda value: value if isinstance(value, str) else "")
def test_nothing_keeps_the_training_table(name, make):
    small, large = fitted(make, 1000), fitted(make, 3000)
    grown = len(pickle.dumps(large)) - len(pickle.dumps(small))
    assert grown < 2000 * 8 * 6  # scores, latent and known labels of a row, not its fifty values
    found = [array for array in arrays_in(large) if 3000 in array.shape]
    assert found  # the search does find what is there
    assert all(array.size <= 3000 * 4 for array in found)


def test_a_training_table_is_let_go():
    import gc
    import weakref

    class Table(pd.DataFrame):
        """A frame that can be watched."""

    frame = Table(np.random.default_rng(0).normal(size=(100, 3)), columns=list("abc"))
    watched = weakref.ref(frame)
    model = AnomalyDetector(random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == list("abc")
    del frame
    gc.collect()
    assert watched() is None


def test_suspects_are_as_many_as_training_took_and_agree_with_the_latent_labels():
    for n, share in ((200, 0.1), (200, 0.003), (30, 0.01), (30, 0.02), (100, 0.005), (200, 0.0)):
        rows = np.random.default_rng(0).normal(size=(n, 3))
        model = AnomalyDetector(contamination=share, random_state=0).fit(rows)
        suspects, latent = model.suspects_, model.latent_labels_
        assert len(suspects) == round(share * n) == (latent > 0).sum()
        assert set(suspects["row"]) == set(np.flatnonzero(latent > 0))


def test_the_ranking_orders_all_rows_and_begins_with_the_suspects():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    labels = np.full(200, -1)
    labels[:3], labels[3:6] = 1, 0
    model = AnomalyDetector(Autoencoder(epochs=2), contamination=0.05, random_state=0).fit(rows, labels=labels)
    ranking = model.ranking_
    assert ranking["rank"].tolist() == list(range(1, 201))
    assert sorted(ranking["row"]) == list(range(200))
    assert set(ranking["row"][:3]) == {0, 1, 2}
    assert ranking["row"][3 : 3 + len(model.suspects_)].tolist() == model.suspects_["row"].tolist()
    assert np.array_equal(ranking["anomaly_score"], model.training_scores_[ranking["row"]])
    assert set(ranking["row"][-3:]) == {3, 4, 5}  # known to be normal
    order = np.lexsort((-ranking["anomaly_score"], -ranking["latent_label"], np.arange(200) >= 197))
    assert order.tolist() == list(range(200))


def test_p_values_follow_a_new_calibration_and_a_new_score_function():
    rng = np.random.default_rng(0)
    rows, normal, others = rng.normal(size=(120, 3)), rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) * 2
    model = AnomalyDetector(random_state=0).fit(rows)
    for calibrating in (normal, others):
        expected = conformal_p_values(model.anomaly_score(rows), model.anomaly_score(calibrating))
        assert np.array_equal(model.calibrate(calibrating).p_value(rows), expected)
    recipe = Descend(epochs=1)
    classes = OutlierExposureClassifier(recipe=recipe, random_state=0).fit(rows, np.arange(120) % 3).calibrate(normal)
    for name in ("entropy", "energy", "msp"):
        classes.set_params(score_function=name)
        expected = conformal_p_values(classes.anomaly_score(rows), classes.anomaly_score(normal))
        assert np.array_equal(classes.scorer().decide(rows).p_value, expected)
