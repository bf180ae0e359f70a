import hashlib
import json
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from expose.errors import ModelFolderError
from expose.persistence import (
    DESCRIPTION,
    SCHEMA,
    check_target,
    class_in,
    field,
    load_checkpoint,
    load_folder,
    refusing_nonsense,
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


TRAINING = {"training_scores": np.arange(4.0)}


@pytest.fixture
def folder(tmp_path):
    save_folder(tmp_path / "model", META, TENSORS)
    return tmp_path / "model"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def file_of(folder: Path, part: str) -> Path:
    """The description, or the file of arrays that begins so."""
    return folder / DESCRIPTION if part == DESCRIPTION else next(folder.glob(f"{part}-*.safetensors"))


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
    assert names(folder) == [DESCRIPTION, file_of(folder, "weights").name]
    description = json.loads((folder / DESCRIPTION).read_text())
    assert description["schema"] == SCHEMA == 2
    assert {"expose", "torch", "numpy", "python"} <= description["written_with"].keys()
    assert siblings(folder) == {"model"}


def test_the_same_model_gives_the_same_bytes(folder, tmp_path):
    save_folder(tmp_path / "again", META, TENSORS)
    assert names(folder) == names(tmp_path / "again")
    for name in names(folder):
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


@pytest.mark.parametrize("part", [DESCRIPTION, "weights", "training"])
def test_no_byte_can_change_unnoticed(tmp_path, part):
    save_folder(tmp_path / "m", {"a": 1}, {"w": np.ones(2, dtype=np.float32)}, TRAINING)
    file = file_of(tmp_path / "m", part)
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


@pytest.mark.parametrize("part", [DESCRIPTION, "weights"])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty", "missing"])
def test_a_file_of_another_length_is_refused(folder, part, change):
    file = file_of(folder, part)
    content = file.read_bytes()
    file.write_bytes({"shorter": content[:-1], "longer": content + b"\n", "empty": b"", "missing": b""}[change])
    if change == "missing":
        file.unlink()
    with pytest.raises(ModelFolderError, match=f"no {part}" if change == "missing" else "damaged"):
        load_folder(folder)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 50, -1])
def test_a_shorter_checkpoint_is_refused(tmp_path, cut):
    save_checkpoint(tmp_path / "c", META, TENSORS)
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:cut])
    with pytest.raises(ModelFolderError, match="Delete it to train from the start"):
        load_checkpoint(tmp_path / "c")


def test_weights_of_another_model_are_refused(folder, tmp_path):
    save_folder(tmp_path / "other", META, {**TENSORS, "b": np.array(2.6)})
    file = file_of(folder, "weights")
    file.write_bytes(file_of(tmp_path / "other", "weights").read_bytes())
    with pytest.raises(ModelFolderError, match=f"{file.name} is damaged"):
        load_folder(folder)


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "name",
    [
        "model.pkl",
        "weights.pt",
        "weights.safetensors",
        "weights-0123456789abcdef.safetensors.pkl",
        ".hidden",
        "notes.txt",
        "sub/",
    ],
)
def test_anything_else_in_the_folder_is_refused_and_not_run(folder, tmp_path, name):
    if name.endswith("/"):
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelFolderError, match=f"does not belong there: {name.rstrip('/')}"):
        load_folder(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("part", [DESCRIPTION, "weights"])
def test_a_pickle_in_the_place_of_a_file_is_not_run(folder, tmp_path, part):
    file_of(folder, part).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelFolderError, match="damaged"):
        load_folder(folder)
    assert not (tmp_path / "sprung").exists()


def described(folder):
    description = json.loads((folder / DESCRIPTION).read_text())
    del description["sha256_of_the_rest"]
    return description


def signed(folder, description):
    """Write a description with the checksum that belongs to it."""
    body = json.dumps(description, indent=1)[2:].encode()
    first = b'{"sha256_of_the_rest": "' + hashlib.sha256(body).hexdigest().encode() + b'",\n'
    (folder / DESCRIPTION).write_bytes(first + body)


def test_a_newer_schema_is_refused_with_the_way_out_even_if_it_has_more_files(folder):
    signed(folder, described(folder))
    load_folder(folder)  # the forgery itself works
    signed(folder, {**described(folder), "schema": 3, "model": "in another form"})
    (folder / "second.safetensors").touch()
    for read in (load_folder, class_in):
        with pytest.raises(ModelFolderError, match=r"schema 3; this version .* reads schema 2.*pip install --upgrade"):
            read(folder)


def test_an_older_schema_is_refused_by_name(folder):
    signed(folder, {**described(folder), "schema": 1})
    (folder / "weights.safetensors").touch()
    for read in (load_folder, class_in):
        with pytest.raises(ModelFolderError, match=r"written by an older expose, with schema 1; .*Train again"):
            read(folder)


def test_checkpoints_of_other_schemas_are_refused(tmp_path, monkeypatch):
    for schema, message in ((1, "older expose"), (3, "pip install --upgrade")):
        monkeypatch.setattr("expose.persistence.SCHEMA", schema)
        save_checkpoint(tmp_path / "c", {}, {})
        monkeypatch.undo()
        with pytest.raises(ModelFolderError, match=message):
            load_checkpoint(tmp_path / "c")


# --- contents with the right checksum that make no sense ---

JUNK = [None, [], {}, "", "x", 3, -1, 1e9, True, [[]], {"file": 3}]


def edits(value, junk, place=()):
    """All versions of a JSON value with one thing in it replaced, or left out."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for other in junk:
            yield (*place, key), (value | {key: other}) if isinstance(value, dict) else _with(value, key, other)
        if isinstance(value, dict):
            yield (*place, key, "gone"), {name: item for name, item in value.items() if name != key}
        for where, inner in edits(value[key], junk, (*place, key)):
            yield where, (value | {key: inner}) if isinstance(value, dict) else _with(value, key, inner)


def _with(items, index, other):
    return [*items[:index], other, *items[index + 1 :]]


def error_of(call, *args):
    try:
        call(*args)
    except Exception as error:
        return error
    return None


def test_every_edit_that_is_signed_again_is_read_or_refused_with_a_reason(tmp_path):
    folder = tmp_path / "m"
    save_folder(folder, {"a": [1, {"b": 2.5}], "low": -np.inf}, TENSORS, TRAINING)
    refused = 0
    for where, description in edits(described(folder), JUNK):
        signed(folder, description)
        for read in (load_folder, class_in):
            if error := error_of(read, folder):
                refused += 1
                assert isinstance(error, ModelFolderError), where
                assert str(folder) in str(error), where
    assert refused > 100


def test_a_description_names_no_file_outside_its_folder(folder, tmp_path):
    file_of(folder, "weights").rename(tmp_path / "weights-0123456789abcdef.safetensors")
    description = described(folder)
    for name in ("../weights-0123456789abcdef.safetensors", str(tmp_path / "weights-0123456789abcdef.safetensors")):
        description["arrays"]["weights"]["file"] = name
        signed(folder, description)
        with pytest.raises(ModelFolderError, match="it names the file"):
            load_folder(folder)


def test_arrays_that_are_signed_nonsense_are_refused(folder):
    file = file_of(folder, "weights")
    for content in (b"", b"x" * 100, (2**60).to_bytes(8, "little") + b"{}", pickle.dumps([1])):
        file.write_bytes(content)
        description = described(folder)
        description["arrays"]["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
        signed(folder, description)
        with pytest.raises(ModelFolderError, match="not written by expose, or was changed since"):
            load_folder(folder)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"), TypeError("t"), ValueError("v"), IndexError("i"), AttributeError("a"), RuntimeError("r"),
        OverflowError("o"), MemoryError("m"), RecursionError("d"), ZeroDivisionError("z"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "u"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_breaks_while_a_model_is_rebuilt_is_one_error_that_names_the_folder(error):
    match = rf"^a/model .*{type(error).__name__}.*train again"
    with pytest.raises(ModelFolderError, match=match) as caught, refusing_nonsense("a/model"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ModelFolderError("as it is"), KeyboardInterrupt(), OSError(5, "a bad disk")])
def test_what_is_not_nonsense_passes(error):
    with pytest.raises(type(error)) as caught, refusing_nonsense("m"):
        raise error
    assert caught.value is error


def test_a_long_reason_is_cut():
    with pytest.raises(ModelFolderError) as caught, refusing_nonsense("m"):
        raise RuntimeError("size mismatch\n" * 1000)
    assert len(str(caught.value)) < 500


def test_a_field_is_what_it_should_be():
    meta = {"n": 3, "x": 2.5, "whole": 2, "yes": True, "name": "a", "list": [1], "dict": {}, "nan": float("nan")}
    assert field(meta, "n", int) == 3
    assert field(meta, "n", int, within=(3, 3)) == 3
    assert type(field(meta, "whole", float)) is float
    assert field(meta, "yes", bool) is True
    assert (field(meta, "name", str), field(meta, "list", list), field(meta, "dict", dict)) == ("a", [1], {})
    for name, kind, within in [
        ("absent", int, None), ("x", int, None), ("yes", int, None), ("yes", float, None), ("n", bool, None),
        ("name", int, None), ("n", str, None), ("list", dict, None), ("n", int, (4, 9)), ("n", int, (0, 2)),
        ("nan", float, (0, 1)),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=rf"'{name}' .*should be of type {kind.__name__}"):
            field(meta, name, kind, within)


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(ModelFolderError, match="OverflowError"), refusing_nonsense("m"):
        field({"x": 10**400}, "x", float)


# --- arrays that only training needs ---


def test_training_arrays_are_kept_apart(tmp_path):
    save_folder(tmp_path / "m", META, TENSORS, TRAINING)
    assert names(tmp_path / "m") == [
        DESCRIPTION,
        *(file_of(tmp_path / "m", part).name for part in ("training", "weights")),
    ]
    assert_same(load_folder(tmp_path / "m"), META, TENSORS | TRAINING)
    assert_same(load_folder(tmp_path / "m", training=False), META, TENSORS)


def test_a_folder_without_its_training_arrays_still_scores(tmp_path):
    save_folder(tmp_path / "m", META, TENSORS, TRAINING)
    file_of(tmp_path / "m", "training").unlink()
    assert_same(load_folder(tmp_path / "m", training=False), META, TENSORS)
    with pytest.raises(ModelFolderError, match=r"has no training-.*training=False"):
        load_folder(tmp_path / "m")


@pytest.mark.parametrize("training", [None, {}])
def test_no_training_arrays_make_no_file(tmp_path, training):
    save_folder(tmp_path / "m", META, TENSORS, training)
    assert len(names(tmp_path / "m")) == 2
    assert_same(load_folder(tmp_path / "m"), META, TENSORS)


def test_one_name_for_two_arrays_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\['b'\] are among tensors and training_tensors"):
        save_folder(tmp_path / "m", META, TENSORS, {"b": np.ones(1)})
    assert names(tmp_path) == []


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


@pytest.mark.parametrize(
    "files",
    [
        ["thesis.docx"],
        [DESCRIPTION],
        [DESCRIPTION, "weights.safetensors"],
        ["weights.safetensors"],
        ["weights-0123456789abcdef.safetensors", "thesis.docx"],
        ["d/"],
    ],
)
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
    for name in ("rename", "replace", "mkdir", "open", "unlink", "rmdir"):
        setattr(pathlib.Path, name, dying(getattr(pathlib.Path, name)))
    os.fsync = dying(os.fsync)
    {call}
    """
)


def killed_at(step, path, call):
    code = KILLED.replace("{call}", call)
    return subprocess.run([sys.executable, "-c", code, str(path), str(step)], check=False, timeout=60).returncode


SAVE = "p.save_folder(sys.argv[1], {'new': True}, {'w': np.zeros(3)}, {'t': np.zeros(2)})"


def test_a_save_killed_at_any_step_leaves_the_old_or_the_new_model(folder):
    seen = []
    for step in range(60):
        save_folder(folder, {"new": False}, {"w": np.ones(3)})
        assert siblings(folder) == {"model"}
        assert len(names(folder)) == 2  # whatever the killed one left is gone
        code = killed_at(step, folder, SAVE)
        assert siblings(folder) == {"model"}  # so nothing can come back once the folder is deleted
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


def test_a_first_save_killed_at_any_step_leaves_no_model_or_a_whole_one_and_room_for_the_next(tmp_path):
    for step in range(60):
        place = tmp_path / str(step) / "model"
        code = killed_at(step, place, SAVE)
        if (place / DESCRIPTION).exists():
            assert load_folder(place)[0] == {"new": True}
        else:
            assert code == 9
            with pytest.raises(ModelFolderError, match=f"There is no model|has no {DESCRIPTION}"):
                load_folder(place)
        assert not place.parent.exists() or siblings(place) <= {"model"}
        check_target(place)
        save_folder(place, META, TENSORS)
        assert_same(load_folder(place), META, TENSORS)
        assert len(names(place)) == 2
        if code == 0:
            return
    pytest.fail("the save never came to its end")


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_at_any_step_leaves_the_old_or_the_new_model_and_nothing_else(folder, monkeypatch, error):
    """Ctrl-C comes wherever it likes: before, in the middle of, and after the one rename that counts."""
    for step in range(60):
        save_folder(folder, {"new": False}, {"w": np.ones(3)})
        countdown = [step]

        def failing(function, countdown=countdown):
            def call(*args, **kwargs):
                countdown[0] -= 1
                if countdown[0] == -1:
                    raise error
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in ("replace", "mkdir", "open", "exists"):
                patch.setattr(Path, name, failing(getattr(Path, name)))
            patch.setattr(os, "fsync", failing(os.fsync))
            try:
                save_folder(folder, {"new": True}, {"w": np.zeros(3)}, TRAINING)
            except (OSError, KeyboardInterrupt):
                assert load_folder(folder)[0] in ({"new": False}, {"new": True})
        assert siblings(folder) == {"model"}
        if countdown[0] >= 0:
            assert load_folder(folder)[0] == {"new": True}
            return
    pytest.fail("the save never came to its end")


def test_a_checkpoint_killed_at_any_step_leaves_the_old_or_the_new(tmp_path):
    path = tmp_path / "c"
    call = "p.save_checkpoint(sys.argv[1], {'new': True}, {'w': np.zeros(3)})"
    save_checkpoint(path, {"new": False}, {})
    seen = []
    for step in range(30):
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


# --- rights, of a user who is not root ---

TRIED = textwrap.dedent(
    """
    import os, sys, pathlib, tempfile, numpy as np
    from expose.errors import ModelFolderError
    from expose.persistence import check_target, load_folder, save_folder
    place = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as spare:  # loads what a plain user may not read, if Python is root's own
        save_folder(spare, {}, {})
    if os.geteuid() == 0:
        os.setgid(65534), os.setuid(65534)
    for attempt in (check_target, lambda place: save_folder(place, {"new": True}, {"w": np.zeros(3)})):
        try:
            attempt(place)
            print("written")
        except (PermissionError, ModelFolderError) as error:
            print(type(error).__name__, str(error))
    """
)


@pytest.fixture
def open_place():
    """A folder where any user may write: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        yield Path(place)


def tried(place):
    """What check_target and save_folder say to a plain user."""
    done = subprocess.run(
        [sys.executable, "-c", TRIED, str(place)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_a_plain_user_can_write_in_an_open_place(open_place):
    assert tried(open_place / "deep" / "model") == ["written", "written"]
    assert tried(open_place / "deep" / "model") == ["written", "written"]


@pytest.mark.parametrize("locked", ["parent", "closed parent", "folder", "hidden folder", "file"])
def test_a_place_without_the_right_to_write_is_said_before_training(open_place, locked):
    model = open_place / "parent" / "model"
    model.parent.mkdir()
    if "folder" in locked or locked == "file":
        save_folder(model, META, TENSORS)
        for path in (model.parent, model, *model.iterdir()):
            os.chmod(path, 0o777)
    target = {"file": model / DESCRIPTION}.get(locked, model if "folder" in locked else model.parent)
    os.chmod(target, {"closed parent": 0o600, "hidden folder": 0o333, "file": 0o444}.get(locked, 0o555))
    before = sorted(open_place.rglob("*"))
    assert [line.startswith("PermissionError Cannot write") for line in tried(model)] == [True, True]
    assert sorted(open_place.rglob("*")) == before
    os.chmod(target, 0o777)
    if "folder" in locked or locked == "file":
        assert_same(load_folder(model), META, TENSORS)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_a_lock_left_by_another_user_stops_nobody(open_place):
    save_folder(open_place / "model", META, TENSORS)
    for path in (open_place / "model", open_place / "model" / DESCRIPTION):
        os.chmod(path, 0o777)
    lock = open_place / "model" / f".{DESCRIPTION}.expose-lock"
    lock.touch(mode=0o644)
    assert tried(open_place / "model") == ["written", "written"]
    assert not lock.exists()


def test_a_right_to_write_that_is_missing_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="you may not write in"):
        check_target(tmp_path / "runs" / "model")


def test_a_file_where_a_parent_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        check_target(tmp_path / "file" / "model")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        save_folder(tmp_path / "file" / "model", {}, {})
    with pytest.raises(OSError, match="Cannot write"):
        save_checkpoint(tmp_path / "file" / "checkpoint", {}, {})


# --- several processes at once ---

SAVER = textwrap.dedent(
    """
    import sys, numpy as np
    from expose.persistence import save_folder
    number = int(sys.argv[2])
    while True:
        number += 10
        save_folder(sys.argv[1], {"n": number}, {"w": np.full(2000, number)}, {"t": np.full(3, number)})
        print(number, flush=True)
    """
)


def saver(place, number):
    """A process that saves models to one folder without end; their numbers end in this one."""
    command = [sys.executable, "-c", SAVER, str(place), str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline()  # it has saved once
    return process


def killed(process):
    """Kill it, and return how many models it had saved; there must have been no error."""
    assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert err == ""
    return len(out.splitlines())


def assert_consistent(loaded):
    meta, tensors = loaded
    assert (tensors["w"] == meta["n"]).all()
    assert (tensors["t"] == meta["n"]).all()


def test_a_reader_during_saves_always_finds_a_whole_model(tmp_path):
    place = tmp_path / "model"
    process = saver(place, 0)
    seen, end = set(), time.monotonic() + 5
    while time.monotonic() < end:
        loaded = load_folder(place)
        assert_consistent(loaded)
        assert load_folder(place, training=False)[1].keys() == {"w"}
        class_in(place)
        seen.add(loaded[0]["n"])
    assert killed(process) > 20
    assert len(seen) > 20


def test_a_model_that_is_replaced_between_the_two_files_is_read_again(folder, monkeypatch):
    """The moment of the test above, without luck."""
    read, rounds = Path.read_bytes, []

    def reading(self):
        content = read(self)
        if self.name == DESCRIPTION and len(rounds) < 5:
            rounds.append(len(rounds))
            monkeypatch.setattr(Path, "read_bytes", read)
            save_folder(folder, {"n": len(rounds)}, {"w": np.full(3, len(rounds))})
            monkeypatch.setattr(Path, "read_bytes", reading)
        return content

    monkeypatch.setattr(Path, "read_bytes", reading)
    meta, tensors = load_folder(folder)
    assert meta == {"n": 5}
    assert (tensors["w"] == 5).all()


def test_two_savers_at_once_both_succeed(tmp_path):
    place = tmp_path / "model"
    processes = [saver(place, number) for number in (1, 2)]
    end = time.monotonic() + 4
    seen = set()
    while time.monotonic() < end:
        loaded = load_folder(place)
        assert_consistent(loaded)
        seen.add(loaded[0]["n"] % 10)
    assert min(killed(process) for process in processes) > 5
    assert seen == {1, 2}
    assert siblings(place) == {"model"}
    save_folder(place, META, TENSORS)
    assert len(names(place)) == 2


def test_savers_of_the_same_arrays_leave_each_other_theirs(tmp_path):
    """Files are named after their contents, so two savers share one; neither may clear it away from the other."""
    place = tmp_path / "model"
    code = SAVER.replace("np.full(2000, number)", "np.full(2000, number // 10 % 2)")
    command = [sys.executable, "-c", code.replace(', {"t": np.full(3, number)}', ""), str(place)]
    processes = [
        subprocess.Popen([*command, n], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in "12"
    ]
    for process in processes:
        assert process.stdout.readline()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        meta, tensors = load_folder(place)
        assert (tensors["w"] == meta["n"] // 10 % 2).all()
    assert min(killed(process) for process in processes) > 5


def test_saves_killed_at_random_leave_a_model_and_nothing_beside_it(tmp_path):
    place = tmp_path / "model"
    random = np.random.default_rng(0)
    for _ in range(8):
        process = saver(place, 0)
        time.sleep(random.uniform(0, 0.05))
        killed(process)
        assert_consistent(load_folder(place))
        assert siblings(place) == {"model"}
        save_folder(place, META, TENSORS)
        assert_same(load_folder(place), META, TENSORS)
        assert len(names(place)) == 2
