"""One run of a command: what it says, to whom, and how it ends."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from types import TracebackType
from typing import Any, TextIO

import typer

from expose.errors import (
    ExposeWarning,
    FailedRunsWarning,
    InputError,
    InterruptedWarning,
    MissingExtraError,
    ModelFolderError,
    NonFiniteLossError,
)

BUG, REPAIR, REFUSED, INTERRUPTED, NO_READER = 1, 2, 3, 130, 141


class Session:
    """Context in which a command runs.

    Inside, warnings of the package become one line each on stderr; results are shown to people (``say``) or,
    with ``as_json``, to machines (``result``, one JSON object on stdout). Errors leave as one plain line and
    the documented exit code instead of a traceback; ``debug`` lets the traceback through.

    Parameters
    ----------
    as_json : bool
        Print one JSON object on stdout and nothing else there.
    quiet : bool
        Say nothing to people but errors.
    debug : bool
        Show tracebacks, and the warnings of other packages too.
    stdout_is_data : bool
        The command writes its table to stdout, so people read on stderr.
    when_interrupted : str
        What is said after Ctrl-C.

    Examples
    --------
    >>> with Session() as session:
    ...     session.say("3 rows scored")
    3 rows scored
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        debug: bool = False,
        stdout_is_data: bool = False,
        when_interrupted: str = "no file was written.",
    ) -> None:
        if as_json and stdout_is_data:
            raise typer.BadParameter("--json and --out - both want stdout; give --out a file.")
        self.as_json, self.quiet, self.debug = as_json, quiet, debug
        self.stdout_is_data = stdout_is_data
        self.when_interrupted = when_interrupted
        self.interrupted = self.incomplete = False
        self.warned: list[str] = []
        self._seen: set[str] = set()
        self._result: dict[str, Any] = {}
        self._catcher = warnings.catch_warnings()

    @property
    def verbose(self) -> int:
        """How talkative an estimator should be: 0 silent, 1 progress on stderr."""
        return 0 if self.quiet else 1

    def say(self, text: str = "") -> None:
        """Print for people; silent with ``quiet`` and ``as_json``."""
        if not self.quiet and not self.as_json:
            print(text, file=sys.stderr if self.stdout_is_data else sys.stdout, flush=True)

    def result(self, **facts: Any) -> None:
        """Add facts to the JSON object that machines get at the end."""
        self._result.update(facts)

    def __enter__(self) -> Session:
        self._catcher.__enter__()
        warnings.simplefilter("default" if self.debug else "ignore")
        warnings.simplefilter("always", ExposeWarning)
        warnings.showwarning = self._show_warning
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._catcher.__exit__(kind, error, trace)
        failed = error or self._finish()
        if failed is None and self.interrupted:
            raise typer.Exit(INTERRUPTED)
        if failed is None and self.incomplete:
            raise typer.Exit(REPAIR)
        if failed is None or isinstance(failed, typer.Exit | typer.Abort | typer.BadParameter):
            return
        if isinstance(failed, BrokenPipeError):
            _close_stdout()
            raise typer.Exit(NO_READER)
        if self.debug:
            raise failed
        code, message = _verdict(failed)
        if code == INTERRUPTED:
            message = f"interrupted; {self.when_interrupted}"
        _print_line(f"error: {message}")
        if self.as_json:
            self._result = {"error": message, "exit_code": code}
        self._finish()
        raise typer.Exit(code)

    def _finish(self) -> OSError | None:
        """Print the JSON object and flush: a full disk behind stdout is noticed while we can still say so."""
        try:
            if self.as_json:
                print(_to_json({**self._result, "warnings": self.warned, "interrupted": self.interrupted}))
            sys.stdout.flush()
        except OSError as error:
            _close_stdout()
            return error
        return None

    def _show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Print a warning as one line, unless one that differs only in its numbers was printed before."""
        text = " ".join(str(message).split())
        self.interrupted |= issubclass(category, InterruptedWarning)
        self.incomplete |= issubclass(category, FailedRunsWarning)
        pattern = re.sub(r"\d+", "#", text)
        if pattern not in self._seen:
            self._seen.add(pattern)
            self.warned.append(text)
            _print_line(f"warning: {text}")


def _verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and message for people."""
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, ModelFolderError):
        return REFUSED, message
    if isinstance(error, InputError | MissingExtraError | NonFiniteLossError | OSError):
        return REPAIR, message
    if isinstance(error, ValueError):  # most often a parameter that the estimator or scikit-learn refused
        return REPAIR, f"{message} (--debug shows where)"
    if isinstance(error, MemoryError):
        return REPAIR, "not enough memory; try --set batch_size=64, or fewer rows or columns."
    return BUG, f"{type(error).__name__}: {message} (this looks like a bug in expose; --debug shows where)"


def _print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _close_stdout() -> None:
    """Point stdout at nothing, so that the interpreter does not stumble over it once more when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a real file, as under a test runner
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _to_json(facts: dict[str, Any]) -> str:
    """One line of JSON: NumPy numbers as numbers, dates and the like as text, NaN and infinity as null."""
    return json.dumps(_plain(facts), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
