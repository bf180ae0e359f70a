"""What is noticed before it does harm: another table to query, outliers that are rows, few rows, unused arguments."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import expose
from expose import AnomalyDetector, OutlierExposureClassifier
from expose.errors import DataWarning, InputError, ModelFolderError, TooFewRowsWarning
from expose.estimators.checks import NO_EVIDENCE
from expose.estimators.overlap import hashes
from expose.objectives import NTL, Descend, make_objective
from expose.outliers import without_overlap

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
OTHER = RNG.normal(size=(300, 4))

# ------------------------------------------------------------------------------------------- another table to query


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "plain"
    AnomalyDetector(random_state=0).fit(X).save(folder)
    return folder


@pytest.mark.parametrize("made", [lambda: OTHER, lambda: X[::-1], lambda: np.r_[X[1:], X[:1]], lambda: X[:299]])
def test_query_refuses_another_table(saved, made):
    for detector in (expose.load(saved), AnomalyDetector(random_state=0).fit(X)):
        with pytest.raises(InputError, match="X must be the training data"):
            detector.query(made(), 3)


def test_query_takes_the_training_table_and_one_in_which_a_few_values_were_corrected(saved):
    first = AnomalyDetector(random_state=0).fit(X).query(X, 3)
    assert expose.load(saved).query(X, 3).tolist() == first.tolist()
    corrected = X.copy()
    corrected[:20] = 0
    assert len(expose.load(saved).query(corrected, 3)) == 3


def test_query_knows_a_table_of_networks_and_of_parts_again():
    images = (255 * np.random.default_rng(0).random((40, 8, 8))).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AnomalyDetector(NTL(epochs=1), encoder="pixels", random_state=0).fit(images)
    assert len(detector.query(images, 2)) == 2
    with pytest.raises(InputError, match="in the same order"):
        detector.query(images[::-1], 2)


# ------------------------------------------------------------------------------------------- outliers that are rows


FRAME = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 0, "x", "y"))
IMAGES = (255 * np.random.default_rng(1).random((60, 6, 6))).astype(np.uint8)
TEXTS = [f"text {number} has its own number" for number in range(60)]


@pytest.mark.parametrize(
    ("rows", "outliers", "objective"),
    [
        (X, np.r_[X[3:5], OTHER[:8]], "hsc"),
        (FRAME, pd.concat([FRAME[3:5], FRAME.assign(a=99.0)[:8]]), "neighbours"),
        (IMAGES, np.concatenate([IMAGES[3:5], 255 - IMAGES[:8]]), "hsc"),
        (TEXTS, [*TEXTS[3:5], *(f"outlier {number}" for number in range(8))], "language"),
    ],
    ids=["array", "frame", "images", "texts"],
)
def test_outliers_that_equal_training_rows_are_warned_of(rows, outliers, objective):
    settings = {} if objective == "neighbours" else {"epochs": 1}

    def fit_detector(given):
        AnomalyDetector(make_objective(objective, **settings), random_state=0).fit(rows, outliers=given)

    def fit_classifier(given):
        classifier = OutlierExposureClassifier(recipe=Descend(epochs=1), random_state=0)
        classifier.fit(rows, np.arange(len(rows)) % 2, outliers=given)

    for fit in (fit_detector, fit_classifier):
        with pytest.warns(DataWarning, match="2 of 10 outliers equal a training row") as found:
            fit(outliers)
        assert found[-1].filename == __file__  # the line that called
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*outliers equal")
            fit(without_overlap(outliers, rows, near=0))


def test_known_anomalies_may_be_outliers_too():
    labels = np.full(300, -1)
    labels[3:5] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        AnomalyDetector("hsc", random_state=0).set_params(objective__epochs=1).fit(
            X, labels=labels, outliers=np.r_[X[3:5], OTHER[:8]]
        )


def test_outliers_that_are_only_encoded_alike_are_not_equal():
    """Beyond the range of training a quantile has nowhere to go, so all of these are encoded as the largest row."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        AnomalyDetector(random_state=0).fit(X[:, :1], outliers=X[:20, :1] + 100)


def test_folds_do_not_repeat_the_warning():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        AnomalyDetector(calibration=3, random_state=0).fit(X, outliers=X[:2])
    assert len([one for one in found if "outliers equal" in str(one.message)]) == 1


def test_equal_rows_have_equal_hashes_and_others_hardly_ever():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    assert hashes(rows)[0] == hashes(rows)[1]
    assert len(set(hashes(rows).tolist())) == 3
    many = np.unique(np.random.default_rng(0).integers(0, 9, (50_000, 6)), axis=0).astype(np.float32)
    assert len(np.unique(hashes(many))) == len(many)


# ------------------------------------------------------------------------------------------------------- few rows


@pytest.mark.parametrize("n_rows", [2, 10, NO_EVIDENCE - 1])
def test_few_rows_are_no_evidence(n_rows):
    with pytest.warns(TooFewRowsWarning, match=f"^{n_rows} training rows are too few .* no evidence") as found:
        AnomalyDetector(random_state=0).fit(X[:n_rows])
    assert found[0].filename == __file__


def test_enough_rows_are_not_warned_of_nor_are_their_folds():
    with warnings.catch_warnings():
        warnings.simplefilter("error", TooFewRowsWarning)
        AnomalyDetector(calibration=2, random_state=0).fit(X[:NO_EVIDENCE])


# ------------------------------------------------------------------------------------------- what cannot be used


def test_blind_training_suspects_nobody_and_ranks_all():
    blind = AnomalyDetector(exposure="blind", contamination=0.05, random_state=0).fit(X)
    assert len(blind.suspects_) == blind.latent_labels_.sum() == 0
    assert len(blind.ranking_) == 300
    assert blind.is_anomaly(X).sum() == 15  # the threshold follows the contamination
    assert len(AnomalyDetector(contamination=0.05, random_state=0).fit(X).suspects_) == 15


def test_a_class_in_the_place_of_an_objective():
    with pytest.raises(TypeError, match=r"got a class\. Write NTL\(\) or 'ntl'"):
        AnomalyDetector(NTL).fit(X)


@pytest.mark.parametrize("make", [AnomalyDetector, OutlierExposureClassifier])
def test_a_folder_in_the_place_of_a_checkpoint(make, tmp_path):
    with pytest.raises(InputError, match=r"checkpoint must be a file, .* is a folder"):
        make(checkpoint=tmp_path, random_state=0).fit(X, np.arange(300) % 2)


def test_load_refuses_what_the_model_cannot_use(saved, tmp_path):
    with pytest.raises(ModelFolderError, match="holds its encoder, 'table'; no other can take its place"):
        expose.load(saved, encoder=StandardScaler().fit(X))
    with pytest.raises(ModelFolderError, match="of the class AnomalyDetector, which takes no network"):
        expose.load(saved, network=torch.nn.Linear(4, 2))
    with pytest.raises(ModelFolderError, match="of the class AnomalyDetector, not OutlierExposureClassifier"):
        OutlierExposureClassifier.load(saved)
    OutlierExposureClassifier(recipe=Descend(epochs=1)).fit(X, np.arange(300) % 2).save(tmp_path / "classifier")
    with pytest.raises(ModelFolderError, match="of the class OutlierExposureClassifier, which takes no objective"):
        expose.load(tmp_path / "classifier", objective=NTL())


def test_load_refuses_an_encoder_that_was_not_fitted(tmp_path):
    detector = AnomalyDetector(encoder=StandardScaler(), random_state=0).fit(X)
    detector.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="this StandardScaler is not fitted"):
        expose.load(tmp_path / "model", encoder=StandardScaler())
    loaded = expose.load(tmp_path / "model", encoder=detector.encoder_.own)
    assert np.array_equal(loaded.anomaly_score(OTHER), detector.anomaly_score(OTHER))
    stateless = AnomalyDetector(encoder=FunctionTransformer(np.cbrt), random_state=0).fit(X)
    stateless.save(tmp_path / "stateless")
    expose.load(tmp_path / "stateless", encoder=FunctionTransformer(np.cbrt))  # there is nothing to fit
