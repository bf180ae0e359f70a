"""Where the processes of a benchmark are: here, or on a Dask or Ray cluster. Each of the two is an extra."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from expose.errors import MissingExtraError

BACKENDS = ("loky", "dask", "ray")


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


def in_rounds(tasks: Sequence[Any], n_jobs: int) -> Iterator[Any]:
    """Run a few tasks at a time, in the same processes: joblib cannot take results from Ray as they come."""
    from joblib import Parallel

    size = 2 * n_jobs
    with Parallel(n_jobs, batch_size=1) as parallel:
        for start in range(0, len(tasks), size):
            yield from parallel(tasks[start : start + size])
