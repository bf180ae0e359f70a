"""The benchmark runner: a grid of data sets, protocols, ratios and contenders, one row per run, resumable."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expose.errors import ExposeWarning, InputError, MissingExtraError
from expose.evaluation.contenders import Contender, brought
from expose.evaluation.datasets import DataSet, load
from expose.evaluation.progress import clock
from expose.evaluation.store import Store
from expose.evaluation.trial import PROTOCOLS, Cell, Row, fingerprint, key_of, run_cell

if TYPE_CHECKING:
    import pyarrow as pa

BACKENDS = ("loky", "dask", "ray")


class FailedRunsWarning(ExposeWarning):
    """Some runs of a benchmark failed; their rows are missing, and the same call tries them again."""


def bench(
    datasets: Iterable[str | DataSet],
    contenders: Mapping[str, Any] | Iterable[Contender],
    *,
    protocols: Sequence[str] = ("disjoint",),
    true_ratios: Sequence[float] = (0.1,),
    assumed_ratios: Sequence[float | str] = ("true",),
    seeds: Sequence[int] = (0, 1, 2),
    train_rows: int | None = 5_000,
    test_rows: int | None = 10_000,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    verbose: int = 0,
) -> pa.Table:
    """Measure detectors on labelled data sets whose training rows are contaminated on purpose.

    Parameters
    ----------
    datasets : iterable of str or DataSet
        Names of the registry, or sets of your own.
    contenders : dict of estimators, or iterable of Contender
        Any estimators with scikit-learn's outlier interface (``fit``, ``score_samples``, ``predict``). Parameters named
        ``random_state`` and ``contamination``, nested ones too, are set for each run.
    protocols : sequence of {"clean", "disjoint", "paper"}
        How training and test set are made, see `expose.evaluation.protocols`.
    true_ratios : sequence of float
        Wanted shares of anomalies in the training set, in [0, 0.5).
    assumed_ratios : sequence of float, "true" or "auto"
        What the detectors are told; "true" is the share that the protocol reached.
    seeds : sequence of int
        Those of one cell are trained as one batched ensemble where the contender is an `AnomalyDetector`.
    train_rows, test_rows : int or None
        Most normal rows on either side.
    out : path, optional
        Parquet file of results. Runs that are in it are not repeated, unless data, settings, code or library versions
        have changed.
    data_dir : path, optional
        Folder of the data sets.
    n_jobs : int, default=1
        Processes.
    backend : {"loky", "dask", "ray"}
        Where the processes are; Dask and Ray start a local cluster unless `address` names one.
    verbose : int, default=0
        1 shows progress on stderr.

    Returns
    -------
    pyarrow.Table
        One row per run of this grid, columns as in `expose.evaluation.store`. ``.to_pandas()`` makes a frame of it.

    Raises
    ------
    InputError
        If an argument cannot be used or a data set is not there; before anything is run.

    Warns
    -----
    FailedRunsWarning
        If runs failed; the others are kept.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from expose.evaluation import bench
    >>> results = bench(["thyroid"], {"forest": IsolationForest(n_estimators=20)}, seeds=[0], true_ratios=[0.02])
    >>> results.num_rows, results["detector"][0].as_py()
    (1, 'forest')
    """
    check(protocols, true_ratios, assumed_ratios, seeds, backend)
    who = brought(contenders) if isinstance(contenders, Mapping) else list(contenders)
    ratios = (tuple(protocols), tuple(true_ratios), tuple(assumed_ratios))
    common = Common(
        tuple(dict.fromkeys(map(int, seeds))), train_rows, test_rows, None if data_dir is None else str(data_dir)
    )
    cells = list(grid(list(datasets), who, *ratios, common))
    wanted = [key_of(cell, seed) for cell in cells for seed in cell.seeds]
    with Store(None if out is None else Path(out)) as store:
        left = [rest for cell in cells if (rest := unfinished(cell, store)).seeds]
        failed = []
        with clock(len(left), verbose) as report:
            for cell, rows, error in run_all(left, n_jobs, backend, address):
                store.add(rows)
                if error:
                    failed.append(f"{cell}: {error}")
                report(str(cell), error)
        if failed:
            text = "; ".join(failed[:5]) + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
            warnings.warn(f"{len(failed)} of {len(left)} cells failed. {text}", FailedRunsWarning, stacklevel=2)
        return store.table(wanted)


def check(
    protocols: Sequence[str],
    true_ratios: Sequence[float],
    assumed_ratios: Sequence[float | str],
    seeds: Sequence[int],
    backend: str,
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
        if isinstance(share, str) or not 0 <= share < 0.5:
            raise InputError(f"ratios must be shares of anomalies in [0, 0.5), or 'true' or 'auto'; got {share!r}.")
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {list(BACKENDS)}; got {backend!r}.")


@dataclass(frozen=True)
class Common:
    """What all cells of a grid share."""

    seeds: tuple[int, ...]
    train_rows: int | None
    test_rows: int | None
    data_dir: str | None


def grid(
    datasets: Sequence[str | DataSet],
    contenders: Sequence[Contender],
    protocols: Sequence[str],
    true_ratios: Sequence[float],
    assumed_ratios: Sequence[float | str],
    common: Common,
) -> Iterator[Cell]:
    """All cells, sorted by data set.

    Where nothing is assumed to be anomalous all exposures are blind, so there the plain contenders stand for all.
    """
    for dataset in datasets:
        loaded = dataset if isinstance(dataset, DataSet) else load(dataset, common.data_dir)
        data = fingerprint(loaded)
        del loaded  # the next one may be large
        for protocol in protocols:
            ratios = (0.0,) if protocol == "clean" else true_ratios
            for true, assumed in itertools.product(ratios, assumed_ratios):
                nothing = assumed == 0 or (assumed == "true" and true == 0)
                for who in contenders:
                    if who.plain or not nothing:
                        yield Cell(dataset, data, protocol, true, assumed, who, **vars(common))


def unfinished(cell: Cell, store: Store) -> Cell:
    """The cell with those seeds that are not in the store."""
    return replace(cell, seeds=tuple(seed for seed in cell.seeds if key_of(cell, seed) not in store))


def run_all(
    cells: Sequence[Cell], n_jobs: int, backend: str, address: str | None
) -> Iterator[tuple[Cell, list[Row], str | None]]:
    """Run cells in processes; yield each as it is finished."""
    from joblib import Parallel, delayed

    tasks = [delayed(attempt)(number, cell) for number, cell in enumerate(cells)]
    with processes(backend, n_jobs, address):
        if backend == "ray":  # joblib cannot take results from Ray as they come: a few cells at a time
            size = 2 * max(1, n_jobs)
            rounds = (tasks[start : start + size] for start in range(0, len(tasks), size))
            results: Iterable[Any] = (one for some in rounds for one in Parallel(n_jobs, batch_size=1)(some))
        else:
            results = Parallel(n_jobs, batch_size=1, return_as="generator_unordered")(tasks)
        for number, rows, error in results:
            yield cells[number], rows, error


def attempt(number: int, cell: Cell) -> tuple[int, list[Row], str | None]:
    """Run a cell; a failure is told, not raised, so that it does not end the others."""
    try:
        return number, run_cell(cell), None
    except Exception as error:
        return number, [], f"{type(error).__name__}: {error}"


@contextmanager
def processes(backend: str, n_jobs: int, address: str | None) -> Iterator[None]:
    """Joblib's backend for the block, with a local cluster where no address is given."""
    from joblib import parallel_config

    if backend == "dask":
        distributed = extra("distributed", "dask")
        local = {"n_workers": n_jobs, "threads_per_worker": 1, "dashboard_address": None}
        with distributed.Client(address) if address else distributed.Client(**local), parallel_config("dask"):
            yield
    elif backend == "ray":
        ray = extra("ray", "ray")
        extra("ray.util.joblib", "ray").register_ray()
        ray.init(address=address, num_cpus=None if address else n_jobs, log_to_driver=False, include_dashboard=False)
        try:
            with parallel_config("ray", n_jobs=n_jobs):
                yield
        finally:
            ray.shutdown()
    else:
        with parallel_config("loky", inner_max_num_threads=1 if n_jobs > 1 else None):
            yield


def extra(module: str, name: str) -> Any:
    """Import what an optional extra brings."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"The backend {name!r} needs its extra: pip install 'expose[{name}]'") from error
