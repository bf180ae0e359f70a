"""Data without rows or columns: refused by training in words, scored as nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from expose import AnomalyDetector
from expose.errors import InputError

EMPTY: dict[str, Any] = {
    "pandas": pd.DataFrame(),
    "pandas without rows": pd.DataFrame({"a": [], "b": []}),
    "pandas without columns": pd.DataFrame(index=range(5)),
    "polars": pl.DataFrame(),
    "polars without rows": pl.DataFrame({"a": [], "b": []}),
    "arrow": pa.table({}),
    "array": np.empty((0, 0)),
    "array without rows": np.empty((0, 2)),
    "array without columns": np.empty((5, 0)),
    "axis": np.empty(0),
    "list": [],
    "lists": [[], []],
    "images": np.empty((0, 8, 8)),
    "images without pixels": np.empty((5, 8, 0, 3)),
    "series": pd.Series([], dtype=float),
    "dict": {},
}


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    return AnomalyDetector(random_state=0).fit(table)


@pytest.mark.parametrize("name", EMPTY)
def test_there_is_nothing_to_learn_from(name: str) -> None:
    with pytest.raises(ValueError) as said:  # noqa: PT011  # its message is scikit-learn's where that prescribes it
        AnomalyDetector(random_state=0).fit(EMPTY[name])
    assert isinstance(said.value, InputError) or "minimum of" in str(said.value)


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_is_scored_as_nothing_and_the_rest_refused(name: str, detector: AnomalyDetector) -> None:
    if name in ("pandas without rows", "polars without rows", "array without rows"):
        assert detector.score_samples(EMPTY[name]).shape == (0,)
        return
    with pytest.raises(ValueError, match=r"."):
        detector.score_samples(EMPTY[name])
