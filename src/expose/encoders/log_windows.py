"""Windows of logs as counts: how often each template occurs, what was never seen, odd numbers, odd orders."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.layout import Layout
from expose.encoders.scaling import apply_scaling, check_scalings, fit_scaling
from expose.encoders.templates import Matcher, drain
from expose.errors import CountedWarning, InputError
from expose.kinds.log import as_logs_of
from expose.kinds.log_lines import Entries
from expose.kinds.logs import Cut, Logs, Seen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Members = NDArray[np.intp]

UNSEEN, ENTRIES, ODD, SHIFT, ORDER = (
    "unseen lines",
    "entries",
    "an odd number",
    "numbers on the whole",
    "order of lines",
)
MOST_TEMPLATES: Final = 1_000  # with a column of their own
LONGEST_NAME: Final = 70
SLOTS: Final = 8  # numbers of a message that are looked at
ENOUGH: Final = 20  # numbers in training, to tell which are odd
AT_ONCE: Final = 50_000  # entries whose numbers are looked at together
MOST_LEARNED: Final = 500_000  # entries by whose numbers it is learned which are usual
MOST_MESSAGES: Final = 50_000  # different ones by which templates are learned: the most frequent
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
RARE: Final = 0.05  # share of the windows of training up to which a count that differs from the usual one is rare
MOST_UNSEEN: Final = 0.5  # share of the entries of which no more should be unseen
_LEAST_SPREAD: Final = 0.05  # of logarithms: 5 %
_FARTHEST: Final = 5.0  # spreads that a number of many counts as at most


@register_encoder("log-windows")
class LogEncoder(Encoder):
    """Encode windows or sessions of logs as counts.

    A window's values are how many entries of each template it has, how many of none (templates that a single window of
    training has count as none, as the others never saw them), how many entries there are at all, how far its oddest
    number, and those of one place together, lie from those that stand in the same place, and of sessions how rare the
    rarest two entries in a row are. Of counts the logarithms are scaled.

    Parameters
    ----------
    scalings : sequence of str, default=("quantile",)
        How counts are scaled, see `expose.encoders.scaling`.

    Attributes
    ----------
    templates : tuple of str
        Those with a column.

    Examples
    --------
    >>> from expose.kinds import as_logs
    >>> lines = [f"2026-05-01 12:{minute:02}:00 INFO job {minute} done" for minute in range(20)]
    >>> encoder = LogEncoder().fit(as_logs(lines, window="5m"))
    >>> [name for name, _ in encoder.groups]
    ['INFO job <NUM> done', 'unseen lines', 'entries', 'an odd number', 'numbers on the whole']
    """

    encodes = "log"

    def __init__(self, scalings: Sequence[str] = ("quantile",)) -> None:
        self.scalings = tuple(check_scalings(scalings))
        self.notes: list[str] = []

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, samples: Any) -> Self:
        """Learn templates, usual numbers and usual orders of training windows."""
        logs = as_logs_of(samples)
        self.cut = logs.cut
        every = np.concatenate([*logs.members, np.zeros(0, dtype=np.intp)])
        codes = logs.entries.codes[every]
        different, first = np.unique(codes, return_index=True)
        in_order = different[np.argsort(first, kind="stable")]
        learned = _frequent(in_order, np.bincount(codes, minlength=1))
        found = drain([logs.entries.messages[code] for code in learned.tolist()])
        matcher = Matcher(found)
        of_code = {code: matcher(logs.entries.messages[code]) for code in in_order.tolist()}
        windows = np.zeros(len(found), dtype=np.int64)
        for members in logs.members:
            mine = {of_code[code] for code in logs.entries.codes[members].tolist()} - {-1}
            windows[sorted(mine)] += 1
        alone = 1 if len(logs) > 1 else 0
        order = np.argsort(-windows, kind="stable")
        kept = np.sort([number for number in order[:MOST_TEMPLATES].tolist() if windows[number] > alone])
        self.templates = tuple(found[number] for number in kept.astype(np.intp).tolist())
        self._start()
        self.slots = self._learn_numbers(logs)
        self.pairs = self._learn_pairs(logs)
        self.n_windows = len(logs)
        self.notes = list(_notes(len(found), len(self.templates), windows, alone))
        self.usual = np.median(self._values(logs).values[:, : len(self.templates) + 2], axis=0)
        self._settle(self._scales(self._logarithms(logs)))
        return self

    def _start(self) -> None:
        """Make what is made of the templates."""
        self._matcher = Matcher(self.templates)
        names = dict.fromkeys(_short(template) for template in self.templates)
        self.names: tuple[str, ...]
        if len(names) < len(self.templates):  # names that were cut alike are numbered
            self.names = tuple(f"{_short(text)} #{number}" for number, text in enumerate(self.templates, 1))
        else:
            self.names = tuple(names)
        self.names += (UNSEEN, ENTRIES, ODD, SHIFT) + ((ORDER,) if self.cut.session is not None else ())

    def _learn_numbers(self, logs: Logs) -> Floats:
        """Quantiles of the numbers in each place of each template, (templates * SLOTS, 5); NaN where there are few.

        Of very many numbers those of some windows are looked at.
        """
        step = -(-sum(map(len, logs.members)) // MOST_LEARNED) or 1
        columns = self._columns(logs)
        parts = [self._numbers_in(logs.entries, some, columns)[:2] for some in _portions(logs.members[::step])]
        slots = np.concatenate([np.zeros(0, dtype=np.int64), *(part[0] for part in parts)])
        sizes = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
        found = np.full((len(self.templates) * SLOTS, len(_QUANTILES)), np.nan)
        if not len(slots):
            return found
        order = np.argsort(slots, kind="stable")
        places, begins = np.unique(slots[order], return_index=True)
        for place, some in zip(places.tolist(), np.split(sizes[order], begins[1:]), strict=True):
            if len(some) >= ENOUGH:
                found[place] = np.quantile(some, _QUANTILES)
        return found

    def _learn_pairs(self, logs: Logs) -> dict[tuple[int, int], int]:
        """In how many windows each two templates follow each other, (window's beginning and end as -1)."""
        counts: dict[tuple[int, int], int] = {}
        if self.cut.session is None:
            return counts
        columns = self._columns(logs)
        for members in logs.members:
            for pair in _pairs(columns[logs.entries.codes[members]]):
                counts[pair] = counts.get(pair, 0) + 1
        return counts

    def _scales(self, values: Floats) -> Floats:
        """Factor, center and spread of each column in each scaling, (V, 3, K)."""
        found = []
        other = (values != np.median(values, axis=0)).sum(axis=0)
        rare = other <= RARE * len(values)
        for scaling in self.scalings:
            scale = fit_scaling(values.copy(), scaling)
            # of what hardly ever varies: as if each window of training that differs, or one, had had one more; one that
            # has hundreds of a line must not make it usual that there is one
            spread = np.where(rare, np.minimum(scale.spread, np.sqrt(np.maximum(other, 1) / len(values))), scale.spread)
            found.append(np.stack([scale.factor, scale.center, spread]))
        return np.stack(found)

    def _settle(self, scales: Floats) -> None:
        self.scales = scales
        self.layout = Layout("vector", (len(self.names) * len(self.scalings),), views=len(self.scalings))

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """Templates and what else is counted."""
        views = len(self.scalings)
        return [(name, slice(place * views, (place + 1) * views)) for place, name in enumerate(self.names)]

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode windows, float32 ``(n, D)``.

        Raises
        ------
        InputError
            Where they were cut otherwise than those of training.
        """
        logs = as_logs_of(samples)
        self._check(logs)
        values = self._logarithms(logs)
        self._warn_of_unseen(logs)
        out = np.empty((*values.shape, len(self.scalings)), dtype=np.float32)
        for view, (scaling, (factor, center, spread)) in enumerate(zip(self.scalings, self.scales, strict=True)):
            scaled = values.copy()
            apply_scaling(scaled, scaling, factor, center, spread)
            out[..., view] = scaled
        return out.reshape(len(values), self.layout.n_values)

    def read(self, samples: Any) -> Logs:
        """The same windows with how often each template occurs in them."""
        logs = as_logs_of(samples)
        return replace(logs, seen=self._values(logs))

    def _warn_of_unseen(self, logs: Logs) -> None:
        """Say so where most entries are none that training knows."""
        codes = [logs.entries.codes[members] for members in logs.members]
        every = np.concatenate([*codes, np.zeros(0, dtype=np.intp)])
        unseen = int((self._columns(logs)[every] == len(self.templates)).sum())
        if unseen > MOST_UNSEEN * len(every):
            said = CountedWarning(
                "{count} entries are of no template of lines that training knows, which is most of them: they are only "
                "counted. Is this another log, or another version of the program (then train again), or are all of its "
                "lines different?",
                unseen,
            )
            warnings.warn(said, stacklevel=3)

    def _check(self, logs: Logs) -> None:
        if logs.cut != self.cut:
            how = f"session={self.cut.session!r}" if self.cut.session is not None else f"window={self.cut.window!r}"
            raise InputError(
                f"the model was trained on {self.cut.said}; got {logs.cut.said}. Cut them alike: as_logs(..., {how})."
            )

    def _logarithms(self, logs: Logs) -> Floats:
        """Logarithms of what is counted, as if all windows were of one length, (n, K)."""
        values = self._values(logs).values
        counts = values[:, : len(self.templates) + 2]  # a view
        counts *= logs.scales[:, None]
        ends = logs.scales != 1
        if len(self.usual):  # where a window was cut short or long, whether an entry is in it or beside it says nothing
            away = counts[ends] - self.usual
            counts[ends] = self.usual + np.sign(away) * np.maximum(np.abs(away) - logs.scales[ends, None], 0)
        return np.log1p(values, out=values)

    def _values(self, logs: Logs) -> Seen:
        """What is counted of each window, (n, K)."""
        columns = self._columns(logs)
        n_templates = len(self.templates)
        values = np.zeros((len(logs), len(self.names)))
        for row, members in enumerate(logs.members):
            counts = np.bincount(columns[logs.entries.codes[members]], minlength=n_templates + 1)
            values[row, : n_templates + 1] = counts
            values[row, n_templates + 1] = len(members)
        values[:, n_templates + 2 : n_templates + 4] = self._oddness(logs, columns)
        if self.cut.session is not None:
            values[:, n_templates + 4] = [self._rarest(columns[logs.entries.codes[some]]) for some in logs.members]
        return Seen(self.names, values, columns)

    def _columns(self, logs: Logs) -> NDArray[np.intp]:
        """Which column each different message counts for; only those of these windows are looked at."""
        columns = np.full(len(logs.entries.messages), len(self.templates), dtype=np.intp)
        every = [logs.entries.codes[members] for members in logs.members]
        for code in np.unique(np.concatenate([*every, np.zeros(0, dtype=np.intp)])).tolist():
            number = self._matcher(logs.entries.messages[code])
            columns[code] = len(self.templates) if number < 0 else number
        return columns

    def _numbers_in(
        self, entries: Entries, windows: Sequence[Members], columns: NDArray[np.intp]
    ) -> tuple[Ints, Floats, Ints]:
        """Of all numbers in windows: their places in `slots`, signed logarithms, which of the windows each is in."""
        sizes = np.array([len(members) for members in windows], dtype=np.int64)
        every = np.concatenate([*windows, np.zeros(0, dtype=np.intp)])
        counts = np.diff(entries.ends)[every]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        column = np.repeat(columns[entries.codes[every]], counts)
        numbers = entries.numbers[np.repeat(entries.ends[every], counts) + within]
        used = (within < SLOTS) & (column < len(self.templates)) & np.isfinite(numbers)
        window = np.repeat(np.repeat(np.arange(len(windows)), sizes), counts)
        logarithms = np.sign(numbers) * np.log1p(np.abs(numbers))
        return (column * SLOTS + within)[used], logarithms[used], window[used]

    def _oddness(self, logs: Logs, columns: NDArray[np.intp]) -> Floats:
        """How far the oddest number lies from the usual ones in its place, and all of a place together, (n, 2)."""
        found = [self._odd_in(logs.entries, some, columns) for some in _portions(logs.members)]
        return np.concatenate([np.zeros((0, 2)), *found])

    def _odd_in(self, entries: Entries, some: Sequence[Members], columns: NDArray[np.intp]) -> Floats:
        slots, sizes, windows = self._numbers_in(entries, some, columns)
        low, quarter, middle, three, high = self.slots[slots].T
        spread = np.maximum(np.maximum((three - quarter) / 1.349, (high - low) / 3.2897), _LEAST_SPREAD)
        far = np.nan_to_num((sizes - middle) / spread)
        found = np.zeros((len(some), 2))
        np.maximum.at(found[:, 0], windows, np.abs(far))
        places, which = np.unique(windows * (len(self.slots) + 1) + slots, return_inverse=True)
        sums = np.bincount(which, np.clip(far, -_FARTHEST, _FARTHEST), len(places))
        np.maximum.at(found[:, 1], places // (len(self.slots) + 1), np.abs(sums) / np.sqrt(np.bincount(which)))
        return found

    def _rarest(self, columns: NDArray[np.intp]) -> float:
        """How rare the rarest two entries in a row are: the logarithm of in how few sessions of training they are."""
        return math.log((self.n_windows + 1) / max(1, min(self.pairs.get(pair, 0) for pair in _pairs(columns))))

    # ------------------------------------------------------------------------------------------------- store

    def state(self) -> State:
        """Templates, and what is usual."""
        pairs = np.array([[*pair, count] for pair, count in self.pairs.items()], dtype=np.int64).reshape(-1, 3)
        meta = {
            "scalings": list(self.scalings),
            "cut": list(self.cut),
            "templates": list(self.templates),
            "windows": self.n_windows,
            "notes": list(self.notes),
        }
        return State(meta, {"scales": self.scales, "slots": self.slots, "pairs": pairs, "usual": self.usual})

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; it encodes to the same bits."""
        encoder = cls(state.meta["scalings"])
        encoder.cut = Cut(*state.meta["cut"])
        encoder.templates = tuple(map(str, state.meta["templates"]))
        encoder.n_windows = int(state.meta["windows"])
        encoder.notes = list(state.meta["notes"])
        encoder.slots = np.asarray(state.arrays["slots"], dtype=np.float64)
        encoder.pairs = {(first, second): count for first, second, count in state.arrays["pairs"].tolist()}
        encoder.usual = np.asarray(state.arrays.get("usual", ()), dtype=np.float64)  # folders before it was kept
        encoder._start()
        encoder._settle(np.asarray(state.arrays["scales"], dtype=np.float64))
        return encoder


def _frequent(messages: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those of the messages that are most frequent, in their order, as many as templates are learned from."""
    most = np.argsort(-counts[messages], kind="stable")[:MOST_MESSAGES]
    return messages[np.sort(most)]


def _portions(windows: Sequence[Members]) -> Iterator[Sequence[Members]]:
    """Windows, so many at a time as hold few entries together."""
    begin = held = 0
    for place, members in enumerate(windows):
        if held and held + len(members) > AT_ONCE:
            yield windows[begin:place]
            begin, held = place, 0
        held += len(members)
    if begin < len(windows):
        yield windows[begin:]


def _pairs(columns: NDArray[np.intp]) -> set[tuple[int, int]]:
    """Which templates follow each other in a window; -1 stands before the first and after the last."""
    line = [-1, *columns.tolist(), -1]
    return set(pairwise(line))


def _short(template: str) -> str:
    return template if len(template) <= LONGEST_NAME else f"{template[: LONGEST_NAME - 1]}…"


def _notes(found: int, kept: int, windows: Ints, alone: int) -> Any:
    """How many templates there are, and what became of them."""
    yield f"{found:,} template(s) of lines; what varies in them, as numbers, addresses and ids, is left open"
    if single := int((windows <= alone).sum()):
        yield f"{single:,} of them stand in one window only and count as {UNSEEN!r}, as the others never saw them"
    if rest := found - kept - int((windows <= alone).sum()):
        yield f"{rest:,} more are so rare that they count as {UNSEEN!r}, too: {MOST_TEMPLATES:,} have a column"
