"""What a text is made of, for explanations: its words; where it is long, its sentences or some words at a time."""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 24  # pieces of a text: it is encoded without each of them
LONGEST: Final = 40  # signs of a piece that is shown
_WORD: Final = re.compile(r"\S+")
_SENTENCE: Final = re.compile(r"\S.*?(?:[.!?]+(?=\s)|\n|$)", re.DOTALL)
_EDGES: Final = re.compile(r"^\W+|\W+$")


def pieces_of(text: str) -> dict[str, str]:
    """The pieces of a text by what they are called, each with the text without it.

    Words are told apart without regard to case and signs around them; one that comes twice is left out twice. What has
    more than 24 words is cut into sentences, and these, if they are many or one, into stretches of words.

    Examples
    --------
    >>> pieces_of("Win CASH! Win it now.")
    {'"Win"': 'CASH! it now.', '"CASH"': 'Win Win it now.', '"it"': 'Win CASH! Win now.', '"now"': 'Win CASH! Win it'}
    >>> list(pieces_of("The boat is small. " * 2 + "It has sails and a long, long, long name. " * 3))[1]
    '"It has sails and a long, long, long name..."'
    """
    spans = [found.span() for found in _WORD.finditer(text)]
    if len(spans) > MOST:
        spans = _longer(text, spans)
    by_name: dict[str, list[tuple[int, int]]] = {}
    for start, end in spans:
        by_name.setdefault(_key(text[start:end]), []).append((start, end))
    return {_shown(text[slice(*places[0])]): _without(text, places) for places in by_name.values()}


def _longer(text: str, words: list[tuple[int, int]]) -> list[tuple[int, int]]:
    sentences = [found.span() for found in _SENTENCE.finditer(text)]
    if 1 < len(sentences) <= MOST:
        return sentences
    each = -(-len(words) // MOST)
    return [(some[0][0], some[-1][1]) for some in (words[place : place + each] for place in range(0, len(words), each))]


def _without(text: str, places: list[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in places:
        kept.append(text[at:start])
        at = end
    return " ".join("".join([*kept, text[at:]]).split())


def _key(piece: str) -> str:
    return _EDGES.sub("", piece).casefold() or piece


def _shown(piece: str) -> str:
    plain = " ".join(piece.split())
    plain = _EDGES.sub("", plain) or plain if " " not in plain else plain
    return f'"{plain}"' if len(plain) <= LONGEST else f'"{plain[:LONGEST]}..."'
