"""What every request passes: who may ask, how much may come, an id, a line in the log, and a count."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.requests import ClientDisconnect

from expose.serve.limits import Limits
from expose.serve.metrics import Metrics
from expose.serve.models import Log
from expose.serve.problems import BUG, MEDIA, Problem, too_large

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

GONE: Final = 499  # in the log, of who did not wait for the answer
OPEN: Final = ("/health",)  # what needs no token
_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


class Gate:
    """Middleware of ASGI.

    Parameters
    ----------
    app : application
    limits : Limits
    metrics : Metrics
    log : callable
    token : str or None
        Without one, the host of requests has to be this machine, so that no page of the web can have a browser ask.
    paths : collection of str
        Known ones; others are counted as one.
    """

    def __init__(
        self, app: Application, *, limits: Limits, metrics: Metrics, log: Log, token: str | None, paths: Collection[str]
    ) -> None:
        self.app, self.limits, self.metrics, self.log, self.paths = app, limits, metrics, log, frozenset(paths)
        self._token = None if token is None else hashlib.sha256(token.encode()).digest()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why it may not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        await Passage(self, scope, receive, send).go()

    def check(self, path: str, headers: MutableMapping[bytes, bytes]) -> None:
        """Refuse who has no token, or, where none is needed, whoever is sent by a page of the web.

        Raises
        ------
        Problem
        """
        if self._token is None:
            self._check_host(headers)
            return
        if path in OPEN:
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(hashlib.sha256(given.strip()).digest(), self._token):
            said = "the token is another one" if given else "there is no token in the request"
            raise Problem(
                401, f"{said}; expected the header Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
            )

    def _check_host(self, headers: MutableMapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not is_loopback(host):
            raise Problem(
                421,
                f"the request is for the host {host[:80]!r}, and without a token only those for this "
                "machine are answered: localhost or 127.0.0.1.",
            )
        origin = headers.get(b"origin")
        if origin is not None and not is_loopback(urlsplit(origin.decode("latin-1")).netloc):
            raise Problem(403, "the request comes from a page of another place; no page of the web may ask here.")


class Passage:
    """One request on its way through the gate."""

    def __init__(self, gate: Gate, scope: Message, receive: Receive, send: Send) -> None:
        self.gate, self.scope, self._receive, self._send = gate, scope, receive, send
        self.began, self.received, self.status = time.monotonic(), 0, 0
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of several the first
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _ID.fullmatch(given) else uuid4().hex
        self.facts: dict[str, Any] = {}
        scope.setdefault("state", {})
        scope["state"]["passage"] = self

    async def go(self) -> None:
        """Answer, write a line, count."""
        path, failed = self.scope["path"], None
        try:
            self.gate.check(path, self.headers)
            self._check_length()
            await self.gate.app(self.scope, self.receive, self.send)
        except Problem as problem:
            await self.refuse(problem)
        except ClientDisconnect:
            self.status = self.status or GONE
        except Exception as error:  # a bug: it says nothing of the data, neither here nor there
            failed = error
            await self.refuse(Problem(500, BUG))
        finally:
            self._told(path, failed)

    def _told(self, path: str, failed: Exception | None) -> None:
        from expose.serve.scoring import where

        seconds = time.monotonic() - self.began
        known = path if path in self.gate.paths else "other"
        self.gate.metrics.answered(known, self.scope["method"] if known != "other" else "any", self.status, seconds)
        more = {} if failed is None else {"error": type(failed).__name__, "where": where(failed)}
        self.gate.log(
            "request",
            level="info" if self.status < 500 else "error",
            id=self.id,
            method=self.scope["method"],
            path=known,
            status=self.status,
            ms=round(1e3 * seconds, 2),
            bytes=self.received,
            **self.facts,
            **more,
        )

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status:
            return
        body = problem.body(self.id)
        headers = {"Content-Type": MEDIA, "Content-Length": str(len(body)), **problem.headers}
        if problem.status in (408, 413) or self._is_unread:
            headers["Connection"] = "close"  # what is left of the body is not read
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body if self.scope["method"] != "HEAD" else b""})

    @property
    def _is_unread(self) -> bool:
        length = self.headers.get(b"content-length", b"")
        return b"transfer-encoding" in self.headers or (length.isdigit() and int(length) > self.received)

    def _check_length(self) -> None:
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.gate.limits.body:
            raise self._too_long(int(length))

    def _too_long(self, size: int) -> Problem:
        return too_large(f"the body has {size:,} bytes or more", self.gate.limits.body, "Send it in parts.")

    async def receive(self) -> Message:
        """A piece of the body, as long as they are not too many."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.gate.limits.body:
                raise self._too_long(self.received)
        return message

    async def send(self, message: Message) -> None:
        """A piece of the answer; its headers tell the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode()), *_SAFE]
        await self._send(message)


def is_loopback(host: str) -> bool:
    """Whether a host, perhaps with a port, is this machine.

    >>> [is_loopback(one) for one in ("localhost:80", "127.0.0.1", "[::1]:80", "example.com", "localhost.example.com")]
    [True, True, True, False, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
