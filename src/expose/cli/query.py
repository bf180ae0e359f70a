"""``expose query``: which training rows to look at next, as a table to fill in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.sources import LABEL, ROW, check_output, named
from expose.cli.text import count

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.estimators import AnomalyDetector
    from expose.kinds import Batch, Kind, Reading

EXAMPLES = """\b
Examples:
  expose query model/ transactions.parquet --out to_label.csv
  expose query model/ data.csv -k 5 --id account --out to_label.csv

Fill in the column 'label' (1 anomaly, 0 normal), then train again, and perhaps ask again:
  expose fit transactions.parquet --answers to_label.csv --out better/
"""


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
    skip_bad: opt.SkipBad = False,
    spreadsheet_safe: opt.SpreadsheetSafe = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Choose the rows of DATA whose labels MODEL needs most.

    DATA is what MODEL was trained on.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-") as session:
        from expose import AnomalyDetector
        from expose.files import writer

        check_output(out, data)
        detector = AnomalyDetector.load(model, device=device)
        scorer = detector.scorer(id=id_columns)
        kind, reading = scorer.fitted.kind, scorer.reading
        batch = kind.read(data, shown_by(replace(reading, encoding=encoding or reading.encoding, skip_bad=skip_bad)))
        rows = detector.query(batch.samples, k)
        with writer(out, spreadsheet_safe=spreadsheet_safe) as sink:
            sink.write(to_fill_in(detector, kind, batch, rows))
        session.result(rows=rows.tolist(), out=out)
        session.say(f"To look at      {count(len(rows), 'row')} of {len(batch.samples):,}, the most telling first")
        if out != "-":
            session.say(f"Fill in         the column {LABEL!r} of {out}: 1 anomaly, 0 normal, empty not known")
            session.say(f"Next            expose fit DATA --answers {out} --out {model}")


def shown_by(reading: Reading) -> Reading:
    """Read so that a person sees all columns: those that a model does not look at name the row."""
    label = () if reading.label is None else (reading.label,)
    return replace(reading, id=tuple(dict.fromkeys([*reading.id, *reading.ignore, *label])), ignore=(), label=None)


def to_fill_in(detector: AnomalyDetector, kind: Kind, batch: Batch, rows: NDArray[Any]) -> pa.Table:
    """Row number, score and an empty label of the chosen rows, then all that is known of them."""
    import pyarrow as pa

    asked = {
        ROW: pa.array(rows),
        "anomaly_score": pa.array(detector.training_scores_[rows]),
        LABEL: pa.nulls(len(rows), pa.string()),
    }
    known = {} if batch.ids is None else dict(zip(batch.ids.column_names, batch.ids.take(rows).columns, strict=True))
    samples = kind.samples(batch.samples)
    shown = [kind.show(samples, int(row)) for row in rows]
    names = dict.fromkeys(name for one in shown for name in one if name not in known)
    values = {name: column_of([one.get(name) for one in shown]) for name in names}
    return named(pa.table(known | values), asked, {})


def column_of(values: list[Any]) -> pa.Array:
    """Values as a column, as text where they are of no one type that a table can hold."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else str(value) for value in values])
