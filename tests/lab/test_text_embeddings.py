"""Texts as embeddings: what is trained on, in which share, and that each part is what it says."""

import json
import lzma

import numpy as np
import pytest

from expose_lab.studies import text_embeddings as study
from expose_lab.studies.text_outliers import Labelled, Texts

SEEN = []


class Detector:
    """Knows a text of a class by its first word."""

    def __init__(self, objective, encoder, random_state, device):
        self.about = (objective, encoder if isinstance(encoder, str) else type(encoder).__name__)

    def fit(self, texts):
        SEEN.append((self.about, list(texts)))
        return self

    def anomaly_score(self, texts):
        return np.array([not text.startswith("space") for text in texts], dtype=float)


@pytest.fixture
def texts(tmp_path, monkeypatch):
    SEEN.clear()
    monkeypatch.setattr(study, "AnomalyDetector", Detector)
    names = ["space", "cars", "guns"]
    rows = [
        {"split": split, "label": name, "text": f"{name} {split} number {row}"}
        for split, n in (("train", 100), ("test", 40))
        for name in names
        for row in range(n)
    ]
    with lzma.open(tmp_path / "20newsgroups.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return Texts(tmp_path)


@pytest.mark.parametrize(("share", "others"), [(0.0, 0), (0.1, 11), (0.2, 25)])
def test_the_others_make_the_share_of_the_training_and_none_is_tested(texts, share, others):
    row = study.one_against_the_rest(texts, "space", share, "neighbours", 0)
    [(about, training)] = SEEN
    assert about == ("neighbours", "minilm")
    assert sum(not text.startswith("space") for text in training) == others
    assert len(training) == len(set(training)) == row["train"] == 100 + others
    assert all("train" in text for text in training)
    assert row["auroc"] == 1


def test_another_seed_draws_others_and_the_model_is_left_out_where_words_are_counted(texts):
    for seed in (0, 1):
        study.one_against_the_rest(texts, "space", 0.1, "neighbours, TF-IDF", seed)
    assert [about for about, _ in SEEN] == [("neighbours", "Pipeline")] * 2
    assert set(SEEN[0][1]) != set(SEEN[1][1])


def test_what_takes_longest_is_fitted_once():
    cells = list(study.cells(["trec"], [0, 1]))
    assert {cell["seed"] for cell in cells if cell["detector"] == "ntl"} == {0}
    assert {cell["seed"] for cell in cells if cell["detector"] == "neighbours"} == {0, 1}


def test_fewer_texts_are_as_many_of_each_class():
    y = np.repeat(["a", "b"], [2000, 40])
    part = Labelled([f"text {row}" for row in range(2040)], y)
    kept = study.fewer(part, "sst", 0)
    assert dict(zip(*np.unique(kept.y, return_counts=True), strict=True)) == {"a": 1000, "b": 40}
    assert all(y[int(text.split()[1])] == label for text, label in zip(kept.texts, kept.y, strict=True))
    assert study.fewer(part, "trec", 0) is part
