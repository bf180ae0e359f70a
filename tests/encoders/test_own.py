"""Anything with fit and transform encodes, if what it gives can be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from expose.encoders import OwnEncoder, make_encoder, restore_encoder
from expose.errors import InputError, ModelFolderError
from expose.kinds import KINDS

ROWS = np.random.default_rng(0).normal(2.0, 3.0, (20, 3))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


class Own:
    """An encoder that is just a function of what it gets."""

    def __init__(self, encode) -> None:
        self.encode = encode

    def fit(self, X):
        return self

    def transform(self, X):
        return self.encode(X)


def fitted(own: object, X: object, kind: str = "table") -> tuple[OwnEncoder, np.ndarray]:
    samples = KINDS[kind].samples(X)
    encoder = make_encoder(own, KINDS[kind]).fit(samples)
    return encoder, encoder.transform(samples)


@pytest.mark.parametrize("own", [StandardScaler(), PCA(2), make_pipeline(StandardScaler(), PCA(2))])
def test_scikit_learn_encodes_tables(own):
    encoder, rows = fitted(own, ROWS)
    np.testing.assert_allclose(rows, own.fit_transform(ROWS), rtol=1e-4, atol=1e-5)
    assert rows.dtype == np.float32
    assert encoder.layout.shape == rows.shape[1:]
    assert encoder.own is not own


def test_its_outputs_have_names():
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    assert fitted(StandardScaler(), frame)[0].groups == [("a", slice(0, 1)), ("b", slice(1, 2)), ("c", slice(2, 3))]
    assert [name for name, _ in fitted(PCA(2), frame)[0].groups] == ["pca0", "pca1"]
    assert [name for name, _ in fitted(Own(lambda X: X[:, :2]), frame)[0].groups] == ["value 0", "value 1"]


def test_mixed_tables_come_as_objects():
    frame = pd.DataFrame({"c": ["a", "b", "a"], "d": ["u", "u", "v"]})
    encoder, rows = fitted(OneHotEncoder(sparse_output=False), frame)
    assert rows.tolist() == [[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]]
    assert encoder.groups[0][0] == "c_a"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_network_of_torch_encodes_images(dtype):
    network = torch.nn.Linear(72, 7).to(dtype)
    own = Own(lambda images: network(torch.tensor(np.stack(images)).to(dtype).flatten(1) / 255))
    encoder, rows = fitted(own, IMAGES, "image")
    assert rows.shape == (5, 7)
    assert encoder.layout.shape == (7,)


def test_a_sample_may_have_parts():
    own = Own(lambda images: np.stack(images).reshape(len(images), 24, 3).astype(np.float64))
    encoder, rows = fitted(own, IMAGES, "image")
    assert rows.shape == (5, 24, 3)
    assert (encoder.layout.form, encoder.layout.shape) == ("vector", (3,))
    assert len(encoder.groups) == 3


def test_texts_come_as_a_list():
    words = make_pipeline(TfidfVectorizer(), FunctionTransformer(lambda found: found.toarray(), accept_sparse=True))
    assert fitted(words, ["a cat", "the dog", None], "text")[1].shape == (3, 3)


def test_frames_are_taken():
    assert fitted(Own(lambda X: pd.DataFrame(X[:, :2])), ROWS)[1].shape == (20, 2)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda X: X[1:], r"Own.transform must give numbers of shape \(8, D\).*got shape \(7, 3\) of float64"),
        (lambda X: X[:, 0], r"got shape \(8,\)"),
        (lambda X: X.astype(str), "of <U"),
        (lambda X: None, r"got shape \(\) of object"),
        (lambda X: np.where(X[1, 1] == X, np.nan, X), "gave NaN, infinity or numbers too large.*first in sample 1"),
        (lambda X: np.where(X[2, 1] == X, 1e300, X), "too large for float32, first in sample 2"),
        (lambda X: X[:, :0], r"got shape \(8, 0\)"),
    ],
)
def test_what_cannot_be_used_is_refused(encode, message):
    with pytest.raises(InputError, match=message):
        fitted(Own(encode), ROWS)


def test_who_gives_a_function_for_images_is_told_what_takes_one():
    for function in (lambda photos: photos, torch.nn.Identity()):
        with pytest.raises(InputError, match=r"To encode images by a function, write PhotoEncoder\(function\)\."):
            make_encoder(function, KINDS["image"])
    with pytest.raises(InputError, match=r"with fit and transform; got a function\.$"):  # nothing takes one of texts
        make_encoder(lambda texts: texts, KINDS["text"])
    with pytest.raises(InputError, match=r"with fit and transform; got a int\.$"):
        make_encoder(3, KINDS["image"])


def test_a_sparse_matrix_is_refused_with_advice():
    with pytest.raises(InputError, match=r"OneHotEncoder\.transform gave a sparse matrix; make it dense"):
        fitted(OneHotEncoder(), [["a"], ["b"]])


def test_the_width_must_stay():
    samples = KINDS["table"].samples(ROWS)
    encoder = make_encoder(Own(lambda X: X[:, : 1 + (len(X) > 10)]), KINDS["table"]).fit(samples)
    with pytest.raises(InputError, match=r"Own.transform gave 2 values per part, and 1 in training"):
        encoder.transform(samples)


def test_it_is_stored_by_name_and_given_again():
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    encoder, rows = fitted(StandardScaler(), frame)
    state, kind = encoder.state(), KINDS["table"]
    learned = state.meta.pop("learned")
    assert state.meta == {"class": "StandardScaler", "width": 3, "names": ["a", "b", "c"]}
    assert learned["writings"] == {}  # of columns of texts, of which there are none
    twin = restore_encoder(encoder.family, state, kind, encoder.own)
    np.testing.assert_array_equal(twin.transform(kind.samples(frame)), rows)
    assert (twin.layout, twin.groups) == (encoder.layout, encoder.groups)
    with pytest.raises(ModelFolderError, match=r"class 'StandardScaler'.*load\(folder, encoder=...\)"):
        restore_encoder(encoder.family, state, kind)
