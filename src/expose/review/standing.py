"""How all rows stand under one fitted model: ranking, what is proposed to be looked at, and each row looked at closely.

Nothing here changes: after a refit there is another `Standing`, and whoever looks at the old one is not disturbed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.estimators import AnomalyDetector
from expose.estimators.query import query_rows
from expose.exposure import ContaminationEstimate
from expose.model import Decisions, Fitted
from expose.report.findings import legible, typical_rows, why
from expose.report.heat import Layer, layers_of, why_no_maps
from expose.report.readable import Readable, readable
from expose.report.survey import vectors_of
from expose.report.suspects import Known, Suspect, called, suspects_of
from expose.scoring import Encoded, Scorer

PROPOSED: Final = 20  # rows at a time
ALIKE: Final = 8  # neighbours shown
COMPARED: Final = 4_000  # rows among which typical ones are found

Rows = NDArray[np.intp]
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Material:
    """What stays the same whatever is learned: samples of the training, encoded, and what is known of them.

    ``ids`` name them; ``beside`` are columns that the model does not look at, and a person may.
    """

    given: Encoded
    ids: Columns
    beside: Columns
    vectors: NDArray[np.float32]
    shown: Readable

    @staticmethod
    def of(scorer: Scorer, given: Encoded, ids: Columns, beside: Columns) -> Material:
        """The material of encoded training samples."""
        fitted = scorer.fitted
        return Material(given, ids, beside, vectors_of(fitted, given.parts), readable(fitted, given.samples))


class Standing:
    """All rows under one detector.

    Parameters
    ----------
    detector : AnomalyDetector
        Fitted on the samples of ``material``.
    material : Material
    generation : int
        How many times it was fitted anew since the review began.
    propose : int
        How many rows are proposed to be looked at, fewer where fewer have no label.
    """

    def __init__(
        self, detector: AnomalyDetector, material: Material, generation: int = 0, propose: int = PROPOSED
    ) -> None:
        self.detector, self.material, self.generation = detector, material, generation
        self.scorer = detector.scorer()
        self.said: Decisions = self.scorer.decide(material.given)
        ranked = detector.ranking_
        self.order: Rows = np.asarray(ranked["row"], dtype=np.intp)
        self.ranks: Rows = np.empty_like(self.order)
        self.ranks[self.order] = np.arange(1, len(self.order) + 1)
        self.proposed = self._propose(propose)
        self.look = lru_cache(maxsize=256)(self._look)
        self.picture = lru_cache(maxsize=8)(self._picture)  # the page asks for its size, then the browser for it

    @property
    def fitted(self) -> Fitted:
        """What the detector has learned."""
        return self.detector.fitted_

    @property
    def scores(self) -> NDArray[np.float64]:
        """Anomaly scores, (n,)."""
        return self.said.anomaly_score

    @property
    def threshold(self) -> float:
        """The score above which rows are flagged."""
        return self.detector.threshold_score()

    @property
    def estimate(self) -> ContaminationEstimate:
        """The share of anomalies among the rows without a label."""
        return self.detector.contamination_estimate_

    @property
    def interval(self) -> tuple[float, float]:
        """From which to which share of all rows may be anomalies."""
        return self.fitted.contamination_interval

    @cached_property
    def foremost(self) -> Rows:
        """The rows that a person looks at in a ranking, in order: of each event the highest, where there are events."""
        return self.fitted.kind.foremost(self.material.shown.samples, self.scores, self.order)

    @cached_property
    def events(self) -> list[Rows]:
        """Rows of each event, where rows follow each other."""
        return list(self.fitted.kind.events([self.material.shown.samples], self.scores) or ())

    @cached_property
    def event_of(self) -> NDArray[np.int64]:
        """The number of the event that each row is in, (n,); -1 where it is in none."""
        found = np.full(len(self.scores), -1, dtype=np.int64)
        for number, rows in reversed(list(enumerate(self.events))):
            found[rows] = number
        return found

    def meant(self, row: int) -> list[int]:
        """The rows that an answer about one is about: those of its event, where rows follow each other."""
        event = int(self.event_of[row])
        return [row] if event < 0 else self.events[event].tolist()

    @cached_property
    def has_columns(self) -> bool:
        """Whether what the encoder distinguishes is what a person sees of a row."""
        return legible(self.fitted, self.material.shown)

    @cached_property
    def typical(self) -> Rows:
        """Ordinary rows, with which a suspect is compared."""
        n = len(self.scores)
        sample = np.sort(np.random.default_rng(0).permutation(n)[:COMPARED])
        return typical_rows(self.fitted, self.scores, sample)

    @cached_property
    def no_maps(self) -> str:
        """Why there are no heat maps; empty where there are."""
        return why_no_maps(self.fitted)

    def name(self, row: int) -> str:
        """What a row is called."""
        names = called(self.fitted, self.material.shown, self.material.ids, row)
        return ", ".join(value for _, value in names) or f"{self.fitted.kind.noun} {row}"

    def _propose(self, most: int) -> list[int]:
        """Rows whose labels would tell most; of rows that follow each other the highest events, as steps say little."""
        free = self.fitted.known < 0
        if self.events:
            return [int(row) for row in self.foremost if free[row]][:most]
        count = min(most, int(free.sum()))
        return [int(row) for row in query_rows(self.fitted, self.material.given.parts, count)] if count else []

    def _look(self, row: int) -> Suspect:
        """What is to be said of a row, with what makes it unusual."""
        rows = np.array([row], dtype=np.intp)
        parts, shown = self.material.given.parts[rows], self.material.shown
        known = Known(self.material.ids, self.fitted.known.astype(np.int64), None, True)
        reasons = why(self.scorer, shown, rows, self.typical, parts)
        (found,) = suspects_of(self.fitted, shown, rows, parts, self.said, known, reasons)
        return replace(found, rank=int(self.ranks[row]))

    def alike(self, row: int, most: int = ALIKE) -> list[int]:
        """The rows most like one, by what the encoder makes of them, the most alike first."""
        vectors = self.material.vectors
        distance = ((vectors - vectors[row]) ** 2).sum(axis=1)
        distance[row] = np.inf
        some = np.argpartition(distance, min(most, len(distance) - 1))[:most]
        near = some[np.argsort(distance[some], kind="stable")]
        return [int(one) for one in near if np.isfinite(distance[one])]

    def _picture(self, row: int, side: int) -> NDArray[np.uint8]:
        """A row as a picture, (H, W, 3), where rows can be seen."""
        return self.material.shown.picture(row, side)

    def heat(self, row: int) -> Layer | None:
        """Where a picture is unusual; None where nobody knows."""
        if self.no_maps or not self.fitted.kind.pictured:
            return None
        rows = np.array([row])
        given = self.material.given
        return layers_of(self.fitted, given.samples.take(rows), given.parts[rows])[0]
