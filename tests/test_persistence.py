import json
import os
import pickle
import resource
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from expose.errors import ModelFolderError
from expose.persistence import (
    DESCRIPTION,
    WEIGHTS,
    _first_line,
    check_target,
    load_checkpoint,
    load_folder,
    save_checkpoint,
    save_folder,
)

META = {
    "class": "AnomalyDetector",
    "names": ["a", "ü", "\ud800"],
    "seed": None,
    "share": 0.1,
    "yes": True,
    "n": 10**25,
}
TENSORS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(2.5)}


@pytest.fixture
def folder(tmp_path):
    save_folder(tmp_path / "model", META, TENSORS)
    return tmp_path / "model"


def siblings(place: Path) -> set[str]:
    return {entry.name for entry in place.parent.iterdir()}


def assert_same(loaded, meta, tensors):
    assert loaded[0] == meta
    assert loaded[1].keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[1][name].dtype == array.dtype
        assert loaded[1][name].shape == array.shape
        assert loaded[1][name].tobytes() == array.tobytes()


# --- round trip ---

ODD = {
    "float32": np.array([1e-45, -0.0, np.nan, np.inf, 3.4e38], dtype=np.float32),
    "float64": np.random.default_rng(0).standard_normal((3, 4, 5)),
    "float16": np.array([0.1], dtype=np.float16),
    "int64": np.array([2**63 - 1, -(2**63)]),
    "uint8": np.arange(256, dtype=np.uint8),
    "bool": np.array([[True], [False]]),
    "0-d": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "strided": np.arange(10.0)[::3],
    "reversed": np.arange(4, dtype=np.int64)[::-1],
}


@pytest.mark.parametrize("name", ODD)
def test_arrays_come_back_to_the_bit_and_can_be_written_to(tmp_path, name):
    save_folder(tmp_path / "m", {}, {name: ODD[name]})
    save_checkpoint(tmp_path / "c", {}, {name: ODD[name]})
    for loaded in (load_folder(tmp_path / "m"), load_checkpoint(tmp_path / "c")):
        assert_same(loaded, {}, {name: ODD[name]})
        loaded[1][name][...] = 0


def test_other_byte_order_keeps_the_values(tmp_path):
    save_folder(tmp_path / "m", {}, {"a": np.array([1.5, -2.0], dtype=">f8")})
    assert load_folder(tmp_path / "m")[1]["a"].tolist() == [1.5, -2.0]


def test_meta_comes_back_with_its_types(tmp_path):
    meta = {
        **META,
        "deep": [{"x": [1, 2.5, {"y": "z"}]}],
        "empty": {},
        "tiny": 5e-324,
        "e": 0.1 + 0.2,
        "numpy": np.float64(0.3),
    }
    save_folder(tmp_path / "m", meta, {})
    assert load_folder(tmp_path / "m") == (meta, {})


def test_meta_may_hold_numbers_that_json_lacks(tmp_path):
    save_folder(tmp_path / "m", {"best": np.inf, "low": [-np.inf], "loss": np.nan, "like": {"$float": "1"}}, {})
    meta, _ = load_folder(tmp_path / "m")
    assert meta["best"] == np.inf
    assert meta["low"] == [-np.inf]
    assert np.isnan(meta["loss"])
    assert meta["like"] == {"$float": "1"}
    assert "NaN" not in (tmp_path / "m" / DESCRIPTION).read_text()


def test_the_folder_holds_two_files_and_says_what_wrote_it(folder):
    assert {entry.name for entry in folder.iterdir()} == {DESCRIPTION, WEIGHTS}
    description = json.loads((folder / DESCRIPTION).read_text())
    assert description["schema"] == 1
    assert {"expose", "torch", "numpy", "python"} <= description["written_with"].keys()
    assert siblings(folder) == {"model"}


def test_the_same_model_gives_the_same_bytes(folder, tmp_path):
    save_folder(tmp_path / "again", META, TENSORS)
    for name in (DESCRIPTION, WEIGHTS):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_folder_is_readable_as_other_folders_are(folder, tmp_path):
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"a": {1: 2}}, r"meta\['a'\] has the key 1"),
        ({"a": [0, np.ones(2)]}, r"meta\['a'\]\[1\] is a ndarray"),
        ({"a": np.int64(3)}, "is a int64"),
        ({"a": {1, 2}}, "is a set"),
    ],
)
def test_what_json_cannot_hold_is_named(tmp_path, meta, message):
    for save in (save_folder, save_checkpoint):
        with pytest.raises(TypeError, match=message):
            save(tmp_path / "m", meta, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([object()]), np.zeros(1, complex)])
def test_arrays_that_cannot_be_kept_are_named(tmp_path, array):
    with pytest.raises(TypeError, match="tensor 'a' has dtype"):
        save_folder(tmp_path / "m", {}, {"a": array})


# --- damage ---


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_no_byte_can_change_unnoticed(tmp_path, name):
    save_folder(tmp_path / "m", {"a": 1}, {"w": np.ones(2, dtype=np.float32)})
    file = tmp_path / "m" / name
    content = file.read_bytes()
    for position in range(len(content)):
        file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(ModelFolderError):
            load_folder(tmp_path / "m")
    file.write_bytes(content)
    load_folder(tmp_path / "m")


def test_no_byte_of_a_checkpoint_can_change_unnoticed(tmp_path):
    file = tmp_path / "c"
    save_checkpoint(file, {"sha256": "0" * 64, "text": '"sha256":"' + "0" * 64}, {"w": np.ones(2)})
    content = file.read_bytes()
    for position in range(len(content)):
        file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(ModelFolderError, match="damaged"):
            load_checkpoint(file)
    file.write_bytes(content)
    assert load_checkpoint(file)[0]["sha256"] == "0" * 64


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty", "missing"])
def test_a_file_of_another_length_is_refused(folder, name, change):
    file = folder / name
    content = file.read_bytes()
    file.write_bytes({"shorter": content[:-1], "longer": content + b"\n", "empty": b"", "missing": b""}[change])
    if change == "missing":
        file.unlink()
    with pytest.raises(ModelFolderError, match=f"no {name}" if change == "missing" else "damaged"):
        load_folder(folder)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 50, -1])
def test_a_shorter_checkpoint_is_refused(tmp_path, cut):
    save_checkpoint(tmp_path / "c", META, TENSORS)
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:cut])
    with pytest.raises(ModelFolderError, match="Delete it to train from the start"):
        load_checkpoint(tmp_path / "c")


def test_weights_of_another_model_are_refused(folder, tmp_path):
    save_folder(tmp_path / "other", META, {**TENSORS, "b": np.array(2.6)})
    (folder / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(ModelFolderError, match=f"{WEIGHTS} is damaged"):
        load_folder(folder)


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["model.pkl", "weights.pt", ".hidden", "notes.txt", "sub/"])
def test_anything_else_in_the_folder_is_refused_and_not_run(folder, tmp_path, name):
    if name.endswith("/"):
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelFolderError, match=f"does not belong there: {name.rstrip('/')}"):
        load_folder(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_a_pickle_in_the_place_of_a_file_is_not_run(folder, tmp_path, name):
    (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelFolderError, match="damaged"):
        load_folder(folder)
    assert not (tmp_path / "sprung").exists()


def signed(folder, description):
    body = json.dumps(description, indent=1)[2:].encode()
    (folder / DESCRIPTION).write_bytes(_first_line(body) + body)


def test_a_newer_schema_is_refused_with_the_way_out_even_if_it_has_more_files(folder):
    description = json.loads((folder / DESCRIPTION).read_text())
    del description["sha256_of_the_rest"]
    signed(folder, description)
    load_folder(folder)  # the forgery itself works
    signed(folder, {**description, "schema": 2, "model": "in another form"})
    (folder / "second.safetensors").touch()
    with pytest.raises(ModelFolderError, match=r"schema 2; this version .* reads schema 1.*pip install --upgrade"):
        load_folder(folder)


@pytest.mark.parametrize(
    "description", [[], {}, {"schema": 1}, {"schema": 1, "weights": 3}, {"schema": 1, "weights": {}}]
)
def test_signed_nonsense_is_refused_too(folder, description):
    signed(folder, description)
    with pytest.raises(ModelFolderError, match="not written by expose"):
        load_folder(folder)


def test_a_newer_checkpoint_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("expose.persistence.SCHEMA", 2)
    save_checkpoint(tmp_path / "c", {}, {})
    monkeypatch.undo()
    with pytest.raises(ModelFolderError, match="schema 2"):
        load_checkpoint(tmp_path / "c")


def test_what_is_not_a_model_is_named(tmp_path):
    assert load_checkpoint(tmp_path / "nothing") is None
    with pytest.raises(ModelFolderError, match="There is no model at"):
        load_folder(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(ModelFolderError, match="is a file, not a model folder"):
        load_folder(tmp_path / "file")
    with pytest.raises(ModelFolderError, match=f"has no {DESCRIPTION}"):
        load_folder(tmp_path)


# --- replacing and crashing ---


def test_an_older_model_is_replaced(folder):
    save_folder(folder, {"new": True}, {})
    assert load_folder(folder) == ({"new": True}, {})
    assert siblings(folder) == {"model"}


def test_a_link_to_a_model_stays_a_link(folder, tmp_path):
    (tmp_path / "current").symlink_to(folder, target_is_directory=True)
    save_folder(tmp_path / "current", {"new": True}, {})
    assert (tmp_path / "current").is_symlink()
    assert load_folder(folder)[0] == {"new": True}


def test_an_empty_folder_and_missing_parents_will_do(tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "a" / "b" / "model"):
        check_target(place)
        save_folder(place, META, TENSORS)
        assert_same(load_folder(place), META, TENSORS)


@pytest.mark.parametrize("files", [["thesis.docx"], [DESCRIPTION], [DESCRIPTION, WEIGHTS], [WEIGHTS], ["d/"]])
def test_a_folder_that_is_not_a_model_is_left_alone(tmp_path, files):
    place = tmp_path / "precious"
    place.mkdir()
    for name in files:
        (place / name).mkdir() if name.endswith("/") else (place / name).write_text('{"mine": 1}')
    for attempt in (lambda: check_target(place), lambda: save_folder(place, META, TENSORS)):
        with pytest.raises(ModelFolderError, match="left alone"):
            attempt()
    assert {entry.name for entry in place.iterdir()} == {name.rstrip("/") for name in files}
    assert siblings(place) == {"precious"}


def test_a_model_with_something_added_is_left_alone(folder):
    (folder / "report.html").write_text("precious")
    with pytest.raises(ModelFolderError, match="left alone"):
        save_folder(folder, {}, {})
    assert (folder / "report.html").read_text() == "precious"


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("precious")
    for attempt in (lambda: check_target(tmp_path / "file"), lambda: save_folder(tmp_path / "file", {}, {})):
        with pytest.raises(ModelFolderError, match="is a file"):
            attempt()


KILLED = textwrap.dedent(
    """
    import os, sys, numpy as np, pathlib
    import expose.persistence as p, expose.atomic as a
    countdown = int(sys.argv[2])
    def dying(f):
        def g(*args, **kwargs):
            global countdown
            countdown -= 1
            if countdown < 0:
                os._exit(9)       # as a SIGKILL: nothing is cleaned up
            return f(*args, **kwargs)
        return g
    for name in ("rename", "replace", "mkdir", "open"):
        setattr(pathlib.Path, name, dying(getattr(pathlib.Path, name)))
    os.fsync = dying(os.fsync)
    a.shutil.rmtree = dying(a.shutil.rmtree)
    {call}
    """
)


def killed_at(step, path, call):
    code = KILLED.replace("{call}", call)
    return subprocess.run([sys.executable, "-c", code, str(path), str(step)], check=False, timeout=60).returncode


def test_a_save_killed_at_any_step_leaves_the_old_or_the_new_model(folder):
    call = "p.save_folder(sys.argv[1], {'new': True}, {'w': np.zeros(3)})"
    seen = []
    for step in range(30):
        save_folder(folder, {"new": False}, {"w": np.ones(3)})
        code = killed_at(step, folder, call)
        seen.append(load_folder(folder)[0]["new"])
        if code == 0:
            break
        assert code == 9
    else:
        pytest.fail("the save never came to its end")
    assert seen[0] is False
    assert seen[-1] is True
    assert len(seen) > 6
    assert seen == sorted(seen)


def test_a_checkpoint_killed_at_any_step_leaves_the_old_or_the_new(tmp_path):
    path = tmp_path / "c"
    call = "p.save_checkpoint(sys.argv[1], {'new': True}, {'w': np.zeros(3)})"
    save_checkpoint(path, {"new": False}, {})
    seen = []
    for step in range(10):
        code = killed_at(step, path, call)
        seen.append(load_checkpoint(path)[0]["new"])
        if code == 0:
            break
    assert seen[0] is False
    assert seen[-1] is True
    assert code == 0


@pytest.mark.parametrize("kind", ["folder", "checkpoint"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_nothing_new_and_nothing_less(tmp_path, monkeypatch, kind, error):
    save, load = (save_folder, load_folder) if kind == "folder" else (save_checkpoint, load_checkpoint)
    save(tmp_path / "old", META, TENSORS)

    def fail(_):
        raise error

    monkeypatch.setattr("os.fsync", fail)
    for place in (tmp_path / "old", tmp_path / "deep" / "er" / "new"):
        with pytest.raises(type(error)) as caught:
            save(place, {"new": True}, {})
        if isinstance(error, OSError):
            assert caught.value.errno == 28
            assert f"Cannot write {place}: No space left on device" in str(caught.value)
    assert siblings(tmp_path / "old") == {"old"}
    assert_same(load(tmp_path / "old"), META, TENSORS)


def test_a_failed_rename_puts_the_older_model_back(folder, monkeypatch):
    rename = Path.rename

    def fail_on_draft(self, target):
        if self.name.endswith(".tmp"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_on_draft)
    with pytest.raises(OSError, match="Input/output error"):
        save_folder(folder, {"new": True}, {})
    assert siblings(folder) == {"model"}
    assert_same(load_folder(folder), META, TENSORS)


@pytest.mark.parametrize("save", [save_folder, save_checkpoint])
def test_a_disk_that_takes_no_more_bytes(tmp_path, save):
    """A real limit of the operating system on the size of a file stands in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"Cannot write .*File too large"):
            save(tmp_path / "big", {}, {"w": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_the_right_to_write(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    for attempt in (check_target, lambda place: save_folder(place, {}, {})):
        with pytest.raises(PermissionError, match="Cannot"):
            attempt(tmp_path / "locked" / "model")
    assert list((tmp_path / "locked").iterdir()) == []


def test_a_right_to_write_that_is_missing_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="you may not write in"):
        check_target(tmp_path / "runs" / "model")


def test_a_file_where_a_parent_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        check_target(tmp_path / "file" / "model")
    with pytest.raises(OSError, match="Cannot write"):
        save_folder(tmp_path / "file" / "model", {}, {})
