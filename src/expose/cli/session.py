"""One run of a command: what it says, to whom, and how it ends."""

from __future__ import annotations

import json
import re
import sys
import traceback
import warnings
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

import typer

from expose.cli.streams import close
from expose.errors import (
    CountedWarning,
    ExposeWarning,
    FailedRunsWarning,
    InputError,
    InterruptedWarning,
    MissingExtraError,
    ModelFolderError,
    NonFiniteLossError,
    SkippedWarning,
)
from expose.stores import without_secrets

BUG, REPAIR, REFUSED, DRIFTED, INTERRUPTED, NO_READER = 1, 2, 3, 4, 130, 141
# What a terminal would obey rather than show: control characters, marks that turn the direction of writing; and
# surrogates, which stand for the bytes of names that are not UTF-8
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Session:
    """Context in which a command runs.

    Inside, warnings of the package become one line each on stderr; results are shown to people (``say``) or,
    with ``as_json``, to machines (``result``, one JSON object on stdout). Errors leave as one plain line and
    the documented exit code instead of a traceback; ``debug`` shows the traceback before it.

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
    in_batches : bool
        The command takes its data batch by batch, so the counts of a warning about each are added up. Elsewhere the
        same rows may be looked at more than once, and the largest count is that of all.

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
        in_batches: bool = False,
    ) -> None:
        if as_json and stdout_is_data:
            raise typer.BadParameter("--json and --out - both want stdout; give --out a file.")
        if (as_json or stdout_is_data) and sys.__stdout__ is None:
            raise typer.BadParameter("standard output is closed; --json and --out - need it.")
        self.as_json, self.quiet, self.debug = as_json, quiet, debug
        self.stdout_is_data = stdout_is_data
        self.when_interrupted, self.in_batches = when_interrupted, in_batches
        self.interrupted = self.incomplete = False
        self.moved = self.fails_when_moved = False  # the data, since training; and whether the exit code says so
        self.warned: list[str] = []
        self._seen: set[str] = set()
        self._counted: dict[str, CountedWarning] = {}
        self._told: dict[str, int] | None = (
            None  # counts that were told before the end, of a command that runs for long
        )
        self._result: dict[str, Any] = {}
        self._catcher = warnings.catch_warnings()

    @property
    def verbose(self) -> int:
        """How talkative an estimator should be: 0 silent, 1 progress on stderr."""
        return 0 if self.quiet else 1

    def say(self, text: str = "") -> None:
        """Print for people; silent with ``quiet`` and ``as_json``."""
        if not self.quiet and not self.as_json:
            print(visible(without_secrets(text)), file=sys.stderr if self.stdout_is_data else sys.stdout, flush=True)

    def result(self, **facts: Any) -> None:
        """Add facts to the JSON object that machines get at the end."""
        self._result.update(
            {name: without_secrets(value) if isinstance(value, str) else value for name, value in facts.items()}
        )

    def announce(self, **facts: Any) -> None:
        """Tell machines facts at once, as a line of JSON of its own, by a command that runs for long."""
        if self.as_json:
            print(_to_json(facts), flush=True)

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
        self._say_counted()
        failed = error or self._finish()
        if failed is None and self.interrupted:
            raise typer.Exit(INTERRUPTED)
        if failed is None and self.incomplete:
            raise typer.Exit(REPAIR)
        if failed is None and self.moved and self.fails_when_moved:
            raise typer.Exit(DRIFTED)
        if failed is None or isinstance(failed, typer.Exit | typer.Abort | typer.BadParameter):
            return
        if isinstance(failed, BrokenPipeError):
            close(sys.stdout)
            raise typer.Exit(NO_READER)
        if self.debug:
            print(without_secrets("".join(traceback.format_exception(failed))), end="", file=sys.stderr)
        code, message = _verdict(failed)
        message = without_secrets(message)
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
            close(sys.stdout)
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
        """Print a warning as one line, unless one that differs only in its numbers was printed before.

        What is counted waits for the end of the command, when the count is that of all rows.
        """
        self.interrupted |= issubclass(category, InterruptedWarning)
        self.incomplete |= issubclass(category, FailedRunsWarning)
        if isinstance(message, CountedWarning):
            self._counted[message.template] = self._together(message)
            if self._told is not None and message.template not in self._told:
                self._tell_count(message.template)
            return
        text = " ".join(str(message).split())
        pattern = re.sub(r"\d+", "#", text)
        if pattern not in self._seen:
            self._seen.add(pattern)
            self._warn(text)

    def _together(self, message: CountedWarning) -> CountedWarning:
        before = self._counted.get(message.template, message)
        if before is message:
            return message
        return before + message if self.in_batches else max(before, message, key=lambda one: one.count)

    def tell_at_once(self) -> None:
        """From now on tell what is counted when it first comes, too, and what has come since at `tell_counts`."""
        self._told = {}

    def tell_counts(self) -> None:
        """Tell what has been counted since it was told, of a command that runs for long."""
        for template in self._counted:
            self._tell_count(template)

    def _tell_count(self, template: str) -> None:
        warning = self._counted[template]
        if self._told is not None and warning.count > self._told.get(template, 0):
            self._told[template] = warning.count
            _print_line(f"warning: {without_secrets(' '.join(str(warning).split()))}")

    def _say_counted(self) -> None:
        if self._told is not None:
            self.tell_counts()
            return
        for warning in self._counted.values():
            self._warn(" ".join(str(warning).split()))
            if isinstance(warning, SkippedWarning):
                self.result(skipped=warning.examples)
        self._counted.clear()

    def tell(self, text: str) -> None:
        """Warn of what has just happened, as often as it does; also with ``quiet``."""
        self._warn(text)

    def _warn(self, text: str) -> None:
        text = without_secrets(text)
        self.warned.append(text)
        _print_line(f"warning: {text}")


def _verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and message for people."""
    message = without_secrets(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, KeyboardInterrupt | ModelFolderError):
        return (REFUSED, message) if isinstance(error, ModelFolderError) else (INTERRUPTED, "interrupted")
    if isinstance(error, InputError | MissingExtraError | NonFiniteLossError | OSError):
        return REPAIR, message
    if isinstance(error, ValueError):  # most often a parameter that the estimator or scikit-learn refused
        return REPAIR, f"{message} (--debug shows where)"
    if isinstance(error, MemoryError):
        return REPAIR, "not enough memory; try --set batch_size=64, or fewer rows or columns."
    if isinstance(error, RuntimeError) and message.startswith("Symlink loop"):  # so Python does, up to 3.12
        return REPAIR, f"{message}: a symbolic link that leads to itself."
    return BUG, f"{type(error).__name__}: {message} (this looks like a bug in expose; --debug shows where)"


def visible(text: str) -> str:
    r"""Return text in which all that a terminal would obey, or could not show at all, is written out.

    Examples
    --------
    >>> print(visible("\x1b[31mred \u202e caf\udce9"))
    \x1b[31mred \u202e caf\xe9
    """
    return _UNSHOWN.sub(lambda found: _written_out(found[0]), text)


def _written_out(sign: str) -> str:
    byte = ord(sign) - 0xDC00  # of a surrogate that stands for a byte
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(sign)[1:-1]


def _print_line(text: str) -> None:
    with suppress(OSError):  # nobody to tell: the exit code remains
        print(visible(text), file=sys.stderr, flush=True)


def _to_json(facts: dict[str, Any]) -> str:
    """One line of JSON: NumPy numbers as numbers, dates and the like as text, NaN and infinity as null."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(_plain(facts), ensure_ascii=not unicode, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_valid(str(key)): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, bool | int) else _valid(str(value))


def _valid(text: str) -> str:
    """Text without lone surrogates, which many readers of JSON refuse."""
    return re.sub("[\ud800-\udfff]", lambda found: _written_out(found[0]), text)
