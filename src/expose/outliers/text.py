"""Auxiliary outliers from texts: the words stay, what they say goes.

Every maker takes ``texts``, an iterable of str, whose words are what white space separates; ``n``, how many outliers to
make, one for each text if None; and ``random_state``, a seed, a generator or None. It returns a list of ``n`` texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np

from expose.errors import InputError
from expose.outliers.rows import Seed, check_texts, count, others, passes


def shuffle_words(texts: Iterable[str], n: int | None = None, *, random_state: Seed = None) -> list[str]:
    """Texts with their words in random order.

    A network that does not read the order of words cannot tell them from the texts they come from.

    Returns
    -------
    list of str, n of them
        None reads as the text it comes from; texts without two different words are not used.

    Raises
    ------
    InputError
        When no text has two different words.

    Examples
    --------
    >>> shuffle_words(["we ship within two days"], random_state=0)
    ['within days two we ship']
    """
    rows = check_texts(texts)
    words = [found for found in map(str.split, rows) if len(set(found)) > 1]
    if not words:
        raise InputError("no text has two different words whose order could change; use draw_words.")
    n = count(n, len(rows))
    generator = np.random.default_rng(random_state)
    return [_reordered(words[row], generator) for row in passes(len(words), n, generator)]


def _reordered(words: list[str], generator: np.random.Generator) -> str:
    order = list(range(len(words)))
    while (made := [words[i] for i in order]) == words:
        order = generator.permutation(len(words)).tolist()
    return " ".join(made)


def draw_words(texts: Iterable[str], n: int | None = None, *, random_state: Seed = None) -> list[str]:
    """Texts of words drawn one by one, as frequent as in all texts together, and as long as one of the texts.

    Raises
    ------
    InputError
        When the texts hold no word.

    Examples
    --------
    >>> draw_words(["we ship within two days", "two weeks"], random_state=0)
    ['days two ship within we', 'we we']
    """
    split = [found for found in map(str.split, check_texts(texts)) if found]
    words = list(chain.from_iterable(split))
    if not words:
        raise InputError("expected texts with words; every text is empty.")
    n = count(n, len(split))
    generator = np.random.default_rng(random_state)
    lengths = [len(split[row]) for row in passes(len(split), n, generator)]
    return [" ".join(words[i] for i in generator.integers(len(words), size=length)) for length in lengths]


def splice_texts(texts: Iterable[str], n: int | None = None, *, random_state: Seed = None) -> list[str]:
    """The beginning of one text and the end of another, each cut at its own random word.

    Raises
    ------
    InputError
        When fewer than two texts have two words.

    Examples
    --------
    >>> splice_texts(["we ship within two days", "the red one was broken"], 1, random_state=0)
    ['we ship within was broken']
    """
    words = [found for found in map(str.split, check_texts(texts)) if len(found) > 1]
    if len(words) < 2:
        raise InputError(f"splice_texts needs two texts of two words at least; got {len(words)}. Use draw_words.")
    n = count(n, len(words))
    generator = np.random.default_rng(random_state)
    first = passes(len(words), n, generator)
    second = others(first, len(words), generator)
    return [_spliced(words[i], words[j], generator) for i, j in zip(first, second, strict=True)]


def _spliced(beginning: list[str], end: list[str], generator: np.random.Generator) -> str:
    return " ".join(beginning[: generator.integers(1, len(beginning))] + end[generator.integers(1, len(end)) :])


TEXT_MAKERS: dict[str, Callable[..., list[str]]] = {
    "shuffle_words": shuffle_words,
    "draw_words": draw_words,
    "splice_texts": splice_texts,
}
