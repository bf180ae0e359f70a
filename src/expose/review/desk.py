"""The desk of reviewers: a model, its training data, the answers so far, and fitting again with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.estimators import AnomalyDetector
from expose.estimators.checks import check_trained_on
from expose.kinds import Batch
from expose.report.given import id_columns
from expose.review.answers import Answers
from expose.review.standing import PROPOSED, Material, Standing
from expose.stores import Place

MOVED: Final = 10  # rows that rose and fell, shown after a refit
QUEUE: Final = 100  # rows ahead
AMONG: Final = 100  # ... of the first so many of the ranking, before or after


class Moved(NamedTuple):
    """A row whose rank changed."""

    row: int
    name: str
    before: int
    after: int


@dataclass(frozen=True)
class Change:
    """What a refit changed.

    Attributes
    ----------
    generation : int
    anomalies, normal : int
        Known, by labels and answers.
    share, low, high : tuple of (before, after)
        The assumed share of anomalies and its interval.
    flagged : tuple of (before, after)
        Rows above the threshold.
    rose, fell : list of Moved
        Of the rows without a label, those that moved most among the first of the ranking.
    """

    generation: int
    anomalies: int
    normal: int
    share: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    flagged: tuple[int, int]
    rose: list[Moved] = field(default_factory=list)
    fell: list[Moved] = field(default_factory=list)


class Progress(NamedTuple):
    """How far a review is: rows called so, those that no fit knows yet, after how many one is due, and its state."""

    anomalies: int
    normal: int
    skipped: int
    pending: int
    due: int
    learning: bool
    failed: str


class Desk:
    """A review under way.

    Parameters
    ----------
    detector : AnomalyDetector
        As it was loaded. It is not changed: a refit is another one.
    batch : Batch
        What it was trained on.
    answers : Answers
    out : Path
        Folder for the model that has learned from the answers; replaced by each refit.
    beside : Arrow table, mapping or frame of n rows, optional
        Columns that the detector does not look at, and a person may.
    labels : (n,) array, optional
        What was known before anybody answered: 1, 0, or -1. By default what the detector knows.
    outliers : optional
        Auxiliary outliers that it was trained with.
    metadata : dict
        To be saved with a model.
    due : int
        After so many answers a refit begins by itself.

    Raises
    ------
    InputError
        If the data are not those that the detector was trained on, row by row.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> X[:15] += 6
    >>> folder = Path(tempfile.mkdtemp())
    >>> desk = Desk(AnomalyDetector(random_state=0).fit(X), Batch(X), Answers(folder / "a.csv", 300), folder / "model")
    >>> for row in desk.queue()[:5]:
    ...     desk.answer(row, "anomaly" if row < 15 else "normal", reviewer="Ada")
    >>> change = desk.learn()
    >>> change.anomalies + change.normal, (folder / "model" / "model.json").exists()
    (5, True)
    """

    def __init__(
        self,
        detector: AnomalyDetector,
        batch: Batch,
        answers: Answers,
        out: Place,
        *,
        beside: Any = None,
        labels: NDArray[Any] | None = None,
        outliers: Any = None,
        metadata: dict[str, Any] | None = None,
        due: int = PROPOSED,
    ) -> None:
        scorer = detector.scorer()
        given = scorer.encoded(batch.samples)
        check_trained_on(scorer, given)
        self.batch, self.answers, self.out, self.due = batch, answers, out, due
        n_rows = len(given.parts)
        self.changes: list[Change] = []
        self._labels = detector.fitted_.known if labels is None else labels
        self._outliers, self.metadata = outliers, metadata or {}
        material = Material.of(scorer, given, id_columns(batch.ids, n_rows), id_columns(beside, n_rows))
        self.standing = Standing(detector, material, propose=due)
        self._learning = threading.Lock()  # held while a refit runs
        self._failed = ""

    # -------------------------------------------------------------------------------------------------- what to look at

    def queue(self, most: int = QUEUE) -> list[int]:
        """Rows to look at, in order: those that tell most, then the ranking; without those that were spoken of."""
        standing, current = self.standing, self.answers.current()
        known = standing.fitted.known
        found: dict[int, None] = {}
        proposed = sorted(standing.proposed, key=standing.ranks.__getitem__)  # all are asked, suspects first
        for row in chain(proposed, standing.foremost):
            if row not in current and known[row] < 0:
                found.setdefault(int(row))
            if len(found) >= most:
                break
        return list(found)

    def called(self) -> NDArray[Any]:
        """What each row is called, (n,): "anomaly", "normal", "skipped" or "open"; by labels, then by answers."""
        found = np.array(["normal", "anomaly", "open"], dtype=object)[self._labels]
        for row, one in self.answers.current().items():
            found[row] = one.said
        return found

    def progress(self) -> Progress:
        """How far the review is."""
        current = self.answers.current()
        said = current.values()
        pending = np.flatnonzero(self.answers.labels(self._labels) != self.standing.fitted.known).tolist()
        return Progress(
            len({one.at for one in said if one.label == 1}),
            len({one.at for one in said if one.label == 0}),
            len({one.at for one in said if one.said == "skipped"}),
            len({about[-1].at for row in pending if (about := self.answers.about(row))}),
            self.due,
            self._learning.locked(),
            self._failed,
        )

    # ------------------------------------------------------------------------------------------------------ answering

    def answer(self, row: int, said: str, *, reviewer: str, note: str = "") -> None:
        """Write what somebody said of a row, and of the event that it is in; errors as of `Answers.add`."""
        self.answers.add(self.standing.meant(self.checked(row)), said, reviewer=reviewer, note=note)

    def checked(self, row: int) -> int:
        """The number of a row; InputError where it is not there."""
        n_rows = len(self.standing.scores)
        if not 0 <= row < n_rows:
            raise InputError(f"there is no row {row}; rows are counted from 0 to {n_rows - 1}.")
        return row

    def undo(self, reviewer: str) -> int | None:
        """Take back what a reviewer said last, and give the row to look at again; None where there is nothing."""
        rows = self.answers.undo(reviewer)
        return max(rows, key=lambda row: self.standing.scores[row]) if rows else None

    # ------------------------------------------------------------------------------------------------------- learning

    def learn_soon(self, then: Callable[[], None] = lambda: None) -> bool:
        """Begin to fit anew in a thread of its own, unless that is going on; whether it was begun."""
        if not self._learning.acquire(blocking=False):
            return False
        self._failed = ""
        threading.Thread(target=self._learn_aside, args=(then,), daemon=True).start()
        return True

    def _learn_aside(self, then: Callable[[], None]) -> None:
        try:
            self._learn()
        except Exception as error:  # the page says so, and the review goes on
            self._failed = f"{error}" if isinstance(error, InputError | OSError) else f"{type(error).__name__}: {error}"
        finally:
            self._learning.release()
        then()

    def learn(self) -> Change:
        """Fit anew with all answers, warm, keep the model, and say what changed.

        Raises
        ------
        InputError
            If the labels cannot be used; the model before stays.
        """
        with self._learning:
            return self._learn()

    def _learn(self) -> Change:
        before, labels = self.standing, self.answers.labels(self._labels)
        if 2 * (many := int((labels == 1).sum())) > len(labels):
            raise InputError(
                f"{many:,} of {len(labels):,} {before.fitted.kind.noun}s are called anomalies, and most must be normal "
                "to learn from. Take some answers back."
            )
        detector = fitted_anew(before.detector, self.batch.samples, labels, self._outliers)
        detector.save(self.out, self.metadata)
        after = Standing(detector, before.material, before.generation + 1, self.due)
        change = changed(before, after)
        self.changes.append(change)
        self.standing = after
        return change


def fitted_anew(detector: AnomalyDetector, samples: Any, labels: NDArray[Any], outliers: Any) -> AnomalyDetector:
    """Another detector that goes on from this one, with labels; this one stays as it is."""
    given = detector.get_params(deep=False)
    new = AnomalyDetector(**{**given, "warm_start": True, "checkpoint": None, "verbose": 0})
    new.take_over(detector.fitted_).fit(samples, labels=labels, outliers=outliers)
    return new.set_params(warm_start=given["warm_start"])


def changed(before: Standing, after: Standing) -> Change:
    """What one fit changed."""
    known = after.fitted.known
    movement = before.ranks - after.ranks  # positive: rose
    seen = known < 0
    return Change(
        after.generation,
        int((known == 1).sum()),
        int((known == 0).sum()),
        (before.fitted.contamination, after.fitted.contamination),
        (before.interval[0], after.interval[0]),
        (before.interval[1], after.interval[1]),
        (int(before.said.is_anomaly.sum()), int(after.said.is_anomaly.sum())),
        moved(before, after, seen & (after.ranks <= AMONG) & (movement > 0), movement),
        moved(before, after, seen & (before.ranks <= AMONG) & (movement < 0), -movement),
    )


def moved(before: Standing, after: Standing, which: NDArray[np.bool_], by: NDArray[Any]) -> list[Moved]:
    """Those of some rows that moved most."""
    rows = np.flatnonzero(which)
    rows = rows[np.argsort(-by[rows], kind="stable")][:MOVED].tolist()
    return [Moved(row, after.name(row), int(before.ranks[row]), int(after.ranks[row])) for row in rows]
