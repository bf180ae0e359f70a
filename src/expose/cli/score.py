"""``expose score``: files in, scores out, in the order of the rows and in bounded memory."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.reasons import check_explainable, explained_tables, folded
from expose.cli.session import Session
from expose.cli.sources import ROW, check_output, named, read_as, reading_errors
from expose.cli.text import aligned, count, percent
from expose.errors import DataWarning, InputError
from expose.stores import without_secrets

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose import Scorer

EXAMPLES = """\b
Examples:
  expose score model/ new.csv --out scores.parquet
  expose score model/ 'logs/*.parquet' --threshold 0.001 --out scores.csv.gz
  expose score model/ new.csv --fdr 0.1 --out scores.csv
  expose score model/ suspicious.csv --explain 3 --out scores.csv
  cat new.csv | expose score model/ - --out - | head

The scores file keeps the order of the rows: id columns, then anomaly_score (higher = more anomalous)
and is_anomaly; p_value too, if the model was fitted with --calibration. A classifier also writes
predicted_class and its probability. With --explain follow reason_1, reason_1_share (of what the score
is above that of typical rows), reason_2, and so on, of every row.
"""
SHOWN = 5
TRAINED_ON = (
    "These look like the rows that the model was trained on. Their p-values are no evidence: they compare rows with "
    "themselves. Use p-values for rows that the model has not seen."
)


@opt.reads_files
def score(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Scores file: .parquet, .csv, .csv.gz, or - for stdout."),
    ],
    threshold: opt.Threshold = None,
    fdr: opt.Fdr = None,
    explain: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10,
            help="Also name N columns that make each row anomalous. Takes a hundred times as long.",
        ),
    ] = None,
    id_columns: opt.Id = None,
    skip_bad: opt.SkipBad = False,
    spreadsheet_safe: opt.SpreadsheetSafe = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Score the rows of DATA with MODEL.

    However many rows there are, it needs no more memory.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-", in_batches=True) as session:
        from expose import load

        check_output(out, data)
        fitted = load(model, device=device)
        choose_rule(fitted, threshold, fdr)
        scorer = fitted.scorer(id=id_columns)
        scorer.reading = replace(read_as(scorer.reading, written), skip_bad=skip_bad)
        if explain is not None:
            check_explainable(scorer.fitted)
        score_files(session, scorer, data, out, fdr, reasons=explain or 0, spreadsheet_safe=spreadsheet_safe)


def choose_rule(model: Any, threshold: str | None, fdr: float | None) -> None:
    """Let the one rule that was asked for decide, or refuse it before any work is done."""
    if fdr is not None and threshold is not None:
        raise InputError("--fdr and --threshold are two ways to decide; give one of them.")
    if fdr is not None:
        from expose.decide import check_rate, needs_calibration

        check_rate("--fdr", fdr)
        needs_calibration(model.calibration_scores_)
        return
    if threshold is not None:
        model.set_params(threshold=opt.threshold_of(threshold))
    model.threshold_score()


def score_files(
    session: Session,
    scorer: Scorer,
    data: list[str],
    out: str,
    fdr: float | None = None,
    *,
    reasons: int = 0,
    spreadsheet_safe: bool = False,
) -> None:
    """Score, write and report; ``reasons`` are given of each row, at most so many."""
    from expose.files import writer

    start, tally = time.perf_counter(), Tally(SHOWN)
    scored = reading_errors(explained_tables(scorer, data, reasons) if reasons else scorer.scan(data))
    with writer(out, spreadsheet_safe=spreadsheet_safe) as sink, ExitStack() as stack:
        if fdr is None:
            facts, rule = by_threshold(scorer)
        else:
            scored, cutoff = stack.enter_context(selected(scored, fdr))
            facts, rule = by_p_values(fdr, cutoff)
        for table in scored:
            sink.write(table)
            tally.add(table)
    seconds = time.perf_counter() - start
    counts = {"rows": tally.rows, "flagged": tally.flagged}
    session.result(**counts, **facts, top=tally.top, out=without_secrets(out), seconds=round(seconds, 3))
    share = percent(tally.flagged / tally.rows) if tally.rows else "0 %"
    session.say(f"Scored          {count(tally.rows, 'row')} in {seconds:.1f} s")
    session.say(f"Flagged         {tally.flagged:,} ({share}) {rule}")
    if any(map(tally.is_of, known_scores(scorer))):
        warnings.warn(TRAINED_ON, DataWarning, stacklevel=2)
    top = [folded(one, reasons) for one in tally.top] if reasons else tally.top
    session.say("\n".join(["Highest         (row 0 is the first row of data)", *aligned(top)]))
    if out != "-":
        session.say(f"Scores          {without_secrets(out)}")


def by_threshold(scorer: Scorer) -> tuple[dict[str, Any], str]:
    """What decides, for machines and for people: a threshold."""
    line = scorer.fitted.threshold_score(scorer.threshold)
    rule = scorer.fitted.threshold_rule(scorer.threshold)
    return {"threshold": line, "threshold_rule": rule}, f"above {line:.4g}; {rule}"


def by_p_values(rate: float, cutoff: float) -> tuple[dict[str, Any], str]:
    """What decides, for machines and for people: p-values over all rows."""
    facts = {"threshold": None, "threshold_rule": "Benjamini-Hochberg", "fdr": rate, "p_value_cutoff": cutoff}
    reach = f"with p-values up to {cutoff:.4g}" if cutoff else "as no p-value is small enough"
    return facts, f"{reach}; Benjamini-Hochberg, false discoveries at most {percent(rate)}"


def known_scores(scorer: Scorer) -> Iterator[NDArray[np.float64]]:
    """Yield scores of rows whose p-values are no evidence: those trained on, and those that p-values compare with."""
    import numpy as np

    training, calibration = scorer.fitted.training_scores, scorer.fitted.calibration_scores
    if calibration is not None:
        yield from (training, calibration, np.concatenate([training, calibration]))  # together perhaps one table


@contextmanager
def selected(scored: Iterator[pa.Table], rate: float) -> Iterator[tuple[Iterator[pa.Table], float]]:
    """Flag by p-values over all rows together: again the tables, flagged anew, and the largest p-value selected.

    The tables wait in a temporary file, since the first cannot be flagged before the last p-value is known.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from expose.decide import StepUp

    tally = StepUp()
    with TemporaryFile() as file:
        first = next(scored)  # there is one: a source without rows is refused
        with pa.ipc.new_stream(file, first.schema) as stream:
            for table in chain([first], scored):
                tally.add(table["p_value"].to_numpy())
                stream.write_table(table)
        file.seek(0)
        cutoff = tally.cutoff(rate)

        def again() -> Iterator[pa.Table]:
            for batch in pa.ipc.open_stream(file):
                table = pa.Table.from_batches([batch])
                place = table.column_names.index("is_anomaly")
                yield table.set_column(place, "is_anomaly", pc.less_equal(table["p_value"], cutoff))

        yield again(), cutoff


class Tally:
    """What is known of a stream of scores so far: counts, and the highest few."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows = self.flagged = 0
        self.total = 0.0
        self.top: list[dict[str, Any]] = []

    def add(self, scored: pa.Table) -> None:
        """Count a table of scores."""
        import pyarrow.compute as pc

        best = pc.select_k_unstable(scored, self.most, [("anomaly_score", "descending")])
        shown = scored.take(best).drop_columns("is_anomaly")
        found = named(shown, {ROW: pc.add(best, self.rows)}, {}, quiet=True).to_pylist()
        self.top = sorted(self.top + found, key=lambda facts: -facts["anomaly_score"])[: self.most]
        self.total += pc.sum(scored["anomaly_score"]).as_py()
        self.flagged += pc.sum(scored["is_anomaly"]).as_py() or 0
        self.rows += scored.num_rows

    def is_of(self, scores: NDArray[np.float64]) -> bool:
        """Whether these were, to all appearance, the rows that have these scores."""
        return self.rows == len(scores) and math.isclose(self.total, float(scores.sum()), rel_tol=1e-6)
