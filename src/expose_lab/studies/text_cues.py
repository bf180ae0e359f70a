"""What the published rows of texts read: the authors' evaluation, and its cues taken away one by one.

A network is trained and fine-tuned as in `text_outliers`, on texts as the authors' preprocessing leaves them, and is
then judged on tests that differ in one cue each. Only texts are changed, never the network: padding that a network
reads is a word in front of a text, and a word with a capital is another word than the one without.

Made from what is known of that evaluation, not from its code. Words are what stands between blanks. Outliers are in
lower case, in batches of any lengths, padded in front to the longest of a batch; normal texts are in batches of like
lengths. SST keeps its capitals. 20 Newsgroups has letters only, no word under three of them, the subject in front,
and 100 words, padded. Lines of WMT16 end at the first comma, and of IMDB the shortest texts are tested.

Its results are shown on the page of `text_outliers`.
"""

from __future__ import annotations

import copy
import json
import lzma
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.encoders import TextEncoder
from expose_lab.metrics import outlier_detection
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.text_outliers import (
    BASELINE,
    EXPOSED,
    FEWEST_WORDS,
    FILES,
    IN_PAPER,
    LEVEL,
    SCORES,
    Logits,
    class_of,
    new,
    recipe,
    records,
)

SEEDS = {"trec": (0, 1), "sst": (0, 1), "20ng": (0,)}  # 20 Newsgroups takes as long as all others together
LONGEST = 100  # words of a text, its padding among them
BATCH = 64  # texts that are padded together
IMDB_TEST = 25_000  # texts of which the authors take the shortest; here are fewer, of which the same share is taken
FEWEST_TESTED = 1000  # texts of another source, if it has so many
PAD = "0"  # a word that `as_word` makes of none
SHORT = 3  # letters of the shortest words of 20 Newsgroups
Words = list[str]
Says = Callable[[tuple[str, ...]], Logits]  # of texts, the logarithms of the classes' probabilities


class Cues(NamedTuple):
    """What tells outliers from normal texts and is no reading; all are on in the authors' evaluation."""

    padding: bool = True  # outliers are padded otherwise than normal texts
    case: bool = True  # outliers have no capital
    cut: bool = True  # lines of WMT16 end at the first comma, texts of IMDB are the shortest
    short: bool = True  # outliers have words under three letters, and signs
    capitals: bool = True  # normal texts keep theirs


THEIRS = "as in the authors' evaluation"
ALIKE = "all texts treated alike"
PADDED, WHOLE = "outliers padded as normal texts are", "whole lines of WMT16, any texts of IMDB"
CONDITIONS = {
    "trec": {
        THEIRS: Cues(),
        PADDED: Cues(padding=False),
        WHOLE: Cues(cut=False),
        ALIKE: Cues(padding=False, cut=False),
    },
    "sst": {
        THEIRS: Cues(),
        PADDED: Cues(padding=False),
        WHOLE: Cues(cut=False),
        "first words of outliers with a capital": Cues(case=False),
        f"{PADDED}, first words with a capital": Cues(padding=False, case=False),
        f"{PADDED}, normal texts in lower case": Cues(padding=False, capitals=False),
        ALIKE: Cues(padding=False, case=False, cut=False),
    },
    "20ng": {
        THEIRS: Cues(),
        PADDED: Cues(padding=False),
        WHOLE: Cues(cut=False),
        "outliers without short words and signs": Cues(short=False),
        ALIKE: Cues(padding=False, cut=False, short=False),
    },
}


def cells(datasets: list[str], seeds: list[int]) -> Iterator[Row]:
    """One training each."""
    yield from ({"dataset": name, "seed": seed} for name in datasets for seed in SEEDS[name] if seed in seeds)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Detection before and after exposure under each condition."""
    name, seed = cell["dataset"], cell["seed"]
    files = read_files(data / "text")
    train, auxiliary = files.normal(name, "train"), padded(files.sentences(seed))
    encoder = TextEncoder(length=LONGEST)
    before = new(seed, BASELINE).set_params(encoder=encoder).fit(*train)
    after = copy.deepcopy(before).set_params(recipe=recipe(EXPOSED)).fit(*train, outliers=auxiliary)
    encoder.fit(train.texts)
    models = {"before": before, "after": after}
    says: dict[str, Says] = {
        when: cache(model.predict_log_proba) for when, model in models.items()
    }  # tests share texts
    sizes = {"train": len(train.texts), "outliers": len(auxiliary), "unknown_auxiliary": unknown(encoder, auxiliary)}
    for what, cues in CONDITIONS[name].items():
        test = files.normal(name, "test", cues.capitals)
        sources = {source: tuple(files.outliers(name, source, len(test.texts), cues)) for source in IN_PAPER}
        seen = {source: {"pads": pads(texts), "unknown": unknown(encoder, texts)} for source, texts in sources.items()}
        for when, log_p in says.items():
            about = {"what": what, "when": when, "normal_pads": pads(test.texts), **sizes}
            yield from (about | seen[row["source"]] | row for row in judged(before.classes_, log_p, test, sources))


def judged(classes: NDArray[Any], says: Says, test: Normal, sources: Mapping[str, tuple[str, ...]]) -> Iterator[Row]:
    """Detection by each score and source."""
    normal = says(test.texts)
    outliers = {source: says(texts) for source, texts in sources.items()}
    error = float((classes[normal.argmax(axis=1)] != test.y).mean())
    for name, score in SCORES.items():
        others = {source: score(log_p) for source, log_p in outliers.items()}
        result = outlier_detection(score(normal), others, level=LEVEL)
        yield from ({"score": name, "error": error, **row} for row in records(result))


def pads(texts: Sequence[str]) -> float:
    """Mean number of a text's words that are padding."""
    return float(np.mean([text.split().count(PAD) for text in texts]))


def unknown(encoder: TextEncoder, texts: Sequence[str]) -> float:
    """Share of the words, without padding, that a vocabulary does not know."""
    numbers = encoder.transform(texts)
    words = sum(len(text.split()) for text in texts) - len(texts) * pads(texts)
    return float((numbers == 1).sum() / words)


# ------------------------------------------------------------------------------------------------------------ texts


class Normal(NamedTuple):
    """Normal texts and their classes."""

    texts: tuple[str, ...]
    y: NDArray[np.str_]


@cache
def read_files(folder: Path) -> RawTexts:
    """What lies in a folder, read once."""
    return RawTexts(folder)


class RawTexts:
    """Texts as the authors' preprocessing leaves them, or without some of its cues."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = cache(self._rows)
        self.normal = cache(self._normal)

    def _rows(self, file: str) -> list[Row]:
        with lzma.open(self.folder / f"{file}.jsonl.xz", "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _normal(self, name: str, split: str, capitals: bool = True) -> Normal:
        """A part of a data set."""
        rows = [row for row in self.rows("sst_cased" if name == "sst" else FILES[name]) if row["split"] == split]
        rows = [row for row in rows if class_of(name, row)]
        texts = padded_as(name, [normal_words(name, row, capitals) for row in rows])
        return Normal(tuple(texts), np.array([class_of(name, row) for row in rows]))

    def sentences(self, seed: int) -> list[Words]:
        """WikiText-2, each sentence one outlier, in any order, without headings."""
        paragraphs = [row["text"] for row in self.rows(FILES["wikitext"]) if not row["text"].startswith("=")]
        found = [one.lower().split() for text in paragraphs for one in re.split(r"(?<=[.!?]) ", text)]
        kept = [words for words in found if len(words) >= FEWEST_WORDS]
        return [kept[row] for row in np.random.default_rng(seed).permutation(len(kept))]

    def outliers(self, name: str, source: str, n_normal: int, cues: Cues) -> list[str]:
        """Texts of a source that are tested against so many normal ones."""
        texts = [unquoted(row["text"].lower()) for row in self.rows(FILES[source])]
        if source == "wmt16" and cues.cut:
            texts = [text.partition(",")[0] for text in texts]  # a file without quotes, read as one of values
        words = [found for text in texts if (found := text.split())]
        looked_at = BATCH * -(-n_normal // (5 * BATCH))  # whole batches, until there is one outlier for five
        if source == "imdb" and cues.cut:
            words = sorted(words, key=len)[: -(-looked_at * len(words) // IMDB_TEST)]
        else:
            words = [
                words[row] for row in np.random.default_rng(0).permutation(len(words))[: max(looked_at, FEWEST_TESTED)]
            ]
        words = words if cues.case else [[one[0].capitalize(), *one[1:]] for one in words]
        words = words if cues.short else [kept for one in words if (kept := no_short(" ".join(one)))]
        return padded(words) if cues.padding else padded_as(name, words)


def normal_words(name: str, row: Row, capitals: bool) -> Words:
    """Words of a normal text."""
    if name == "20ng":
        return no_short(f"{row['subject']} {row['text']}")
    text = str(row["text"])
    return (text if name == "sst" and capitals else text.lower()).split()


def no_short(text: str) -> Words:
    """Words of at least three letters, of letters only.

    >>> no_short("Re: 2 cats, it's a-maze-ing")
    ['cats', 'maze', 'ing']
    """
    return [word for word in re.findall("[a-z]+", text.lower()) if len(word) >= SHORT]


def unquoted(line: str) -> str:
    """A line without the quotes that a file of values has around those with commas."""
    return line[1:-1] if len(line) > 1 and line[0] == line[-1] == '"' else line


def padded(texts: Sequence[Words], least: int = 0) -> list[str]:
    """Texts, batch by batch as they come, each padded in front to the longest of its batch.

    >>> padded([["so"], ["so", "it", "goes"]])
    ['0 0 so', 'so it goes']
    """
    done = []
    for start in range(0, len(texts), BATCH):
        batch = [list(map(as_word, words[:LONGEST])) for words in texts[start : start + BATCH]]
        longest = max(least, *map(len, batch))
        done += [" ".join([PAD] * (longest - len(words)) + words) for words in batch]
    return done


def padded_as(name: str, texts: Sequence[Words]) -> list[str]:
    """Texts padded as the normal texts of a data set are: to one length, or in batches of like lengths."""
    if name == "20ng":
        return padded(texts, LONGEST)
    order = np.argsort([len(words) for words in texts], kind="stable")
    done = padded([texts[row] for row in order])
    return [done[row] for row in np.argsort(order)]


def as_word(word: str) -> str:
    """The same word in small letters and digits, which no encoder cuts or lowers; two that differ still do.

    >>> as_word("isn't"), as_word("The"), as_word("the")
    ('isn0270t', '0540he', 'the')
    """
    return re.sub("[^a-z1-9]", lambda found: f"0{ord(found[0]):x}0", word)


STUDY = Study(
    "text_cues",
    "what the published rows of texts read: cues taken away one by one",
    cells=cells,
    measure=measure,
    options={"datasets": list(SEEDS), "seeds": [0, 1, 2]},
)
