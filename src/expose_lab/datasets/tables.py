"""Data sets with known anomalies: one ships with the package, one is computed, the rest lie in a local folder."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose_lab.datasets import layouts
from expose_lab.datasets.registry import REGISTRY, Entry, near


@dataclass(frozen=True)
class DataSet:
    """A table with the truth about its rows.

    Attributes
    ----------
    name : str
    X : (n, D) float32
        Or objects, where columns are of several types: numbers, texts, and None where a value is missing.
    y : (n,) int8, 1 for an anomaly, 0 for a normal row
    columns : tuple of D str
    """

    name: str
    X: NDArray[Any]
    y: NDArray[np.int8]
    columns: tuple[str, ...]


def thyroid() -> DataSet:
    """UCI thyroid as ODDS prepared it: 3,772 rows, 6 columns, 93 anomalies. It ships with the package.

    Values lie in [0, 1]. Source, licence (CC BY 4.0), changes and the meaning of the columns are in
    ``expose/cli/data/ATTRIBUTION.md``.

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

    Examples
    --------
    >>> thyroid_csv().name
    'thyroid.csv.gz'
    """
    return Path(str(resources.files("expose") / "cli" / "data" / "thyroid.csv.gz"))


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    r"""Return the folder of data sets: the one given, else ``EXPOSE_DATA``, else one in the user's cache.

    The cache is ``~/.cache/expose`` (or ``XDG_CACHE_HOME``) on Linux, ``~/Library/Caches/expose`` on macOS and
    ``%LOCALAPPDATA%\expose`` on Windows.

    Parameters
    ----------
    data_dir : path, optional
    """
    given = data_dir or os.environ.get("EXPOSE_DATA")
    if given:
        return Path(given)
    variable, fallback = {
        "win32": ("LOCALAPPDATA", "AppData/Local"),
        "darwin": (None, "Library/Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    return Path((variable and os.environ.get(variable)) or Path.home() / fallback) / "expose"


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> DataSet:
    """Read a data set from a local folder.

    A set of the registry (``expose data list``) is read from where `fetch` put it, and is verified: what is loaded
    is exactly the table that the registry describes, or an error. ``"thyroid"`` ships with the package,
    ``"mulcross"`` is computed. Any other name is a file of your own, ``<name>.npz``: it holds ``X`` (n, D), ``y``
    (n,) with 1 for an anomaly, and perhaps ``X_cat`` (n, C), nominal columns that become one indicator column per
    category. It lies in the folder itself or in its ``tabular`` folder. Or it is ``<name>.csv.xz`` with the truth in
    its last column, ``anomaly``: then columns keep their types, and `DataSet.X` holds objects.

    Parameters
    ----------
    name : str
        For example ``"arrhythmia"`` or ``"mvtec_vit/bottle"``.
    data_dir : path, optional
        The folder. Default: the environment variable ``EXPOSE_DATA``, else the user's cache.

    Raises
    ------
    InputError
        If the set is not there, or its file holds something else. The message says what was found.

    Examples
    --------
    >>> load("thyroid").X.shape
    (3772, 6)
    """
    folder = data_folder(data_dir)
    known = REGISTRY.get(name)
    path = layouts.find(known.stem if known else name, folder)
    if path is None and name == "thyroid":
        return thyroid()
    if path is None and name != "mulcross":
        raise _absent(name, known, folder)
    X, y = layouts.read(name, path)
    if known is not None:
        known.check(X, y, path or "What NumPy draws")
    return DataSet(name, X, y, layouts.columns(path, X.shape[1]))


def _absent(name: str, known: Entry | None, folder: Path) -> InputError:
    there = sorted({path.stem for place in (folder, folder / "tabular") for path in place.glob("*.npz")})
    said = f"No data set {name!r} in {folder}. There: {', '.join(there) or 'no .npz file at all'}."
    if known is None:
        return InputError(f"{said} {near(name, [*REGISTRY, *there])} Another folder: data_dir=..., or EXPOSE_DATA.")
    if not known.sources:
        return known.unavailable(folder)
    return InputError(
        f"{said} 'expose data fetch {name}' downloads it; if it lies elsewhere, name its folder: data_dir=..., or "
        "the environment variable EXPOSE_DATA."
    )
