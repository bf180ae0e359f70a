"""Each kind recognises its samples by their form, and all kinds keep one contract."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from expose.errors import InputError
from expose.kinds import (
    KINDS,
    Images,
    Kind,
    Reading,
    Texts,
    as_images,
    as_logs,
    as_table,
    as_texts,
    as_video,
    kind_named,
    kind_of,
    kind_of_files,
    register_kind,
)

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
def test_the_kind_is_recognised_by_the_form(data, kind):
    assert kind_of(data).name == kind


def test_a_folder_is_images_if_it_holds_one(tmp_path):
    assert kind_of(tmp_path).name == kind_of(str(tmp_path)).name == "table"
    (tmp_path / "data.csv").write_text("a\n1\n")
    assert kind_of(tmp_path).name == "table"
    (tmp_path / "deep").mkdir()
    image = tmp_path / "deep" / "one.PNG"
    image.write_bytes(b"")
    assert kind_of(tmp_path).name == kind_of(str(tmp_path)).name == kind_of(image).name == "image"
    assert kind_of(tmp_path / "data.csv").name == "table"


# -------------------------------------------------------------------------------------- what every kind must keep

EXAMPLES = {
    "table": pa.table({"x": [1.5, None, 3.0], "y": ["a", "b", None]}),
    "image": np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8),
    "series": pd.DataFrame({"x": [1.5, None, 3.0]}, index=pd.date_range("2026-01-01", periods=3)),
    "text": ["one text", "another", "one more"],
    "video": as_video(np.zeros((3, 8, 8))),
    "log": as_logs([f"2026-05-01 12:0{minute}:00 step {minute} of {word}" for minute, word in enumerate("abc")], "1m"),
    "views": {side: np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8) for side in ("a", "b")},
}


@pytest.fixture(params=sorted(KINDS))
def kind(request) -> Kind:
    return KINDS[request.param]


def shown(kind: Kind, samples) -> list[dict]:
    return [kind.show(samples, row) for row in range(len(samples))]


def test_it_recognises_its_samples_however_they_are_given(kind):
    X = EXAMPLES[kind.name]
    assert kind_of(X) is kind
    assert kind_of(kind.samples(X)) is kind


def test_samples_are_counted_and_taken(kind):
    samples = kind.samples(EXAMPLES[kind.name])
    every = shown(kind, samples)
    assert len(samples) == len(every) == 3
    for rows in (np.array([2, 0]), np.array([], dtype=np.intp), np.array([1])):
        taken = samples.take(rows)
        assert type(taken) is type(samples)
        assert shown(kind, taken) == [every[row] for row in rows]
    assert shown(kind, samples.take(slice(1, None))) == every[1:]
    assert shown(kind, samples.take(np.array([True, False, True]))) == [every[0], every[2]]


def test_samples_stay_as_they_are(kind):
    samples = kind.samples(EXAMPLES[kind.name])
    assert kind.samples(samples) is samples


def test_other_packages_get_plain_values(kind):
    samples = kind.samples(EXAMPLES[kind.name])
    assert len(kind.plain(samples)) == len(samples)
    assert len(kind.plain(samples.take(slice(0, 1)))) == 1


def test_it_says_what_a_message_needs(kind):
    assert kind.name
    assert kind.plural
    assert kind.objective
    assert kind.encoder
    assert not kind.advice or kind.advice.endswith(".")


def test_scores_of_parts_are_put_back_one_per_sample(kind):
    samples = kind.samples(EXAMPLES[kind.name])
    assert len(kind.put_back(samples, np.zeros((3, 1)))) == 3


def test_a_new_kind_is_one_class():
    @register_kind
    class Sounds(Kind):
        name, plural, encoder = "sound", "sounds", "own"

        def recognises(self, X):
            return X == "a sound"

        def claims(self, sources):
            return list(sources) == ["a.wav"]

    try:
        assert kind_of("a sound").name == kind_of_files(["a.wav"]).name == "sound"
        assert kind_of([[1.0]]).name == kind_of_files(["a.csv"]).name == "table"
        with pytest.raises(InputError, match="sounds cannot be read from files"):
            list(KINDS["sound"].scan(["a.wav"], Reading()))
        with pytest.raises(TypeError, match=r"Sounds must define samples"):
            KINDS["sound"].samples("a sound")
    finally:
        del KINDS["sound"]


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match=r"no kind 'sound'.*'table', 'text', 'video', 'views'\]"):
        kind_named("sound")


# ------------------------------------------------------------------------------------------------ one by one


def test_a_row_is_shown_by_its_columns():
    table = as_table(
        pa.table({"n": [1.5, None], "b": [True, False], "c": ["a", None], "t": [dt.datetime(2024, 1, 1), None]})
    )
    assert KINDS["table"].show(table, 0) == {"n": 1.5, "b": True, "c": "a", "t": dt.datetime(2024, 1, 1)}
    assert KINDS["table"].show(table, 1) == {"n": None, "b": False, "c": None, "t": None}


def test_an_image_is_shown_by_file_and_size():
    assert KINDS["image"].show(as_images(GREY), 1) == {"size": "8 x 8"}
    assert KINDS["image"].show(Images([GREY[0][..., None]] * 2, ("a.png", "b.png")), 1) == {
        "file": "b.png",
        "size": "8 x 8",
    }


def test_a_text_is_shown():
    assert KINDS["text"].show(as_texts(["a", "b"]), 1) == {"text": "b"}


def test_a_table_of_numbers_is_plain_floats_and_any_other_objects():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
    plain = KINDS["table"].plain(as_table(frame))
    assert plain.dtype == np.float64
    np.testing.assert_array_equal(plain, [[1, 0.5], [2, np.nan]])
    assert KINDS["table"].plain(as_table(np.zeros((2, 2), np.float32))).dtype == np.float32
    mixed = KINDS["table"].plain(as_table(frame.assign(c=["x", None])))
    assert mixed.dtype == object
    assert mixed[0].tolist() == [1.0, 0.5, "x"]
    assert mixed[1, 2] is None


def test_images_are_plain_arrays_with_their_own_values():
    images = [np.full((2, 3), 7, np.uint8), np.zeros((4, 5, 3))]
    plain = KINDS["image"].plain(as_images(images))
    assert [(one.shape, one.dtype) for one in plain] == [((2, 3, 1), np.uint8), ((4, 5, 3), np.float64)]
    assert plain[0].max() == 7


def test_columns_of_arrow_become_samples_and_ids():
    keyed = Reading(id=("key",), later=True)
    table = KINDS["table"].split(pa.table({"key": [7], "x": [1.5]}), keyed)
    assert (table.samples.to_pydict(), table.ids.to_pydict()) == ({"x": [1.5]}, {"key": [7]})
    text = KINDS["text"].split(pa.table({"key": [7], "words": ["one text"]}), keyed)
    assert (text.samples.values, text.ids.to_pydict()) == (("one text",), {"key": [7]})
    assert KINDS["text"].split(pa.table(RECORD), Reading()).ids is None
    image = KINDS["image"].split(pa.table({"key": [7], "file": ["a.png"], "day": [1]}), keyed)
    assert (image.samples.names, image.ids.to_pydict()) == (("a.png",), {"key": [7], "file": ["a.png"]})
    with pytest.raises(InputError, match="images come as a column 'file'"):
        KINDS["image"].split(pa.table(RECORD), Reading())
    with pytest.raises(InputError, match=r"texts come as one column.*; got 'a', 'b'"):
        KINDS["text"].split(pa.table({"a": ["x"], "b": ["y"]}), Reading())


def test_columns_are_counted_and_named_if_they_have_names():
    assert KINDS["table"].columns(as_table(RECORD)) == (1, ("a",))
    assert KINDS["table"].columns(as_table([[1.0, 2.0]])) == (2, ())
    assert KINDS["image"].columns(as_images(GREY)) is None


def test_importing_kinds_is_light():
    code = (
        "import sys, expose.kinds; print(sorted({'torch', 'sklearn', 'PIL', 'pandas', 'narwhals'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
