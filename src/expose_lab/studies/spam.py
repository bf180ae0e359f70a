"""Texts among which others have strayed: advertisements among discussions, questions and plots among film reviews.

No set of spam could be had here. Advertisements of 20 Newsgroups (misc.forsale) among posts of other groups are the
nearest to it; questions of TREC among reviews are another kind of message; what happens in films among what people say
of them (subj) is the hard case, as the subject is one. Strays are part of what is trained on, without labels.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline

from expose import AnomalyDetector
from expose.encoders import MiniLMEncoder
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.text_outliers import Texts, cleaned, read_texts

NORMAL = 500  # usual texts, in training and later
SHARES = (0.02, 0.1)
GROUPS = ("rec.motorcycles", "sci.med", "talk.politics.mideast")
SETS = {
    "adverts": "advertisements among posts of three groups",
    "questions": "questions among film reviews",
    "plots": "plots among opinions of films",
}
WAYS = {
    "default": "the default",
    "forest": "isolation forest on the same vectors",
    "words": "isolation forest on counted words",
}


def cells(sets: list[str], shares: list[float], seeds: list[int]) -> Iterator[Row]:
    """Each set, share and seed."""
    yield from ({"set": name, "share": share, "seed": seed} for name in sets for share in shares for seed in seeds)


def sources(texts: Texts, name: str) -> tuple[list[str], list[str]]:
    """All usual texts of a set, and all that may stray in."""
    if name == "adverts":
        rows = texts.rows("20ng")
        usual = [row["text"] for row in rows if row["label"] in GROUPS]
        return usual, [row["text"] for row in rows if row["label"] == "misc.forsale"]
    if name == "questions":
        return [row["text"] for row in texts.rows("mr")], [row["text"] for row in texts.rows("trec")]
    with lzma.open(texts.folder / "subj.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    parts = ("subjective", "objective")
    usual, strays = ([cleaned(row["text"]) for row in rows if row["label"] == part] for part in parts)
    return usual, strays


def drawn(texts: Texts, name: str, share: float, seed: int) -> list[tuple[list[str], NDArray[np.int64]]]:
    """Texts to train on and later ones, none in both, each with which are strays."""
    rng = np.random.default_rng(seed)
    usual, strays = ([some[row] for row in rng.permutation(len(some))] for some in sources(texts, name))
    n = round(NORMAL * share / (1 - share))
    found = []
    for part in range(2):
        mixed = usual[part * NORMAL : (part + 1) * NORMAL] + strays[part * n : (part + 1) * n]
        labels = np.repeat([0, 1], [len(mixed) - n, n])
        order = rng.permutation(len(mixed))
        found.append(([mixed[row] for row in order], labels[order]))
    return found


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train each on texts with strays; rank these, and later ones."""
    first, later = drawn(read_texts(data / "text"), cell["set"], cell["share"], cell["seed"])
    for way in WAYS:
        scores = ours(first[0], later[0], cell["seed"]) if way == "default" else forest(way, first[0], later[0])
        for part, (_, labels), said in zip(("trained on", "later"), (first, later), scores, strict=True):
            found = {"auroc": float(roc_auc_score(labels, said)), "ap": float(average_precision_score(labels, said))}
            yield {"way": way, "part": part, "texts": len(labels), "strays": int(labels.sum()), **found}


def ours(first: list[str], later: list[str], seed: int) -> list[NDArray[np.float64]]:
    """Scores by the default."""
    detector = AnomalyDetector(random_state=seed).fit(first)
    return [detector.training_scores_, detector.anomaly_score(later)]


def forest(way: str, first: list[str], later: list[str]) -> list[NDArray[np.float64]]:
    """Scores by an isolation forest, on vectors of what texts are about, or on words, weighed and reduced."""
    if way == "forest":
        encoder = MiniLMEncoder().fit(first)
        vectors = [encoder.transform(some) for some in (first, later)]
    else:
        counted = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(50, random_state=0))
        vectors = [counted.fit_transform(first), counted.transform(later)]
    fitted = IsolationForest(random_state=0).fit(vectors[0])
    return [-fitted.score_samples(some) for some in vectors]


def context(page: Page) -> dict[str, Any]:
    """Means over seeds."""
    rows = page.rows("spam")
    lines = []
    for name in rows.each("set"):
        for share in rows.each("share"):
            for way, said in WAYS.items():
                some = rows.where(set=name, share=share, way=way)
                if some:
                    lines.append([SETS[name], f"{100 * share:g} %", said, *cells_of(some)])
    return {
        "table": table(["", "strays", "", "AUROC, %", "AP, %", "later AUROC, %", "later AP, %"], lines),
        "normal": NORMAL,
        "groups": GROUPS,
        "seeds": len(rows.each("seed")),
        "day": rows.finished,
    }


def cells_of(some: Any) -> list[str]:
    """Means of what was trained on, and of later texts."""
    parts = (some.where(part=part) for part in ("trained on", "later"))
    return [f"{100 * float(np.mean(part.values(one))):.1f}" for part in parts for one in ("auroc", "ap")]


STUDY = Study(
    "spam",
    "texts among which others have strayed, as adverts among discussions, beside isolation forests",
    cells=cells,
    measure=measure,
    options={"sets": list(SETS), "shares": list(SHARES), "seeds": [0, 1, 2]},
    page="benchmark/text-strays.md",
    context=context,
)
