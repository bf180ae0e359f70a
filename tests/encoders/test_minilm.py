"""Texts by a pretrained language model: what they mean counts, company does not, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest

from expose import AnomalyDetector, OutlierExposureClassifier, load
from expose.encoders import MiniLMEncoder, State
from expose.encoders import minilm as minilm_file
from expose.encoders.pretrained import Weights
from expose.errors import DataWarning, InputError, MissingExtraError
from expose.kinds import as_texts

TEXTS = [f"The {who} sat on the {what}." for who in ("cat", "dog", "bird") for what in ("mat", "sofa", "chair", "roof")]
ODD = "Shares fell after the bank raised its rates."


@pytest.fixture
def model():
    """The model, where its packages are installed."""
    try:
        return minilm_file.minilm()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPOSE_CACHE", str(tmp_path / "features"))


@pytest.mark.usefixtures("model")
def test_texts_that_mean_alike_are_near_whatever_their_words():
    cat, kitten, shares = MiniLMEncoder().fit(TEXTS).transform(["A cat sleeps.", "Kittens take a nap.", ODD]) / 384**0.5
    assert cat @ cat == pytest.approx(1)
    assert cat @ kitten > cat @ shares + 0.3


@pytest.mark.usefixtures("model")
def test_what_is_beyond_the_length_is_cut_and_said():
    encoder = MiniLMEncoder(length=8).fit(["one two three four five six seven", "one two"])
    assert encoder.notes == ["1 of 2 texts are longer than 8 pieces of words and are cut there."]
    whole, longer, other = encoder.transform(
        ["one two three four five six", "one two three four five six seven", "six"]
    )
    np.testing.assert_array_equal(whole, longer)
    assert not np.array_equal(whole, other)
    assert MiniLMEncoder(length=9).fit(["one two three four five six seven"]).notes == []


@pytest.mark.usefixtures("model")
def test_missing_texts_count_as_empty_and_are_told():
    encoder = MiniLMEncoder().fit(["one", None])
    assert encoder.notes == ["1 of 2 texts are missing; they count as empty."]
    with pytest.warns(DataWarning, match="1 text"):
        missing, empty = encoder.transform([None, ""])
    np.testing.assert_array_equal(missing, empty)
    assert np.isfinite(encoder.transform(["\ud800 half a sign", "x" * 20_000])).all()


def test_a_text_is_encoded_once_and_found_again_until_the_length_changes(model, monkeypatch):
    seen = []
    vector = type(model).vector
    monkeypatch.setattr(type(model), "vector", lambda *given: (seen.append(given[1:]), vector(*given))[1])
    encoder = MiniLMEncoder().fit(TEXTS)
    first = encoder.transform(TEXTS)
    np.testing.assert_array_equal(encoder.transform(TEXTS[::-1]), first[::-1])
    assert len(seen) == len(TEXTS)
    MiniLMEncoder(length=64).fit(TEXTS).transform(TEXTS[:1])
    assert len(seen) == len(TEXTS) + 1
    monkeypatch.setenv("EXPOSE_CACHE", "off")
    np.testing.assert_array_equal(encoder.transform(TEXTS), first)
    assert len(seen) == 2 * len(TEXTS) + 1


@pytest.mark.usefixtures("model")
def test_progress_is_told_when_asked(monkeypatch, capsys):
    monkeypatch.setattr("expose.encoders.progress.SILENCE", 0.0)
    encoder = MiniLMEncoder().fit(TEXTS)
    encoder.verbose = 1
    encoder.transform(TEXTS)
    assert "texts encoded  12/12" in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_both_estimators_take_it_by_name_and_a_folder_keeps_it(tmp_path):
    detector = AnomalyDetector(encoder="minilm", random_state=0).fit([*TEXTS, ODD])
    assert detector.objective_.name == "neighbours"
    assert detector.ranking_.row[0] == len(TEXTS)
    detector.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").anomaly_score(TEXTS), detector.anomaly_score(TEXTS))
    classes = [text.split()[1] for text in TEXTS]
    classifier = OutlierExposureClassifier(encoder="minilm", random_state=0)
    classifier.fit(TEXTS, classes, outliers=["Gold is dearer.", "A vote was held.", "The law was changed."] * 4)
    assert list(classifier.predict(TEXTS)) == classes
    assert classifier.anomaly_score([ODD])[0] > classifier.anomaly_score(TEXTS).max()


def test_absent_packages_are_named_by_their_extra(monkeypatch):
    minilm_file.minilm.cache_clear()
    monkeypatch.setattr(minilm_file, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[text\]'"):
        AnomalyDetector(encoder="minilm").fit(TEXTS)
    minilm_file.minilm.cache_clear()


def test_a_file_with_other_bytes_is_refused():
    with pytest.raises(InputError, match=r"does not hold what was published. Install expose again"):
        minilm_file.file_of(Weights("expose", "__init__.py", "0" * 64))
    with pytest.raises(InputError, match="does not hold"):
        minilm_file.file_of(Weights("expose", "no such file", "0" * 64))


def test_a_model_of_other_weights_is_not_restored():
    with pytest.raises(InputError, match=r"other weights of MiniLM \(SHA-256 abab"):
        MiniLMEncoder.restore(State({"length": 128, "sha256": "abab", "notes": []}))


@pytest.mark.parametrize("length", [1, 257, 8.0, True, "all"])
def test_lengths_that_cannot_be_are_refused(length):
    with pytest.raises(InputError, match="length must be a whole number of 2 to 256"):
        MiniLMEncoder(length=length).fit(TEXTS)
    with pytest.raises(InputError, match=r"Found 0 sample"):
        MiniLMEncoder().fit(as_texts([]))
