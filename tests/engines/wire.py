"""Servers on free ports, and a wire to one that counts what goes over it and can be cut."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def served(command: Sequence[str], port: int, seconds: float = 30, **environment: str) -> Iterator[None]:
    """A server for as long as it is needed; given back when it listens."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + seconds
        while not _listens(port):
            assert (process.poll(), time.monotonic() < end) == (None, True), f"{command[0]} did not come up"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((HOST, port)) == 0


class Wire:
    """A port behind which another one lies.

    Attributes
    ----------
    passed : int
        Bytes that went over it, either way.
    left : int or None
        Bytes until it breaks; None if it does not.
    """

    def __init__(self, port: int) -> None:
        self.to, self.passed, self.left = port, 0, None
        self.pairs: list[socket.socket] = []
        self.listener = socket.create_server((HOST, 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, n_bytes: int) -> None:
        """Break it for good, that is until `mend`, when so many more bytes have passed."""
        self.left = n_bytes

    def mend(self) -> None:
        self.left = None

    @property
    def is_cut(self) -> bool:
        return self.left is not None and self.left <= 0

    def _accept(self) -> None:
        while True:
            near, _ = self.listener.accept()
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection((HOST, self.to))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(2**16):
                self.passed += len(piece)
                if self.left is not None:
                    self.left -= len(piece)
                if self.is_cut:
                    break
                target.sendall(piece)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
