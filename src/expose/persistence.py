"""A model as a folder of two files, ``model.json`` and ``weights.safetensors``, and a checkpoint as one file.

Reading either runs no code from it: there is no pickle. Writing is all or nothing: a reader, at any
moment and after any crash, finds the old model or the new one, never a mixture.

Both formats are guarded against damage by SHA-256. The first line of ``model.json`` is the digest of the
rest of that file, and the rest holds the digest of the weights, so no byte of the folder can change
unnoticed. That first line, and the place of the schema number, stay the same in all versions to come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from expose.atomic import all_or_nothing, remove, write_new
from expose.errors import ModelFolderError

SCHEMA = 1
DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"
LIBRARIES = ("expose", "torch", "lightning-fabric", "scikit-learn", "numpy", "pyarrow", "safetensors")

Folder = str | os.PathLike[str]
Tensors = dict[str, NDArray[Any]]

_FIRST_LINE = re.compile(rb'\{"sha256_of_the_rest": "([0-9a-f]{64})",')
_CHECKPOINT_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_DIGEST = b"0" * 64
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def save_folder(
    folder: Folder,
    meta: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    training_tensors: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Missing parent folders are made. An older expose model under the same name is replaced once the new
    one is complete; a folder that holds anything else is never touched.

    Parameters
    ----------
    folder : path
    meta : dict
        Whatever describes the model, in JSON's types: dict with string keys, list, str, int, float (also
        NaN and infinity), bool, None.
    tensors : dict of str to array
        Numeric or boolean arrays of any shape.

    Raises
    ------
    ModelFolderError
        If `folder` exists and is not an expose model folder.
    OSError
        If it cannot be written (no space, no right, ...). Nothing is left behind then.
    TypeError
        If `meta` or `tensors` hold something that cannot be stored.

    Examples
    --------
    >>> import tempfile
    >>> place = tempfile.mkdtemp() + "/model"
    >>> save_folder(place, {"note": "tiny"}, {"w": np.arange(3.0)})
    >>> load_folder(place)
    ({'note': 'tiny'}, {'w': array([0., 1., 2.])})
    """
    target = Path(folder).resolve()
    tensors = {**tensors, **(training_tensors or {})}
    weights = safetensors.save(_storable(tensors))
    description = _describe(meta, weights)
    _refuse_to_replace(target)
    with all_or_nothing(target) as draft:
        draft.mkdir()
        write_new(draft / WEIGHTS, weights)
        write_new(draft / DESCRIPTION, description)
        _swap(draft, target)


def load_folder(folder: Folder) -> tuple[dict[str, Any], Tensors]:
    """Read a model folder back, exactly as it was given to `save_folder`.

    Parameters
    ----------
    folder : path

    Returns
    -------
    meta : dict
    tensors : dict of str to array

    Raises
    ------
    ModelFolderError
        If the folder is missing, incomplete, damaged in any byte, holds a file that does not belong there
        (a pickle, say), or was written by a newer version with another schema.

    Examples
    --------
    See `save_folder`.
    """
    place = _existing(Path(folder).resolve())
    with refusing_nonsense(place):
        description = _verified_description(place)
        _refuse_strangers(place)
        weights = _read(place, WEIGHTS)
        if hashlib.sha256(weights).hexdigest() != description["weights"]["sha256"]:
            raise _damaged(place / WEIGHTS)
        return _from_json(description["model"]), _tensors(weights)


def class_in(folder: Folder) -> str:
    """Tell of which class a model folder holds a model, without reading its weights.

    Raises
    ------
    ModelFolderError
        If the folder is missing, or its description damaged or of a newer version.
    """
    place = _existing(Path(folder).resolve())
    with refusing_nonsense(place):
        return str(_verified_description(place)["model"].get("class"))


def check_target(folder: Folder) -> None:
    """Ask before a long training whether a model could be written to `folder` at all.

    Parameters
    ----------
    folder : path

    Raises
    ------
    ModelFolderError
        If it exists and is not an expose model folder.
    OSError
        If the place where it would be made is not a folder, or may not be written to.

    Examples
    --------
    >>> import tempfile
    >>> check_target(tempfile.mkdtemp() + "/runs/model")
    """
    target = Path(folder).resolve()
    _refuse_to_replace(target)
    ground = next(place for place in target.parents if place.exists())
    if not ground.is_dir():
        raise NotADirectoryError(f"Cannot make {target}: {ground} is a file, not a folder.")
    if not os.access(ground, os.W_OK | os.X_OK):
        raise PermissionError(f"Cannot make {target}: you may not write in {ground}. Choose another place.")


def save_checkpoint(path: Folder, meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write the state of a running training to one file, replacing the one before only when complete.

    Parameters
    ----------
    path : path
    meta, tensors
        As in `save_folder`.

    Raises
    ------
    OSError
        If it cannot be written. The checkpoint before is still there then, and nothing else.
    TypeError
        As in `save_folder`.

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
    digest = hashlib.sha256(blank).hexdigest().encode()
    with all_or_nothing(target) as draft:
        write_new(draft, blank.replace(b'"sha256":"' + _NO_DIGEST, b'"sha256":"' + digest, 1))
        draft.replace(target)


def load_checkpoint(path: Folder) -> tuple[dict[str, Any], Tensors] | None:
    """Read a checkpoint back.

    Parameters
    ----------
    path : path

    Returns
    -------
    (meta, tensors), or None if there is no such file.

    Raises
    ------
    ModelFolderError
        If the file is damaged in any byte, is no checkpoint, or comes from a newer version.

    Examples
    --------
    See `save_checkpoint`.
    """
    target = Path(path).resolve()
    if not target.exists():
        return None
    stored = target.read_bytes()
    found = _CHECKPOINT_DIGEST.search(stored)
    blank = stored if found is None else stored[: found.start(1)] + _NO_DIGEST + stored[found.end(1) :]
    if found is None or hashlib.sha256(blank).hexdigest().encode() != found[1]:
        raise _damaged(target, "Delete it to train from the start.")
    header_end = 8 + int.from_bytes(stored[:8], "little")  # safetensors: length, header, data
    with refusing_nonsense(target):
        state = json.loads(json.loads(stored[8:header_end])["__metadata__"]["expose"])
        _refuse_newer(state["schema"], target)
        return _from_json(state["state"]), _tensors(stored)


def _describe(meta: Mapping[str, Any], weights: bytes) -> bytes:
    """Return the bytes of ``model.json``: one JSON object, its first line the digest of the rest."""
    rest = {
        "schema": SCHEMA,
        "written_with": _versions(),
        "weights": {"file": WEIGHTS, "bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()},
        "model": _to_json(meta),
    }
    body = json.dumps(rest, indent=1, allow_nan=False)[2:].encode()  # without its "{\n"
    return _first_line(body) + body


def _first_line(body: bytes) -> bytes:
    return b'{"sha256_of_the_rest": "' + hashlib.sha256(body).hexdigest().encode() + b'",\n'


def _verified_description(place: Path) -> dict[str, Any]:
    stored = _read(place, DESCRIPTION)
    line, _, body = stored.partition(b"\n")
    if line + b"\n" != _first_line(body):
        raise _damaged(place / DESCRIPTION)
    description: dict[str, Any] = json.loads(stored)
    _refuse_newer(description["schema"], place)
    return description


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
        if value.keys() == {"$float"} and value["$float"] in _NOT_FINITE:
            return _NOT_FINITE[value["$float"]]
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


@contextlib.contextmanager
def refusing_nonsense(source: Path) -> Iterator[None]:
    """Turn whatever breaks on contents that carry a right checksum, and yet make no sense, into one error."""
    try:
        yield
    except ModelFolderError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelFolderError(
            f"{source} was not written by expose, or not completely ({error!r}). Train again."
        ) from error


def _existing(place: Path) -> Path:
    """Return `place`, or the older model if a save was killed just as it was putting the new one there."""
    if not place.exists() and _previous(place).is_dir():
        return _previous(place)
    if not place.exists():
        raise ModelFolderError(f"There is no model at {place}. Check the path; 'expose fit' writes one.")
    if not place.is_dir():
        raise ModelFolderError(f"{place} is a file, not a model folder. Give the folder around {DESCRIPTION}.")
    return place


def _read(place: Path, name: str) -> bytes:
    if not (place / name).is_file():
        raise ModelFolderError(f"The model folder {place} has no {name}. Copy the whole folder, or train again.")
    return (place / name).read_bytes()


def _refuse_strangers(place: Path) -> None:
    strangers = _strangers(place)
    if strangers:
        raise ModelFolderError(
            f"The model folder {place} holds what does not belong there: {', '.join(strangers)}. "
            f"expose writes only {DESCRIPTION} and {WEIGHTS}, and reads no pickle. "
            "Find out where the rest is from, and move it away."
        )


def _strangers(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir() if entry.name not in (DESCRIPTION, WEIGHTS))


def _refuse_newer(schema: Any, source: Path) -> None:
    if schema != SCHEMA:
        raise ModelFolderError(
            f"{source} was written with schema {schema}; this version of expose reads schema {SCHEMA}. "
            "Upgrade with: pip install --upgrade expose"
        )


def _damaged(source: Path, advice: str = "Copy it again, or train again.") -> ModelFolderError:
    return ModelFolderError(f"{source} is damaged: its contents do not match its checksum. {advice}")


def _refuse_to_replace(target: Path) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir():
        raise ModelFolderError(f"{target} is a file. Choose another name for the model folder.")
    with contextlib.suppress(OSError), (target / DESCRIPTION).open("rb") as file:
        if _FIRST_LINE.fullmatch(file.readline(200).rstrip(b"\n")) and not _strangers(target):
            return
    raise ModelFolderError(
        f"{target} exists and is not (only) an expose model, so it is left alone. "
        "Choose another folder, or move its contents away first."
    )


def _swap(draft: Path, target: Path) -> None:
    """Put `draft` in the place of `target`; the older model waits under a known name meanwhile."""
    if not target.exists():
        draft.rename(target)
        remove(_previous(target))
        return
    remove(_previous(target))
    target.rename(_previous(target))
    try:
        draft.rename(target)
    except BaseException:
        _previous(target).rename(target)
        raise
    remove(_previous(target))


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.expose-previous")
