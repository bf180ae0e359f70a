"""Progress of a benchmark on stderr, with the time that is left: a bar on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

EVERY = 15.0  # seconds between two plain lines
Report = Callable[[str, str | None], None]


@contextmanager
def clock(cells: int, verbose: int, *, there: int = 0, wanted: int = 0) -> Iterator[Report]:
    """Give a function that is told of every finished cell: what it was, and the error if it failed.

    First it is said how many of the runs that are wanted are there already.
    """
    if verbose > 0 and there:
        print(f"{there:,} of {wanted:,} runs are there already", file=sys.stderr, flush=True)
    if verbose <= 0 or cells == 0:
        yield lambda cell, error: None
    elif sys.stderr.isatty():
        with rich_bar(cells) as report:
            yield report
    else:
        yield Lines(cells)


class Lines:
    """Plain lines, the failures at once, the others not more often than every few seconds."""

    def __init__(self, cells: int) -> None:
        self.cells, self.done = cells, 0
        self.started = self.said = time.monotonic()

    def __call__(self, cell: str, error: str | None) -> None:
        """Count a cell."""
        self.done += 1
        now = time.monotonic()
        if error:
            print(f"failed: {cell}: {error}", file=sys.stderr, flush=True)
        if now - self.said >= EVERY or self.done == self.cells:
            self.said = now
            print(self.line(now - self.started, cell), file=sys.stderr, flush=True)

    def line(self, seconds: float, cell: str) -> str:
        """Where we are after so many seconds.

        >>> Lines(40).line(60.0, "ntl blind on wine")
        'cell 0 of 40, 0:01:00 gone, ? left; last: ntl blind on wine'
        """
        left = "?" if self.done == 0 else f"about {span(seconds / self.done * (self.cells - self.done))}"
        return f"cell {self.done} of {self.cells}, {span(seconds)} gone, {left} left; last: {cell}"


def span(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> span(3725.4)
    '1:02:05'
    """
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def rich_bar(cells: int) -> Iterator[Report]:
    """A rich progress bar with the last cell beside it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("bench"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    last = TextColumn("{task.fields[cell]}", markup=False)  # names may hold brackets
    with Progress(*columns, last, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("bench", total=cells, cell="")

        def report(cell: str, error: str | None) -> None:
            if error:
                bar.console.print(f"failed: {cell}: {error}", markup=False, highlight=False)
            bar.update(task, advance=1, cell=cell)

        yield report
