"""`Scorer`: raw samples in, scores and decisions out. The only code that turns the one into the other.

The command line, the report, engines and the estimators all score through it, so their scores are equal to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from expose.encoders.arrivals import MOST
from expose.errors import InputError
from expose.files import Dialect, with_ids
from expose.files.conventions import Conventions
from expose.folder import load_fitted
from expose.kinds.base import SEVERAL, SINGLE, Batch, Reading, Samples, samples_of
from expose.kinds.heat_maps import Lazily
from expose.model import Decisions, Fitted
from expose.scoring.encoded import Encoded
from expose.scoring.live import Live
from expose.stores import Stored, place_of

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, top, right, bottom


class Scorer:
    """Scores samples with a fitted model.

    Parameters
    ----------
    model : Fitted, or the path of a model folder
        What a folder holds is read without scikit-learn. ``detector.scorer()`` makes a scorer, too, and is the way for
        models with an objective, network or encoder of your own.
    threshold : None, float, str or object, optional
        What is flagged, as the estimators' parameter; by default as a folder says.
    id : sequence of str, optional
        Columns that name a row. By default those that the model was saved with; other roles are as in training.
    device : {"auto", "cpu", "cuda"} or "cuda:<index>", default="auto"
        Where the model of a folder scores.

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

    def __init__(
        self,
        model: Fitted | str | Path | Stored,
        threshold: Any = None,
        *,
        id: str | Sequence[str] | None = None,
        device: str = "auto",
    ) -> None:
        if isinstance(model, str | Path | Stored):
            model, parameters = load_fitted(place_of(model), device=device)
            threshold = parameters["threshold"] if threshold is None else threshold
        if not isinstance(model, Fitted):
            raise InputError(
                f"Scorer takes the path of a model folder, or what an estimator fitted; got {type(model).__name__}. "
                "A fitted estimator makes its own: detector.scorer()."
            )
        self.fitted = model
        self.threshold = threshold
        self.reading = reading_as_trained(model, id)

    # ------------------------------------------------------------------------------------------- Python objects

    def samples(self, X: Any) -> Samples:
        """Anything of the kind that was trained on, as samples."""
        return X.samples if isinstance(X, Encoded) else samples_of(X, self.fitted.kind)

    def encode(self, X: Any) -> NDArray[np.float32]:
        """The same as encoded parts, ``(n, D)`` or ``(n, P, D)``."""
        return X.parts if isinstance(X, Encoded) else self.fitted.encoder.transform(self.samples(X))

    def encoded(self, X: Any) -> Encoded:
        """Samples with their parts, so that they are encoded once for scores, maps and explanations."""
        return Encoded(self.samples(X), self.encode(X))

    def outputs(self, X: Any) -> Floats:
        """What the model keeps of samples: scores ``(n,)``, of a classifier all outputs ``(n, W)``."""
        given = self.encoded(X)
        return self.in_context(given.samples, self.fitted.outputs(given.parts))

    def in_context(self, samples: Samples, kept: Floats) -> Floats:
        """What the model keeps of samples, from that of each by itself: with those around where these count."""
        around = self.fitted.encoder.around(samples)
        if around is None:
            return kept
        further = self.fitted.outputs(self.encode(around.further)) if len(around.further) else kept[:0]
        return around.mean(np.concatenate([kept, further]))

    def scores(self, X: Any) -> Floats:
        """Anomaly score of each sample, ``(n,)``."""
        return self.fitted.head.scores(self.outputs(X))

    def member_scores(self, X: Any) -> Floats:
        """Raw anomaly scores of each member, ``(M, n)``."""
        return self.fitted.member_outputs(self.encode(X))

    def components(self, X: Any) -> dict[str, Floats]:
        """Scores of which the anomaly score of each sample is the largest, by name, ``(n,)`` each, if there are such.

        What they mean is said by `Objective.components`: of "neighbours" they are its three scales.
        """
        return self.fitted.components(self.encode(X))

    def part_scores(self, X: Any) -> Floats:
        """Anomaly scores of the parts of each sample, ``(n, P)``; `Kind.put_back` puts them where they came from."""
        return self.fitted.place_scores(self.encode(X))

    def maps(self, X: Any) -> Sequence[Floats]:
        """The same where the parts came from, one for each sample: heat maps ``(H, W)`` of the size of photos.

        Those of photos are made when they are looked at, each time anew. InputError where no places are told apart.
        """
        fitted, given = self.fitted, self.encoded(X)
        fitted.check_places()
        return fitted.kind.put_back(given.samples, self.part_scores(given), fitted.encoder.layout.places)

    def masks(self, X: Any, line: float | None = None) -> Sequence[NDArray[np.bool_]]:
        """What `maps` has above a line, ``(H, W)`` each; by default `Fitted.place_lines`, which need no labels."""
        given = self.encoded(X)
        maps = self.maps(given)
        scores = self.part_scores(given)
        lines = self.fitted.place_lines(scores) if line is None else np.full(len(scores), line)
        return Lazily(len(maps), partial(above, maps, lines))

    def boxes(self, X: Any) -> list[list[Box]]:
        """Rectangles around what `masks` marks of each sample: (left, top, right, bottom) in pixels, the worst first.

        Those of a sample whose mask is empty are none.
        """
        given = self.encoded(X)
        maps, masks = self.maps(given), self.masks(given)
        return [boxes_of(heat, mask) for heat, mask in zip(maps, masks, strict=True)]

    def spans(self, X: Any) -> list[dict[str, Any]]:
        """What is flagged as spans of samples that follow each other, the highest first: start, end, peak and so on.

        InputError where samples have no order.

        Examples
        --------
        >>> from expose import AnomalyDetector
        >>> from expose.kinds import as_series
        >>> pulse = np.sin(np.arange(600) / 3) + 0.1 * np.random.default_rng(0).normal(size=600)
        >>> pulse[400:410] = 0
        >>> detector = AnomalyDetector(threshold=0.05, random_state=0).fit(as_series(pulse, window=20))
        >>> first = detector.scorer().spans(as_series(pulse))[0]
        >>> 380 < first["peak_row"] < 430
        True
        """
        given = self.encoded(X)
        said, read = self.decide(given), self.fitted.encoder.read(given.samples)
        found = self.fitted.kind.spans([read], said.anomaly_score, said.is_anomaly)
        if found is None:
            raise InputError(f"{self.fitted.kind.plural} have no order in time, so nothing of them is a span.")
        return found

    def decide(self, X: Any) -> Decisions:
        """Scores, flags and, where there are any, p-values, classes and probabilities."""
        return self.fitted.decide(self.outputs(X), self.threshold)

    # ----------------------------------------------------------------------------------------------------- Arrow

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score a record batch: ids as they came, then what `columns` gives."""
        import pyarrow as pa

        if not isinstance(batch, pa.RecordBatch):
            raise InputError(
                f"a scorer is called with a record batch of Arrow; got {type(batch).__name__}. For all else there are "
                "decide(X), scores(X) and, of files, scan(sources); a table has to_batches()."
            )
        table = self.table(self.fitted.kind.split(pa.Table.from_batches([batch]), self.reading))
        return table.combine_chunks().to_batches()[0] if len(table) else pa.RecordBatch.from_pylist([], table.schema)

    def table(self, batch: Batch) -> pa.Table:
        """Score samples that were read: an Arrow table of their ids and what the model says."""
        return with_ids(batch.ids, self.columns(batch.samples))

    def columns(self, X: Any) -> dict[str, Any]:
        """What the model says of samples, by the names that a scores file has, each ``(n,)``."""
        return self.named(self.decide(X))

    def named(self, said: Decisions) -> dict[str, Any]:
        """Decisions by the names that a scores file has."""
        import pyarrow as pa

        found: dict[str, Any] = {"anomaly_score": said.anomaly_score, "is_anomaly": said.is_anomaly}
        if said.predicted is not None:
            classes: NDArray[Any] = self.fitted.head.classes  # type: ignore[union-attr]
            found |= {"predicted_class": classes[said.predicted], "probability": said.probability}
        if said.p_value is not None:
            found["p_value"] = said.p_value
        return {name: pa.array(values) for name, values in found.items()}

    # ----------------------------------------------------------------------------------------- as rows come

    def live(self, delay: int = 0, *, entities: int = MOST) -> Live:
        """What scores rows one after another, as they come, with a state that can be saved: see `Live`.

        Parameters
        ----------
        delay : int, default=0
            For how many later steps a row of a series waits, as these say more of it.
        entities : int, default=10000
            Of how many series the last steps are kept.

        Raises
        ------
        InputError
            Where samples are not scored as they come.
        """
        return Live(self, delay=delay, entities=entities)

    # ----------------------------------------------------------------------------------------------------- files

    def scan(self, sources: Sequence[str], *, query: str | None = None) -> Iterator[pa.Table]:
        """Score files, folders or patterns in order, in bounded memory: one Arrow table after the other.

        A source may be a database, of which ``query`` is asked, SQL, if its address names no table.

        What is wrong with a file as a whole, that it is missing say, is an error at once, not with the first table.
        """
        reading = self.reading if query is None else replace(self.reading, query=query)
        batches: Iterable[Batch] = self.fitted.kind.scan(sources, reading)
        return (self.table(batch) for batch in batches)


def boxes_of(heat: Floats, mask: NDArray[np.bool_]) -> list[Box]:
    """Rectangles around the regions of a mask ``(H, W)``, that where the map is highest first.

    Examples
    --------
    >>> heat = np.array([[0.0, 5.0, 0.0, 0.0], [0.0, 6.0, 0.0, 9.0]])
    >>> boxes_of(heat, heat > 1)
    [(3, 1, 4, 2), (1, 0, 2, 2)]
    """
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    found = ndimage.find_objects(regions)
    highest = ndimage.maximum(heat, regions, np.arange(1, count + 1))
    order = np.argsort(-np.asarray(highest), kind="stable").tolist()
    return [(found[one][1].start, found[one][0].start, found[one][1].stop, found[one][0].stop) for one in order]


def above(maps: Sequence[Floats], lines: Floats, row: int) -> NDArray[np.bool_]:
    """Where one of some maps lies above its line."""
    marked: NDArray[np.bool_] = maps[row] > lines[row]
    return marked


def reading_as_trained(fitted: Fitted, id: str | Sequence[str] | None = None) -> Reading:
    """How files are read for a model: as in training, by what was said then; with other ids if some are given."""
    names = fitted.metadata
    encoding = names.get("encoding", "utf-8")  # of older folders
    usual = {} if encoding.lower() in ("utf-8", "utf8") else {"encoding": encoding}
    own = names.get("id", ())
    id = [id] if isinstance(id, str) else id
    several: dict[str, Any] = {name: tuple(names.get(name, ())) for name in SEVERAL}
    single: dict[str, Any] = {name: names.get(name) for name in SINGLE}
    return Reading(
        id=tuple(own if id is None else id),
        ignore=(*names.get("ignore", ()), *(() if id is None else own)),
        label=names.get("label"),
        dialect=Dialect(**{**names.get("dialect", usual), "commas": fitted.encoder.commas}),
        conventions=Conventions.of(names.get("conventions", {})),
        features=fitted.columns,
        later=True,
        **several,
        **single,
    )
