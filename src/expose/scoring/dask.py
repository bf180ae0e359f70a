"""Scoring on Dask: a DataFrame by `score`, Parquet files by the engine."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from expose.errors import InputError
from expose.scoring.engines import local_processes, lost, unreachable
from expose.scoring.pieces import Item, Result
from expose.scoring.work import Scoring, scoring_with

ANSWER = 10  # seconds until a scheduler that says nothing counts as none
PATIENCE = 60  # seconds until a scheduler without any worker counts as one that gets none


def score(
    frame: Any,
    model: str | Path,
    *,
    threshold: Any = None,
    id: str | Sequence[str] | None = None,
    device: str = "auto",
) -> Any:
    """Score a ``dask.dataframe.DataFrame``: lazily, another one of the id columns and what the model says.

    Rows keep their order and their index.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    model : path
        Of a model folder that every worker can see.
    threshold, id, device
        As of `expose.Scorer`; ``id=list(frame.columns)`` keeps all columns.
    """
    from dask.dataframe.dispatch import make_meta

    work = scoring_with(model, threshold=threshold, id=id, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no rows
        meta = scored(make_meta(frame), work)
    return frame.map_partitions(scored, work, meta=meta)


def scored(frame: Any, work: Scoring) -> Any:
    """Score one partition, a frame of pandas."""
    found = work.table(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()
    kept = {name: frame[name].array for name in found.columns if name in frame.columns}  # of their own types
    return found.assign(**kept).set_index(frame.index)


@contextmanager
def connected(address: str | None) -> Iterator[Dask]:
    """Connect to a scheduler, or start processes here."""
    import dask
    from distributed import Client, LocalCluster

    processes = local_processes(address)
    if processes is None and "://" not in (address or ""):
        raise InputError(f"the engine dask takes an address such as tcp://host:8786, or local[2]; got {address}.")
    if processes is None:
        try:
            with ThreadPoolExecutor(1) as apart:  # from a loop of the caller's, a notebook's say
                apart.submit(asyncio.run, greeted(address)).result()
            client = Client(address, timeout=ANSWER)
        except Exception as error:  # of whatever it takes the answers of another server for
            raise unreachable("Dask", address, error) from error
        with client:
            yield Dask(client)
        return
    # Dask has its workers give memory back at once: every array is made of new pages, which costs more than scoring
    with dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}):
        cluster = LocalCluster(
            n_workers=processes, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        )
    with cluster, Client(cluster) as client:
        yield Dask(client)


async def greeted(address: str | None) -> None:
    """Ask a scheduler who it is: a client waits without end where a port is open and says nothing."""
    from distributed import rpc
    from distributed.security import Security

    scheduler = rpc(address, connection_args=Security().get_connection_args("client"))
    async with asyncio.timeout(ANSWER), scheduler:
        await scheduler.identity()


class Dask:
    """Futures of Dask; its scheduler repeats those of lost workers."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.threads = 1

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in order, see `Engine`."""
        from distributed.scheduler import KilledWorker

        waiting = self.client.map(function, items, pure=False)
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
            while waiting:
                yield waiting[0].result()
                del waiting[0]
        except KilledWorker as error:
            raise lost("Dask", error) from error
        except TimeoutError as error:
            raise unreachable("a worker of Dask", self.client.scheduler.address, error) from error
        finally:
            self.client.cancel(waiting)
