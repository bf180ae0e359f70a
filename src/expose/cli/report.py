"""``expose report``: one self-contained HTML page about a model and some data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.score import choose_rule
from expose.cli.session import Session
from expose.cli.sources import check_output, command_line, known_of, name_of, read_as
from expose.cli.text import count
from expose.errors import InputError
from expose.stores import Place, place_of

if TYPE_CHECKING:
    from expose.kinds import Batch

EXAMPLES = """\b
Examples:
  expose report model/ new.csv
  expose report model/ new.csv --top 50 --title "November" --out november.html
"""


@opt.reads_files
def report(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        Path,  # or Stored: typer knows no unions
        typer.Option("--out", "-o", metavar="HTML", parser=place_of, help="Page to write."),
    ] = Path("expose-report.html"),
    top: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the ranking to show, flagged or not. (default: 20 rows, or 40 images)"),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page. (default: the data's name)")] = None,
    threshold: opt.Threshold = None,
    fdr: opt.Fdr = None,
    id_columns: opt.Id = None,
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Write an HTML page about MODEL and DATA.

    It shows the ranked suspects and what makes each unusual, the scores and the training; of a classifier also its
    classes and how far its probabilities can be trusted, before and after exposure. It opens offline.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose import load

        check_output(out, data)
        if out.exists() and not out.is_file():
            raise InputError(f"--out {out} is a device or a pipe; a page needs a file of its own.")
        fitted = load(model, device=device)
        choose_rule(fitted, threshold, fdr)
        scorer = fitted.scorer(id=id_columns)
        reading = replace(read_as(scorer.reading, written), skip_bad=skip_bad)
        batch = scorer.fitted.kind.read(data, reading)
        heading = title or f"Suspects in {name_of(data[0])}"
        write_page(out, fitted, batch, reading.label, title=heading, command=command_line(), top=top, fdr=fdr)
        session.result(report=str(out), rows=len(batch.samples))
        session.say(
            f"Report          {out} ({count(len(batch.samples), scorer.fitted.kind.noun)}); open it in a browser"
        )


def write_page(out: Place, model: Any, batch: Batch, label: str | None, **options: Any) -> None:
    """Write the page about samples that were read; ``options`` as `expose.report.write_report` has them."""
    from expose.report import write_report

    known: dict[str, Any] = {}
    if hasattr(model, "classes_"):
        known["classes"] = None if batch.label is None else batch.label.to_pylist()
    else:
        known["labels"] = known_of(batch.label, label)
    write_report(out, model, batch.samples, ids=batch.ids, **known, **options)
