"""A fit that is refused or fails changes nothing of what was fitted, and one that never was stays unfitted."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from expose import AnomalyDetector, OutlierExposureClassifier, load
from expose.errors import InputError, NonFiniteLossError
from expose.objectives import Autoencoder, Descend

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.ExposeWarning")
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(80, 3)), columns=list("abc"))
Y = np.arange(80) % 2
MODELS = {
    "neighbours": AnomalyDetector(random_state=0),
    "autoencoder": AnomalyDetector(Autoencoder(epochs=2), random_state=0),
    "classifier": OutlierExposureClassifier(recipe=Descend(epochs=2), random_state=0),
}
OTHER = FRAME.rename(columns=str.upper).assign(more=1.0)  # other columns, and one more


class Breaks(nn.Module):
    """A network whose outputs are not finite."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, rows):
        return self.weight * rows[:, :2] * torch.inf


def refusals(name):
    """Calls of fit that cannot succeed."""
    infinite = OTHER.assign(more=np.where(Y, np.inf, 0.0))
    yield "infinite", {"X": infinite, "y": Y}, ValueError
    yield "outliers", {"X": OTHER, "y": Y, "outliers": np.zeros((5, 9))}, InputError
    yield "one row", {"X": OTHER[:1], "y": Y[:1]}, ValueError
    yield "no row", {"X": OTHER[:0], "y": Y[:0]}, ValueError
    if name == "classifier":
        yield "classes", {"X": OTHER, "y": np.zeros(80)}, ValueError
        yield "length", {"X": OTHER, "y": Y[:70]}, ValueError
    else:
        yield "labels", {"X": OTHER, "labels": np.full(80, 2)}, ValueError
        yield "length", {"X": OTHER, "labels": Y[:70]}, ValueError


CASES = [(name, *case) for name in MODELS for case in refusals(name)]
IDS = [f"{name}-{what}" for name, what, *_ in CASES]


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


def looks(model):
    """All of a fitted model that a user sees."""
    return [
        model.anomaly_score(FRAME).tolist(),
        model.training_scores_.tolist(),
        model.latent_labels_.tolist(),
        model.predict(FRAME).tolist(),
        model.threshold_score(),
        model.n_features_in_,
        model.feature_names_in_.tolist(),
        model.encoder_.names,
    ]


@pytest.mark.parametrize(("name", "what", "call", "error"), CASES, ids=IDS)
def test_a_refused_refit_leaves_the_model_as_it_was(name, what, call, error):
    model = clone(MODELS[name]).fit(FRAME, Y)
    before = looks(model)
    with pytest.raises(error):
        model.fit(**call)
    assert looks(model) == before


@pytest.mark.parametrize(("name", "what", "call", "error"), CASES, ids=IDS)
def test_after_a_failed_first_fit_a_model_is_not_fitted(name, what, call, error):
    model = clone(MODELS[name])
    with pytest.raises(error):
        model.fit(**call)
    for method in ("predict", "anomaly_score", "is_anomaly"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(FRAME)
    with pytest.raises(NotFittedError):
        model.threshold_score()
    assert not [name for name in vars(model) if name.endswith("_")]


def test_a_refit_whose_training_breaks_leaves_the_classifier_as_it_was():
    model = clone(MODELS["classifier"]).fit(FRAME, Y)
    before = looks(model)
    with pytest.raises(NonFiniteLossError):
        model.set_params(network=Breaks()).fit(OTHER, 1 - Y)
    assert looks(model.set_params(network="auto")) == before


def test_a_refit_on_an_array_forgets_the_names_of_a_frame(name):
    model = clone(MODELS[name]).fit(FRAME, Y).fit(FRAME.to_numpy()[:, :2], Y)
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("rows", [0, 1])
def test_a_warm_start_refuses_no_row_and_one(name, rows):
    model = clone(MODELS[name]).set_params(warm_start=True).fit(FRAME, Y)
    before = looks(model)
    with pytest.raises(InputError, match=f"{rows} sample"):
        model.fit(FRAME[:rows], Y[:rows])
    assert looks(model) == before


def test_a_loaded_model_takes_a_checkpoint_and_is_saved_again(name, tmp_path):
    model = clone(MODELS[name]).fit(FRAME, Y)
    model.save(tmp_path / "first")
    (tmp_path / "checkpoint").write_text("of another run")
    loaded = load(tmp_path / "first").set_params(checkpoint=tmp_path / "checkpoint")
    loaded.save(tmp_path / "second")
    assert not (tmp_path / "checkpoint").exists()
    assert looks(load(tmp_path / "second")) == looks(model)


def test_a_loaded_detector_goes_on_where_the_saved_one_was(tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 3))
    detector = AnomalyDetector("neighbours", random_state=0, warm_start=True).fit(X)
    detector.save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model").set_params(objective="neighbours")
    assert np.array_equal(loaded.fit(X).anomaly_score(X), detector.fit(X).anomaly_score(X))
