"""Logs in memory: entries, cut into windows of time, into sessions, or into so many lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.origins import of_path, of_stdin
from expose.kinds.log_files import File, read_file
from expose.kinds.log_lines import Entries, entries_of

Moments = NDArray[np.datetime64]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
LENGTHS: Final = ("1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d")
WANTED, FEWEST, OF_ALL = 50, 5, 200  # entries of a window in the mean: at least 5, and 50 where it leaves 200 windows
MOST_SILENT: Final = 0.5  # share of windows without any entry, above which these are left out
HALF: Final = 0.5  # of a window at either end: a smaller part joins its neighbour
_SECOND: Final = np.timedelta64(1_000_000, "us")
LONGEST_NAME: Final = 1_000  # characters of the name of a file
SESSION_END: Final = "=:_"  # a pattern that ends so is a key, and what follows it names the session


class Cut(NamedTuple):
    """How entries are cut: by windows of time ("5m"), of so many entries (50), or by a pattern that names sessions.

    Examples
    --------
    >>> Cut("5m").said, Cut(50).said, Cut(None, "blk_").said
    ('windows of 5m', 'windows of 50 entries', "sessions by 'blk_'")
    """

    window: str | int | None = None
    session: str | None = None

    @property
    def said(self) -> str:
        """In words."""
        if self.session is not None:
            return f"sessions by {self.session!r}"
        return f"windows of {self.window}{' entries' if isinstance(self.window, int) else ''}"


class Seen(NamedTuple):
    """What an encoder made of entries: names of what it counts, how often in each window, and what each entry is.

    Attributes
    ----------
    names : tuple of K str
    values : (n, K) array of float
    columns : (messages,) array of int
        Which of the names each different message counts for.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    columns: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Logs:
    """Windows of logs, each a sample. Made by `as_logs`; never changed afterwards.

    Attributes
    ----------
    entries : Entries
        Of all windows, whichever were taken.
    cut : Cut
    members : tuple of arrays of int
        Numbers of the entries of each window, in order of time.
    starts, stops : (n,) arrays of datetime64[us]
        Of windows of time the whole windows, else their first and last entry.
    scales : (n,) array of float
        What counts are multiplied by: windows at either end may be longer or shorter than the others.
    sessions : tuple of str, or None
        Name of each session.
    notes : tuple of str
    seen : Seen or None
        As an encoder understood them.
    """

    entries: Entries
    cut: Cut
    members: tuple[NDArray[np.intp], ...]
    starts: Moments
    stops: Moments
    scales: NDArray[np.float64]
    sessions: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    seen: Seen | None = None

    def __len__(self) -> int:
        return len(self.members)

    def take(self, rows: NDArray[Any] | slice) -> Logs:
        """Return the chosen windows, by number, mask or slice."""
        chosen = np.arange(len(self))[rows]
        seen = None if self.seen is None else self.seen._replace(values=self.seen.values[chosen])
        return replace(
            self,
            members=tuple(self.members[row] for row in chosen.tolist()),
            starts=self.starts[chosen],
            stops=self.stops[chosen],
            scales=self.scales[chosen],
            sessions=None if self.sessions is None else tuple(self.sessions[row] for row in chosen.tolist()),
            seen=seen,
        )

    def line(self, entry: int) -> str:
        """An entry with its place, in one line."""
        return f"{self.entries.place(entry)}  {' | '.join(self.entries.texts[entry].as_py().splitlines())}"

    def lines(self, row: int) -> str:
        """Which lines of which file a window begins and ends with."""
        members = self.members[row]
        if not len(members):
            return "none"
        first, last = self.entries.place(members[0]), self.entries.place(members[-1])
        name, _, number = last.rpartition(":")
        return f"{first}-{number if first.startswith(f'{name}:') else last}"

    def ids(self) -> Any:
        """What names each window, an Arrow table: the session, start and end, and the lines."""
        columns: dict[str, Any] = {} if self.sessions is None else {"session": pa.array(self.sessions, pa.string())}
        if self.entries.timed:
            columns |= {"start": written(self.starts), "end": written(self.stops)}
        columns["lines"] = pa.array([self.lines(row) for row in range(len(self))], pa.string())
        return pa.table(columns)


def written(moments: Moments) -> Any:
    """Times for people, to the second where none is between two."""
    whole = bool((moments.astype("datetime64[s]") == moments).all())
    texts = np.datetime_as_string(moments, unit="s" if whole else "ms")
    return pa.array([text.replace("T", " ") for text in texts.tolist()], pa.string())


# --------------------------------------------------------------------------------------------------- reading


def as_logs(
    X: Any, window: str | int | None = None, session: str | None = None, *, encoding: str | None = None
) -> Logs:
    """Read logs, and cut them into windows.

    Parameters
    ----------
    X : path or list of paths (str or pathlib.Path), or list of lines
        A str is the path of a file; of a list of texts each is a line.
    window : str or int, optional
        How long a window is, as "30s", "5m", "1h", or how many entries it holds. By default of the lengths 1s, 5s, 10s,
        30s, 1m, 5m, 10m, 30m, 1h, 3h, 6h, 12h, 1d the shortest by which one holds 50 entries in the mean, fewer where
        there would be less than 200 windows, and at least 5.
    session : str, optional
        Cut by sessions instead: a regular expression for what names one, its first group if it has one; or a key, which
        ends with =, : or _, as "session=" or "blk_".
    encoding : str, optional
        By default UTF-8, or what a mark at the beginning of the file says.

    Raises
    ------
    InputError
        Where a file is no text, there is no line, or nothing that names a session.

    Examples
    --------
    >>> lines = [f"2026-05-01 12:{minute:02}:30 INFO request took {minute} ms" for minute in range(20)]
    >>> logs = as_logs(lines, window="5m")
    >>> len(logs), logs.ids()["start"].to_pylist()[:2]
    (4, ['2026-05-01 12:00:00', '2026-05-01 12:05:00'])
    """
    if isinstance(X, Logs):
        return X
    _check_window(window)
    if isinstance(X, str) and "\n" in X:
        raise InputError("expected logs: a str is the path of a file; got lines. Give a list of them: X.splitlines().")
    if isinstance(X, str | Path):
        return cut(entries_of(files_at([Path(X)], encoding)), window, session)
    if not isinstance(X, list | tuple) or not X:
        got = "an empty list" if X == [] else type(X).__name__
        raise InputError(f"expected logs: a path, a list of paths, or a list of lines; got {got}.")
    if all(isinstance(one, Path) for one in X):
        return cut(entries_of(files_at(X, encoding)), window, session)
    if not all(isinstance(one, str) for one in X):
        raise InputError("expected logs: a list of lines, each a str, or of paths, each a pathlib.Path.")
    if all(is_log_file(one) for one in X):
        raise InputError(f"expected lines; got names of files, {X[0]!r} first. Give paths: [Path(name) for name in X].")
    return cut(entries_of([File("line", list(X), np.datetime64("now", "us"))]), window, session)


def _check_window(window: str | int | None) -> None:
    if isinstance(window, str):
        seconds_of(window)
    elif window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
        raise InputError(
            f"window must be a length of time, such as '5m', or a number of entries, 1 at least; got {window!r}."
        )


def is_log_file(line: str) -> bool:
    """Whether what should be a line is the name of a file that is there."""
    return len(line) < LONGEST_NAME and not any(sign.isspace() for sign in line) and Path(line).is_file()


def files_at(places: Sequence[Any], encoding: str | None = None) -> list[File]:
    """Read files, those of a rotated log the oldest first: app.log.2, app.log.1, app.log.

    A place "-" is standard input.
    """
    names = _shortened([str(place) for place in places])
    pairs = sorted(zip(places, names, strict=True), key=lambda pair: _age(pair[1]))
    origins = [(of_stdin() if str(place) == "-" else of_path(place), name) for place, name in pairs]
    return [read_file(origin, "stdin" if name == "-" else name, encoding) for origin, name in origins]


def _shortened(names: Sequence[str]) -> list[str]:
    """Names of files without their folders, where they are different without."""
    short = [name.replace("\\", "/").rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _age(name: str) -> tuple[str, int]:
    """By what rotated files are ordered.

    >>> sorted(["app.log", "app.log.10", "app.log.2.gz"], key=_age)
    ['app.log.10', 'app.log.2.gz', 'app.log']
    """
    stem = re.sub(r"\.(gz|bz2|xz|zst)$", "", name.lower())
    found = re.fullmatch(r"(.*?)\.(\d{1,4})", stem)
    return (stem, 0) if found is None else (found[1], -int(found[2]))


# --------------------------------------------------------------------------------------------------- cutting


def cut(entries: Entries, window: str | int | None, session: str | None) -> Logs:
    """Cut entries; see `as_logs`."""
    if session is not None:
        if window is not None:
            raise InputError("--session and --window are two ways to cut a log; give one of them.")
        return _by_session(entries, session)
    if isinstance(window, int) or not entries.timed:
        return _by_count(entries, window)
    note: tuple[str, ...] = ()
    if window is None:
        window, note = _usual(entries)
    return _by_time(entries, window, note)


def _by_session(entries: Entries, session: str) -> Logs:
    pattern = session_pattern(session)
    names: dict[str, int] = {}
    codes = np.array([_session_in(text, pattern, names) for text in entries.each_text()], dtype=np.intp)
    if not names:
        raise InputError(
            f"--session {session}: no line holds it. Expected a regular expression for what names a session, or a key "
            f"such as session= or blk_. The first line: {entries.texts[0].as_py()[:120]!r}."
        )
    order = np.argsort(codes, kind="stable")
    without = int((codes < 0).sum())
    members = tuple(np.split(order[without:], np.cumsum(np.bincount(codes[codes >= 0]))[:-1]))
    notes = (f"{without:,} of {len(entries):,} entries name no session by {session!r} and are left out",)
    starts, stops = _ends(entries, members)
    cut_by = Cut(None, session)
    return Logs(entries, cut_by, members, starts, stops, np.ones(len(members)), tuple(names), notes if without else ())


def _session_in(text: str, pattern: re.Pattern[str], names: dict[str, int]) -> int:
    """Number of the session that an entry names, -1 where it names none; new names are added."""
    match = pattern.search(text)
    if match is None:
        return -1
    return names.setdefault(match[1] if pattern.groups and match[1] is not None else match[0], len(names))


def session_pattern(session: str) -> re.Pattern[str]:
    """What finds the name of a session.

    >>> session_pattern("id=").search("GET / id=ab-7, ok")[1], session_pattern("blk_").search("of blk_-12.")[1]
    ('ab-7', 'blk_-12')
    >>> session_pattern("user=").search('{"superuser": "no", "user": "u7"}')[1]
    'u7'
    """
    if session.isidentifier() and not session.endswith("_"):
        raise InputError(
            f"--session {session}: every session would have that one name. For what follows it write {session}= or "
            f"{session}_, as the lines have it, or a regular expression such as {session}-[0-9]+."
        )
    try:
        if session.endswith(tuple(SESSION_END)) and not set(session) & set("\\()[]{}*+?|^$"):
            key = re.escape(session if session[-1] == "_" else session[:-1])
            before, kept = ("", key) if session[-1] == "_" else (rf"(?<!\w){key}[\"']? ?[=:] ?[\"']?", "")
            return re.compile(rf"{before}({kept}-?\w+(?:[-.:]\w+)*)")
        return re.compile(session)
    except re.error as error:
        raise InputError(f"--session {session}: is no regular expression: {error}.") from error


def _ends(entries: Entries, members: Sequence[NDArray[np.intp]]) -> tuple[Moments, Moments]:
    """When the first and the last entry of each window was written."""
    firsts = np.array([some[0] for some in members], dtype=np.intp)
    lasts = np.array([some[-1] for some in members], dtype=np.intp)
    return entries.moments[firsts], entries.moments[lasts]


def _by_count(entries: Entries, window: str | int | None) -> Logs:
    """Windows of so many entries; what is left over at the end is one where it is half as many."""
    if isinstance(window, str):
        raise InputError(
            f"--window {window}: the lines name no time at their beginning, so windows of time cannot be cut. Give a "
            "number of lines, such as --window 50, or --session PATTERN."
        )
    n = len(entries)
    size = window or int(np.clip(n // OF_ALL, FEWEST, WANTED))
    begins = list(range(0, n, size))
    if len(begins) > 1 and n - begins[-1] < HALF * size:
        begins.pop()
    members = tuple(np.arange(a, b) for a, b in zip(begins, [*begins[1:], n], strict=True))
    starts, stops = _ends(entries, members)
    notes = () if entries.timed else (f"no time at the beginning of the lines, so windows are of {size} lines",)
    scales = size / np.array([len(some) for some in members])
    return Logs(entries, Cut(size), members, starts, stops, scales, None, notes)


def _usual(entries: Entries) -> tuple[str, tuple[str, ...]]:
    """The usual length of a window, and how it was found."""
    wanted = float(np.clip(len(entries) / OF_ALL, FEWEST, WANTED))
    low, high = (
        np.quantile(entries.moments.astype(np.int64), [0.01, 0.99]) / 1e6
    )  # a clock that was wrong counts little
    rate = 0.98 * len(entries) / max(high - low, 1e-6)
    length = next((one for one in LENGTHS if seconds_of(one) * rate >= wanted), LENGTHS[-1])
    rule = f"windows of {length}, the shortest usual length by which one holds {wanted:.0f} entries in the mean"
    return length, (f"{rule}; --window sets another, --session cuts by sessions",)


def seconds_of(window: str) -> int:
    """Seconds of a length.

    Examples
    --------
    >>> seconds_of("5m"), seconds_of("1h")
    (300, 3600)
    """
    found = re.fullmatch(r"(\d+)\s*(s|m|h|d)(?:ec|in)?", window.strip().lower())
    if found is None or not int(found[1]):
        raise InputError(
            f"--window takes a length of time such as 30s, 5m, 1h or 1d, or a number of lines; got {window!r}."
        )
    return int(found[1]) * _UNITS[found[2]]


def _by_time(entries: Entries, window: str, notes: tuple[str, ...]) -> Logs:
    """Windows of time that begin on the clock, those without any entry included."""
    length = seconds_of(window) * 1_000_000
    micro = entries.moments.astype(np.int64)
    numbers = micro // length
    first, last = int(numbers[0]), int(numbers[-1])
    parts = {first: 1 - micro[0] % length / length, last: (micro[-1] % length + 1) / length}
    if last - first >= 3:  # what the log covers less than half of at either end joins the window beside it
        if parts[first] < HALF:
            numbers = np.maximum(numbers, first + 1)
            parts[first + 1] = 1 + parts.pop(first)
        if parts[last] < HALF:
            numbers = np.minimum(numbers, last - 1)
            parts[last - 1] = 1 + parts.pop(last)
    begins = np.flatnonzero(np.concatenate([[True], np.diff(numbers) > 0]))  # they are in order
    present = numbers[begins]
    span = int(present[-1] - present[0]) + 1
    silent = span - len(present)
    if silent > MOST_SILENT * span:
        kept = present
        notes = (*notes, f"{silent:,} of {span:,} windows hold no entry; as they are most, they are left out")
    else:
        kept = np.arange(present[0], present[-1] + 1)
        notes = (*notes, f"{silent:,} of {span:,} windows hold no entry; they count as silent") if silent else notes
    limits = np.append(begins, len(entries))
    inside = dict(zip(present.tolist(), zip(limits[:-1].tolist(), limits[1:].tolist(), strict=True), strict=True))
    members = tuple(np.arange(*inside.get(number, (0, 0)), dtype=np.intp) for number in kept.tolist())
    scales = np.array([1 / max(parts.get(number, 1.0), 1e-3) for number in kept.tolist()])
    scales = np.ones(1) if len(scales) == 1 else scales
    starts: Moments = (kept * length).astype("datetime64[us]")
    stops: Moments = ((kept + 1) * length).astype("datetime64[us]")
    return Logs(entries, Cut(window), members, starts, stops, scales, None, notes)


def described(logs: Logs) -> str:
    """How much there is, for people."""
    entries = logs.entries
    files = "1 file" if len(entries.names) == 1 else f"{len(entries.names):,} files"
    times = ""
    if entries.timed:
        low, high = written(entries.moments[[0, -1]].astype("datetime64[s]").astype("datetime64[us]")).to_pylist()
        times = f", {low} to {high}"
    return f"{logs.cut.said}: {len(entries):,} entries of {files}{times}"


def by_name(values: Mapping[str, float]) -> dict[str, float | int]:
    """Counts as whole numbers where they are."""
    return {name: int(value) if float(value).is_integer() else round(value, 2) for name, value in values.items()}
