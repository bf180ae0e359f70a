"""Scoring as a function that can be sent to other processes: the place of a model, never the model itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from expose.errors import InputError, ModelFolderError
from expose.files import marked
from expose.kinds.base import Reading
from expose.scoring.pieces import AT_ONCE, Batches
from expose.scoring.scorer import Scorer
from expose.stores import Place, place_of


@dataclass(frozen=True)
class Scoring:
    """Scores record batches, in whatever process it is called; each opens the model folder once.

    Attributes
    ----------
    folder : Path or Stored
        Of the model.
    digest : str
        Of its description; a worker that finds another model there refuses.
    reading : Reading
    threshold : object
    device : str

    Examples
    --------
    >>> import tempfile
    >>> from expose import AnomalyDetector
    >>> folder = f"{tempfile.mkdtemp()}/model"
    >>> table = pa.table({"key": [*"abcdefgh"] * 10, "x": [float(n % 9) for n in range(80)]})
    >>> AnomalyDetector(random_state=0).fit(table.drop_columns("key")).save(folder)
    >>> scoring_with(folder, id=["key"]).table(table).column_names
    ['key', 'anomaly_score', 'is_anomaly']
    """

    folder: Place
    digest: str
    reading: Reading
    threshold: Any = None
    device: str = "auto"

    def __call__(self, batches: Batches, first_row: int = 0) -> Iterator[pa.RecordBatch]:
        """Score the record batches of a piece; its first row has this number, for messages."""
        yield from map(self.opened(), self.numbered(batches, first_row))

    def opened(self) -> Scorer:
        """The scorer of this process."""
        return scorer_of(self)

    def numbered(self, batches: Batches, first_row: int) -> Batches:
        """Record batches that carry the number of their first row."""
        for batch in batches:
            yield marked(batch, self.reading.conventions, first_row)
            first_row += batch.num_rows

    def table(self, table: pa.Table) -> pa.Table:
        """Score an Arrow table, which may be empty."""
        batches = table.combine_chunks().to_batches(AT_ONCE) or [pa.RecordBatch.from_pylist([], table.schema)]
        return pa.Table.from_batches(list(self(iter(batches))))


def scoring_with(
    model: str | Path, *, threshold: Any = None, id: str | Sequence[str] | None = None, device: str = "auto"
) -> Scoring:
    """Scoring with the model of a folder, which must be there in this process, too; parameters as of `Scorer`."""
    if not isinstance(model, str | Path):
        raise InputError(
            f"model must be the path of a model folder, which every worker can see; got {type(model).__name__}. "
            "Save it first: detector.save('model/')."
        )
    return scoring_by(Scorer(model, threshold, id=id, device=device), model, device)


def scoring_by(scorer: Scorer, model: str | Place, device: str = "auto") -> Scoring:
    """The same scoring as by a scorer that was made of a model folder."""
    if not scorer.fitted.kind.alone:
        kinds = scorer.fitted.kind.plural
        raise InputError(f"engines score files in pieces, and {kinds} need all rows around each. Score without one.")
    place = place_of(model)
    folder = place.absolute() if isinstance(place, Path) else place
    return Scoring(folder, digest_of(folder), scorer.reading, scorer.threshold, device)


@lru_cache(maxsize=1)
def scorer_of(scoring: Scoring) -> Scorer:
    """The scorer of a process: opened once, and kept until another one is wanted."""
    scorer = Scorer(scoring.folder, scoring.threshold, device=scoring.device)
    if digest_of(scoring.folder) != scoring.digest:
        raise ModelFolderError(
            f"{scoring.folder} holds another model than when the work began: scores of two models would be mixed."
        )
    scorer.reading = scoring.reading
    return scorer


def digest_of(folder: Place) -> str:
    """What tells one model from another."""
    return hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
