"""Standard input, output and error of a process: closed, full, without a reader, or unable to show a letter."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

BUG, REPAIR, NO_READER = 1, 2, 141


def prepare() -> None:
    """Make the three streams safe to use: before anything is opened, and before anything is printed."""
    _open_closed()
    # Text that a terminal has no letters for is written out (\xe9) rather than ending the command
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def ended(error: SystemExit | OSError) -> Any:
    """The exit code of a command that left so; whether all that was printed is out is known only now."""
    code = _code(error)
    if isinstance(error, OSError) and code == REPAIR:
        _say(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as unsaid:
            if not code:
                code = NO_READER if isinstance(unsaid, BrokenPipeError) else REPAIR
                _say(unsaid)
            close(stream)
    return code


def _code(error: SystemExit | OSError) -> Any:
    # typer ends with 1 where nobody reads its help any more, and for a shell that it does not know
    behind = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(behind, BrokenPipeError):
        return NO_READER
    if isinstance(error, OSError):
        return REPAIR
    is_bug = behind is not None and behind.__context__ is not None  # that which a `Session` turned into an exit code
    return REPAIR if error.code == BUG and not is_bug else error.code


def close(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter does not stumble over it once more when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # not a real file, as under a test runner
        if stream is sys.stdout:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _open_closed() -> None:
    """Open what was closed on the null device: else the next file opened takes its number, and is printed into."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _say(error: OSError) -> None:
    """Print an error of the system in one line, if there is anybody to read it."""
    try:
        print(f"error: {error.strerror or error}", file=sys.stderr, flush=True)
    except OSError:
        close(sys.stderr)
