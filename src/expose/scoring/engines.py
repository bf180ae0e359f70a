"""Which engines there are, and how one is reached: a cluster by its address, or processes of this machine."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final
from urllib.parse import urlsplit

from expose.errors import InputError, MissingExtraError
from expose.scoring.pieces import Engine

ENGINES: Final = {"ray": "ray", "dask": "distributed", "spark": "pyspark"}  # a file here, an extra; and its package
PATIENCE: Final = 5.0  # seconds until a host that does not answer counts as unreachable


@contextmanager
def opened_engine(name: str, address: str | None = None) -> Iterator[Engine]:
    """Connect to a cluster, or start processes of this machine and stop them at the end.

    Parameters
    ----------
    name : {"ray", "dask", "spark"}
    address : str, optional
        Of the cluster, as its own tools have it; or "local", "local[2]" for two processes of this machine, by default
        one for each of its processors.

    Raises
    ------
    InputError
        For an engine that there is not, an address that it has not, or that nobody answers at.
    MissingExtraError
        When its package is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}; there are {', '.join(ENGINES)}.")
    check_reachable(address)
    try:
        import_module(ENGINES[name])
    except ImportError as error:
        raise MissingExtraError(f"the engine {name} needs {ENGINES[name]}: pip install 'expose[{name}]'") from error
    with import_module(f"expose.scoring.{name}").connected(address) as engine:
        yield engine


def check_reachable(address: str | None) -> None:
    """Refuse a host and port that do not answer, at once: the engines' own clients try for minutes."""
    try:
        place = urlsplit(address if address and "://" in address else f"//{address or ''}")
        host, port = place.hostname, place.port
    except ValueError:  # several hosts, or a form that only the engine knows
        return
    if host is None or port is None:
        return
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError as error:
        raise InputError(
            f"nobody answers at {host}:{port} ({error.strerror or error}); is the cluster of {address} running?"
        ) from error


def local_processes(address: str | None) -> int | None:
    """How many processes of this machine an address means; None if it is that of a cluster.

    >>> local_processes("local[2]"), local_processes("tcp://host:8786")
    (2, None)
    """
    found = re.fullmatch(r"local(?:\[(\*|\d+)\])?", address or "local")
    if found is None:
        return None
    if found[1] and not found[1].strip("0"):
        raise InputError(f"the address {address} means no process at all; give one at least, such as local[2].")
    if found[1] and found[1] != "*":
        return int(found[1])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # Linux alone


def unreachable(engine: str, address: str | None, error: Exception) -> InputError:
    """What to raise when a client could not connect."""
    said = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"no connection to {engine} at {address}: {said}")


def lost(engine: str, error: Exception) -> InputError:
    """What to raise when an engine has given up: workers die as often as they are given a piece."""
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return InputError(
        f"{engine} has given up, since its workers died again and again, perhaps for lack of memory. Give them more, "
        f"or write Parquet in smaller row groups. ({said})"
    )
