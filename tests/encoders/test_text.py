"""Texts become token numbers under a vocabulary of training, the same from every source."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from expose.encoders import Layout, TextEncoder
from expose.encoders import text as module
from expose.errors import DataWarning, InputError
from expose.kinds import as_texts, tokens

TEXTS = ["The cat sat.", "The dog sat, too!", "A bird?"]


def quiet(encoder: TextEncoder, texts: object) -> np.ndarray:
    """Encode, and fail if there was anything to warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encoder.transform(texts)


def words(encoder: TextEncoder, row: np.ndarray) -> list[str]:
    """The tokens of an encoded row."""
    return [["<pad>", "<unseen>", *encoder.vocabulary][int(number)] for number in row]


def test_rows_hold_the_numbers_of_tokens_by_how_frequent_they_are():
    encoder = TextEncoder().fit(["b b b", "a a c", "c c d"])
    assert encoder.vocabulary == ("b", "c", "a", "d")
    assert encoder.layout == Layout("tokens", (3,), n_tokens=6)
    rows = quiet(encoder, ["d c", "b new a b"])
    assert rows.dtype == np.float32
    assert rows.tolist() == [[5, 3, 0], [2, 1, 4]]
    assert encoder.layout.unfold(torch.from_numpy(rows)).dtype == torch.int64


def test_every_source_gives_the_same_rows():
    expected = quiet(TextEncoder().fit(TEXTS), TEXTS)
    sources = (
        tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object), pd.Series(TEXTS),
        pd.Series(TEXTS, dtype="string"), pd.Series(TEXTS).astype("category"), pl.Series(TEXTS),
        pa.array(TEXTS), pa.chunked_array([TEXTS]),
    )  # fmt: skip
    for source in sources:
        assert np.array_equal(quiet(TextEncoder().fit(source), source), expected), type(source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat SAT.", ["the", "cat", "sat", "."]),
        ("do n't ,  stop", ["do", "n", "'", "t", ",", "stop"]),
        ("x_1 = 3.5\n(ok)", ["x", "_", "1", "=", "3", ".", "5", "(", "ok", ")"]),
        ("Émile café 東京", ["émile", "café", "東京"]),
        ("   ", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_and_other_signs_stand_alone(text, expected):
    assert tokens(text) == expected


def test_characters_are_tokens_if_told():
    encoder = TextEncoder(level="char").fit(["ab  a", "A"])
    assert encoder.vocabulary == ("a", " ", "b")
    assert quiet(encoder, ["b\tax"]).tolist() == [[4, 3, 2, 1]]


def test_the_length_covers_most_texts_and_cutting_is_noted():
    texts = ["w " * 10] * 96 + ["w " * 1000] * 4
    encoder = TextEncoder().fit(texts)
    assert encoder.layout.n_values == 10
    assert encoder.notes == ["4 of 100 texts are longer than 10 words and are cut there."]
    assert TextEncoder().fit(["w " * 1000] * 5).layout.n_values == 256
    assert TextEncoder(length=3).fit(texts).transform(texts).shape == (100, 3)
    assert quiet(TextEncoder(length=4).fit(["a b"]), ["a b", "a b a b a b"]).tolist() == [[2, 3, 0, 0], [2, 3, 2, 3]]


def test_the_vocabulary_is_bounded_and_the_rest_is_unseen(monkeypatch):
    monkeypatch.setattr(module, "MOST_TOKENS", 2)
    encoder = TextEncoder().fit(["a a a", "b b", "c"])
    assert encoder.vocabulary == ("a", "b")
    assert encoder.layout.n_tokens == 4
    assert quiet(encoder, ["c b a"]).tolist() == [[1, 3, 2]]
    assert encoder.notes == ["Of 3 different words the 2 most frequent are remembered."]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_missing_texts_count_as_empty(missing):
    texts = ["a cat", missing, ""]
    encoder = TextEncoder().fit(texts)
    assert encoder.notes == ["1 of 3 texts are missing; they count as empty.", "1 of 3 texts are empty."]
    with pytest.warns(DataWarning, match=r"1 text\(s\) are missing"):
        rows = encoder.transform(texts)
    assert not rows[1:].any()
    assert as_texts(texts).take(np.array([2, 0])).values == ("", "a cat")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", b"raw"], r"text 1 is of type bytes; expected a string. Decode it first"),
        (["a", 3.5], "text 1 is of type float"),
        (np.array([["a"]]), r"got ndarray of shape \(1, 1\)"),
        ("one text", "got str"),
        ([], "found no word in 0"),
        (["", None], r"found no word in 2 sample\(s\)"),
    ],
)
def test_what_cannot_be_used_is_refused_kindly(texts, message):
    with pytest.raises(InputError, match=message):
        TextEncoder().fit(texts)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"length": 2.5}, {"level": "byte"}])
def test_parameters_are_checked(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must be"):
        TextEncoder(**wrong).fit(TEXTS)


@pytest.mark.parametrize("level", ["word", "char"])
def test_an_encoder_survives_json(level, restored):
    encoder = TextEncoder(level=level).fit([*TEXTS, None])
    twin = restored(encoder)
    assert isinstance(twin, TextEncoder)
    assert twin.state() == encoder.state()
    assert np.array_equal(quiet(twin, ["The bird sat"]), quiet(encoder, ["The bird sat"]))
    assert (twin.layout, twin.notes, twin.groups) == (encoder.layout, encoder.notes, encoder.groups)


def test_one_hundred_thousand_words_take_seconds():
    texts = [" ".join(map(str, np.random.default_rng(row).integers(0, 20_000, 100))) for row in range(1000)]
    encoder = TextEncoder().fit(texts)
    assert encoder.layout.n_tokens == 10_002
    assert words(encoder, encoder.transform(texts)[0]).count("<unseen>") < 100
