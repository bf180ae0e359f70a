"""Rows scored as they come, one after another, with a state that can be saved."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.arrivals import MOST, Arrived
from expose.errors import CountedWarning, InputError
from expose.files import listing, marked, with_ids
from expose.files.conventions import NOTHING_SAID
from expose.kinds.base import Batch, Reading, Samples
from expose.model import Fitted
from expose.persistence import load_checkpoint, save_checkpoint
from expose.scoring.encoded import Encoded

if TYPE_CHECKING:
    import pyarrow as pa

UNREADABLE: Final = "{count} row(s) cannot be read as in training: no score ({examples})"
EARLY: Final = 0.35  # distance of Kolmogorov and Smirnov between scores at once and of files, of the same steps
NO_ROW: Final = "{count} line(s) are no rows: no score ({examples})"


class Plain(str):
    """A text that is shown as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text without quotes."""
        return str(self)


class Scores(Protocol):
    """A scorer: what `Live` asks of it."""

    fitted: Fitted
    reading: Reading

    def samples(self, X: Any) -> Samples:
        """Anything of the kind that was trained on, as samples."""
        ...

    def columns(self, X: Any) -> dict[str, Any]:
        """What the model says of samples, by the names that a scores file has."""
        ...


class Live:
    """Scores rows as they come. A row of a table is scored by itself; of a series the last steps are kept.

    A step of a series is judged by the windows that have ended: it scores what it would in a file that ends with it.
    With ``delay`` it waits for so many later steps, which say more of it: by one less than a window has, its score is
    that of a whole file. What becomes of late, repeated and missing rows is on the page "Live".

    Parameters
    ----------
    scorer : Scorer
    delay : int, default=0
        For how many later steps of its series a row waits; at most one less than a window has.
    entities : int, default=10000
        Of how many series the last steps are kept. Of more, the one not heard of for longest is forgotten.

    Attributes
    ----------
    taken : int
        How many rows came.

    Raises
    ------
    InputError
        Where samples are not scored as they come, as logs are not.

    Examples
    --------
    >>> from expose import AnomalyDetector
    >>> from expose.kinds import as_series
    >>> pulse = np.sin(np.arange(600) / 3) + 0.1 * np.random.default_rng(0).normal(size=600)
    >>> live = AnomalyDetector(random_state=0).fit(as_series(pulse, window=20)).scorer().live()
    >>> first = live.score(as_series(pulse[:300]))
    >>> odd = live.score(as_series(np.array([9.0])))
    >>> len(first), odd["is_anomaly"].to_pylist()
    (300, [True])
    """

    def __init__(self, scorer: Scores, *, delay: int = 0, entities: int = MOST) -> None:
        self.scorer = scorer
        fitted = scorer.fitted
        if fitted.kind.arriving(scorer.reading) is None:
            raise InputError(f"{fitted.kind.plural} are not scored as they come. Give all of them to a Scorer at once.")
        self.delay = delay
        self.arrivals = fitted.encoder.arrivals(fitted.kind, delay, entities)
        self.taken = 0
        self._known: list[list[str]] = []  # names of columns that were looked at
        self._ids: Any | None = None  # of the rows that wait
        self._waiting = np.zeros(0, dtype=np.intp)  # their numbers
        self._columns = self._scored(np.zeros((1, 1, fitted.encoder.layout.n_values), dtype=np.float32)).slice(0, 0)

    # ------------------------------------------------------------------------------------------------- scoring

    def score(self, rows: Any) -> pa.Table:
        """Score rows that came: ids as they came, then what a scores file has; null where a row cannot be scored.

        Parameters
        ----------
        rows : Arrow table or record batch, list of dict, or samples of the kind
            Of tables with the columns that the files of training had; else as the estimators take them.

        Returns
        -------
        pyarrow.Table
            Without a delay a row for each of these, in their order; else those that have waited long enough.

        Raises
        ------
        InputError
            When columns of the training are not there.
        """
        table = _as_table(rows)
        if table is None:
            samples = self.scorer.samples(rows)
            found, ids, count = [self.arrivals.take(samples, self.taken)], None, len(samples)
        else:
            ids, count = self._checked(table).ids, len(table)
            found = list(self._take(table, self.taken))
        numbers = np.concatenate([self._waiting, np.arange(self.taken, self.taken + count)])
        self.taken += count
        return self._answered(found, numbers, _joined(self._ids, ids))

    def rest(self) -> pa.Table:
        """Score the rows that wait by what is known, as at the end of a file."""
        return self._answered([self.arrivals.rest()], self._waiting, self._ids)

    def unreadable(self, reason: str, line: int, ids: Sequence[str] = ()) -> pa.Table:
        """The answer to a line that is no row: nothing is known of it but what ids are called."""
        import pyarrow as pa

        self.taken += 1
        warnings.warn(CountedWarning(NO_ROW, 1, [Plain(f"line {line}: {reason}")]), stacklevel=2)
        named = pa.table({name: pa.array([None], pa.string()) for name in ids}) if ids else None
        columns = self._columns.take(pa.array([None], pa.int64()))
        return with_ids(named, dict(zip(columns.column_names, columns.columns, strict=True)))

    @property
    def rule(self) -> str:
        """How rows are scored as they come, in a sentence."""
        return self.arrivals.rule

    @property
    def tolerance(self) -> float:
        """How far scores as rows come may lie from those of files, for `expose.decide.Drift`."""
        return 0.0 if self.arrivals.whole else EARLY

    @property
    def waiting(self) -> int:
        """How many rows have no score yet."""
        return len(self._waiting)

    def check(self, schema: pa.Schema) -> tuple[str, ...]:
        """Refuse rows of such an Arrow table if none could be scored; else say what their ids are called.

        Raises
        ------
        InputError
            When columns of the training are not there.
        """
        import pyarrow as pa

        batch = self._split(pa.table([pa.nulls(1, one.type) for one in schema], names=schema.names))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.arrivals.check(self.scorer.samples(batch.samples))
        return () if batch.ids is None else tuple(batch.ids.column_names)

    def _checked(self, table: pa.Table) -> Batch:
        """The table, split by the roles of its columns; new columns are looked at once."""
        if table.schema.names not in self._known:
            self.check(table.schema)
            self._known = [*self._known[-8:], table.schema.names]
        return self._split(table)

    def _split(self, table: pa.Table) -> Batch:
        return self.scorer.fitted.kind.split(table, self.scorer.reading)

    def _take(self, table: pa.Table, first: int) -> Iterator[Arrived]:
        """What can be said of rows; where one cannot be read, the others are taken without it."""
        if not len(table):
            return
        try:
            samples = self.scorer.samples(self._split(marked(table, NOTHING_SAID, first)).samples)
            yield self.arrivals.take(samples, first)
        except InputError as error:
            if len(table) == 1:
                warnings.warn(CountedWarning(UNREADABLE, 1, [Plain(error)]), stacklevel=4)
                yield self.arrivals.nothing()._replace(unscored=(first,))
                return
            half = len(table) // 2
            yield from self._take(table.slice(0, half), first)
            yield from self._take(table.slice(half), first + half)

    def _scored(self, parts: NDArray[np.float32]) -> pa.Table:
        import pyarrow as pa

        return pa.table(self.scorer.columns(Encoded(None, parts)))  # type: ignore[arg-type]  # nobody asks for them

    def _answered(self, found: Sequence[Arrived], numbers: NDArray[np.intp], ids: Any | None) -> pa.Table:
        """The rows of which all is said, in the order in which they came; the others wait."""
        import pyarrow as pa

        scored = np.concatenate([np.zeros(0, dtype=np.intp), *(one.numbers for one in found)])
        tables = [self._columns, *(self._scored(one.parts) for one in found if len(one.numbers))]
        unscored = np.array([number for one in found for number in one.unscored], dtype=np.intp)
        every = np.concatenate([scored, unscored])
        order = np.argsort(every, kind="stable")
        places = [int(place) if place < len(scored) else None for place in order]
        columns = pa.concat_tables(tables).take(pa.array(places, pa.int64()))
        said = np.isin(numbers, every)
        answered = None if ids is None else ids.filter(pa.array(said))
        self._waiting, self._ids = numbers[~said], None if ids is None else ids.filter(pa.array(~said))
        return with_ids(answered, dict(zip(columns.column_names, columns.columns, strict=True)))

    # ------------------------------------------------------------------------------------------------- its state

    def save(self, path: str | os.PathLike[str], **more: Any) -> None:
        """Write the state to one file, replacing the one before only when complete; `load` goes on from it.

        Parameters
        ----------
        path : path
        **more
            JSON types to be kept with it.
        """
        meta, arrays = self.arrivals.state()
        own = {"live": 1, "model": fingerprint(self.scorer.fitted), "delay": self.delay, "taken": self.taken}
        tensors = {**arrays, "numbers": self._waiting, "ids": _as_bytes(self._ids)}
        save_checkpoint(path, {**own, "kept": meta, "more": more}, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str], scorer: Scores, *, entities: int = MOST) -> Self:
        """Go on from a state that `save` wrote, with the same model.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        InputError
            When the state is of another model.
        ModelFolderError
            When the file is damaged, or no state.

        Examples
        --------
        >>> import tempfile
        >>> from expose import AnomalyDetector
        >>> scorer = AnomalyDetector(random_state=0).fit(np.random.default_rng(0).normal(size=(100, 2))).scorer()
        >>> live, place = scorer.live(), tempfile.mkdtemp() + "/state"
        >>> _ = live.score(np.zeros((3, 2)))
        >>> live.save(place)
        >>> Live.load(place, scorer).taken
        3
        """
        return cls.restored(path, scorer, entities=entities)[0]

    @classmethod
    def restored(
        cls, path: str | os.PathLike[str], scorer: Scores, *, entities: int = MOST
    ) -> tuple[Self, dict[str, Any]]:
        """The same, and what was kept with the state."""
        found = load_checkpoint(path, "Delete it to begin without what was kept of earlier rows.")
        if found is None:
            raise FileNotFoundError(f"there is no state {os.fspath(path)}: Live.save writes one.")
        meta, arrays = found
        if "live" not in meta:
            raise InputError(f"{os.fspath(path)} is no state of live scoring. Name another file.")
        if meta["model"] != fingerprint(scorer.fitted):
            raise InputError(
                f"the state {os.fspath(path)} was written with another model, whose windows and scores are others. "
                "Delete it, or name another file."
            )
        live = cls(scorer, delay=meta["delay"], entities=entities)
        live.taken, live._waiting, live._ids = meta["taken"], arrays["numbers"], _of_bytes(arrays["ids"])
        live.arrivals.restore(meta["kept"], arrays)
        return live, meta["more"]


def fingerprint(fitted: Fitted) -> str:
    """What tells a model from others."""
    meta, arrays = fitted.encoder.state()
    found = hashlib.sha256(json.dumps([fitted.kind.name, meta], sort_keys=True, default=str).encode())
    for array in (*(arrays[name] for name in sorted(arrays)), fitted.training):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:32]


def _as_table(rows: Any) -> pa.Table | None:
    """Rows of an Arrow table, if they are; a list of dict is one."""
    import pyarrow as pa

    if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows):
        return pa.Table.from_pylist([dict(row) for row in rows])
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    return rows if isinstance(rows, pa.Table) else None


def _joined(first: Any | None, second: Any | None) -> Any | None:
    import pyarrow as pa

    if first is None or second is None or not len(first):
        return second if first is None or not len(first) else first
    if first.column_names != second.column_names:
        raise InputError(
            f"rows that wait are named by {listing(first.column_names)}, these by {listing(second.column_names)}. "
            "Give all rows the same columns."
        )
    return pa.concat_tables([first, second], promote_options="permissive")


def _as_bytes(ids: Any | None) -> NDArray[np.uint8]:
    """An Arrow table as an array of bytes."""
    import pyarrow as pa

    if ids is None or not len(ids):
        return np.zeros(0, dtype=np.uint8)
    file = io.BytesIO()
    with pa.ipc.new_stream(file, ids.schema) as stream:
        stream.write_table(ids)
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


def _of_bytes(stored: NDArray[np.uint8]) -> Any | None:
    import pyarrow as pa

    return pa.ipc.open_stream(stored.tobytes()).read_all() if len(stored) else None
