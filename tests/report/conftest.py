"""A small stand-in for a fitted detector, so that the pages of unit tests need no training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from expose.inputs.frames import Table, as_table


class FakeEncoder:
    """Numbers as they are (missing: 0), categories by code; one encoded column per input column."""

    def __init__(self, table: Table) -> None:
        self.groups = [(name, slice(i, i + 1)) for i, name in enumerate(table.names)]
        self.n_features_out, self.named = len(self.groups), table.named
        self.notes = [f"column {table.names[0]!r} is mostly zero"]

    def transform(self, table: Table) -> np.ndarray:
        places = [table.names.index(name) if self.named else i for i, (name, _) in enumerate(self.groups)]
        columns = [table.at(place) for place in places]
        numbers = [column if isinstance(column, np.ndarray) else self._codes(column) for column in columns]
        return np.nan_to_num(np.column_stack(numbers)).astype(np.float32)

    @staticmethod
    def _codes(column: Any) -> np.ndarray:
        return column.codes if hasattr(column, "codes") else column.moments.astype(np.int64) / 8.64e10


class FakeDetector:
    """What a report reads of an AnomalyDetector, with an isolation forest inside."""

    def __init__(self, X: Any = None, *, exposure: str = "soft", members: int = 1, epochs: int = 6) -> None:
        self.objective, self.exposure, self.members, self.epochs = "ntl", exposure, members, epochs
        self.exposure_ = exposure
        self.warmup, self.metadata_, self.notes_ = 2, {}, ["42 rows occur twice"]
        if X is not None:
            self._fit(as_table(X))

    def _fit(self, table: Table) -> None:
        self.encoder_ = FakeEncoder(table)
        rows = self.encoder_.transform(table)
        self.forest = IsolationForest(n_estimators=20, max_samples=min(128, len(rows)), random_state=0).fit(rows)
        self.n_features_in_ = table.n_columns
        self.training_scores_ = self._score_encoded(rows)
        order = np.argsort(-self.training_scores_, kind="stable")
        suspects = order[: 0 if self.exposure == "blind" else max(1, len(order) // 50)]
        self.latent_labels_ = np.zeros(len(rows))
        self.latent_labels_[suspects] = 0.5
        self.suspects_ = np.array([(row,) for row in suspects], dtype=[("row", int)])
        self.contamination_ = 0.02
        self.contamination_estimate_ = SimpleNamespace(
            value=0.02,
            low=0.01,
            high=0.04,
            method="Estimated from the gap in the scores; the true share may be larger.",
        )
        self.history_ = [self._epoch(i) for i in range(self.epochs)]

    def _epoch(self, i: int) -> dict[str, Any]:
        settled = None if self.exposure == "blind" or i < self.warmup else 1 - 0.5**i
        return {
            "epoch": i + 1, "loss": 3 / (i + 1), "normal": 3 / (i + 1), "abnormal": 8 - 3 / (i + 1),
            "seconds": 0.1,
            "flipped": None if settled is None else 1 - settled, "overlap": settled, "contamination": 0.02,
            "member_overlap": settled if self.members > 1 else None,
        }  # fmt: skip

    def _score_encoded(self, rows: np.ndarray) -> np.ndarray:
        return -self.forest.score_samples(rows)

    def anomaly_score(self, X: Any) -> np.ndarray:
        return self._score_encoded(self.encoder_.transform(as_table(X)))

    def threshold_score(self) -> float:
        return float(np.quantile(self.training_scores_, 0.98))

    calibration_scores_ = None
    threshold_rule_ = "share: 0.02 of the training rows"

    def disagreement(self, X: Any) -> np.ndarray:
        return np.full(as_table(X).n_rows, 0.125)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {
            "objective": self.objective,
            "exposure": self.exposure,
            "members": self.members,
            "warmup": self.warmup,
        }


@pytest.fixture
def make_detector() -> type[FakeDetector]:
    return FakeDetector


@pytest.fixture
def payments() -> dict[str, Any]:
    """Return 400 rows of mixed columns; row 7 has an absurd amount, row 11 a channel and hour of its own."""
    import pandas as pd

    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(3, 0.5, 400).round(2),
            "hour": rng.normal(13, 3, 400).round(),
            "channel": rng.choice(["web", "shop"], 400),
            "balance": rng.normal(1000, 100, 400),
            "weekend": rng.random(400) < 0.3,
            "day": pd.date_range("2025-01-01", periods=400, freq="h"),
        }
    )
    frame.loc[7, "amount"] = 98765.4
    frame.loc[11, "hour"] = 120.0
    return frame
