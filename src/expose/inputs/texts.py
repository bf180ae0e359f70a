"""Texts in: lists of strings become rows of token numbers under a vocabulary learned once."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError
from expose.inputs.columns import is_missing
from expose.inputs.layout import Layout

LEVELS: Final = ("word", "char")
MOST_TOKENS: Final = 10_000  # remembered; padding and unseen come on top
LONGEST: Final = 256  # tokens of a text, when nothing was said
COVERED: Final = 0.95  # share of the training texts that are not cut, when nothing was said
FIRST_TOKEN: Final = 2  # 0 is padding, 1 a token that was not seen in training

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

    @property
    def n_rows(self) -> int:
        """Number of texts."""
        return len(self.values)

    def take(self, rows: NDArray[np.integer[Any]]) -> Texts:
        """Return the chosen texts; those that were missing are empty ones now."""
        return Texts(tuple(self.values[row] for row in rows))


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


class TextEncoder:
    """Encode texts as float32 rows ``(n, T)`` of token numbers, which `Layout.unfold` makes whole.

    Parameters
    ----------
    length : int or None
        T, tokens per text: longer texts are cut, shorter ones padded at the end. None takes what 95 % of the training
        texts have at most, and no more than 256.
    level : {"word", "char"}, default="word"
        What a token is, see `tokens`.

    Attributes
    ----------
    vocabulary : tuple of str
        The at most 10,000 most frequent tokens of the training texts, most frequent first. The first has number 2:
        0 is padding and 1 any token that is not among them.
    notes : list of str
        What a person should know of the training texts.

    Examples
    --------
    >>> encoder = TextEncoder().fit(["a cat", "a dog", "a dog"])
    >>> encoder.vocabulary, encoder.transform(["A dog", "bird"]).tolist()
    (('a', 'dog', 'cat'), [[2.0, 3.0], [1.0, 0.0]])
    """

    named = False
    text_columns: tuple[str, ...] = ()

    def __init__(self, length: int | None = None, level: str = "word") -> None:
        self.length = length
        self.level = level
        self.notes: list[str] = []

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, X: Any) -> TextEncoder:
        """Learn the vocabulary, and settle the length.

        Raises
        ------
        InputError
            When there is no text, or no text has a token.
        """
        self._check()
        texts = as_texts(X)
        counts: Counter[str] = Counter()
        lengths = np.empty(texts.n_rows, dtype=np.int64)
        for row, text in enumerate(texts.values):
            found = tokens(text, self.level)
            lengths[row] = len(found)
            counts.update(found)
        if not counts:
            raise InputError(f"found no {self.level} in {texts.n_rows} sample(s); expected texts that have some.")
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        covered = int(np.ceil(np.quantile(lengths, COVERED)))
        self._settle([token for token, _ in ranked[:MOST_TOKENS]], self.length or max(1, min(LONGEST, covered)))
        self.notes = list(self._notes(texts, lengths, len(ranked)))
        return self

    def _check(self) -> None:
        if self.level not in LEVELS:
            raise InputError(f"level must be one of {list(LEVELS)}; got {self.level!r}.")
        if self.length is not None and not (isinstance(self.length, int) and self.length >= 1):
            raise InputError(f"length must be a whole number of tokens of at least 1, or None; got {self.length!r}.")

    def _settle(self, vocabulary: Iterable[str], n_tokens: int) -> None:
        self.vocabulary = tuple(vocabulary)
        self.n_features_out = n_tokens
        self._numbers = {token: number for number, token in enumerate(self.vocabulary, FIRST_TOKEN)}

    def _notes(self, texts: Texts, lengths: NDArray[np.int64], n_different: int) -> Iterable[str]:
        cut, empty = int((lengths > self.n_features_out).sum()), int((lengths == 0).sum())
        unit = "words" if self.level == "word" else "characters"
        if texts.n_missing:
            yield f"{texts.n_missing} of {texts.n_rows} texts are missing; they count as empty."
        if empty > texts.n_missing:
            yield f"{empty - texts.n_missing} of {texts.n_rows} texts are empty."
        if cut:
            yield f"{cut} of {texts.n_rows} texts are longer than {self.n_features_out} {unit} and are cut there."
        if n_different > len(self.vocabulary):
            yield f"Of {n_different:,} different {unit} the {len(self.vocabulary):,} most frequent are told apart."

    @property
    def layout(self) -> Layout:
        """What an encoded row is."""
        return Layout("text", (self.n_features_out,), n_tokens=len(self.vocabulary) + FIRST_TOKEN)

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """A text is one thing: all of its tokens."""
        return [("text", slice(0, self.n_features_out))]

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        X : Texts or anything `as_texts` takes

        Returns
        -------
        ndarray of float32, (n, T), of whole numbers from 0 to ``layout.n_tokens - 1``

        Warns
        -----
        DataWarning
            When texts are missing; they count as empty.
        """
        texts = as_texts(X)
        out = np.zeros((texts.n_rows, self.n_features_out), dtype=np.float32)
        for row, text in enumerate(texts.values):
            found = tokens(text, self.level)[: self.n_features_out]
            out[row, : len(found)] = [self._numbers.get(token, 1) for token in found]
        if texts.n_missing:
            warnings.warn(f"{texts.n_missing} text(s) are missing; they count as empty.", DataWarning, stacklevel=3)
        return out

    # ------------------------------------------------------------------------------------------------- store

    def to_json(self) -> dict[str, Any]:
        """Return all that was learned, in JSON types."""
        return {
            "kind": "text",
            "length": self.length,
            "level": self.level,
            "n_features_out": self.n_features_out,
            "vocabulary": list(self.vocabulary),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> TextEncoder:
        """Return the encoder that `to_json` described; it encodes to the same bits."""
        encoder = cls(stored["length"], stored["level"])
        encoder._settle(stored["vocabulary"], stored["n_features_out"])
        encoder.notes = list(stored["notes"])
        return encoder
