"""The application: its paths, what they take and what they answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from expose.serve.answers import Form, accepted, in_header
from expose.serve.gate import Gate, Passage
from expose.serve.intake import FILES, Sent, check_media, media_of
from expose.serve.limits import Limits
from expose.serve.metrics import MEDIA as METRICS
from expose.serve.metrics import Metrics
from expose.serve.models import Log, Models, Watcher
from expose.serve.page import page
from expose.serve.places import Place
from expose.serve.problems import Problem
from expose.serve.schema import described
from expose.serve.scoring import Answer, Job, Worker
from expose.serve.watch import HOUR, Watch

Endpoint = Callable[[Request], Awaitable[Response]]
IN_MEMORY: Final = 2**20  # bytes of a body; what is larger waits on disk
MOST_REASONS: Final = 10
LATE: Final = "the time for this request is over; more time is given by the limit of seconds of the service."
PATHS: Final = ("/score", "/model", "/health", "/metrics", "/openapi.json", "/docs")


@dataclass
class Service:
    """What an application works with."""

    models: Models
    worker: Worker
    metrics: Metrics
    watcher: Watcher
    watch: Watch
    limits: Limits
    place: Place
    log: Log

    def close(self) -> None:
        """Score what was submitted, and leave nothing behind."""
        self.worker.stop()
        self.watcher.stop()
        self.place.remove()


def made(
    folder: str | Path,
    limits: Limits,
    token: str | None,
    *,
    log: Log | None = None,
    look_every: float | None = 2.0,
    drift_seconds: float = HOUR,
    **given: Any,
) -> FastAPI:
    """Make the application; see `expose.serve.app`."""
    log = log or (lambda *facts, **more: None)
    models = Models(folder, log, **given)
    place = Place()
    worker = Worker(models, limits, place.folders, log)
    watch = Watch(models.current, log, drift_seconds)
    models.when_new.append(watch.renew)
    metrics = Metrics(models, watch, lambda: worker.unfinished)
    worker.told = metrics.batch
    service = Service(models, worker, metrics, Watcher(models, look_every), watch, limits, place, log)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        service.watcher.start()
        try:
            yield
        finally:
            await asyncio.get_running_loop().run_in_executor(None, service.close)

    app = FastAPI(
        title="expose",
        version=version("expose"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=running,
        redirect_slashes=False,
    )
    app.state.service = service
    app.openapi = lambda: described(service.models.current, limits, token is not None)  # type: ignore[method-assign]
    add_paths(app, service)
    add_problems(app)
    app.add_middleware(Gate, limits=limits, metrics=metrics, log=log, token=token, paths=PATHS)
    return app


def add_paths(app: FastAPI, service: Service) -> None:
    """What can be asked."""

    @post(app, "/score")
    async def score(request: Request) -> Response:
        reasons, form = reasons_of(request.query_params), accepted(request.headers.get("accept", ""))
        answer = await answered(service, request, form, reasons)
        service.metrics.scored(answer.table, noted=bool(answer.notes))
        service.watch.add(answer.served, answer.table["anomaly_score"].to_numpy())
        passage_of(request).facts.update(rows=len(answer.table), model=answer.served.name)
        headers = {"X-Model": answer.served.name, "X-Rows": str(len(answer.table))}
        if answer.notes:
            headers["X-Notes"] = in_header(answer.notes)
        return Response(answer.body, media_type=None, headers={"Content-Type": form.media, **headers})

    @app.get("/model")
    async def model() -> Response:
        served = service.models.current
        scorer = served.scorer
        facts = served.described(media_of(scorer.fitted.kind, scorer.reading)) | {"drift": service.watch.facts()}
        return JSONResponse(facts, headers={"X-Model": served.name})

    @app.get("/health")
    async def health() -> Response:
        ready = service.worker.alive
        return JSONResponse({"live": True, "ready": ready}, 200 if ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": METRICS})

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(app.openapi())

    @app.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()))


def add_problems(app: FastAPI) -> None:
    """All refusals look alike."""

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        known = f" Paths are {', '.join(PATHS)}." if error.status_code == 404 else ""
        raise Problem(error.status_code, f"{error.detail}.{known}", error.headers)


def post(app: FastAPI, path: str) -> Callable[[Endpoint], None]:
    """A path that is asked by POST, without what FastAPI does for each request: that costs more than reading a row."""
    return lambda endpoint: app.add_route(path, endpoint, methods=["POST"])


def reasons_of(query: Mapping[str, str]) -> int:
    """How many reasons are asked for.

    >>> reasons_of({"reasons": "3"}), reasons_of({})
    (3, 0)

    Raises
    ------
    Problem
        When it is no such number, or something else is asked for, such as ``?reason=3``.
    """
    if unknown := sorted({*query} - {"reasons"}):
        raise Problem(422, f"there is no parameter {unknown[0][:80]!r}; there is reasons, as ?reasons=3.")
    given = query.get("reasons", "0")
    if not given.isascii() or not given.isdigit() or len(given) > len(str(MOST_REASONS)) or int(given) > MOST_REASONS:
        raise Problem(422, f"reasons must be a whole number from 0 to {MOST_REASONS}: how many are given of each row.")
    return int(given)


def passage_of(request: Request) -> Passage:
    """What the gate knows of a request."""
    found: Passage = request.scope["state"]["passage"]
    return found


async def answered(service: Service, request: Request, form: Form, reasons: int) -> Answer:
    """Receive a request, have it scored, and wait for the answer.

    Raises
    ------
    Problem
    """
    worker, limits = service.worker, service.limits
    if worker.unfinished + worker.coming >= limits.waiting:
        raise Problem(503, f"{limits.waiting:,} requests are being answered; try again later.", {"Retry-After": "1"})
    scorer = service.models.current.scorer
    ends = passage_of(request).began + limits.seconds
    headers = request.headers
    what = check_media(
        scorer.fitted.kind, scorer.reading, headers.get("content-type", ""), headers.get("content-encoding", "")
    )
    worker.coming += 1
    try:
        async with asyncio.timeout(ends - time.monotonic()):
            sent = await received(request, what, limits)
    except TimeoutError:
        raise Problem(408, "the body did not come in time.") from None
    finally:
        worker.coming -= 1
    job = Job(sent, reasons, ends, form.written)
    future = worker.submit(job)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), ends - time.monotonic())
    except TimeoutError:
        raise Problem(504, LATE) from None
    finally:
        job.abandoned = True


async def received(request: Request, what: Sent, limits: Limits) -> Sent:
    """The body of a request, or its files; the gate counts the bytes."""
    if what.media == FILES:
        try:
            form = await request.form(max_files=limits.files, max_fields=0, max_part_size=limits.body)
        except HTTPException as error:
            raise Problem(
                422,
                f"the parts of the body cannot be read: {error.detail} Expected files, each with its "
                f"name, as curl -F file=@1.png; at most {limits.files:,}.",
            ) from None
        files = [(one.filename or "", one.file) for _, one in form.multi_items() if not isinstance(one, str)]
        return what._replace(files=files)
    body = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # closed when it is answered
    async for piece in request.stream():
        body.write(piece)
    body.seek(0)
    return what._replace(body=body)
