"""Who may speak to the page: whoever has its token, from a page of its own, on this machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

SAFE: Final = ("GET", "HEAD")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with "no-referrer" forms would name no origin, and be refused
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NO_TOKEN: Final = (
    "This page is open to whoever has its address, token included. Copy the whole address that 'expose review' printed."
)
ELSEWHERE: Final = "This request came from another page or for another name, and was refused. Open the printed address."


class Guard:
    """ASGI middleware: refuses what lacks the token, names another host, or changes something from another origin.

    Parameters
    ----------
    app : ASGI application
    token : str
    hosts : sequence of str
        Names and ports by which the page may be asked for, such as ``127.0.0.1:8000``.

    Notes
    -----
    The token comes once, in the address; from then on a cookie carries it, which scripts cannot read. Names other than
    ours are refused as somebody may have pointed a name of theirs here (DNS rebinding).
    """

    def __init__(self, app: Any, token: str, hosts: Callable[[], set[str]]) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or answer why not."""
        from starlette.responses import PlainTextResponse, RedirectResponse

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        answer: Any = None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0]
        if headers.get("host", "") not in self._hosts() or self._foreign(scope["method"], headers):
            answer = PlainTextResponse(ELSEWHERE, 403)
        elif given and self._right(given) and scope["method"] in SAFE:
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie(headers), self._token, httponly=True, samesite="lax", path="/")
        elif not self._right(self._kept(headers)):
            answer = PlainTextResponse(NO_TOKEN, 403)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _foreign(self, method: str, headers: dict[str, str]) -> bool:
        """Whether another page asks: what changes anything names its origin, and ours is one of the hosts."""
        site = headers.get("sec-fetch-site", "none")
        if method in SAFE:
            return site == "cross-site" and headers.get("sec-fetch-mode") != "navigate"
        origin = headers.get("origin", "")
        return site not in ("none", "same-origin") or urlsplit(origin).netloc not in self._hosts()

    def _right(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._token.encode())

    def _kept(self, headers: dict[str, str]) -> str:
        """The token that a cookie or a header of HTTP carries."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if bearer:
            return bearer
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except Exception:  # of another page on this machine, written otherwise
            return ""
        found = jar.get(self._cookie(headers))
        return found.value if found else ""

    def _cookie(self, headers: dict[str, str]) -> str:
        """The name of the cookie: pages on other ports of this machine have others."""
        return f"expose-review-{headers.get('host', '').rpartition(':')[2]}"


def _with_headers(send: Any) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = {name.decode("latin-1").lower() for name, _ in message.get("headers", ())}
            further = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items() if k.lower() not in given]
            message = {**message, "headers": [*message.get("headers", ()), *further]}
        await send(message)

    return sending
