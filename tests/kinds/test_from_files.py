"""Kinds read their samples from files: with the roles of columns, whole or batch by batch."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from expose.errors import DataWarning, InputError
from expose.files import Dialect, known_labels
from expose.kinds import KINDS, Batch, Reading, kind_of_files

TABLE, IMAGE = KINDS["table"], KINDS["image"]
ROLES = Reading(id=("key",), ignore=("skip",), label="odd")


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("key,x,skip,odd,zip\n7,1.5,a,1,01\n8,2.5,b,,02\n")
    return str(path)


def test_columns_are_split_by_role(csv):
    samples, ids, label, notes = TABLE.read([csv], ROLES)
    assert notes == ()
    assert samples.to_pydict() == {"x": ["1.5", "2.5"], "zip": ["01", "02"]}
    assert ids.to_pydict() == {"key": ["7", "8"]}
    assert known_labels(label, "odd").tolist() == [1, -1]
    assert TABLE.read([csv], Reading())[1:] == (None, None, ())


def test_columns_may_be_named_with_commas(csv):
    samples, ids, *_ = TABLE.read([csv], Reading(id=("key, skip",), ignore=("odd,zip",)))
    assert (samples.column_names, ids.column_names) == (["x"], ["key", "skip"])


def test_how_files_are_written_is_noted(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text("My export\n\na;b\n1;2,5\n3;4,5\n")
    batch = TABLE.read([str(path)], Reading())
    assert batch.notes == ("delimiter ';'", "1 line above the header left out: 'My export'")
    assert [one.notes for one in TABLE.scan([str(path)], Reading())] == [batch.notes]


def test_a_file_that_is_missing_is_an_error_before_the_first_batch():
    with pytest.raises(FileNotFoundError, match=r"no file 'absent.csv'"):
        TABLE.scan(["absent.csv"], Reading())


def test_encodings(tmp_path):
    path = tmp_path / "l.csv"
    path.write_bytes("a,n\n1,José\n".encode("latin-1"))
    assert TABLE.read([str(path)], Reading(dialect=Dialect(encoding="latin-1"))).samples["n"].to_pylist() == ["José"]


@pytest.mark.parametrize("role", [{"id": ("kez",)}, {"ignore": ("kez",)}, {"label": "kez"}])
def test_in_training_every_column_must_exist(csv, role):
    with pytest.raises(InputError, match=r"there is no column 'kez'.*mean 'key'"):
        TABLE.read([csv], Reading(**role))


def test_later_data_may_lack_what_plays_no_part(tmp_path):
    path = tmp_path / "later.csv"
    path.write_text("x,zip\n1.5,01\n")
    reading = replace(ROLES, later=True)
    with pytest.warns(DataWarning, match="id column 'key' is not in the new data"):
        samples, ids, label, _ = TABLE.read([str(path)], reading)
    assert samples.column_names == ["x", "zip"]
    assert ids is label is None


def test_later_a_column_may_change_its_role_to_id(csv):
    samples, ids, label, _ = TABLE.read(
        [csv], Reading(id=("skip", "odd"), ignore=("skip", "key"), label="odd", later=True)
    )
    assert (samples.column_names, ids.column_names, label) == (["x", "zip"], ["skip", "odd"], None)


def test_batches_are_the_whole_and_say_a_warning_once(tmp_path):
    rows = 70_000
    path = str(tmp_path / "many.csv")
    np.savetxt(path, np.arange(2 * rows).reshape(rows, 2), fmt="%d", delimiter=",", header="a,b", comments="")
    reading = Reading(id=("a",), later=True)
    batches = list(TABLE.scan([path], reading))
    assert len(batches) > 1
    whole = TABLE.read([path], reading)
    assert pa.concat_tables([batch.samples for batch in batches]).equals(whole.samples)
    assert pa.concat_tables([batch.ids for batch in batches]).equals(whole.ids)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(TABLE.scan([path], Reading(id=("key",), later=True)))
    assert len(caught) == 1


def test_several_files_and_patterns(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"x\n{ord(name)}\n")
    both = ["97", "98"]
    for sources in ([str(tmp_path / "*.csv")], [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], [str(tmp_path)]):
        assert TABLE.read(sources, Reading()).samples["x"].to_pylist() == both


def test_files_without_images_are_tables(csv, tmp_path):
    for sources in ([csv], ["-"], ["absent.csv"], [str(tmp_path)], ["texts.txt"]):
        assert kind_of_files(sources) is TABLE


# --------------------------------------------------------------------------------------------------- images


@pytest.fixture
def folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    place = tmp_path / "images"
    place.mkdir()
    for number in range(3):
        image.fromarray(np.full((4, 5), number, np.uint8)).save(place / f"{number}.png")
    return place


def test_images_are_named_by_their_files(folder):
    assert kind_of_files([str(folder)]) is IMAGE
    images, ids, label, _ = IMAGE.read([str(folder)], Reading())
    assert ids.to_pydict() == {"file": ["0.png", "1.png", "2.png"]}
    assert [one.max() for one in IMAGE.plain(images)] == [0, 1, 2]
    assert label is None
    assert IMAGE.show(images, 1) == {"file": "1.png", "size": "4 x 5"}


def test_patterns_and_lists_of_images_keep_their_paths(folder):
    files = [str(folder / f"{number}.png") for number in (0, 1)]
    for sources in ([str(folder / "[01].png")], files):
        assert kind_of_files(sources) is IMAGE
        assert IMAGE.read(sources, Reading()).ids["file"].to_pylist() == files


def test_images_come_in_batches(folder, monkeypatch):
    monkeypatch.setattr("expose.kinds.image.AT_ONCE", 2)
    batches = list(IMAGE.scan([str(folder)], Reading(later=True)))
    assert [len(batch.samples) for batch in batches] == [2, 1]
    assert [name for batch in batches for name in batch.ids["file"].to_pylist()] == ["0.png", "1.png", "2.png"]


def test_a_folder_with_tables_too_is_refused(folder):
    (folder / "rows.csv").write_text("a\n1\n")
    assert kind_of_files([str(folder)]) is IMAGE
    with pytest.raises(InputError, match=r"holds images and tables, such as rows.csv. Give a quoted pattern"):
        IMAGE.read([str(folder)], Reading())


def test_columns_of_images_are_refused(folder):
    with pytest.raises(InputError, match="id and label: images have no columns"):
        IMAGE.read([str(folder)], Reading(id=("key",), label="odd"))
    assert isinstance(IMAGE.read([str(folder)], Reading(id=("file",), later=True)), Batch)


def test_tables_are_no_images(csv):
    with pytest.raises(
        InputError,
        match=r"Expected images, as in training: a folder or files of them; got .*rows.csv. A table .* needs --photo",
    ):
        IMAGE.read([csv], Reading(later=True))
