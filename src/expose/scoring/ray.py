"""Scoring on Ray: a Dataset of Ray Data by `score`, Parquet files by the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from expose.errors import InputError
from expose.scoring.engines import local_processes, lost, unreachable
from expose.scoring.pieces import AT_ONCE, Item, Result
from expose.scoring.work import Scoring, scoring_with

ATTEMPTS = 3  # of one piece, when workers are lost


def score(
    dataset: Any,
    model: str | Path,
    *,
    threshold: Any = None,
    id: str | Sequence[str] | None = None,
    device: str = "auto",
) -> Any:
    """Score a ``ray.data.Dataset``: lazily, another one of the id columns and what the model says.

    Parameters
    ----------
    dataset : ray.data.Dataset
        Its blocks may come in any order, unless ``DataContext.get_current().execution_options.preserve_order`` is set.
    model : path
        Of a model folder that every worker can see.
    threshold, id, device
        As of `expose.Scorer`; ``id=dataset.columns()`` keeps all columns.
    """
    work = scoring_with(model, threshold=threshold, id=id, device=device)
    return dataset.map_batches(scored, fn_args=(work,), batch_format="pyarrow", batch_size=AT_ONCE)


def scored(table: pa.Table, work: Scoring) -> pa.Table:
    """Score one block."""
    return work.table(table)


@contextmanager
def connected(address: str | None) -> Iterator[Ray]:
    """Connect to a cluster, or start processes here; a connection that this process has already is used, and kept."""
    import ray

    processes = local_processes(address)
    if ray.is_initialized():
        yield Ray()
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if processes is not None:  # pieces are read by workers, so the object store holds next to nothing
        quiet |= {"num_cpus": processes, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    elif address != "auto" and ":" not in (address or ""):
        raise InputError(
            f"the engine ray takes an address such as ray://host:10001, auto on a machine of the cluster, or local[2]; "
            f"got {address}."
        )
    try:
        ray.init("local" if processes is not None else address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, ImportError) as error:
        raise unreachable("Ray", address, error) from error
    try:
        yield Ray()
    finally:
        ray.shutdown()


class Ray:
    """Tasks of Ray, one processor each; Ray itself repeats those of lost workers."""

    threads = 1

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in order, see `Engine`."""
        import ray

        # What is left at an error is not cancelled: where a task ends in that moment, Ray aborts this process (as in
        # ray-project/ray#54798). Jobs end by themselves when another one has failed, or their folder is gone.
        task, sent = ray.remote(num_cpus=1, max_retries=ATTEMPTS)(called), ray.put(function)
        waiting = [task.remote(sent, item) for item in items]
        try:
            while waiting:
                yield ray.get(waiting[0])
                del waiting[0]
        except (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
        ) as error:
            raise lost("Ray", error) from error


def called(function: Callable[[Item], Result], item: Item) -> Result:
    """Call a function: what Ray runs."""
    return function(item)
