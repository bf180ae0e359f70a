"""Sets of photos: tables that list them, folders that sort them, what is said of them, and damaged ones among them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expose.errors import DataWarning, InputError, SkippedWarning
from expose.kinds import Images, Reading, as_images, kind_named, kind_of, kind_of_files
from expose.kinds.image_files import image_files
from expose.kinds.photo_notes import folders_of, n_copies, notes_on, sizes_in_words

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
KIND = kind_named("image")


def photo(path: Path, value: int = 0, size: tuple[int, int] = (20, 20)) -> Path:
    """A file of one grey, and never the same as one of another value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six photos, three each in two folders."""
    for row in range(6):
        photo(tmp_path / "photos" / ("cat", "dog")[row % 2] / f"{row}.png", 10 * row)
    return tmp_path / "photos"


@pytest.fixture
def table(folder: Path) -> Path:
    """A table of these, with part, path, label and a note, beside their folder."""
    files = sorted(folder.rglob("*.png"))
    frame = pd.DataFrame(
        {
            "part": [f"P{row}" for row in range(6)],
            "path": [str(file.relative_to(folder.parent)) for file in files],
            "defect": [1, 0, None, None, None, None],
            "note": "x",
        }
    )
    frame.to_csv(folder.parent / "parts.csv", index=False)
    return folder.parent / "parts.csv"


# --------------------------------------------------------------------------------------------- tables of paths


def test_a_column_of_paths_is_photos_and_other_columns_name_them(table: Path, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir("/")  # paths count from the folder of the table
    reading = Reading(photo=("path",), label="defect")
    assert kind_of_files([str(table)], reading) is KIND
    assert kind_of_files([str(table)]).name == "table"
    batch = KIND.read([str(table)], reading)
    assert batch.ids.column_names == ["path", "part", "note"]
    assert batch.label.to_pylist()[:3] == ["1.0", "0.0", None]
    assert batch.samples.raw(1).max() == 20
    named = KIND.read([str(table)], Reading(photo=("path",), id=("part",)))
    assert (named.ids.column_names, named.label) == (["path", "part"], None)
    split = KIND.split(pa.table({"path": [str(folder / "cat" / "0.png")], "part": [7]}), Reading(photo=("path",)))
    assert (split.samples.shapes.tolist(), split.ids["part"].to_pylist()) == ([[20, 20, 1]], [7])


def test_a_table_is_scanned_some_at_a_time(table: Path, monkeypatch) -> None:
    monkeypatch.setattr("expose.kinds.image.AT_ONCE", 4)
    batches = list(KIND.scan([str(table)], Reading(photo=("path",), later=True, label="defect", id=("part", "gone"))))
    assert [len(batch.samples) for batch in batches] == [4, 2]
    assert pa.concat_tables(batch.ids for batch in batches)["part"].to_pylist() == [f"P{row}" for row in range(6)]


def test_photos_that_are_not_there_are_listed(table: Path, folder: Path) -> None:
    for name in ("0", "2"):
        (folder / "cat" / f"{name}.png").unlink()
    with pytest.raises(InputError, match=r"2 of 6 photos that the column 'path' names are not there: 'photos/cat/0"):
        KIND.read([str(table)], Reading(photo=("path",)))
    with pytest.warns(SkippedWarning, match=r"2 file\(s\) cannot be read as images and are left out: 'photos/cat/0"):
        batch = KIND.read([str(table)], Reading(photo=("path",), label="defect", skip_bad=True))
    assert batch.ids["part"].to_pylist() == ["P2", "P3", "P4", "P5"]
    assert (len(batch.samples), len(batch.label)) == (4, 4)


def test_rows_without_a_photo_are_refused_or_left_out(table: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[[1, 4], "path"] = [None, " "]
    frame.to_csv(table, index=False)
    with pytest.raises(
        InputError, match=r"2 row\(s\) name no photo in the column 'path': row 1, 4, counted from 0\. N"
    ):
        KIND.read([str(table)], Reading(photo=("path",)))
    with pytest.warns(DataWarning, match=r"2 row\(s\) name no photo .*; left out"):
        batch = KIND.read([str(table)], Reading(photo=("path",), skip_bad=True))
    assert batch.ids["part"].to_pylist() == ["P0", "P2", "P3", "P5"]


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(photo=("pfad",)), r"photo: there is no column 'pfad'"),
        (Reading(photo=("path", "path2"), skip_bad=True), r"photo: there is no column 'path2'"),
        (Reading(photo=("path",), id=("nr",)), r"id: there is no column 'nr'"),
        (Reading(photo=("path",), label="nr"), r"label: there is no column 'nr'"),
    ],
)
def test_columns_that_are_not_there_are_refused(table: Path, reading: Reading, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KIND.read([str(table)], reading)


def test_tables_of_several_folders_are_refused(table: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "b.csv"
    other.write_bytes(table.read_bytes())
    with pytest.raises(InputError, match="the tables lie in several folders"):
        KIND.read([str(table), str(other)], Reading(photo=("path",)))


def test_a_model_of_a_table_scores_folders_too(table: Path, folder: Path) -> None:
    reading = Reading(photo=("path",), id=("part",), ignore=("note",), label="defect", later=True)
    [batch] = KIND.scan([str(folder)], reading)
    assert batch.ids.column_names == ["file"]


# ---------------------------------------------------------------------------------------------- folders as classes


def test_folders_name_classes_where_that_is_asked(folder: Path) -> None:
    assert KIND.read([str(folder)], Reading()).label is None
    assert KIND.read([str(folder)], Reading(label="folder")).label.to_pylist() == ["cat"] * 3 + ["dog"] * 3
    pattern = KIND.read([str(folder / "*" / "*.png")], Reading(label="folder"))
    assert pattern.label.to_pylist() == ["cat"] * 3 + ["dog"] * 3
    assert as_images(folder).folders.tolist() == ["cat"] * 3 + ["dog"] * 3
    with pytest.raises(InputError, match="these images are no files"):
        _ = Images(np.zeros((2, 8, 8, 1))).folders


@pytest.mark.parametrize(("beside", "message"), [(False, "here all lie in one"), (True, "1 lie beside the folders")])
def test_classes_need_a_folder_each(folder: Path, beside: bool, message: str) -> None:
    if beside:
        photo(folder / "x.png", 99)
    with pytest.raises(InputError, match=message):
        KIND.read([str(folder if beside else folder / "cat")], Reading(label="folder"))
    [later] = KIND.scan([str(folder / "cat")], Reading(label="folder", later=True))
    assert later.label is None


def test_folders_differ_below_what_they_have_in_common() -> None:
    assert folders_of(["a/b/x/1.png", "a/b/y/z/2.png"]) == ["x", "y"]
    assert folders_of(["ab/1.png", "ac/1.png"]) == ["ab", "ac"]
    assert folders_of([]) == []


def test_that_folders_play_no_part_is_said(folder: Path) -> None:
    assert any(
        "lie in 2 folders ('cat', 'dog'), whose names play no part" in n
        for n in KIND.read([str(folder)], Reading()).notes
    )
    for reading in (Reading(label="folder"), Reading(later=True)):
        assert not any("folders" in note for note in KIND.read([str(folder)], reading).notes)


# -------------------------------------------------------------------------------------------------- what is told


def test_sizes_are_put_in_words() -> None:
    shapes = np.array([[30, 40, 3], [30, 60, 3]])
    assert sizes_in_words(shapes[:1]) == "30 pixels high and 40 wide"
    assert sizes_in_words(shapes) == "30 pixels high and 40 to 60 wide, in 2 sizes"
    assert sizes_in_words(np.array([[8, 8, 2]])) == "8 x 8 pixels, grey"


def test_copies_proportions_and_tiny_photos_are_noticed(tmp_path: Path) -> None:
    files = [photo(tmp_path / f"{row}.png", row) for row in range(4)]
    files += [
        photo(tmp_path / "again.png", 0),
        photo(tmp_path / "wide.png", 9, (80, 20)),
        photo(tmp_path / "p.png", 5, (1, 1)),
    ]
    images = as_images(files)
    said = notes_on(images.shapes, files, [file.name for file in files])
    assert said[0].startswith("1 of 7 images are copies of another")
    assert said[1].startswith("their proportions differ, 1 to 4 times as wide as high")
    assert said[2] == "1 of 7 images have sides of less than 16 pixels: 'p.png'"
    assert notes_on(images.shapes[:4], files[:4], ["x"] * 4) == []


def test_files_of_one_size_are_copies_only_if_their_bytes_are(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for file, content in zip(files, (b"one", b"two", b"one"), strict=True):
        file.write_bytes(content)
    assert n_copies([*files, tmp_path / "gone"]) == 1


# ------------------------------------------------------------------------------------------------ damaged photos


def test_several_damaged_heads_are_named_at_once(folder: Path) -> None:
    for name in ("cat/0.png", "dog/1.png"):
        (folder / name).write_text("no image")
    with pytest.raises(
        InputError, match=r"2 or more image files cannot be used: 'cat/0.png', 'dog/1.png'\. The first:"
    ):
        _ = as_images(folder).shapes


def test_several_damaged_bodies_are_named_at_once(folder: Path) -> None:
    for name in ("cat/2.png", "dog/5.png"):
        path = photo(folder / name, 3, (300, 300))
        path.write_bytes(path.read_bytes()[:-60])
    images = as_images(folder)
    with pytest.raises(InputError, match=r"2 or more image files cannot be used: 'cat/2.png', 'dog/5.png'"):
        images.at(1)
    assert images.at(0).shape == (1, 20, 20, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_circles_and_into_nothing(folder: Path) -> None:
    os.symlink(".", folder / "loop")
    os.symlink("nowhere.png", folder / "gone.png")
    os.symlink("self.png", folder / "self.png")
    with pytest.warns(DataWarning, match=r"left out 1 link\(s\) to folders: 'loop'"):
        assert len(image_files(folder)) == 8
    with pytest.warns(SkippedWarning, match=r"2 file\(s\) cannot be read"):
        assert len(KIND.read([str(folder)], Reading(skip_bad=True)).samples) == 6


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read all")
def test_folders_and_files_without_permission(folder: Path) -> None:
    (folder / "cat" / "0.png").chmod(0)
    with pytest.raises(InputError, match=r"0\.png: cannot be read as an image .*Permission denied"):
        _ = as_images(folder).shapes
    (folder / "cat").chmod(0)
    try:
        with pytest.raises(InputError, match="cat cannot be read: Permission denied"):
            image_files(folder)
    finally:
        (folder / "cat").chmod(stat.S_IRWXU)


def test_a_folder_that_cannot_be_listed_is_an_error(folder: Path, monkeypatch) -> None:
    def walk(top: Path, onerror: Any) -> Any:
        onerror(PermissionError(13, "Permission denied", str(top / "cat")))
        return iter(())

    monkeypatch.setattr("expose.kinds.image_files.os.walk", walk)
    with pytest.raises(InputError, match=r"the folder .*cat cannot be read: Permission denied"):
        image_files(folder)


# ------------------------------------------------------------------------------------------------------ in Python


def test_columns_and_lists_of_paths_are_images(folder: Path) -> None:
    files = sorted(folder.rglob("*.png"))
    for given in (files, pd.Series(files), np.array(files, dtype=object)):
        assert kind_of(given) is KIND
        assert len(as_images(given)) == 6
    assert kind_of([str(file) for file in files]).name == "text"  # texts are what strings are, unless somebody says so
    assert as_images([str(file) for file in files]).shapes.tolist() == [[20, 20, 1]] * 6
