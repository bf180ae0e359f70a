"""What an input is can be told from its form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from expose.inputs import (
    ImageEncoder,
    Images,
    Table,
    TableEncoder,
    TextEncoder,
    Texts,
    as_rows,
    as_table,
    encoder_for,
    encoder_from_json,
    kind_of,
)

from expose.errors import InputError

GREY = np.zeros((3, 8, 8))
RECORD = pa.record_batch({"a": ["x"]})


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (["a", "b"], "text"),
        (("a", None), "text"),
        (np.array(["a"]), "text"),
        (np.array(["a", None], dtype=object), "text"),
        (pd.Series(["a"]), "text"),
        (pl.Series(["a"]), "text"),
        (pa.array(["a"]), "text"),
        (Texts(("a",)), "text"),
        (GREY, "image"),
        (np.zeros((3, 8, 8, 3)), "image"),
        (torch.zeros(3, 1, 8, 8), "image"),
        (list(GREY), "image"),
        ([np.zeros((2, 3)), np.zeros((4, 5, 3))], "image"),
        ([Path("a.png")], "image"),
        (Images(GREY[..., None]), "image"),
        (np.zeros((3, 2)), "table"),
        ([[1.0, 2.0]], "table"),
        ([["a", "b"]], "table"),
        ([np.zeros(3)], "table"),
        (np.array([["a"]]), "table"),
        (pd.DataFrame({"a": ["x"]}), "table"),
        (pl.DataFrame({"a": ["x"]}), "table"),
        (pa.table({"a": ["x"]}), "table"),
        (RECORD, "table"),
        (as_table([[1.0]]), "table"),
        (pd.Series([1.0]), "table"),
        ([1.0, 2.0], "table"),
        (["a", 1.0], "table"),
        ([None, None], "table"),
        ([], "table"),
        (None, "table"),
        ("nowhere", "table"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_kind_is_told_from_the_form(data, kind):
    assert kind_of(data) == kind


def test_a_folder_is_images_if_it_holds_one(tmp_path):
    assert kind_of(tmp_path) == kind_of(str(tmp_path)) == "table"
    (tmp_path / "data.csv").write_text("a\n1\n")
    assert kind_of(tmp_path) == "table"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.PNG").write_bytes(b"")
    assert kind_of(tmp_path) == kind_of(str(tmp_path)) == kind_of(tmp_path / "deep" / "one.PNG") == "image"
    assert kind_of(tmp_path / "data.csv") == "table"


@pytest.mark.parametrize(
    ("data", "kind", "rows", "encoder"),
    [
        ([[1.0], [2.0]], "table", Table, TableEncoder),
        (GREY[:2], "image", Images, ImageEncoder),
        (["a", "b"], "text", Texts, TextEncoder),
    ],
)
def test_each_kind_has_rows_and_an_encoder_with_one_face(data, kind, rows, encoder):
    held = as_rows(data, kind)
    assert type(held) is rows
    assert (held.n_rows, held.take(np.array([1])).n_rows) == (2, 1)
    assert as_rows(held, kind) is held
    fitted = encoder_for(kind, "standard").fit(held)
    assert type(fitted) is encoder
    assert fitted.layout.kind == kind
    encoded = fitted.transform(data)
    assert encoded.shape == (2, fitted.n_features_out) == (2, fitted.layout.n_values)
    assert fitted.groups[-1][1].stop == fitted.n_features_out
    assert not fitted.named
    assert fitted.text_columns == ()
    twin = encoder_from_json(fitted.to_json())
    assert np.array_equal(twin.transform(data), encoded)


def test_an_unknown_kind_is_refused():
    for act in (encoder_for, lambda kind: as_rows([[1.0]], kind)):
        with pytest.raises(InputError, match=r"kind must be one of \['table', 'image', 'text'\]; got 'sound'"):
            act("sound")
