"""Files of lines: each line is one text, whatever stands in it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import pyarrow as pa

from expose.errors import InputError
from expose.files.delimited import BLOCK, LONGEST, as_table, opened_text, sample, undecodable
from expose.files.dialect import Dialect
from expose.files.layout import STRONG
from expose.files.origins import Origin, of_path, of_stdin
from expose.files.paths import paths_of
from expose.files.reading import Tables

COLUMN: Final = "text"  # what the one column is called
_LOOKED_AT: Final = 200  # lines that tell whether a file is a table
_AGREE: Final = 0.9  # of which so many have as many values, if it is
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SENTENCE: Final = 3  # words of a line that says something


class Lines:
    """One file, a text per line. An empty line is a missing text: there is a row for each line, as in other files."""

    def __init__(self, origin: Origin, dialect: Dialect) -> None:
        self.origin, self.label = origin, origin.label
        self.encoding, text, _ = sample(origin, dialect.encoding)
        if not text.strip("\ufeff \t\r\n"):
            raise InputError(f"{self.label}: the file is empty. Expected a text in each line.")
        self.names = (COLUMN,)
        self.notes: tuple[str, ...] = ()

    def schema(self) -> Any:
        """One column."""
        return pa.schema([(COLUMN, pa.string())])

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the lines as Arrow tables."""
        rows, size = list[list[str]](), 0
        for line in self._lines():
            rows.append([line])
            size += len(line)
            if len(rows) == batch_rows or size > BLOCK:
                yield as_table(rows, self.names)
                rows, size = [], 0
        if rows:
            yield as_table(rows, self.names)

    def _lines(self) -> Iterator[str]:
        read = 0
        with opened_text(self.origin, self.encoding) as stream:
            try:
                for line in iter(partial(stream.readline, LONGEST), ""):
                    read += 1
                    yield line.strip("\ufeff \t\r\n")
            except UnicodeError as error:
                raise undecodable(error, read + 1, self.encoding, self.label) from None


def opened_lines(sources: Sequence[str], dialect: Dialect) -> Tables:
    """Look at files of lines before these are read; errors as those of `expose.files.read`."""
    files = [
        Lines(origin, dialect)
        for source in sources
        for origin in ([of_stdin()] if source == "-" else map(of_path, paths_of(source)))
    ]
    return Tables(files, files[0].schema())  # type: ignore[arg-type]  # of the same methods


def is_prose(source: str) -> bool:
    """Whether a file begins with lines in which people say something, and is no table by any delimiter."""
    try:
        text = "".join(_beginning(source))
    except (InputError, OSError):
        return False
    return looks_like_prose(text.splitlines())


def _beginning(source: str) -> Iterator[str]:
    """What files begin with; one in an unknown encoding as if it was latin-1, in which all bytes are letters."""
    for path in paths_of(source):
        origin = of_path(path)
        if origin.once:
            return
        try:
            yield sample(origin, None)[1]
        except InputError:
            yield sample(origin, "latin-1")[1]


def looks_like_prose(lines: Sequence[str]) -> bool:
    r"""Whether most lines hold several words, and no delimiter cuts them into as many values each.

    Examples
    --------
    >>> looks_like_prose(["Are you coming tonight?", "No, sorry, I have to work late.", "ok"])
    True
    >>> looks_like_prose(["name,what they said", "Ann,how are you", "Bob,fine thanks"])
    False
    >>> looks_like_prose(["1.5 2.5 0", "1.0 3.5 1"]), looks_like_prose(['{"text": "this is what I said"}'])
    (False, False)
    """
    some = [line.strip("\ufeff ") for line in lines if line.strip("\ufeff \t")][:_LOOKED_AT]
    if not some or some[0].lstrip().startswith(("{", "[", "<")):
        return False
    said = [len(_WORD.findall(line)) >= _SENTENCE for line in some]
    return 2 * sum(said) >= len(said) and not any(_cuts_alike(some, delimiter) for delimiter in STRONG)


def _cuts_alike(lines: Sequence[str], delimiter: str) -> bool:
    """Whether nearly all lines have the same number of values, two at least."""
    try:
        widths = Counter(len(row) for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:
        return False
    usual, times = widths.most_common(1)[0]
    return usual > 1 and times >= _AGREE * widths.total()
