"""An objective and an encoder of the user's own, with everything that the registered ones can do."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from expose import AnomalyDetector, Losses, Objective, OutlierExposureClassifier, load
from expose.encoders import Encoder
from expose.errors import InputError, ModelFolderError
from expose.objectives import NTL, Descend, Neighbours

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4)) + [0, 10, 100, 1000]
X[:15] = X[:15].mean(axis=0) + 30 * RNG.normal(size=(15, 4))
ODD = np.arange(300) < 15


class Centre(Objective):
    """Distance to a learned centre, in units of a learned spread."""

    recipe = Descend(epochs=30, learning_rate=0.02)

    def __init__(self, power: float = 2.0, **training):
        super().__init__(**training)
        self.power = power

    def build(self, layout):
        self.centre = nn.Parameter(torch.randn(layout.n_values))

    def losses(self, batch):
        distance = (batch - self.centre).abs().pow(self.power).mean(-1)
        return Losses(distance, 1 / (distance + 0.1))


def test_an_own_objective_brings_its_recipe_and_settings():
    made = Centre(power=1.5, epochs=7)
    assert made.recipe == Descend(epochs=7, learning_rate=0.02)
    assert made.settings() == {"power": 1.5, "epochs": 7}
    assert Centre(**made.settings()).recipe == made.recipe
    with pytest.raises(InputError, match="Centre has no setting 'pow'"):
        Centre(pow=3)


@pytest.mark.parametrize(
    ("objective", "encoder"),
    [(Centre(power=1.5), None), (Neighbours(), StandardScaler()), (Centre(), StandardScaler())],
    ids=["objective", "encoder", "both"],
)
def test_own_parts_fit_score_explain_save_and_load(objective, encoder, tmp_path):
    model = AnomalyDetector(objective, encoder=encoder, random_state=0).fit(X)
    assert roc_auc_score(ODD, model.training_scores_) > 0.9
    assert not hasattr(encoder, "mean_")  # the object given is not touched, and neither is the objective
    assert not hasattr(objective, "centre")
    spoiled = X[20:21].copy()
    spoiled[0, 2] += 50
    told = model.explain(spoiled)
    assert told.effects.shape == (1, 4)
    assert told.names[told.effects[0].argmax()] == "x2"
    model.save(tmp_path / "model")
    own = {"objective": objective if isinstance(objective, Centre) else None}
    own["encoder"] = None if encoder is None else model.encoder_.own
    for name in [name for name, part in own.items() if part is not None]:
        with pytest.raises(ModelFolderError, match=f"load\\(folder, {name}="):
            load(tmp_path / "model", **(own | {name: None}))
    loaded = load(tmp_path / "model", **own)
    assert np.array_equal(loaded.anomaly_score(X), model.anomaly_score(X))
    assert np.array_equal(loaded.explain(spoiled).effects, told.effects)


def test_an_own_encoder_tells_of_its_outputs_by_their_names():
    model = AnomalyDetector(encoder=PCA(2, random_state=0), random_state=0).fit(X)
    assert model.explain(X[:3]).names == ("pca0", "pca1")
    classifier = OutlierExposureClassifier(encoder=PCA(2), recipe=Descend(epochs=2), random_state=0).fit(X, ODD)
    assert classifier.predict_proba(X).shape == (300, 2)


class Gives(TransformerMixin, BaseEstimator):
    """An encoder that gives one value for everything, in some form."""

    def __init__(self, form=None):
        self.form = form

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        value = {"texts": "a", "nan": np.nan, "large": 1e300}.get(self.form, 0.0)
        return np.full({"flat": len(X), "short": (1, 2)}.get(self.form, (len(X), 2)), value)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("flat", r"Gives.transform must give numbers of shape \(\d+, D\), or .* parts of each sample; got shape"),
        ("short", r"must give numbers .*; got shape \(1, 2\)"),
        ("texts", "must give numbers"),
        ("nan", "gave NaN, infinity .*, first in sample 0"),
        ("large", "too large for float32"),
    ],
)
def test_what_an_own_encoder_must_not_give(form, message):
    with pytest.raises(InputError, match=message):
        AnomalyDetector(encoder=Gives(form)).fit(X)


# ------------------------------------------------------------------------------------------------------ parts

PLACES = 6


class Windows(TransformerMixin, BaseEstimator):
    """Cuts each row of PLACES * 3 values into PLACES parts of three."""

    def fit(self, X, y=None):
        self.n_ = X.shape[1]
        return self

    def transform(self, X):
        return X.reshape(len(X), -1, 3)


def with_one_odd_part(n=400, odd=20, seed=0):
    """Parts on a line each; of some samples one part lies off it. Returns samples, truth, and which part is odd."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n, PLACES, 1)) * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(n, PLACES, 3))
    place = rng.integers(0, PLACES, n)
    parts[np.arange(odd), place[:odd]] = rng.normal(size=(odd, 3)) * 3
    return parts.reshape(n, -1), np.arange(n) < odd, place


@pytest.mark.parametrize("objective", [Neighbours(), NTL(epochs=20)], ids=["neighbours", "ntl"])
def test_a_sample_with_one_odd_part_is_found_and_the_part_too(objective, tmp_path):
    rows, truth, place = with_one_odd_part()
    model = AnomalyDetector(objective, encoder=Windows(), random_state=0).fit(rows)
    scores, parts = model.anomaly_score(rows), model.scorer().part_scores(rows)
    assert parts.shape == (400, PLACES)
    assert np.array_equal(parts.max(axis=1), scores)  # a sample's score is what its most anomalous part says
    assert np.array_equal(model.training_scores_, scores)
    assert roc_auc_score(truth, scores) > 0.9
    assert (parts[:20].argmax(axis=1) == place[:20]).mean() > 0.8
    assert model.latent_labels_.shape == (400,)
    assert truth[model.ranking_["row"][:10]].mean() >= 0.8
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", encoder=model.encoder_.own)
    assert np.array_equal(loaded.scorer().part_scores(rows), parts)


def test_the_most_anomalous_part_is_what_is_explained():
    rows, _, _ = with_one_odd_part()
    model = AnomalyDetector(encoder=Windows(), random_state=0).fit(rows)
    spoiled = rows[30:32].reshape(2, PLACES, 3).copy()
    spoiled[0, 4, 1] += 9
    spoiled[1, 2, 2] -= 9
    told = model.explain(spoiled.reshape(2, -1))
    assert told.names == ("value 0", "value 1", "value 2")
    assert told.effects.argmax(axis=1).tolist() == [1, 2]


def test_members_labels_outliers_and_queries_take_samples_of_parts():
    rows, truth, _ = with_one_odd_part()
    labels = np.where(np.arange(400) < 5, 1, -1)
    model = AnomalyDetector(ensemble_size=2, calibration=2, encoder=Windows(), random_state=0)
    model.fit(rows, labels=labels, outliers=rows[5:8])
    assert model.member_scores(rows).shape == (2, 400)
    assert (model.latent_labels_[:5] == 1).all()
    assert len(model.calibration_scores_) == 395
    assert len(set(model.query(rows, 7)) - set(range(5))) == 7
    assert roc_auc_score(truth, model.anomaly_score(rows)) > 0.9
    with pytest.raises(InputError, match="one vector per sample; this encoder gives parts"):
        OutlierExposureClassifier(encoder=Windows()).fit(rows, truth)


def test_texts_in_vectors_of_ones_own_are_judged_by_what_takes_vectors():
    texts = [f"a common text {i % 7}" for i in range(60)] + ["!!! ??? ###"]
    detector = AnomalyDetector(encoder=TfidfVectors(), random_state=0).fit(texts)
    assert detector.objective_.name == "neighbours"
    assert detector.ranking_["row"][0] == 60


class TfidfVectors:
    def fit(self, texts):
        self.words = sorted({word for text in texts for word in text.split()})
        return self

    def transform(self, texts):
        return np.array([[text.split().count(word) for word in self.words] for text in texts], dtype=float)


def test_an_encoder_that_forgets_its_layout_is_told():
    class Forgetful(Encoder):
        def fit(self, samples):
            pass

    with pytest.raises(InputError, match=r"Forgetful\.fit must set self\.layout"):
        AnomalyDetector(encoder=Forgetful()).fit(np.zeros((20, 2)))
