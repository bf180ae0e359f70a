"""Texts become numbers of tokens, under a vocabulary learned once."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.layout import Layout
from expose.errors import CountedWarning, InputError
from expose.kinds.text import Texts, as_texts, tokens

LEVELS: Final = ("word", "char")
MOST_TOKENS: Final = 10_000  # remembered; padding and unseen come on top
LONGEST: Final = 256  # tokens of a text, when no length was given
COVERED: Final = 0.95  # share of the training texts that are not cut, when no length was given
FIRST_TOKEN: Final = 2  # 0 is padding, 1 a token that was not seen in training


@register_encoder(
    "tokens",
    {"words": lambda: TextEncoder(level="word"), "characters": lambda: TextEncoder(level="char")},
)
class TextEncoder(Encoder):
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

    encodes = "text"

    def __init__(self, length: int | None = None, level: str = "word") -> None:
        self.length = length
        self.level = level
        self.notes: list[str] = []

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, samples: Any) -> Self:
        """Learn the vocabulary, and settle the length.

        Raises
        ------
        InputError
            When there is no text, or no text has a token.
        """
        self._check()
        texts = as_texts(samples)
        counts: Counter[str] = Counter()
        lengths = np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(texts.values):
            found = tokens(text, self.level)
            lengths[row] = len(found)
            counts.update(found)
        if not counts:
            raise InputError(f"found no {self.level} in {len(texts)} sample(s); expected texts that have some.")
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
        self.layout = Layout("tokens", (n_tokens,), n_tokens=len(self.vocabulary) + FIRST_TOKEN)
        self._numbers = {token: number for number, token in enumerate(self.vocabulary, FIRST_TOKEN)}

    def _notes(self, texts: Texts, lengths: NDArray[np.int64], n_different: int) -> Iterable[str]:
        cut, empty = int((lengths > self.layout.n_values).sum()), int((lengths == 0).sum())
        unit = "words" if self.level == "word" else "characters"
        if texts.n_missing:
            yield f"{texts.n_missing} of {len(texts)} texts are missing; they count as empty."
        if empty > texts.n_missing:
            yield f"{empty - texts.n_missing} of {len(texts)} texts are empty."
        if cut:
            yield f"{cut} of {len(texts)} texts are longer than {self.layout.n_values} {unit} and are cut there."
        if n_different > len(self.vocabulary):
            yield f"Of {n_different:,} different {unit} the {len(self.vocabulary):,} most frequent are remembered."

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode anything `as_texts` takes, float32 ``(n, T)`` of whole numbers from 0 to ``layout.n_tokens - 1``.

        Warns
        -----
        DataWarning
            When texts are missing; they count as empty.
        """
        texts = as_texts(samples)
        out = np.zeros((len(texts), self.layout.n_values), dtype=np.float32)
        for row, text in enumerate(texts.values):
            found = tokens(text, self.level)[: self.layout.n_values]
            out[row, : len(found)] = [self._numbers.get(token, 1) for token in found]
        if texts.n_missing:
            said = CountedWarning("{count} text(s) are missing; they count as empty.", texts.n_missing)
            warnings.warn(said, stacklevel=3)
        return out

    # ------------------------------------------------------------------------------------------------- store

    def state(self) -> State:
        """Return the vocabulary and the length."""
        return State({
            "length": self.length,
            "level": self.level,
            "n_tokens": self.layout.n_values,
            "vocabulary": list(self.vocabulary),
            "notes": list(self.notes),
        })  # fmt: skip

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; it encodes to the same bits."""
        encoder = cls(state.meta["length"], state.meta["level"])
        encoder._settle(state.meta["vocabulary"], state.meta["n_tokens"])
        encoder.notes = list(state.meta["notes"])
        return encoder
