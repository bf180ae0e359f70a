"""Templates of log messages by Drain (He et al., "Drain: An online log parsing approach", ICWS 2017).

Messages of as many words that begin with the same words are compared word by word; one that is like enough to a
template joins it, and the words in which they differ become the sign `ANY`. As a model is trained on whole files, the
tree is only needed while templates are learned: later messages are matched with the finished templates, word by word.

Beyond the paper: messages of different levels (INFO, ERROR) never share a template; types such as <NUM> are no
likeness; a word in which the messages of a template have few values stays (a hit is no miss); and templates that differ
in one word alone become one where that word has many values (a name that stands among the first words).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

ANY: Final = "<*>"
LIKE: Final = 0.5  # share of the words that must agree
DEPTH: Final = 2  # words at the beginning that must
MOST_CHILDREN: Final = 100  # different words at a place of the tree; further ones share one
MOST_COMPARED: Final = 200  # templates at one place of the tree, the latest, that a message is compared with
FEW: Final = 5  # values of a word up to which it says what happened, rather than to whom
MANY: Final = 10  # values of the one word in which templates differ, from which on it is a variable
LEVELS: Final = frozenset(
    "TRACE DEBUG INFO NOTICE WARN WARNING ERROR ERR SEVERE CRITICAL CRIT ALERT FATAL PANIC EMERG".split()  # noqa: SIM905
)
LOOKED_AT: Final = 8  # words among which the level is

Words = tuple[str, ...]


def words_of(message: str) -> Words:
    """Words of a message."""
    return tuple(message.split())


def level_of(words: Sequence[str]) -> str:
    """The level that a message names among its first words; empty if it names none.

    >>> level_of("main [INFO] up".split()), level_of("up".split())
    ('INFO', '')
    """
    return next((name for word in words[:LOOKED_AT] if (name := word.strip("[]<>():,|").upper()) in LEVELS), "")


def is_variable(word: str) -> bool:
    """Whether a word holds what varies."""
    return "<" in word and ">" in word


def drain(messages: Iterable[str]) -> list[str]:
    """Templates of messages, in the order in which they were met first.

    Examples
    --------
    >>> names = ("ann", "bob", "eve", "ida", "kim", "zoe")
    >>> drain([*(f"INFO user {name} logged in" for name in names), "ERROR disk <NUM> failed", "ERROR disk <NUM> full"])
    ['INFO user <*> logged in', 'ERROR disk <NUM> failed', 'ERROR disk <NUM> full']
    """
    leaves: dict[tuple[str, ...], list[_Cluster]] = {}
    children: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    found: list[_Cluster] = []
    for message in messages:
        words = words_of(message)
        leaf = leaves.setdefault(_path(words, children), [])
        best = max(leaf[-MOST_COMPARED:], key=lambda cluster: _likeness(cluster.template, words), default=None)
        if best is None or _likeness(best.template, words) < LIKE:
            best = _Cluster(words)
            leaf.append(best)
            found.append(best)
        best.add(words)
    return [" ".join(words) for words in _joined([words for cluster in found for words in cluster.parts()])]


class _Cluster:
    """Messages that are like each other, and what they have in common."""

    def __init__(self, words: Words) -> None:
        self.template: Words = words
        self.members: list[Words] = []

    def add(self, words: Words) -> None:
        """Take in a message."""
        pairs = zip(self.template, words, strict=True)
        self.template = tuple(mine if mine == theirs else ANY for mine, theirs in pairs)
        self.members.append(words)

    def parts(self) -> list[Words]:
        """Templates in which words of few values stay as they are: a hit is no miss, a GET no POST."""
        open_ = [place for place, word in enumerate(self.template) if word == ANY]
        variable = {place for place in open_ if len({words[place] for words in self.members}) > FEW}
        parts = (tuple(ANY if n in variable else word for n, word in enumerate(words)) for words in self.members)
        return list(dict.fromkeys(parts))


def _path(words: Sequence[str], children: defaultdict[tuple[str, ...], set[str]]) -> tuple[str, ...]:
    """The way of a message through the tree: its length and level, and its first words."""
    path: tuple[str, ...] = (str(len(words)), level_of(words))
    for word in words[:DEPTH]:
        known = children[path]
        shared = is_variable(word) or (word not in known and len(known) >= MOST_CHILDREN)
        step = ANY if shared else word
        known.add(step)
        path = (*path, step)
    return path


def _likeness(template: Sequence[str], words: Sequence[str]) -> float:
    """Share of the words of a template, but for its variables, that a message has."""
    constant = [(mine, theirs) for mine, theirs in zip(template, words, strict=True) if not is_variable(mine)]
    if not constant:
        return 1.0 if list(template) == list(words) else 0.0
    return sum(mine == theirs for mine, theirs in constant) / len(constant)


def _joined(templates: Sequence[Words]) -> list[Words]:
    """Templates without doubles, and those that differ in one word of many values as one."""
    unique = list(dict.fromkeys(templates))
    places: defaultdict[tuple[int, Words], list[Words]] = defaultdict(list)
    for words in unique:
        for place, word in enumerate(words):
            others = sum(not is_variable(one) for one in words) - 1
            if not is_variable(word) and others > 0 and word.strip("[]<>():,|").upper() not in LEVELS:
                places[place, (*words[:place], ANY, *words[place + 1 :])].append(words)
    instead: dict[Words, Words] = {}
    for (_, common), some in places.items():
        if len(some) >= MANY:
            instead |= {words: common for words in some if words not in instead}
    return list(dict.fromkeys(instead.get(words, words) for words in unique))


class Matcher:
    """Finds the template of a message: the one with most words in common among those of which no word differs.

    Examples
    --------
    >>> matcher = Matcher(["disk <NUM> failed", "<*> <NUM> failed"])
    >>> matcher("disk <NUM> failed"), matcher("fan <NUM> failed"), matcher("all is well")
    (0, 1, -1)
    """

    def __init__(self, templates: Sequence[str]) -> None:
        self.count = len(templates)
        self._places: dict[int, list[tuple[int, ...]]] = {}  # by number of words: places of those that must agree
        self._known: dict[tuple[tuple[int, ...], Words], int] = {}
        by_length: defaultdict[int, set[tuple[int, ...]]] = defaultdict(set)
        for number, template in enumerate(templates):
            words = words_of(template)
            places = tuple(place for place, word in enumerate(words) if word != ANY)
            by_length[len(words)].add(places)
            self._known.setdefault((places, (str(len(words)), *(words[place] for place in places))), number)
        for length, some in by_length.items():
            self._places[length] = sorted(some, key=lambda places: (-len(places), places))

    def __call__(self, message: str) -> int:
        """Number of the template; -1 if there is none."""
        words = words_of(message)
        for places in self._places.get(len(words), ()):
            found = self._known.get((places, (str(len(words)), *(words[place] for place in places))))
            if found is not None:
                return found
        return -1
