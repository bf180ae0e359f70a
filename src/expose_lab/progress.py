"""Progress of a runner on stderr, with the time that is left: a bar on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

EVERY = 15.0  # seconds between two plain lines
Report = Callable[[str, str | None], None]


@contextmanager
def display(tasks: int, verbose: int, *, there: int = 0, wanted: int = 0) -> Iterator[Report]:
    """Give a function that is told of every finished task: what it was, and the error if it failed.

    First it is said how many of the results that are wanted are there already.
    """
    if verbose > 0 and there:
        print(f"{there:,} of {wanted:,} runs are there already", file=sys.stderr, flush=True)
    if verbose <= 0 or tasks == 0:
        yield lambda task, error: None
    elif sys.stderr.isatty():
        with rich_bar(tasks) as report:
            yield report
    else:
        yield Lines(tasks)


class Lines:
    """Plain lines, the failures at once, the others not more often than every few seconds."""

    def __init__(self, tasks: int) -> None:
        self.tasks, self.done = tasks, 0
        self.started = self.said = time.monotonic()

    def __call__(self, task: str, error: str | None) -> None:
        """Count a task."""
        self.done += 1
        now = time.monotonic()
        if error:
            print(f"failed: {task}: {error}", file=sys.stderr, flush=True)
        if now - self.said >= EVERY or self.done == self.tasks:
            self.said = now
            print(self.line(now - self.started, task), file=sys.stderr, flush=True)

    def line(self, seconds: float, task: str) -> str:
        """Where we are after so many seconds.

        >>> Lines(40).line(60.0, "ntl blind on wine")
        'task 0 of 40, 0:01:00 gone, ? left; last: ntl blind on wine'
        """
        gone, left = timedelta(seconds=round(seconds)), "?"
        if self.done:
            left = f"about {timedelta(seconds=round(seconds / self.done * (self.tasks - self.done)))}"
        return f"task {self.done} of {self.tasks}, {gone} gone, {left} left; last: {task}"


@contextmanager
def rich_bar(tasks: int) -> Iterator[Report]:
    """A rich progress bar with the last task beside it."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    last = TextColumn("{task.fields[last]}", markup=False)  # names may hold brackets
    columns = (*Progress.get_default_columns(), last)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        number = bar.add_task("bench", total=tasks, last="")

        def report(task: str, error: str | None) -> None:
            if error:
                bar.console.print(f"failed: {task}: {error}", markup=False, highlight=False)
            bar.update(number, advance=1, last=task)

        yield report
