"""Services as processes of this machine: started on a free port, watched, and always stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PATIENCE = 120.0  # seconds until a service has to listen
STOP = 30.0  # and to end


class Usage(NamedTuple):
    """What a process has taken: memory that is resident, open files, threads, and seconds of processors so far."""

    mib: float
    files: int
    threads: int
    seconds: float


class Service:
    """A process that serves.

    Parameters
    ----------
    words : sequence of str
        A module of Python, and its arguments. The first line that it prints is its port, or JSON with its "url".
    log : Path
        Where its standard error goes.
        In its folder lie the temporary files of the process, too.
    core : int, optional
        The processor on which it runs.
    """

    def __init__(self, words: Sequence[str], log: Path, core: int | None = None) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(log.parent)},
            )
        pinned(core, self.process.pid)
        self.port = self._port(log)

    def _port(self, log: Path) -> int:
        assert self.process.stdout is not None
        late = threading.Timer(PATIENCE, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if not line:
            self.stop()
            raise RuntimeError(f"the service did not start: {log.read_text(errors='replace')[-2_000:]}")
        return int(line) if line.strip().isdigit() else int(json.loads(line)["url"].rpartition(":")[2])

    @property
    def usage(self) -> Usage:
        """What it has taken, as Linux tells."""
        own = Path(f"/proc/{self.process.pid}")
        facts = dict(line.split(":", 1) for line in (own / "status").read_text().splitlines())
        times = (own / "stat").read_text().rpartition(")")[2].split()
        seconds = sum(map(int, times[11:13])) / os.sysconf("SC_CLK_TCK")
        return Usage(
            int(facts["VmRSS"].split()[0]) / 1024, len([*(own / "fd").iterdir()]), int(facts["Threads"]), seconds
        )

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP)
        self._close()

    def stop(self) -> None:
        """Ask it to end; where it does not, end it."""
        self.process.terminate()
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP)
        self._close()

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def serving(words: Sequence[str], log: Path, core: int | None = None) -> Iterator[Service]:
    """A service for the time of a block."""
    service = Service(words, log, core)
    try:
        yield service
    finally:
        service.stop()


def pinned(core: int | None, process: int = 0) -> bool:
    """Let a process, by default this one, run on one processor only; whether there is one of that number to say so."""
    if core is None or not hasattr(os, "sched_setaffinity") or core >= (os.cpu_count() or 1):
        return False
    os.sched_setaffinity(process, {core})
    return True


def exposed(model: Path, *options: str, port: int = 0) -> list[str]:
    """The words of ``expose serve`` for a model folder."""
    return ["expose", "serve", str(model), "--port", str(port), "--json", *options]
