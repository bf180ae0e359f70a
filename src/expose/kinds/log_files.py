"""Files of logs as lines, some thousand at a time: encodings, colours of terminals, what is no text."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from expose.errors import InputError
from expose.files.looks import refuse_by_look
from expose.files.origins import Origin

HEAD: Final = 4_096  # bytes by which a file is known not to be a log
LONGEST: Final = 20_000  # characters of a line that are looked at
AT_ONCE: Final = 4_096  # lines that are Python objects at the same time
MOST_DAMAGED: Final = 10  # one sign of so many, if more are no text it is none
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_COLOUR: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


class File:
    """One file of a log: its name, its lines, which can be read once, and when it was written last.

    Attributes
    ----------
    notes : list of str
        What a person should know of the lines, once they have been read.
    """

    def __init__(self, name: str, lines: Iterable[str], last: np.datetime64, encoding: str = "utf-8") -> None:
        self.name, self.last, self.encoding = name, last, encoding
        self.notes: list[str] = []
        self._lines = lines

    def blocks(self) -> Iterator[list[str]]:
        """The lines, some thousand at a time, without what colours them.

        Raises
        ------
        InputError
            Where most of it is no text.
        """
        long = damaged = signs = wrong = 0
        rest = iter(self._lines)
        while block := list(islice(rest, AT_ONCE)):
            long += sum(len(line) > LONGEST for line in block)
            lines = [plain(line[:LONGEST]) for line in block]
            for line in lines:
                signs += len(line)
                if "\ufffd" in line:
                    damaged += 1
                    wrong += line.count("\ufffd")
            yield lines
        if wrong > max(100, signs // MOST_DAMAGED):
            raise InputError(
                f"{self.name}: most of it is no text in {self.encoding}. If it is a log, name its encoding "
                "(--encoding)."
            )
        if damaged:
            self.notes.append(
                f"{self.name}: {damaged:,} line(s) hold bytes that are no text in {self.encoding}; each is read as "
                "\ufffd. If they are of another encoding, name it: --encoding latin-1, for example"
            )
        if long:
            self.notes.append(f"{self.name}: {long:,} line(s) are longer than {LONGEST:,} characters and are cut there")


def plain(line: str) -> str:
    r"""A line without its end, and without what makes terminals show colours.

    Examples
    --------
    >>> plain("\x1b[32mINFO\x1b[0m up\r")
    'INFO up'
    """
    line = line.rstrip("\r\n")
    return _COLOUR.sub("", line) if "\x1b" in line else line


def read_file(origin: Origin, name: str, encoding: str | None) -> File:
    """Look at a file, packed or not, whose lines are read later; what is no text is an `InputError`."""
    head = origin.head(HEAD)
    try:
        refuse_by_look(head, origin.label)
    except InputError as error:
        raise InputError(str(error).replace("expected a table", "expected a log, lines of text")) from None
    marked = mark_of(head)
    if marked is None and encoding is None and b"\0" in head:
        raise InputError(
            f"{origin.label}: expected a log, lines of text; it holds zero bytes, so it is a binary file. If it is "
            "text with two bytes to a sign, name its encoding: --encoding utf-16-le."
        )
    encoding = encoding or marked or "utf-8"
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise InputError(f"there is no encoding {encoding!r}. Give its name, such as latin-1.") from None
    return File(name, _lines(origin, encoding), _written_last(origin), encoding)


def mark_of(head: bytes) -> str | None:
    """The encoding that a mark at the beginning of a file names, if there is one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def decoded(head: bytes) -> str:
    """The beginning of a file as text, whatever it is."""
    return head.decode(mark_of(head) or "utf-8", errors="replace")


def _lines(origin: Origin, encoding: str) -> Iterator[str]:
    """Lines; of those that are too long as much as tells so."""
    with origin.opened() as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
        read = partial(text.readline, LONGEST + 2)  # one more than is looked at, and the end
        while line := read():
            yield line
            while not line.endswith("\n") and (line := read()):
                pass


def _written_last(origin: Origin) -> np.datetime64:
    """When a file was changed last, or now."""
    if isinstance(origin.path, Path):
        return np.datetime64(int(origin.path.stat().st_mtime * 1e6), "us")
    return np.datetime64("now", "us")
