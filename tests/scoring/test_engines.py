"""Engines: which there are, and what is said where there is none."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from expose.errors import InputError, MissingExtraError
from expose.scoring import engines
from expose.scoring.engines import check_reachable, local_processes, opened_engine

PACKAGES = {"ray": "ray", "dask": "distributed", "spark": "pyspark"}


@pytest.fixture
def port() -> Iterator[int]:
    """One at which somebody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(InputError, match="'flink'; there are ray, dask, spark"), opened_engine("flink"):
        pass


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'expose\[{name}\]'"), opened_engine(name):
        pass


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ray", "ray://127.0.0.1:1"),
        ("ray", "127.0.0.1:1"),
        ("dask", "tcp://127.0.0.1:1"),
        ("spark", "spark://127.0.0.1:1"),
        ("dask", "tcp://nowhere.invalid:8786"),
    ],
)
def test_a_cluster_that_nobody_answers_for(name: str, address: str) -> None:
    start = time.monotonic()
    with (
        pytest.raises(InputError, match=r"nobody answers at (127.0.0.1:1|nowhere.invalid:8786)"),
        opened_engine(name, address),
    ):
        pass
    assert time.monotonic() - start < engines.PATIENCE + 5


def test_who_listens_is_reached(port: int) -> None:
    for address in (f"tcp://127.0.0.1:{port}", f"127.0.0.1:{port}", f"spark://localhost:{port}"):
        check_reachable(address)
    for address in (None, "local[2]", "auto", "yarn", "spark://one:7077,two:7077", "k8s://https://host:6443"):
        check_reachable(address)  # for the engine to judge


@pytest.mark.parametrize("name", PACKAGES)
def test_an_address_of_no_form(name: str) -> None:
    pytest.importorskip(PACKAGES[name], reason=f"needs {name}")
    if name == "spark" and not shutil.which("java"):
        pytest.skip("needs a Java runtime")
    said = rf"the engine {name} takes .*local\[2\]; got somewhere"
    with pytest.raises(InputError, match=said), opened_engine(name, "somewhere"):
        pass


def test_spark_without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="needs Spark")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(InputError, match="needs a Java runtime"), opened_engine("spark"):
        pass


def test_spark_connect_is_for_frames(port: int) -> None:
    pytest.importorskip("pyspark", reason="needs Spark")
    with pytest.raises(InputError, match="scores frames only"), opened_engine("spark", f"sc://127.0.0.1:{port}"):
        pass


def test_processes_of_this_machine() -> None:
    assert [local_processes(one) for one in ("local[3]", "tcp://a:1", "local[x]")] == [3, None, None]
    assert local_processes(None) == local_processes("local") == local_processes("local[*]") >= 1
    with pytest.raises(InputError, match="no process at all"):
        local_processes("local[0]")  # nobody would come to do the work


def test_a_port_at_which_no_scheduler_listens(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is open, and says nothing; a client of Dask would wait for minutes."""
    dask = pytest.importorskip("expose.scoring.dask")
    pytest.importorskip("distributed", reason="needs Dask")
    monkeypatch.setattr(dask, "ANSWER", 0.5)
    start = time.monotonic()
    with pytest.raises(InputError, match="no connection to Dask"), opened_engine("dask", f"tcp://127.0.0.1:{port}"):
        pass
    assert time.monotonic() - start < 20
