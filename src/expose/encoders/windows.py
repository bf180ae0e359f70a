"""Steps of series by the windows that cover them: principal components, whitened, of what the windows show.

Windows are as long as periods of the training rows, if these show one. Of many channels each value of a window is the
mean of a few steps, so that it is no shorter than that of one. Of the windows that cover a step a few are looked at,
evenly spaced: the first begins with the step, the last ends with it. Each is projected once, however many steps it
covers. Sub-PCA (Paparrizos et al., VLDB 2022) judges windows by such components.

Beside them stands, for each channel, how large the rest is that no component shows: they are those of the channels that
vary most, and a channel that is precise would be wrong unseen.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.arrivals import MOST, Arrivals
from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.layout import Layout
from expose.encoders.recent import RecentSteps
from expose.errors import DataWarning, InputError
from expose.files.names import listing
from expose.kinds.recording import Grid
from expose.kinds.series import Series, as_series

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

PARTS: Final = 8  # windows for each step
USUAL: Final = 100  # steps of a window: whole periods, so many steps at least
SHORTEST, LONGEST = 4, 300  # steps of a period
CONVINCING: Final = 0.5  # autocorrelation of a period
ALIKE: Final = 0.9  # times the highest autocorrelation
MOST_VALUES, MOST_ASKED = 384, 4_096  # of a window: of more, steps are averaged, unless somebody said a length
COMPONENTS, EXPLAINED = 64, 0.999  # at most, and of the variance
WINDOWS: Final = 20_000  # from which components are taken
MOST_NUMBERS: Final = 2**28  # of all parts of the training rows: 1 GiB
AT_ONCE: Final = 2048  # windows in memory
TILE: Final = 256  # windows that are projected together, always the same: what one gives does not depend on others
FAR: Final = 10.0  # standard deviations: values further out count as so far where components are taken
BEYOND: Final = 1e6  # ... and where windows are judged, so that sums of squares stay finite
TINY: Final = 1e-12
LEAST_NOISE: Final = 1e-3  # of the mean variance: what no component shows of a value
RESTS: Final = 64  # at most: of more channels neighbours have one together
STEADY: Final = 0.03  # of the noise: a rest spreads as much, so that rounding is none
ARRAYS: Final = ("middle", "spread", "centre", "projection", "usual_rest")
ROBUST: Final = 1.4826  # times the median deviation: the standard deviation of normal values


@register_encoder("windows")
class WindowEncoder(Encoder):
    """Encode each step of a series by the windows that cover it.

    Parameters
    ----------
    window : int, optional
        How many steps a window has. By default what the samples say, else a period of the training rows.
    components : int, default=64
        The most values of a window.

    Examples
    --------
    >>> from expose.kinds import as_series
    >>> waves = as_series(np.sin(np.arange(400) / 4) + 0.1 * np.random.default_rng(0).normal(size=400))
    >>> encoder = WindowEncoder(components=5).fit(waves)
    >>> encoder.window, encoder.transform(waves).shape
    (100, (400, 8, 6))
    """

    encodes = "series"

    def __init__(self, window: int | None = None, components: int = COMPONENTS) -> None:
        self.asked = window
        self.components = components

    def fit(self, samples: Any) -> Self:
        """Learn the step, the usual values of each channel, the window and its components.

        Raises
        ------
        InputError
            When a window that was asked for is longer than the series, or no channel varies.
        """
        series = as_series(samples)
        self.learned = series.learned
        recording = series.recording()
        self.step = recording.step
        grid = recording.grid(self.step)
        self._scale(grid, recording.names, two_valued(recording.values))
        self.left_out = recording.left_out
        self._choose_window(grid, self.asked or series.window, recording.names)
        self.notes = [*self._notes(grid), *series.news()]
        self._find_components(series, grid)
        return self

    def _settle(self) -> None:
        self.loadings = (self.projection / np.square(self.projection).sum(axis=0)).T  # (K, C * V), back to windows
        self.layout = Layout("vector", (self.projection.shape[1] + self.usual_rest.shape[1],), pooling="mean")

    def _scale(self, grid: Grid, names: tuple[str, ...], switches: NDArray[np.bool_]) -> None:
        """Middle and spread of each channel; those that never vary are left out, and switches beside other channels."""
        some = grid.values[:: -(-len(grid.values) // 200_000)]
        empty = np.isnan(some).all(axis=0)
        some = np.where(empty, 0.0, some)
        middle = np.nanmedian(some, axis=0)
        spread = ROBUST * np.nanmedian(np.abs(some - middle), axis=0)
        with np.errstate(over="ignore"):
            usual = np.nanstd(some, axis=0)
        usual = np.where(np.isinf(usual), np.nanmean(np.abs(some - middle), axis=0), usual)
        spread = np.where(spread > 1e-9 * np.abs(middle), spread, usual)
        varying = ~empty & (spread > 1e-9 * np.abs(middle)) & (spread > 0)
        self.unused = tuple(name for name, one in zip(names, varying, strict=True) if not one)
        if len(self.unused) == len(names):
            raise InputError(f"no channel varies, so there is nothing to learn: {listing(names)}.")
        judged = varying & ~switches if (varying & ~switches).any() else varying
        self.switches = tuple(name for name, one in zip(names, varying & ~judged, strict=True) if one)
        self.names = tuple(name for name, one in zip(names, judged, strict=True) if one)
        self.middle, self.spread = middle[judged], spread[judged]

    def _choose_window(self, grid: Grid, asked: int | None, names: tuple[str, ...]) -> None:
        longest = int(grid.lengths.max())
        if longest < 2:
            raise InputError(
                "a series has several steps that follow each other; here each row stands alone, further than ten steps "
                "from the next or of another entity. Take rows for themselves, as a table, or look at their times."
            )
        if asked is not None and asked > longest:
            raise InputError(
                f"a window of {asked:,} steps is longer than the longest stretch without a gap, {longest:,} steps. "
                "Choose a shorter one, or leave it to the data."
            )
        if asked is not None and asked * len(self.names) > MOST_ASKED:
            raise InputError(
                f"a window of {asked:,} steps of {len(self.names):,} channels has more than {MOST_ASKED:,} values. "
                f"Choose at most {MOST_ASKED // len(self.names):,} steps, or leave channels out."
            )
        self.window, self.every, self.why = asked or 0, 1, "as was asked for"
        if asked is None:
            first = int(grid.starts[grid.lengths.argmax()])
            period = period_of(self._standard(self._used(grid.values[first : first + longest], names)))
            most = max(2, longest // 4)
            asked = period * min(-(-USUAL // period), most // period) if period else 0
            self.why = f"whole periods of {period:,}, which the rows show"
            if not asked:
                self.why = "as no period shows" if most >= USUAL else "a quarter of the longest stretch"
                asked = min(USUAL, most)
            self.every = min(-(-asked * len(self.names) // MOST_VALUES), asked // 2)
            self.window = asked // self.every * self.every
            if self.every > 1:
                self.why += f", each value the mean of {self.every} steps as there are {len(self.names):,} channels"

    def _notes(self, grid: Grid) -> list[str]:
        notes = [f"windows of {self.window:,} steps are judged: {self.why}; --window N says otherwise."]
        if self.left_out:
            notes.append(f"columns that hold no numbers are left out: {listing(self.left_out)}.")
        if self.unused:
            notes.append(f"channels that never vary have no weight: {listing(self.unused)}.")
        if self.switches:
            notes.append(
                f"channels of two values, such as switches and commands, have no weight beside others: "
                f"{listing(self.switches)}. They are judged where they are given alone, or each row for itself."
            )
        if short := int((grid.lengths < self.window).sum()):
            notes.append(f"{short:,} stretch(es) are shorter than a window: each is judged as a whole.")
        return notes

    def _standard(self, values: NDArray[np.float64], most: float = BEYOND) -> Floats:
        """Values of the channels in use, (..., C), as standard deviations from the middle, at most so many."""
        scaled = np.clip((values - self.middle) / self.spread, -most, most).astype(np.float32)
        return np.nan_to_num(scaled, copy=False, nan=0.0)

    def _find_components(self, series: Series, grid: Grid) -> None:
        begins = np.unique(self._begins(grid, self._in_long(series, grid).numbers))
        rng = np.random.default_rng(0)
        some = begins if len(begins) <= WINDOWS else np.sort(rng.choice(begins, WINDOWS, replace=False))
        standard = self._standard(self._used(grid.values, series.recording().names), FAR)
        width = self.n_values * len(self.names)
        total, second = np.zeros(width), np.zeros((width, width))
        for windows in self._windows(standard, some, AT_ONCE):
            total += windows.sum(axis=0)
            second += windows.T @ windows
        centre = total / len(some)
        covariance = second / len(some) - np.outer(centre, centre)
        variances, directions = np.linalg.eigh(covariance)
        variances, directions = np.maximum(variances[::-1], TINY), directions[:, ::-1]
        kept = variances > 1e-6 * variances[0]
        enough = int(np.searchsorted(np.cumsum(variances) / variances.sum(), EXPLAINED)) + 1
        affordable = max(4, MOST_NUMBERS // (len(series) * PARTS))
        n_components = min(self.components, enough, int(kept.sum()), affordable)
        self.noise = max(float(variances[n_components:].sum() / len(variances)), LEAST_NOISE * float(variances.mean()))
        self.centre = centre.astype(np.float32)
        self.projection = (directions[:, :n_components] / np.sqrt(variances[:n_components])).astype(np.float32)
        self.usual_rest = np.stack([np.zeros(n := min(len(self.names), RESTS, affordable)), np.ones(n)])
        self._settle()
        known = np.ones(width, dtype=np.bool_)
        shown = (self._shown(few - self.centre, self.projection, known) for few in self._windows(standard, some, TILE))
        rests = np.concatenate([one[:, n_components:] for one in shown])
        lower, middle, upper = np.quantile(rests, (0.25, 0.5, 0.75), axis=0)
        least = np.maximum(rests.std(axis=0) / FAR, STEADY * self.noise**0.5)
        self.usual_rest = np.stack([middle, np.maximum((upper - lower) * ROBUST / 2, least)])

    def _in_long(self, series: Series, grid: Grid) -> Series:
        """The steps in stretches of a window or more; if none is, those of all of the recording."""
        long = grid.lengths[grid.stretch] >= self.window  # of each row of the table
        own = series.numbers[long[series.numbers]]
        return replace(series, rows=own if len(own) else np.flatnonzero(long))

    def _used(self, values: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
        places = [names.index(name) for name in self.names]
        return values if len(places) == len(names) else values[:, places]

    def _begins(self, grid: Grid, rows: Indices, until: Indices | None = None) -> Indices:
        """Where the windows over each step begin, (n, P); none reaches beyond the step ``until`` (n,) of the grid."""
        before = np.round(np.linspace(0, self.window - 1, min(PARTS, self.window))).astype(np.intp)
        first = grid.starts[grid.stretch[rows]][:, None]
        last = first + grid.lengths[grid.stretch[rows]][:, None] - self.window
        last = last if until is None else np.minimum(last, until[:, None] + 1 - self.window)
        begins: Indices = np.clip(grid.place[rows][:, None] - before, first, last)
        return begins

    def _windows(self, standard: Floats, begins: Indices, size: int) -> Iterator[Floats]:
        """The values of windows in a row, (m, C * V), so many at a time."""
        standard = mean_of(standard, self.every)
        reach = self.window - self.every + 1
        shown = np.lib.stride_tricks.sliding_window_view(standard, reach, axis=0)  # (G - W + 1, C, reach)
        shown = shown[..., :: self.every]  # (G - W + 1, C, V)
        for start in range(0, len(begins), size):
            few = shown[begins[start : start + size]]
            yield few.reshape(len(few), -1)

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Whitened components of the windows over each step, and the rests, ``(n, P, K + R)``."""
        return self._mapped(as_series(samples))

    @property
    def n_values(self) -> int:
        """How many values a window has of a channel."""
        return self.window // self.every

    def arrivals(self, kind: Any, delay: int = 0, most: int = MOST) -> Arrivals:
        """Of each series the last steps are kept."""
        return RecentSteps(self, delay, most)

    def read(self, samples: Any) -> Series:
        """Rows as those of training were read."""
        return as_series(samples).as_trained(self.learned)

    @property
    def commas(self) -> tuple[str, ...]:
        """Channels whose numbers had a decimal comma in training."""
        return tuple(name for name, one in self.learned["writings"].items() if one["decimal"] == ",")

    @property
    def sources(self) -> tuple[str, ...]:
        """The channels, if there are several."""
        return self.names if len(self.names) > 1 else ()

    def without(self, samples: Any, source: str | None) -> NDArray[np.float32]:
        """The most probable components of the windows, and the rests, ``(n, P, K + R)``, by what others show."""
        lost = [] if source is None else [self.names.index(source)]
        return self._mapped(as_series(samples), lost, expected=True)

    def _mapped(self, series: Series, lost: Sequence[int] = (), *, expected: bool = False) -> NDArray[np.float32]:
        """Components of the windows over each step; the most probable ones where not all of a window is known."""
        series = self.read(series)
        for note in series.news():
            warnings.warn(note, DataWarning, stacklevel=4)
        if not len(series.table):
            return np.zeros((0, min(PARTS, self.window), self.layout.n_values), dtype=np.float32)
        grid = series.grid(self.names, self.step)
        if grid.lengths.max() < self.window:
            fewer = f"{grid.lengths.max():,} step(s) are fewer than a window of {self.window:,}"
            message = f"{fewer}, and are judged as a whole: give more of the series for better scores."
            warnings.warn(message, DataWarning, stacklevel=4)
        return self.of_steps(grid, series.numbers, lost=lost, expected=expected)

    def of_steps(
        self,
        grid: Grid,
        rows: Indices,
        until: Indices | None = None,
        origins: Indices | None = None,
        *,
        lost: Sequence[int] = (),
        expected: bool = False,
    ) -> NDArray[np.float32]:
        """Components of the windows over the steps of some rows of a grid, ``(n, P, K)``.

        Windows reach no further than the step ``until`` (n,), if it is given: what comes later is not known yet. Of a
        stretch that is the rest of a longer one, ``origins`` (S,) says where on the grid that one began.
        """
        origins = grid.starts if origins is None else origins
        known = ~np.isnan(grid.values[grid.starts])  # (S, C): a channel is missing in all of a stretch or in none
        known[:, list(lost)] = False
        stretch = grid.stretch[rows]
        parts = np.zeros((len(rows), min(PARTS, self.window), self.layout.n_values), dtype=np.float32)
        for some in _alike(stretch, grid.lengths < self.window):
            parts[some] = self._as_a_whole(grid, int(stretch[some[0]]), known[stretch[some[0]]])
        whole = np.flatnonzero(grid.lengths[stretch] >= self.window)
        patterns, which = np.unique(known[stretch[whole]], axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            some = whole[which.reshape(-1) == number]
            plain = pattern.all() and not expected
            values = pattern.repeat(self.n_values)
            projection = self.projection if plain else self._expecting(values)
            begins = self._begins(grid, rows[some], None if until is None else until[some])
            parts[some] = self._projected(grid, begins, origins[stretch[some]][:, None], projection, values)
        return parts

    def _shown(self, away: Floats, projection: Floats, known: NDArray[np.bool_]) -> Floats:
        """Components of what windows are away from the mean (m, C * V), and the rest of each channel, ``(m, K + R)``.

        What is not known counts as usual.
        """
        components = away @ projection
        rest = np.where(known, away - components @ self.loadings, 0.0).reshape(len(away), len(self.names), -1)
        middle, spread = self.usual_rest
        firsts = np.arange(len(middle)) * len(self.names) // len(middle)
        squares = np.add.reduceat(np.square(rest).sum(axis=2), firsts, axis=1)
        count = np.add.reduceat(known.reshape(len(self.names), -1).sum(axis=1), firsts)
        sizes = (np.sqrt(squares / np.maximum(count, 1)) - middle) / spread
        of_all = np.diff(firsts, append=len(self.names)) * self.n_values
        return np.concatenate([components, sizes * count / of_all], axis=1, dtype=np.float32)

    def _expecting(self, known: NDArray[np.bool_]) -> Floats:
        """Map windows, of which only some values are known (C * V,), to their most probable components."""
        loadings = self.projection.astype(np.float64) / np.square(self.projection, dtype=np.float64).sum(axis=0)
        loadings[~known] = 0.0
        precision = loadings.T @ loadings + self.noise * np.eye(loadings.shape[1])
        return np.asarray(np.linalg.solve(precision, loadings.T).T, dtype=np.float32)

    def _as_a_whole(self, grid: Grid, stretch: int, known: NDArray[np.bool_]) -> Floats:
        """What is shown of a stretch shorter than a window, ``(P, K + R)``, wherever in one it may lie."""
        first, length = int(grid.starts[stretch]), int(grid.lengths[stretch])
        standard = self._standard(grid.values[first : first + length])
        parts = []
        for before in np.round(np.linspace(0, self.window - length, min(PARTS, self.window))).astype(int):
            there = np.zeros((len(self.names), self.window), dtype=np.float32)
            there[known, before : before + length] = 1.0
            shown = np.zeros(there.shape, dtype=np.float32)
            shown[:, before : before + length] = standard.T
            count, total = (one.reshape(-1, self.every).sum(axis=1) for one in (there, shown))
            away = (total / np.maximum(count, 1) - self.centre)[None]
            parts.append(self._shown(away, self._expecting(count > 0), count == self.every)[0])
        return np.stack(parts)

    def _projected(
        self, grid: Grid, begins: Indices, origins: Indices, projection: Floats, known: NDArray[np.bool_]
    ) -> Floats:
        """What is shown of windows that begin there, (n, P, K + R); each is mapped once.

        Windows are mapped a tile at a time, counted from where the stretch began, ``origins`` (n, 1): what comes of one
        depends, in the last bits, on where in a tile it stands.
        """
        inside = (begins - origins) % TILE
        tiles, which = np.unique(begins - inside, return_inverse=True)
        first, last = int(tiles[0]), int(tiles[-1])
        start, end = max(first, 0), min(last + TILE + self.window, len(grid.values))
        standard = self._standard(grid.values[start:end])
        standard = np.pad(standard, ((start - first, last + TILE + self.window - end), (0, 0)))
        windows = (tiles[:, None] - first + np.arange(TILE)).reshape(-1)
        mapped = [self._shown(few - self.centre, projection, known) for few in self._windows(standard, windows, TILE)]
        return np.asarray(np.concatenate(mapped)[which.reshape(begins.shape) * TILE + inside], dtype=np.float32)

    def state(self) -> State:
        """All that was learned."""
        names = {"names": list(self.names), "unused": list(self.unused), "left_out": list(self.left_out)}
        names |= {"switches": list(self.switches)}
        names |= {"notes": list(self.notes)}
        meta = {
            "window": self.window,
            "every": self.every,
            "step": self.step,
            "noise": self.noise,
            "learned": self.learned,
            **names,
        }
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return State(meta, arrays)

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave."""
        encoder = cls(components=int(state.arrays["projection"].shape[1]))
        encoder.window, encoder.every = int(state.meta["window"]), int(state.meta["every"])
        encoder.step = float(state.meta["step"])
        encoder.notes = list(state.meta["notes"])
        encoder.noise, encoder.learned = float(state.meta["noise"]), state.meta["learned"]
        for name in ("names", "unused", "left_out", "switches"):
            setattr(encoder, name, tuple(state.meta[name]))
        for name in ARRAYS:
            setattr(encoder, name, state.arrays[name])
        encoder._settle()
        return encoder


def _alike(stretch: Indices, chosen: NDArray[np.bool_]) -> Iterator[Indices]:
    """Numbers of the rows (n,) in each of the chosen stretches."""
    rows = np.flatnonzero(chosen[stretch])
    rows = rows[np.argsort(stretch[rows], kind="stable")]
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(stretch[rows])) + 1)


def two_valued(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the columns (n, C) hold no more than two values.

    Examples
    --------
    >>> two_valued(np.array([[0, 1.5], [5, 2.5], [np.nan, 3.5], [0, 1.5]])).tolist()
    [True, False]
    """
    lowest, highest = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    other = (values != lowest) & (values != highest) & ~np.isnan(values)
    found: NDArray[np.bool_] = ~other.any(axis=0)
    return found


def mean_of(values: Floats, every: int) -> Floats:
    """Of each step the mean of so many, of which it is the first: ``(T, C)`` to ``(T - every + 1, C)``.

    Examples
    --------
    >>> mean_of(np.array([[1.0], [2.0], [6.0]], dtype=np.float32), 2).tolist()
    [[1.5], [4.0]]
    """
    if every == 1:
        return values
    total = values[: len(values) - every + 1].copy()
    for later in range(1, every):
        total += values[later : len(values) - every + 1 + later]
    return total / np.float32(every)


def period_of(values: Floats) -> int:
    """The period of channels ``(T, C)``, up to 300 steps, by their autocorrelation; 0 if none is convincing.

    It is the first peak that is nearly as high as the highest: all multiples of a period are peaks.

    Examples
    --------
    >>> period_of(np.sin(np.arange(1_000) * 2 * np.pi / 24)[:, None]), period_of(np.arange(1_000.0)[:, None] ** 2 % 997)
    (24, 0)
    """
    correlation = autocorrelation(values, LONGEST + 1)
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > CONVINCING))
    peaks = peaks[peaks >= SHORTEST]
    if not len(peaks):
        return 0
    return int(peaks[(correlation[peaks] >= ALIKE * correlation[peaks].max()).argmax()])


def autocorrelation(values: Floats, most: int) -> NDArray[np.float64]:
    """Mean autocorrelation of channels ``(T, C)`` at lags up to ``most`` or a third of their length."""
    most = min(most, len(values) // 3)
    centred = np.asarray(values - values.mean(axis=0), dtype=np.float64)
    size = 1 << int(np.ceil(np.log2(len(values) + most + 1)))
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    sums = np.fft.irfft(power, size, axis=0)[: most + 1]
    unbiased = sums / (len(values) - np.arange(most + 1))[:, None]
    found: NDArray[np.float64] = (unbiased / np.maximum(unbiased[0], 1e-12)).mean(axis=1)
    return found
