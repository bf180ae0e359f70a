"""Files that memory does not hold: one pass draws a sample, networks walk through all rows, one pass ranks them.

What is fitted is fitted on the sample, as on a table in memory; only the epochs of objectives that descend gradients
see all rows. All scores are those of `Scorer`. The processes of an engine may do the two passes, see
`expose.scoring.passes`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.atomic import whole_file
from expose.encoders import Encoder
from expose.errors import DataWarning, InputError
from expose.estimators.common import passes_beside
from expose.estimators.prepare import Prepared
from expose.estimators.samples import encode_more
from expose.files import Tables, with_ids
from expose.files.ranked import ROW, RUN_ROWS, SCORE, Runs
from expose.files.sampling import Sample, drawn
from expose.kinds import Batch, Reading, kind_of_files
from expose.model import Fitted
from expose.objectives import Descend
from expose.scoring import Scorer
from expose.scoring.passes import KNOWN, Known, Rows, sample_on, scores_on
from expose.scoring.pieces import Engine, pieces_of
from expose.training import Trained, train
from expose.training.stream import BLOCK_BYTES, Blocks, stored

SAMPLE_ROWS = 200_000
AT_ONCE = 65_536  # rows of a batch

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Files(Rows):
    """Files of rows that can be read again and again, a few rows at a time.

    Attributes
    ----------
    sources : tuple of str
    tables : Tables
        The files, looked at.
    engine : Engine, optional
        Whose processes do the passes that look at rows one by one.
    progress : callable
        Is told how many rows of a pass are done.
    """

    sources: tuple[str, ...]
    tables: Tables
    engine: Engine | None = None
    progress: Callable[[int], None] = lambda _: None

    @property
    def rows(self) -> Rows:
        """What is sent to other processes."""
        return Rows(self.kind, self.reading, self.known)

    def raw(self) -> Iterator[pa.RecordBatch]:
        """All rows as they come, some at a time."""
        done = 0
        for batch in self.tables.batches(AT_ONCE):
            yield batch
            done += len(batch)
            self.progress(done)

    def batches(self, columns: tuple[str, ...]) -> Iterator[tuple[Batch, NDArray[np.int64]]]:
        """All rows, some at a time, for a model that was fitted on these columns, with their numbers."""
        done = 0
        for batch in self.kind.scan(self.sources, replace(self.reading, later=True, features=columns)):
            yield batch, np.arange(done, done + len(batch.samples))
            done += len(batch.samples)
            self.progress(done)

    def fingerprint(self) -> str:
        """A digest of files and how they are read; of files that do not tell when they changed, new at each call."""
        states = [state_of(file.label) for file in self.tables.files]
        said = [states, repr(self.reading), sorted(self.known.items()), version("expose")]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def files_of(sources: Paths, reading: Reading, known: Known | None = None) -> Files:
    """Look at files.

    Raises
    ------
    InputError
        When they are no tables, or can be read only once.
    """
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    names = tuple(map(str, listed))
    for name in names:
        if name == "-" or (Path(name).exists() and not Path(name).is_file() and not Path(name).is_dir()):
            raise InputError(
                f"{'standard input' if name == '-' else name} can be read only once, and a fit of more rows than "
                "memory holds reads them several times. Write them to a file first, best Parquet."
            )
    kind = kind_of_files(names, reading)
    tables = kind.tables(names, reading)
    if tables is None:
        raise InputError(
            f"samples of rows and engines are for tables; got {kind.plural}, which are fitted all together. Leave out "
            "--engine, --sample-rows and --memory; in Python call fit instead of fit_files."
        )
    return Files(kind, reading, known or {}, names, tables)


def state_of(label: str) -> list[Any]:
    """What changes when a file does."""
    try:
        found = os.stat(label)
    except OSError:  # a member of an archive, or far away
        return [label, os.urandom(16).hex()]
    return [os.path.abspath(label), found.st_size, found.st_mtime_ns]


@contextmanager
def workplace(checkpoint: str | Path | None) -> Iterator[Path]:
    """A folder for what passes leave: beside the checkpoint, where the same call finds it, or else a temporary one."""
    if checkpoint is None:
        with tempfile.TemporaryDirectory(prefix="expose-") as folder:
            yield Path(folder)
        return
    place = passes_beside(checkpoint)
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place
    finally:
        with suppress(OSError):  # something is in it that the same call goes on from
            place.rmdir()


# --------------------------------------------------------------------------------------------------------- sample


def draw(files: Files, size: int, seed: int, place: Path) -> Sample:
    """Draw the sample in one pass, or find the one that was drawn before."""
    path, mark = place / "sample.arrow", json.dumps([files.fingerprint(), size, seed])
    found = kept_sample(path, mark)
    if found is None:
        if files.engine is None:
            found = files.drawn_from(files.raw(), 0, seed, size)
        else:
            found = sample_on(files.engine, pieces_of(files.tables), files.rows, seed, size, place)
        table = found[0].replace_schema_metadata({"mark": mark, "n_rows": str(found[1])})
        with whole_file(path) as file, pa.ipc.new_file(file, table.schema) as kept:
            kept.write_table(table)
    return drawn(*found, seed)


def kept_sample(path: Path, mark: str) -> tuple[Any, int] | None:
    """A sample that was drawn by the same call before."""
    if not path.exists():
        return None
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    said = table.schema.metadata
    same = said[b"mark"] == mark.encode()
    return (table.replace_schema_metadata(None), int(said[b"n_rows"])) if same else None


# ------------------------------------------------------------------------------------------------------- training


def all_rows(prepared: Prepared, files: Files, place: Path, block_bytes: int = BLOCK_BYTES) -> Prepared:
    """Let the epochs of an objective that descends gradients walk through all rows; others have what they need.

    They are encoded into a file first.
    """
    if not isinstance(prepared.plan.objective.recipe, Descend):
        return prepared
    plan, encoder = prepared.plan, prepared.encoded.encoder
    mark = hashlib.sha256(f"{files.fingerprint()} {digest_of(encoder, prepared)}".encode()).hexdigest()
    store = stored(place / "encoded", mark, encoded_batches(files, prepared))
    data = Blocks(**vars(prepared.data), store=store, seed=prepared.root, block_bytes=block_bytes)
    fingerprint = f"{plan.fingerprint}-{mark}-{data.n_blocks}" if plan.fingerprint else ""
    return replace(prepared, plan=replace(plan, fingerprint=fingerprint), data=data)


def encoded_batches(files: Files, prepared: Prepared) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int8] | None]]:
    """Encode all rows, some at a time, with what is known of each part."""
    encoded = prepared.encoded
    for batch, rows in files.batches(encoded.columns):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the pass that scores these rows gives it
            parts = encode_more(encoded, batch.samples)
        known = files.labels(batch, rows).repeat(encoded.parts_per_sample) if files.has_known else None
        yield parts, known


def digest_of(encoder: Encoder, prepared: Prepared) -> str:
    """A digest of an encoder by what it makes of the sample."""
    return hashlib.sha256(repr(encoder.layout).encode() + np.ascontiguousarray(prepared.encoded.parts).data).hexdigest()


class Detector(Protocol):
    """What `AnomalyDetector.fit` is made of."""

    def prepare(self, X: Any, labels: Any, outliers: Any) -> Prepared:
        """Check and encode."""
        ...

    def conclude(self, prepared: Prepared, trained: Trained, outliers: Any) -> Any:
        """Take over what was trained."""
        ...

    def take_over(self, fitted: Fitted) -> Any:
        """Hold a fitted model."""
        ...

    fitted_: Fitted


def fit_drawn(
    detector: Detector,
    files: Files,
    sample: Sample,
    batch: Batch,
    outliers: Any,
    place: Path,
    block_bytes: int = BLOCK_BYTES,
) -> None:
    """Fit on what a sampling pass drew, ``batch``; exactly as `AnomalyDetector.fit` does if that is all there is."""
    labels = files.labels(batch, sample.rows) if files.has_known else None
    whole = len(sample.rows) == sample.n_rows
    try:
        prepared = detector.prepare(batch.samples, labels, outliers)
    except InputError as error:
        raise error if whole else InputError(renumbered(str(error), sample.rows)) from error
    there = prepared if whole else all_rows(prepared, files, place, block_bytes)
    trained = train(there.plan, there.data)
    detector.conclude(prepared, trained, outliers)
    if not whole:
        detector.take_over(measured(detector.fitted_, sample))


def renumbered(text: str, rows: NDArray[np.int64]) -> str:
    """A message about rows of a sample, by the numbers that they have in the files.

    >>> renumbered("row 1 (counting from 0) holds inf", np.array([7, 190]))
    'row 190 (counting from 0) holds inf'
    """
    return re.sub(r"\brow (\d+)\b", lambda found: f"row {rows[min(int(found[1]), len(rows) - 1)]}", text)


def measured(fitted: Fitted, sample: Sample) -> Fitted:
    """The model with the training scores of a uniform sample: known rows that were kept first would distort shares."""
    n_sample, streamed = len(sample.rows), isinstance(fitted.objective.recipe, Descend)
    who = "the epochs walked through all of them; all else" if streamed else "it"
    note = f"The model is of {sample.n_rows:,} rows: {who} was fitted on a random sample of {n_sample:,}."
    own = {name: getattr(fitted, name)[sample.uniform] for name in ("training", "latent", "known")}
    notes = [renumbered(one, sample.rows) for one in fitted.notes]
    return replace(fitted, notes=[*notes, note], lines={}, **own)


# -------------------------------------------------------------------------------------------------------- ranking


def scored_runs(scorer: Scorer, files: Files, place: Path, *, named: bool = True, device: str = "auto") -> Runs:
    """Score all rows and sort them on disk, ``named`` with their ids; an engine's processes on this device.

    Goes on behind the rows that the same call scored before it was killed.
    """
    mark = hashlib.sha256(f"{files.fingerprint()} {named} {model_digest(scorer.fitted)}".encode()).hexdigest()
    folder = place / f"ranking-{mark[:32]}"
    for other in place.glob("ranking-*"):
        if other != folder:
            shutil.rmtree(other)
    runs = Runs(folder, RUN_ROWS)
    for table in scored(scorer, files, place, named=named, done=runs.n_rows, device=device):
        runs.add(table)
    runs.end()
    return runs


def scored(scorer: Scorer, files: Files, place: Path, *, named: bool, done: int, device: str) -> Iterator[pa.Table]:
    """Score the rows from that of number ``done`` on, here or by an engine."""
    if files.engine is None:
        for batch, rows in files.batches(scorer.fitted.columns):
            if rows[-1] >= done:  # where an engine scored the rows before, they may end within a batch
                yield files.ranked(scorer, batch, rows, named=named).slice(max(done - int(rows[0]), 0))
        return
    given: dict[str, Any] = {"named": named, "done": done, "device": device}
    for table in scores_on(files.engine, pieces_of(files.tables), files.rows, scorer, place, **given):
        yield table
        done += len(table)
        files.progress(done)


def model_digest(fitted: Fitted) -> str:
    """A digest of what a model scores by."""
    digest = hashlib.sha256(np.ascontiguousarray(fitted.training).data)
    for name, weight in sorted(fitted.weights().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weight.numpy()).data)
    return digest.hexdigest()


def ranking_tables(
    tables: Iterable[pa.Table],
    line: float,
    label: str | None = None,
    more: Callable[[int, int], Mapping[str, Any]] = lambda *_: {},
) -> Iterator[pa.Table]:
    """The whole ranking, a few thousand rows at a time: rank, row, ids, score, whether above a line, and the label.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Of `Runs`.
    line : float
    label : str, optional
        Name of the column of what is known of each row; there is none without.
    more : callable
        From the first rank of a table, counted from 0, and how many there are, to further columns.
    """
    first = 0
    for table in tables:
        n_rows, scores = len(table), table[SCORE].to_numpy()
        known = table[KNOWN].to_numpy()
        results = {"anomaly_score": pa.array(scores), "above_line": pa.array(scores > line), **more(first, n_rows)}
        if label is not None:
            results[label] = pa.array(known, mask=known < 0)
        ids = table.drop_columns([SCORE, KNOWN, ROW])
        found = {"rank": pa.array(np.arange(first + 1, first + n_rows + 1)), "row": table[ROW]}
        whole = with_ids(ids if ids.num_columns else None, found | results)
        yield whole.select([*found, *(name for name in whole.column_names if name not in found)])
        first += n_rows
