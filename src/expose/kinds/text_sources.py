"""Where texts come from: a column of a table in any form that tables have, or the lines of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from expose.errors import InputError
from expose.files.lines import COLUMN, is_prose, opened_lines
from expose.files.names import column_names, existing, listing, spelled
from expose.files.reading import Tables, opened
from expose.files.texts import is_missing_text, is_text
from expose.files.written import recognise
from expose.kinds.base import Reading

LINES: Final = "lines"  # in the place of a column
_SHOWN: Final = 60  # signs of a text in a note


class Found(NamedTuple):
    """A column of texts, null where one is missing; what names them, what is known of them, and what is to be said."""

    texts: Any
    ids: Any | None
    label: Any | None
    notes: tuple[str, ...]


def are_lines(sources: Sequence[str]) -> bool:
    """Whether all are files .txt, packed or not, of lines in which people say something: no folders, no tables."""
    named = [".txt" in PurePath(source).suffixes[-2:] and "://" not in source for source in sources]
    return bool(named) and all(named) and all(map(is_prose, sources))


def opened_texts(sources: Sequence[str], reading: Reading) -> Tables:
    """Files of texts that were looked at, as tables; those of lines have one column.

    Raises
    ------
    InputError
        When it is not said which column holds the texts.
    """
    column = reading.text
    told = column == LINES or (column is None and list(sources) == ["-"])
    if told or ((column is None or reading.later) and are_lines(sources)):
        return opened_lines(sources, reading.dialect)
    if column is None:
        raise InputError(
            f"which texts are meant in {listing(sources)}? Name the column that holds them, --text COLUMN; or, if each "
            f"line is a text, --text {LINES}."
        )
    source = sources[0] if len(sources) == 1 else list(sources)
    return opened(source, dialect=reading.dialect, query=reading.query)


def found_in(table: Any, reading: Reading) -> Found:
    """The texts of a table, by the roles of its columns. Later, those that play no part in scoring may be absent.

    Raises
    ------
    InputError
        When a column is not there, has two roles, or holds no texts.
    """
    names = table.column_names
    [column] = existing([_column_of(names, reading)], names, "text")
    label = None if reading.label is None else spelled(reading.label, names)
    ids, ignored = column_names(reading.id, names), column_names(reading.ignore, names)
    if reading.later:
        ids, ignored = ([one for one in some if one in names] for some in (ids, ignored))
        label = label if label in names else None
    else:
        ids, ignored = existing(ids, names, "id"), existing(ignored, names, "ignore")
        existing([label] if label else [], names, "label")
    if column in (label, *ignored):
        raise InputError(f"a column can have only one role; {column!r} is named by --text and by --label or --ignore.")
    texts = _texts_of(table[column], column, reading)
    others = [name for name in names if name not in {column, label, *ids, *ignored}]
    left = f"Not looked at: {listing(others)}, beside the texts in {column!r}. --id NAME keeps one beside the score."
    return Found(
        texts,
        table.select(ids) if ids else None,
        None if label is None else table[label],
        ((left,) if others else ()) + (() if reading.later else repeats(texts)),
    )


def _column_of(names: Sequence[str], reading: Reading) -> str:
    """The column that was named; of lines the only one."""
    if reading.text in (None, LINES) or (reading.later and names == [COLUMN]):
        return COLUMN
    return str(reading.text)


def _texts_of(column: Any, name: str, reading: Reading) -> Any:
    """A column as texts, null where one is missing; errors for one that holds something else, or nothing."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_text(kind) and not pa.types.is_null(kind):
        raise InputError(
            f"text: the column {name!r} holds values of type {kind}, no texts. Name a column of sentences or messages; "
            "to judge this one, leave out --text: it is part of a table then."
        )
    texts = column.cast(pa.string())
    missing = pa.array(is_missing_text(texts, reading.conventions))
    texts = pa.chunked_array([pa.compute.if_else(missing, pa.scalar(None, pa.string()), texts.combine_chunks())])
    return texts if reading.later else _checked(texts, name, reading)


def _checked(texts: Any, name: str, reading: Reading) -> Any:
    """Texts to be learned from."""
    if texts.null_count == len(texts):
        raise InputError(f"text: the column {name!r} holds no text; all {len(texts):,} are missing.")
    form = recognise(texts, reading.conventions)[0].form
    if form != "text":
        raise InputError(
            f"text: the column {name!r} holds no texts, but values that read as a {form}, such as "
            f"{texts.drop_null()[0].as_py()!r}. Name a column of sentences or messages; to judge this one, leave out "
            "--text: it is part of a table then."
        )
    return texts


def repeats(texts: Any) -> tuple[str, ...]:
    """How many texts are the same as an earlier one, if some are: each counts, as each row of a table does."""
    counts = Counter(texts.drop_null().to_pylist())
    again = counts.total() - len(counts)
    if not again:
        return ()
    text, times = counts.most_common(1)[0]
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return (
        f"{again:,} of {len(texts):,} texts are the same as an earlier one, most often, {times:,} times: {shown!r}. "
        "Each counts.",
    )


def words_at_the_median(texts: Sequence[str]) -> int:
    """How many words a usual text has."""
    return int(np.median([len(text.split()) for text in texts])) if texts else 0
