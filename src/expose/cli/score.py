"""``expose score``: files in, scores out, in the order of the rows and in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.engines import check_address, check_engine_output, score_on_engine
from expose.cli.live import NOT_LIVE, score_live, why_not_live
from expose.cli.maps import MOST, Maps, check_maps, whole_folder
from expose.cli.moved import Glimpse
from expose.cli.reasons import explained_tables
from expose.cli.session import Session
from expose.cli.sources import check_output, read_as, reading_errors
from expose.cli.spans import Spans
from expose.cli.summary import Tally, by_p_values, by_threshold, drift_of, flagged_anew, summarise
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose import Scorer

EXAMPLES = """\b
Examples:
  expose score model/ new.csv --out scores.parquet
  expose score model/ 'logs/*.parquet' --threshold 0.001 --out scores.csv.gz
  expose score model/ new.csv --fdr 0.1 --out scores.csv
  expose score model/ suspicious.csv --explain 3 --out scores.csv
  nc -lk 9000 | expose score model/ - --out - --state state
  expose score model/ photos/ --maps maps/ --out scores.csv
  expose score s3://bank/model s3://bank/new/ --out s3://bank/scores.parquet
  expose score model/ sqlite:///shop.db --query 'select * from new' --out s.csv
  expose score model/ rows/ --engine ray --address ray://head:10001 --out scores/

The scores file keeps the order of the rows or photos: id columns, then anomaly_score (higher = more anomalous)
and is_anomaly; p_value too, if the model was fitted with --calibration. A classifier also writes
predicted_class and its probability. With --explain follow reason_1, reason_1_share (of what the score
is above that of typical ones), reason_2, and so on, of each. With --engine, --out may be a folder
(a name without an ending), of one file for each piece of the data.
"""


@opt.reads_files
def score(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Scores file: .parquet, .csv, .csv.gz, or - for stdout; or the new table postgresql://...#TABLE.",
        ),
    ],
    threshold: opt.Threshold = None,
    fdr: opt.Fdr = None,
    explain: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10,
            help="Also name N columns, or parts of a photo, that make each anomalous. It takes 100 times as long.",
        ),
    ] = None,
    maps: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Of photos: heat maps of the most anomalous, as pictures.")
    ] = None,
    maps_top: Annotated[int, typer.Option(metavar="N", min=1, help="Of how many photos.")] = MOST,
    maps_with: Annotated[
        str | None, typer.Option(metavar="mask,map", help="Write masks, raw maps or both beside the pictures.")
    ] = None,
    spans: Annotated[
        str | None, typer.Option(metavar="FILE", help="Of series and videos: what is flagged as spans.")
    ] = None,
    id_columns: opt.Id = None,
    state: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of rows scored as they come, from - to -: kept there, to go on from."),
    ] = None,
    delay: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Of series, likewise: score a row when N later steps have come."),
    ] = None,
    fail_on_drift: Annotated[
        bool, typer.Option(help="End with exit code 4 if the data have moved since training; scores are written.")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(metavar="NAME", help="Score Parquet files by ray, dask or spark, in many processes.")
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="URL", help=opt.ADDRESS)] = None,
    skip_bad: opt.SkipBad = False,
    spreadsheet_safe: opt.SpreadsheetSafe = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Score the rows or photos of DATA with MODEL.

    However many there are, it needs no more memory.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-", in_batches=True) as session:
        from expose import load

        session.fails_when_moved = fail_on_drift
        if engine is None:
            check_output(out, data)
        else:
            check_engine_output(out, data)
        check_address(engine, address)
        fitted = load(model, device=device)
        choose_rule(fitted, threshold, fdr)
        scorer = fitted.scorer(id=id_columns)
        scorer.fitted.encoder.verbose = session.verbose
        scorer.reading = replace(read_as(scorer.reading, written), skip_bad=skip_bad)
        if explain is not None:
            from expose.explain.reasons import check_explainable

            check_explainable(scorer.fitted)
        drawn = wanted_maps(scorer, maps, maps_top, maps_with, data, model, engine)
        given: dict[str, Any] = {"reasons": explain or 0, "spreadsheet_safe": spreadsheet_safe}
        if spans is not None and engine is not None:
            raise InputError("--spans is written by this process; leave out --engine.")
        if comes(session, scorer, data, out, state, delay, plain=not any([engine, fdr, explain, maps, spans])):
            score_live(session, scorer, state, delay, spreadsheet_safe=spreadsheet_safe)
        elif engine is None:
            together = None if spans is None else Spans(scorer, spans, data)
            score_files(session, scorer, data, out, fdr, maps=drawn, spans=together, **given)
        else:
            on: dict[str, Any] = {"engine": engine, "address": address, "model": model, "device": device}
            score_on_engine(session, scorer, data, out, fdr, **given, **on)


def comes(
    session: Session, scorer: Scorer, data: list[str], out: str, state: str | None, delay: int | None, *, plain: bool
) -> bool:
    """Whether rows are scored as they come; where they are not, and could have been meant to be, it says why."""
    asked = state is not None or delay is not None
    if data != ["-"] or out != "-":
        why = "" if not asked else NOT_LIVE
    else:
        why = why_not_live(scorer) if plain else "--explain, --spans, --fdr, --maps and --engine look at all rows"
        if not why:
            return True
    if asked:
        raise InputError(f"{why.removesuffix('.')}. Leave out --state and --delay, or say it so.")
    if why:
        session.say(f"All rows are read before they are scored: {why.removesuffix('.')}.")
    return False


def wanted_maps(
    scorer: Scorer, folder: str | None, most: int, also: str | None, data: list[str], model: Any, engine: str | None
) -> Maps | None:
    """What gathers the photos that are to be drawn, if any, after all checks."""
    if folder is None:
        if also is not None:
            raise InputError("--maps-with says what is written beside the pictures of --maps FOLDER; give that, too.")
        return None
    if engine is not None:
        raise InputError("--maps writes pictures from this process; leave out --engine.")
    kinds = [one.strip() for one in (also or "").split(",") if one.strip()]
    check_maps(scorer.fitted, folder, data, model, kinds)
    return Maps(scorer, folder, most, kinds)


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
    maps: Maps | None = None,
    spans: Spans | None = None,
    spreadsheet_safe: bool = False,
) -> None:
    """Score, write and report; ``reasons`` are given of each row, at most so many."""
    from expose.files import writer

    start, tally, glimpse = time.perf_counter(), Tally(drift=drift_of(scorer)), Glimpse(scorer)
    scored = reading_errors(tables_of(scorer, data, reasons, maps, spans, glimpse))
    with ExitStack() as stack:
        draft = None if maps is None else stack.enter_context(whole_folder(maps.folder))
        sink = stack.enter_context(writer(out, spreadsheet_safe=spreadsheet_safe))
        if fdr is None:
            rule = by_threshold(scorer)
        else:
            scored, cutoff = stack.enter_context(selected(scored, fdr))
            rule = by_p_values(fdr, cutoff)
        for table in scored if spans is None else spans.scored(scored):
            sink.write(table)
            tally.add(table)
        if maps is not None and draft is not None:
            maps.draw(draft)
    summarise(session, scorer, tally, rule, out, time.perf_counter() - start, reasons, glimpse)
    if maps is not None:
        maps.summarise(session)
    if spans is not None:
        spans.write(session, spreadsheet_safe=spreadsheet_safe)


def tables_of(
    scorer: Scorer, data: list[str], reasons: int, maps: Maps | None, spans: Spans | None, glimpse: Glimpse
) -> Iterator[pa.Table]:
    """Scored tables of files, with or without reasons and maps."""
    batches = glimpse.read(scorer.fitted.kind.scan(data, scorer.reading))
    if not reasons and maps is None and spans is None:
        return (scorer.table(batch) for batch in batches)
    return explained_tables(scorer, batches if spans is None else spans.read(batches), reasons, maps)


@contextmanager
def selected(scored: Iterator[pa.Table], rate: float) -> Iterator[tuple[Iterator[pa.Table], float]]:
    """Flag by p-values over all rows together: again the tables, flagged anew, and the largest p-value selected.

    The tables wait in a temporary file, since the first cannot be flagged before the last p-value is known.
    """
    import pyarrow as pa

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
        yield (flagged_anew(batch, cutoff) for batch in pa.ipc.open_stream(file)), cutoff
