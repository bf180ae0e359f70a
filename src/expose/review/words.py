"""What is read of a sample: its text with the words that make it unusual marked, and a glimpse of others beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.report.typical import clean_text, show_text, show_value
from expose.review.standing import Standing

LONGEST: Final = 4_000  # signs of a text
TELLING: Final = 0.5  # of what the most telling words carry, from which on others are marked, too
GLIMPSED: Final = 3  # values of a row beside others
_WORD: Final = re.compile(r"\S+")

Floats = NDArray[np.float64]


class Passage(NamedTuple):
    """A text: its name, and its pieces in order, each with the part of the score that is due to it, 0 if to none."""

    name: str
    pieces: list[tuple[str, float]]


def passages_of(standing: Standing, row: int) -> list[Passage]:
    """The texts of a sample that is explained by its words; none of others."""
    kind, shown = standing.fitted.kind, standing.material.shown
    if not kind.has_pieces:
        return []
    reasons = standing.look(row).reasons
    least = TELLING * max((one.share for one in reasons), default=0.0)
    shares = {one.name: one.share for one in reasons if one.share >= least}
    names, others = kind.without_each(shown.samples, row)
    told = [(place, shares[show_text(name)]) for place, name in enumerate(names) if show_text(name) in shares]
    without = [(tuple(kind.show(others, place).values()), share) for place, share in told]
    return [
        Passage(show_text(name), marked(text, [(str(values[place]), share) for values, share in without]))
        for place, (name, text) in enumerate(shown.show(row).items())
        if isinstance(text, str)
    ]


def marked(text: str, without: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """A text in pieces, each with the share of what is lost without it.

    Parameters
    ----------
    text : str
    without : sequence of (str, float)
        The text without some of its words, and the share that these words have.

    Examples
    --------
    >>> marked("Win cash! Win it now.", [("cash! it now.", 0.5), ("Win cash! Win it", 0.2)])
    [('Win', 0.5), (' cash! ', 0.0), ('Win', 0.5), (' it ', 0.0), ('now.', 0.2)]
    """
    spans = [found.span() for found in _WORD.finditer(text)]
    words = [text[slice(*span)] for span in spans]
    shares = np.zeros(len(words))
    for left, share in without:
        shares = np.maximum(shares, np.where(missing(words, left.split()), share, 0.0))
    return shortened(joined(text, spans, shares))


def missing(words: Sequence[str], left: Sequence[str]) -> list[bool]:
    """Which words are not there any more among those that are left, in their order."""
    at, found = 0, []
    for word in words:
        kept = at < len(left) and left[at] == word
        found.append(not kept)
        at += kept
    return found


def joined(text: str, spans: Sequence[tuple[int, int]], shares: Floats) -> list[tuple[str, float]]:
    """A text cut where the share of its words changes; what is between two words of one share is theirs."""
    pieces: list[tuple[str, float]] = []
    at, place = 0, 0
    while place < len(spans):
        last = place
        while last + 1 < len(spans) and shares[last + 1] == shares[place]:
            last += 1
        if shares[place]:
            first, end = spans[place][0], spans[last][1]
            pieces += [(text[at:first], 0.0), (text[first:end], float(shares[place]))]
            at = end
        place = last + 1
    pieces.append((text[at:], 0.0))
    return [(piece, share) for piece, share in pieces if piece]


def shortened(pieces: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Pieces without control characters, together no longer than can be read."""
    found: list[tuple[str, float]] = []
    room = LONGEST
    for piece, share in pieces:
        found.append((clean_text(piece[:room], keep="\n") + ("…" if len(piece) > room else ""), share))
        room -= len(piece)
        if room <= 0:
            break
    return found


def glimpse(standing: Standing, row: int, wanted: Sequence[str] = ()) -> list[tuple[str, str]]:
    """A few values of a row by their names: those wanted that it has, else its first ones; none of what is seen."""
    if standing.fitted.kind.pictured:
        return []
    seen: dict[str, Any] = standing.material.shown.show(row)
    by_name = {show_text(name): value for name, value in seen.items()}
    named = {show_value(value) for value in seen.values()} & set(standing.name(row).split(", "))
    chosen = [name for name in wanted if name in by_name] or [
        name for name, value in by_name.items() if show_value(value) not in named
    ]
    return [(name, show_value(by_name[name])) for name in chosen[:GLIMPSED]]
