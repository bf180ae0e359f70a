"""Series with the truth about each step: NAB, and three sets of many channels. Each collection is one file.

They lie in the folder ``timeseries`` of a folder of data sets. What a file holds is known by a digest, as for tables;
there is no public origin in this form, so nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose_lab.datasets.layouts import Arrays, arrays
from expose_lab.datasets.registry import near

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """A series with the truth about its steps.

    Attributes
    ----------
    name : str
        With its collection, such as "nab/realKnownCause/nyc_taxi".
    values : (T, C) float32
        In the order of time.
    y : (T,) int8
        1 for an anomalous step, 0 for a normal one.
    training : (R, C) float32 or None
        A part before these steps that its makers set aside for training, and take for normal.
    time : (T,) int64 or None
        Seconds since 1970, where the set says so. NAB's go back or stand still here and there, as in its files.
    """

    name: str
    values: Values
    y: NDArray[np.int8]
    training: Values | None = None
    time: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values)


Read = Callable[[str, Arrays], SeriesSet]


@dataclass(frozen=True)
class Collection:
    """Series that lie in one file.

    Attributes
    ----------
    name, file : str
        The file without its suffix.
    channels, series, steps, anomalous : int
        How many channels each series has, how many series there are, and steps in all.
    licence, citation : str
        The licence as its source states it, and whom to cite.
    sha256 : str
        `digest` of the arrays of the file.
    read : callable
        From the name of a series and the arrays to the series.
    """

    name: str
    file: str
    channels: int
    series: int
    steps: int
    anomalous: int
    licence: str
    citation: str
    sha256: str
    read: Read = field(repr=False)

    def place(self, data: Path) -> Path:
        """Where its file lies in a folder of data sets."""
        return data / "timeseries" / f"{self.file}.npz"


# ------------------------------------------------------------------------------------------------------- the layouts


def nab(name: str, stored: Arrays) -> SeriesSet:
    """``<folder>/<series>/value``, ``time`` and ``label``, the last of NAB's anomaly windows."""
    values = stored[f"{name}/value"][:, None].astype(np.float32)
    return SeriesSet(f"nab/{name}", values, truth(name, stored), time=stored[f"{name}/time"].astype(np.int64))


def smd(name: str, stored: Arrays) -> SeriesSet:
    """``<machine>/train``, ``test`` (C, T) in ten-thousandths, and ``label`` of the test."""
    values, training = ((stored[f"{name}/{part}"].T * stored["scale"]).astype(np.float32) for part in ("test", "train"))
    return SeriesSet(f"smd/{name}", values, truth(name, stored), training)


def telemanom(collection: str) -> Read:
    """``<channel>/<part>_value`` (T,), and ``<part>_cmd``, C - 1 rows of commands, one bit for each step."""

    def read(name: str, stored: Arrays) -> SeriesSet:
        values, training = (telemetry(name, part, stored) for part in ("test", "train"))
        return SeriesSet(f"{collection}/{name}", values, truth(name, stored), training)

    return read


def telemetry(name: str, part: str, stored: Arrays) -> Values:
    """A channel and the commands beside it, ``(T, C)``."""
    value = stored[f"{name}/{part}_value"]
    commands = np.unpackbits(stored[f"{name}/{part}_cmd"], axis=1)[:, : len(value)]
    return np.concatenate([value[:, None], commands.T], axis=1).astype(np.float32)


def truth(name: str, stored: Arrays) -> NDArray[np.int8]:
    """Of each step."""
    return stored[f"{name}/label"].astype(np.int8)


# ---------------------------------------------------------------------------------------------------- what there is

TELEMANOM = "K. Hundman et al., Detecting spacecraft anomalies using LSTMs, KDD 2018 (telemanom)"
COLLECTIONS: Mapping[str, Collection] = {
    one.name: one
    for one in (
        Collection(
            name="nab",
            file="nab",
            channels=1,
            series=58,
            steps=365558,
            anomalous=33495,
            licence="MIT-style (Numenta)",
            citation="A. Lavin, S. Ahmad, Evaluating real-time anomaly detection algorithms, ICMLA 2015",
            sha256="20b28d316d553be1fb2935a5baaf8a0f8ad0a7fc709675836876064f12e94b62",
            read=nab,
        ),
        Collection(
            name="smd",
            file="smd_4machines",
            channels=38,
            series=4,
            steps=94772,
            anomalous=9405,
            licence="MIT (SMD)",
            citation="Y. Su et al., Robust anomaly detection for multivariate time series, KDD 2019; four machines",
            sha256="4840805842bdfa3e196f492a11799e98d292f62cdcc9b8154bb89f074dd021e5",
            read=smd,
        ),
        Collection(
            name="smap",
            file="smap",
            channels=25,
            series=54,
            steps=435826,
            anomalous=55972,
            licence="none stated",
            citation=TELEMANOM,
            sha256="5f0186202cc6cf5fa538830be1d8fcbc507821fdebe1e20bc72438384a4bb1dd",
            read=telemanom("smap"),
        ),
        Collection(
            name="msl",
            file="msl",
            channels=55,
            series=27,
            steps=73729,
            anomalous=7766,
            licence="none stated",
            citation=TELEMANOM,
            sha256="d777fca142d920e08ca2dc79d1a942b0fe1e5e35c1bd9e1c0b8da0aa7f19d395",
            read=telemanom("msl"),
        ),
    )
}


def load_series(collection: str, data: Path) -> Iterator[SeriesSet]:
    """All series of a collection, in the order of their names; the file is verified.

    Parameters
    ----------
    collection : {"nab", "smd", "smap", "msl"}
    data : Path
        A folder of data sets, see `expose_lab.datasets.data_folder`.

    Raises
    ------
    InputError
        If there is no such collection, its file is not there, or holds something else.
    """
    if collection not in COLLECTIONS:
        raise InputError(f"There is no collection of series {collection!r}. {near(collection, COLLECTIONS)}")
    known = COLLECTIONS[collection]
    path = known.place(data)
    if not path.is_file():
        raise InputError(
            f"There are no series {path}. Give the folder that holds it: data_dir=..., or EXPOSE_DATA. The set is by "
            f"{known.citation}."
        )
    stored = arrays(path)
    if digest(stored) != known.sha256:
        raise InputError(
            f"{path} is not the collection {collection!r}: its values differ (expected digest "
            f"{known.sha256[:12]}, got {digest(stored)[:12]}). Copy it anew."
        )
    for name in names(stored):
        yield known.read(name, stored)


def names(stored: Arrays) -> list[str]:
    """Names of the series whose truth an archive holds."""
    return sorted(key.removesuffix("/label") for key in stored if key.endswith("/label"))


def digest(stored: Mapping[str, NDArray[Any]]) -> str:
    """Sha256 of arrays: name, type and shape as text, then the values, in the order of the names.

    Examples
    --------
    >>> digest({"a": np.zeros(2)})[:12]
    'e31ca73f9868'
    """
    code = hashlib.sha256()
    for name in sorted(stored):
        value = np.ascontiguousarray(stored[name])
        code.update(f"{name} {value.dtype.str} {value.shape};".encode() + value.tobytes())
    return code.hexdigest()
