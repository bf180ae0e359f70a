"""``expose query``: which training rows to look at next, as a table to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import count

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.estimators.detector import AnomalyDetector

ROW, LABEL = "row", "label"


def query(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Table to fill in: .csv, .csv.gz, .parquet, or - for stdout."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=4096, help="How many rows.")] = 20,
    id_columns: opt.Id = None,
    encoding: opt.NewEncoding = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Choose the rows of DATA whose labels MODEL needs most.

    DATA is what MODEL was trained on.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-") as session:
        from expose.cli.images import check_readable, image_roles, needs_images, refuse_columns
        from expose.cli.tables import check_output, read_again, roles_of, sources
        from expose.estimators.detector import AnomalyDetector
        from expose.inputs.files import read, writer

        if out != "-":
            check_output(Path(out), data)
        detector = AnomalyDetector.load(model, device=device)
        names = roles_of(detector, id_columns)
        check_readable(detector, ("table", "image"), "expose query")
        if detector.encoder_.layout.kind == "image":
            refuse_columns(id=id_columns)
            roles = image_roles(needs_images(data))
            table: Any = roles.ids
        else:
            chosen_encoding = encoding or names.get("encoding", "utf-8")
            table = read(sources(data), encoding=chosen_encoding, text=detector.encoder_.text_columns)
            roles = read_again(table, names)
        rows = detector.query(k, roles.features)
        with writer(out) as sink:
            sink.write(to_fill_in(detector, table, rows))
        session.result(rows=rows.tolist(), out=out)
        session.say(f"To look at      {count(len(rows), 'row')} of {table.num_rows:,}, the most telling first")
        if out != "-":
            session.say(f"Fill in         the column {LABEL!r} of {out}: 1 anomaly, 0 normal, empty not known")
            session.say(f"Next            expose fit DATA --answers {out} --out {model}")


def to_fill_in(detector: AnomalyDetector, table: pa.Table, rows: NDArray[Any]) -> pa.Table:
    """Return row number, score and an empty label of the chosen rows, then all their columns."""
    import pyarrow as pa

    shown = table.take(rows)
    asked = {
        ROW: pa.array(rows),
        "anomaly_score": pa.array(detector.training_scores_[rows]),
        LABEL: pa.nulls(len(rows), pa.string()),
    }
    rest = {name: column for name, column in zip(shown.column_names, shown.columns, strict=True) if name not in asked}
    return pa.table(asked | rest)
