"""Files of logs as entries: lines with the time that they name, and what varies in them by its type."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.names import listing
from expose.files.stamps import Form, find_form, settled, stamped
from expose.files.texts import one_array
from expose.kinds.log_files import LONGEST, File

FEW_TURNS: Final = 24  # times that clocks go back in a log of so many years
_ERROR: Final = re.compile(
    r"^(?:Caused by: )?((?:[A-Za-z_$][\w$]*\.)*[A-Z]\w*(?:Error|Exception|Fault))\b", re.MULTILINE
)
_UNITS: Final = r"(?:%|[nuµm]?s|sec|min|h|[kKMGT]?i?B|bytes|Hz|C)?"
_PACKED: Final = re.compile(r'(?<=[\w"\]}]),(?=["{])|(?<="):(?=\S)')  # where JSON has no blank between words
_VARIABLE: Final = re.compile(
    r'(?P<KEPT>(?<=" )[1-5]\d\d(?= )|HTTP/\d(?:\.\d)?)'
    r"|(?P<UUID>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<TIME>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b)"
    r"|(?P<ADDRESS>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.]*\w)|\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b"
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}(?![\w:]))"
    r"|(?P<HEX>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b)"
    rf"|(?P<NUM>(?<![\w.])[-+]?\d+(?:\.\d+)*(?={_UNITS}(?!\w)))"
    r"|(?P<ID>(?<!\w)(?P<stem>[A-Za-z]{3,}[-_]?|[A-Za-z]+[-_])?-?[\w-]*\d[\w-]*)"
)


class Masked(NamedTuple):
    """A message with what varies in it replaced by types, and the numbers among that."""

    text: str
    numbers: tuple[float, ...]


def masked(message: str) -> Masked:
    """Replace what varies in a message by its type: NUM, ADDRESS, TIME, UUID, HEX, ID (letters and digits together).

    The status codes of web servers stay: 200 and 500 are not alike.

    Examples
    --------
    >>> masked("took 12.5ms for blk_-77 from 10.0.0.1:80 at 0xff")
    Masked(text='took <NUM>ms for blk_<ID> from <ADDRESS> at <HEX>', numbers=(12.5,))
    >>> masked('{"level":30,"message":"up"}').text
    '{"level": <NUM>, "message": "up"}'
    >>> masked('1.2.3.4 "GET /a/7 HTTP/1.1" 500 17').text
    '<ADDRESS> "GET /a/<NUM> HTTP/1.1" 500 <NUM>'
    """
    numbers: list[float] = []

    def typed(match: re.Match[str]) -> str:
        kind = match.lastgroup if match.lastgroup != "stem" else "ID"
        if kind == "KEPT":
            return match[0]
        if kind == "NUM":
            numbers.append(_number(match[0]))
        return f"{match['stem'] or ''}<{kind}>"

    if message.startswith("{"):
        message = _PACKED.sub(lambda match: f"{match[0]} ", message)
    text = _VARIABLE.sub(typed, message)
    return Masked(" ".join(text.split()), tuple(numbers))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # of a version, such as 1.2.3
        return float("nan")


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of logs in order of time: a line with those that continue it.

    Attributes
    ----------
    texts : pyarrow.ChunkedArray of large_string, (n,)
        As they came.
    files : ndarray of int, (n,)
        Which of ``names`` each came from.
    names : tuple of str
    lines : ndarray of int, (n,)
        Number of its first line in its file, from 1.
    moments : ndarray of datetime64[us], (n,)
        NaT, all of them, where a log names no times.
    codes : ndarray of int, (n,)
        Which of ``messages`` each is.
    messages : tuple of str
        The different ones, without times and with what varies as types.
    numbers : ndarray of float; ends : ndarray of int, (n + 1,)
        Numbers in entry i are ``numbers[ends[i]:ends[i + 1]]``.
    notes : tuple of str
        What a person should know of how they were read.
    """

    texts: Any
    files: NDArray[np.intp]
    names: tuple[str, ...]
    lines: NDArray[np.int64]
    moments: NDArray[np.datetime64]
    codes: NDArray[np.intp]
    messages: tuple[str, ...]
    numbers: NDArray[np.float64]
    ends: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each message occurs, (messages,)."""
        return np.bincount(self.codes, minlength=len(self.messages)).astype(np.int64)

    @property
    def timed(self) -> bool:
        """Whether they name times."""
        return len(self) > 0 and not bool(np.isnat(self.moments[0]))

    def each_text(self) -> Iterator[str]:
        """The texts, few at a time as Python has them."""
        return (text for part in self.texts.chunks for text in part.to_pylist())

    def place(self, entry: int) -> str:
        """File and line of an entry."""
        return f"{self.names[self.files[entry]]}:{self.lines[entry]}"


# --------------------------------------------------------------------------------------------------- entries


class _Piece:
    """Entries of one file, as they are read: Python objects are only made of some thousand lines at a time."""

    def __init__(self, known: dict[str, int]) -> None:
        self.known = known  # messages of all files, and their numbers
        self.texts: list[Any] = []  # Arrow arrays
        self.moments: list[NDArray[np.datetime64]] = []
        self.lines, self.codes, self.counts, self.numbers = array("q"), array("q"), array("q"), array("d")
        self.before = self.more = 0  # lines before the first that names a time, and lines that continue an entry
        self._ready: list[str] = []
        self._open: tuple[str, str] | None = None  # the first line of an entry, and its message
        self._following: list[str] = []
        self._length = 0

    def begin(self, line: int, text: str, message: str) -> None:
        """A line that is an entry, or begins one."""
        self.close()
        self.lines.append(line)
        self._open, self._length = (text, message), len(text)

    def follow(self, text: str) -> None:
        """A line that continues the entry that is open."""
        self.more += 1
        self._length += len(text)
        if self._length <= LONGEST or _ERROR.match(text):  # whatever is cut, the cause of an error stands at the end
            self._following.append(text)

    def close(self) -> None:
        """End the entry that is open."""
        if self._open is None:
            return
        text, message = self._open
        if self._following:
            text = "\n".join([text, *self._following])
            message = " ".join([message, *_errors(self._following)])
        found = masked(message)
        self.codes.append(self.known.setdefault(found.text, len(self.known)))
        self.counts.append(len(found.numbers))
        self.numbers.extend(found.numbers)
        self._ready.append(text)
        self._open, self._following = None, []

    def flush(self) -> None:
        """Keep the entries that are closed, in few bytes."""
        if self._ready:
            self.texts.append(pa.array(self._ready, pa.large_string()))
            self._ready = []


def entries_of(files: Sequence[File]) -> Entries:
    r"""Entries of all files in order of time.

    Raises
    ------
    InputError
        Where there is no line, or some files name times and others do not.

    Examples
    --------
    >>> last = np.datetime64("2026-06-01", "us")
    >>> found = entries_of([File("a.log", ["2026-05-01 12:00:00 up 7", "  more", "2026-05-01 12:00:01 up 8"], last)])
    >>> len(found), found.messages, found.lines.tolist(), found.texts[0].as_py()
    (2, ('up <NUM>',), [1, 3], '2026-05-01 12:00:00 up 7\n  more')
    """
    known: dict[str, int] = {}
    pieces = [_piece_of(file, known) for file in files]
    timed = [bool(piece.moments) for piece in pieces]
    full = [bool(piece.lines) for piece in pieces]
    if not any(full):
        raise InputError(f"{listing(file.name for file in files)}: there is no line to read. Expected a log.")
    without = [file.name for file, has, some in zip(files, timed, full, strict=True) if some and not has]
    if any(timed) and without:
        raise InputError(
            f"some files name times and others do not: {listing(without)}. Give these alone: they can only be cut by "
            "numbers of lines."
        )
    return _in_order(_joined(files, pieces, known, any(timed)))


def _joined(files: Sequence[File], pieces: Sequence[_Piece], known: dict[str, int], timed: bool) -> Entries:
    """Entries of all files as they stand there."""
    sizes = [len(piece.lines) for piece in pieces]
    nothing = np.full(sum(sizes), "NaT", dtype="datetime64[us]")
    counts = np.concatenate([np.frombuffer(piece.counts, dtype=np.int64) for piece in pieces])
    return Entries(
        pa.chunked_array([part for piece in pieces for part in piece.texts], pa.large_string()),
        np.repeat(np.arange(len(files), dtype=np.int32), sizes),
        tuple(file.name for file in files),
        np.concatenate([np.frombuffer(piece.lines, dtype=np.int64) for piece in pieces]),
        np.concatenate([some for piece in pieces for some in piece.moments]) if timed else nothing,
        np.concatenate([np.frombuffer(piece.codes, dtype=np.int64) for piece in pieces]),
        tuple(known),
        np.concatenate([np.frombuffer(piece.numbers, dtype=np.float64) for piece in pieces]),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        tuple(dict.fromkeys(note for file in files for note in file.notes)),
    )


def _in_order(entries: Entries) -> Entries:
    """The same in order of time, and the messages in the order in which they come first."""
    if not entries.timed or bool((np.diff(entries.moments) >= np.timedelta64(0)).all()):
        return entries
    order = np.argsort(entries.moments, kind="stable")
    counts = np.diff(entries.ends)[order]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    codes = entries.codes[order]
    _, first = np.unique(codes, return_index=True)  # each is there
    by_time = np.argsort(first, kind="stable")
    renumbered = np.empty(len(first), dtype=np.intp)
    renumbered[by_time] = np.arange(len(first))
    return Entries(
        pa.chunked_array([one_array(entries.texts).take(pa.array(order))]),
        entries.files[order],
        entries.names,
        entries.lines[order],
        entries.moments[order],
        renumbered[codes],
        tuple(entries.messages[code] for code in by_time.tolist()),
        entries.numbers[np.repeat(entries.ends[:-1][order], counts) + within],
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        entries.notes,
    )


def _piece_of(file: File, known: dict[str, int]) -> _Piece:
    """Entries of a file: lines that name no time, in a log that does, belong to the line before."""
    piece = _Piece(known)
    form: Form | None = None
    number = 0
    for block in file.blocks():
        form = find_form(block) if not number else form
        if form is None:
            _add_plain(piece, block, number)
        else:
            _add_timed(piece, block, number, form)
        number += len(block)
    piece.close()
    piece.flush()
    if form is not None:
        moments = settled(np.concatenate(piece.moments), form, file.last)
        piece.moments = [moments] if len(moments) else []
        file.notes += _said(file, form, moments, piece)
    return piece


def _add_plain(piece: _Piece, lines: Sequence[str], number: int) -> None:
    """Lines of a log without times: each is an entry."""
    for place, line in enumerate(lines, number + 1):
        if line.strip():
            piece.begin(place, line, line)
    piece.flush()


def _add_timed(piece: _Piece, lines: Sequence[str], number: int, form: Form) -> None:
    moments, rests = stamped(lines, form)
    begins = ~np.isnat(moments)
    for place, (line, rest, begin) in enumerate(zip(lines, rests, begins.tolist(), strict=True), number + 1):
        if begin:
            piece.begin(place, line, rest)
        elif not piece.lines:
            piece.before += bool(line.strip())
        elif line.strip():
            piece.follow(line)
    piece.moments.append(moments[begins])
    piece.flush()


def _errors(lines: Iterable[str]) -> list[str]:
    """The error that a stack trace names last, which is its cause."""
    return _ERROR.findall("\n".join(lines))[-1:]


def _said(file: File, form: Form, moments: NDArray[np.datetime64], piece: _Piece) -> Iterator[str]:
    """What was made of times that are not as they should be."""
    if piece.before:
        yield f"{file.name}: {piece.before:,} line(s) before the first that names a time are left out"
    if piece.more:
        yield f"{file.name}: {piece.more:,} line(s) that name no time are taken as part of the line before"
    if not form.names_day:
        yield f"{file.name}: its lines name no day; the last is taken to be of the day when the file was changed last"
    elif not form.names_year and len(moments):
        first, last = (str(moment)[:4] for moment in moments[[0, -1]])
        years = last if first == last else f"{first} to {last}"
        yield f"{file.name}: its lines name no year; taken as {years}, by when the file was changed last"
    steps = np.diff(moments)
    if late := int((steps < np.timedelta64(0)).sum()):
        said = f"{file.name}: {late:,} line(s) are earlier than the one before; put in order of time"
        back = float(steps.min() / np.timedelta64(-1, "s"))
        turned = late <= FEW_TURNS and abs(back - 3_600) < 300  # an hour, give or take what lies between two lines
        yield f"{said}. It looks like a clock that was set back by an hour, which counts twice then" if turned else said
