"""The benchmark runner: a grid of data sets, protocols, ratios and contenders, one row per run, resumable."""

from __future__ import annotations

import itertools
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from expose.errors import FailedRunsWarning, InputError
from expose.evaluation.backends import BACKENDS, in_rounds, processes
from expose.evaluation.baselines import BASELINES
from expose.evaluation.contenders import Classical, Contender, brought
from expose.evaluation.datasets import DataSet, load
from expose.evaluation.origin import traced
from expose.evaluation.progress import clock
from expose.evaluation.store import Store
from expose.evaluation.trial import PROTOCOLS, Cell, Row, fingerprint, key_of, run_cell

if TYPE_CHECKING:
    import pyarrow as pa


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
        ``random_state`` and ``contamination``, nested ones too, are set for each run. With "auto" only an
        `AnomalyDetector` estimates its contamination; others keep the one they have.
    protocols : sequence of {"clean", "disjoint", "paper"}
        How training and test set are made, see `expose.evaluation.protocols`.
    true_ratios : sequence of float
        Wanted shares of anomalies in the training set, in [0, 0.5). With the protocol "clean" it is 0.
    assumed_ratios : sequence of float, "true" or "auto"
        What the detectors are told; "true" is the share that the protocol reached. Told that there are none, all
        exposures are blind and nothing is trimmed, so only the plain contenders are run.
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
        Processes; -1 for as many as there are processors, with Ray in the whole cluster. Of a Dask cluster all
        workers are used.
    backend : {"loky", "dask", "ray"}
        Where the processes are; Dask and Ray start a local cluster unless `address` names one.
    address : str, optional
        Of a running cluster, such as "tcp://scheduler:8786" (Dask) or "auto" (Ray). Its machines need the same
        versions and, for sets given by name, the same folder of data sets.
    verbose : int, default=0
        1 shows progress on stderr.

    Returns
    -------
    pyarrow.Table
        One row per run of this grid, columns as in `expose.evaluation.store`. ``.to_pandas()`` makes a frame of it.

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
    >>> from expose.evaluation import bench
    >>> results = bench(["thyroid"], {"forest": IsolationForest(n_estimators=20)}, seeds=[0], true_ratios=[0.02])
    >>> results.num_rows, results["detector"][0].as_py()
    (1, 'forest')
    """
    check(protocols, true_ratios, assumed_ratios, seeds, backend, n_jobs)
    sets = [datasets] if isinstance(datasets, str | DataSet) else list(datasets)
    who = [traced(one) for one in (brought(contenders) if isinstance(contenders, Mapping) else contenders)]
    if not sets or not who:
        raise InputError(f"A benchmark needs data sets and contenders; got {len(sets)} and {len(who)}.")
    ratios = (protocols, [float(share) for share in true_ratios], [as_key(share) for share in assumed_ratios])
    folder = None if data_dir is None else str(data_dir)
    cells = list(grid(sets, who, *ratios, Common(tuple(map(int, seeds)), train_rows, test_rows, folder)))
    wanted = list(dict.fromkeys(key_of(cell, seed) for cell in cells for seed in cell.seeds))
    with Store(None if out is None else Path(out)) as store:
        left = list(unfinished(cells, store))
        check_extras(cell.contender for cell in left)
        failed = []
        with clock(len(left), verbose, there=sum(key in store for key in wanted), wanted=len(wanted)) as report:
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
    n_jobs: int,
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
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {list(BACKENDS)}; got {backend!r}.")
    if n_jobs < 1 and n_jobs != -1:
        raise InputError(f"n_jobs must be 1 or more processes, or -1 for all processors; got {n_jobs!r}.")


def check_extras(contenders: Iterable[Contender]) -> None:
    """Raise MissingExtraError if a baseline cannot be made for lack of its library."""
    for name in dict.fromkeys(one.make.name for one in contenders if isinstance(one.make, Classical)):
        BASELINES[name](0, np.eye(3))


def as_key(share: float | str) -> float | str:
    """One form of a share, so that 0 and 0.0 give the same key."""
    return share if isinstance(share, str) else float(share)


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


def unfinished(cells: Iterable[Cell], store: Store) -> Iterator[Cell]:
    """The cells, each with those seeds that are neither in the store nor in a cell before it; none without seeds."""
    planned: set[str] = set()
    for cell in cells:
        keys = {key_of(cell, seed): seed for seed in cell.seeds}
        seeds = tuple(seed for key, seed in keys.items() if key not in planned and key not in store)
        planned |= keys.keys()
        if seeds:
            yield replace(cell, seeds=seeds)


def run_all(
    cells: Sequence[Cell], n_jobs: int, backend: str, address: str | None
) -> Iterator[tuple[Cell, list[Row], str | None]]:
    """Run cells in processes; yield each as it is finished."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    if not cells:
        return
    tasks = [delayed(attempt)(number, cell) for number, cell in enumerate(cells)]
    with processes(backend, n_jobs, address) as many:
        if backend == "ray":
            results: Iterable[Any] = in_rounds(tasks, many)
        else:
            results = Parallel(many, batch_size=1, return_as="generator_unordered")(tasks)
        try:
            for number, rows, error in results:
                yield cells[number], rows, error
        except BrokenProcessPool as error:
            raise InputError(
                "A process of the benchmark was killed, most often for lack of memory. What was finished is kept; the "
                "same call goes on. Try fewer processes, or fewer rows (train_rows, test_rows)."
            ) from error


def attempt(number: int, cell: Cell) -> tuple[int, list[Row], str | None]:
    """Run a cell; a failure is told, not raised, so that it does not end the others."""
    try:
        with interruptible():
            return number, run_cell(cell), None
    except Exception as error:
        return number, [], f"{type(error).__name__}: {error}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block for good: an `AnomalyDetector` takes it for the end of its training, and goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C never arrives here
        return
    hits = []

    def interrupt(*_: object) -> NoReturn:
        hits.append(1)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if hits:
            raise KeyboardInterrupt
