"""What happens, as lines of JSON on standard error: of requests neither their data nor their tokens."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from expose.stores import without_secrets


class Log:
    """Writes records, one a line.

    Examples
    --------
    >>> import io
    >>> file = io.StringIO()
    >>> Log(file)("model taken over", model="3f2a")
    >>> sorted(json.loads(file.getvalue()))
    ['event', 'level', 'model', 'time']
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file, self._lock = file, threading.Lock()

    def __call__(self, event: str, *, level: str = "info", **more: Any) -> None:
        """Write a record."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write({"time": now, "level": level, "event": event, **more})

    def write(self, record: Mapping[str, Any]) -> None:
        """Write it; where nobody can be told, nothing is."""
        line = json.dumps(record, default=str)
        if ":/" in line:  # else there is no address in it
            line = without_secrets(line)
        with self._lock, suppress(OSError, ValueError):
            print(line, file=self.file or sys.stderr, flush=True)


class OfServer(logging.Handler):
    """What the server has to say, as records; of errors where they happened, as messages may hold data."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        more = {} if record.exc_info is None or record.exc_info[0] is None else {"error": record.exc_info[0].__name__}
        text = record.getMessage().splitlines()[:1]
        self._log("server", level=record.levelname.lower(), message=text[0] if text else "", **more)
