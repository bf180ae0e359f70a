"""Clients that ask a service on this machine over and over: prebuilt requests on kept connections, each answer timed.

They do as little as they can for each request, so that the service is the bottleneck and not the one who asks; how much
that is, is measured against a server that does nothing (`expose_lab.plain_service.Nothing`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

END = b"\r\n\r\n"


class Reply(NamedTuple):
    """What came back: the status, the headers in lower case, and the body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        r"""The value of a header; empty where there is none.

        >>> Reply(200, b"http/1.1 200 ok\r\nx-model: 3f2a", b"").header("x-model")
        '3f2a'
        """
        _, found, after = self.head.partition(f"\r\n{name}:".encode())
        return after.partition(b"\r\n")[0].strip().decode("latin-1") if found else ""


class Client(Protocol):
    """Who asks."""

    def following(self) -> bytes | None:
        """The next request; None at the end. After a lost connection it is asked again."""
        ...

    def answered(self, reply: Reply, seconds: float) -> None:
        """Is told what was answered, and how long that took."""
        ...


def request(media: str, body: bytes, path: str = "/score", accept: str = "*/*") -> bytes:
    """A request for scores, as bytes.

    >>> request("application/json", b"[]").splitlines()[0]
    b'POST /score HTTP/1.1'
    """
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Accept: {accept}",
        f"Content-Type: {media}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + END + body


class Connection(asyncio.Protocol):
    """A kept connection with one request on its way at a time.

    Attributes
    ----------
    done : future
        Whether the client has no further request, when the connection is closed in order.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._came = bytearray()
        self._head, self._start, self._end = b"", 0, -1  # of the reply: headers, and where its body lies
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """A piece of a reply; when it is whole, the next request."""
        self._came += data
        if self._end < 0 and (end := self._came.find(END)) >= 0:
            self._head, self._start = bytes(self._came[:end]).lower(), end + len(END)
            self._end = self._start + length_of(self._head)
        if 0 <= self._end <= len(self._came):
            seconds = time.perf_counter() - self._sent
            body = bytes(self._came[self._start : self._end])
            del self._came[: self._end]
            self._end = -1
            self.client.answered(Reply(int(self._head[9:12]), self._head, body), seconds)
            if b"\r\nconnection: close" in self._head:
                self._close(False)
            else:
                self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Say so."""
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the connection was lost: {error or 'closed'}"))

    def _next(self) -> None:
        data = self.client.following()
        if data is None:
            self._close(True)
            return
        self._sent = time.perf_counter()
        self._transport.write(data)

    def _close(self, is_last: bool) -> None:
        self.done.set_result(is_last)
        self._transport.close()


def length_of(head: bytes) -> int:
    r"""Bytes of the body, by the headers in lower case.

    >>> length_of(b"http/1.1 200 ok\r\ncontent-length: 12")
    12
    """
    before, found, after = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError(f"a message without its length: {before[:200]!r}")
    return int(after.partition(b"\r\n")[0])


async def keep_asking(port: int, client: Client, patience: float | None = None) -> None:
    """Let a client ask until it has nothing more to ask, on connections one after another.

    Where one is lost, or nobody listens, it waits for `patience` seconds and asks again; without patience it fails.
    """
    loop, is_last = asyncio.get_running_loop(), False
    while not is_last:
        try:
            _, connection = await loop.create_connection(lambda: Connection(client), "127.0.0.1", port)
            is_last = await connection.done
        except OSError:
            if patience is None:
                raise
            await asyncio.sleep(patience)


@dataclass
class Load:
    """What clients met, all together.

    Attributes
    ----------
    latencies : list of float
        Seconds from a request to its whole answer.
    statuses : dict
        How many answers had each status.
    seconds : float
        From the first request to the last answer.
    """

    requests: Sequence[bytes]
    ends: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    place: int = 0

    def following(self) -> bytes | None:
        """The next of them, which go round."""
        if time.perf_counter() > self.ends:
            return None
        self.place += 1
        return self.requests[self.place % len(self.requests)]

    def answered(self, reply: Reply, seconds: float) -> None:
        """Note it."""
        self.latencies.append(seconds)
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """In which this share is answered."""
        return 1e3 * float(np.quantile(self.latencies, share))


async def ask(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients ask for some seconds, each again as soon as it is answered."""
    began = time.perf_counter()
    load = Load(requests, began + seconds)
    await asyncio.gather(*(keep_asking(port, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load
