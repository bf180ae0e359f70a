"""What reviewers said, in a file that grows by a line for each answer and is never written anew.

A line is on the disk before its answer is acknowledged, so a kill loses none. Two reviewers, in two tabs or two
processes, append to one file; for each row the last line counts. ``expose fit --answers`` reads the file as it is.
"""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

ROW, LABEL = "row", "label"  # as in a table of `expose query`
OWN: Final = (LABEL, "answer", "note", "reviewer", "answered_at")  # behind the row and its names
LABELS: Final = {"anomaly": 1, "normal": 0, "skipped": -1}
WHOLE: Final = b"+00:00"  # the end of a time: of a whole line, which an editor has saved without an end of line
UNDONE: Final = "undone"
LONGEST_NOTE: Final = 1_000  # signs


class Answer(NamedTuple):
    """One line: of which row, what it is called from now on (1, 0, or -1 unknown), and who said what, when."""

    row: int
    label: int
    said: str
    note: str
    reviewer: str
    at: str


class Answers:
    """Answers about the rows of one table, kept in a file.

    Parameters
    ----------
    path : Path
        Is made with the first answer; what is there is read.
    n_rows : int
        Of the table.
    names : mapping of str to sequence
        Columns that name its rows: they stand beside the number, so that a person can read the file, and that a file
        about another table is noticed.

    Raises
    ------
    InputError
        If the file is none of answers, or of another table.

    Examples
    --------
    >>> import tempfile
    >>> answers = Answers(Path(tempfile.mkdtemp()) / "answers.csv", n_rows=100)
    >>> answers.add([7], "anomaly", reviewer="Ada", note="twice the price")
    >>> answers.add([8], "normal", reviewer="Ada")
    >>> answers.undo("Ada")
    [8]
    >>> {row: answer.label for row, answer in answers.current().items() if answer.label >= 0}
    {7: 1}
    """

    def __init__(self, path: Path, n_rows: int, names: Mapping[str, Sequence[Any]] | None = None) -> None:
        self.path, self.n_rows = path, n_rows
        self._names = {name: column for name, column in (names or {}).items() if name not in (ROW, *OWN)}
        self._forget()
        self._guard = threading.RLock()
        self._header = (ROW, *self._names, *OWN)
        with self._guard:
            self._catch_up()

    # ------------------------------------------------------------------------------------------------ what is known

    def entries(self) -> list[Answer]:
        """All lines, also those that others have written meanwhile."""
        with self._guard:
            self._catch_up()
            return list(self._entries)

    def current(self) -> dict[int, Answer]:
        """The last answer about each row that has one, without those that were taken back."""
        with self._guard:
            self._catch_up()
            return {row: found[-1] for row, found in self._standing.items() if found}

    def about(self, row: int) -> list[Answer]:
        """All lines about a row, the oldest first."""
        with self._guard:
            self._catch_up()
            return list(self._of_row.get(row, ()))

    def labels(self, before: NDArray[Any] | None = None) -> NDArray[np.int64]:
        """Known labels ``(n,)``: 1, 0, or -1 unknown; of rows nobody answered, those ``before``."""
        known = np.full(self.n_rows, -1, dtype=np.int64) if before is None else np.array(before, dtype=np.int64)
        for row, answer in self.current().items():
            if answer.label >= 0:
                known[row] = answer.label
        return known

    def last(self, reviewer: str) -> list[Answer]:
        """What a reviewer said last and has not taken back, row by row; empty where there is nothing."""
        with self._guard:
            self._catch_up()
            mine = [one for found in self._standing.values() for one in found if one.reviewer == reviewer]
            latest = max((one.at for one in mine), default="")
            return [one for one in mine if one.at == latest]

    # ---------------------------------------------------------------------------------------------------- answering

    def add(self, rows: Sequence[int], said: str, *, reviewer: str, note: str = "") -> None:
        """Write what somebody said of one thing, which may be several rows; on the disk when this returns.

        Parameters
        ----------
        rows : sequence of int
        said : {"anomaly", "normal", "skipped"}
        reviewer, note : str
        """
        if said not in LABELS:
            raise InputError(f"an answer is one of {', '.join(LABELS)}; got {said!r}.")
        if wrong := [row for row in rows if not 0 <= row < self.n_rows]:
            raise InputError(f"there is no row {wrong[0]}; rows are counted from 0 to {self.n_rows - 1}.")
        with self._guard:
            self._catch_up()
            at = self._now()
            self._append([Answer(row, LABELS[said], said, note, reviewer, at) for row in rows])

    def undo(self, reviewer: str) -> list[int]:
        """Take back the last thing that a reviewer said, and give its rows: each is called what it was before.

        Rows about which somebody else has spoken since stay as they are. Empty where there is nothing to take back.
        """
        with self._guard:
            self._catch_up()
            last = self.last(reviewer)
            heard = [one.row for one in last if self._standing[one.row][-1] == one]
            at = self._now()
            self._append([Answer(one.row, self._without(one), UNDONE, "", reviewer, at) for one in last])
            return heard

    def _without(self, answer: Answer) -> int:
        """What a row is called without an answer."""
        others = [one for one in self._standing[answer.row] if one != answer]
        return others[-1].label if others else -1

    # ----------------------------------------------------------------------------------------------------- the file

    def _now(self) -> str:
        """The time, in UTC, later than that of any line: it tells what was said at once."""
        now = datetime.now(UTC)
        if self._entries:
            now = max(now, datetime.fromisoformat(self._entries[-1].at) + timedelta(microseconds=1))
        return now.isoformat(timespec="microseconds")

    def _append(self, answers: Sequence[Answer]) -> None:
        if not answers:
            return
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        with self._locked() as file:
            self._catch_up()
            if not self._read:
                lines.writerow(self._header)
            for one in answers:
                known = "" if one.label < 0 else one.label
                called = (column[one.row] for column in self._names.values())
                lines.writerow(
                    [
                        one.row,
                        *map(_one_line, called),
                        known,
                        one.said,
                        _one_line(one.note),
                        _one_line(one.reviewer),
                        one.at,
                    ]
                )
            file.write(text.getvalue().encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self._catch_up()

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        """The file, to be appended to by nobody else meanwhile; half a line that a kill has left is cut off."""
        try:
            file: Any = self.path.open("ab+")
        except OSError as error:
            raise OSError(error.errno, f"answers cannot be written to {self.path}: {error.strerror}") from error
        with file:
            _lock(file)  # until it is closed
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":
                    file.seek(0)
                    text = file.read()
                    if text.endswith(WHOLE):
                        file.write(b"\n")
                        file.flush()
                    else:
                        file.truncate(text.rfind(b"\n") + 1)
            yield file

    def _forget(self, file: tuple[int, int] | None = None) -> None:
        """Nothing was read yet, of a file that the system calls so."""
        self._entries: list[Answer] = []
        self._of_row: dict[int, list[Answer]] = {}
        self._standing: dict[int, list[Answer]] = {}  # ... of which nobody has taken back
        self._file, self._read = file, 0  # bytes

    def _catch_up(self) -> None:
        """Read the lines that were written since; all, if somebody has put another file in its place."""
        if not self.path.exists():
            self._forget()
            return
        with self.path.open("rb") as file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._read:
                self._forget((found.st_dev, found.st_ino))
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        if not new:
            return
        try:
            lines = list(csv.reader(io.StringIO(new.decode("utf-8-sig" if not self._read else "utf-8"))))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.path} cannot be read as a file of answers: {error}. Name another one.") from error
        if not self._read:
            header, lines = tuple(lines[0]), lines[1:]
            if header != self._header:
                raise InputError(
                    f"{self.path} holds no answers about these data: its columns are {', '.join(header)}; expected "
                    f"{', '.join(self._header)}. Name another file with --answers."
                )
        for line in lines:
            self._take(line)
        self._read += len(new)

    def _take(self, line: list[str]) -> None:
        try:
            row, (label, said, note, reviewer, at) = int(line[0]), line[-len(OWN) :]
            answer = Answer(row, int(label or -1), said, note, reviewer, at)
            datetime.fromisoformat(at)
            if len(line) != len(self._header) or not 0 <= row < self.n_rows or answer.label not in (-1, 0, 1):
                raise ValueError
        except ValueError as error:
            raise InputError(
                f"{self.path} holds a line that is no answer about these {self.n_rows:,} rows: {','.join(line)[:200]}. "
                "Mend it, or name another file with --answers."
            ) from error
        shown = [_one_line(column[row]) for column in self._names.values()]
        if line[1 : -len(OWN)] != shown:
            raise InputError(
                f"{self.path} calls row {row} {', '.join(line[1 : -len(OWN)])}; in these data it is "
                f"{', '.join(shown)}. Give the data, in the order, that the answers are about, or another --answers."
            )
        self._entries.append(answer)
        self._of_row.setdefault(row, []).append(answer)
        standing = self._standing.setdefault(row, [])
        if said != UNDONE:
            standing.append(answer)
        elif mine := [place for place, one in enumerate(standing) if one.reviewer == reviewer]:
            del standing[mine[-1]]


def _one_line(value: Any) -> str:
    """A value as a cell without ends of lines: an answer is a line."""
    return "" if value is None else " ".join(str(value).split("\0")).replace("\r", " ").replace("\n", " ")


def _lock(file: Any) -> None:
    """Wait until nobody else holds the file. Where the system has no such locks, lines are appended without."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX)
