"""One policy for the number of torch's threads, which belongs to the whole process.

Whoever changes it, for a fit, for scoring or for encoding, does so holding one lock, and puts it back: computations of
several threads follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


class Turn:
    """Whose turn it is, and how often that thread has taken it without giving it back."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.depth = 0


TURN = Turn()


@contextmanager
def torch_threads(count: int | None = None) -> Iterator[int]:
    """Let torch compute by so many threads inside the block, None as many as it had; give the number it had."""
    with TURN.lock:
        before = torch.get_num_threads() if TURN.depth else threads_of_process()
        TURN.depth += 1
        torch.set_num_threads(count or before)
        try:
            yield before
        finally:
            torch.set_num_threads(before)
            TURN.depth -= 1


def threads_of_process() -> int:
    """How many threads torch computes by, as a thread finds it that begins now.

    Each thread takes the number over when it first asks, and keeps it: this one may have asked while another thread
    was computing by one thread. So it takes it over anew.
    """
    torch.init_num_threads()
    return torch.get_num_threads()


def side_by_side(act: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What an act makes of each of several things, in as many threads as torch had, each of which computes alone.

    So sums do not depend on the number of threads, and one thread may read while another computes. After a failure
    nothing more is begun.

    Examples
    --------
    >>> side_by_side(lambda number: number**2, range(4))
    [0, 1, 4, 9]
    """
    with torch_threads(1) as threads, ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(act, given))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
