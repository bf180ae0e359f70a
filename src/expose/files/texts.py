"""Columns of texts: the different ones, how often each occurs, which stand for nothing, which are unlike the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expose.files.conventions import NOTHING_SAID, NULLS, Conventions

NEARLY_ALL: Final = 0.9  # of the values that are there: the others count as missing
FEW_WORDS: Final = 2  # a column with no more words among its numbers (ERR, -) may hold them more often,
OFTEN: Final = 0.75  # up to this share of numbers


@dataclass(frozen=True)
class Stray:
    """A value that is written otherwise than the rest of its column: how often, and in which row first."""

    text: str
    count: int
    row: int


def is_text(arrow_type: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    names = ("is_string", "is_large_string", "is_string_view")  # the last one is missing in old versions
    return any(getattr(pa.types, name)(arrow_type) for name in names if hasattr(pa.types, name))


# -------------------------------------------------------------------------------------------- arrays of texts


def different_texts(column: Any) -> Any:
    """A column as one dictionary array of different texts."""
    encoded = column.dictionary_encode()
    return one_array(encoded.unify_dictionaries()) if isinstance(encoded, pa.ChunkedArray) else encoded


def one_array(column: Any) -> Any:
    """An Arrow column as one array: combine_chunks keeps an empty one chunked in some versions."""
    found = column.combine_chunks()
    if not isinstance(found, pa.ChunkedArray):
        return found
    return found.chunk(0) if found.num_chunks else pa.array([], found.type)


def counts_of(encoded: Any) -> NDArray[np.int64]:
    """How often each text of a dictionary array occurs."""
    codes = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    return np.bincount(codes, minlength=len(encoded.dictionary)).astype(np.int64)


def mask_of(array: Any) -> NDArray[np.bool_]:
    """An Arrow array of booleans as a NumPy one, false where null."""
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def is_missing_text(column: Any, conventions: Conventions = NOTHING_SAID) -> NDArray[np.bool_]:
    """Where a column of texts holds nothing, or a text that stands for nothing, (n,).

    >>> is_missing_text(pa.array(["1", " NA", None])).tolist()
    [False, True, True]
    """
    null: NDArray[np.bool_] = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    return null | missing_keys(column, conventions)


def missing_texts(conventions: Conventions) -> Any:
    """All spellings of a missing value, an Arrow array."""
    return pa.array(sorted(NULLS | {*conventions.null}), pa.string())


def missing_keys(keys: Any, conventions: Conventions) -> NDArray[np.bool_]:
    """Where a text stands for nothing."""
    nulls = missing_texts(conventions).cast(keys.type)
    return mask_of(pc.is_in(pc.utf8_trim_whitespace(keys), nulls))


def matches(keys: Any, pattern: str) -> NDArray[np.bool_]:
    """Where texts match a regular expression, somewhere in them."""
    return mask_of(pc.match_substring_regex(keys, pattern))


def nearly_all(read: NDArray[np.bool_], keys: Any, counts: NDArray[np.int64]) -> bool:
    """Whether the values that can be read are nearly all there are."""
    share = float(counts[read].sum()) / max(int(counts.sum()), 1)
    if share >= NEARLY_ALL:
        return True
    others = np.flatnonzero((counts > 0) & ~read)
    texts = [keys[int(i)].as_py() for i in others[: FEW_WORDS + 1]]
    words = len(texts) <= FEW_WORDS and all(_is_word(text) for text in texts)
    return words and share >= OFTEN


def _is_word(text: str) -> bool:
    """Whether a value says that there is none, as ERR, - and #DIV/0! do; 12A is one."""
    return text.lstrip().startswith("#") or not any(sign.isdigit() for sign in text)


def strays_among(encoded: Any, keys: Any, counts: NDArray[np.int64], stray: NDArray[np.bool_]) -> list[Stray]:
    """Values that were not read, the most frequent first."""
    places = np.flatnonzero(stray & (counts > 0))
    if not len(places):
        return []
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    seen, rows = np.unique(codes, return_index=True)  # the first row of each
    first = dict(zip(seen.tolist(), rows.tolist(), strict=True))
    order = places[np.argsort(-counts[places], kind="stable")]
    return [Stray(keys[int(i)].as_py(), int(counts[i]), first[int(i)]) for i in order]
