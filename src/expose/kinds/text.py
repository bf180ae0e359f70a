"""The kind "text": lists, arrays and columns of strings, and how a text is cut into tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.names import listing
from expose.files.values import is_missing
from expose.kinds.base import Batch, Kind, Reading, register_kind
from expose.kinds.image_files import SUFFIXES
from expose.kinds.text_pieces import pieces_of
from expose.kinds.text_sources import LINES, are_lines, found_in, opened_texts, words_at_the_median

PRETRAINED: Final = "minilm"
AT_ONCE: Final = 4_096  # texts of a batch

_TABLES: Final = (
    ".csv", ".tsv", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".xlsx", ".xls", ".arrow", ".feather",
    ".gz", ".bz2", ".xz", ".zst", ".zip",
)  # fmt: skip
_DOCUMENTS: Final = (".txt", ".md", ".log", ".html", ".xml", ".eml")
_FILES: Final = (*_TABLES, *SUFFIXES, *_DOCUMENTS)
_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]|_")


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts.

    Attributes
    ----------
    values : tuple of str
        Empty where a text is missing.
    n_missing : int
        How many of them are.
    """

    values: tuple[str, ...]
    n_missing: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[Any] | slice) -> Texts:
        """Return the chosen texts, by number, mask or slice; those that were missing are empty ones now."""
        return Texts(tuple(self.values[row] for row in np.arange(len(self))[rows].tolist()))


def list_of(X: Any) -> list[Any] | None:
    """Return the values of anything that has one axis: a list, an array, a column of a frame; else None."""
    if isinstance(X, list | tuple):
        return list(X)
    if hasattr(X, "to_pylist") and not hasattr(X, "column_names"):  # an array of Arrow, not a table
        return list(X.to_pylist())
    if len(getattr(X, "shape", ())) != 1:
        return None
    return list(X.to_list() if hasattr(X, "to_list") else np.asarray(X).tolist())


def as_texts(X: Any) -> Texts:
    """Turn anything that holds one text per row into `Texts`.

    Parameters
    ----------
    X : list, 1-D array or column of str; None and NaN are missing texts and count as empty ones

    Raises
    ------
    InputError
        When a value is something else; the message says which.

    Examples
    --------
    >>> as_texts(["One text", None]).values
    ('One text', '')
    """
    if isinstance(X, Texts):
        return X
    values = list_of(X)
    if values is None:
        shape = getattr(X, "shape", None)
        got = type(X).__name__ if shape is None else f"{type(X).__name__} of shape {tuple(shape)}"
        raise InputError(f"expected texts: a list, 1-D array or column of strings; got {got}.")
    missing = [not isinstance(value, str) and is_missing(value) for value in values]
    for row, value in enumerate(values):
        if not (missing[row] or isinstance(value, str)):
            advice = " Decode it first: value.decode()." if isinstance(value, bytes) else ""
            raise InputError(f"text {row} is of type {type(value).__name__}; expected a string.{advice}")
    texts = tuple("" if gone else str(value) for value, gone in zip(values, missing, strict=True))
    return Texts(texts, sum(missing))


def is_file_name(text: str | Path) -> bool:
    """Tell whether a text names a file: by its ending, or because there is one.

    Examples
    --------
    >>> [is_file_name(text) for text in ("july.csv", "see july.csv", "https://here.org/july.html", "July 4.")]
    [True, False, False, False]
    """
    named = str(text)
    by_ending = named.lower().endswith(_FILES) and not re.search(r"\s|://", named)
    return by_ending or (bool(named) and os.path.isfile(named))  # not Path: a text may be no path at all


def refuse_file_names(X: Any) -> None:
    """Raise InputError for a list that names files in the place of what is in them; the message says how to read them.

    Examples
    --------
    >>> refuse_file_names(["may.csv", "june.csv"])
    Traceback (most recent call last):
    expose.errors.InputError: X is a list of 2 file names, ...
    """
    names = [] if isinstance(X, Texts) else [value for value in list_of(X) or [] if not is_missing(value)]
    if not names or not all(isinstance(name, str | Path) and is_file_name(name) for name in names):
        return
    first = str(names[0])
    if first.lower().endswith(SUFFIXES):
        way = "For the images give their folder, or [Path(name) for name in names]."
    elif first.lower().endswith(_TABLES):
        way = "For the rows in them give expose.files.read(names), one table of all."
    else:
        way = "For the texts in them give [Path(name).read_text() for name in names]."
    raise InputError(
        f"X is a list of {len(names)} file names, {first!r} first; the names would be taken for texts. {way} If the "
        "names are the texts indeed: expose.kinds.Texts(tuple(names))."
    )


def tokens(text: str, level: str = "word") -> list[str]:
    """Cut a text into lower-case tokens.

    Parameters
    ----------
    text : str
    level : {"word", "char"}, default="word"
        A word is a run of letters and digits, of any script; every other visible sign is a token of its own. As
        characters, the text is taken as it is, but for runs of white space, which count as one blank.

    Notes
    -----
    Texts whose signs were set apart with blanks, as many corpora have them, give the same words as the original.

    Examples
    --------
    >>> tokens("Isn't it?"), tokens("Isn 't it ?")
    (['isn', "'", 't', 'it', '?'], ['isn', "'", 't', 'it', '?'])
    >>> tokens("A  b", "char")
    ['a', ' ', 'b']
    """
    lower = text.lower()
    return _WORD.findall(lower) if level == "word" else list(" ".join(lower.split()))


@register_kind
class TextKind(Kind):
    """Texts: a list, 1-D array or column of strings; a column of a table of any format, the lines of a file."""

    name = "text"
    plural = "texts"
    noun = "text"
    encoder = "words"
    objective = "neighbours"
    caption = "text"
    advice = (
        "Or make a table of the texts: an embedding or word counts of each as one row of numbers. If they are the "
        "one column of a table, give a frame: X.to_frame(), or np.reshape(X, (-1, 1))."
    )

    def recognises(self, X: Any) -> bool:
        """Whether it holds strings along one axis; some may be missing."""
        if isinstance(X, Texts):
            return True
        values = list_of(X) or []
        if values and all(isinstance(value, Path) for value in values):  # files of images are images
            return not any(value.name.lower().endswith(SUFFIXES) for value in values)
        words = all(isinstance(value, str) or is_missing(value) for value in values)
        return words and any(isinstance(value, str) for value in values)

    def check_training(self, X: Any) -> None:
        """Refuse names of files, see `refuse_file_names`."""
        refuse_file_names(X)

    def samples(self, X: Any) -> Texts:
        """Make `Texts`, see `as_texts`."""
        return as_texts(X)

    def encoder_for(self, forms: Collection[str]) -> str:
        """Their words, for objectives that learn from these; else a pretrained model."""
        return self.encoder if "tokens" in forms else PRETRAINED

    def objective_for(self, form: str) -> str:
        """What learns from words, where these were chosen."""
        return "language" if form == "tokens" else self.objective

    def plain(self, samples: Any) -> list[str]:
        """Texts as a list; a missing one is empty."""
        return list(as_texts(samples).values)

    def claims(self, sources: Sequence[str]) -> bool:
        """Whether all of them are files .txt of lines in which people say something."""
        return are_lines(sources)

    def asked_for(self, reading: Reading) -> bool:
        """Whether a column of texts was named, or lines."""
        return reading.text is not None

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Read files whole. Errors are those of `expose.files.read`, and of columns that hold no texts."""
        tables = opened_texts(sources, reading)
        batch = self._of_table(tables.table(), reading)
        return batch._replace(notes=(*tables.notes, *batch.notes))

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Read files some thousand texts at a time. Files are looked at before it returns."""
        tables = opened_texts(sources, reading)
        return (self._of_table(pa.Table.from_batches([rows]), reading) for rows in tables.batches(AT_ONCE))

    def _of_table(self, table: Any, reading: Reading) -> Batch:
        found = found_in(table, reading)
        return Batch(as_texts(found.texts), found.ids, found.label, found.notes)

    def arriving(self, reading: Reading) -> Literal["rows", "lines"]:
        """Rows, where a column was named; else each line is a text."""
        return "lines" if reading.text in (None, LINES) else "rows"

    def sent(self, reading: Reading) -> tuple[Literal["rows"], Literal["lines"]]:
        """Rows with a column of texts, or each line is a text."""
        return ("rows", "lines")

    def split(self, table: Any, reading: Reading) -> Batch:
        """Texts of the column that was named, or of the one that is neither id nor ignored nor label."""
        if reading.text in table.column_names:
            return self._of_table(table, replace(reading, later=True))
        ids = [name for name in table.column_names if name in reading.id]
        others = [name for name in table.column_names if name not in {*ids, *reading.ignore, reading.label}]
        if len(others) != 1:
            raise InputError(f"texts come as one column, besides those that name a text; got {listing(others)}.")
        return Batch(as_texts(table[others[0]]), table.select(ids) if ids else None)

    def measure(self, samples: Any) -> str:
        """How long they are."""
        words = words_at_the_median(as_texts(samples).values)
        return f"{words:,} word{'' if words == 1 else 's'} at the median"

    def without_each(self, samples: Any, row: int) -> tuple[tuple[str, ...], Texts]:
        """The words of a text, or its sentences if it is long, and the text without each."""
        pieces = pieces_of(as_texts(samples).values[row])
        return tuple(pieces), Texts(tuple(pieces.values()))

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """The text."""
        return {self.name: as_texts(samples).values[row]}
