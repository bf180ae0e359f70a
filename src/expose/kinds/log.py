"""The kind "log": windows or sessions of log files, judged by what stands in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from expose.errors import InputError
from expose.files.origins import of_path
from expose.files.paths import paths_of
from expose.files.stamps import find_form
from expose.kinds.base import Batch, Kind, Reading, register_kind
from expose.kinds.log_files import decoded, plain
from expose.kinds.log_lines import entries_of
from expose.kinds.logs import Logs, by_name, cut, described, files_at

EXCERPT: Final = 5  # lines of a window that are shown
PER_REASON: Final = 2
LOOKED_AT: Final = 16_384  # bytes by which a table in a file called .log is told from a log
_NAME: Final = re.compile(
    r"\.log(?:[.-]\d[\d-]*)?(?:\.(?:gz|bz2|xz|zst))?$"
    r"|^(?:syslog|messages|dmesg|access_log|error_log)(?:\.\d+)?(?:\.gz)?$"
)
_HEADED: Final = re.compile(r"#(?:separator|fields)\b|[\s\ufeff]*[{\[]\s*[\"{]", re.IGNORECASE)


def is_log_name(name: str) -> bool:
    """Tell by a name whether a file is a log.

    Examples
    --------
    >>> [is_log_name(name) for name in ("app.log", "app.log.2.gz", "app.log-20260501", "syslog.1", "log.csv")]
    [True, True, True, True, False]
    """
    return _NAME.search(name.lower()) is not None


def is_table(head: str) -> bool:
    r"""Tell by its first lines whether a file called .log is a table: of Zeek, JSON Lines, or delimited text.

    Examples
    --------
    >>> is_table("#separator \\x09"), is_table('{"level": "info"}'), is_table("a,b\n1,2\n3,4"), is_table("a, b\nc")
    (True, True, True, False)
    """
    lines = [plain(line) for line in head.splitlines() if line.strip()][:50]
    if not lines or "\0" in head:
        return False
    if _HEADED.match(lines[0]):
        return True
    if len(lines) < 2 or (find_form(lines) is not None and find_form(lines[:1]) is not None):
        return False  # a log begins with a time, and a table with names
    counts = [Counter(line) for line in lines]
    return any(len({count[sign] for count in counts}) == 1 and counts[0][sign] for sign in "\t;,|")


def logs_at(sources: Sequence[str]) -> list[Any]:
    """The log files that sources stand for; none where others are among them."""
    found: list[Any] = []
    for source in sources:
        place = Path(source)
        if place.is_dir():
            inside = sorted(
                path for path in place.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))
            )
            if not inside or not all(is_log_name(path.name) for path in inside):
                return []
            found += inside
        else:
            with suppress(OSError, InputError):
                found += [path for path in paths_of(source) if source != "-"]
    return found if found and all(is_log_name(path.name) for path in found) else []


@register_kind
class LogKind(Kind):
    """Logs: files called .log, .log.1 and so on, packed or not; in Python what `as_logs` makes."""

    name = "log"
    plural = "logs"
    noun = "window"
    encoder = "log-windows"
    identifies = ("session", "start")
    numbered = False
    windowed = True

    # ------------------------------------------------------------------------------------------ Python objects

    def recognises(self, X: Any) -> bool:
        """Whether it is what `as_logs` makes; lists of lines are texts."""
        return isinstance(X, Logs)

    def samples(self, X: Any) -> Logs:
        """What `as_logs` made."""
        return as_logs_of(X)

    def plain(self, samples: Any) -> list[list[str]]:
        """Of each window its entries as they came."""
        logs = as_logs_of(samples)
        return [logs.entries.texts.take(members).to_pylist() for members in logs.members]

    # --------------------------------------------------------------------------------------------------- files

    def asked_for(self, reading: Reading) -> bool:
        """Whether sessions were asked for, or windows of so much time."""
        return reading.session is not None or (isinstance(reading.window, str) and reading.time is None)

    def claims(self, sources: Sequence[str]) -> bool:
        """Whether all of them are called as logs are, and none looks like a table."""
        return bool(places := logs_at(sources)) and not any(_is_table_at(place) for place in places)

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Read all files, and cut them together into windows."""
        _refuse_columns(reading)
        entries = entries_of(files_at(_places(sources), reading.dialect.encoding))
        logs = cut(entries, reading.window, reading.session)
        return Batch(logs, logs.ids(), None, (*entries.notes, *logs.notes))

    def sent(self, reading: Reading) -> tuple[Literal["lines"], Literal["files"]]:
        """The lines of one file, or several files."""
        return ("lines", "files")

    def settled(self, reading: Reading, batch: Batch) -> Reading:
        """With the windows that were chosen: later files are cut alike."""
        return replace(reading, window=batch.samples.cut.window)

    # ----------------------------------------------------------------------------------------------------- people

    def folds(self, samples: Any, shuffled: Any, count: int) -> list[Any]:
        """Stretches of time: windows beside each other are alike."""
        order = np.argsort(as_logs_of(samples).starts, kind="stable")
        return [np.sort(part) for part in np.array_split(order, count)]

    def measure(self, samples: Any) -> str:
        """How they were cut, how many entries, and from when to when."""
        return described(as_logs_of(samples))

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Session, start and end, how many entries of each template, and its rarest lines."""
        logs = as_logs_of(samples)
        [ids] = logs.take(np.array([row])).ids().to_pylist()
        rare = self._rarest(logs, row)
        shown: dict[str, Any] = ids | {
            "entries": len(logs.members[row]),
            "excerpt": "\n".join(logs.line(entry) for entry in rare),
        }
        if logs.seen is None:
            return shown
        values = dict(zip(logs.seen.names, logs.seen.values[row].tolist(), strict=True))
        return shown | by_name(values)

    def excerpt(self, samples: Any, row: int, names: Sequence[str]) -> list[str]:
        """Lines of what made a window odd: of each template that is named the first few, else the rarest."""
        logs = as_logs_of(samples)
        if logs.seen is None:
            return [logs.line(entry) for entry in self._rarest(logs, row)]
        members = logs.members[row]
        columns = logs.seen.columns[logs.entries.codes[members]]
        chosen: list[int] = []
        for name in names:
            if name in logs.seen.names:
                chosen += members[columns == logs.seen.names.index(name)][:PER_REASON].tolist()
        chosen = chosen or self._rarest(logs, row)[:PER_REASON]
        return [logs.line(entry) for entry in sorted(dict.fromkeys(chosen[:EXCERPT]))]

    def _rarest(self, logs: Logs, row: int) -> list[int]:
        """The entries of a window whose messages are rarest in the log, in order."""
        members = logs.members[row]
        codes = logs.entries.codes[members]
        _, first = np.unique(codes, return_index=True)
        rare = first[np.argsort(logs.entries.counts[codes[first]], kind="stable")][:EXCERPT]
        return sorted(members[rare].tolist())


def as_logs_of(X: Any) -> Logs:
    """What `as_logs` made, or an error that says how to make it."""
    if isinstance(X, Logs):
        return X
    raise InputError(f"expected logs, as expose.kinds.as_logs makes of files or lines; got {type(X).__name__}.")


def _places(sources: Sequence[str]) -> list[Any]:
    """Files that sources stand for."""
    found: list[Any] = []
    for source in sources:
        found += ["-"] if source == "-" else logs_at([source]) or list(paths_of(source))
    return found


def _is_table_at(place: Any) -> bool:
    """Whether a file looks like a table; one that cannot be read says so when it is read."""
    try:
        return is_table(decoded(of_path(place).head(LOOKED_AT)).rpartition("\n")[0])
    except (InputError, OSError):
        return False


def _refuse_columns(reading: Reading) -> None:
    """Logs have no columns to name."""
    for name, value in (("--id", reading.id), ("--ignore", reading.ignore), ("--label", reading.label)):
        if value:
            raise InputError(
                f"{name}: logs have no columns. A window is named by its start and end, a session by --session; what "
                "is known of windows is said by 'expose query' and --answers."
            )
