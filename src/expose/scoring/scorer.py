"""`Scorer`: raw samples in, scores and decisions out. The only code that turns the one into the other.

The command line, the report, engines and the estimators all score through it, so their scores are equal to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from expose.files import with_ids
from expose.folder import Own, load_fitted
from expose.kinds.base import Batch, Reading, Samples, samples_of
from expose.model import Decisions, Fitted

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]


class Scorer:
    """Scores samples with a fitted model.

    Parameters
    ----------
    fitted : Fitted
        Of an estimator: ``detector.scorer()`` makes a scorer; so does `Scorer.load` of a model folder.
    threshold : None, float, str or object
        What is flagged, as the estimators' parameter.
    reading : Reading, optional
        Which columns name a row and which play no part: as in training, unless others are given.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from expose import AnomalyDetector
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> scorer = AnomalyDetector(random_state=0).fit(X).scorer(id=["key"])
    >>> batch = pa.record_batch({"key": ["a", "b"], "x0": [0.0, 9.0], "x1": [0.0, 9.0]})
    >>> scored = scorer(batch)
    >>> scored.schema.names, scored["key"].to_pylist()
    (['key', 'anomaly_score', 'is_anomaly'], ['a', 'b'])
    """

    def __init__(self, fitted: Fitted, threshold: Any = None, reading: Reading | None = None) -> None:
        self.fitted = fitted
        self.threshold = threshold
        self.reading = reading or reading_of(fitted)

    @classmethod
    def load(cls, folder: str | Path, own: Own | None = None, device: str = "auto") -> Self:
        """A scorer of the model in a folder, without scikit-learn: what a service or an engine's worker needs."""
        fitted, parameters = load_fitted(Path(folder), None, own, device)
        return cls(fitted, parameters.get("threshold"))

    # ------------------------------------------------------------------------------------------- Python objects

    def samples(self, X: Any) -> Samples:
        """Anything of the kind that was trained on, as samples."""
        return samples_of(X, self.fitted.kind)

    def encode(self, X: Any) -> NDArray[np.float32]:
        """The same as encoded parts, ``(n, D)`` or ``(n, P, D)``."""
        return self.fitted.encoder.transform(self.samples(X))

    def outputs(self, X: Any) -> Floats:
        """What the model keeps of samples: scores ``(n,)``, of a classifier all outputs ``(n, W)``."""
        return self.fitted.outputs(self.encode(X))

    def scores(self, X: Any) -> Floats:
        """Anomaly score of each sample, ``(n,)``."""
        return self.fitted.head.scores(self.outputs(X))

    def member_scores(self, X: Any) -> Floats:
        """Raw anomaly scores of each member, ``(M, n)``."""
        return self.fitted.member_outputs(self.encode(X))

    def part_scores(self, X: Any) -> Floats:
        """Anomaly scores of the parts of each sample, ``(n, P)``; `Kind.put_back` puts them where they came from."""
        parts = self.encode(X)
        flat: Floats = self.fitted.head.scores(self.fitted.head.kept(self.fitted.part_outputs(parts)))
        return flat.reshape(len(parts), -1)

    def decide(self, X: Any) -> Decisions:
        """Scores, flags and, where there are any, p-values, classes and probabilities."""
        return self.fitted.decide(self.outputs(X), self.threshold)

    # ----------------------------------------------------------------------------------------------------- Arrow

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score a record batch: ids as they came, then what `columns` gives."""
        import pyarrow as pa

        table = self.table(self.fitted.kind.split(pa.Table.from_batches([batch]), self.reading))
        return table.combine_chunks().to_batches()[0] if len(table) else pa.RecordBatch.from_pylist([], table.schema)

    def table(self, batch: Batch) -> pa.Table:
        """Score samples that were read: an Arrow table of their ids and what the model says."""
        return with_ids(batch.ids, self.columns(batch.samples))

    def columns(self, X: Any) -> dict[str, Any]:
        """What the model says of samples, by the names that a scores file has, each ``(n,)``."""
        import pyarrow as pa

        said = self.decide(X)
        found: dict[str, Any] = {"anomaly_score": said.anomaly_score, "is_anomaly": said.is_anomaly}
        if said.predicted is not None:
            classes: NDArray[Any] = self.fitted.head.classes  # type: ignore[union-attr]
            found |= {"predicted_class": classes[said.predicted], "probability": said.probability}
        if said.p_value is not None:
            found["p_value"] = said.p_value
        return {name: pa.array(values) for name, values in found.items()}

    # ----------------------------------------------------------------------------------------------------- files

    def scan(self, sources: Sequence[str]) -> Iterator[pa.Table]:
        """Score files, folders or patterns in order, in bounded memory: one Arrow table after the other."""
        batches: Iterable[Batch] = self.fitted.kind.scan(sources, self.reading)
        for batch in batches:
            yield self.table(batch)


def reading_of(fitted: Fitted, id: Sequence[str] | None = None) -> Reading:
    """How files are read for a model: columns have the roles they had in training, with other ids if some are given."""
    names = fitted.metadata
    return Reading(
        id=tuple(names.get("id", ()) if id is None else id),
        ignore=tuple(names.get("ignore", ())),
        label=names.get("label"),
        encoding=names.get("encoding", "utf-8"),
        text=fitted.encoder.text_columns,
        later=True,
    )
