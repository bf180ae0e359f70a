"""MVTec's embeddings with the contamination of Qiu et al. (ICML 2022) beside the honest one.

MVTec AD has no anomalies to train on, so the authors drew them from those that are tested, and added a little noise. A
method that learns the contamination by heart is rewarded for that; with real anomalies that are not tested it is not.
The two are told apart everywhere here. The detectors are NTL with the settings of `loe_images`, for fewer rows, and the
default one of vectors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import FunctionTransformer

from expose import AnomalyDetector
from expose.objectives import NTL
from expose_lab.datasets import EMBEDDINGS, DataSet, load
from expose_lab.metrics import auroc
from expose_lab.pages import Page, Rows, count, mean_std, percent, signed, table
from expose_lab.protocols import Split, clean, disjoint
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.loe_images import TRAINING

SETS = tuple(name for name in EMBEDDINGS if name.startswith("mvtec"))
NOISE = 0.1  # of the standard deviation of the anomalies, value by value
PAPER, HONEST = "paper, images", "disjoint"
EXPOSURES = ("blind", "refine", "hard", "soft")
CLEAN = EXPOSURES[:1]  # stands for all where nothing is assumed to be anomalous
DEFAULT = "neighbours"
RATIOS, SEEDS = (0.1, 0.0, 0.2), (0, 1, 2)
FEWER_ROWS: dict[str, Any] = {**TRAINING, "batch_size": 32, "epochs": 30, "warmup": 12}  # as many steps of fewer rows


def paper_images(X: ArrayLike, y: ArrayLike, *, seed: int, ratio: float) -> Split:
    """Add noisy copies of test anomalies, drawn with replacement, as Qiu et al. did for the features of MVTec AD.

    Half of the normal rows are for training; the other half and all anomalies are tested.

    Examples
    --------
    >>> split = paper_images([[0.0]] * 18 + [[9.0], [8.0]], [0] * 18 + [1] * 2, seed=0, ratio=0.1)
    >>> split.train_y.tolist(), split.test_y.tolist(), bool((split.train_X[-1] > 7).all())
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], True)
    """
    split = clean(X, y, seed=seed)
    anomalies = split.test_X[split.test_y == 1]
    rng = np.random.default_rng([seed, 2])
    drawn = anomalies[rng.integers(len(anomalies), size=round(ratio / (1 - ratio) * len(split.train_X)))]
    noise = NOISE * anomalies.std(axis=0, dtype=np.float64) * rng.standard_normal(drawn.shape)
    truth = np.repeat(np.array([0, 1], dtype=np.int8), [len(split.train_X), len(drawn)])
    train = np.concatenate([split.train_X, (drawn + noise).astype(split.train_X.dtype)])
    return Split(train, truth, split.test_X, split.test_y, float(truth.mean()))


PROTOCOLS: dict[str, Callable[..., Split]] = {HONEST: disjoint, PAPER: paper_images}


def cells(sets: list[str], ratios: list[float], seeds: list[int]) -> Iterator[Row]:
    """A set under a protocol by a detector; without contamination exposures are one, and protocols too."""
    for ratio, seed, name in product(ratios, seeds, sets):
        for protocol, way in product(PROTOCOLS if ratio else [HONEST], [*(EXPOSURES if ratio else CLEAN), DEFAULT]):
            yield {"dataset": name, "protocol": protocol, "true_ratio": ratio, "way": way, "seed": seed}


def measure(cell: Row, data: Path) -> Row:
    """Train and test."""
    torch.set_num_threads(1)
    stored = stored_set(cell["dataset"], data)
    split = PROTOCOLS[cell["protocol"]](stored.X, stored.y, seed=cell["seed"], ratio=cell["true_ratio"])
    detector = new(cell["way"], split.reached_ratio, cell["seed"]).fit(split.train_X)
    scores = detector.anomaly_score(split.test_X)
    return {"auroc": auroc(split.test_y, scores), "reached_ratio": split.reached_ratio}


@lru_cache(maxsize=1)
def stored_set(name: str, data: Path) -> DataSet:
    """The set last used: cells come set by set."""
    return load(name, data)


def new(way: str, share: float, seed: int) -> AnomalyDetector:
    """NTL under an exposure on vectors as they are, or the default; both are told the share."""
    about: dict[str, Any] = {"contamination": share, "random_state": seed, "device": "cpu"}
    if way == DEFAULT:
        return AnomalyDetector(DEFAULT, **about)
    return AnomalyDetector(NTL(**FEWER_ROWS), encoder=FunctionTransformer(), exposure=way, **about)


# ------------------------------------------------------------------------------------------------------------ page


def section(page: Page) -> dict[str, Any]:
    """What the page of embeddings shows of it."""
    rows = page.rows("mvtec_embeddings")
    ratios = sorted(ratio for ratio in rows.each("true_ratio") if ratio)
    stored = json.loads((page.results.parent / "published_loe.json").read_text(encoding="utf-8"))
    return {
        "table": means_table(rows, ratios, stored["mvtec_detection"]),
        "changes": changes(rows, ratios),
        "sets": count(len(rows.each("dataset")), "set"),
        "seeds": count(len(rows.each("seed")), "seed"),
        "finished": rows.finished,
        "noise": NOISE,
    }


def means_table(rows: Rows, ratios: list[float], published: Mapping[str, Mapping[str, float]]) -> str:
    """Means over the sets, with the spread over the seeds, under both protocols; in brackets what was published."""
    clean_ = {way: rows.where(way=way, true_ratio=0.0) for way in (CLEAN[0], DEFAULT)}
    lines = []
    for way in (*EXPOSURES, DEFAULT):
        texts = [
            mean_std(rows.where(way=way, protocol=protocol, true_ratio=ratio).per("auroc", "seed"))
            + theirs(published, way, ratio if protocol == PAPER else 0.0)
            for protocol, ratio in product(PROTOCOLS, ratios)
        ]
        clean_rows = clean_.get(way, Rows())
        lines.append([way if way == DEFAULT else f"`ntl` {way}", mean_std(clean_rows.per("auroc", "seed")), *texts])
    header = ["detector", "clean", *(f"{protocol}, {percent(ratio)}" for protocol, ratio in product(PROTOCOLS, ratios))]
    return table(header, lines)


def theirs(published: Mapping[str, Mapping[str, float]], way: str, ratio: float) -> str:
    """The published figure in brackets, if there is one."""
    found = published.get(f"{100 * ratio:g}", {}).get(way)
    return "" if found is None else f" ({found:.1f})"


def changes(rows: Rows, ratios: list[float]) -> str:
    """What each exposure adds to blind, and on how many sets it is better."""
    columns = list(product(PROTOCOLS, ratios))
    lines = []
    for way in EXPOSURES[1:]:
        gaps = [gains(rows.where(protocol=protocol, true_ratio=ratio), way) for protocol, ratio in columns]
        texts = [f"{signed(sum(one) / len(one), 1)} ({sum(gap > 0 for gap in one)} of {len(one)})" for one in gaps]
        lines.append([f"`ntl` {way}", *texts])
    return table(["exposure", *(f"{protocol}, {percent(ratio)}" for protocol, ratio in columns)], lines)


def gains(rows: Rows, way: str) -> list[float]:
    """Points of AUROC over blind, one for each set."""
    of_sets = [rows.where(dataset=name) for name in rows.each("dataset")]
    return [100 * (one.where(way=way).mean("auroc") - one.where(way=CLEAN[0]).mean("auroc")) for one in of_sets]


STUDY = Study(
    "mvtec_embeddings",
    "MVTec's embeddings: contamination as published beside the honest one, 0 to 20 %; on the page of embeddings",
    cells=cells,
    measure=measure,
    options={"sets": list(SETS), "ratios": list(RATIOS), "seeds": list(SEEDS)},
)
