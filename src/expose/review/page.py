"""The page: what a browser asks of a `Desk`, and the HTML that it gets.

All works without a script: links and forms. The script adds keys, and puts in place of the page's middle what a form
answers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote, urlencode

import uvicorn
from fastapi import FastAPI, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from expose.errors import InputError
from expose.report.heat import legend_of
from expose.report.pictures import pillow_image
from expose.report.rendering import environment
from expose.report.suspects import Suspect
from expose.report.typical import show_text, show_value
from expose.review.answers import LONGEST_NOTE, Answer
from expose.review.desk import Desk
from expose.review.drawing import HEIGHT, WIDTH, stretches_of
from expose.review.guard import Guard
from expose.review.rows import STATES, TESTS, Found, Rows, Wish
from expose.review.standing import Standing
from expose.review.words import glimpse, passages_of

SIDE, SMALLEST = 640, 16  # pixels of a picture, which may be asked for smaller
STATIC: Final = {"review.css": "text/css", "review.js": "text/javascript", "report.css": "text/css"}
LONGEST_NAME: Final = 40  # signs of a reviewer's
WHO: Final = "expose-reviewer"  # cookie, with the port: those of one machine are shared by all ports
VALUES: Final = 3  # of each row in a list
LEFT: Final = 20  # rows of the ranking shown after a refit
OTHERS: Final = 100  # values of a row beside those that make it unusual


def app_of(
    desk: Desk, token: str, *, title: str, reviewer: str, hosts: Callable[[], set[str]], command: str
) -> FastAPI:
    """The application that serves a desk.

    Parameters
    ----------
    desk : Desk
    token : str
        Without which nothing is answered.
    title : str
        What is reviewed.
    reviewer : str
        Who answers, until somebody says otherwise.
    hosts : callable
        Gives the names, with ports, by which the page may be asked for.
    command : str
        That trains anew with the answers, to be shown.
    """
    pages = Pages(desk, title, reviewer, command)
    app = FastAPI(title="expose review", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token, hosts=hosts)
    for path, page in (
        ("/", pages.look),
        ("/rows", pages.rows),
        ("/changes", pages.changes),
        ("/status", pages.status),
        ("/picture/{row}", pages.picture),
        ("/answers.csv", pages.export),
        ("/static/{name}", pages.asset),
    ):
        app.get(path, response_model=None)(page)
    for path, form in (
        ("/answer", pages.answer),
        ("/undo", pages.undo),
        ("/learn", pages.learn),
        ("/reviewer", pages.who),
    ):
        app.post(path, response_model=None)(form)
    app.add_exception_handler(InputError, pages.refused)
    app.add_exception_handler(RequestValidationError, pages.refused)
    app.add_exception_handler(OSError, pages.unwritten)
    return app


class Pages:
    """What is answered to each address."""

    def __init__(self, desk: Desk, title: str, reviewer: str, command: str) -> None:
        self.desk, self.title, self.reviewer, self.command = desk, title, reviewer, command
        self.templates = environment("expose.review:templates")
        self.list = Rows(desk.standing.material, desk.batch.samples, desk.standing.scorer.reading.conventions)
        self.static = {name: _static(name) for name in STATIC}

    def named(self, request: Request) -> str:
        """Who answers."""
        return unquote(request.cookies.get(cookie_of(request), ""))[:LONGEST_NAME] or self.reviewer

    def page(self, request: Request, name: str, status: int = 200, notice: str = "", **facts: Any) -> HTMLResponse:
        """A page of a template."""
        standing = self.desk.standing
        text = self.templates.get_template(f"{name}.html.jinja").render(
            desk=self.desk, standing=standing, progress=self.desk.progress(), title=self.title,
            reviewer=self.named(request), noun=standing.fitted.kind.noun, n=len(standing.scores),
            command=self.command, here=name, notice=notice, last=last_of(self.desk, self.named(request)), **facts,
        )  # fmt: skip
        return HTMLResponse(text, status)

    def row_page(
        self, request: Request, row: int | None, notice: str = "", status: int = 200, note: str = ""
    ) -> HTMLResponse:
        """The page of a row, of the next in the queue where none is named."""
        standing, queue = self.desk.standing, self.desk.queue()
        shown = row if row is not None else next(iter(queue), None)
        if shown is None:
            return self.page(request, "done", status, notice)
        facts = {"row": shown, "asked": row is not None, "queue": queue, "note": note}
        return self.page(
            request, "row", status, notice, **facts, **facts_of(self.desk, standing, self.desk.checked(shown))
        )

    # -------------------------------------------------------------------------------------------------------- to see

    def look(self, request: Request, row: int | None = None, undone: bool = False) -> HTMLResponse:
        """A row."""
        return self.row_page(request, row, "Taken back. What is it?" if undone else "")

    def rows(
        self,
        request: Request,
        search: str = "",
        column: str = "",
        test: str = "contains",
        value: str = "",
        state: str = "all",
        sort: str = "",
        falling: bool = False,
        number: Annotated[int, Query(alias="page")] = 1,
    ) -> HTMLResponse:
        """A list of rows."""
        wish = Wish(search, column, test, value, state, sort, falling, number)
        standing, called = self.desk.standing, self.desk.called()
        notice = ""
        try:
            found = self.list.find(wish, standing, called)
        except InputError as error:
            notice, found = str(error), Found([], 0, 1)
        given = {name: value for name, value in vars(wish).items() if value not in ("", False) and name != "page"}
        return self.page(
            request, "rows", 422 if notice else 200, notice, wish=wish, found=found, states=STATES,
            tests=TESTS, names=self.list.table.column_names,
            complete=self.list.complete, called=called,
            values=[(row, values_of(self.list, standing, row, wish)) for row in found.rows],
            address=lambda **other: "/rows?" + urlencode({**given, **other}),
        )  # fmt: skip

    def changes(self, request: Request) -> HTMLResponse:
        """What the last refit changed."""
        return self.page(request, "changes", left=self.desk.queue()[:LEFT])

    def status(self) -> dict[str, Any]:
        """How far it is, in JSON."""
        return {"generation": self.desk.standing.generation, **self.desk.progress()._asdict()}

    def picture(self, row: int, side: int = SIDE) -> Response:
        """A photo, no larger than asked for."""
        picture = as_webp(self.desk.standing, self.desk.checked(row), min(max(side, SMALLEST), SIDE))
        return Response(picture, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})

    def export(self) -> Response:
        """The answers as a file to be kept."""
        named = {"Content-Disposition": 'attachment; filename="answers.csv"'}
        return Response(exported(self.desk), media_type="text/csv; charset=utf-8", headers=named)

    def asset(self, name: str) -> Response:
        """The style and the script."""
        if name not in self.static:
            return Response("There is no such file.", 404)
        return Response(self.static[name], media_type=STATIC[name])

    # ------------------------------------------------------------------------------------------------------ to change

    def answer(
        self,
        request: Request,
        row: Annotated[int, Form()],
        said: Annotated[str, Form()],
        seen: Annotated[int, Form()] = 0,
        note: Annotated[str, Form()] = "",
        extent: Annotated[str, Form()] = "",
    ) -> Response:
        """Keep an answer, unless somebody else has given one, or it is about other rows, since the row was shown."""
        if len(note) > LONGEST_NOTE:
            raise InputError(f"a note has at most {LONGEST_NOTE:,} signs; this one has {len(note):,}.")
        about = self.desk.answers.about(self.desk.checked(row))
        if len(about) != seen:
            return self.row_page(request, row, f"{spoken(about)} Answer again if you see it otherwise.", 409, note)
        if extent and extent != extent_of(self.desk.standing, row):
            again = (
                "The model has learned since it was shown, and the event begins or ends elsewhere now. Answer again."
            )
            return self.row_page(request, row, again, 409, note)
        self.desk.answer(row, said, reviewer=self.named(request), note=note.strip())
        if self.desk.progress().pending >= self.desk.due:
            self.desk.learn_soon()
        return RedirectResponse("/", 303)

    def undo(self, request: Request) -> Response:
        """Take the last answer back."""
        reviewer = self.named(request)
        last = last_of(self.desk, reviewer)
        if last is None:
            return self.row_page(request, None, "There is nothing of yours to take back.", 409)
        row = self.desk.undo(reviewer)
        if row is None:
            said = f"Taken back. Somebody else has spoken of {last[1]} since, and that stands."
            return self.row_page(request, last[0].row, said)
        return RedirectResponse(f"/?row={row}&undone=true", 303)

    def learn(self, request: Request) -> Response:
        """Fit anew."""
        progress = self.desk.progress()
        if not progress.pending and not progress.learning:
            return self.row_page(request, None, "There is no answer that the model does not know already.", 409)
        self.desk.learn_soon()
        return RedirectResponse("/changes", 303)

    def who(self, request: Request, name: Annotated[str, Form()] = "") -> Response:
        """Say who answers."""
        response = RedirectResponse("/", 303)
        clean = show_text(name.strip(), LONGEST_NAME) if name.strip() else ""
        response.set_cookie(cookie_of(request), quote(clean), httponly=True, samesite="lax")
        return response

    # ------------------------------------------------------------------------------------------------ what goes wrong

    def refused(self, request: Request, error: Exception) -> Response:
        """What was asked for cannot be."""
        said = str(error) if isinstance(error, InputError) else "The form lacks something, or holds what it cannot."
        return self.sorry(request, 422, said)

    def unwritten(self, request: Request, error: Exception) -> Response:
        """The disk is full, say."""
        return self.sorry(request, 500, f"The answer was not kept: {error}")

    def sorry(self, request: Request, status: int, said: str) -> Response:
        """What went wrong; without the rest of the page where the file of answers cannot be read."""
        try:
            return self.page(request, "refused", status, said)
        except (InputError, OSError):
            return PlainTextResponse(said, status)


def extent_of(standing: Standing, row: int) -> str:
    """What an answer about a row is about, to be compared: how many rows, the first and the last."""
    rows = standing.meant(row)
    return f"{len(rows)} {min(rows)} {max(rows)}"


def spoken(about: Sequence[Answer]) -> str:
    """That others have spoken of a row since it was shown, or that their answers are gone."""
    if not about:
        return "What was said of it is not in the file of answers any more."
    return f"{about[-1].reviewer or 'Somebody'} has called it {about[-1].said} since it was shown."


def cookie_of(request: Request) -> str:
    """The name of the cookie that holds who answers in this review."""
    return f"{WHO}-{request.url.port}"


def _static(name: str) -> bytes:
    if name == "report.css":
        return files("expose.report").joinpath("style.css").read_bytes()
    return files("expose.review").joinpath("static", name).read_bytes()


def facts_of(desk: Desk, standing: Standing, row: int) -> dict[str, Any]:
    """What the page of a row shows of it."""
    suspect = standing.look(row)
    heat = standing.heat(row)
    about = desk.answers.about(row)
    pictured = standing.fitted.kind.pictured
    passages = passages_of(standing, row)
    read = {one.name for one in passages}
    reasons = [one.name for one in suspect.reasons]
    return {
        "subject": standing.name(row),
        "suspect": plainly(suspect, read),
        "passages": passages,
        "others": others_of(standing, row, suspect, read),
        "wide_high": size_of(standing, row) if pictured else None,
        "called": desk.called(),
        "about": about,
        "verdict": desk.answers.current().get(row),
        "meant": len(standing.meant(row)),
        "extent": extent_of(standing, row),
        "proposed": row in standing.proposed,
        "pictured": pictured,
        "heat": heat,
        "legend": legend_of(standing.fitted) if heat is not None else None,
        "no_maps": standing.no_maps if pictured else "",
        "stretches": stretches_of(standing, row),
        "width": WIDTH,
        "height": HEIGHT,
        "beside": [(show_text(name), show_value(column[row])) for name, column in standing.material.beside.items()],
        "alike": [(one, standing.name(one), glimpse(standing, one, reasons)) for one in standing.alike(row)],
        "findings": {"has_columns": standing.has_columns},
        "components": {},
        "explained": bool(suspect.reasons),
    }


def plainly(suspect: Suspect, read: set[str]) -> Suspect:
    """A suspect without what stands elsewhere on the page: the one thing that it is called by, and its texts."""
    facts = tuple(one for one in suspect.facts if one[0] not in read)
    return replace(suspect, facts=facts, ids=suspect.ids if len(suspect.ids) > 1 else ())


def others_of(standing: Standing, row: int, suspect: Suspect, read: set[str]) -> list[tuple[str, str]]:
    """The values of a row that are not said already: neither names of it, nor reasons."""
    said = read | {name for name, _ in suspect.ids + suspect.facts} | {one.name for one in suspect.reasons}
    shown = [(show_text(name), value) for name, value in standing.material.shown.show(row).items()]
    return [(name, show_value(value)) for name, value in shown if name not in said][:OTHERS]


def last_of(desk: Desk, reviewer: str) -> tuple[Answer, str] | None:
    """What a reviewer said last, which an undo would take back, and the name of the row that it was about."""
    last = desk.answers.last(reviewer)
    if not last:
        return None
    first = max(last, key=lambda one: desk.standing.scores[one.row])
    return first, desk.standing.name(first.row)


def size_of(standing: Standing, row: int) -> tuple[int, int]:
    """Width and height of a picture as it is sent, so that the page knows its place before it has come."""
    high, wide = standing.picture(row, SIDE).shape[:2]
    scale = min(1.0, SIDE / max(high, wide))
    return max(1, round(wide * scale)), max(1, round(high * scale))


def values_of(columns: Rows, standing: Standing, row: int, wish: Wish) -> list[tuple[str, str]]:
    """What a list shows of a row: what it is sorted and filtered by, then its first values."""
    named = standing.material.ids.keys() | {*standing.fitted.kind.identifies}
    names = [name for name in (wish.column, wish.sort) if name in columns.table.column_names]
    names = list(dict.fromkeys([*names, *(name for name in columns.table.column_names if name not in named)]))[:VALUES]
    return [(show_text(name), show_value(columns.table[name][row].as_py())) for name in names]


def as_webp(standing: Standing, row: int, side: int) -> bytes:
    """The picture of a row, as a file."""
    if not standing.fitted.kind.pictured:
        raise InputError(f"{standing.fitted.kind.plural} have no picture.")
    file = io.BytesIO()
    pillow_image(standing.picture(row, side), (side, side)).save(file, "WEBP", quality=90, method=2)
    return file.getvalue()


def exported(desk: Desk) -> bytes:
    """The last word on each row, with what names it, its score and values, for a spreadsheet, which runs none of it."""
    import pyarrow as pa

    from expose.files import with_ids
    from expose.files.writing import as_csv

    standing = desk.standing
    last = list(desk.answers.current().values())
    rows = [one.row for one in last]
    results = {
        "row": pa.array(rows, pa.int64()),
        "anomaly_score": pa.array(standing.scores[rows]),
        "label": pa.array([None if one.label < 0 else one.label for one in last], pa.int8()),
        "answer": pa.array([one.said for one in last], pa.string()),
        "note": pa.array([one.note for one in last], pa.string()),
        "reviewer": pa.array([one.reviewer for one in last], pa.string()),
        "answered_at": pa.array([one.at for one in last], pa.string()),
    }
    given = [table for table in (desk.batch.ids, desk.batch.samples) if isinstance(table, pa.Table)]
    beside = {name: table[name].take(rows) for table in given for name in table.column_names}
    table = with_ids(pa.table(beside) if beside else None, results)
    names = [*results, *(name for name in table.column_names if name not in results)]
    return as_csv(table.select(names), header=True, spreadsheet_safe=True)


def serve(app: FastAPI, address: Any) -> None:
    """Answer requests on a socket that is bound, until Ctrl-C."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[address])
