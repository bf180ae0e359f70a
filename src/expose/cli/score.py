"""``expose score``: files in, scores out, in the order of the rows and in bounded memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import aligned, count, percent

if TYPE_CHECKING:
    import pyarrow as pa

    from expose.estimators.detector import AnomalyDetector

SHOWN = 5


def score(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Scores file: .parquet, .csv, .csv.gz, or - for stdout."),
    ],
    threshold: opt.Threshold = None,
    id_columns: opt.Id = None,
    encoding: opt.NewEncoding = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Score the rows of DATA with MODEL.

    However many rows there are, it needs no more memory.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-") as session:
        from expose.cli.tables import check_output, roles_of
        from expose.estimators.detector import AnomalyDetector

        if out != "-":
            check_output(Path(out), data)
        detector = AnomalyDetector.load(model, device=device)
        if threshold is not None:
            detector.set_params(threshold=threshold)
        names = roles_of(detector, id_columns)
        score_file(session, detector, data, out, names, encoding or names.get("encoding", "utf-8"))


def score_file(
    session: Session,
    detector: AnomalyDetector,
    data: list[str],
    out: str,
    names: dict[str, Any],
    encoding: str,
) -> None:
    """Score, write and tell."""
    from expose.cli.tables import batches
    from expose.inputs.files import writer

    start, tally = time.perf_counter(), Tally(SHOWN)
    with writer(out) as sink:
        for table in batches(data, encoding, detector.encoder_.text_columns):
            scored = score_table(detector, table, names)
            sink.write(scored)
            tally.add(scored)
    seconds = time.perf_counter() - start
    session.result(
        rows=tally.rows,
        flagged=tally.flagged,
        threshold=detector.threshold_score(),
        top=tally.top,
        out=out,
        seconds=round(seconds, 3),
    )
    share = percent(tally.flagged / tally.rows) if tally.rows else "0 %"
    session.say(f"Scored          {count(tally.rows, 'row')} in {seconds:.1f} s")
    session.say(f"Flagged         {tally.flagged:,} ({share}) above {detector.threshold_score():.4g}")
    session.say("\n".join(["Highest         (row 0 is the first row of data)", *aligned(tally.top)]))
    if out != "-":
        session.say(f"Scores          {out}")


def score_table(detector: AnomalyDetector, table: pa.Table, names: dict[str, Any]) -> pa.Table:
    """Return the id columns of a table, then ``anomaly_score`` and ``is_anomaly``."""
    import pyarrow as pa

    from expose.cli.tables import read_again

    roles = read_again(table, names)
    scores = detector.anomaly_score(roles.features)  # (n,)
    ids = {} if roles.ids is None else dict(zip(roles.ids.column_names, roles.ids.columns, strict=True))
    return pa.table(ids | {"anomaly_score": scores, "is_anomaly": scores > detector.threshold_score()})


class Tally:
    """What is known of a stream of scores so far: counts, and the highest few."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows = self.flagged = 0
        self.top: list[dict[str, Any]] = []

    def add(self, scored: pa.Table) -> None:
        """Count a table of scores."""
        import pyarrow.compute as pc

        best = pc.select_k_unstable(scored, self.most, [("anomaly_score", "descending")])
        found = [
            {"row": self.rows + place.as_py(), **facts}
            for place, facts in zip(best, scored.take(best).drop_columns("is_anomaly").to_pylist(), strict=True)
        ]
        self.top = sorted(self.top + found, key=lambda facts: -facts["anomaly_score"])[: self.most]
        self.flagged += pc.sum(scored["is_anomaly"]).as_py() or 0
        self.rows += scored.num_rows
