"""A benchmark of detectors: a grid of data sets, protocols, ratios and contenders, one row of results per seed.

A cell of it is a contender on a data set under a protocol, for several seeds; `key_of` names all that determines a row.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expose.errors import InputError
from expose_lab import protocols as splitting
from expose_lab.classical import BASELINES
from expose_lab.contenders import (
    Classical,
    Contender,
    assume,
    assumed_by,
    fit_all,
    judge,
    own,
    parameters_of,
    train_together,
)
from expose_lab.datasets import DataSet, load
from expose_lab.datasets.registry import digest
from expose_lab.metrics import ranking
from expose_lab.provenance import code_of
from expose_lab.runner import check_place, run
from expose_lab.store import Row, Store, read_table

if TYPE_CHECKING:
    import pyarrow as pa

PROTOCOLS = ("clean", "disjoint", "paper")
FILE_ORDER = {"thyroid", "arrhythmia"}  # sets whose normal rows the paper did not shuffle
MAKING = tuple(f"{__name__}:run_cell {__name__}:split_of".split()) + tuple(
    f"expose_lab.contenders:{name}" for name in ("assume", "fit_all", "judge", "assumed_by")
)

TEXT = ("key", "dataset", "protocol", "assumed", "detector", "exposure", "settings", "parameters")
RATIOS = ("true_ratio", "reached_ratio", "assumed_ratio")
METRICS = ("auroc", "average_precision", "base_rate", "f1_oracle", "f1", "fpr", "fpr_at_95")
COUNTS = ("seed", "n_train", "n_test", "n_features", "train_rows", "test_rows", "seeds_together")
COSTS = ("fit_seconds", "score_seconds", "peak_mib")
ORIGIN = ("code", "data", "versions", "finished", "measured_at")


def schema() -> pa.Schema:
    """Columns of the results; every row has all of them."""
    import pyarrow as pa

    kinds = [(TEXT, pa.string()), (RATIOS + METRICS, pa.float64()), (COUNTS, pa.int64()), (COSTS, pa.float64())]
    kinds.append((ORIGIN, pa.string()))
    return pa.schema([(name, kind) for names, kind in kinds for name in names])


def read_results(path: str | Path) -> pa.Table:
    """Read what `bench` wrote to its ``out``.

    Raises
    ------
    InputError
        If it is something else.
    """
    return read_table(path, schema())


def bench(
    datasets: Iterable[str | DataSet],
    contenders: Mapping[str, Any] | Iterable[Contender],
    *,
    out: str | Path | None = None,
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    verbose: int = 0,
    **grid: Any,
) -> pa.Table:
    """Measure detectors on labelled data sets whose training rows are contaminated on purpose.

    Parameters
    ----------
    datasets : iterable of str or DataSet
        Names of the registry, or sets of your own.
    contenders : dict of estimators, or iterable of Contender
        Any estimators with scikit-learn's outlier interface (``fit``, ``score_samples``, ``predict``). Parameters named
        ``random_state`` and ``contamination``, nested ones too, are set for each run. With "auto" only an
        `AnomalyDetector` estimates its contamination; others keep the one they have.
    out : path, optional
        Parquet file of results. Runs that are in it are not repeated, unless data, settings, code or library versions
        have changed.
    n_jobs : int, default=1
        Processes; -1 for as many as there are processors, with Ray in the whole cluster. Of a Dask cluster all
        workers are used.
    backend : {"loky", "dask", "ray"}
        Where the processes are; Dask and Ray start a local cluster unless `address` names one.
    address : str, optional
        Of a running cluster, such as "tcp://scheduler:8786" (Dask) or "auto" (Ray). Its machines need the same
        versions and, for sets given by name, the same folder of data sets.
    verbose : int, default=0
        1 shows progress on stderr.
    **grid
        What is run, see `grid_of`: protocols, true_ratios, assumed_ratios, seeds, train_rows, test_rows, data_dir.

    Returns
    -------
    pyarrow.Table
        One row per run of this grid, columns as in `schema`. ``.to_pandas()`` makes a frame of it.

    Raises
    ------
    InputError
        If an argument cannot be used or a data set is not there; before anything is run. Or if a process was killed.
    MissingExtraError
        If the backend or a baseline needs an extra that is not installed; before anything is run.

    Warns
    -----
    FailedRunsWarning
        If runs failed; the others are kept.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> results = bench(["thyroid"], {"forest": IsolationForest(n_estimators=20)}, seeds=[0], true_ratios=[0.02])
    >>> results.num_rows, results["detector"][0].as_py()
    (1, 'forest')
    """
    check_place(backend, n_jobs)
    cells = list(grid_of(datasets, contenders, **grid))
    with Store(None if out is None else Path(out), schema()) as store:
        return run(cells, store, n_jobs=n_jobs, backend=backend, address=address, verbose=verbose)


def grid_of(
    datasets: Iterable[str | DataSet],
    contenders: Mapping[str, Any] | Iterable[Contender],
    *,
    protocols: Sequence[str] = ("disjoint",),
    true_ratios: Sequence[float] = (0.1,),
    assumed_ratios: Sequence[float | str] = ("true",),
    seeds: Sequence[int] = (0, 1, 2),
    train_rows: int | None = 5_000,
    test_rows: int | None = 10_000,
    data_dir: str | Path | None = None,
) -> Iterator[Cell]:
    """All cells of a grid, sorted by data set.

    Where nothing is assumed to be anomalous all exposures are blind, so there the plain contenders stand for all.

    Parameters
    ----------
    datasets, contenders
        As in `bench`.
    protocols : sequence of {"clean", "disjoint", "paper"}
        How training and test set are made, see `expose_lab.protocols`.
    true_ratios : sequence of float
        Wanted shares of anomalies in the training set, in [0, 0.5). With the protocol "clean" it is 0.
    assumed_ratios : sequence of float, "true" or "auto"
        What the detectors are told; "true" is the share that the protocol reached.
    seeds : sequence of int
        Those of one cell are trained as one batched ensemble where the contender is an `AnomalyDetector`.
    train_rows, test_rows : int or None
        Most normal rows on either side.
    data_dir : path, optional
        Folder of the data sets.
    """
    check_grid(protocols, true_ratios, assumed_ratios, seeds)
    sets = [datasets] if isinstance(datasets, str | DataSet) else list(datasets)
    who = own(contenders) if isinstance(contenders, Mapping) else list(contenders)
    if not sets or not who:
        raise InputError(f"A benchmark needs data sets and contenders; got {len(sets)} and {len(who)}.")
    folder = None if data_dir is None else str(data_dir)
    for dataset in sets:
        table = dataset if isinstance(dataset, DataSet) else load(dataset, folder)
        check_protocols(table, protocols)
        data = fingerprint(table)
        for protocol in protocols:
            ratios = (0.0,) if protocol == "clean" else tuple(map(float, true_ratios))
            for true, assumed in itertools.product(ratios, map(as_share, assumed_ratios)):
                nothing = assumed == 0 or (assumed == "true" and true == 0)
                for one in who:
                    if one.plain or not nothing:
                        caps = (train_rows, test_rows, folder)
                        yield Cell(dataset, data, protocol, true, assumed, one, tuple(map(int, seeds)), *caps)


def check_grid(
    protocols: Sequence[str],
    true_ratios: Sequence[float],
    assumed_ratios: Sequence[float | str],
    seeds: Sequence[int],
) -> None:
    """Raise InputError for what no cell could use."""
    for name, values in {"protocols": protocols, "true_ratios": true_ratios, "assumed_ratios": assumed_ratios}.items():
        if isinstance(values, str) or not values:
            raise InputError(f"{name} must be a list with at least one value; got {values!r}.")
    if not seeds:
        raise InputError("seeds must hold at least one whole number.")
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise InputError(f"protocol must be one of {list(PROTOCOLS)}; got {protocol!r}.")
    for share in [*true_ratios, *(share for share in assumed_ratios if share not in ("true", "auto"))]:
        if not isinstance(share, float | int | np.floating) or not 0 <= share < 0.5:
            raise InputError(f"ratios must be shares of anomalies in [0, 0.5), or 'true' or 'auto'; got {share!r}.")


def check_protocols(data: DataSet, protocols: Sequence[str]) -> None:
    """Raise InputError for a protocol that this table cannot be split by."""
    if "paper" in protocols and data.X.dtype == object:
        raise InputError(
            f"The protocol 'paper' adds noise to numbers, but {data.name!r} has columns of several types. Use 'clean' "
            "or 'disjoint' with it, or leave it out."
        )


def as_share(share: float | str) -> float | str:
    """One form of a share, so that 0 and 0.0 give the same key."""
    return share if isinstance(share, str) else float(share)


@dataclass(frozen=True)
class Cell:
    """A contender on a data set, with everything but the seed fixed. A `runner.Task`."""

    dataset: str | DataSet
    data: str  # fingerprint
    protocol: str
    true_ratio: float
    assumed: float | str  # a share, "true" (what the protocol reached) or "auto"
    contender: Contender
    seeds: tuple[int, ...]
    train_rows: int | None = None
    test_rows: int | None = None
    data_dir: str | None = None

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.dataset if isinstance(self.dataset, str) else self.dataset.name

    @property
    def keys(self) -> tuple[str, ...]:
        """One for each seed."""
        return tuple(key_of(self, seed) for seed in self.seeds)

    def only(self, keys: Collection[str]) -> Cell:
        """The cell with the seeds of these keys."""
        seeds = dict.fromkeys(seed for key, seed in zip(self.keys, self.seeds, strict=True) if key in keys)
        return replace(self, seeds=tuple(seeds))

    def check(self) -> None:
        """Raise MissingExtraError if a baseline cannot be made for lack of its library."""
        if isinstance(self.contender.make, Classical):
            BASELINES[self.contender.make.name](0, np.eye(3))

    def run(self) -> list[Row]:
        """Rows of results."""
        return run_cell(self)

    def __str__(self) -> str:
        who = f"{self.contender.detector} {self.contender.exposure} ({self.contender.settings})"
        return f"{who} on {self.name}, {self.protocol} {self.true_ratio:g}, assumed {self.assumed}"


def run_cell(cell: Cell) -> list[Row]:
    """Split, fit, score and measure; one row per seed.

    The seeds of an `AnomalyDetector` are trained as one batched ensemble. No label reaches it.
    """
    data = cell.dataset if isinstance(cell.dataset, DataSet) else cached(cell.dataset, cell.data_dir)
    splits = [split_of(data, cell, seed) for seed in cell.seeds]
    estimators = [
        assume(cell.contender.make(cell.name, *split.train_X.shape), told(cell, split), seed, len(split.train_X))
        for split, seed in zip(splits, cell.seeds, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        fit_all(estimators, [split.train_X for split in splits])
        fit_seconds = (time.perf_counter() - started) / len(splits)
        measured = [measure(estimator, split) for estimator, split in zip(estimators, splits, strict=True)]
    common: dict[str, Any] = {
        "fit_seconds": fit_seconds,
        "seeds_together": len(splits) if train_together(estimators) else 1,
    }
    return [
        facts(cell, seed, split, estimator) | result | common
        for seed, split, estimator, result in zip(cell.seeds, splits, estimators, measured, strict=True)
    ]


@lru_cache(maxsize=1)
def cached(name: str, data_dir: str | None) -> DataSet:
    """The data set last used: cells come sorted by data set."""
    return load(name, data_dir)


def split_of(data: DataSet, cell: Cell, seed: int) -> splitting.Split:
    """Apply the cell's protocol."""
    caps: dict[str, Any] = {"seed": seed, "train_rows": cell.train_rows, "test_rows": cell.test_rows}
    if cell.protocol == "clean":
        return splitting.clean(data.X, data.y, **caps)
    if cell.protocol == "disjoint":
        return splitting.disjoint(data.X, data.y, ratio=cell.true_ratio, **caps)
    return splitting.paper(data.X, data.y, ratio=cell.true_ratio, file_order=data.name in FILE_ORDER, **caps)


def told(cell: Cell, split: splitting.Split) -> float | str:
    """What the contender may assume."""
    return split.reached_ratio if cell.assumed == "true" else cell.assumed


def measure(estimator: Any, split: splitting.Split) -> Row:
    """All metrics of a fitted estimator on the test rows."""
    started = time.perf_counter()
    scores, flagged = judge(estimator, split.test_X)
    seconds = time.perf_counter() - started
    return {
        "auroc": ranking.auroc(split.test_y, scores),
        "average_precision": ranking.average_precision(split.test_y, scores),
        "base_rate": ranking.base_rate(split.test_y),
        "f1_oracle": ranking.f1_at_ratio(split.test_y, scores),
        "f1": ranking.f1_flagged(split.test_y, flagged),
        "fpr": ranking.fpr_flagged(split.test_y, flagged),
        "fpr_at_95": ranking.fpr_at_tpr(split.test_y, scores),
        "score_seconds": seconds,
    }


def facts(cell: Cell, seed: int, split: splitting.Split, estimator: Any) -> Row:
    """What was run."""
    return {
        "key": key_of(cell, seed),
        "dataset": cell.name,
        "protocol": cell.protocol,
        "true_ratio": float(cell.true_ratio),
        "reached_ratio": split.reached_ratio,
        "assumed": str(cell.assumed),
        "assumed_ratio": assumed_by(estimator, told(cell, split)),
        "detector": cell.contender.detector,
        "exposure": cell.contender.exposure,
        "settings": cell.contender.settings,
        "parameters": json.dumps(parameters_of(estimator), default=str, sort_keys=True),
        "seed": int(seed),
        "n_train": len(split.train_y),
        "n_test": len(split.test_y),
        "n_features": split.train_X.shape[1],
        "train_rows": cell.train_rows,
        "test_rows": cell.test_rows,
        "peak_mib": peak_mib(),
        "code": code_of(cell.contender.roots, MAKING),
        "data": cell.data,
        "versions": json.dumps(cell.contender.versions, sort_keys=True),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "measured_at": None,
    }


def peak_mib() -> float | None:
    """The most memory this process has ever held, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def key_of(cell: Cell, seed: int, versions: Mapping[str, str] | None = None) -> str:
    """A digest of all that determines the row of a seed: data, protocol, contender, code and library versions."""
    who = cell.contender
    code = code_of(who.roots, MAKING)
    parts = [
        [cell.data, cell.protocol, float(cell.true_ratio), cell.assumed, cell.train_rows, cell.test_rows, int(seed)],
        [who.detector, who.exposure, who.settings, who.identity, code, versions or who.versions],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def fingerprint(data: DataSet) -> str:
    """A digest of the rows and the truth of a data set."""
    return digest(data.X, data.y)[:32]
