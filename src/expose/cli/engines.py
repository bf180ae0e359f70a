"""``expose score --engine``: Parquet files scored by many processes, and put together here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from expose.cli.reasons import explained_tables
from expose.cli.session import Session
from expose.cli.sources import check_output
from expose.cli.summary import Rule, Tally, by_p_values, by_threshold, drift_of, flagged_anew, summarise
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose import Scorer
    from expose.decide import Drift, StepUp
    from expose.scoring.pieces import Batches, Engine, Pieces, Work
    from expose.scoring.work import Scoring


def check_address(engine: str | None, address: str | None) -> None:
    """Refuse the address of no engine."""
    if engine is None and address is not None:
        raise InputError("--address is that of a cluster; say by --engine of which: ray, dask or spark.")


def check_engine_output(out: str, data: list[str]) -> None:
    """Refuse what parts cannot be written to, before any work is done."""
    from expose.files import check_format, is_database

    if out == "-" or "://" in out or is_database(out):
        raise InputError("--engine writes a file, or a folder of parts, on a drive; give --out the name of one.")
    if not is_folder(out):
        check_format(out)
    elif os.path.lexists(out):
        raise InputError(
            f"--out {out} is there already. Remove it, or give another name; a name with an ending such "
            "as .parquet is that of a file, which is replaced."
        )
    check_output(out, data)


def is_folder(out: str) -> bool:
    """Whether a name is that of a folder of parts: one without an ending."""
    return not Path(out).suffix


def score_on_engine(
    session: Session,
    scorer: Scorer,
    data: list[str],
    out: str,
    fdr: float | None = None,
    *,
    engine: str,
    address: str | None,
    model: Path,
    device: str,
    reasons: int = 0,
    spreadsheet_safe: bool = False,
) -> None:
    """Score, write and report, as `score_files` does in one process.

    Parts are written into a hidden folder beside ``out``, which the next run removes if this one is killed.
    """
    from expose.atomic import all_or_nothing, publish
    from expose.files import scan, writer
    from expose.scoring.engines import opened_engine
    from expose.scoring.work import scoring_by

    start = time.perf_counter()
    pieces, scoring = pieces_in(data), scoring_by(scorer, model, device)
    work: Work = Explaining(scoring, reasons) if reasons else scoring
    target = Path(os.path.realpath(out))
    with all_or_nothing(target.with_name(f"{target.name}.parts")) as draft:
        with opened_engine(engine, address) as cluster:
            done = scored_by(cluster, work, pieces, draft, by_threshold(scorer), fdr, drift_of(scorer))
        if is_folder(out):
            publish(done.folder, target)
        else:
            with writer(target, spreadsheet_safe=spreadsheet_safe) as sink:
                for batch in scan([done.folder]):
                    sink.write(batch)
    summarise(session, scorer, done.tally, done.rule, out, time.perf_counter() - start, reasons)


def pieces_in(data: list[str]) -> Pieces:
    """Plan the pieces of Parquet files; of what is no table say so."""
    from expose.kinds import Reading, kind_of_files
    from expose.scoring.pieces import pieces_of

    try:
        return pieces_of(data)
    except (InputError, FileNotFoundError) as error:
        kind = kind_of_files(data)
        if kind.tables(data, Reading()) is not None:
            raise
        raise InputError(
            f"--engine takes Parquet tables; got {kind.plural}. Leave out --engine; or give a Parquet table that names "
            "the file of each in a column, and that column: --photo COLUMN."
        ) from error


class Scored(NamedTuple):
    """A folder of parts, what was counted of them, and what flagged them."""

    folder: Path
    tally: Tally
    rule: Rule


def scored_by(
    cluster: Engine, work: Work, pieces: Pieces, draft: Path, rule: Rule, fdr: float | None, drift: Drift
) -> Scored:
    """Score pieces into a folder of a draft; with ``fdr`` flag the parts anew, in a second pass."""
    from expose.decide import StepUp
    from expose.scoring.pieces import pieces_of, run

    if fdr is not None:
        folder, p_values = fresh(draft), StepUp()
        for one in run(cluster, work, pieces, folder, PValues):
            p_values.merge(one.seen)
        cutoff = p_values.cutoff(fdr)
        work, pieces, rule = Selecting(cutoff), pieces_of([str(folder)]), by_p_values(fdr, cutoff)
    folder, tally = fresh(draft), Tally(drift=drift)
    for following in run(cluster, work, pieces, folder, partial(Tally, drift=drift)):
        tally.merge(following)
    return Scored(folder, tally, rule)


def fresh(draft: Path) -> Path:
    """A new folder in a draft, of a name that no worker of an earlier run knows: one may still be writing."""
    folder = draft / uuid4().hex
    folder.mkdir(parents=True)
    return folder


class PValues:
    """Counts the p-values of a piece."""

    def __init__(self, first_row: int) -> None:
        from expose.decide import StepUp

        self.seen: StepUp = StepUp()

    def add(self, table: pa.Table) -> None:
        """Count those of a table of scores."""
        self.seen.add(table["p_value"].to_numpy())


@dataclass(frozen=True)
class Explaining:
    """Scoring with the reasons of every row."""

    scoring: Scoring
    most: int

    def __call__(self, batches: Batches, first_row: int) -> Iterator[pa.RecordBatch]:
        """Score the batches of a piece."""
        import pyarrow as pa

        scorer, read = self.scoring.opened(), self.scoring.numbered(batches, first_row)
        split = (scorer.fitted.kind.split(pa.Table.from_batches([one]), scorer.reading) for one in read)
        for table in explained_tables(scorer, split, self.most):
            yield from table.combine_chunks().to_batches()


@dataclass(frozen=True)
class Selecting:
    """Flags what was scored by its p-values."""

    cutoff: float

    def __call__(self, batches: Batches, first_row: int) -> Iterator[pa.RecordBatch]:
        """Flag the batches of a piece."""
        for batch in batches:
            yield from flagged_anew(batch, self.cutoff).to_batches()
