"""What a request is refused with: problem details, as RFC 9457 has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

MEDIA: Final = "application/problem+json"
BUG: Final = "this is a bug in expose; the log of the service says where."


class Problem(Exception):  # noqa: N818 - as the standard calls it
    """A request cannot be answered; the message says what was expected, what came and what can be done."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def body(self, request_id: str) -> bytes:
        """The answer as JSON."""
        said = {"title": title_of(self.status), "status": self.status, "detail": self.detail, "request": request_id}
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "backslashreplace")


def title_of(status: int) -> str:
    """What a status is called.

    >>> title_of(413)
    'Content Too Large'
    """
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(status) or HTTPStatus(status).phrase


def too_large(what: str, most: float, way: str) -> Problem:
    """More came than a limit allows."""
    return Problem(413, f"{what}; at most {most:,} are taken at once. {way}")


SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "required": ["title", "status", "detail", "request"],
    "properties": {
        "title": {"type": "string", "description": "What the status is called."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was expected, what came, and what can be done."},
        "request": {"type": "string", "description": "The id of the request, as in the log."},
    },
}
