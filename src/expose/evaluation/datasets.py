"""Data sets with known anomalies: one that ships with the package, the rest from a local folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

LABEL = "is_anomaly"


@dataclass(frozen=True)
class DataSet:
    """A table with the truth about its rows.

    Attributes
    ----------
    name : str
    X : (n, D) float32
    y : (n,) int8, 1 for an anomaly, 0 for a normal row
    columns : tuple of D str
    """

    name: str
    X: NDArray[np.float32]
    y: NDArray[np.int8]
    columns: tuple[str, ...]


def thyroid() -> DataSet:
    """UCI thyroid as ODDS prepared it: 3,772 rows, 6 columns, 93 anomalies. It ships with the package.

    Values lie in [0, 1]. Source, licence (CC BY 4.0), changes and the meaning of the columns are in
    ``data/ATTRIBUTION.md`` beside this module.

    Returns
    -------
    DataSet

    Examples
    --------
    >>> table = thyroid()
    >>> table.X.shape, int(table.y.sum()), table.columns
    ((3772, 6), 93, ('age', 'TSH', 'T3', 'TT4', 'T4U', 'FTI'))
    """
    path = thyroid_csv()
    columns = ("age", "TSH", "T3", "TT4", "T4U", "FTI")
    values = np.loadtxt(path, delimiter=",", skiprows=1)  # (n, D + 1), the label last
    return DataSet("thyroid", values[:, :-1].astype(np.float32), values[:, -1].astype(np.int8), columns)


def thyroid_csv() -> Path:
    """Path of the shipped thyroid table, a compressed CSV file whose last column ``is_anomaly`` is the truth.

    Returns
    -------
    Path

    Examples
    --------
    >>> thyroid_csv().name
    'thyroid.csv.gz'
    """
    return Path(str(resources.files("expose.evaluation") / "data" / "thyroid.csv.gz"))


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> DataSet:
    """Read ``<name>.npz`` from a local folder of data sets.

    The file holds ``X`` (n, D), ``y`` (n,) with 1 for an anomaly, and perhaps ``X_cat`` (n, C), nominal
    columns that become one indicator column per category. It lies in the folder itself or in its
    ``tabular`` folder. ``"thyroid"`` is read from the package when no folder is given.

    Parameters
    ----------
    name : str
        For example ``"arrhythmia"``.
    data_dir : path, optional
        The folder. Default: the environment variable ``EXPOSE_DATA``.

    Returns
    -------
    DataSet
        With columns named ``x0``, ``x1``, ...

    Raises
    ------
    InputError
        If no folder is known, the file is not there, or it has another layout. The message says what was
        found.

    Examples
    --------
    >>> load("thyroid").X.shape
    (3772, 6)
    """
    folder = data_dir or os.environ.get("EXPOSE_DATA")
    if folder is None and name == "thyroid":
        return thyroid()
    if folder is None:
        raise InputError(
            f"Data set {name!r} does not ship with the package. Say where it lies: "
            f"load({name!r}, data_dir=...), or set the environment variable EXPOSE_DATA."
        )
    with np.load(_find(name, Path(folder)), allow_pickle=False) as stored:
        parts = dict(stored)
    if not {"X", "y"} <= parts.keys():
        raise InputError(f"Data set {name!r} must hold arrays named X and y; it holds {sorted(parts)}.")
    X = np.concatenate([parts["X"].astype(np.float32), *_indicators(parts.get("X_cat"))], axis=1)
    return DataSet(name, X, parts["y"].astype(np.int8), tuple(f"x{i}" for i in range(X.shape[1])))


def _find(name: str, folder: Path) -> Path:
    for path in (folder / f"{name}.npz", folder / "tabular" / f"{name}.npz"):
        if path.is_file():
            return path
    there = sorted({path.stem for place in (folder, folder / "tabular") for path in place.glob("*.npz")})
    raise InputError(f"No data set {name!r} in {folder}. There: {', '.join(there) or 'no .npz file at all'}.")


def _indicators(categories: NDArray[np.generic] | None) -> list[NDArray[np.float32]]:
    """One (n, categories) block of 0 and 1 per nominal column."""
    if categories is None:
        return []
    return [(column[:, None] == np.unique(column)).astype(np.float32) for column in categories.T]
