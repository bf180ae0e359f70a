"""The kind "series": rows in an order of time, of tables with a column of times. Their steps are judged by windows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import Conventions, Writing
from expose.files.names import column_names, existing
from expose.kinds.base import Batch, Curve, Kind, Reading, kind_named, register_kind
from expose.kinds.columns import Strings
from expose.kinds.events import events_of
from expose.kinds.frames import as_table
from expose.kinds.recording import APART, Grid, Recording, as_they_came, notes_on, recorded, shown_time, spaced
from expose.kinds.rows import Table, from_columns
from expose.kinds.understood import PLURAL, find_writings, stray_words, understood

TIME: Final = "time"  # the name of an index that has none
NUMBER: Final = "series"  # the name of the column that numbers the series of an array
AT_ONCE: Final = 65_536  # the most rows of a batch


@dataclass(frozen=True, eq=False)
class Series:
    """Rows of one or several series; the rows are samples, and those around them are kept to look at.

    Made by `as_series`; never changed afterwards.

    Attributes
    ----------
    table : Table
        All rows as they came, with all columns.
    time : str or None
        The column that says when; None where rows are one step after the other.
    entity : tuple of str
        Columns that say of what.
    window : int or None
        How many steps are to be looked at together; None leaves it to the encoder.
    rows : (n,) array of int, or None
        Which of them are samples; None: all.
    said : dict or None
        How texts were written in training, see `learned`; None: these are the training rows.
    """

    table: Table
    time: str | None = None
    entity: tuple[str, ...] = ()
    window: int | None = None
    rows: NDArray[np.intp] | None = None
    said: dict[str, Any] | None = None
    made: dict[str, Any] = field(default_factory=dict)  # of all rows, once: parts of them share it

    def __len__(self) -> int:
        return len(self.table) if self.rows is None else len(self.rows)

    def take(self, rows: Any) -> Self:
        """The chosen rows, by number or slice; their surroundings stay."""
        return replace(self, rows=self.numbers[rows])

    @property
    def numbers(self) -> NDArray[np.intp]:
        """Which rows of the table these are, (n,)."""
        return np.arange(len(self.table)) if self.rows is None else self.rows

    def as_trained(self, learned: dict[str, Any]) -> Self:
        """The same rows, read as those of training were."""
        return replace(self, said=learned)

    @property
    def learned(self) -> dict[str, Any]:
        """How texts in the table are written, in JSON types; later rows are read by it."""
        if self.said is not None:
            return self.said
        if "learned" not in self.made:
            self.made["learned"] = learned_of(self.table)
        own: dict[str, Any] = self.made["learned"]
        return own

    def recording(self) -> Recording:
        """All rows as numbers.

        Raises
        ------
        InputError
            When they are no series: a time is lacking, or stands twice.
        """
        key = json.dumps(self.learned, sort_keys=True)
        if key not in self.made:
            self.made[key] = self._recorded()
        found: Recording = self.made[key]
        return found

    def as_they_came(self) -> Recording:
        """The same of rows that may be few of many: a time may stand twice, and no order is asked for."""
        return as_they_came(self._understood(), self.time, self.entity)

    def _recorded(self) -> Recording:
        return recorded(self._understood(), self.time, self.entity)

    def _understood(self) -> Table:
        known = self.learned["writings"]
        if any(isinstance(one, Strings) and self.table.names[at] not in known for at, one in self.table.others.items()):
            known = learned_of(self.table)["writings"] | known  # what training had as numbers may be texts now
        writings = {at: Writing.of(known[name]) for at, name in enumerate(self.table.names) if name in known}
        return understood(self.table, writings, Conventions.of(self.learned["conventions"]))

    def grid(self, names: Sequence[str], step: float) -> Grid:
        """Steps of this length of some channels, see `Recording.grid`; rows that are counted have no other than 1."""
        step = 1.0 if self.time is None else step
        own = self.recording()
        if own.step > APART * step:
            raise InputError(
                f"steps are {spaced(own.step, timed=own.timed)} long, and were {spaced(step, timed=own.timed)} in "
                "training, so that no two are seen together. Give rows as close as those of training, or fit anew."
            )
        key = f"grid {step} {names} {json.dumps(self.learned, sort_keys=True)}"
        if key not in self.made:
            self.made[key] = own.channels(names).grid(step)
        found: Grid = self.made[key]
        return found

    def news(self) -> list[str]:
        """What a person should know of how rows were brought in order, told once of all parts of them."""
        if "told" in self.made:
            return []
        self.made["told"] = True
        recording = self.recording()
        strays = [] if self.said is not None else list(strays_in(self.table))  # of later rows a warning tells
        return [*strays, *notes_on(recording, recording.step)]


def strays_in(table: Table) -> Iterator[str]:
    """Which values of columns are not written as their columns are, and so count as missing."""
    writings, strays = find_writings(table)
    for place, found in strays.items():
        form = writings[place].form
        if form != "text":
            held = f"column {table.names[place]!r} holds {PLURAL[form]}"
            count = sum(one.count for one in found)
            yield f"{held}; {count:,} value(s) are none and count as missing: {stray_words(found)}."


def learned_of(table: Table) -> dict[str, Any]:
    """How the texts of a table are written, in JSON types."""
    writings = {table.names[at]: asdict(one) for at, one in find_writings(table)[0].items()}
    learned: dict[str, Any] = json.loads(json.dumps({"writings": writings, "conventions": asdict(table.conventions)}))
    return learned


def as_series(
    X: Any, time: str | None = None, *, entity: str | Sequence[str] = (), window: int | None = None
) -> Series:
    """Make `Series` of rows in an order of time, which estimators then judge by windows of them.

    Parameters
    ----------
    X : frame, table or array
        A frame of pandas whose index is of times needs nothing more. An array is ``(T,)`` values, ``(T, C)`` of C
        channels, or ``(N, T, C)`` of N series; its rows are ``N * T`` steps then, those of a series together.
    time : str, optional
        The column that says when: times, or numbers. By default the index of a frame if it has times; else the rows are
        one step after the other.
    entity : str or sequence of str, optional
        Columns that say of what: a machine, a place. Each is a series of its own.
    window : int, optional
        How many steps are looked at together. By default a period that the training rows show.

    Returns
    -------
    Series
        Its samples are the rows, in the order in which they came.

    Raises
    ------
    InputError
        When columns are not there, or ``window`` is no number of steps.

    Examples
    --------
    >>> waves = np.sin(np.arange(300) / 4)
    >>> series = as_series(waves, window=25)
    >>> len(series), series.recording().names
    (300, ('x0',))
    >>> rows = [{"at": f"2026-03-01 10:{minute:02}", "pump": "a", "bar": 2.5} for minute in range(60)]
    >>> len(as_series(rows, time="at", entity="pump"))
    60
    """
    if isinstance(X, Series):
        return X
    if window is not None and (isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 2):
        raise InputError(f"window must be a whole number of steps, at least 2; got {window!r}.")
    if isinstance(X, list | tuple) and X and all(isinstance(value, int | float) for value in X):
        X = np.asarray(X, dtype=np.float64)
    entities: Sequence[str] = (entity,) if isinstance(entity, str) else tuple(entity)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        table, entities = _of_array(X), (NUMBER,)
    elif time is None and has_time_index(X):
        table, time = _with_index(X)
    else:
        table = as_table(X[:, None] if isinstance(X, np.ndarray) and X.ndim == 1 else X)
    if time is not None:
        [time] = existing([time], table.names, "time")
    entities = tuple(existing(entities, table.names, "entity"))
    if time in entities:
        raise InputError(f"column {time!r} cannot be both the time and the entity.")
    return Series(table, time, entities, None if window is None else int(window))


def has_time_index(X: Any) -> bool:
    """Whether it is a frame or a column of pandas with an index of times, of periods or of spans since a start."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return False
    return isinstance(getattr(X, "index", None), pandas.DatetimeIndex | pandas.PeriodIndex | pandas.TimedeltaIndex)


def _with_index(X: Any) -> tuple[Table, str]:
    """A frame of pandas with its index as the first column, and what this is called."""
    frame = X.to_frame("value" if X.name is None else X.name) if X.ndim == 1 else X
    name = str(frame.index.name or TIME)
    while name in map(str, frame.columns):
        name += "_"
    if hasattr(frame.index, "to_timestamp"):
        frame = frame.set_axis(frame.index.to_timestamp())
    frame = frame.set_axis(list(map(str, frame.columns)), axis=1) if frame.columns.nlevels == 1 else frame
    return as_table(frame.rename_axis(name).reset_index()), name


def _of_array(X: NDArray[Any]) -> Table:
    """Series ``(N, T, C)`` as rows, with a column that numbers them."""
    n, length, channels = X.shape
    table = as_table(X.reshape(n * length, channels))
    columns = [np.repeat(np.arange(n, dtype=np.float64), length), *(table.at(place) for place in range(channels))]
    return from_columns((NUMBER, *table.names), True, columns, n * length)


@register_kind
class SeriesKind(Kind):
    """Rows in an order of time: tables of files with a column of times, frames of pandas with an index of such."""

    name = "series"
    plural = "series"
    windowed = True
    noun = "step"
    encoder = "windows"
    objective = "gaussian"
    alone = False
    advice = "Or take each row for itself, as a table: without --time, or frame.reset_index(drop=True)."

    def recognises(self, X: Any) -> bool:
        """Whether it was made by `as_series`, or has an index of times."""
        return isinstance(X, Series) or has_time_index(X)

    def samples(self, X: Any) -> Series:
        """Make `Series`, see `as_series`."""
        return as_series(X)

    def columns(self, samples: Any) -> tuple[int, tuple[str, ...]] | None:
        """The channels."""
        names = as_series(samples).recording().names
        return len(names), names

    def plain(self, samples: Any) -> NDArray[Any]:
        """Values of the channels, each row for itself, (n, C)."""
        series = as_series(samples)
        return series.recording().values[series.numbers]

    # --------------------------------------------------------------------------------------------------- files

    def asked_for(self, reading: Reading) -> bool:
        """Whether a column of times was named."""
        if reading.time is None and reading.entity:
            raise InputError("--entity goes with --time COLUMN, which says in which order the rows are.")
        return reading.time is not None

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Read tables; what names a row are its entity and its time, as they came."""
        table = kind_named("table")
        found = table.tables(sources, reading)
        assert found is not None
        return self.split(found.table(), reading)._replace(notes=found.notes)

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """All rows are read, since windows need those around a row, and given some at a time."""
        return _some_at_a_time(self.read(sources, reading))

    def arriving(self, reading: Reading) -> Literal["rows"]:
        """Rows."""
        return "rows"

    def sent(self, reading: Reading) -> tuple[Literal["rows"]]:
        """Rows."""
        return ("rows",)

    def split(self, table: Any, reading: Reading) -> Batch:
        """Rows of an Arrow table: windows reach no further than it."""
        given = table.column_names
        if isinstance(reading.window, str):
            raise InputError(f"--window takes a number of steps where rows are a series; got {reading.window!r}.")
        time = existing([] if reading.time is None else [reading.time], given, "time")
        entity = existing(column_names(reading.entity, given), given, "entity")
        own = (*entity, *time)
        as_rows = replace(reading, id=tuple(dict.fromkeys((*own, *column_names(reading.id, given)))), features=own)
        batch = kind_named("table").trained_on(table, as_rows)
        series = as_series(batch.samples, *time, entity=entity, window=reading.window)
        return batch._replace(samples=series)

    # ------------------------------------------------------------------------------------------ parts and people

    def folds(self, samples: Any, shuffled: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
        """Parts of steps that follow each other: windows of neighbours show nearly the same."""
        series = as_series(samples)
        turn = np.argsort(series.recording().order)  # of each row of the table
        return [np.sort(part) for part in np.array_split(np.argsort(turn[series.numbers]), count)]

    def measure(self, samples: Any) -> str:
        """How many channels and entities there are, from when to when, in what steps."""
        recording = as_series(samples).recording()
        texts = [f"{len(recording.names)} channel{'s' * (len(recording.names) != 1)}"]
        if len(recording.entities) > 1:
            texts.append(f"{len(recording.entities):,} series")
        first, last = (shown_time(at, timed=recording.timed) for at in (recording.at.min(), recording.at.max()))
        return ", ".join([*texts, f"{first} to {last} in steps of {spaced(recording.step, timed=recording.timed)}"])

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Values of the channels at a step, None where missing."""
        series = as_series(samples)
        recording = series.recording()
        values = recording.values[series.numbers[row]].tolist()
        return {name: None if np.isnan(value) else value for name, value in zip(recording.names, values, strict=True)}

    def curve(self, samples: Any, row: int) -> Curve:
        """The steps of one entity."""
        series = as_series(samples)
        recording, numbers = series.recording(), series.numbers
        entity = recording.entity[numbers[row]]
        rows = np.lexsort((recording.at[numbers], recording.entity[numbers]))
        rows = rows[recording.entity[numbers[rows]] == entity]
        at = recording.at[numbers[rows]]
        moments = (at * 1e6).round().astype("datetime64[us]").astype("datetime64[ms]") if recording.timed else at
        name = recording.entities[entity]
        return Curve(name, rows, moments, recording.names, recording.values[numbers[rows]])

    def events(
        self, samples: Sequence[Any], scores: NDArray[np.float64], line: float = -np.inf
    ) -> list[NDArray[np.intp]]:
        """Steps of each event, see `events_of`; gaps part them as they part the series."""
        recording, rows = _all_of(samples)
        grid = recording.grid(recording.step)
        order = np.lexsort((grid.place[rows], grid.stretch[rows]))
        ends = np.flatnonzero(np.diff(grid.stretch[rows[order]], append=-1)) + 1
        return [order[event.first : event.last + 1] for event in events_of(scores[order], ends, line)]

    def spans(
        self, samples: Sequence[Any], scores: NDArray[np.float64], flagged: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Spans of flagged steps, the highest first: entity, start, end, how many, when the peak, its row and score."""
        recording, rows = _all_of(samples)
        line = float(np.nextafter(scores[flagged].min(initial=np.inf), -np.inf))
        found = (_span(recording, rows, some, scores) for some in self.events(samples, scores, line))
        return [span for span in found if flagged[span["peak_row"]]]


def _all_of(samples: Sequence[Any]) -> tuple[Recording, NDArray[np.intp]]:
    """The recording of samples that come some at a time, and which of its rows they are."""
    given = [as_series(one) for one in samples]
    return given[0].recording(), np.concatenate([one.numbers for one in given])


def _some_at_a_time(batch: Batch) -> Iterator[Batch]:
    for start in range(0, len(batch.samples), AT_ONCE):
        few = slice(start, min(start + AT_ONCE, len(batch.samples)))
        ids, label = (one if one is None else one[few] for one in (batch.ids, batch.label))
        yield Batch(batch.samples.take(few), ids, label, batch.notes)


def _span(
    recording: Recording, rows: NDArray[np.intp], some: NDArray[np.intp], scores: NDArray[np.float64]
) -> dict[str, Any]:
    peak = int(some[scores[some].argmax()])
    times = (shown_time(recording.at[rows[one]], timed=recording.timed) for one in (some[0], some[-1], peak))
    start, end, at = times
    entity = {"entity": recording.entities[recording.entity[rows[peak]]]} if len(recording.entities) > 1 else {}
    score = float(scores[peak])
    return {**entity, "start": start, "end": end, "steps": len(some), "peak": at, "peak_row": peak, "peak_score": score}
