"""Requests per second and latency of ``expose serve`` beside a plain FastAPI service of an isolation forest.

Both serve what was fitted on all rows of a real table with its default parameters, as one process on one processor with
one thread for arithmetic; the clients have the other processor. Clients ask again as soon as they are answered. The
services take turns, a second or so each, several times over, so that what else runs on the machine meets all alike.
The plain service stands around the detector of ours, too: that tells the cost of the service from that of the model.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector, Scorer
from expose_lab.bodies import ARROW, JSON, Samples, rows_of, scores
from expose_lab.http_load import Load, ask, request
from expose_lab.pages import Page, Rows, count, table
from expose_lab.services import Service, exposed, pinned, serving
from expose_lab.store import Row
from expose_lab.studies import serving_endurance, serving_killed
from expose_lab.studies.base import Study
from expose_lab.studies.fit_cost import FOREST, forest

OURS, PLAIN, NOTHING = "expose serve", "plain service of ours", "nothing"
BESIDE: Final = (FOREST, PLAIN)
MEDIA: Final = {JSON: "JSON", ARROW: "Arrow"}
DIFFERENT: Final = {1: 500}  # requests that go round, by their rows; of others
FEW: Final = 8
WARM = 0.2  # seconds
SERVICE, CLIENTS = 0, 1  # processors


def cells(sets: list[str], turns: int, seconds: float, rows: list[int], clients: list[int]) -> Iterator[Row]:
    """Each table by itself: one run of all services."""
    for name in sets:
        yield {"dataset": name, "turns": turns, "seconds": seconds, "sizes": rows, "clients_of": clients}


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Start all, see that ours answers what it should, and let them take turns."""
    own = rows_of(cell["dataset"], data)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with TemporaryDirectory() as folder, ExitStack() as stack:
        model, words = fitted(own, Path(folder))
        services = {
            name: stack.enter_context(serving(said, Path(folder) / "log", SERVICE)) for name, said in words.items()
        }
        apart = pinned(CLIENTS)
        facts = {"columns": len(own.names), "apart": apart, "processors": os.cpu_count()}
        try:
            yield from turns(cell, own, services, facts | {"equal": answers_equal(own, services[OURS], Scorer(model))})
        finally:
            if allowed:
                os.sched_setaffinity(0, allowed)


def fitted(own: Samples, folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """A model folder and pickles, and how each is served."""
    detector = AnomalyDetector(random_state=0, device="cpu").fit(own.table(slice(None)))
    detector.save(folder / "model")
    for name, model in ((FOREST, forest().fit(own.values)), ("ours", detector)):
        (folder / f"{name}.pickle").write_bytes(pickle.dumps((model, own.names)))
    plain = ["expose_lab.plain_service"]
    return folder / "model", {
        OURS: exposed(folder / "model"),
        FOREST: [*plain, str(folder / f"{FOREST}.pickle")],
        PLAIN: [*plain, str(folder / "ours.pickle")],
        NOTHING: plain,
    }


def turns(cell: Row, own: Samples, services: dict[str, Service], facts: Row) -> Iterator[Row]:
    """All services by turns, for each kind of request and number of clients."""
    asked = {
        (media, n): [own.body(media, places) for places in drawn(own, n)] for media, n in product(MEDIA, cell["sizes"])
    }
    for turn in range(cell["turns"]):
        for (media, n), bodies in asked.items():
            for clients in cell["clients_of"]:
                for name, service in services.items():
                    found = one_turn(name, service, media, bodies, clients, cell["seconds"])
                    yield {"service": name, "media": media, "rows": n, "clients": clients, "turn": turn} | found | facts


def drawn(own: Samples, n: int) -> list[NDArray[np.int64]]:
    """Which rows are asked for in each of some requests."""
    random = np.random.default_rng(0)
    return [random.integers(0, len(own.values), n) for _ in range(DIFFERENT.get(n, FEW))]


def one_turn(name: str, service: Service, media: str, bodies: list[bytes], clients: int, seconds: float) -> Row:
    """Let a service be asked for a while."""
    path = "/arrow" if media == ARROW and name in BESIDE else "/score"
    requests = [request(media, body, path, media) for body in bodies]
    asyncio.run(ask(service.port, requests, clients, min(WARM, seconds)))
    before = service.usage.seconds
    load = asyncio.run(ask(service.port, requests, clients, seconds))
    return said_of(load) | {
        "processor_ms": 1e3 * (service.usage.seconds - before) / len(load.latencies),
        "mib": service.usage.mib,
        "load": os.getloadavg()[0],
    }


def said_of(load: Load) -> Row:
    """What clients met, in numbers."""
    return {
        "answers": len(load.latencies),
        "failed": len(load.latencies) - load.statuses.get(200, 0),
        "per_second": load.per_second,
        "p50_ms": load.milliseconds(0.5),
        "p99_ms": load.milliseconds(0.99),
    }


def answers_equal(own: Samples, service: Service, scorer: Scorer) -> bool:
    """Whether what is served are the scores of `Scorer`, to the bit, in both forms."""
    every = np.arange(min(1_000, len(own.values)))
    expected = scorer.scores(own.table(every)).tolist()
    return all(scores(asked_once(service, media, own.body(media, every)), media) == expected for media in MEDIA)


def asked_once(service: Service, media: str, body: bytes) -> bytes:
    """The answer to one request."""
    from urllib.request import Request, urlopen

    headers = {"Content-Type": media, "Accept": media}
    with urlopen(Request(f"http://127.0.0.1:{service.port}/score", body, headers), timeout=60) as reply:
        found: bytes = reply.read()
    return found


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """What was measured, and what the two studies of endurance found."""
    found = page.rows("serving")
    further = {study.STUDY.name: study for study in (serving_endurance, serving_killed)}
    return {
        "tables": {media: table_of(found.where(media=media)) for media in found.each("media")},
        "media": MEDIA,
        "generator": generator(found),
        "sets": " or ".join(
            f"{name} ({count(found.where(dataset=name)[0]['columns'], 'column')})" for name in found.each("dataset")
        ),
        "many": max(found.values("rows")),
        "equal": all(found.values("equal")),
        "failed": sum(found.where(service=OURS).values("failed")),
        "turns": found[0]["turns"],
        "seconds": found[0]["seconds"],
        "apart": all(found.values("apart")),
        "processors": found[0]["processors"],
        "load": f"{min(found.values('load')):.1f} to {max(found.values('load')):.1f}",
        "day": found.finished,
    } | {name: study.context(page) if page.has(name) else {} for name, study in further.items()}


HEADER: Final = ("requests per second", "p50", "p99", "processor", "beside our model: p50", "processor")


def table_of(found: Rows) -> str:
    """One form of bodies: a line for each table, size and number of clients."""
    lines = []
    for name, n, clients in product(found.each("dataset"), sorted(found.each("rows")), sorted(found.each("clients"))):
        here = found.where(dataset=name, rows=n, clients=clients)
        ours = here.where(service=OURS)
        per_second, p50, p99, used = (
            median(ours.values(one)) for one in ("per_second", "p50_ms", "p99_ms", "processor_ms")
        )
        cells = [
            f"{ratio(here, FOREST, 'per_second')} ({per_second:,.0f}/s)",
            f"{ratio(here, FOREST, 'p50_ms')} ({p50:.1f} ms)",
            f"{ratio(here, FOREST, 'p99_ms')} ({p99:.1f} ms)",
            f"{ratio(here, FOREST, 'processor_ms')} ({used:.2f} ms)",
            ratio(here, PLAIN, "p50_ms"),
            ratio(here, PLAIN, "processor_ms"),
        ]
        lines.append([f"{name}, {count(n, 'row')}, {count(clients, 'client')}", *cells])
    return table(["", *HEADER], lines)


def ratio(here: Rows, beside: str, name: str) -> str:
    """How many times another's it is, turn by turn: the median, and the least and largest."""
    each = [
        here.where(service=OURS, turn=turn).mean(name) / here.where(service=beside, turn=turn).mean(name)
        for turn in here.each("turn")
    ]
    spread = f" [{min(each):.2f}, {max(each):.2f}]" if len(each) > 1 else ""
    return f"{median(each):.2f} x{spread}"


def generator(found: Rows) -> dict[str, float]:
    """How many requests per second the clients can make, beside the most that any service answered."""
    pairs = []
    for size in {(row["dataset"], row["media"], row["rows"], row["clients"]) for row in found}:
        here = found.where(**dict(zip(("dataset", "media", "rows", "clients"), size, strict=True)))
        most = max(row["per_second"] for row in here if row["service"] != NOTHING)
        pairs.append((here.where(service=NOTHING).mean("per_second") / most, most))
    return {"least": min(pairs)[0], "per_second": min(found.where(service=NOTHING).values("per_second"))}


STUDY = Study(
    "serving",
    "requests per second and latency of the service, beside a plain FastAPI service of an isolation forest",
    cells=cells,
    measure=measure,
    options={"sets": ["thyroid", "satellite"], "turns": 3, "seconds": 1.0, "rows": [1, 1_000], "clients": [1, 8, 64]},
    page="benchmark/serving.md",
    context=context,
    apart=True,
)
