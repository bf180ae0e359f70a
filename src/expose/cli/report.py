"""``expose report``: one self-contained HTML page about a model and a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import count
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose.cli.models import Model


def report(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="HTML", help="Page to write.")] = Path(
        "expose-report.html"
    ),
    top: Annotated[int, typer.Option(min=1, help="How many suspects to show.")] = 20,
    title: Annotated[str | None, typer.Option(help="Heading of the page. (default: the data's name)")] = None,
    threshold: opt.Threshold = None,
    fdr: opt.Fdr = None,
    id_columns: opt.Id = None,
    encoding: opt.NewEncoding = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write an HTML page about MODEL and DATA.

    It shows the ranked suspects and what makes each unusual, the scores and the training; of a classifier also its
    classes and how far its probabilities can be trusted, before and after exposure. It opens offline.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.cli.fit import command_line
        from expose.cli.images import check_readable
        from expose.cli.models import load_model
        from expose.cli.score import choose_rule
        from expose.cli.tables import check_output, roles_of, sources
        from expose.inputs.files import read

        check_output(out, data)
        if out.exists() and not out.is_file():
            raise InputError(f"--out {out} is a device or a pipe; a page needs a file of its own.")
        detector = load_model(model, device)
        check_readable(detector, ("table",), "expose report")
        choose_rule(detector, threshold, fdr)
        names = roles_of(detector, id_columns)
        encoding = encoding or names.get("encoding", "utf-8")
        table = read(sources(data), encoding=encoding, text=detector.encoder_.text_columns)
        write_page(out, detector, table, names, command_line(), title or f"Suspects in {Path(data[0]).name}", top, fdr)
        session.result(report=str(out), rows=table.num_rows)
        session.say(f"Report          {out} ({count(table.num_rows, 'row')}); open it in a browser")


def write_page(
    out: Path,
    detector: Model,
    table: pa.Table,
    names: dict[str, Any],
    command: str,
    title: str,
    top: int = 20,
    fdr: float | None = None,
) -> None:
    """Write the page about the rows of a table."""
    from expose.cli.tables import read_again
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.report import write_class_report, write_report

    roles = read_again(table, names, with_labels=not isinstance(detector, OutlierExposureClassifier))
    ids = roles.ids.to_pydict() if roles.ids is not None else None
    told: dict[str, Any] = {"ids": ids, "title": title, "command": command, "top": top, "fdr": fdr}
    if isinstance(detector, OutlierExposureClassifier):
        known = table[names["label"]].to_pylist() if names["label"] in table.column_names else None
        write_class_report(out, detector, roles.features, known, **told)
    else:
        write_report(out, detector, roles.features, labels=roles.labels, **told)
