"""How the tables of the registry lie in a folder of data sets, and how each becomes numbers."""

from __future__ import annotations

import csv
import lzma
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

Table = tuple[NDArray[Any], NDArray[np.int8]]  # X (n, D) float32, or objects where columns are of several types; y (n,)
Arrays = Mapping[str, NDArray[Any]]

PLACES = ("", "tabular", "embeddings", "tabular2", "mixed")  # folders in the folder of data sets
SUFFIXES = (".npz", ".mat", ".csv.xz")
TRUTH = "anomaly"  # the last column of a table as text
KDD_ARRAYS = ("num", "num_is_pct", "cat", "cat_names", "label", "label_names")


def find(stem: str, folder: Path) -> Path | None:
    """Return the file of a set in a folder or in one of its `PLACES`; None if absent."""
    for place in PLACES:
        for suffix in SUFFIXES:
            path = folder / place / f"{stem}{suffix}"
            if path.is_file():
                return path
    return None


def read(name: str, path: Path | None) -> Table:
    """Read the file of a set by the layout that its name stands for; ``mulcross`` needs none."""
    if name == "mulcross":
        return mulcross()
    assert path is not None
    if name in ("kdd", "kddrev"):
        return kdd(path) if name == "kdd" else kddrev(path)
    return mixed(path) if is_text(path) else plain(path)


def columns(path: Path | None, count: int) -> tuple[str, ...]:
    """Names of the columns of a set: those of its file, where it has some."""
    if path is not None and is_text(path):
        with lzma.open(path, "rt", encoding="utf-8", newline="") as lines:
            return tuple(next(csv.reader(lines))[:-1])
    return tuple(f"x{i}" for i in range(count))


def is_text(path: Path) -> bool:
    """Whether a file is a table as text."""
    return path.suffix == ".xz"


def kdd(path: Path) -> Table:
    """KDD Cup 1999: 34 numeric columns, then one indicator per category of the 7 nominal ones.

    Normal connections are the anomalies (20 %), attacks the normal class, as in DAGMM and GOAD.
    """
    stored = arrays(path, *KDD_ARRAYS)
    return _kdd_table(stored, slice(None)), _kdd_normal(stored)


def kddrev(path: Path) -> Table:
    """All normal connections of kdd and a quarter as many attacks, drawn with seed 0, which are the anomalies."""
    stored = arrays(path, *KDD_ARRAYS)
    normal = _kdd_normal(stored)
    attacks = np.random.default_rng(0).permutation(np.flatnonzero(normal == 0))
    rows = np.sort(np.concatenate([np.flatnonzero(normal), attacks[: normal.sum() // 4]]))
    return _kdd_table(stored, rows), 1 - normal[rows]


def _kdd_normal(stored: Arrays) -> NDArray[np.int8]:
    normal: NDArray[np.int8] = (stored["label_names"] == "normal.").astype(np.int8)  # per label name
    return normal[stored["label"]]


def _kdd_table(stored: Arrays, rows: slice | NDArray[np.intp]) -> NDArray[np.float32]:
    """Fill the table column by column: only the table itself is large."""
    cats = [stored[f"cats_{name}"] for name in stored["cat_names"]]
    length = len(stored["label"][rows])
    X = np.empty((length, len(stored["num"]) + sum(map(len, cats))), np.float32)
    for column, values in enumerate(stored["num"]):
        X[:, column] = values[rows]
        if stored["num_is_pct"][column]:
            X[:, column] /= 100
    column = len(stored["num"])
    for categories, codes in zip(cats, stored["cat"], strict=True):
        for code in range(len(categories)):
            X[:, column] = codes[rows] == code
            column += 1
    return X


def mulcross(rows: int = 262144) -> Table:
    """Two tight clusters of 10 % anomalies beside a normal cloud in 4 dimensions (Rocke and Woodruff 1996).

    The generator with its usual settings, drawn anew with seed 0: not the draw that the literature used.
    """
    dimension, distance, shrink = 4, 2.0, 0.1
    random = np.random.default_rng(0)
    anomalies = rows // 10
    X = random.standard_normal((rows, dimension))
    side = np.where(np.arange(anomalies) % 2 == 0, 1.0, -1.0)[:, None]
    X[:anomalies] = np.sqrt(shrink) * X[:anomalies] + side * distance
    order = random.permutation(rows)
    return X[order].astype(np.float32), (order < anomalies).astype(np.int8)


def plain(path: Path) -> Table:
    """``X`` and ``y`` as they lie in an npz or MATLAB file; nominal columns ``X_cat`` become indicators."""
    stored = arrays(path, "X", "y")
    X, y = stored["X"], stored["y"].ravel()
    if X.ndim != 2 or len(X) != len(y):
        shape = f"{len(X)} rows but {len(y)} labels" if X.ndim == 2 else f"X with {X.ndim} dimension(s)"
        raise InputError(f"{path} must hold X (n, D) and y (n,); it has {shape}. Write the file anew.")
    X = X.astype(np.float32, order="C", copy=False)
    blocks = indicators(stored.get("X_cat"))
    return np.concatenate([X, *blocks], axis=1) if blocks else X, y.astype(np.int8)


def mixed(path: Path) -> Table:
    """Comma-separated, compressed by xz, the truth in the last column ``anomaly``; other columns as they are.

    Columns are whole numbers, numbers or texts, as Arrow takes them for. An empty field is missing, nothing else is.
    """
    table = _texts(path)
    if table.column_names[-1] != TRUTH or not set(table[TRUTH].to_pylist()) <= {0, 1}:
        raise InputError(
            f"The last column of {path} must be {TRUTH!r} and hold 0 and 1; it is {table.column_names[-1]!r}. "
            "Write the file anew."
        )
    X = np.empty((table.num_rows, table.num_columns - 1), dtype=object)
    for place in range(X.shape[1]):
        X[:, place] = table.column(place).to_pylist()  # None where it is missing
    return X, table[TRUTH].to_numpy().astype(np.int8)


def _texts(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, read_csv

    options = ConvertOptions(null_values=[""], strings_can_be_null=True)
    try:
        with lzma.open(path) as stream:
            return read_csv(stream, convert_options=options)
    except (EOFError, lzma.LZMAError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error


def indicators(categories: NDArray[Any] | None) -> list[NDArray[np.float32]]:
    """One (n, categories) block of 0 and 1 per nominal column."""
    if categories is None:
        return []
    return [(column[:, None] == np.unique(column)).astype(np.float32) for column in categories.T]


def arrays(path: Path, *needed: str) -> Arrays:
    """Read all arrays of a file, and say what is missing."""
    try:
        stored = _matlab(path) if path.suffix == ".mat" else _numpy(path)
    except (EOFError, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(path, error) from error
    missing = sorted(set(needed) - stored.keys())
    if missing:
        raise InputError(
            f"{path} must hold arrays named {', '.join(needed)}; it holds {sorted(stored)}. "
            f"Missing: {', '.join(missing)}."
        )
    return stored


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"Cannot read {path}: {error}. It looks damaged or cut short; fetch or copy it anew.")


def _numpy(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _matlab(path: Path) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    return {name: value for name, value in loadmat(str(path)).items() if not name.startswith("__")}
