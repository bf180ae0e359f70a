"""The detector on images and texts: what it promises for tables holds for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

from expose import AnomalyDetector, Losses, Objective, OutlierExposureClassifier
from expose.encoders import Layout, TableEncoder
from expose.errors import DataWarning, InputError
from expose.objectives import OBJECTIVES, Autoencoder, make_objective

DIGITS = load_digits()
IMAGES, DIGIT = DIGITS.images / 16, DIGITS.target  # (n, 8, 8)
NORMAL = np.flatnonzero(DIGIT == 3)  # 183 images
AUXILIARY = IMAGES[np.flatnonzero(DIGIT < 2)]
NEW = np.concatenate([NORMAL[120:], np.flatnonzero((DIGIT > 1) & (DIGIT != 3))[:200]])  # of kinds not exposed to
FOR_IMAGES, FOR_TEXTS = (
    sorted(name for name, cls in OBJECTIVES.items() if form in cls.forms) for form in ("image", "tokens")
)

QUICK = {"mhrot": {"depth": 10, "widen": 1, "views": 6, "epochs": 12}}


class Topic(Objective):
    """Texts on the subject of training: the distance of the mean word from a centre."""

    name = "topic"
    forms = ("tokens",)

    def build(self, layout: Layout) -> None:
        self.words = nn.Embedding(layout.n_tokens, 8, padding_idx=0)
        self.register_buffer("centre", torch.ones(8))

    def losses(self, batch: torch.Tensor) -> Losses:
        tokens = self.layout.unfold(batch)  # (B, T)
        mean = self.words(tokens).sum(1) / (tokens > 0).sum(1, keepdim=True).clamp(min=1)  # (B, 8)
        apart = (mean - self.centre).square().mean(-1)
        return Losses(apart, 1 / (apart + 0.1))


def sentences(words: str, n: int, seed: int) -> list[str]:
    """Sentences that begin at any of the words and go round, so that each word tells the next one."""
    rng = np.random.default_rng(seed)
    twice = 2 * words.split()
    starts, lengths = rng.integers(0, 8, n), rng.integers(3, 9, n)
    return [" ".join(twice[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


SEA = sentences("ship sail wave storm harbour crew anchor tide", 120, 0)
FOOD = sentences("bread cheese soup apple rice butter salt oven", 30, 1)


def of_texts(epochs=30, **parameters) -> AnomalyDetector:
    return AnomalyDetector(Topic(epochs=epochs, learning_rate=0.1), **({"random_state": 0} | parameters))


@pytest.fixture(scope="module", params=FOR_IMAGES)
def of_images(request) -> AnomalyDetector:
    settings = {"epochs": 40} | QUICK.get(request.param, {})
    judged = make_objective(request.param, **settings)
    model = AnomalyDetector(judged, encoder="pixels", contamination=0, random_state=0)
    return model.fit(IMAGES[NORMAL[:120]], outliers=AUXILIARY)


# ---------------------------------------------------------------------------------------------------- images


def test_objectives_for_images_tell_digits_apart_better_than_untrained(of_images):
    truth = DIGIT[NEW] != 3
    settings = QUICK.get(of_images.objective_.name, {}) | {"epochs": 1, "learning_rate": 0}
    still = make_objective(of_images.objective_.name, **settings)
    untrained = clone(of_images).set_params(objective=still).fit(IMAGES[NORMAL[:120]], outliers=AUXILIARY)
    trained = roc_auc_score(truth, of_images.anomaly_score(IMAGES[NEW]))
    assert trained > 0.9
    assert trained > roc_auc_score(truth, untrained.anomaly_score(IMAGES[NEW])) + 0.1


@pytest.mark.parametrize("objective", ["autoencoder", "ntl"])
def test_rows_of_pixels_need_no_outliers(objective):
    objective = make_objective(objective, epochs=40)
    model = AnomalyDetector(objective, encoder="pixels", contamination=0, random_state=0).fit(IMAGES[NORMAL[:120]])
    assert roc_auc_score(DIGIT[NEW] != 3, model.anomaly_score(IMAGES[NEW])) > 0.9


def test_an_image_is_known_by_its_layout_and_its_values(of_images):
    assert of_images.encoder_.layout == of_images.objective_.layout == Layout("image", (1, 8, 8))
    assert of_images.n_features_in_ == 64
    assert not hasattr(of_images, "feature_names_in_")


def test_every_source_of_images_scores_alike(of_images):
    scores = of_images.anomaly_score(IMAGES[NEW])
    assert np.isfinite(scores).all()
    for same in (IMAGES[NEW, ..., None], list(IMAGES[NEW]), torch.from_numpy(IMAGES[NEW])):
        np.testing.assert_allclose(of_images.anomaly_score(same), scores, rtol=1e-5)
    np.testing.assert_allclose(of_images.anomaly_score(IMAGES[NEW[:1]]), scores[:1], rtol=1e-4)


def test_a_loaded_detector_of_images_scores_the_same(of_images, tmp_path):
    of_images.save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model")
    assert np.array_equal(loaded.anomaly_score(IMAGES[NEW]), of_images.anomaly_score(IMAGES[NEW]))
    assert loaded.encoder_.layout == of_images.encoder_.layout
    assert loaded.n_features_in_ == 64
    with pytest.warns(DataWarning, match="are not 8 x 8 pixels as in training"):
        loaded.predict(np.zeros((2, 9, 9)))


def test_members_outliers_labels_folds_and_queries_take_images():
    rows = np.concatenate([NORMAL, np.flatnonzero(DIGIT == 5)[:10]])
    labels = np.where(DIGIT[rows] == 5, 1, -1)
    others = IMAGES[np.flatnonzero(DIGIT == 8)]
    model = AnomalyDetector(Autoencoder(epochs=5), ensemble_size=2, calibration=2, random_state=0)
    model.fit(IMAGES[rows], labels=labels, outliers=others)
    assert model.member_scores(IMAGES[NEW]).shape == (2, len(NEW))
    assert len(model.calibration_scores_) == len(NORMAL)
    assert 0 < model.p_value(IMAGES[NEW]).min() <= 1
    assert len(set(model.query(IMAGES[rows], 3))) == 3
    again = clone(model).set_params(calibration=None).fit(IMAGES[rows], labels=labels)
    assert not np.array_equal(again.training_scores_, model.training_scores_)


def test_a_folder_of_images_is_trained_on(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
    for row in NORMAL[:60]:
        pillow.fromarray((IMAGES[row] * 255).round().astype(np.uint8)).save(tmp_path / f"{row:04}.png")
    model = AnomalyDetector(Autoencoder(epochs=2), random_state=0).fit(tmp_path)
    assert len(model.training_scores_) == 60
    assert np.array_equal(model.anomaly_score(str(tmp_path)), model.training_scores_)


def test_a_warm_start_goes_on_with_images():
    model = AnomalyDetector(Autoencoder(epochs=2), random_state=0, warm_start=True).fit(IMAGES[NORMAL])
    before = model.training_scores_.mean()
    assert model.fit(IMAGES[NORMAL]).training_scores_.mean() < before
    with pytest.raises(InputError, match="expected images, as in training; got what looks like tables"):
        model.fit(IMAGES[NORMAL].reshape(-1, 64))


def test_pixels_are_still_a_table_if_given_as_one():
    model = AnomalyDetector(random_state=0).fit(IMAGES[NORMAL].reshape(-1, 64))
    assert model.encoder_.layout.form == "vector"
    assert model.n_features_in_ == 64


# ----------------------------------------------------------------------------------------------------- texts


def test_texts_off_the_subject_are_found_by_exposure_to_others():
    texts = SEA + FOOD[:10]
    model = of_texts().fit(SEA[:60], outliers=FOOD[10:])
    truth = np.arange(len(texts)) >= len(SEA)
    assert roc_auc_score(truth, model.anomaly_score(texts)) > 0.95


@pytest.mark.filterwarnings("ignore::expose.errors.CollapseWarning")
@pytest.mark.parametrize("objective", FOR_TEXTS)
def test_objectives_for_texts_know_the_subject_and_survive_saving(objective, tmp_path):
    own = {"score_by": "uniform"} if objective == "language" else {}  # as its page says, with outliers
    judged = make_objective(objective, epochs=20, learning_rate=0.01, **own)
    model = AnomalyDetector(judged, contamination=0, random_state=0)
    model.fit(SEA[:80], outliers=FOOD[:15])
    scores = model.anomaly_score(SEA[80:] + FOOD[15:])
    assert roc_auc_score([0] * 40 + [1] * 15, scores) > 0.95
    assert np.isfinite(model.anomaly_score(["", "?"])).all()
    model.save(tmp_path / "model")
    assert np.array_equal(AnomalyDetector.load(tmp_path / "model").anomaly_score(SEA[80:] + FOOD[15:]), scores)


def test_the_contamination_of_texts_is_estimated_low():
    model = of_texts(epochs=1).fit(SEA + FOOD[:10])
    assert model.contamination_ <= 0.1
    assert model.encoder_.layout.form == "tokens"
    assert model.n_features_in_ == model.encoder_.layout.n_values
    assert np.array_equal(model.anomaly_score(pd.Series(SEA + FOOD[:10])), model.training_scores_)


def test_a_loaded_detector_of_texts_scores_the_same(tmp_path):
    model = of_texts(ensemble_size=2).fit(SEA, outliers=FOOD)
    model.save(tmp_path / "model", {"about": "the sea"})
    loaded = AnomalyDetector.load(tmp_path / "model", Topic(epochs=30, learning_rate=0.1))
    new = ["A ship!", "bread and butter", ""]
    assert np.array_equal(loaded.anomaly_score(new), model.anomaly_score(new))
    assert "ship" in loaded.encoder_.vocabulary
    with pytest.warns(DataWarning, match=r"1 text\(s\) are missing"):
        assert loaded.anomaly_score([None])[0] == model.anomaly_score([""])[0]


def test_folds_take_texts():
    model = of_texts(calibration=3, contamination=0).fit(SEA)
    assert np.median(model.p_value(FOOD)) < 0.1 < np.median(model.p_value(SEA))


# -------------------------------------------------------------------------------------------------- refusals


def test_an_objective_of_another_kind_names_those_that_can():
    able = ", ".join(repr(name) for name in FOR_IMAGES)
    says = f"'neighbours' takes parts of the form vector; images .* by encoder 'pixels'.*: {able}. Or leave the enc"
    with pytest.raises(InputError, match=says):
        AnomalyDetector("neighbours", encoder="pixels").fit(IMAGES)
    says = (
        "'local-global', the usual one for images, takes .* form grid; .* by encoder 'pixels'.*goes with 'efficientnet"
    )
    with pytest.raises(InputError, match=says):
        AnomalyDetector(encoder="pixels").fit(IMAGES)
    says = r"'ntl' takes parts of the form vector or image; texts .* by encoder 'words'.*goes with 'minilm'"
    with pytest.raises(InputError, match=says):
        AnomalyDetector("ntl", encoder="words").fit(SEA)
    with pytest.raises(InputError, match=r"'topic' takes parts of the form tokens; tables .* for it: 'autoencoder'"):
        of_texts().fit(np.zeros((60, 3)))
    with pytest.raises(InputError, match=r"found no word|not installed"):  # the usual encoder now makes vectors
        AnomalyDetector("neighbours").fit(pd.Series(["", ""]))


def test_a_later_input_of_another_kind_is_refused(of_images):
    table = AnomalyDetector(random_state=0).fit(np.random.default_rng(0).normal(size=(60, 3)))
    texts = of_texts(epochs=1).fit(SEA)
    for model, data, message in (
        (table, IMAGES, "expected tables, as in training; got what looks like images, a ndarray of shape"),
        (table, SEA, "expected tables, as in training; got what looks like texts"),
        (of_images, IMAGES[0], "expected images, as in training; got what looks like tables"),
        (of_images, SEA, "expected images, as in training; got what looks like texts"),
        (texts, IMAGES, "expected texts, as in training; got what looks like images"),
        (texts, [["a", "b"]], "text 0 is of type list"),
    ):
        with pytest.raises(InputError, match=message):
            model.anomaly_score(data)
    with pytest.raises(InputError, match=r"outliers must be texts like X: .*got what looks like images"):
        of_texts().fit(SEA, outliers=IMAGES)
    with pytest.raises(InputError, match="outliers holds no row"):
        of_texts().fit(SEA, outliers=[])


def test_too_few_images_and_labels_of_another_length_are_refused():
    model = AnomalyDetector("autoencoder")
    with pytest.raises(InputError, match="at least 2 images"):
        model.fit(IMAGES[:1])
    for labels, message in (([0] * 9, r"shape \(10,\)"), (["odd"] * 10, "in row 0"), ([1] * 10, "mark all 10 rows")):
        with pytest.raises(InputError, match=message):
            model.fit(IMAGES[:10], labels=labels)
    classifier = OutlierExposureClassifier(encoder="pixels")
    for y, message in (
        (None, "requires y"),
        ([0, 1] * 4, "one class per row of X, 10; got 8"),
        ([0] * 10, "got one cla"),
    ):
        with pytest.raises(InputError, match=message):
            classifier.fit(IMAGES[:10], y)


@pytest.mark.parametrize("encoder", ["robust", TableEncoder("standard")])
@pytest.mark.parametrize("data", [IMAGES[:60], SEA[:60]], ids=["images", "texts"])
def test_an_encoder_of_tables_is_refused_for_others_by_both_estimators_alike(encoder, data):
    said = []
    for model in (AnomalyDetector("autoencoder", encoder=encoder), OutlierExposureClassifier(encoder=encoder)):
        with pytest.raises(InputError, match="TableEncoder encodes samples of kind 'table'; got") as refused:
            model.fit(data, np.arange(60) % 2)
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_sample_scores_the_same_to_the_bit_alone_and_among_many(of_images):
    texts = AnomalyDetector(make_objective("svdd", epochs=2), random_state=0).fit(SEA)
    for model, many in ((of_images, IMAGES[NEW]), (texts, (SEA + FOOD)[:43])):
        scores = model.anomaly_score(many)
        assert [model.anomaly_score(many[i : i + 1])[0] for i in range(30)] == scores[:30].tolist()
        assert np.array_equal(model.anomaly_score(many[::-1]), scores[::-1])
