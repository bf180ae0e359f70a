"""The classifier that is exposed to outliers: scikit-learn's contract, what exposure does, saving, errors."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.encoders import Layout
from expose.errors import CalibrationWarning, ExposureWarning, InputError, ModelFolderError
from expose.estimators.samples import EncodedStream
from expose.kinds import kind_of
from expose.objectives import Descend
from expose.objectives.classification import TERMS, Classification
from expose.outliers import OutlierStream

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.ExposeWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 4)) + np.repeat([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], 80, axis=0)
Y = np.repeat(["a", "b", "c"], 80)
OUTLIERS = RNG.uniform(-9, 9, size=(500, 4))
UNSEEN = RNG.normal(size=(80, 4)) + np.array([4, 4, 4, 6])  # no auxiliary outlier is drawn from here in particular


def quick(**parameters) -> OutlierExposureClassifier:
    recipe = {"epochs": 40, "learning_rate": 0.01}
    recipe |= {name: parameters.pop(name) for name in vars(Descend()) if name in parameters}
    return OutlierExposureClassifier(**({"recipe": Descend(**recipe), "random_state": 0} | parameters))


@pytest.mark.parametrize("term", sorted(TERMS))
def test_every_term_finds_unseen_outliers_and_keeps_the_classes(term):
    classifier = quick(terms=term).fit(X, Y, outliers=OUTLIERS)
    assert classifier.score_function_ == (term if term in ("energy", "confidence", "background") else "entropy")
    assert (classifier.predict(X) == Y).mean() > 0.97
    truth = np.r_[np.zeros(240), np.ones(80)]
    assert roc_auc_score(truth, classifier.anomaly_score(np.r_[X, UNSEEN])) > 0.95


FAR, FAR_UNSEEN = np.split(np.random.default_rng(1).normal(size=(380, 4)) + np.array([20, 0, 0, 0]), [300])


# on the side of a class: the further out a row is, the surer a network that was not exposed to such rows is of it
def far_auroc(classifier: OutlierExposureClassifier) -> float:
    return roc_auc_score(np.r_[np.zeros(240), np.ones(80)], classifier.anomaly_score(np.r_[X, FAR_UNSEEN]))


@pytest.mark.parametrize("term", ["confidence", "background"])
def test_the_usual_score_is_that_of_the_terms_and_another_one_that_inverts_is_warned_of(term, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExposureWarning)
        usual = quick(terms=term).fit(X, Y, outliers=FAR)
    assert far_auroc(usual) > 0.99
    with pytest.warns(ExposureWarning, match=f"'entropy' gives the auxiliary .* Set score_function='{term}'") as found:
        chosen = quick(terms=term, score_function="entropy").fit(X, Y, outliers=FAR)
    assert far_auroc(chosen) < 0.1  # what the default gave
    assert chosen.score_function_ == "entropy"
    assert any("'entropy' gives the auxiliary" in note for note in chosen.notes_)
    assert found[0].filename == __file__
    usual.save(tmp_path / "model")
    loaded = OutlierExposureClassifier.load(tmp_path / "model")
    assert (loaded.score_function, loaded.score_function_) == ("auto", term)
    assert np.array_equal(loaded.anomaly_score(FAR_UNSEEN), usual.anomaly_score(FAR_UNSEEN))
    assert far_auroc(chosen.set_params(score_function="auto")) == far_auroc(usual)


@pytest.mark.parametrize(
    ("terms", "outliers", "expected"),
    [
        (["uniform", "energy"], OUTLIERS, "entropy"),
        ({"uniform": 0.0, "energy": 0.1}, OUTLIERS, "energy"),
        (["energy", "background", "confidence"], OUTLIERS, "background"),
        ("background", None, "entropy"),  # the further class was never seen
    ],
)
def test_the_usual_score_of_several_terms_and_of_none_exposed(terms, outliers, expected):
    assert quick(terms=terms, epochs=1).fit(X, Y, outliers=outliers).score_function_ == expected


@pytest.mark.parametrize("margins", [(-25, -7), (0, 100), (-1000, -999)])
def test_margins_of_the_energy_that_cost_the_classes_are_warned_of(margins):
    with pytest.warns(ExposureWarning, match=r"cost the classes: \d+ % .* and \d+ % before .* suggest energy_margins="):
        classifier = quick(terms="energy", energy_margins=margins).fit(X, Y, outliers=OUTLIERS)
    assert (classifier.predict(X) == Y).mean() < 0.85
    assert any("cost the classes" in note for note in classifier.notes_)


@pytest.mark.parametrize("margins", [None, (-7, -2), (-1, 1)])
def test_margins_near_the_energies_of_the_data_are_not_warned_of(margins):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExposureWarning)
        quick(terms="energy", energy_margins=margins).fit(X, Y, outliers=OUTLIERS)


def test_margins_are_no_fault_of_classes_that_cannot_be_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExposureWarning)
        names = np.random.default_rng(0).permutation(Y)
        quick(terms="energy", energy_margins=(-1, 1), epochs=4).fit(X, names, outliers=OUTLIERS)


def test_exposure_makes_the_difference():
    truth, rows = np.r_[np.zeros(240), np.ones(80)], np.r_[X, UNSEEN]
    before, after = (
        roc_auc_score(truth, quick().fit(X, Y, outliers=outliers).anomaly_score(rows)) for outliers in (None, OUTLIERS)
    )
    assert after > before + 0.03


def test_fine_tuning_by_warm_start_and_by_a_trained_network():
    baseline = quick(warm_start=True).fit(X, Y)
    before = baseline.anomaly_score(UNSEEN).mean()
    network = baseline.network_
    weights = [p.clone() for p in network.parameters()]
    tuned = quick(network=network, epochs=5, encoder="unscaled").fit(
        baseline.encoder_.transform(X), Y, outliers=baseline.encoder_.transform(OUTLIERS)
    )
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))  # a copy was trained
    assert not torch.equal(next(tuned.network_.parameters()), weights[0])
    baseline.set_params(recipe=Descend(epochs=5, learning_rate=0.01)).fit(X, Y, outliers=OUTLIERS)
    assert len(baseline.history_) == 5
    assert baseline.anomaly_score(UNSEEN).mean() > before + 0.1


def test_wild_outliers_of_which_many_are_normal():
    """Half of the wild rows are drawn like the training rows; taking all for outliers makes the classifier unsure."""
    wild = np.r_[OUTLIERS[:120], X[RNG.permutation(240)[:120]] + 0.1 * RNG.normal(size=(120, 4))]
    naive = quick().fit(X, Y, outliers=wild)
    latent = quick(outlier_share=0.5).fit(X, Y, outliers=wild)
    sure = [c.predict_proba(X).max(axis=1).mean() for c in (naive, latent)]
    assert sure[1] > sure[0] + 0.04
    truth = np.r_[np.zeros(240), np.ones(80)]
    assert roc_auc_score(truth, latent.anomaly_score(np.r_[X, UNSEEN])) > 0.9


def test_contaminated_training_rows_are_inferred():
    """Anomalies that carry a class: exposed latently, they are scored as anomalies although they were trained on."""
    odd = RNG.normal(size=(20, 4)) + np.array([6, 6, 6, 6])
    rows, names = np.r_[X, odd], np.r_[Y, RNG.choice(["a", "b", "c"], 20)]
    exposed = quick(contamination=0.08, exposure="hard").fit(rows, names, outliers=OUTLIERS)
    assert exposed.latent_labels_.sum() == 21  # 8 % of 260 rows
    assert exposed.latent_labels_[240:].mean() > 0.9
    assert roc_auc_score(np.r_[np.zeros(240), np.ones(20)], exposed.anomaly_score(rows)) > 0.97
    assert not quick(epochs=1).fit(rows, names).latent_labels_.any()


def epoch_losses(**parameters) -> list[float]:
    classifier = quick(**parameters).fit(X, Y, outliers=OUTLIERS)
    return [record["loss"] for record in classifier.history_]


def test_which_outliers_are_normal_is_inferred_after_the_warm_up():
    """An untrained network would guess, and then learn its guesses."""
    naive, latent, at_once = (
        epoch_losses(epochs=3, outlier_share=share, warmup=warmup) for share, warmup in ((1.0, 2), (0.5, 2), (0.5, 0))
    )
    assert latent[:2] == naive[:2]
    assert latent[2] != naive[2]
    assert at_once[0] != naive[0]


@pytest.mark.parametrize("epochs", [1, 2])
def test_contamination_is_exposed_however_short_the_training(epochs):
    assert epoch_losses(epochs=epochs, contamination=0.1, exposure="hard")[-1] != epoch_losses(epochs=epochs)[-1]


def test_contamination_is_exposed_from_the_first_epoch_of_a_warm_start():
    baseline = quick(warm_start=True).fit(X, Y)
    tuned = [
        clone(baseline).set_params(contamination=share, exposure="hard").take_over(baseline.fitted_).fit(X, Y)
        for share in (0.0, 0.1)
    ]
    assert tuned[1].history_[0]["contamination"] == 0.1
    assert tuned[1].history_[0]["loss"] != tuned[0].history_[0]["loss"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.1, 0.5])
def test_a_share_of_the_training_rows_is_flagged_as_by_a_detector(share):
    rows = RNG.normal(size=(100, 4))
    classifier = quick(epochs=2, threshold=share).fit(rows, np.arange(100) % 2)
    detector = AnomalyDetector(threshold=share, random_state=0).fit(rows)
    assert classifier.is_anomaly(rows).sum() == detector.is_anomaly(rows).sum() == round(100 * share)
    assert classifier.threshold_rule_ == detector.threshold_rule_
    classifier.calibrate(rows[:50])
    assert classifier.is_anomaly(rows[:50]).sum() == int(50 * share + 0.5)


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3))])
def test_logits_are_single_precision_whatever_products_are_made_in(layer):
    made = Classification(layer, [1 / 3] * 3, {"energy": 0.1})
    made.build(Layout("vector", (4,)))
    rows = torch.from_numpy(X).float()
    exact, _ = made.outputs(rows)
    with torch.autocast("cpu", torch.bfloat16):
        logits, confidence = made.outputs(rows)
        losses = made.losses(rows, torch.arange(240) % 3)
    assert logits.dtype == confidence.dtype == losses.normal.dtype == losses.abnormal.dtype == torch.float32
    assert (logits - exact).abs().max() < 0.02 * exact.abs().max()
    # sums over classes, of which all losses are made, are as fine as the logits are
    assert len((logits.logsumexp(-1)).unique()) > 235


def test_probabilities_scores_and_thresholds_agree():
    classifier = quick(threshold=0.1).fit(X, Y, outliers=OUTLIERS)
    proba = classifier.predict_proba(X)
    assert proba.shape == (240, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(proba), classifier.predict_log_proba(X), atol=1e-9)
    np.testing.assert_allclose(classifier.anomaly_score(X, "msp"), -proba.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(classifier.anomaly_score(X, "entropy"), np.log(proba).mean(axis=1), atol=1e-5)
    assert classifier.is_anomaly(X).mean() == pytest.approx(0.1, abs=0.005)
    assert (classifier.score_samples(X) == -classifier.anomaly_score(X)).all()
    two = quick().fit(X[:160], Y[:160])
    assert two.decision_function(X).shape == (240,)


def test_calibration_serves_threshold_p_values_and_probabilities():
    rng = np.random.default_rng(1)
    held = rng.normal(size=(300, 4)) + np.repeat([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], 100, axis=0)
    names = np.repeat(["a", "b", "c"], 100)
    names[:30] = "b"  # a tenth of the answers are wrong, so a sure classifier is too sure
    classifier = quick().fit(X, Y, outliers=OUTLIERS)
    with pytest.raises(InputError, match="calibrat"):
        classifier.p_value(X)
    sure = classifier.predict_proba(held).max(axis=1).mean()
    classifier.calibrate(held, names)
    assert classifier.temperature_ > 1
    assert classifier.predict_proba(held).max(axis=1).mean() < sure
    assert classifier.is_anomaly(held).mean() == pytest.approx(0.05, abs=0.004)
    assert (classifier.p_value(UNSEEN) < 0.05).mean() > 0.9


def test_no_temperature_is_the_likeliest_where_no_row_is_mistaken():
    classifier = quick().fit(X, Y, outliers=OUTLIERS)
    with pytest.warns(CalibrationWarning, match="All 240 calibration rows are classified rightly"):
        classifier.calibrate(X, classifier.predict(X))
    assert classifier.temperature_ == 1


def test_same_seed_same_scores_and_a_saved_classifier_is_the_same(tmp_path):
    classifier = quick(terms=["confidence", "background"]).fit(X, Y, outliers=OUTLIERS)
    again = clone(classifier).fit(X, Y, outliers=OUTLIERS)
    assert np.array_equal(classifier.anomaly_score(UNSEEN), again.anomaly_score(UNSEEN))
    classifier.calibrate(X, Y).save(tmp_path / "model", {"note": 1})
    loaded = OutlierExposureClassifier.load(tmp_path / "model")
    for score in ("msp", "confidence", "background"):
        assert np.array_equal(classifier.anomaly_score(UNSEEN, score), loaded.anomaly_score(UNSEEN, score))
    assert np.array_equal(classifier.predict_proba(X), loaded.predict_proba(X))
    assert np.array_equal(classifier.predict(X), loaded.predict(X))
    assert np.array_equal(classifier.p_value(X), loaded.p_value(X))
    assert loaded.metadata_ == {"note": 1}
    assert np.array_equal(
        pickle.loads(pickle.dumps(classifier)).anomaly_score(UNSEEN), classifier.anomaly_score(UNSEEN)
    )


class Own(nn.Module):
    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, outputs))

    def forward(self, rows):
        return self.inner(rows)


def test_a_network_of_your_own(tmp_path):
    classifier = quick(network=Own(), batch_size=239).fit(X, Y, outliers=OUTLIERS)  # would leave a batch of one row
    assert (classifier.predict(X) == Y).mean() > 0.97
    classifier.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match=r"network=Own\(\.\.\.\)"):
        OutlierExposureClassifier.load(tmp_path / "model")
    loaded = OutlierExposureClassifier.load(tmp_path / "model", Own())
    assert np.array_equal(loaded.anomaly_score(X), classifier.anomaly_score(X))
    with pytest.raises(ModelFolderError, match="does not fit"):
        OutlierExposureClassifier.load(tmp_path / "model", Own(5))


def test_checkpoint_goes_on_to_the_same_classifier(tmp_path, monkeypatch):
    from expose.training.descend import Loop

    whole = quick(epochs=6).fit(X, Y, outliers=OUTLIERS)
    epoch, done = Loop.epoch, []

    def killed(self, *arguments):
        if len(done) == 3:
            raise RuntimeError("killed")
        done.append(1)
        return epoch(self, *arguments)

    parameters = {"epochs": 6, "checkpoint": tmp_path / "state", "checkpoint_every": 0.0}
    monkeypatch.setattr(Loop, "epoch", killed)
    with pytest.raises(RuntimeError, match="killed"):
        quick(**parameters).fit(X, Y, outliers=OUTLIERS)
    monkeypatch.setattr(Loop, "epoch", epoch)
    resumed = quick(**parameters).fit(X, Y, outliers=OUTLIERS)
    assert np.array_equal(resumed.anomaly_score(X), whole.anomaly_score(X))
    resumed.save(tmp_path / "model")
    assert not (tmp_path / "state").exists()


def test_an_interruption_before_the_margins_of_the_energy_ends_the_fit(monkeypatch):
    from expose.errors import InterruptedWarning
    from expose.training.descend import Loop

    epoch, done = Loop.epoch, []

    def stopped(self, *arguments):
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        return epoch(self, *arguments)

    monkeypatch.setattr(Loop, "epoch", stopped)
    with pytest.warns(InterruptedWarning):
        classifier = quick(terms="energy", epochs=10).fit(X, Y, outliers=OUTLIERS)
    assert len(classifier.history_) == 2
    assert classifier.predict(X).shape == (240,)


def test_frames_with_words_and_gaps():
    frame = pd.DataFrame(X, columns=list("wxyz")).assign(kind=np.where(X[:, 0] > 2, "big", None))
    frame.loc[::7, "x"] = np.nan
    classifier = quick().fit(
        frame, Y, outliers=frame.sample(100, random_state=0).apply(lambda c: c.sample(frac=1).values)
    )
    assert list(classifier.feature_names_in_) == [*"wxyz", "kind"]
    assert (classifier.predict(frame) == Y).mean() > 0.9


def test_images_and_texts():
    rng = np.random.default_rng(0)
    images = (60 * rng.random((90, 12, 12))).astype(np.uint8)
    images[:45, :6] += 150
    images[45:, 6:] += 150
    classes = np.repeat([0, 1], 45)
    noise = rng.integers(0, 256, (120, 12, 12), dtype=np.uint8)
    classifier = quick(epochs=8, augment=False).fit(images, classes, outliers=noise)
    assert (classifier.predict(images) == classes).mean() > 0.95
    fresh = rng.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    assert classifier.anomaly_score(fresh).mean() > classifier.anomaly_score(images).mean()
    words = {"fruit": ["apple", "pear", "plum", "cherry"], "tools": ["hammer", "saw", "drill", "pliers"]}
    texts = [" ".join(rng.choice(words[kind], 5)) for kind in words for _ in range(60)]
    names = np.repeat(list(words), 60)
    other = [" ".join(rng.choice(["rain", "snow", "wind", "sun", "apple", "saw"], 5)) for _ in range(100)]
    reader = quick(epochs=12, learning_rate=0.01).fit(texts, names, outliers=other)
    assert (reader.predict(texts) == names).mean() > 0.95
    assert reader.anomaly_score(["rain snow wind sun snow"])[0] > np.median(reader.anomaly_score(texts))


def test_augmentation_flips_and_moves_images_in_training_only():
    from expose.networks import flip_and_crop

    torch.manual_seed(0)
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1
    places = {tuple(torch.nonzero(flip_and_crop(image)[0, 0])[0].tolist()) for _ in range(300)}
    assert {row for row, _ in places} == set(range(9))
    assert {column for _, column in places} == set(range(9))
    image = torch.arange(3.0).expand(1, 1, 9, 3)
    assert {tuple(flip_and_crop(image, 0)[0, 0, 0].tolist()) for _ in range(50)} == {(0, 1, 2), (2, 1, 0)}
    rng = np.random.default_rng(0)
    classifier = quick(augment=True, epochs=2).fit(rng.random((60, 9, 9)), np.arange(60) % 2)
    rows = rng.random((5, 9, 9))
    assert np.array_equal(classifier.anomaly_score(rows), classifier.anomaly_score(rows))


def test_outliers_from_a_stream_larger_than_memory():
    def opened():
        yield from OUTLIERS

    classifier = quick(terms=["uniform", "energy"], outlier_batch_size=50)
    streamed = clone(classifier).fit(X, Y, outliers=OutlierStream(opened, buffer=100, random_state=0))
    again = clone(classifier).fit(X, Y, outliers=OutlierStream(opened, buffer=100, random_state=0))
    assert np.array_equal(streamed.anomaly_score(X), again.anomaly_score(X))
    truth = np.r_[np.zeros(240), np.ones(80)]
    assert roc_auc_score(truth, streamed.anomaly_score(np.r_[X, UNSEEN])) > 0.95
    stream = OutlierStream(opened, random_state=0)
    encoded = EncodedStream(stream, streamed.encoder_, kind_of(X))
    first, second = encoded.batch(30, 0), encoded.batch(30, 30)
    assert torch.equal(encoded.batch(60, 0), torch.cat([first, second]))  # a training that goes on finds its place


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"terms": "uniforn"}, "terms must be of"),
        ({"terms": {"uniform": -1}}, "lambda must be"),
        ({"score_function": "softmax"}, "score_function must be one of"),
        ({"contamination": "auto"}, "must be a share"),
        ({"energy_margins": (1, 0)}, "must not fall"),
        ({"threshold": 1}, "threshold must be"),
        ({"recipe": {"epochs": 3}}, r"recipe must be None or Descend\(epochs="),
        ({"network": "wrn-40-2"}, "made for parts of the form image"),
        ({"network": Own(2)}, "must give 3 outputs per row"),
        ({"augment": True}, "augment"),
    ],
)
def test_what_cannot_be_used_is_said(parameters, message):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(X, Y)


def test_what_does_not_fit_together_is_said():
    classifier = quick(epochs=1, warm_start=True).fit(X, Y)
    with pytest.raises(InputError, match="trained with the term 'confidence'"):
        classifier.anomaly_score(X, "confidence")
    with pytest.raises(ValueError, match=r"holds the classes \['d'\]"):
        classifier.fit(X, np.where(Y == "a", "d", Y))
    with pytest.raises(InputError, match="another number of outputs"):
        classifier.set_params(terms="background").fit(X, Y)
    with pytest.raises(InputError, match="outliers must be tables like X"):
        quick().fit(X, Y, outliers=OUTLIERS[:, :2])
    with pytest.raises(ValueError, match="one class"):
        quick().fit(X, np.zeros(240))
    with pytest.raises(InputError, match="expected tables, as in training; got what looks like texts"):
        classifier.predict(["some", "words"])
