"""Small data sets with planted anomalies, and a cell of a benchmark on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from commands import Run, run_in_process
from sklearn.ensemble import IsolationForest

from expose_lab import DataSet
from expose_lab.contenders import Contender, own
from expose_lab.grid import Cell, fingerprint

MakeToy = Callable[..., DataSet]
MakeCell = Callable[..., Cell]


def planted(name: str = "toy", seed: int = 0, normal: int = 160, anomalies: int = 40) -> DataSet:
    """A cloud, and anomalies around a point outside of it."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(size=(normal, 4)), rng.normal(size=(anomalies, 4)) + 3]).astype(np.float32)
    return DataSet(name, rows, np.repeat(np.array([0, 1], np.int8), [normal, anomalies]), ("a", "b", "c", "d"))


@pytest.fixture
def make_toy() -> MakeToy:
    return planted


@pytest.fixture
def toy() -> DataSet:
    return planted()


@pytest.fixture
def forest() -> IsolationForest:
    return IsolationForest(n_estimators=10)


@pytest.fixture
def make_cell(toy: DataSet, forest: IsolationForest) -> MakeCell:
    def make(estimator: Any = None, **changes: Any) -> Cell:
        dataset = changes.pop("dataset", toy)
        who = changes.pop("contender", None) or own({"it": forest if estimator is None else estimator})[0]
        assert isinstance(who, Contender)
        given = {"protocol": "disjoint", "true_ratio": 0.1, "assumed": "true", "seeds": (0, 1)} | changes
        return Cell(dataset, fingerprint(dataset), contender=who, **given)

    return make


@pytest.fixture
def run() -> Run:
    """Run a command of ``expose``."""
    return run_in_process
