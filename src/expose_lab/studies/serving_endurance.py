"""Memory of ``expose serve`` over a million requests, with wrong ones, broken connections and changes of the model.

Nearly all requests are of one row, as JSON. Some are other forms, some cannot be answered, some connections are given
up before the answer; and the model in the folder is changed for another one, and back, again and again. Every answer is
compared with the score that `Scorer` gives for that row by the model that the answer names. The memory of the process,
its open files and threads are noted every so many answers; the slope is fitted to what follows the first tenth.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector, Scorer
from expose_lab.bodies import ARROW, JSON, Samples, rows_of, scores
from expose_lab.http_load import Reply, keep_asking, request
from expose_lab.pages import Page, Rows, count
from expose_lab.services import Service, exposed, serving
from expose_lab.store import Row
from expose_lab.studies.base import Study

CSV: Final = "text/csv"
ONE, SEVERAL, ROUND = 500, 20, 100  # rows that go round, rows of a longer request, requests of which a few are odd
BLOCKS: Final = 12  # of notes, whose means a line is fitted to
T: Final = 2.228  # of Student with ten degrees of freedom, 95 %
SHORT: Final = 0.9  # of all requests, after the first tenth


class Asked(NamedTuple):
    """A request, what status is expected, and of which rows it wants the scores."""

    data: bytes
    status: int = 200
    media: str = JSON
    places: tuple[int, ...] = ()


def requests_of(own: Samples) -> tuple[list[Asked], list[Asked]]:
    """Usual ones, and odd ones."""
    usual = [Asked(request(JSON, own.body(JSON, [place])), places=(place,)) for place in range(ONE)]
    some = tuple(range(SEVERAL))
    lines = "\n".join([",".join(own.names), *(",".join(map(repr, row)) for row in own.values[:SEVERAL].tolist())])
    wide = json.dumps([dict(zip(own.names, own.values[0].tolist(), strict=True)) | {"another": "column"}]).encode()
    odd = [
        Asked(request(ARROW, own.body(ARROW, [7]), accept=ARROW), media=ARROW, places=(7,)),
        Asked(request(JSON, own.body(JSON, list(some))), places=some),
        Asked(request(CSV, lines.encode()), places=some),
        Asked(request(JSON, wide), places=(0,)),
        Asked(request(JSON, b"[{"), 422),
        Asked(request(JSON, b'[{"unknown": 1}]'), 422),
        Asked(request("image/png", b"\x89PNG"), 415),
        Asked(request(JSON, b"[]", "/nowhere"), 404),
    ]
    return usual, odd


@dataclass
class Endurance:
    """What all clients share: how far they are, and what was wrong.

    Attributes
    ----------
    expected : dict
        Scores of each row by each model's name.
    """

    own: Samples
    service: Service
    expected: dict[str, list[float]]
    most: int
    every: int
    ends: float
    began: float = field(default_factory=time.perf_counter)
    answers: int = 0
    asked: int = 0
    wrong: int = 0
    refused: int = 0
    given_up: int = 0
    swaps: int = 0
    models: set[str] = field(default_factory=set)
    notes: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.usual, self.odd = requests_of(self.own)

    def next(self) -> Asked | None:
        """The next request; one of a hundred is an odd one."""
        if self.asked >= self.most or time.perf_counter() > self.ends:
            return None
        self.asked += 1
        turn, place = divmod(self.asked, ROUND)
        return self.odd[turn % len(self.odd)] if place == 0 else self.usual[self.asked % ONE]

    def check(self, asked: Asked, reply: Reply) -> None:
        """Compare an answer with what it should be."""
        self.answers += 1
        self.refused += reply.status >= 400
        self.wrong += not is_right(asked, reply, self.expected)
        self.models |= {reply.header("x-model")} - {""}
        if self.answers % self.every == 0:
            self.note()

    def note(self) -> None:
        """Keep how much the service takes, and tell it."""
        usage, seconds = self.service.usage, time.perf_counter() - self.began
        done = {name: getattr(self, name) for name in ("answers", "wrong", "refused", "given_up", "swaps")}
        facts = usage._asdict() | {"service_seconds": usage.seconds, "seconds": seconds, "load": os.getloadavg()[0]}
        self.notes.append(done | facts | {"models": len(self.models)})
        print(f"{self.answers:,} answers, {usage.mib:.1f} MiB, {seconds:.0f} s, {self.wrong} wrong", file=sys.stderr)


def is_right(asked: Asked, reply: Reply, expected: dict[str, list[float]]) -> bool:
    """Whether an answer is the one that it should be, to the bit."""
    if reply.status != asked.status or asked.status != 200:
        return reply.status == asked.status
    own = expected.get(reply.header("x-model"))
    return own is not None and scores(reply.body, asked.media) == [own[place] for place in asked.places]


class Asking:
    """One client of them."""

    def __init__(self, all_: Endurance) -> None:
        self.all = all_
        self.now: Asked | None = None

    def following(self) -> bytes | None:
        """The next request; after a lost connection the same again."""
        self.now = self.now or self.all.next()
        return None if self.now is None else self.now.data

    def answered(self, reply: Reply, seconds: float) -> None:
        """Check it."""
        assert self.now is not None
        asked, self.now = self.now, None
        self.all.check(asked, reply)


async def give_up(state: Endurance, every: float) -> None:
    """Begin requests, and leave: in the middle of the body, or before the answer."""
    while True:
        await asyncio.sleep(every)
        data = state.usual[state.given_up % ONE].data
        _, writer = await asyncio.open_connection("127.0.0.1", state.service.port)
        writer.write(data[: -9 * (state.given_up % 2) or None])
        await asyncio.sleep(0)
        writer.transport.abort()
        state.given_up += 1


async def change(state: Endurance, link: Path, models: list[Path], every: int) -> None:
    """Let the link lead to the other model after so many answers."""
    while True:
        if state.answers >= (state.swaps + 1) * every:
            state.swaps += 1
            point(link, models[state.swaps % len(models)])
        await asyncio.sleep(0.2)


def point(link: Path, target: Path) -> None:
    """Let a link lead elsewhere, at once."""
    draft = link.with_name("draft")
    draft.symlink_to(target)
    draft.replace(link)


async def run(state: Endurance, clients: int, *others: Any) -> None:
    """Let all ask until the end, while the others do what they do."""
    besides = [asyncio.create_task(one) for one in others]
    await asyncio.gather(*(keep_asking(state.service.port, Asking(state)) for _ in range(clients)))
    for task in besides:
        task.cancel()
    for found in await asyncio.gather(*besides, return_exceptions=True):
        if isinstance(found, Exception):
            raise found


def cells(dataset: str, requests: int, clients: int, every: int, swap_every: int, at_most: float) -> Iterator[Row]:
    """One run."""
    yield {
        "dataset": dataset,
        "requests": requests,
        "clients": clients,
        "every": every,
        "swap_every": swap_every,
        "at_most_seconds": at_most,
    }


def measure(cell: Row, data: Path) -> list[Row]:
    """Fit two models, serve one of them, and ask."""
    own = rows_of(cell["dataset"], data)
    with TemporaryDirectory() as folder:
        models = two_models(own, Path(folder))
        expected = {name_of(model): Scorer(model).scores(own.table(slice(None, ONE))).tolist() for model in models}
        link = Path(folder) / "model"
        point(link, models[0])
        with serving(exposed(link, "--look-every", "0.5"), Path(folder) / "log") as service:
            ends = time.perf_counter() + cell["at_most_seconds"]
            state = Endurance(own, service, expected, cell["requests"], cell["every"], ends)
            asyncio.run(
                run(state, cell["clients"], give_up(state, 0.25), change(state, link, models, cell["swap_every"]))
            )
            state.note()
    return [note | {"columns": len(own.names)} for note in state.notes]


def two_models(own: Samples, folder: Path) -> list[Path]:
    """Models of the same table that differ, as of today and yesterday."""
    found = []
    for half in (0, 1):
        found.append(folder / f"model{half}")
        AnomalyDetector(random_state=half, device="cpu").fit(own.table(slice(half, None, 2))).save(found[-1])
    return found


def name_of(model: Path) -> str:
    """What a service calls a model."""
    return hashlib.sha256((model / "model.json").read_bytes()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------------------ page


def slope(late: Rows) -> tuple[float, float, float]:
    """KiB per 1,000 answers: the line through means of blocks, and its 95 % interval.

    Notes that follow each other are alike, so that means of blocks are nearer to being independent than they are.
    """
    x, y = means(late, "answers") / 1e3, 1024 * means(late, "mib")
    design = x - x.mean()
    line = float(design @ y / (design @ design))
    left = y - y.mean() - line * design
    half = T * float(np.sqrt(left @ left / (BLOCKS - 2) / (design @ design)))
    return line, line - half, line + half


def means(notes: Rows, name: str) -> NDArray[np.float64]:
    """Means of blocks of notes that follow each other."""
    return np.array([np.mean(part) for part in np.array_split(notes.values(name), BLOCKS)])


def context(page: Page) -> dict[str, Any]:
    """Memory at the beginning and at the end, its slope, and what was wrong."""
    notes = page.rows("serving_endurance")
    last = max(notes, key=lambda one: one["answers"])
    late = Rows(one for one in notes if one["answers"] >= (1 - SHORT) * last["answers"])
    line, low, high = slope(late)
    tenth = max(len(late) // 10, 1)
    first, final = median(Rows(late[:tenth]).values("mib")), median(Rows(late[-tenth:]).values("mib"))
    return {
        "last": last,
        "first_mib": first,
        "final_mib": final,
        "most_mib": max(notes.values("mib")),
        "slope": line,
        "low": low,
        "high": high,
        "files": (min(late.values("files")), max(late.values("files"))),
        "threads": (min(late.values("threads")), max(late.values("threads"))),
        "per_second": last["answers"] / last["seconds"],
        "clients": count(last["clients"], "client"),
        "day": notes.finished,
    }


STUDY = Study(
    "serving_endurance",
    "memory of the service over a million requests, with errors, broken connections and changes of the model",
    cells=cells,
    measure=measure,
    options={
        "dataset": "thyroid",
        "requests": 1_000_000,
        "clients": 32,
        "every": 10_000,
        "swap_every": 20_000,
        "at_most": 3_600,
    },
    page="",
    context=context,
    apart=True,
)
