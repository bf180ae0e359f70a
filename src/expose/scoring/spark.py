"""Scoring on Spark: a DataFrame by `score`, Parquet files by the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from expose.errors import InputError
from expose.scoring.engines import local_processes, lost, unreachable
from expose.scoring.pieces import Item, Result
from expose.scoring.work import scoring_with

ATTEMPTS = 4  # of one piece, when workers are lost; what clusters have by default


def score(
    frame: Any,
    model: str | Path,
    *,
    threshold: Any = None,
    id: str | Sequence[str] | None = None,
    device: str = "auto",
) -> Any:
    """Score a ``pyspark.sql.DataFrame``: lazily, another one of the id columns and what the model says.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    model : path
        Of a model folder that every worker can see.
    threshold, id, device
        As of `expose.Scorer`; ``id=frame.columns`` keeps all columns.
    """
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    work = scoring_with(model, threshold=threshold, id=id, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no rows
        schema = work.table(to_arrow_schema(frame.schema).empty_table()).schema

    def scored(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return work(batches)

    return frame.mapInArrow(scored, from_arrow_schema(schema))


@contextmanager
def connected(address: str | None) -> Iterator[Spark]:
    """Connect to a master, or start processes here; a session that this process has already is used, and kept."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        yield Spark(session)
        return
    if (address or "").startswith("sc://"):
        raise InputError(
            f"the engine spark takes the URL of a master, such as spark://host:7077; {address} is Spark Connect, "
            "which scores frames only: expose.scoring.spark.score(frame, 'model/')."
        )
    if local_processes(address) is None and ":" not in (address or "") and address != "yarn":
        raise InputError(f"the engine spark takes the URL of a master, spark://host:7077, or local[2]; got {address}.")
    if not shutil.which("java", path=os.path.join(os.environ.get("JAVA_HOME", ""), "bin")) and not shutil.which("java"):
        raise InputError(
            "the engine spark needs a Java runtime, and there is none here. Install one (on Debian and Ubuntu: apt "
            "install default-jre-headless), or set JAVA_HOME."
        )
    try:
        session = started(address)
    except Exception as error:  # of Java, of its gateway, of Spark
        raise unreachable("Spark", address, error) from error
    try:
        yield Spark(session)
    finally:
        session.stop()


def started(address: str | None) -> Any:
    """A session of a cluster or of processes of this machine."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    processes = local_processes(address)
    configuration = SparkConf().setAppName("expose").set("spark.ui.showConsoleProgress", "false")
    if processes is None:
        return SparkSession(SparkContext(conf=configuration.setMaster(str(address))))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    configuration.setMaster(f"local[{processes},{ATTEMPTS}]")  # without a number, nothing that is lost is repeated
    for name, value in {"ui.enabled": "false", "driver.host": "127.0.0.1", "driver.bindAddress": "127.0.0.1"}.items():
        configuration.set(f"spark.{name}", value)
    # Java tells of its modules and of logging on standard error, whatever is configured
    gateway = launch_gateway(configuration, popen_kwargs={"stderr": subprocess.DEVNULL})
    return SparkSession(SparkContext(conf=configuration, gateway=gateway))


class Spark:
    """Tasks of Spark, a partition for each item; Spark itself repeats those of lost workers."""

    threads = 1

    def __init__(self, session: Any) -> None:
        self.context = session.sparkContext

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in order, see `Engine`. They come all at once, when the last one is there."""
        try:
            yield from self.context.parallelize(items, len(items)).map(function).collect()
        except Exception as error:
            raise lost("Spark", error) from error
