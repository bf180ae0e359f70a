"""The data sets of the benchmark: how large each is, where it comes from, and what exactly is in it.

The entries lie in ``registry.json``. What each table holds is known by a digest of its values, so an origin that has
changed is an error, never another table under the same name. After adding a set, write its size and digest there:

    python -m expose_lab.datasets.registry FOLDER
"""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose_lab.datasets import layouts


@dataclass(frozen=True)
class Source:
    """A public file that holds a set.

    Attributes
    ----------
    url : str
    form : str
        How it becomes a table: a key of `expose_lab.datasets.conversion.FORMS`.
    blob : str
        First digits of its git blob id; empty where that is not known.
    """

    url: str
    form: str
    blob: str = ""


@dataclass(frozen=True)
class Entry:
    """What is known of a set.

    Attributes
    ----------
    name, group : str
        The group is ``"paper"``, ``"extra"``, ``"more"`` (numeric as these), ``"mixed"`` (numbers, categories, missing
        values) or ``"embedding"``.
    rows, columns, anomalies : int
        Size of the table after loading.
    anomaly : str
        What counts as an anomaly.
    licence, citation : str
        The licence as its source states it, and whom to cite.
    sources : tuple of Source
        Tried in this order. Empty: there is nothing to download.
    sha256 : str
        `digest` of the loaded table; empty if the table has never been seen.
    file : str
        Name of its file without suffix; empty if that is the set's own name.
    """

    name: str
    group: str
    rows: int
    columns: int
    anomalies: int
    anomaly: str
    licence: str
    citation: str
    sources: tuple[Source, ...]
    sha256: str
    file: str = ""

    @property
    def stem(self) -> str:
        """Name of its file without suffix."""
        return self.file or self.name

    @property
    def place(self) -> str:
        """Where its file lies in a folder of data sets."""
        folder, suffix = FILES.get(self.group, ("tabular", ".npz"))
        return f"{folder}/{self.stem}{suffix}"

    def check(self, X: NDArray[Any], y: NDArray[np.int8], where: object) -> None:
        """Raise unless the table is this set, value by value."""
        expected = f"{self.rows} x {self.columns} with {self.anomalies} anomalies"
        found = f"{' x '.join(map(str, X.shape))} with {int((y == 1).sum())} anomalies"
        advice = "Fetch or copy it anew; if it is a table of your own, give its file another name."
        if found != expected or len(y) != self.rows:
            raise InputError(f"{where} is not the data set {self.name!r}: expected {expected}, got {found}. {advice}")
        if self.sha256 and digest(X, y) != self.sha256:
            raise InputError(
                f"{where} is not the data set {self.name!r}: the size is right, but not the values (expected digest "
                f"{self.sha256[:12]}, got {digest(X, y)[:12]}). {advice}"
            )

    def unavailable(self, folder: Path) -> InputError:
        """Return the error that the set is neither in the folder nor to be had from any origin."""
        path = folder / self.place
        form = (
            f"{path}, the truth (0 or 1) in its last column {layouts.TRUTH!r}"
            if layouts.is_text(path)
            else f"{path} with arrays X and y, or as {self.stem}.mat"
        )
        return InputError(
            f"The data set {self.name!r} is not available: its file is missing, and no origin is known that can be "
            f"verified. It has {self.rows} x {self.columns} values and {self.anomalies} anomalies, and comes from: "
            f"{self.citation}. If you have it, put it at {form}."
        )


def digest(X: NDArray[Any], y: NDArray[np.int8]) -> str:
    """Sha256 of a table: its shape as text, ``X`` as float32 row by row, then ``y`` as int8.

    Objects are taken as JSON, so that 1, 1.0, "1" and None are four values.

    Examples
    --------
    >>> digest(np.eye(2, dtype=np.float32), np.array([0, 1], np.int8))[:12]
    '7de9f8c34ad2'
    """
    code = hashlib.sha256(f"{X.shape[0]}x{X.shape[1]};".encode())
    code.update(_as_json(X) if X.dtype == object else np.ascontiguousarray(X, "<f4").data)
    code.update(np.ascontiguousarray(y, np.int8).data)
    return code.hexdigest()


def _as_json(X: NDArray[np.object_]) -> bytes:
    return json.dumps(X.tolist(), ensure_ascii=False, default=str).encode()


def _read() -> dict[str, Entry]:
    entries = [
        Entry(**{**facts, "sources": tuple(Source(**one) for one in facts["sources"])})
        for facts in json.loads(FILE.read_text(encoding="utf-8"))
    ]
    return {entry.name: entry for entry in entries}


FILE = Path(__file__).with_name("registry.json")
FILES = {"embedding": ("embeddings", ".npz"), "mixed": ("mixed", ".csv.xz")}  # by group; the rest are in tabular
TABLE_HEAD = """| set | rows | columns | anomalies | what counts as one | licence as its source states it |
|---|--:|--:|--:|---|---|"""
REGISTRY = _read()
GROUPS = {
    group: tuple(name for name, entry in REGISTRY.items() if entry.group == group)
    for group in ("paper", "extra", "more", "mixed", "embedding")
}
PAPER_TABLES = GROUPS["paper"]
EXTRA_TABLES = GROUPS["extra"]
MORE_TABLES = GROUPS["more"]
MIXED_TABLES = GROUPS["mixed"]
EMBEDDINGS = GROUPS["embedding"]


def entry(name: str) -> Entry:
    """Return the entry of a set.

    Examples
    --------
    >>> entry("glass").rows, entry("glass").anomalies
    (214, 9)
    """
    if name not in REGISTRY:
        raise InputError(f"The registry has no data set {name!r}. {near(name, REGISTRY)}")
    return REGISTRY[name]


def near(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the names that a misspelt one may have meant.

    Examples
    --------
    >>> near("satimage", ["satimage-2", "wine"])
    'Did you mean satimage-2?'
    """
    close = difflib.get_close_matches(name, dict.fromkeys(known), n=3)
    return f"Did you mean {' or '.join(close)}?" if close else "'expose data list' shows the names."


def select(names: Iterable[str]) -> list[Entry]:
    """Return the entries of names, where a name may be a group or ``"all"``; each once, in the order given.

    Examples
    --------
    >>> [entry.name for entry in select(["extra", "http"])]
    ['http', 'smtp']
    """
    groups = {**GROUPS, "all": tuple(REGISTRY)}
    chosen = [one for name in names for one in groups.get(name, (name,))]
    return [entry(name) for name in dict.fromkeys(chosen)]


def markdown() -> str:
    """Return all sets as a Markdown table, as it stands in the guide."""
    lines = [
        f"| `{one.name}` | {one.rows:,} | {one.columns:,} | {one.anomalies:,} ({one.anomalies / one.rows:.1%}) "
        f"| {one.anomaly} | {one.licence} |"
        for one in REGISTRY.values()
    ]
    return "\n".join([TABLE_HEAD, *lines]) + "\n"


def measure_tables(folder: Path) -> None:
    """Write size and digest of every table of a folder into the registry; others keep what it says of them."""
    facts = json.loads(FILE.read_text(encoding="utf-8"))
    for one in facts:
        path = layouts.find(one.get("file", one["name"]), folder)
        if path is None and one["name"] != "mulcross":
            print(f"{one['name']}: not there")
            continue
        X, y = layouts.read(one["name"], path)
        found = {"rows": len(X), "columns": X.shape[1], "anomalies": int(y.sum()), "sha256": digest(X, y)}
        print(f"{one['name']}: {'as before' if found.items() <= one.items() else found}")
        one.update(found)
    FILE.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure_tables(Path(sys.argv[1]))
