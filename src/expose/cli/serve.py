"""``expose serve``: a model folder as a service."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.errors import InputError

TOKEN = "EXPOSE_TOKEN"
FEWEST = 16  # characters of a token
EXAMPLES = """\b
Examples:
  expose serve model/
  curl -H 'Content-Type: text/csv' --data-binary @new.csv http://127.0.0.1:8000/score
  curl --json '[{"amount": 12.5, "shop": "north"}]' http://127.0.0.1:8000/score?reasons=3
  expose serve model/ --host 0.0.0.0 --token-file token

Scores are those of 'expose score' on the same data. When another model stands in the folder, it is taken over
between two answers. A page at /docs says what is taken and answered. It ends, after what has begun is answered,
when it gets SIGTERM; standard error has a line of JSON for each request.
"""


def serve(
    model: opt.Model,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Others than this machine need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0: any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What it holds, requests must bring. Or set EXPOSE_TOKEN.")
    ] = None,
    threshold: opt.Threshold = None,
    id_columns: opt.Id = None,
    max_body: Annotated[float, typer.Option(metavar="MB", help="Of a request, as sent and unpacked.")] = 64,
    max_rows: Annotated[int, typer.Option(metavar="N", help="Of a request.")] = 100_000,
    max_seconds: Annotated[float, typer.Option(metavar="N", help="For a request.")] = 60,
    max_waiting: Annotated[int, typer.Option(metavar="N", help="Requests at a time; others are turned away.")] = 256,
    batch_rows: Annotated[int, typer.Option(metavar="N", help="Of concurrent requests, scored together.")] = 1_024,
    batch_wait: Annotated[float, typer.Option(metavar="MS", help="At most, for one that is being received.")] = 2,
    look_every: Annotated[float, typer.Option(metavar="SECONDS", help="For another model in the folder.")] = 2,
    drift_hours: Annotated[float, typer.Option(metavar="N", help="Of how long the scores are compared.")] = 1,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Answer requests for scores over HTTP, with MODEL.

    Until it is asked to stop.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, when_interrupted="what had begun was answered.") as session:
        from expose.serve import Limits, app

        token = token_of(token_file)
        limits = Limits(body=int(max_body * 2**20), rows=max_rows, seconds=max_seconds, waiting=max_waiting,
                        together=batch_rows, gather=batch_wait / 1e3)  # fmt: skip
        for name, value in (("--look-every", look_every), ("--drift-hours", drift_hours)):
            if not 0 < value < math.inf:
                raise InputError(f"{name} is a number above 0; got {value:g}.")
        chosen: dict[str, Any] = {"threshold": None if threshold is None else opt.threshold_of(threshold)}
        chosen |= {"id": id_columns, "device": device, "look_every": look_every, "drift_seconds": 3_600 * drift_hours}
        application = app_of(app, str(model), limits, token, chosen)
        run(session, application, host, port, token)


def app_of(app: Any, model: str, limits: Any, token: str | None, chosen: dict[str, Any]) -> Any:
    """The application, with its log on standard error."""
    from expose.serve.log import Log

    return app(model, limits=limits, token=token, log=Log(), **chosen)


def run(session: Session, app: Any, host: str, port: int, token: str | None) -> None:
    """Serve, and say where."""
    from expose.serve import needing_web

    with needing_web():
        from expose.serve.server import address_of, listening
        from expose.serve.server import serve as serve_at

    service = app.state.service
    try:
        listener = listening(host, port, token is not None)
        url = address_of(listener)

        def ready() -> None:
            session.announce(url=url, model=service.models.current.name, pid=os.getpid())
            for line in told(service, url, token is not None):
                session.say(line)

        asked = serve_at(app, listener, service.log, ready)
    finally:
        service.close()
    session.result(requests=service.metrics.total)
    if asked == signal.SIGINT:
        raise KeyboardInterrupt


def told(service: Any, url: str, guarded: bool) -> list[str]:
    """Where it is, and what it scores, for people."""
    served, limits = service.models.current, service.limits
    fitted = served.scorer.fitted
    line = f"{fitted.threshold_score(served.scorer.threshold):.6g}"
    return [
        f"Scores          {url}/score, of {fitted.kind.plural}; {url}/docs says how",
        f"Model           {served.name}; what scores above {line} is flagged",
        f"Who may ask     {'who has the token' if guarded else 'this machine'}",
        f"Limits          {limits.body / 2**20:g} MB, {limits.rows:,} rows, {limits.seconds:g} s a request",
    ]


def token_of(file: Path | None) -> str | None:
    """The token that requests must bring, of a file or the environment; None if there is none.

    Raises
    ------
    InputError
        When it is short enough to be guessed, or could not stand in a header.
    """
    if file is None and TOKEN not in os.environ:
        return None
    token = (os.environ[TOKEN] if file is None else text_in(file)).strip()
    source = f"the environment variable {TOKEN}" if file is None else str(file)
    if len(token) < FEWEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"{source}: a token has at least {FEWEST} letters, digits and signs, without blanks; this one has "
            f"{len(token)}. Make one, for example: openssl rand -hex 32 > token"
        )
    return token


def text_in(file: Path) -> str:
    """What a token file holds."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"--token-file {file} cannot be read: {why}. It holds the token, and nothing else.") from error
