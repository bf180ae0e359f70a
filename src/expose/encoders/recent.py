"""Steps of series that come one after another: what is kept of each series, and which steps can be judged by now.

A step is judged by the windows over it that end no later than so many steps after it: by none after it at first, so
that nobody waits. It scores what it would in a file that ends there. Of each series so many steps are kept as windows
need, and as many again, so that a row that comes late finds its place.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from expose.encoders.arrivals import Arrivals, Arrived
from expose.encoders.track import Track, Waiting, at_steps
from expose.errors import CountedWarning, InputError
from expose.files.conventions import Writing
from expose.files.names import listing
from expose.kinds.columns import Strings
from expose.kinds.recording import APART, JITTER, MOST_GAP, Grid
from expose.kinds.series import Series, as_series

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

LATE: Final = 10  # late rows in a row: more of them mean that a clock was set back
DENSE: Final = 4  # rows for each step that is kept, at most
AT_ONCE: Final = 2**21  # numbers of steps in memory
NUMBER: Final = asdict(Writing("number"))

GAP = f"{{count}} gap(s) of more than {MOST_GAP} steps: the series begins anew after one (in {{examples}})"
BEGUN = "{count} row(s) are judged by fewer steps than a window has, {window}, since their series begins ({examples})"
MISSING = "{count} value(s) are missing: as the one before until the next has come, then interpolated (in {examples})"
BESIDE = "{count} row(s) lie beside the steps of training: values at steps are interpolated (in {examples})"
CAME_LATE = "{count} row(s) came after later ones of their series: put where they belong, and scored (in {examples})"
TOO_LATE = "{count} row(s) are older than what is kept of their series: no score (in {examples})"
TWICE = "{count} row(s) have a time that their series has had: the mean of their values counts (in {examples})"
SET_BACK = (
    f"{{count}} time(s) more than {LATE} rows in a row came too late: were clocks set back? The series begins anew "
    "(in {examples})"
)
NOTHING = "{count} row(s) without any value, before there was one in their series: no score (in {examples})"
FORGOTTEN = "{count} series not heard of for longest are forgotten, since there are more than {most} ({examples})"


class Windows(Protocol):
    """An encoder of steps by the windows over them."""

    names: tuple[str, ...]
    step: float
    window: int
    learned: dict[str, Any]

    def of_steps(
        self, grid: Grid, rows: Indices, until: Indices | None = None, origins: Indices | None = None
    ) -> NDArray[np.float32]:
        """Parts of the steps of some rows of a grid."""
        ...


class Asked(NamedTuple):
    """Steps (g, C) from a first one on, and which of them are to be judged by what is known until which (n,) each."""

    first: int
    values: Floats
    numbers: list[int]
    places: Indices
    until: Indices


class RecentSteps(Arrivals):
    """Rows of series as they come.

    Parameters
    ----------
    encoder : Windows
    delay : int
        For how many later steps a row waits. With as many as a window has, less one, its score is that of a file.
    most : int
        Of how many series something is kept; more, and the one not heard of for longest is forgotten.
    """

    def __init__(self, encoder: Windows, delay: int, most: int) -> None:
        for name, value, least in (("delay", delay, 0), ("entities", most, 1)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise InputError(f"{name} must be a whole number, at least {least}; got {value!r}.")
        self.windows, self.delay, self.most = encoder, min(int(delay), encoder.window - 1), int(most)
        self.reach = encoder.window + self.delay  # steps: a row that is older comes too late
        self.kept = self.reach + encoder.window
        self.tracks: dict[str, Track] = {}  # the one not heard of for longest first
        self._asked: list[Asked] = []
        self._unscored: list[int] = []
        self._news: dict[str, Counter[str]] = {}  # what was noticed: how often, of which series

    @property
    def whole(self) -> bool:  # type: ignore[override]  # of all others it is the same
        """Whether rows wait until their scores are those of a file."""
        return self.delay == self.windows.window - 1

    @property
    def rule(self) -> str:  # type: ignore[override]  # of all others it is the same
        """How rows are scored as they come, in a sentence."""
        full = self.windows.window - 1
        if self.delay == full:
            return f"a row is scored when {full} later steps of its series have come, by all windows that see it."
        waits = f"{self.delay} steps after it have come" if self.delay else "it comes"
        return (
            f"a row is scored when {waits}, by the windows of {full + 1} steps that have ended; --delay {full} waits "
            "for all that see it."
        )

    # ----------------------------------------------------------------------------------------------- what comes

    def check(self, samples: Any) -> None:
        """Raise InputError where a channel is not there."""
        names = as_series(samples).table.names
        if lost := [name for name in self.windows.names if name not in names]:
            raise InputError(f"channels of training are not there: {listing(lost)}; got {listing(names)}.")

    def take(self, samples: Any, first: int) -> Arrived:
        """Take rows, the first of which has this number, and judge what can be judged by now."""
        series = self._as_trained(as_series(samples))
        recording = series.as_they_came().channels(self.windows.names)
        for one, entity in enumerate(recording.entities):
            rows = np.flatnonzero(recording.entity == one)
            at = None if series.time is None else recording.at[rows]
            self._take_of(entity, (first + rows).tolist(), at, recording.values[rows])
        while len(self.tracks) > self.most:
            entity = next(iter(self.tracks))
            self._end(self.tracks.pop(entity))
            self._tell(FORGOTTEN.replace("{most}", f"{self.most:,}"), entity)
        return self._judged()

    def rest(self) -> Arrived:
        """Those that still wait, as at the end of a file."""
        for track in self.tracks.values():
            self._end(track)
        return self._judged()

    def _as_trained(self, series: Series) -> Series:
        """Rows read as in training; texts in the place of what were numbers then are numbers."""
        known: dict[str, Any] = self.windows.learned
        table = series.table
        texts = {table.names[place] for place, column in table.others.items() if isinstance(column, Strings)}
        numbers = {name: NUMBER for name in self.windows.names if name in texts}
        return series.as_trained({**known, "writings": numbers | known["writings"]})

    def _take_of(self, entity: str, numbers: Sequence[int], at: Floats | None, values: Floats) -> None:
        """Take rows of one series; without times each is one step after the other."""
        track = self.tracks.pop(entity, None)
        for row, number in enumerate(numbers):
            step = self.windows.step
            when = float(at[row]) if at is not None else (0.0 if track is None else track.last + step)
            track = self._row(track, entity, number, when, values[row])
        if track is not None:
            self._judge(track)
            self.tracks[entity] = track

    def _row(self, track: Track | None, entity: str, number: int, at: float, values: Floats) -> Track | None:
        """Take one row: what is kept of its series then."""
        empty = np.isnan(values)
        if empty.all():
            return self._empty(track, entity, number, at)
        if track is None:
            track = self._begin(at, len(values))
        elif at - track.last > APART * self.windows.step:
            self._tell(GAP, entity)
            track = self._anew(track, at)
        elif at <= track.last:
            track.late += 1
            if track.late <= LATE:
                self._late(track, entity, number, at, values)
                return track
            self._tell(SET_BACK, entity)
            track = self._anew(track, at)
        self._in_time(track, entity, number, at, values)
        if empty.any():  # what comes later may say more of it, and is not known yet
            self._tell(MISSING, entity, int(empty.sum()))
            self._judge(track)
        return track

    def _empty(self, track: Track | None, entity: str, number: int, at: float) -> Track | None:
        """A row without any value: it scores what its step does, or the last one as long as that is not known."""
        if track is None:
            self._refuse(NOTHING, entity, number)
            return track
        self._judge(track)
        track.waiting.append(Waiting(number, int(np.round((max(at, track.last) - track.zero) / self.windows.step))))
        if not self.delay:
            self._judge(track, at_once=True)
        return track

    def _in_time(self, track: Track, entity: str, number: int, at: float, values: Floats) -> None:
        exact = (at - track.zero) / self.windows.step
        place = int(np.floor(exact + JITTER)) if not self.delay else int(np.round(exact))
        if abs(exact - np.round(exact)) > JITTER:
            self._tell(BESIDE, entity)
        if place + self.delay + 1 < self.windows.window:
            self._tell(BEGUN.replace("{window}", f"{self.windows.window:,}"), entity)
        track.fresh.append((at, values))
        track.waiting.append(Waiting(number, place))
        track.late = 0

    def _late(self, track: Track, entity: str, number: int, at: float, values: Floats) -> None:
        """Put a row where it belongs, unless one stands there, or nothing around it is kept."""
        exact = (at - track.zero) / self.windows.step
        if at < track.last - self.reach * self.windows.step or exact < 0:
            return self._refuse(TOO_LATE, entity, number)
        self._judge(track)
        self._tell(TWICE if (track.at == at).any() else CAME_LATE, entity)
        track.insert(at, values)
        track.waiting.append(Waiting(number, int(np.round(exact))))
        return self._judge(track)

    def _begin(self, at: float, width: int) -> Track:
        return Track(at, np.zeros(0), np.zeros((0, width)))

    def _anew(self, track: Track, at: float) -> Track:
        self._end(track)
        return self._begin(at, track.values.shape[1])

    # ------------------------------------------------------------------------------------------- what is judged

    def _judge(self, track: Track, *, at_once: bool = False) -> None:
        """Ask for the rows of a series that have waited long enough, and forget what is no longer needed."""
        track.gather()
        exact, values = track.steps(self.windows.step)
        last = int(np.floor(exact[-1] + JITTER))
        known = self._known(values, exact, last) if self.delay else last
        most = DENSE * self.kept
        over = len(track.waiting) if at_once else len(track.waiting) - most
        ready, waiting = list[Waiting](), list[Waiting]()
        for turn, one in enumerate(track.waiting):
            (ready if one.place + self.delay <= known or turn < over else waiting).append(one)
        if ready:
            self._ask(exact, values, ready, np.array([min(last, one.place + self.delay) for one in ready]))
            track.waiting = waiting
        oldest = track.zero + (exact[-1] - self.kept) * self.windows.step
        old = max(int(np.searchsorted(track.at, oldest)), len(track.at) - most)
        if old > 0:
            track.at, track.values = track.at[old:], track.values[old:]

    def _known(self, values: Floats, exact: Floats, last: int) -> int:
        """Until which step all channels are known, but those that have been missing for longer than a window."""
        missing = np.isnan(values[-1])
        if not missing.any():
            return last
        there = ~np.isnan(values[:, missing])
        newest = np.where(there.any(axis=0), exact[len(exact) - 1 - there[::-1].argmax(axis=0)], -np.inf)
        return int(min(last, *np.floor(newest[newest >= last - self.windows.window] + JITTER), last))

    def _end(self, track: Track) -> None:
        """Ask for all rows that wait: nothing follows them."""
        self._judge(track)
        if track.waiting:
            exact, values = track.steps(self.windows.step)
            last = int(np.floor(exact[-1] + JITTER))
            self._ask(exact, values, track.waiting, np.full(len(track.waiting), last))
            track.waiting = []

    def _ask(self, exact: Floats, values: Floats, ready: Sequence[Waiting], until: Indices) -> None:
        """Ask for some rows; those near the beginning of a stretch are judged by what there is until then."""
        window = self.windows.window
        places = np.minimum([one.place for one in ready], until)
        numbers = np.array([one.number for one in ready])
        begin = int(np.ceil(exact[0] - JITTER))  # the first step that is kept
        short = until + 1 - max(begin, 0) < window
        for end in np.unique(until[short]):
            some = short & (until == end)
            self._ask_of(exact, values, (begin, int(end)), numbers[some], places[some], until[some])
        if (~short).any():
            begin = max(begin, int(places[~short].min()) - window + 1)
            reach = (begin, int(until[~short].max()))
            self._ask_of(exact, values, reach, numbers[~short], places[~short], until[~short])

    def _ask_of(
        self, exact: Floats, values: Floats, reach: tuple[int, int], numbers: Indices, places: Indices, until: Indices
    ) -> None:
        shown = at_steps(exact, values, *reach)
        self._asked.append(Asked(reach[0], shown, numbers.tolist(), places - reach[0], until - reach[0]))

    def _judged(self) -> Arrived:
        """What was asked for, encoded, and what was noticed, told."""
        for template, series in self._news.items():
            warnings.warn(CountedWarning(template, series.total(), series), stacklevel=4)
        unscored, self._unscored, self._news = tuple(self._unscored), [], {}
        asked, self._asked = self._asked, []
        parts = [self._encoded(some) for some in in_bounds(asked)]
        if not parts:
            return self.nothing()._replace(unscored=unscored)
        numbers = np.array([number for one in asked for number in one.numbers], dtype=np.intp)
        return Arrived(numbers, np.concatenate(parts), unscored)

    def _encoded(self, asked: Sequence[Asked]) -> NDArray[np.float32]:
        """Parts of rows in stretches that are put one behind the other."""
        lengths = np.array([len(one.values) for one in asked])
        starts = np.cumsum(lengths) - lengths
        stretch = np.repeat(np.arange(len(asked)), [len(one.places) for one in asked])
        places = np.concatenate([one.places for one in asked]) + starts[stretch]
        until = np.concatenate([one.until for one in asked]) + starts[stretch]
        grid = Grid(np.concatenate([one.values for one in asked]), lengths, places, stretch)
        origins = starts - [one.first for one in asked]
        return self.windows.of_steps(grid, np.arange(len(places)), until, origins)

    # ------------------------------------------------------------------------------------------ what is said

    def _tell(self, template: str, entity: str, count: int = 1) -> None:
        self._news.setdefault(template, Counter())[entity or "the series"] += count

    def _refuse(self, template: str, entity: str, number: int) -> None:
        self._tell(template, entity)
        self._unscored.append(number)

    # ---------------------------------------------------------------------------------------------- what is kept

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The last rows of each series."""
        tracks = self.tracks.values()
        meta = {
            "entities": list(self.tracks),
            "zero": [one.zero for one in tracks],
            "late": [one.late for one in tracks],
            "rows": [len(one.at) for one in tracks],
            "waiting": [[list(waiting) for waiting in one.waiting] for one in tracks],
        }
        width = len(self.windows.names)
        at = np.concatenate([np.zeros(0), *(one.at for one in tracks)])
        return meta, {"at": at, "values": np.concatenate([np.zeros((0, width)), *(one.values for one in tracks)])}

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave."""
        ends = np.cumsum(np.array(meta["rows"], dtype=np.intp))[:-1]
        each = zip(meta["entities"], meta["zero"], meta["late"], meta["waiting"], strict=True)
        rows = zip(np.split(arrays["at"], ends), np.split(arrays["values"], ends), strict=True)
        self.tracks = {
            entity: Track(float(zero), at, values, [Waiting(*map(int, one)) for one in waiting], int(late))
            for (entity, zero, late, waiting), (at, values) in zip(each, rows, strict=False)
        }


def in_bounds(asked: Iterable[Asked]) -> Iterator[list[Asked]]:
    """The same, some at a time, so that their steps fit the memory."""
    some: list[Asked] = []
    size = 0
    for one in asked:
        if some and size + one.values.size > AT_ONCE:
            yield some
            some, size = [], 0
        some.append(one)
        size += one.values.size
    if some:
        yield some
