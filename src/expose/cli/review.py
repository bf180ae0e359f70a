"""``expose review``: a page in the browser to look at suspects and label them, while the model learns."""

from __future__ import annotations

import getpass
import json
import secrets
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.query import given_of, next_fit, shown_by
from expose.cli.session import Session
from expose.cli.sources import beside, check_model, name_of, read_as, read_outliers
from expose.cli.text import count
from expose.errors import InputError
from expose.stores import Place, Stored, place_of

if TYPE_CHECKING:
    from expose.estimators import AnomalyDetector
    from expose.kinds import Batch
    from expose.review.desk import Desk

EXAMPLES = """\b
Examples:
  expose review model/ transactions.csv
  expose review model/ photos/ --answers mine.csv --due 10
  expose fit transactions.csv --answers model.answers.csv --out model-2/

It prints an address of this machine; open it in a browser. Answers are written to a file as they are given, and
the same command goes on from it. The model that learns from them is kept beside MODEL, which stays as it is.
On another machine? Forward the port: ssh -L 8000:127.0.0.1:8000 HOST, and add --port 8000.
"""


@opt.reads_files
def review(
    model: opt.Model,
    data: opt.Data,
    answers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File that answers are added to, .csv. (default: MODEL.answers.csv)"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="MODEL",
            parser=place_of,
            help="Folder for what is learned. (default: MODEL-reviewed)",
        ),
    ] = None,
    due: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Learn after so many answers, and propose as many rows.")
    ] = 20,
    reviewer: Annotated[str | None, typer.Option(metavar="NAME", help="Who answers. (default: the user)")] = None,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Of 127.0.0.1. 0 takes one that is free.")
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser of this machine.")] = False,
    id_columns: opt.Id = None,
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Look at suspects of DATA in the browser, label them, let MODEL learn.

    DATA is what MODEL was trained on.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.review import require_web

        require_web()
        from expose.review.page import app_of, serve

        target = out or reviewed(model)
        file = check_answers(answers, model)
        check_model(target)
        session.say(f"Reading         {', '.join(map(name_of, data))}, and looking at all of it")
        desk = open_desk(model, data, file, target, due, id_columns, skip_bad, device, written, session.verbose)
        address = bound(port)
        host = f"127.0.0.1:{address.getsockname()[1]}"
        token = secrets.token_urlsafe(24)
        following = desk.metadata["command"]
        who = reviewer or user()
        hosts = {host, host.replace("127.0.0.1", "localhost")}
        app = app_of(desk, token, title=name_of(data[0]), reviewer=who, hosts=lambda: hosts, command=following)
        url = f"http://{host}/?token={token}"
        tell(session, url, desk)
        if open_page:
            import webbrowser

            webbrowser.open(url)
        with suppress(KeyboardInterrupt):  # the way to end it
            serve(app, address)
        progress = desk.progress()
        session.result(
            anomalies=progress.anomalies, normal=progress.normal, skipped=progress.skipped, answers=str(file),
            refits=len(desk.changes), model=str(target) if desk.changes else None, next=following,
        )  # fmt: skip
        session.say(f"Answers         {progress.anomalies} anomalies, {progress.normal} normal, in {file}")
        if desk.changes:
            session.say(f"Model           {target}, which has learned {count(len(desk.changes), 'time')}")
        session.say(f"Next            {following}")


def tell(session: Session, url: str, desk: Desk) -> None:
    """Say where the page is, at once, to people or as a line of JSON."""
    if session.as_json:
        print(json.dumps({"url": url, "answers": str(desk.answers.path)}), flush=True)
    session.say(f"Answers         {desk.answers.path}; {count(len(desk.answers.current()), 'row')} there already")
    session.say(f"Open            {url}")
    session.say("End             with Ctrl-C; nothing is lost")


def reviewed(model: Place) -> Place:
    """The folder for what is learned, where nobody named one: beside the model, or here for one in an object store."""
    if isinstance(model, Stored):
        return beside(model, "reviewed")
    place = model.resolve()
    return place.with_name(f"{place.name}-reviewed")


def check_answers(answers: str | None, model: Place) -> Path:
    """The file for answers; refused where a file cannot grow."""
    place = beside(model, "answers.csv") if answers is None else place_of(answers)
    if isinstance(place, Stored):
        raise InputError(f"--answers {answers}: a file in an object store cannot grow line by line; name one on disk.")
    if place.is_dir() or place.suffix != ".csv":
        raise InputError(f"--answers {place} is not a .csv file, which answers can be added to; name one.")
    if not place.resolve().parent.is_dir():
        raise InputError(f"--answers {place}: there is no folder {place.parent}.")
    return place


def open_desk(
    model: Place,
    data: Sequence[str],
    answers: Path,
    out: Place,
    due: int,
    id_columns: Sequence[str] | None,
    skip_bad: bool,
    device: str,
    written: dict[str, Any],
    verbose: int = 0,
) -> Desk:
    """Load the model, or what a review of it has learned before, and the data that it was trained on."""
    from expose import load
    from expose.persistence import checksum_of
    from expose.report.given import id_columns as columns_of
    from expose.review.answers import Answers
    from expose.review.desk import Desk

    first = load(model, device=device)
    if hasattr(first, "classes_"):
        raise InputError(f"{model} is a classifier; what can be reviewed are the suspects of a detector (expose fit).")
    if sampled := first.metadata_.get("sampled"):
        raise InputError(
            f"{model} was fitted on {sampled[0]:,} of {sampled[1]:,} rows, and a review is of rows in memory. Fit the "
            "first rows of its ranking, or a sample, and review that."
        )
    scorer = first.scorer(id=id_columns)
    scorer.fitted.encoder.verbose = verbose
    reading = read_as(scorer.reading, written)
    batch = scorer.fitted.kind.read(data, shown_by(replace(reading, skip_bad=skip_bad)))
    outliers = given_of(first.metadata_.get("command")).get("outliers")
    extra = None if outliers is None else read_outliers(scorer.fitted.kind, outliers, batch.samples, reading)
    n_rows = len(batch.samples)
    batch, beside = apart(batch, [*reading.ignore, reading.label])
    kept = Answers(answers, n_rows, columns_of(batch.ids, n_rows))
    command = next_fit(first.metadata_.get("command"), data, str(answers), model)
    metadata = {**first.metadata_, "command": command, "review_of": checksum_of(model)}
    detector = learned_before(out, metadata["review_of"], device) or first
    return Desk(
        detector,
        batch,
        kept,
        out,
        beside=beside,
        labels=first.fitted_.known,
        outliers=extra,
        metadata=metadata,
        due=due,
    )


def apart(batch: Batch, shown: Sequence[str | None]) -> tuple[Batch, Any]:
    """Columns that name the rows apart from those that are only ``shown``, None where there are no such."""
    ids = batch.ids
    beside = [] if ids is None else [name for name in ids.column_names if name in shown]
    if ids is None or not beside:
        return batch, None
    names = ids.drop_columns(beside)
    return batch._replace(ids=names if names.column_names else None), ids.select(beside)


def learned_before(out: Place, origin: str, device: str) -> AnomalyDetector | None:
    """What an earlier review of the same model has learned; None where there is none.

    Raises
    ------
    InputError
        If another model is in the folder: it would be replaced.
    """
    from expose import AnomalyDetector

    if not (out / "model.json").exists():
        return None
    found = AnomalyDetector.load(out, device=device)
    if found.metadata_.get("review_of") != origin:
        raise InputError(
            f"--out {out} holds a model that is not from a review of this one, and would be replaced. Name another "
            f"folder with --out, or remove it: {shlex.join(['rm', '-r', str(out)])}"
        )
    return found


def bound(port: int) -> socket.socket:
    """A socket of this machine alone."""
    address = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address.bind(("127.0.0.1", port))
        address.listen()  # whoever is quick waits a little, and is not refused
    except OSError as error:
        address.close()
        raise InputError(f"--port {port} cannot be had: {error.strerror}. Choose another, or 0.") from error
    return address


def user() -> str:
    """Who is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
