"""Files of logs as entries: lines with the time that they name, and what varies in them by its type."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.looks import refuse_by_look
from expose.files.names import listing
from expose.files.origins import Origin
from expose.files.stamps import find_form, read_stamps

HEAD: Final = 4_096  # bytes by which a file is known not to be a log
LONGEST: Final = 20_000  # characters of a line that are looked at
_ERROR: Final = re.compile(
    r"^(?:Caused by: )?((?:[A-Za-z_$][\w$]*\.)*[A-Z]\w*(?:Error|Exception|Fault))\b", re.MULTILINE
)
_UNITS: Final = r"(?:%|[nuµm]?s|sec|min|h|[kKMGT]?i?B|bytes|Hz|C)?"
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
    texts : pyarrow.Array of large_string, (n,)
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

    def place(self, entry: int) -> str:
        """File and line of an entry."""
        return f"{self.names[self.files[entry]]}:{self.lines[entry]}"


class File(NamedTuple):
    """One file of a log: its name, its lines, and when it was written last."""

    name: str
    lines: list[str]
    last: np.datetime64
    n_damaged: int = 0


def read_file(origin: Origin, name: str, encoding: str | None) -> File:
    """Read the lines of a file, packed or not; what is no text is an `InputError`."""
    head = origin.head(HEAD)
    try:
        refuse_by_look(head, origin.label)
    except InputError as error:
        raise InputError(str(error).replace("expected a table", "expected a log, lines of text")) from None
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is None and b"\0" in head:
        raise InputError(f"{origin.label}: expected a log, lines of text; it holds zero bytes, so it is a binary file.")
    with origin.opened() as stream:
        data = stream.read()
    encoding = encoding or marked or "utf-8"
    try:
        text = data.decode(encoding, errors="replace")
    except LookupError:
        raise InputError(f"there is no encoding {encoding!r}. Give its name, such as latin-1.") from None
    lines = [line[:LONGEST] for line in text.split("\n")]
    lines = [line.removesuffix("\r") for line in (lines[:-1] if lines and not lines[-1] else lines)]
    if text.count("\ufffd") > max(100, len(text) // 10):
        raise InputError(
            f"{origin.label}: most of it is no text in {encoding}. If it is a log, name its encoding (--encoding)."
        )
    damaged = sum("\ufffd" in line for line in lines) if "\ufffd" in text else 0
    return File(name, lines, _written_last(origin), damaged)


_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def _written_last(origin: Origin) -> np.datetime64:
    """When a file was changed last, or now."""
    if isinstance(origin.path, Path):
        return np.datetime64(int(origin.path.stat().st_mtime * 1e6), "us")
    return np.datetime64("now", "us")


# --------------------------------------------------------------------------------------------------- entries


class _Piece(NamedTuple):
    """Entries of one file: the number of the first line of each, its time, text, and message."""

    lines: list[int]
    moments: NDArray[np.datetime64]
    texts: list[str]
    messages: list[str]
    notes: list[str]


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
    pieces = [_piece_of(file) for file in files]
    timed = [bool(len(piece.moments)) and not bool(np.isnat(piece.moments[0])) for piece in pieces]
    full = [bool(piece.lines) for piece in pieces]
    if not any(full):
        raise InputError(f"{listing(file.name for file in files)}: there is no line to read. Expected a log.")
    without = [file.name for file, has, some in zip(files, timed, full, strict=True) if some and not has]
    if any(timed) and without:
        raise InputError(
            f"some files name times and others do not: {listing(without)}. Give these alone: they can only be cut by "
            "numbers of lines."
        )
    moments = np.concatenate([piece.moments for piece in pieces])
    order = np.argsort(moments, kind="stable") if any(timed) else np.arange(len(moments))
    of_file = np.repeat(np.arange(len(files)), [len(piece.lines) for piece in pieces])
    texts = [text for piece in pieces for text in piece.texts]
    read = [masked(message) for piece in pieces for message in piece.messages]
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(read[entry].text, len(known)) for entry in order.tolist()], dtype=np.intp)
    counts = [len(read[entry].numbers) for entry in order.tolist()]
    return Entries(
        pa.array([texts[entry] for entry in order.tolist()], pa.large_string()),
        of_file[order],
        tuple(file.name for file in files),
        np.array([line for piece in pieces for line in piece.lines], dtype=np.int64)[order],
        moments[order],
        codes,
        tuple(known),
        np.array([number for entry in order.tolist() for number in read[entry].numbers], dtype=np.float64),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        tuple(dict.fromkeys(note for piece in pieces for note in piece.notes)),
    )


def _piece_of(file: File) -> _Piece:
    """Entries of a file: lines that name no time, in a log that does, belong to the line before."""
    form = find_form(file.lines)
    notes = [f"{file.name}: {file.n_damaged:,} line(s) hold bytes that are no text; they are read without"]
    notes = notes if file.n_damaged else []
    if form is None:
        there = [place for place, line in enumerate(file.lines) if line.strip()]
        texts = [file.lines[place] for place in there]
        nothing = np.full(len(there), "NaT", dtype="datetime64[us]")
        return _Piece([place + 1 for place in there], nothing, texts, texts, notes)
    moments, rests = read_stamps(file.lines, form, file.last)
    begins = np.flatnonzero(~np.isnat(moments))
    texts, messages = [], []
    for first, end in zip(begins.tolist(), [*begins.tolist()[1:], len(file.lines)], strict=True):
        more = [line for line in file.lines[first + 1 : end] if line.strip()]
        texts.append("\n".join([file.lines[first], *more]))
        messages.append(" ".join([rests[first], *_errors(more)]))
    kept = moments[begins]
    return _Piece((begins + 1).tolist(), kept, texts, messages, notes + list(_said(file, form, kept, begins)))


def _errors(lines: Iterable[str]) -> list[str]:
    """The error that a stack trace names last, which is its cause."""
    return _ERROR.findall("\n".join(lines))[-1:]


def _said(file: File, form: Any, moments: NDArray[np.datetime64], begins: NDArray[np.intp]) -> Iterator[str]:
    """What was made of times that are not as they should be."""
    before = int(begins[0]) if len(begins) else 0
    if before and any(line.strip() for line in file.lines[:before]):
        yield f"{file.name}: {before:,} line(s) before the first that names a time are left out"
    blank = sum(not line.strip() for line in file.lines[before:])
    more = len(file.lines) - before - len(begins) - blank
    if more:
        yield f"{file.name}: {more:,} line(s) that name no time are taken as part of the line before"
    if not form.names_day:
        yield f"{file.name}: its lines name no day; the last is taken to be of the day when the file was changed last"
    elif not form.names_year:
        yield f"{file.name}: its lines name no year; taken as {str(moments[-1])[:4]}, by when the file was changed last"
    if late := int((np.diff(moments) < np.timedelta64(0)).sum()):
        yield f"{file.name}: {late:,} line(s) are earlier than the one before; put in order of time"
