"""Rows in order of time as numbers, and their grids of equal steps: gaps part them, what is irregular is resampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.names import listing
from expose.kinds.columns import Categories, Times
from expose.kinds.rows import Table, missing_in

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

MOST_GAP: Final = 10  # steps: a longer gap parts a series
APART: Final = MOST_GAP + 0.5
JITTER: Final = 0.1  # of a step: times that lie no further beside the grid lie on it
HOUR: Final = 3600.0
MOST_TWICE: Final = 0.01  # of the rows: so many may have a time that another has, too
UP_AND_DOWN: Final = 0.1  # of the steps: numbers that rise and fall in as many
EVEN: Final = 0.5  # of their steps, sorted: in so many they must be whole ones for all that,
EMPTY: Final = 20  # ... of which there are no more for each row
FEWEST: Final = 8  # steps that tell


class Grid(NamedTuple):
    """Stretches of equal steps without a gap, one after the other.

    Attributes
    ----------
    values : (G, C) array of float
        Of all channels at each step; NaN in a stretch where a channel has no value at all.
    lengths : (S,) array of int
        How many steps each stretch has.
    place : (N,) array of int
        The step that each row of the table is nearest to.
    stretch : (N,) array of int
        The stretch that this is in.
    """

    values: Floats
    lengths: Indices
    place: Indices
    stretch: Indices

    @property
    def starts(self) -> Indices:
        """The first step of each stretch, (S,)."""
        return np.cumsum(self.lengths) - self.lengths


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows of one or several series as numbers.

    Attributes
    ----------
    names : tuple of str
        Of the channels.
    values : (N, C) array of float
        NaN where missing.
    at : (N,) array of float
        When: seconds since 1970, or the numbers that the column holds, or that of the step.
    entity : (N,) array of int
        Of what: the place of its name in `entities`.
    entities : tuple of str
    timed : bool
        Whether `at` are seconds.
    left_out : tuple of str
        Columns that hold no numbers.
    """

    names: tuple[str, ...]
    values: Floats
    at: Floats
    entity: Indices
    entities: tuple[str, ...]
    timed: bool
    left_out: tuple[str, ...] = ()

    @cached_property
    def order(self) -> Indices:
        """Numbers of the rows by entity and time, (N,)."""
        return np.lexsort((self.at, self.entity))

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which rows hold a value, (N,); of an entity that has none at all every one."""
        found = ~np.isnan(self.values).all(axis=1)
        having = np.zeros(len(self.entities), dtype=np.bool_)
        having[self.entity[found]] = True
        present: NDArray[np.bool_] = found | ~having[self.entity]
        return present

    @cached_property
    def steps(self) -> Floats:
        """Differences of the times of rows with values that follow each other in a series."""
        order = self.order[self.present[self.order]]
        apart: Floats = np.diff(self.at[order])[np.diff(self.entity[order]) == 0]
        return apart[apart > 0]

    @property
    def again(self) -> Indices:
        """Places in `order` of the rows that have the time of the one before."""
        at, entity = self.at[self.order], self.entity[self.order]
        return 1 + np.flatnonzero(_alike(at, entity))

    @property
    def step(self) -> float:
        """The median of them; 1 where there are none."""
        return float(np.median(self.steps)) if len(self.steps) else 1.0

    def channels(self, names: Sequence[str]) -> Recording:
        """The same with these channels alone, in this order."""
        if tuple(names) == self.names:
            return self
        if lost := [name for name in names if name not in self.names]:
            why = "hold no numbers" if set(lost) <= {*self.left_out} else "are not there"
            raise InputError(
                f"channels of training {why}: {listing(lost)}; got {listing(self.names) or 'none'}. Give the same ones."
            )
        return replace(self, names=tuple(names), values=self.values[:, [self.names.index(name) for name in names]])

    def grid(self, step: float) -> Grid:
        """Stretches of steps of this length.

        A row that lies on no step is interpolated between its neighbours. A gap of more than 10 steps begins another
        stretch; rows without a value are gaps. A value that is missing beside others is interpolated, too. Of rows of
        the same time the mean is taken.
        """
        order = self.order
        kept = order[self.present[order]]
        moment = np.cumsum(np.concatenate([[0], ~_alike(self.at[kept], self.entity[kept])]))  # of each row
        firsts = np.flatnonzero(np.diff(moment, prepend=-1))
        at, entity, values = self.at[kept[firsts]], self.entity[kept[firsts]], means(self.values[kept], firsts)
        begins = np.concatenate([[True], (np.diff(entity) != 0) | (np.diff(at) > APART * step)])
        stretch = np.cumsum(begins) - 1  # of each row that is present
        zero = at[begins]
        exact = (at - zero[stretch]) / step
        lengths = (np.floor(exact[np.concatenate([begins[1:], [True]])] + JITTER) + 1).astype(np.intp)
        starts = np.cumsum(lengths) - lengths
        exact += starts[stretch]
        on = np.arange(len(exact))
        if len(exact) != lengths.sum() or np.abs(exact - on).max() > JITTER or np.isnan(values).any():
            values = np.stack([_interpolated(exact, values[:, c], stretch, lengths) for c in range(values.shape[1])], 1)
        of_row = _nearest(self.present[order], self.at[order], self.entity[order])
        there = stretch[moment[of_row]]
        place = np.clip(np.round((self.at[order] - zero[there]) / step), 0, lengths[there] - 1).astype(np.intp)
        back = np.argsort(order)
        return Grid(values, lengths, (place + starts[there])[back], there[back])


def _alike(at: Floats, entity: Indices) -> NDArray[np.bool_]:
    """Which rows have the time and the entity of the one before them, of all but the first."""
    alike: NDArray[np.bool_] = (np.diff(at) == 0) & (np.diff(entity) == 0)
    return alike


def means(values: Floats, firsts: Indices) -> Floats:
    """Means of values ``(N, C)`` from each of the first rows to the next, of those that are there."""
    if len(firsts) == len(values):
        return values
    there = ~np.isnan(values)
    total, count = (np.add.reduceat(each, firsts, axis=0) for each in (np.where(there, values, 0.0), there.astype(int)))
    return np.where(count, total / np.maximum(count, 1), np.nan)


def _nearest(present: NDArray[np.bool_], at: Floats, entity: Indices) -> Indices:
    """Of each row in order the number, among those that are present, of the nearest one of the same entity."""
    before: Indices = np.maximum(np.cumsum(present) - 1, 0)
    if present.all():
        return before
    after: Indices = np.minimum(np.cumsum(present) - present, int(present.sum()) - 1)
    times, of = at[present], entity[present]
    far_before = np.where(of[before] == entity, np.abs(at - times[before]), np.inf)
    far_after = np.where(of[after] == entity, np.abs(times[after] - at), np.inf)
    before[far_after < far_before] = after[far_after < far_before]
    return before


def _interpolated(exact: Floats, values: Floats, stretch: Indices, lengths: Indices) -> Floats:
    """A channel at all steps of the grid, (G,); ``exact`` is where its rows lie on it."""
    there = ~np.isnan(values)
    steps = np.arange(lengths.sum(), dtype=np.float64)
    if not there.any():
        return np.full(len(steps), np.nan)
    found = np.interp(steps, exact[there], values[there])
    for one in np.unique(stretch[~there]):  # no value is carried over a gap
        of_rows, first = stretch == one, int(lengths[:one].sum())
        mine = slice(first, first + int(lengths[one]))
        both = of_rows & there
        found[mine] = np.interp(steps[mine], exact[both], values[both]) if both.any() else np.nan
    return found


# ------------------------------------------------------------------------------------------- from a table


def recorded(table: Table, time: str | None, entity: Sequence[str]) -> Recording:
    """Make it of a table whose texts have been understood.

    Raises
    ------
    InputError
        When a time or an entity is missing, a time stands twice, or nothing is a number.
    """
    found = as_they_came(table, time, entity)
    if time is not None:
        _check_order(found, table, time)
        _check_twice(found, table, time, entity)
    return found


def as_they_came(table: Table, time: str | None, entity: Sequence[str]) -> Recording:
    """The same, whatever the order of their times, and where some stand twice."""
    codes, entities = _entities(table, entity)
    at = _in_turn(codes) if time is None else _moments(table, time)
    roles = {time, *entity}
    others = [place for place, name in enumerate(table.names) if name not in roles]
    channels = [place for place in others if isinstance(table.at(place), np.ndarray)]
    if not channels:
        raise InputError(
            f"a series needs a column of numbers beside its times; got {listing([table.names[at] for at in others])}."
        )
    names = tuple(table.names[place] for place in channels)
    values = np.asarray(table.numbers[:, table.number_index[channels]], dtype=np.float64)
    _check_finite(values, names, table.first)
    left_out = tuple(table.names[place] for place in others if place not in channels)
    timed = time is not None and isinstance(table.at(table.names.index(time)), Times)
    return Recording(names, values, at, codes, entities, timed, left_out)


def _check_finite(values: Floats, names: Sequence[str], first: int) -> None:
    if np.isinf(values).any():
        row, channel = np.argwhere(np.isinf(values))[0].tolist()
        raise InputError(
            f"column {names[channel]!r} holds an infinite number, in row {first + row} (counting from 0). Correct it, "
            "leave it empty, or read such as missing: --infinity missing."
        )


def _in_turn(codes: Indices) -> Floats:
    """Numbers of the steps of each entity, in the order of rows."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    at = np.empty(len(codes))
    at[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return at


def _moments(table: Table, time: str) -> Floats:
    column = table.at(table.names.index(time))
    if not isinstance(column, Times | np.ndarray) and (numbers := _long_numbers(column)) is not None:
        return numbers
    if not isinstance(column, Times | np.ndarray):
        some = [value for value in column.values()[:1_000].tolist() if value is not None][:2]
        raise InputError(
            f"column {time!r} must hold times, or numbers that grow with time; got {listing(some) or 'nothing'}. "
            "Dates may be written as 2026-03-29T02:30:00+02:00; --day-first reads 03/04/2026 as April."
        )
    gone = np.flatnonzero(missing_in(column))
    if len(gone):
        raise InputError(
            f"{len(gone):,} row(s) have no time in column {time!r}, the first is row {table.first + gone[0]} (counting "
            "from 0). Fill in their times, or leave these rows out."
        )
    if isinstance(column, Times):
        return column.moments.astype("datetime64[us]").astype(np.int64) / 1e6
    return column.astype(np.float64)


def _long_numbers(column: Any) -> Floats | None:
    """Whole numbers of so many digits that they are read as names, such as nanoseconds since 1970; None for others."""
    texts = column.values().tolist()
    if not all(isinstance(text, str) and text.isdigit() for text in texts):
        return None
    return np.array([int(text) for text in texts], dtype=np.float64)


def _entities(table: Table, entity: Sequence[str]) -> tuple[Indices, tuple[str, ...]]:
    """Number of the entity of each row, and what they are called."""
    codes, labels = np.zeros(len(table), dtype=np.intp), [""]
    for name in entity:
        column = table.at(table.names.index(name))
        gone = np.flatnonzero(missing_in(column))
        if len(gone):
            raise InputError(
                f"row {table.first + gone[0]} (counting from 0) says nothing in column {name!r}, of what it is. Fill "
                "it in, or leave such rows out."
            )
        keys, own = _named(column)
        both, codes = np.unique(codes * len(keys) + own, return_inverse=True)
        labels = [f"{labels[one // len(keys)]} {keys[one % len(keys)]}".strip() for one in both.tolist()]
    return codes.reshape(-1).astype(np.intp), tuple(labels)


def _named(column: Any) -> tuple[list[str], Indices]:
    if isinstance(column, Categories):
        return list(column.keys), column.codes.astype(np.intp)
    found, codes = np.unique(column if isinstance(column, np.ndarray) else column.values(), return_inverse=True)
    texts = [f"{one:g}" if isinstance(one, float) else str(one) for one in found.tolist()]
    return texts, codes.astype(np.intp)


def _check_order(found: Recording, table: Table, time: str) -> None:
    """Refuse numbers that are a measurement: they rise and fall from row to row, and keep no step when sorted."""
    if _up_and_down(found) and not any(_even(found.steps, step) for step in (found.step, float(found.steps.min()))):
        some = listing([shown_time(at, timed=False) for at in found.at[:4].tolist()])
        raise InputError(
            f"column {time!r} does not look like a time: its numbers rise and fall from row to row ({some}, ...), and "
            "no step between them is usual. Name the column that says when, or, if this one does, sort the rows by it."
        )


def _up_and_down(found: Recording) -> bool:
    in_turn = np.diff(found.at)[np.diff(found.entity) == 0]
    return bool(
        not found.timed and len(in_turn) >= FEWEST and min((in_turn < 0).mean(), (in_turn > 0).mean()) >= UP_AND_DOWN
    )


def _even(steps: Floats, step: float) -> bool:
    """Whether most are a multiple of one step, of which there are not far more than rows."""
    counts = steps / step
    return bool((np.abs(counts - np.round(counts)) <= JITTER).mean() >= EVEN and counts.sum() <= EMPTY * len(steps))


def _check_twice(found: Recording, table: Table, time: str, entity: Sequence[str]) -> None:
    """Refuse times of which many stand twice, and say what tells such rows apart, if something does."""
    if len(found.again) <= MOST_TWICE * len(found.at):
        return
    said = f"{_twice(found, table.first)}. "
    raise InputError(said + (_set_back(found) or _telling(found, table, time, entity)))


def _twice(found: Recording, number: int = 0) -> str:
    """How many rows have a time that another has, and which are the first two; rows are counted from this number."""
    place = found.again[0]
    first, second = sorted(found.order[place - 1 : place + 1].tolist())
    shown, of = shown_time(found.at[first], timed=found.timed), found.entities[found.entity[first]]
    return (
        f"{len(found.again):,} row(s) have a time that another has, too, the first is "
        f"{shown}{f' of {of}' if of else ''}, in rows {number + first} and {number + second} (counting from 0)"
    )


def _set_back(found: Recording) -> str:
    """What to do where an hour of the clock stands twice; empty where it does not look like that."""
    falls = np.diff(found.at)
    back = np.flatnonzero((falls < 0) & (np.diff(found.entity) == 0))
    if not found.timed or len(back) == 0 or len(back) > len(found.again) or not (falls[back] >= -HOUR).all():
        return ""
    return (
        "Were clocks set back an hour? Then two hours look alike: write times in UTC, or with their zone, as "
        "2026-10-25T02:30:00+01:00."
    )


def _telling(found: Recording, table: Table, time: str, entity: Sequence[str]) -> str:
    """Which column makes the times of its values different, if one does."""
    for name in table.names:
        if name in (time, *entity):
            continue
        column = table.at(table.names.index(name))
        if missing_in(column).any():
            continue
        codes = _named(column)[1]
        different = np.unique(np.stack([found.entity, codes, found.at]), axis=1).shape[1]
        if codes.max() < len(table) / 4 and different == len(table):
            return f"Are several series in one table? The column {name!r} tells these rows apart: --entity {name}."
    doubt = "Does it say when? Its numbers rise and fall from row to row. " if _up_and_down(found) else ""
    return doubt + (
        "A series has one row for each time. If there are several series in one table, name the column that tells them "
        "apart (--entity); else leave out what is double, or take rows for themselves, without --time."
    )


def shown_time(at: float, *, timed: bool) -> str:
    """A time for people, in UTC.

    >>> shown_time(90.0, timed=True), shown_time(90.0, timed=False)
    ('1970-01-01T00:01:30', '90')
    """
    if not timed:
        return f"{int(at)}" if float(at).is_integer() else f"{at:.12g}"
    return str(np.datetime64(round(at * 1e6), "us")).removesuffix(".000000")


def spaced(seconds: float, *, timed: bool) -> str:
    """How long a step is, for people.

    >>> spaced(300.0, timed=True), spaced(86400.0, timed=True), spaced(2.5, timed=False)
    ('5 minutes', '1 day', '2.5')
    """
    if not timed:
        return shown_time(seconds, timed=False)
    units = (("day", 86_400.0), ("hour", HOUR), ("minute", 60.0), ("second", 1.0))
    name, length = next((unit for unit in units if seconds >= unit[1]), units[-1])
    count = f"{seconds / length:.4g}"
    return f"{count} {name}" + ("" if count == "1" else "s")


def notes_on(found: Recording, step: float) -> Iterator[str]:
    """What a person should know of how rows were brought in order, sentence by sentence."""
    if (np.diff(found.at)[np.diff(found.entity) == 0] < 0).any():
        yield "rows are not in order of time: they are sorted; scores stand in the order of the rows."
    if len(found.again):
        yield f"{_twice(found)}: the mean of their values is taken, and they have one score. {_set_back(found)}".strip()
    steps = np.diff(found.at[found.order])[np.diff(found.entity[found.order]) == 0]
    steps = steps[steps > 0]
    off = np.abs(steps / step - 1) > JITTER
    if (off & (steps <= APART * step)).any():
        usual = spaced(step, timed=found.timed)
        yield (
            f"{int(off.sum()):,} of {len(off):,} steps are not as long as the usual one, {usual}: values between are "
            "interpolated, and a row has the score of the nearest step."
        )
    gaps = int((found.steps > APART * step).sum())
    if gaps:
        yield f"{gaps:,} gap(s) of more than {MOST_GAP} steps part the series: no window reaches over one."
    missing = np.isnan(found.values)
    empty = missing.all(axis=1)
    if (empty & ~found.present).any():
        count = int((empty & ~found.present).sum())
        yield f"{count:,} row(s) hold no value: a gap, and each has the score of the nearest row with one."
    if (empty & found.present).any():
        names = sorted({found.entities[one] for one in found.entity[empty & found.present].tolist()} - {""})
        yield "nothing but missing values, which count as usual" + (f": {listing(names)}." if names else ".")
    some = missing[~empty][:, ~missing.all(axis=0)]
    if some.any():
        yield f"{int(some.sum()):,} missing value(s) are interpolated in their channel."
