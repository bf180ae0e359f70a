"""What a study is: which cells, which function makes rows of one, and which page shows them."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expose_lab.grid import Cell, grid_of, schema
from expose_lab.pages import Page
from expose_lab.provenance import code_of, installed
from expose_lab.runner import Task
from expose_lab.store import Row

if TYPE_CHECKING:
    import pyarrow as pa

Measure = Callable[[Row, Path], Row | Iterable[Row]]
Context = Callable[[Page], Mapping[str, Any]]
LIBRARIES = ("numpy", "scikit-learn", "torch")


@dataclass(frozen=True)
class StudyCell:
    """One cell of a study. A `runner.Task` with one key.

    Attributes
    ----------
    study : str
    facts : dict
        What it is: plain values, columns of the results.
    measure : callable
        From the facts and the folder of data to one row or several.
    data_dir : str
    """

    study: str
    facts: Row
    measure: Measure
    data_dir: str

    @property
    def cell(self) -> str:
        """The facts as text, by which rows of the same cell are found whatever measured them."""
        return json.dumps(self.facts, sort_keys=True)

    @property
    def root(self) -> str:
        """Where the code that makes its rows begins."""
        return f"{self.measure.__module__}:{self.measure.__name__}"

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that it rests on."""
        return {name: installed(name) for name in LIBRARIES}

    @property
    def keys(self) -> tuple[str, ...]:
        """The digest of all that determines its rows."""
        return (self.key(self.versions),)

    def key(self, versions: Mapping[str, str]) -> str:
        """The key under these versions of libraries."""
        parts = [self.study, self.facts, code_of([self.root]), dict(versions)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def only(self, keys: Collection[str]) -> StudyCell:
        """All of it."""
        return self

    def check(self) -> None:
        """Nothing is known to be missing."""

    def run(self) -> list[Row]:
        """Measure; the facts and where the rows come from are added to each."""
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.measure(self.facts, Path(self.data_dir))
            rows = [found] if isinstance(found, dict) else list(found)
        common: dict[str, Any] = {
            "cell": self.cell,
            "cpu_seconds": round(time.process_time() - started, 1),
            "key": self.keys[0],
            "code": code_of([self.root]),
            "versions": json.dumps(self.versions, sort_keys=True),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "measured_at": None,
        }
        return [self.facts | row | common for row in rows]

    def __str__(self) -> str:
        return f"{self.study}: {', '.join(map(str, self.facts.values()))}"


@dataclass(frozen=True)
class Study:
    """A study of cells of its own.

    Attributes
    ----------
    name : str
        Of its results, ``<name>.parquet``, and of its template.
    says : str
        One line about it.
    cells : callable
        From the options, as keywords, to the facts of each cell, in the order in which they are run.
    measure : callable
        See `StudyCell`.
    options : mapping
        Names and defaults of what ``--set`` may change.
    page : str
        Where its page lies below ``docs``; "" for none.
    context : callable
        From the page to what its template names.
    apart : bool
        Whether each cell has a fresh process, one after the other, as times and peaks of memory want.
    """

    name: str
    says: str
    cells: Callable[..., Iterable[Any]]
    measure: Measure
    options: Mapping[str, Any] = field(default_factory=dict)
    page: str = ""
    context: Context = lambda page: {}
    apart: bool = False

    def tasks(self, data_dir: str, options: Mapping[str, Any]) -> Iterator[Task]:
        """What is to be run."""
        for facts in self.cells(**{**self.options, **options}):
            yield StudyCell(self.name, facts, self.measure_of(facts), data_dir)

    def measure_of(self, facts: Row) -> Measure:
        """What measures a cell; where it is not the same for all, rows stay while the code of others changes."""
        return self.measure

    def schema(self) -> pa.Schema | None:
        """Columns of its results, where they are fixed."""
        return None

    def carried(self, rows: list[Row]) -> Iterator[Row]:
        """Rows with the keys that they have under the code as it is."""
        for row in rows:
            facts = json.loads(row["cell"])
            match = StudyCell(self.name, facts, self.measure_of(facts), "")
            yield row | {"key": match.key(json.loads(row["versions"])), "code": code_of([match.root])}


@dataclass(frozen=True)
class Benchmark(Study):
    """A study that is made of grids for `expose_lab.bench`: `cells` gives the keywords of each."""

    measure: Measure = lambda facts, data: {}
    cells: Callable[..., Iterable[Any]] = tuple

    def tasks(self, data_dir: str, options: Mapping[str, Any]) -> Iterator[Task]:
        """The cells of all grids."""
        for grid in self.cells(**{**self.options, **options}):
            yield from grid_of(**grid, data_dir=data_dir or None)

    def schema(self) -> pa.Schema | None:
        """That of all benchmarks."""
        return schema()

    def carried(self, rows: list[Row]) -> Iterator[Row]:
        """As above, but rows of no contender stay as they are. All but the contender stands in the row."""
        from expose_lab.contenders import own
        from expose_lab.grid import MAKING, key_of

        who = [grid["contenders"] for grid in self.cells(**self.options)]
        everyone = [one for some in who for one in (own(some) if isinstance(some, Mapping) else some)]
        known = {(one.detector, one.exposure, one.settings): one for one in everyone}
        for row in rows:
            one = known.get((row["detector"], row["exposure"], row["settings"]))
            if one is None:
                yield row
                continue
            assumed = row["assumed"] if row["assumed"] in ("true", "auto") else float(row["assumed"])
            fixed = (row["dataset"], row["data"], row["protocol"], row["true_ratio"], assumed, one)
            cell = Cell(*fixed, (row["seed"],), row["train_rows"], row["test_rows"])
            key = key_of(cell, row["seed"], json.loads(row["versions"]))
            yield row | {"key": key, "code": code_of(one.roots, MAKING)}


@dataclass(frozen=True)
class Drawing:
    """A picture of the docs that is drawn from a model, not from results.

    Attributes
    ----------
    name, says : str
    draw : callable
        From the folders of results and of docs to nothing: it writes the pictures.
    """

    name: str
    says: str
    draw: Callable[[Path, Path], None]
