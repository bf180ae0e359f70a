"""The scorer: what it says is what the estimators say, to the bit, however samples come."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expose import AnomalyDetector, OutlierExposureClassifier, Scorer
from expose.errors import InputError
from expose.objectives import Descend

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(200, 3)), columns=list("abc")).assign(kind=RNG.choice(["x", "y"], 200))
KEYS = [f"k{i}" for i in range(200)]
BATCH = pa.RecordBatch.from_pandas(FRAME.assign(key=KEYS), preserve_index=False)


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector(calibration=2, random_state=0).fit(FRAME)


@pytest.fixture(scope="module")
def classifier():
    names = np.where(FRAME["a"] > 0, "high", "low")
    return OutlierExposureClassifier(recipe=Descend(epochs=3), random_state=0).fit(FRAME, names).calibrate(FRAME)


def test_a_scorer_says_what_the_detector_says(detector):
    scorer = detector.scorer()
    said = scorer.decide(FRAME)
    assert np.array_equal(said.anomaly_score, detector.anomaly_score(FRAME))
    assert np.array_equal(said.is_anomaly, detector.is_anomaly(FRAME))
    assert np.array_equal(said.p_value, detector.p_value(FRAME))
    assert said.predicted is None
    assert said.probability is None
    assert np.array_equal(scorer.member_scores(FRAME), detector.member_scores(FRAME))
    assert scorer.part_scores(FRAME).tolist() == said.anomaly_score[:, None].tolist()
    some = said.take(np.arange(200) < 3)
    assert some.anomaly_score.tolist() == said.anomaly_score[:3].tolist()


@pytest.mark.parametrize("members", [1, 3])
def test_the_score_is_the_largest_of_its_components(members, tmp_path):
    detector = AnomalyDetector(ensemble_size=members, random_state=0).fit(FRAME)
    detector.save(tmp_path / "model")
    found = detector.scorer().components(FRAME)
    assert list(found) == ["near", "linked", "wide"]
    largest = np.max(list(found.values()), axis=0)
    if members == 1:
        assert np.array_equal(largest, detector.anomaly_score(FRAME))
    else:  # a median of largest ones is not the largest of medians
        assert np.corrcoef(largest, detector.anomaly_score(FRAME))[0, 1] > 0.95
    again = Scorer(tmp_path / "model").components(FRAME)
    assert all(np.array_equal(again[name], scores) for name, scores in found.items())


def test_components_of_several_parts_are_those_of_the_worst():
    detector = AnomalyDetector(random_state=0).fit(FRAME)
    fitted = detector.fitted_
    parts = detector.scorer().encode(FRAME)
    pairs = np.stack([parts[:100], parts[100:]], axis=1)
    found = fitted.components(pairs)
    assert np.array_equal(np.max(list(found.values()), axis=0), fitted.scores(pairs))
    each = fitted.components(parts)
    worst = np.where(fitted.scores(parts[:100]) >= fitted.scores(parts[100:]), 0, 1)
    for name, scores in found.items():
        assert np.array_equal(scores, each[name].reshape(2, 100)[worst, np.arange(100)])


def test_models_without_components_have_none(classifier):
    assert classifier.scorer().components(FRAME) == {}
    assert AnomalyDetector("autoencoder", random_state=0).fit(FRAME).scorer().components(FRAME) == {}


def test_a_scorer_says_what_the_classifier_says(classifier):
    said = classifier.scorer().decide(FRAME)
    assert np.array_equal(classifier.classes_[said.predicted], classifier.predict(FRAME))
    np.testing.assert_allclose(said.probability, classifier.predict_proba(FRAME).max(axis=1), rtol=1e-12)
    columns = classifier.scorer().columns(FRAME)
    assert list(columns) == ["anomaly_score", "is_anomaly", "predicted_class", "probability", "p_value"]
    assert columns["predicted_class"].to_pylist() == classifier.predict(FRAME).tolist()


def test_a_record_batch_comes_back_with_its_ids_and_scores(detector):
    scored = detector.scorer(id=["key"])(BATCH)
    assert isinstance(scored, pa.RecordBatch)
    assert scored.schema.names == ["key", "anomaly_score", "is_anomaly", "p_value"]
    assert scored["key"].to_pylist() == KEYS
    assert np.array_equal(scored["anomaly_score"].to_numpy(), detector.anomaly_score(FRAME))


def test_a_stream_of_batches_is_scored_as_one_table(detector):
    scorer = detector.scorer(id=["key"])
    whole = scorer(BATCH)
    for size in (1, 7, 200):
        parts = [scorer(BATCH.slice(start, size)) for start in range(0, 200, size)]
        assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([whole]))


def test_ids_and_thresholds_are_taken_from_a_saved_model(detector, tmp_path):
    detector.save(tmp_path / "model", metadata={"id": ["key"]})
    by_folder, by_model = Scorer(tmp_path / "model"), detector.scorer(id=["key"])
    assert by_folder(BATCH).equals(by_model(BATCH))


def test_a_scorer_refuses_samples_of_another_kind(detector):
    with pytest.raises(InputError, match="expected tables, as in training; got what looks like texts"):
        detector.scorer().decide(["some", "words"])
    with pytest.raises(InputError, match="'c'"):
        detector.scorer(id=["key"])(BATCH.select(["key", "a", "b", "kind"]))


def test_one_id_column_needs_no_list(detector):
    assert detector.scorer(id="key")(BATCH)["key"].to_pylist() == KEYS  # and is not taken for columns k, e and y


def test_what_is_no_model_and_no_record_batch_is_named():
    detector = AnomalyDetector(random_state=0).fit(np.random.default_rng(0).normal(size=(60, 2)))
    with pytest.raises(InputError, match=r"got AnomalyDetector\. A fitted estimator makes its own"):
        Scorer(detector)
    with pytest.raises(InputError, match="record batch of Arrow; got Table"):
        detector.scorer()(pa.table({"x0": [0.0], "x1": [0.0]}))
