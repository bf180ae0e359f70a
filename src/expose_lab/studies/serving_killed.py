"""``kill -9`` of ``expose serve`` while it is asked, and its start again: what is wrong, and what is lost.

Clients ask for one row each, and ask again where the connection breaks or nobody listens, as a client must. The process
is killed several times and started again at the same port. Every answer is compared with the score of `Scorer`, and
every request has to be answered in the end, or the study fails.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expose import AnomalyDetector, Scorer
from expose_lab.bodies import Samples, rows_of
from expose_lab.http_load import Reply, keep_asking
from expose_lab.pages import Page, count
from expose_lab.services import PATIENCE, Service, exposed
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.serving_endurance import ONE, Asked, is_right, name_of, requests_of

ENOUGH = 5  # answers of each client between two kills
PAUSE = 0.05  # seconds until a client asks again


class Retrying:
    """A client with requests of its own, each asked until it is answered."""

    def __init__(self, requests: list[Asked], expected: dict[str, list[float]]) -> None:
        self.left, self.expected = requests, expected
        self.sent = self.answers = self.wrong = 0
        self.longest = 0.0
        self.going = True
        self._first = 0.0

    def following(self) -> bytes | None:
        """That which has no answer yet; when it was answered the next one, as long as it goes on."""
        if not self.going and not self._first:
            return None
        self._first = self._first or time.perf_counter()
        self.sent += 1
        return self.left[self.answers % len(self.left)].data

    def answered(self, reply: Reply, seconds: float) -> None:
        """Check it."""
        self.wrong += not is_right(self.left[self.answers % len(self.left)], reply, self.expected)
        self.answers += 1
        self.longest, self._first = max(self.longest, time.perf_counter() - self._first), 0.0


def cells(dataset: str, kills: int, clients: int, seconds: float) -> Iterator[Row]:
    """One run."""
    yield {"dataset": dataset, "kills": kills, "clients": clients, "seconds": seconds}


def measure(cell: Row, data: Path) -> Row:
    """Ask, kill, and start again."""
    own = rows_of(cell["dataset"], data)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        AnomalyDetector(random_state=0, device="cpu").fit(own.table(slice(None))).save(model)
        clients = clients_of(cell["clients"], own, model)
        starts = asyncio.run(go(clients, model, Path(folder) / "log", cell["kills"], cell["seconds"]))
        return {
            "answers": sum(one.answers for one in clients),
            "repeated": sum(one.sent - one.answers for one in clients),
            "wrong": sum(one.wrong for one in clients),
            "longest_seconds": max(one.longest for one in clients),
            "start_seconds": max(starts),
            "left_behind": len([*Path(folder).glob("expose-serve-*")]),
        }


def clients_of(number: int, own: Samples, model: Path) -> list[Retrying]:
    """Clients that ask for rows in turn, each beginning with another."""
    expected = {name_of(model): Scorer(model).scores(own.table(slice(None, ONE))).tolist()}
    usual, _ = requests_of(own)
    return [Retrying(usual[31 * place % ONE :], expected) for place in range(number)]


async def go(clients: list[Retrying], model: Path, log: Path, kills: int, seconds: float) -> list[float]:
    """Let them ask while the service is killed; the seconds of each start."""
    words, starts = exposed(model, port=free_port()), list[float]()
    service = await started(words, log, starts)
    asking = [asyncio.create_task(keep_asking(service.port, one, PAUSE)) for one in clients]
    try:
        for _ in range(kills):
            await some_answers(clients, seconds)
            await asyncio.to_thread(service.kill)
            service = await started(words, log, starts)
        await some_answers(clients, seconds)
        for one in clients:
            one.going = False
        await asyncio.wait_for(asyncio.gather(*asking), 60)
    finally:
        await asyncio.to_thread(service.stop)
    return starts


async def some_answers(clients: list[Retrying], seconds: float) -> None:
    """Wait for some seconds, and until every client was answered several times."""
    wanted = [one.answers + ENOUGH for one in clients]
    await asyncio.sleep(seconds)
    async with asyncio.timeout(PATIENCE):
        while any(one.answers < least for one, least in zip(clients, wanted, strict=True)):
            await asyncio.sleep(PAUSE)


async def started(words: list[str], log: Path, starts: list[float]) -> Service:
    """A service that listens; how long that took is added."""
    began = time.perf_counter()
    service = await asyncio.to_thread(Service, words, log)
    starts.append(time.perf_counter() - began)
    return service


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


def context(page: Page) -> dict[str, Any]:
    """What came of it."""
    found = page.rows("serving_killed")
    return {**found[-1], "times": count(found[-1]["kills"], "time"), "day": found.finished}


STUDY = Study(
    "serving_killed",
    "answers of the service while it is killed and started again",
    cells=cells,
    measure=measure,
    options={"dataset": "thyroid", "kills": 10, "clients": 16, "seconds": 3.0},
    context=context,
    apart=True,
)
