"""A server for the application: where it listens, and how it ends."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import pyarrow as pa
import uvicorn
from fastapi import FastAPI

from expose.errors import InputError
from expose.serve.garbage import settle
from expose.serve.log import Log, OfServer

IDLE = 75  # seconds after which a connection without requests is closed


def listening(host: str, port: int, guarded: bool) -> socket.socket:
    """A socket that listens.

    Raises
    ------
    InputError
        When others than this machine could ask, and need no token; or the port is taken.
    """
    if not guarded and not is_own(host):
        raise InputError(
            f"--host {host}: others than this machine could ask for scores, and no token is set. Put one into a file "
            "and name it: --token-file FILE; or into the environment: EXPOSE_TOKEN. Or leave out --host."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio sets it only where it made the socket; without it the body of an answer waits 40 ms for the client
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        said = {errno.EADDRINUSE: "another program does. Choose another --port, or 0: one that is free"}
        what = said.get(error.errno or 0) or (error.strerror or str(error)).partition(" (while")[0]
        raise InputError(f"cannot listen at {host}:{port}: {what}.") from error


def is_own(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_own("127.0.0.1"), is_own("localhost"), is_own("0.0.0.0")
    (True, True, False)
    """
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def address_of(listener: socket.socket) -> str:
    """The address of a socket, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def warm_up() -> None:
    """What else would be done with the first request: with its first list of texts, Arrow imports pandas."""
    pa.array([""], pa.string())


class Server(uvicorn.Server):
    """Serves until it is asked to stop: then it answers the requests that have begun, and ends.

    Parameters
    ----------
    app : FastAPI
    log : Log
    when_ready : callable
    """

    def __init__(self, app: FastAPI, log: Log, when_ready: Callable[[], None]) -> None:
        self.when_ready, self.log, self.service = when_ready, log, app.state.service
        self.asked: int | None = None
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                ws="none",
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=int(self.service.limits.seconds) + 5,
            )
        )
        logger = logging.getLogger("uvicorn")
        logger.handlers, logger.propagate = [OfServer(log)], False
        logger.setLevel(logging.WARNING)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            warm_up()
            settle()
            self.when_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask to stop, a second one does not wait; SIGHUP to look for another model."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted: dict[str, Any] = {"SIGTERM": self._stop, "SIGINT": self._stop, "SIGHUP": self._look}
        before = {
            getattr(signal, name): signal.signal(getattr(signal, name), act)
            for name, act in wanted.items()
            if hasattr(signal, name)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        self.force_exit = self.asked is not None
        self.asked = self.asked or number
        self.should_exit = True

    def _look(self, number: int, frame: Any) -> None:
        self.service.watcher.ask()


def serve(app: FastAPI, listener: socket.socket, log: Log, when_ready: Callable[[], None]) -> int | None:
    """Serve until a signal asks to stop; which it was."""
    server = Server(app, log, when_ready)
    log("started", url=address_of(listener), model=server.service.models.current.name)
    server.run(sockets=[listener])
    log("stopped")
    return server.asked
