"""One cell of a benchmark: a contender on a data set under a protocol, for several seeds.

The rows of results are what this module makes of a cell; `key_of` names all that determines one.
"""

from __future__ import annotations

import ast
import datetime
import hashlib
import json
import sys
import time
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.estimators import AnomalyDetector, fit_together
from expose.evaluation import metrics, protocols
from expose.evaluation.contenders import Contender
from expose.evaluation.datasets import DataSet, load
from expose.evaluation.registry import digest

Row = dict[str, Any]
FILE_ORDER = {"thyroid", "arrhythmia"}  # sets whose normal rows the paper did not shuffle
SOURCE = Path(__file__).parent.parent
ROOMS = ("decide", "exposure", "inputs", "networks", "training")  # all of their code takes part in a fit
FACE = ("detector", "fitting", "scoring", "together")  # and of the estimators these files
JUDGING = ("evaluation/protocols.py", "evaluation/metrics.py", "evaluation/contenders.py", "evaluation/trial.py")


@dataclass(frozen=True)
class Cell:
    """A contender on a data set, with everything but the seed fixed."""

    dataset: str | DataSet
    data: str  # fingerprint
    protocol: str
    true_ratio: float
    assumed: float | str  # a share, "true" (what the protocol reached) or "auto"
    contender: Contender
    seeds: tuple[int, ...]
    train_rows: int | None = None
    test_rows: int | None = None
    data_dir: str | None = None

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.dataset if isinstance(self.dataset, str) else self.dataset.name

    def __str__(self) -> str:
        who = f"{self.contender.detector} {self.contender.exposure} ({self.contender.settings})"
        return f"{who} on {self.name}, {self.protocol} {self.true_ratio:g}, assumed {self.assumed}"


def run_cell(cell: Cell) -> list[Row]:
    """Split, fit, score and measure; one row per seed.

    The seeds of an `AnomalyDetector` are trained as one batched ensemble. No label reaches it.
    """
    data = cell.dataset if isinstance(cell.dataset, DataSet) else cached(cell.dataset, cell.data_dir)
    splits = [split_of(data, cell, seed) for seed in cell.seeds]
    estimators = [make(cell, split, seed) for split, seed in zip(splits, cell.seeds, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        fit_all(estimators, splits)
        fit_seconds = (time.perf_counter() - started) / len(splits)
        measured = [measure(estimator, split) for estimator, split in zip(estimators, splits, strict=True)]
    common = {"fit_seconds": fit_seconds, "seeds_together": len(splits) if together(estimators) else 1}
    return [
        facts(cell, seed, split, estimator) | result | common
        for seed, split, estimator, result in zip(cell.seeds, splits, estimators, measured, strict=True)
    ]


@lru_cache(maxsize=1)
def cached(name: str, data_dir: str | None) -> DataSet:
    """The data set last used: cells come sorted by data set."""
    return load(name, data_dir)


def split_of(data: DataSet, cell: Cell, seed: int) -> protocols.Split:
    """Apply the cell's protocol."""
    caps: dict[str, Any] = {"seed": seed, "train_rows": cell.train_rows, "test_rows": cell.test_rows}
    if cell.protocol == "clean":
        return protocols.clean(data.X, data.y, **caps)
    if cell.protocol == "disjoint":
        return protocols.disjoint(data.X, data.y, ratio=cell.true_ratio, **caps)
    if cell.protocol == "paper":
        return protocols.paper(data.X, data.y, ratio=cell.true_ratio, file_order=data.name in FILE_ORDER, **caps)
    raise InputError(f"protocol must be one of {list(PROTOCOLS)}; got {cell.protocol!r}.")


PROTOCOLS = ("clean", "disjoint", "paper")


def make(cell: Cell, split: protocols.Split, seed: int) -> Any:
    """The unfitted estimator with its seed and what it may assume."""
    estimator = cell.contender.make(cell.name, *split.train_X.shape)
    assumed = split.reached_ratio if cell.assumed == "true" else cell.assumed
    if not isinstance(estimator, AnomalyDetector) and assumed != "auto":  # scikit-learn's detectors refuse 0
        assumed = max(float(assumed), 1 / len(split.train_X))
    chosen: dict[str, Any] = {"random_state": seed}
    if assumed != "auto" or isinstance(estimator, AnomalyDetector):
        chosen["contamination"] = assumed
    names = estimator.get_params(deep=True)
    steps = {name: chosen[name.rpartition("__")[2]] for name in names if name.rpartition("__")[2] in chosen}
    return estimator.set_params(**steps)


def together(estimators: list[Any]) -> bool:
    """Whether these can be trained in one computation."""
    return len(estimators) > 1 and isinstance(estimators[0], AnomalyDetector)


def fit_all(estimators: list[Any], splits: list[protocols.Split]) -> None:
    """Fit each on its own training rows, without labels."""
    if together(estimators):
        fit_together(estimators, [split.train_X for split in splits])
        return
    for estimator, split in zip(estimators, splits, strict=True):
        estimator.fit(split.train_X)


def measure(estimator: Any, split: protocols.Split) -> Row:
    """All metrics of a fitted estimator on the test rows."""
    started = time.perf_counter()
    scores, flagged = judge(estimator, split.test_X)
    seconds = time.perf_counter() - started
    return {
        "auroc": metrics.auroc(split.test_y, scores),
        "average_precision": metrics.average_precision(split.test_y, scores),
        "base_rate": metrics.base_rate(split.test_y),
        "f1_oracle": metrics.f1_at_ratio(split.test_y, scores),
        "f1": metrics.f1_flagged(split.test_y, flagged),
        "fpr": metrics.fpr_flagged(split.test_y, flagged),
        "fpr_at_95": metrics.fpr_at_tpr(split.test_y, scores),
        "score_seconds": seconds,
    }


def judge(estimator: Any, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Anomaly scores and the estimator's own decisions, each ``(n,)``."""
    if isinstance(estimator, AnomalyDetector):
        scores = estimator.anomaly_score(X)
        return scores, scores > estimator.threshold_score()
    scores = -np.asarray(estimator.score_samples(X), dtype=np.float64)
    return scores, np.asarray(estimator.predict(X)) == -1


def facts(cell: Cell, seed: int, split: protocols.Split, estimator: Any) -> Row:
    """What was run."""
    assumed = split.reached_ratio if cell.assumed == "true" else cell.assumed
    if isinstance(estimator, AnomalyDetector):
        assumed = estimator.contamination_  # with "auto" its own estimate
    return {
        "key": key_of(cell, seed),
        "dataset": cell.name,
        "protocol": cell.protocol,
        "true_ratio": float(cell.true_ratio),
        "reached_ratio": split.reached_ratio,
        "assumed": str(cell.assumed),
        "assumed_ratio": None if assumed == "auto" else float(assumed),
        "detector": cell.contender.detector,
        "exposure": cell.contender.exposure,
        "settings": cell.contender.settings,
        "parameters": json.dumps(parameters_of(estimator), default=str, sort_keys=True),
        "seed": int(seed),
        "n_train": len(split.train_y),
        "n_test": len(split.test_y),
        "n_features": split.train_X.shape[1],
        "train_rows": cell.train_rows,
        "test_rows": cell.test_rows,
        "peak_mib": peak_mib(),
        "code": code_of(cell.contender),
        "data": cell.data,
        "versions": json.dumps(versions_of(cell.contender), sort_keys=True),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def parameters_of(estimator: Any) -> Row:
    """The parameters with which it was fitted, an objective of one's own by its hyper-parameters."""
    parameters: Row = estimator.get_params(deep=False)
    objective: Any = parameters.get("objective")
    if hasattr(objective, "hyperparameters"):
        parameters["objective"] = {type(objective).__name__: objective.hyperparameters()}
    return parameters


def peak_mib() -> float | None:
    """The most memory this process has ever held, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# ---------------------------------------------------------------------------------------- what determines a row


def key_of(cell: Cell, seed: int) -> str:
    """A digest of all that determines the row of a seed: data, protocol, contender, code and library versions."""
    who = cell.contender
    parts = [
        [cell.data, cell.protocol, float(cell.true_ratio), cell.assumed, cell.train_rows, cell.test_rows, int(seed)],
        [who.detector, who.exposure, who.settings, who.identity, code_of(who), versions_of(who)],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def fingerprint(data: DataSet) -> str:
    """A digest of the rows and the truth of a data set."""
    return digest(data.X, data.y)[:32]


def code_of(contender: Contender) -> str:
    """A digest of the code that makes a contender's row; comments and docstrings do not count."""
    return digest_of(contender.detector, contender.settings)


@lru_cache
def digest_of(detector: str, settings: str) -> str:
    """The digest for a detector by its name, of its own file among the objectives only."""
    files = list(JUDGING)
    if settings == "standard":
        files.append("evaluation/baselines.py")
    else:
        own = [detector] if (SOURCE / "objectives" / f"{detector}.py").is_file() else objective_files()
        files += [f"objectives/{name}.py" for name in ["base", *own]] + [f"estimators/{name}.py" for name in FACE]
        files += sorted(str(path.relative_to(SOURCE)) for room in ROOMS for path in (SOURCE / room).glob("*.py"))
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + without_docstrings((SOURCE / name).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def objective_files() -> list[str]:
    """The files of all objectives."""
    return sorted(path.stem for path in (SOURCE / "objectives").glob("[a-z]*.py") if path.stem != "base")


def without_docstrings(source: str) -> str:
    """Python code as the interpreter sees it: no comments, no docstrings, no layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and is_text(body[0].value):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def is_text(node: ast.expr) -> bool:
    """Whether an expression is a string constant, as docstrings are."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def versions_of(contender: Contender) -> dict[str, str]:
    """Versions of the libraries that compute a contender's scores."""
    packages = ("scikit-learn", "pyod") if contender.settings == "standard" else ("torch", "scikit-learn")
    return {name: installed(name) for name in ("numpy", *packages)}


@lru_cache
def installed(package: str) -> str:
    """Version of an installed package, or "absent"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
