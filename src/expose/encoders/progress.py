"""How far a long encoding is, on stderr."""

from __future__ import annotations

import sys
import time
from threading import Lock
from typing import Final

SILENCE: Final = 2.0  # seconds before the first word: what takes less needs none
LINES: Final = 10  # where they cannot be written over each other


class Watch:
    """Counts what is encoded, and tells how many a second.

    Parameters
    ----------
    total : int
    verbose : int
        0 says nothing.
    noun : str
        What is counted, in the plural.
    verb : str
        What becomes of it.
    """

    def __init__(self, total: int, verbose: int, noun: str, verb: str = "encoded") -> None:
        self.total = total
        self.verbose = verbose
        self.what = f"{noun} {verb}"
        self.done = 0
        self.said = 0
        self.started = time.monotonic()
        self.lock = Lock()

    def __call__(self, count: int) -> None:
        """So many more are done."""
        with self.lock:
            self.done += count
            seconds = time.monotonic() - self.started
            step = 1 if sys.stderr.isatty() else -(-self.total // LINES)
            due = self.done - self.said >= step or self.done == self.total
            if self.verbose > 0 and seconds > SILENCE and due:
                self.said = self.done
                self.say(f"{self.what}  {self.done:,}/{self.total:,}  {self.done / seconds:.0f} a second")

    def say(self, line: str) -> None:
        """Say it in a line of its own, or, on a terminal, in place of what was said before."""
        over = sys.stderr.isatty()
        end = "\n" if not over or self.done == self.total else ""
        print(f"\r{line}  " if over else line, end=end, file=sys.stderr, flush=True)
