"""The study of texts that do not belong: strays are as many as said, and none of the later texts was trained on."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from expose_lab.studies import spam
from expose_lab.studies.text_outliers import Texts


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Texts:
    monkeypatch.setattr(spam, "NORMAL", 40)
    for name, label in (("mr_polarity", "film"), ("trec", "question"), ("subj", "subjective")):
        rows = [{"label": label, "text": f"{label} number {row} of a kind"} for row in range(100)]
        rows += [{"label": "objective", "text": f"plot number {row}"} for row in range(100)] if name == "subj" else []
        with lzma.open(tmp_path / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return Texts(tmp_path)


@pytest.mark.parametrize(("name", "stray"), [("questions", "question"), ("plots", "plot")])
def test_strays_are_drawn_as_said(name: str, stray: str, texts: Texts) -> None:
    first, later = spam.drawn(texts, name, 0.2, seed=0)
    for some, labels in (first, later):
        np.testing.assert_array_equal([text.startswith(stray) for text in some], labels == 1)
        assert labels.sum() == 10
        assert len(labels) == 50
    assert not set(first[0]) & set(later[0])
    assert spam.drawn(texts, name, 0.2, seed=1)[0][0] != first[0]


def test_a_cell_gives_a_row_for_each_way_and_part(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spam, "read_texts", lambda folder: texts)
    monkeypatch.setattr(spam, "ours", lambda first, later, seed: [np.zeros(len(first)), np.zeros(len(later))])
    monkeypatch.setattr(spam, "forest", lambda way, first, later: [np.zeros(len(first)), np.zeros(len(later))])
    rows = list(spam.measure({"set": "questions", "share": 0.2, "seed": 0}, Path()))
    assert [(row["way"], row["part"]) for row in rows] == [(w, p) for w in spam.WAYS for p in ("trained on", "later")]
    assert {row["auroc"] for row in rows} == {0.5}
