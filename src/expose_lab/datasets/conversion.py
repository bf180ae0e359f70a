"""What the origins give, as the arrays of `layouts`. Each form is what one line of the registry names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError, MissingExtraError

Arrays = dict[str, NDArray[Any]]


def convert(form: str, raw: Path) -> Arrays:
    """Return the arrays to be stored, from a raw file as it was downloaded."""
    try:
        return FORMS[form](raw)
    except (MissingExtraError, MemoryError):
        raise
    except Exception as error:  # readers of damaged files raise whatever they stumble over
        raise InputError(f"it is not the {form} file it should be ({type(error).__name__}: {error})") from error


def matlab(raw: Path) -> Arrays:
    """MATLAB file with X and y, as ODDS gives them; version 7.3 is HDF5."""
    from scipy.io import loadmat

    try:
        with raw.open("rb") as file:
            stored = loadmat(file)
    except NotImplementedError:
        stored = _hdf5(raw)
    return _labelled(stored["X"], stored["y"])


def _hdf5(raw: Path) -> Arrays:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise MissingExtraError(
            "This MATLAB file is of version 7.3, which needs the package h5py: pip install h5py"
        ) from None
    with h5py.File(raw, "r") as file:
        return {name: np.asarray(file[name]).T for name in ("X", "y")}  # MATLAB stores columns first


def numpy(raw: Path) -> Arrays:
    """NumPy archive with X and y."""
    with np.load(raw, allow_pickle=False) as stored:
        return _labelled(stored["X"], stored["y"])


def embedding(raw: Path) -> Arrays:
    """NumPy archive with X and y; float16 keeps all of an embedding that matters."""
    arrays = numpy(raw)
    return {**arrays, "X": arrays["X"].astype(np.float16)}


def abalone(raw: Path) -> Arrays:
    """Comma-separated: nominal or anomaly, then 9 numbers (sex as two indicators)."""
    fields = _fields(raw, ",")[1:]
    return _labelled([line[1:] for line in fields], [line[0] == "anomaly" for line in fields])


def ecoli(raw: Path) -> Arrays:
    """7 numbers and the class; outer and inner membrane classes with two to five rows are the anomalies."""
    fields = _fields(raw, None)
    return _labelled([line[-8:-1] for line in fields], [line[-1] in ("omL", "imL", "imS") for line in fields])


def seismic(raw: Path) -> Arrays:
    """18 attributes and the class, with or without an ARFF header: 4 nominal, 3 that are always 0."""
    fields = [line for line in _fields(raw, ",") if len(line) == 19]
    nominal, numeric = (0, 1, 2, 7), (3, 4, 5, 6, 8, 9, 10, 11, 12, 16, 17)
    codes = [np.unique([line[i] for line in fields], return_inverse=True)[1] for i in nominal]
    return {
        **_labelled([[line[i] for i in numeric] for line in fields], [line[18] == "1" for line in fields]),
        "X_cat": np.stack(codes, axis=1).astype(np.uint8),
    }


def kdd(raw: Path) -> Arrays:
    """KDD Cup 1999, compressed: 41 attributes and the label. Rates have two decimals and are stored times 100."""
    import pyarrow as pa
    from pyarrow import csv

    names = [f"f{i}" for i in range(42)]
    nominal = {1: "protocol_type", 2: "service", 3: "flag", 6: "land"}
    nominal |= {11: "logged_in", 20: "is_host_login", 21: "is_guest_login"}
    rates = {*range(24, 31), *range(33, 41)}
    types = {f"f{i}": pa.string() if i in nominal or i == 41 else pa.float64() for i in range(42)}
    with pa.input_stream(str(raw), compression="gzip") as stream:
        table = csv.read_csv(
            stream, csv.ReadOptions(column_names=names), convert_options=csv.ConvertOptions(column_types=types)
        )
    numeric = [i for i in range(41) if i not in nominal]
    num = np.empty((len(numeric), len(table)), np.int32)
    for row, i in enumerate(numeric):
        num[row] = np.rint(table.column(i).to_numpy() * (100 if i in rates else 1))
    coded = {name: _codes(table.column(i)) for i, name in [*nominal.items(), (41, "label")]}
    return {
        "num": num,
        "num_is_pct": np.array([i in rates for i in numeric]),
        "cat": np.stack([coded[name][1] for name in nominal.values()]),
        "cat_names": np.array(list(nominal.values())),
        **{f"cats_{name}": coded[name][0] for name in nominal.values()},
        "label_names": coded["label"][0],
        "label": coded["label"][1],
    }


def _codes(column: Any) -> tuple[NDArray[np.str_], NDArray[np.uint8]]:
    """Sorted categories of a column of text, and the number of each row's category."""
    encoded = column.combine_chunks().dictionary_encode()
    words = np.array(encoded.dictionary.to_pylist(), dtype=np.str_)
    order = np.argsort(words)
    place = np.empty(len(words), np.uint8)
    place[order] = np.arange(len(words))
    return words[order], place[encoded.indices.to_numpy()]


def _fields(raw: Path, separator: str | None) -> list[list[str]]:
    lines = raw.read_text(encoding="utf-8").splitlines()
    return [[field.strip() for field in line.split(separator)] for line in lines if line.strip()]


def _labelled(X: Any, y: Any) -> Arrays:
    """Table and labels; text becomes float64 first, so that a number is rounded once as a number."""
    if not hasattr(X, "dtype"):
        X = np.array(X, dtype=np.float64)
    return {"X": np.ascontiguousarray(X, np.float32), "y": np.asarray(y).ravel().astype(np.uint8)}


FORMS: dict[str, Callable[[Path], Arrays]] = {
    "mat": matlab,
    "npz": numpy,
    "npz16": embedding,
    "abalone": abalone,
    "ecoli": ecoli,
    "seismic": seismic,
    "kdd": kdd,
}
