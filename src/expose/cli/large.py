"""``expose fit`` on files that memory does not hold: when, how much of them at a time, and what is said of all rows."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.answer import EXPLAINED, REASONS, SHARES, Wanted, described, explained, ranking, summary
from expose.cli.session import Session
from expose.cli.sources import ROW, answers_in, check_rows, identified, metadata_of, next_commands, read_outliers
from expose.cli.text import count
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.encoders.base import ColumnRead
    from expose.estimators import AnomalyDetector
    from expose.estimators.large import Files
    from expose.explain.reasons import Reason
    from expose.files.ranked import Runs
    from expose.files.sampling import Sample
    from expose.kinds import Batch, Kind, Reading
    from expose.scoring.pieces import Engine

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
TIMES = 6  # as many bytes as the rows have in Arrow's form are held while they are encoded and fitted
BASE = 2**29  # bytes of Python and its libraries
OF_MACHINE = 0.5  # of its memory is used without being asked
OF_SAMPLE, OF_BLOCK = 0.5, 0.125  # of the memory there is, for the sample and for a block of all rows
SURELY = 20  # times the bytes that it has on disk a file is hardly larger in memory
EVERY = 10.0  # seconds between two lines of progress
FEWEST = 2_048  # rows of a sample, which the default remembers
PLACES = [("rank", "i8"), ("row", "i8"), ("anomaly_score", "f8")]
CONTROL = Path("/sys/fs/cgroup/memory.max")


class Sizes(NamedTuple):
    """How a fit that memory does not hold is cut."""

    sample_rows: int
    block_bytes: int
    why: str


# ------------------------------------------------------------------------------------------------------- when


def memory_of(text: str | None) -> int | None:
    """A size of memory in bytes.

    Examples
    --------
    >>> memory_of("2GB"), memory_of("1.5 g"), memory_of(None)
    (2147483648, 1610612736, None)
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)i?B?\s*", text, re.IGNORECASE)
    with suppress(ValueError):
        if found and float(found[1]) > 0:
            return int(float(found[1]) * UNITS[found[2].upper()])
    raise InputError(f"--memory takes a size such as 2GB or 500MB; got {text!r}.")


def memory_here() -> int | None:
    """What is used without being asked: a part of what the machine, or the container, has; None if it does not tell."""
    found: list[int] = []
    with suppress(OSError, ValueError, AttributeError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        found.append(int(CONTROL.read_text()))
    return int(min(found) * OF_MACHINE) if found else None


def sizes_for(
    kind: Kind,
    data: Sequence[str],
    reading: Reading,
    sample_rows: int | None,
    memory: str | None,
    engine: str | None = None,
) -> Sizes | None:
    """How to cut a fit of these files; None if all their rows are read into memory, as most are without an engine."""
    from expose.files.extent import extent_of, most_bytes, size_of

    asked = memory_of(memory)
    if not kind.alone:
        if sample_rows is not None or asked is not None or engine is not None:
            raise InputError(
                f"--sample-rows, --memory and --engine fit rows drawn from DATA; {kind.plural} need those around each. "
                "Leave these options out, or fit on a part of the time."
            )
        return None
    limit = asked or memory_here()
    room = None if limit is None else max(limit - BASE, limit // 4)
    if sample_rows is None and asked is None and engine is None:
        paths = [Path(source) for source in data]
        small = all(path.is_file() for path in paths) and sum(map(size_of, paths)) * SURELY * TIMES <= (room or 0)
        if room is None or small or "-" in data:  # most are, and need not be opened to know it
            return None
        tables = kind.tables(data, reading)
        if tables is None or most_bytes(tables) * TIMES <= room:
            return None
    from expose.estimators.large import SAMPLE_ROWS, files_of
    from expose.training.stream import BLOCK_BYTES

    extent = extent_of(files_of(data, reading).tables)
    fits = room is None or extent.bytes * TIMES <= room
    few = sample_rows is not None and extent.rows is not None and extent.rows <= sample_rows
    if engine is None and (few or (sample_rows is None and fits)):
        return None
    fitting = SAMPLE_ROWS if room is None else int(OF_SAMPLE * room / (TIMES * extent.row_bytes))
    rows = sample_rows or max(FEWEST, min(SAMPLE_ROWS, fitting))
    block = BLOCK_BYTES if asked is None else int(OF_BLOCK * asked)
    needs, gigabytes = extent.bytes * TIMES / 2**30, 0 if limit is None else limit / 2**30
    why = (
        "as --sample-rows asks"
        if sample_rows
        else f"as --engine {engine} works in passes. --sample-rows would change the sample"
        if fits
        else f"as all of them would take about {needs:.1f} GB of memory, and {gigabytes:.1f} GB are used. "
        "--memory 8GB would change that, --sample-rows the sample"
    )
    return Sizes(rows, block, why)


# -------------------------------------------------------------------------------------------------------- fit


def fit_in_passes(
    session: Session,
    detector: AnomalyDetector,
    kind: Kind,
    data: Sequence[str],
    reading: Reading,
    sizes: Sizes,
    out: Path,
    command: str,
    *,
    answers: Sequence[str] = (),
    outliers: str | None = None,
    wanted: Wanted,
    engine: str | None = None,
    address: str | None = None,
) -> None:
    """Draw a sample, fit, save, score and rank all rows, report."""
    from expose.estimators.large import draw, files_of, fit_drawn, scored_runs, workplace
    from expose.estimators.prepare import seed_of

    start = time.perf_counter()
    session.say(f"Sample          {sizes.sample_rows:,} rows at random, {sizes.why}")
    files = files_of(data, reading, dict(pair for file in answers for pair in answered(file)))
    files = replace(files, progress=Pace(session.verbose))
    with ExitStack() as stack:
        files = replace(files, engine=stack.enter_context(engine_for(files, engine, address)))
        place = stack.enter_context(workplace(detector.checkpoint))
        sample = draw(files, sizes.sample_rows, seed_of(detector.random_state), place)
        sampled = time.perf_counter()
        batch = kind.trained_on(sample.table, reading)._replace(notes=files.tables.notes)
        for file in answers:
            check_answers(file, sample, batch)
        batch, reading, found = identified(kind, batch, reading)
        files = replace(files, reading=reading)
        extra = None if outliers is None else read_outliers(kind, outliers, batch.samples, reading)
        fit_drawn(detector, files, sample, batch, extra, place, sizes.block_bytes)
        save(detector, out, metadata_of(reading, command) | {"sampled": [len(sample.rows), sample.n_rows]})
        fitted = time.perf_counter()
        session.result(model=str(out))
        if detector.fitted_.interrupted:
            session.say(f"Model           {out}, of an interrupted training. The rows were not ranked.")
            return
        session.in_batches = True
        given: dict[str, Any] = {"named": wanted.file is not None, "device": detector.device}
        runs = scored_runs(detector.scorer(), files, place, **given)
        report(session, detector, files, runs, out, batch, found, wanted, start)
        ended = time.perf_counter()
    detector.forget_checkpoint()
    passes = {"sample": sampled - start, "fit": fitted - sampled, "ranking": ended - fitted}
    session.result(seconds_of={name: round(seconds, 3) for name, seconds in passes.items()})


@contextmanager
def engine_for(files: Files, name: str | None, address: str | None) -> Iterator[Engine | None]:
    """The engine that was asked for, once it is known that it can read these files."""
    from expose.scoring.engines import opened_engine
    from expose.scoring.pieces import pieces_of

    if name is None:
        yield None
        return
    pieces_of(files.tables)
    with opened_engine(name, address) as engine:
        yield engine


class Pace:
    """Says on stderr, once in a while, how many rows of a pass are done."""

    def __init__(self, verbose: int) -> None:
        self.verbose, self.said = verbose, time.monotonic()

    def __call__(self, rows: int) -> None:
        """Take note."""
        if self.verbose and time.monotonic() - self.said >= EVERY:
            print(f"{rows:,} rows done", file=sys.stderr, flush=True)
            self.said = time.monotonic()


def save(detector: AnomalyDetector, out: Path, metadata: dict[str, Any]) -> None:
    """Save without removing the checkpoint: the ranking is still to be made."""
    checkpoint = detector.checkpoint
    detector.set_params(checkpoint=None)
    detector.save(out, metadata)
    detector.set_params(checkpoint=checkpoint)


def answered(file: str) -> Iterator[tuple[int, int]]:
    """Row numbers and what was filled in of them."""
    _, rows, labels = answers_in(file)
    yield from ((row, label) for row, label in zip(rows.tolist(), labels.tolist(), strict=True) if label >= 0)


def check_answers(file: str, sample: Sample, batch: Batch) -> None:
    """Refuse answers about other rows, as far as the sample holds those that were asked about."""
    import numpy as np

    table, rows, _ = answers_in(file, sample.n_rows)
    kept = np.isin(rows, sample.rows)
    check_rows(table.filter(kept), batch, np.searchsorted(sample.rows, rows[kept]), file)


# ------------------------------------------------------------------------------------------------------ report


class Leading(NamedTuple):
    """The first rows of the whole ranking: rank, number, score, and whether they are shown."""

    rank: NDArray[Any]
    row: NDArray[Any]
    score: NDArray[Any]
    shown: NDArray[Any]


def leading(runs: Runs, explained_rows: int, top: int) -> Leading:
    """The first rows, and the first of those whose label is not known: of all rows, if every label is."""
    import numpy as np

    from expose.files.ranked import ROW as NUMBER
    from expose.files.ranked import SCORE
    from expose.scoring.passes import KNOWN

    kept: list[tuple[int, int, float, bool]] = []
    first = unknown = 0
    for table in runs.tables():
        known = table[KNOWN].to_numpy()
        asked = np.flatnonzero(known < 0)[: top - unknown]
        at = np.union1d(asked, np.arange(max(0, min(len(table), max(explained_rows, top) - first)))).astype(int)
        shown = np.isin(at, asked)
        rows, scores = table[NUMBER].to_numpy()[at], table[SCORE].to_numpy()[at]
        kept += zip((at + first + 1).tolist(), rows.tolist(), scores.tolist(), shown.tolist(), strict=True)
        first, unknown = first + len(table), unknown + len(asked)
        if unknown >= top and first >= explained_rows:
            break
    kinds = (np.int64, np.int64, np.float64, np.bool_)
    found = Leading(*(np.array([one[k] for one in kept], dtype) for k, dtype in enumerate(kinds)))
    return found if unknown or not top else found._replace(shown=found.rank <= top)


class Counts:
    """What is counted of the rows of a ranking, as they come by."""

    def __init__(self, n_rows: int, line: float) -> None:
        self.n_rows, self.line = n_rows, line
        self.flagged = self.anomalies = self.normal = self.seen = 0
        self.last: dict[float, tuple[int, float]] = {}  # of each share how many rows, and the score of the last

    def passing(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Count tables, and give them on."""
        from expose.files.ranked import SCORE
        from expose.scoring.passes import KNOWN

        for table in tables:
            scores, known = table[SCORE].to_numpy(), table[KNOWN].to_numpy()
            for share in SHARES:
                place = round(share * self.n_rows) - self.seen
                if 1 <= place <= len(scores):
                    self.last[share] = (place + self.seen, float(scores[place - 1]))
            self.flagged += int((scores > self.line).sum())
            self.anomalies += int((known == 1).sum())
            self.normal += int((known == 0).sum())
            self.seen += len(scores)
            yield table

    def facts(self) -> dict[str, Any]:
        """The same as `summary` has them."""
        shares = [{"share": share, "rows": n, "anomaly_score": score} for share, (n, score) in self.last.items()]
        return {
            "rows": self.n_rows,
            "known_anomalies": self.anomalies,
            "known_normal": self.normal,
            "flagged": self.flagged,
            "shares": shares,
        }


def report(
    session: Session,
    detector: AnomalyDetector,
    files: Files,
    runs: Runs,
    out: Path,
    batch: Batch,
    found: Sequence[ColumnRead],
    wanted: Wanted,
    start: float,
) -> None:
    """Say what was found, and write the whole ranking if it is wanted."""
    first = leading(runs, EXPLAINED if wanted.file else 0, wanted.top)
    shown, reasons = looked_at(detector, files, first)
    counts = Counts(runs.n_rows, detector.threshold_score())
    if wanted.file is None:
        for _ in counts.passing(runs.tables()):
            pass
    else:
        write(wanted, counts.passing(runs.tables()), counts.line, files.reading.label, reasons)
        session.result(out_suspects=wanted.file)
    facts = summary(detector, batch, found) | counts.facts() | {"ranking": shown}
    facts["sample_rows"] = detector.metadata_["sampled"][0]
    seconds = time.perf_counter() - start
    session.result(seconds=round(seconds, 3), **facts)
    session.say("\n".join(described(facts, seconds, named_columns=hasattr(detector, "feature_names_in_"))))
    if wanted.file is not None:
        reasons_ = f", with reasons for the first {EXPLAINED:,}" if reasons else ""
        session.say(f"Suspects        {wanted.file}: all {count(runs.n_rows, 'row')} by falling score{reasons_}")
    session.say("\n".join(next_commands(out)))


def looked_at(
    detector: AnomalyDetector, files: Files, first: Leading
) -> tuple[list[dict[str, Any]], dict[int, tuple[Reason, ...]]]:
    """The rows of the ranking that are shown, and by rank the reasons of all that lead it."""
    import numpy as np

    from expose.files.sampling import picked

    batch = files.kind.split(picked(files.tables.batches(), first.row), files.reading)
    reasons = explained(detector, batch, range(len(first.row)))
    at = np.flatnonzero(first.shown)
    places = np.rec.fromarrays([first.rank[at], at, first.score[at]], dtype=PLACES)
    shown = ranking(detector, batch, reasons, places)
    for place, one in zip(at, shown, strict=True):
        one[ROW] = int(first.row[place])
    return shown, {int(first.rank[place]): reason for place, reason in reasons.items()}


def write(
    wanted: Wanted, tables: Iterable[pa.Table], line: float, label: str | None, reasons: Mapping[int, Sequence[Reason]]
) -> None:
    """Write the whole ranking, whole or not at all."""
    from expose.estimators.large import ranking_tables
    from expose.explain.reasons import reason_columns
    from expose.files import writer

    def more(first: int, n_rows: int) -> Mapping[str, Any]:
        own = [reasons.get(rank, ()) for rank in range(first + 1, first + n_rows + 1) if rank <= EXPLAINED]
        return reason_columns(own, REASONS if reasons else 0, n_rows)

    assert wanted.file is not None
    with writer(wanted.file, spreadsheet_safe=wanted.spreadsheet_safe) as sink:
        for table in ranking_tables(tables, line, label, more):
            sink.write(table)
