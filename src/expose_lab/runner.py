"""The runner of `bench` and of every study: tasks, in processes if wanted, each written as soon as it is done.

A task knows the keys of its rows before it is run, so what a file holds already is not run again.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from expose.errors import FailedRunsWarning, InputError, MissingExtraError
from expose_lab.progress import display
from expose_lab.store import Row, Store

if TYPE_CHECKING:
    import pyarrow as pa

BACKENDS = ("loky", "dask", "ray")


class Task(Protocol):
    """A piece of work. It travels to other processes; ``str`` says what it is."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the rows that come of it, each of one result."""
        ...

    def only(self, keys: Collection[str]) -> Any:
        """The part of it that gives the rows of these keys."""
        ...

    def check(self) -> None:
        """Raise MissingExtraError for what it needs and is not installed."""
        ...

    def run(self) -> list[Row]:
        """Do it."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)


def run(
    tasks: Iterable[Task],
    store: Store,
    *,
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    verbose: int = 0,
) -> pa.Table:
    """Run what is not in the store yet, and return the rows of all tasks that there are."""
    check_place(backend, n_jobs)
    tasks = list(tasks)
    wanted = list(dict.fromkeys(key for task in tasks for key in task.keys))
    left = list(unfinished(tasks, store))
    for task in left:
        task.check()
    failed = []
    with display(len(left), verbose, there=sum(key in store for key in wanted), wanted=len(wanted)) as report:
        for task, rows, error in run_all(left, n_jobs, backend, address):
            store.add(rows)
            if error:
                failed.append(f"{task}: {error}")
            report(str(task), error)
    if failed:
        text = "; ".join(failed[:5]) + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
        warnings.warn(f"{len(failed)} of {len(left)} tasks failed. {text}", FailedRunsWarning, stacklevel=3)
    return store.table(wanted)


def check_place(backend: str, n_jobs: int) -> None:
    """Raise InputError for a place where nothing can be run."""
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {list(BACKENDS)}; got {backend!r}.")
    if n_jobs < 1 and n_jobs != -1:
        raise InputError(f"n_jobs must be 1 or more processes, or -1 for all processors; got {n_jobs!r}.")


def unfinished(tasks: Iterable[AnyTask], store: Store) -> Iterator[AnyTask]:
    """The tasks, each with those keys that are neither in the store nor in a task before it; none without keys."""
    planned: set[str] = set()
    for task in tasks:
        keys = {key for key in task.keys if key not in planned and key not in store}
        planned |= keys
        if keys:
            yield task.only(keys)


def run_all(
    tasks: Sequence[Task], n_jobs: int, backend: str, address: str | None
) -> Iterator[tuple[Task, list[Row], str | None]]:
    """Run tasks in processes; yield each as it is finished."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    if not tasks:
        return
    jobs = [delayed(attempt)(number, task) for number, task in enumerate(tasks)]
    with processes(backend, n_jobs, address) as many:
        if backend == "ray":
            results: Iterable[Any] = in_rounds(jobs, many)
        else:
            results = Parallel(many, batch_size=1, return_as="generator_unordered")(jobs)
        try:
            for number, rows, error in results:
                yield tasks[number], rows, error
        except BrokenProcessPool as error:
            raise InputError(
                "A process of the benchmark was killed, most often for lack of memory. What was finished is kept; the "
                "same call goes on. Try fewer processes, or fewer rows (train_rows, test_rows)."
            ) from error


def attempt(number: int, task: Task) -> tuple[int, list[Row], str | None]:
    """Run a task; a failure is told, not raised, so that it does not end the others."""
    try:
        with interruptible():
            return number, task.run(), None
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


# ------------------------------------------------------------------------------------------------ where processes are


@contextmanager
def processes(backend: str, n_jobs: int, address: str | None) -> Iterator[int]:
    """Joblib's backend for the block, with a local cluster where no address is given; gives the number of processes."""
    from joblib import cpu_count, parallel_config

    many = cpu_count() if n_jobs == -1 else n_jobs
    if backend == "dask":
        distributed = extra("distributed", "dask")
        local = {"n_workers": many, "threads_per_worker": 1, "dashboard_address": None}
        with distributed.Client(address) if address else distributed.Client(**local), parallel_config("dask"):
            yield many
    elif backend == "ray":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
        ray = extra("ray", "ray")
        extra("ray.util.joblib", "ray").register_ray()
        ray.init(address=address, num_cpus=None if address else many, log_to_driver=False, include_dashboard=False)
        try:
            if address and n_jobs == -1:
                many = int(ray.cluster_resources()["CPU"])
            with parallel_config("ray", n_jobs=many):
                yield many
        finally:
            ray.shutdown()
    else:
        with parallel_config("loky", inner_max_num_threads=1 if many > 1 else None), warnings.catch_warnings():
            # joblib replaces a process that has grown by a large set; nothing is lost
            warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
            yield many


def extra(module: str, name: str) -> Any:
    """Import what an optional extra brings."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"The backend {name!r} needs its extra: pip install 'expose[{name}]'") from error


def in_rounds(jobs: Sequence[Any], n_jobs: int) -> Iterator[Any]:
    """Run a few jobs at a time, in the same processes: joblib cannot take results from Ray as they come."""
    from joblib import Parallel

    size = 2 * n_jobs
    with Parallel(n_jobs, batch_size=1) as parallel:
        for start in range(0, len(jobs), size):
            yield from parallel(jobs[start : start + size])
