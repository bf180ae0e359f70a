"""Progress on stderr: a bar on a terminal, plain lines when piped, nothing with ``verbose=0``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

LINES = 10  # plain lines per training


class Report(Protocol):
    """Takes the record of each finished epoch."""

    def __call__(self, record: dict[str, Any]) -> None:
        """Show it."""
        ...


@contextmanager
def progress(epochs: int, verbose: int) -> Iterator[Report]:
    """Give a function that is called after every epoch."""
    if verbose <= 0:
        yield lambda record: None
    elif sys.stderr.isatty():
        with rich_bar(epochs) as report:
            yield report
    else:
        yield lambda record: print_line(record, epochs)


@contextmanager
def rich_bar(epochs: int) -> Iterator[Report]:
    """A rich progress bar with the loss beside it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=epochs, loss="")
        yield lambda record: bar.update(task, completed=record["epoch"], loss=f"loss {record['loss']:.4f}")


def print_line(record: dict[str, Any], epochs: int) -> None:
    """One plain line for every tenth part of the training."""
    if record["epoch"] % max(1, epochs // LINES) == 0 or record["epoch"] == epochs:
        line = f"epoch {record['epoch']}/{epochs}  loss {record['loss']:.4f}  flipped {record['flipped']:.2%}"
        print(line, file=sys.stderr, flush=True)
