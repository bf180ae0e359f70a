"""Passes over all rows in pieces, by the processes of an engine: what comes back is what one process would make.

Only rows of the sample come back from the first, and of the second scores, ids and what is known of each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.atomic import remove
from expose.files import known_labels, with_ids
from expose.files.ranked import SCORE
from expose.files.sampling import limit_of, merged, sample_of
from expose.folder import save_fitted
from expose.kinds import Batch, Kind, Reading
from expose.scoring import Scorer
from expose.scoring.pieces import Batches, Engine, Pieces, fetched
from expose.scoring.work import Scoring, scoring_by

KNOWN = "__known__"  # in a ranking: 1 anomaly, 0 normal, -1 unlabelled
MODEL, PARTS = "model", "parts"  # in the folder for what passes leave

Known = Mapping[int, int]


@dataclass(frozen=True)
class Rows:
    """What rows of files are, and what is known of them; can be sent to other processes.

    Attributes
    ----------
    kind : Kind
    reading : Reading
    known : mapping of int to int
        What is known of rows besides their label column, by number.
    """

    kind: Kind
    reading: Reading
    known: Known

    @property
    def has_known(self) -> bool:
        """Whether anything may be known of a row."""
        return self.reading.label is not None or bool(self.known)

    def labels(self, batch: Batch, rows: NDArray[np.int64]) -> NDArray[np.int8]:
        """What is known of each row ``(n,)`` of a batch; they have these numbers, which rise."""
        known = np.full(len(rows), -1, dtype=np.int8)
        if batch.label is not None and self.reading.label is not None:
            known[:] = known_labels(batch.label, self.reading.label, int(rows[0]))
        said = np.array(sorted(self.known), dtype=np.int64)
        said = said[np.isin(said, rows)]
        known[np.searchsorted(rows, said)] = [self.known[row] for row in said.tolist()]
        return known

    def drawn_from(
        self, batches: Any, first_row: int, seed: int, size: int, limit: np.uint64 | None = None
    ) -> tuple[Any, int]:
        """Draw a sample of some of the rows, see `sample_of`; first those of which something is known."""

        def keep_first(table: Any, first: int) -> NDArray[np.bool_]:
            rows = np.arange(first, first + len(table))
            known: NDArray[np.bool_] = self.labels(self.kind.split(table, self.reading), rows) >= 0
            return known

        given = {} if limit is None else {"limit": limit}
        return sample_of(batches, first_row, seed, size, keep_first if self.has_known else None, **given)

    def ranked(self, scorer: Scorer, batch: Batch, rows: NDArray[np.int64], *, named: bool) -> pa.Table:
        """Ids, if ``named``, score and what is known of rows."""
        columns = {SCORE: scorer.columns(batch.samples)[SCORE], KNOWN: pa.array(self.labels(batch, rows))}
        return with_ids(batch.ids if named else None, columns)


def sample_on(engine: Engine, pieces: Pieces, rows: Rows, seed: int, size: int, place: Path) -> tuple[Any, int]:
    """Draw a sample of all rows, as `Rows.drawn_from` does in one process."""
    n_rows = pieces.pieces[-1].first_row + pieces.pieces[-1].n_rows
    work = Drawing(rows, seed, size, limit_of(n_rows, seed, size))
    with parts_in(place) as folder:
        parts = (pa.Table.from_batches([batch]) for batch in fetched(engine, work, pieces, folder))
        return merged(parts, seed, size), n_rows


@dataclass(frozen=True)
class Drawing:
    """Draws from the rows of a piece; few, as the key is known that none of the others may exceed."""

    rows: Rows
    seed: int
    size: int
    limit: np.uint64

    def __call__(self, batches: Batches, first_row: int) -> Batches:
        """The rows of a piece that may be in the sample."""
        table, _ = self.rows.drawn_from(batches, first_row, self.seed, self.size, self.limit)
        yield from table.to_batches() if len(table) else ()


def scores_on(
    engine: Engine, pieces: Pieces, rows: Rows, scorer: Scorer, place: Path, *, named: bool, done: int, device: str
) -> Iterator[pa.Table]:
    """Score rows from that of number ``done`` on, and give what `Rows.ranked` does, in order."""
    left = [piece for piece in pieces.pieces if piece.first_row + piece.n_rows > done]
    if not left:
        return
    work = Ranking(sent(scorer, rows.reading, place, device), rows, named)
    first = left[0].first_row
    with parts_in(place) as folder:
        for batch in fetched(engine, work, Pieces(left, pieces.schema), folder):
            if first + len(batch) > done:
                yield pa.Table.from_batches([batch.slice(max(done - first, 0))])
            first += len(batch)


@dataclass(frozen=True)
class Ranking:
    """Scores the rows of a piece."""

    scoring: Scoring
    rows: Rows
    named: bool

    def __call__(self, batches: Batches, first_row: int) -> Batches:
        """Ids, scores and what is known."""
        scorer, reading = self.scoring.opened(), self.scoring.reading
        for read in self.scoring.numbered(batches, first_row):
            batch, numbers = (
                scorer.fitted.kind.split(pa.Table.from_batches([read]), reading),
                numbers_of(read, first_row),
            )
            yield from self.rows.ranked(scorer, batch, numbers, named=self.named).combine_chunks().to_batches()
            first_row += len(read)


def numbers_of(batch: pa.RecordBatch, first_row: int) -> NDArray[np.int64]:
    """The numbers of rows, of which the first has this one."""
    return np.arange(first_row, first_row + len(batch))


def sent(scorer: Scorer, reading: Reading, place: Path, device: str) -> Scoring:
    """A scorer as other processes get it: by a model folder that they see."""
    folder = place / MODEL
    save_fitted(folder, scorer.fitted, "AnomalyDetector", {"threshold": None})
    read = replace(reading, later=True, features=scorer.fitted.columns)
    return replace(scoring_by(scorer, folder, device), reading=read)


@contextmanager
def parts_in(place: Path) -> Iterator[Path]:
    """A new folder for parts, of a name that no worker of an earlier run knows: one may still be writing."""
    parts = place / PARTS
    remove(parts)
    folder = parts / uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(parts)
