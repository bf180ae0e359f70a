"""A model as a folder of JSON and safetensors, and a checkpoint as one file.

A model folder holds ``model.json``, ``weights-….safetensors`` and, where there are arrays that only training
needs, ``training-….safetensors``. Reading runs no code from it: there is no pickle.

Writing is all or nothing. The files of arrays are named after their contents, so the ones of a new model never
take the place of an older one's. ``model.json`` names them, and replacing it, in one step, replaces the model.
A reader, at any moment and after any crash, finds the old model or the new one, never a mixture. Files that
``model.json`` does not name are of a save that is going on or was killed; they are never read, and the next
save removes them.

In an object store it is the same, object by object, but for the lock: of two processes that save to one folder at the
same time the last one's model stays, and arrays of the other one may, too, unnamed.

Every byte is guarded against damage by SHA-256. The first line of ``model.json`` is the digest of the rest of
that file, and the rest holds the digests of the arrays. That first line, and the place of the schema number,
stay the same in all versions to come.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import platform
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from expose.atomic import DRAFT, LOCK, all_or_nothing, put, remove, whole_file
from expose.errors import ModelFolderError
from expose.stores import Place, Stored, place_of

SCHEMA = 2
DESCRIPTION = "model.json"
LIBRARIES = ("expose", "torch", "scikit-learn", "numpy", "pyarrow", "safetensors")

File = str | os.PathLike[str]
Folder = File | Stored
Tensors = dict[str, NDArray[Any]]
T = TypeVar("T")

_ARRAYS = re.compile(r"(weights|training)-[0-9a-f]{16}\.safetensors")
_ARRAYS_OR_DRAFT = re.compile(rf"{_ARRAYS.pattern}|\.{_ARRAYS.pattern}{re.escape(DRAFT)}")
_FIRST_LINE = re.compile(rb'\{"sha256_of_the_rest": "([0-9a-f]{64})",\n')
_CHECKPOINT_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_DIGEST = b"0" * 64
_ROUNDS = 20  # of reading; each one more needs another save that ends just in between
_NONSENSE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, SafetensorError, TypeError, ValueError,
)  # fmt: skip


def save_folder(
    folder: Folder,
    meta: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    training_tensors: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Missing parent folders are made. An older model of the same name is replaced once the new one is complete; a folder
    that holds anything else is never touched. Of two processes that save to one folder at the same time one waits for
    the other, and the last one's model stays.

    Parameters
    ----------
    folder : path
    meta : dict
        JSON types, with string keys; NaN and infinity too.
    tensors : dict of str to array
        Numeric or boolean arrays of any shape.
    training_tensors : dict of str to array, optional
        Arrays that only training needs, under names of their own, for a file that `load_folder` can leave out.

    Raises
    ------
    ModelFolderError
        If `folder` exists and is not an expose model folder.
    OSError
        If it cannot be written, and nothing is left behind; also if another process saves to it for a minute.
    TypeError, ValueError
        If something cannot be stored, or a name is given twice.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.mkdtemp() + "/model"
    >>> save_folder(place, {"note": "tiny"}, {"w": np.arange(3.0)}, {"scores": np.array([0.5])})
    >>> load_folder(place)
    ({'note': 'tiny'}, {'w': array([0., 1., 2.]), 'scores': array([0.5])})
    >>> load_folder(place, training=False)
    ({'note': 'tiny'}, {'w': array([0., 1., 2.])})
    """
    target = place_of(folder).resolve()
    files = _files(tensors, training_tensors or {})
    description = _describe(meta, files)
    check_target(target)
    with all_or_nothing(target / DESCRIPTION, part_of=target):
        own = {_name(part, content) for part, content in files.items()}
        # A store has no locks: what is neither ours nor of the model we replace may be of a save that is going on
        removable = own | _named(target) if isinstance(target, Stored) else None
        try:
            for part, content in files.items():
                put(content, target / _name(part, content))
            put(description, target / DESCRIPTION)
        finally:
            _remove_unnamed(target, removable)


def load_folder(folder: Folder, *, training: bool = True) -> tuple[dict[str, Any], Tensors]:
    """Read ``(meta, tensors)`` of a model folder back, exactly as they were given to `save_folder`.

    Parameters
    ----------
    folder : path
    training : bool, default True
        Whether to read the arrays that only training needs too. Where not, their file, ``training-….safetensors``,
        may have been deleted, say to hand on a model without its training scores.

    Raises
    ------
    ModelFolderError
        If the folder is missing, incomplete, damaged in any byte that is asked for, holds a file that does
        not belong there (a pickle, say), or was written by another version with another schema.
    """
    place = _existing(place_of(folder).resolve())
    with refusing_nonsense(place):
        model, stored = _read_together(place, training)
        tensors = [_tensors(content) for content in stored]
        return model, {name: array for part in tensors for name, array in part.items()}


def class_in(folder: Folder) -> str:
    """Tell of which class a model folder holds a model, without reading its arrays; errors as in `load_folder`."""
    place = _existing(place_of(folder).resolve())
    with refusing_nonsense(place):
        return str(field(_verified_description(place), "model", dict).get("class"))


@contextlib.contextmanager
def refusing_nonsense(source: Folder) -> Iterator[None]:
    """Turn whatever breaks on contents of ``source`` that carry right checksums, and yet make no sense, into one error.

    Rebuild a model inside of it. Leave outside what can fail for a sound folder too, such as moving it to a GPU.

    Raises
    ------
    ModelFolderError
        In the place of KeyError, TypeError, RuntimeError and their like; others, such as OSError, pass as they are.

    Examples
    --------
    >>> with refusing_nonsense("model"):
    ...     {"layers": 2}["width"]
    Traceback (most recent call last):
    expose.errors.ModelFolderError: model was not written by expose, or was changed since (KeyError: 'width'). ...
    """
    try:
        yield
    except ModelFolderError:
        raise
    except _NONSENSE as error:
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
        hunger = "asks for more memory than there is, or " if isinstance(error, MemoryError) else ""
        raise ModelFolderError(
            f"{source} {hunger}was not written by expose, or was changed since ({reason}). "
            "Copy it again from where it was trained, or train again."
        ) from error


def field(meta: Mapping[str, Any], name: str, kind: type[T], within: tuple[float, float] | None = None) -> T:
    """Take a value out of stored meta, and see that it is what it should be.

    Parameters
    ----------
    kind : type
        dict, list, str, int, float or bool. A whole number will do for a float; a bool is no number.
    within : (float, float), optional
        Least and greatest allowed number, for whatever decides how much is built.

    Raises
    ------
    ValueError
        If it is not there, of another type, or out of bounds; inside `refusing_nonsense` a ModelFolderError.

    Examples
    --------
    >>> field({"members": 5}, "members", int, within=(1, 64))
    5
    >>> field({"members": 1_000_000_000}, "members", int, within=(1, 64))
    Traceback (most recent call last):
    ValueError: 'members' should be of type int from 1 to 64; it is 1000000000
    """
    bounds = "" if within is None else f" from {within[0]:g} to {within[1]:g}"
    if name not in meta:
        raise ValueError(f"{name!r} is missing; it should be of type {kind.__name__}{bounds}")
    value = meta[name]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (within is not None and not within[0] <= cast(float, value) <= within[1]):
        shown = textwrap.shorten(repr(value), 100, placeholder=" ...")
        raise ValueError(f"{name!r} should be of type {kind.__name__}{bounds}; it is {shown}")
    return value


def checksum_of(folder: Folder) -> str:
    """What tells a model from any other: SHA-256 of its description, which holds those of its files."""
    return hashlib.sha256((place_of(folder) / DESCRIPTION).read_bytes()).hexdigest()


def check_target(folder: Folder) -> None:
    """Ask before a long training whether a model could be written to `folder` at all.

    Raises
    ------
    ModelFolderError
        If it exists and is not an expose model folder.
    OSError
        If it, the model in it, or the place where it would be made may not be written to, or is a file.

    Examples
    --------
    >>> import tempfile
    >>> check_target(tempfile.mkdtemp() + "/runs/model")
    """
    target = place_of(folder).resolve()
    if isinstance(target, Stored):
        _check_stored(target)
        return
    ground = next(place for place in (target, *target.parents) if os.path.exists(place))
    if not ground.is_dir():
        if ground == target:
            raise ModelFolderError(f"{target} is a file. Choose another name for the model folder.")
        raise NotADirectoryError(f"Cannot make {target}: {ground} is a file, not a folder.")
    listing = os.R_OK if ground == target else 0
    if not os.access(ground, os.W_OK | os.X_OK | listing):
        raise PermissionError(f"Cannot write {target}: you may not write in {ground}. Choose another place.")
    if ground == target:
        _refuse_to_replace(target)


def _check_stored(target: Stored) -> None:
    """Ask the same of a place in an object store; whether it may be written to, only writing tells."""
    target.check_bucket()
    if target.is_file():
        raise ModelFolderError(f"{target} is a file. Choose another name for the model folder.")
    _refuse_to_replace(target)


def save_checkpoint(path: File, meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write the state of a running training to one file, replacing the one before only when complete.

    Parameters and errors are those of `save_folder`.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.mkdtemp() + "/run.ckpt"
    >>> save_checkpoint(place, {"epoch": 3}, {"w": np.ones(2)})
    >>> load_checkpoint(place)
    ({'epoch': 3}, {'w': array([1., 1.])})
    """
    target = Path(path).resolve()
    text = json.dumps({"schema": SCHEMA, "state": _to_json(meta)}, allow_nan=False)
    blank = safetensors.save(_storable(tensors), {"sha256": _NO_DIGEST.decode(), "expose": text})
    digest = _digest(blank).encode()
    with whole_file(target) as file:
        file.write(blank.replace(b'"sha256":"' + _NO_DIGEST, b'"sha256":"' + digest, 1))


def load_checkpoint(
    path: File, advice: str = "Delete it to train from the start."
) -> tuple[dict[str, Any], Tensors] | None:
    """Read ``(meta, tensors)`` of a checkpoint back; None if there is no such file.

    ``advice`` says what can be done about a damaged one.

    Raises
    ------
    ModelFolderError
        If the file is damaged in any byte, is no checkpoint, or comes from another version.
    """
    target = Path(path).resolve()
    try:
        stored = target.read_bytes()
    except FileNotFoundError:
        return None
    found = _CHECKPOINT_DIGEST.search(stored)
    blank = stored if found is None else stored[: found.start(1)] + _NO_DIGEST + stored[found.end(1) :]
    if found is None or _digest(blank).encode() != found[1]:
        raise _damaged(target, advice)
    header_end = 8 + int.from_bytes(stored[:8], "little")  # safetensors: length, header, data
    with refusing_nonsense(target):
        state = json.loads(json.loads(stored[8:header_end])["__metadata__"]["expose"])
        _refuse_other_schema(state, target)
        return field(_from_json(state), "state", dict), _tensors(stored)


def _files(tensors: Mapping[str, NDArray[Any]], training: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Return the contents of the files of arrays, by what they are for."""
    if twice := sorted(tensors.keys() & training.keys()):
        raise ValueError(f"{twice} are among tensors and training_tensors alike. Give each array one name.")
    parts = {"weights": tensors, "training": training} if training else {"weights": tensors}
    return {part: safetensors.save(_storable(arrays)) for part, arrays in parts.items()}


def _describe(meta: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the bytes of ``model.json``: one JSON object, its first line the digest of the rest."""
    rest = {
        "schema": SCHEMA,
        "written_with": _versions(),
        "arrays": {part: {"file": _name(part, content), "sha256": _digest(content)} for part, content in files.items()},
        "model": _to_json(meta),
    }
    body = json.dumps(rest, indent=1, allow_nan=False)[2:].encode()  # without its "{\n"
    return b'{"sha256_of_the_rest": "' + _digest(body).encode() + b'",\n' + body


def _name(part: str, content: bytes) -> str:
    """Return the name of a file of arrays: other contents have another name, so nothing is ever overwritten."""
    return f"{part}-{_digest(content)[:16]}.safetensors"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _verified_description(place: Place) -> dict[str, Any]:
    try:
        stored = _read(place / DESCRIPTION)
    except FileNotFoundError as error:
        raise _lacking(place / DESCRIPTION) from error
    first = _FIRST_LINE.match(stored)
    if first is None or _digest(stored[first.end() :]).encode() != first[1]:
        raise _damaged(place / DESCRIPTION)
    description: dict[str, Any] = json.loads(stored)
    _refuse_other_schema(description, place)
    return description


def _read_together(place: Place, training: bool) -> tuple[dict[str, Any], list[bytes]]:
    """Read a description and the files of arrays it names, all of the same save.

    When a save ends between the reading of one and of the other, the files named are gone. Then there is a newer
    description, which names others.
    """
    for _ in range(_ROUNDS):
        description = _verified_description(place)
        _refuse_strangers(place)
        files = _array_files(description, training)
        try:
            stored = [_read(place / name) for name in files]
        except FileNotFoundError as error:
            missing = place_of(error.filename)
            continue
        for (name, digest), content in zip(files.items(), stored, strict=True):
            if _digest(content) != digest:
                raise _damaged(place / name)
        return field(_from_json(description), "model", dict), stored
    raise _lacking(missing)


def _array_files(description: Mapping[str, Any], training: bool) -> dict[str, str]:
    """Return the digest of each file of arrays that a description names, by the name."""
    parts = {"weights": None, **field(description, "arrays", dict)}
    entries = [field(parts, part, dict) for part in parts if training or part != "training"]
    files = {field(entry, "file", str): field(entry, "sha256", str) for entry in entries}
    if foreign := [name for name in files if not _ARRAYS.fullmatch(name)]:  # "../../etc/passwd", say
        raise ValueError(f"it names the file {foreign[0]!r}")
    return files


def _remove_unnamed(place: Place, among: Collection[str] | None = None) -> None:
    """Remove the arrays that the model, if there is one, does not name; of a damaged one none, to lose nothing."""
    with contextlib.suppress(OSError, ModelFolderError), refusing_nonsense(place):
        named = _named(place)
        for entry in place.iterdir():
            removable = among is None or entry.name in among
            if removable and _ARRAYS_OR_DRAFT.fullmatch(entry.name) and entry.name not in named:
                remove(entry)


def _named(place: Place) -> set[str]:
    """Return the names of the arrays of the model in a folder, if there is one."""
    return {*_array_files(_verified_description(place), True)} if (place / DESCRIPTION).exists() else set()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _to_json(value: Any, where: str = "meta") -> Any:
    """Check that `value` survives JSON; write NaN and infinity, which JSON lacks, as marked text."""
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{where} has the key {wrong[0]!r}; only text can be a key here. Use str(key).")
        return {key: _to_json(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(
        f"{where} is a {type(value).__name__}, which a model folder cannot hold. "
        "Give dict, list, str, int, float, bool or None; arrays belong among the tensors."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"] in ("nan", "inf", "-inf"):
            return float(value["$float"])
        return {key: _from_json(item) for key, item in value.items()}
    return [_from_json(item) for item in value] if isinstance(value, list) else value


def _storable(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Lay arrays out row by row, as safetensors reads them: it would store a transposed one wrongly."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"tensor {name!r} has dtype {array.dtype}; expected booleans or numbers up to 64 bits.")
    return arrays


def _tensors(stored: bytes) -> Tensors:
    return {name: array.copy() for name, array in safetensors.load(stored).items()}  # a copy can be written to


def _existing(place: Place) -> Place:
    if not place.exists():
        raise ModelFolderError(f"There is no model at {place}. Check the path; 'expose fit' writes one.")
    if not place.is_dir():
        raise ModelFolderError(f"{place} is a file, not a model folder. Give the folder around {DESCRIPTION}.")
    return place


def _read(path: Place) -> bytes:
    if not path.is_file():  # neither is a folder or a pipe
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path.read_bytes()


def _lacking(path: Place) -> ModelFolderError:
    advice = "Copy the whole folder, or train again."
    if path.name.startswith("training"):
        advice = f"Only training needs it: what does without is loaded with training=False. {advice}"
    return ModelFolderError(f"The model folder {path.parent} has no {path.name}. {advice}")


def _refuse_strangers(place: Place) -> None:
    if strangers := _strangers(place):
        raise ModelFolderError(
            f"The model folder {place} holds what does not belong there: {', '.join(strangers)}. "
            f"expose writes only {DESCRIPTION} and files of arrays, and reads no pickle. "
            "Find out where the rest is from, and move it away."
        )


def _strangers(place: Place) -> list[str]:
    """Return what neither a save nor one that was killed leaves in a folder."""
    ours = {DESCRIPTION, f".{DESCRIPTION}{DRAFT}", f".{DESCRIPTION}{LOCK}"}
    present = (entry.name for entry in place.iterdir())
    return sorted(name for name in present if name not in ours and not _ARRAYS_OR_DRAFT.fullmatch(name))


def _refuse_other_schema(description: Mapping[str, Any], source: Place) -> None:
    schema = field(description, "schema", int)
    if schema < SCHEMA:
        raise ModelFolderError(
            f"{source} was written by an older expose, with schema {schema}; this version reads schema {SCHEMA} and "
            "none before. Train again, and write to another place."
        )
    if schema > SCHEMA:
        raise ModelFolderError(
            f"{source} was written with schema {schema}; this version of expose reads schema {SCHEMA}. "
            "Upgrade with: pip install --upgrade expose"
        )


def _damaged(source: Place, advice: str = "Copy it again, or train again.") -> ModelFolderError:
    return ModelFolderError(f"{source} is damaged: its contents do not match its checksum. {advice}")


def _refuse_to_replace(target: Place) -> None:
    """Refuse a folder that is not a model, nor the remains of a save that was killed, and a model that is protected."""
    description = target / DESCRIPTION
    ours = not description.exists() or (description.is_file() and _FIRST_LINE.match(description.read_bytes()))
    if _strangers(target) or not ours:
        raise ModelFolderError(
            f"{target} exists and is not (only) an expose model, so it is left alone. "
            "Choose another folder, or move its contents away first."
        )
    if isinstance(description, Path) and description.exists() and not os.access(description, os.W_OK):
        raise PermissionError(
            f"Cannot write {target}: you may not write to {DESCRIPTION} in it, so it is left alone. "
            "Choose another folder, or give yourself the right."
        )
