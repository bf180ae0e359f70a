"""Texts as vectors of a pretrained language model: one class against the others, contaminated, and outlier exposure.

Both with ``encoder="minilm"``. The folder of data holds ``text``; the vectors are kept in the cache of features, so
that each text is encoded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from expose import AnomalyDetector, OutlierExposureClassifier
from expose_lab.metrics import auroc, outlier_detection
from expose_lab.pages import Column, Page, Rows, count, grid
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.text_cues import Normal, judged
from expose_lab.studies.text_outliers import LEVEL, NAMES, TESTED, Labelled, Texts, read_texts, records

SEEDS = (0, 1)
CLASSES = ("alt.atheism", "comp.graphics", "rec.autos", "sci.space")
SHARES = (0.0, 0.1, 0.2)
TRAINED, TESTED_NORMAL = 300, 100  # texts of the class
OTHERS = 20  # texts of each other class, in training to draw from, and in the test
DETECTORS: dict[str, dict[str, Any]] = {
    "neighbours": {"objective": "neighbours", "encoder": "minilm"},
    "ntl": {"objective": "ntl", "encoder": "minilm"},
    "neighbours, TF-IDF": {"objective": "neighbours"},  # words counted: what can be had without the model
}
ONCE = ("ntl",)  # fitted with the first seed only, since it takes longest
MOST = {"20ng": (60, 30), "sst": (1000, 300)}  # texts of a class in training and in the test, where all are too many
MOST_OUTLIERS, MOST_AUXILIARY = 400, 2000


def cells(sets: list[str], seeds: list[int]) -> Iterator[Row]:
    """Classifiers, and classes against the others; what takes longest comes last."""
    for seed in seeds:
        yield from ({"run": "exposure", "what": name, "share": 0.0, "detector": "", "seed": seed} for name in sets)
    yield from (
        {"run": "one-vs-rest", "what": name, "share": share, "detector": detector, "seed": seed}
        for detector in sorted(DETECTORS, key=ONCE.count)
        for name in CLASSES
        for share in SHARES
        for seed in (seeds[:1] if detector in ONCE else seeds)
    )


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Rows of a cell."""
    texts = read_texts(data / "text")
    if cell["run"] == "exposure":
        yield from exposure(texts, cell["what"], cell["seed"])
    else:
        yield one_against_the_rest(texts, **{name: cell[name] for name in ("what", "share", "detector", "seed")})


def one_against_the_rest(texts: Texts, what: str, share: float, detector: str, seed: int) -> Row:
    """Train on texts of a class, and as many of the others as make the share; the share is not told."""
    normal, others = drawn(texts, "train", what, TRAINED)
    rng = np.random.default_rng(seed)
    dirty = rng.choice(len(others), round(len(normal) * share / (1 - share)), replace=False)
    training = [*normal, *(others[row] for row in dirty)]
    model = AnomalyDetector(**settings(detector, seed), random_state=seed, device="cpu")
    model.fit([training[row] for row in rng.permutation(len(training))])
    good, bad = drawn(texts, "test", what, TESTED_NORMAL)
    y, scores = np.repeat([0, 1], [len(good), len(bad)]), model.anomaly_score([*good, *bad])
    return {"auroc": auroc(y, scores), "train": len(training)}


def settings(detector: str, seed: int) -> dict[str, Any]:
    """Parameters of a detector."""
    counted = make_pipeline(TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(50, random_state=seed))
    return {"encoder": counted, **DETECTORS[detector]}


@cache
def drawn(texts: Texts, split: str, what: str, most: int) -> tuple[list[str], list[str]]:
    """Texts of a class and of the others, the same for all seeds."""
    rows = [row for row in texts.rows("20ng") if row["split"] == split]
    rows = [rows[row] for row in np.random.default_rng(0).permutation(len(rows))]
    by_class: dict[str, list[str]] = {}
    for row in rows:
        by_class.setdefault(row["label"], []).append(row["text"])
    others = [text for name in sorted(by_class) if name != what for text in by_class[name][:OTHERS]]
    return by_class[what][:most], others


def exposure(texts: Texts, name: str, seed: int) -> Iterator[Row]:
    """Detection of outliers of other sources by a classifier, before and after exposure, and by distances alone."""
    task = texts.task(name)
    train, tested = fewer(task.train, name, 0), fewer(task.test, name, 1)
    test = Normal(tuple(tested.texts), tested.y)
    sources = {source: tuple(texts.outliers(source)[:MOST_OUTLIERS]) for source in TESTED[name]}
    sentences = texts.sentences()
    auxiliary = [sentences[row] for row in np.random.default_rng(0).permutation(len(sentences))[:MOST_AUXILIARY]]
    about: dict[str, Any] = {"encoder": "minilm", "terms": {"uniform": 1.0}, "random_state": seed, "device": "cpu"}
    for when, outliers in {"before": None, "after": auxiliary}.items():
        model = OutlierExposureClassifier(**about).fit(*train, outliers=outliers)
        for row in judged(model.classes_, model.predict_log_proba, test, sources):
            yield {"when": when, "train": len(train.y), "test": len(test.y), "outliers": len(auxiliary), **row}
    alone = AnomalyDetector("neighbours", encoder="minilm", random_state=seed, device="cpu").fit(train.texts)
    scores = {source: alone.anomaly_score(some) for source, some in sources.items()}
    result = outlier_detection(alone.anomaly_score(test.texts), scores, level=LEVEL)
    yield from ({"when": "alone", "score": "distance", "train": len(train.y), **row} for row in records(result))


def fewer(part: Labelled, name: str, place: int) -> Labelled:
    """As many texts of each class as are wanted, where all are too many."""
    if name not in MOST:
        return part
    kept = np.concatenate([np.flatnonzero(part.y == label)[: MOST[name][place]] for label in np.unique(part.y)])
    return Labelled([part.texts[row] for row in kept], part.y[kept])


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """Both tables."""
    rows = page.rows("text_embeddings")
    against, exposed = rows.where(run="one-vs-rest"), rows.where(run="exposure")
    return {
        "classes": len(against.each("what")),
        "seeds": count(len(rows.each("seed")), "seed"),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "numbers": {"trained": TRAINED, "tested": TESTED_NORMAL, "others": OTHERS, "outliers": MOST_OUTLIERS},
        "auxiliary": f"{MOST_AUXILIARY:,}",
        "most": ", ".join(
            f"{train:,} in training and {test} in the test of {NAMES[name]}" for name, (train, test) in MOST.items()
        ),
        "against": grid(
            against,
            {name: {"detector": name} for name in DETECTORS},
            {f"{100 * share:g} %": Column("auroc", {"share": share}) for share in SHARES},
            "AUROC",
            bold="column",
        ),
        "each": grid(
            against.where(share=0.1),
            {name: {"what": name} for name in against.each("what")},
            {name: Column("auroc", {"detector": name}) for name in DETECTORS},
            "class, 10 %",
        ),
        "exposed": {NAMES[name]: exposed_table(exposed.where(what=name), name) for name in exposed.each("what")},
    }


WAYS: dict[str, dict[str, Any]] = {
    "distances alone": {"when": "alone"},
    "classes, before": {"when": "before", "score": "msp"},
    "after, MSP": {"when": "after", "score": "msp"},
    "after, -H(U; p)": {"when": "after", "score": "entropy"},
}


def exposed_table(rows: Rows, name: str) -> str:
    """FPR90 by source and way, and the means."""
    lines: dict[str, dict[str, Any]] = {NAMES[source]: {"source": source} for source in TESTED[name]}
    lines["mean"] = {}
    columns = {way: Column("fpr_at_tpr", where) for way, where in WAYS.items()}
    columns |= {f"AUROC {way}": Column("auroc", WAYS[way]) for way in ("distances alone", "after, -H(U; p)")}
    return grid(rows, lines, columns, "FPR90")


STUDY = Study(
    "text_embeddings",
    "texts as vectors of a pretrained language model: contaminated classes, and outlier exposure",
    cells=cells,
    measure=measure,
    options={"sets": list(TESTED), "seeds": list(SEEDS)},
    page="benchmark/text-embeddings.md",
    context=context,
)
