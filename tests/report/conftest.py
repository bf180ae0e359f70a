"""Detectors that are trained in a moment, with a history, notes and an estimate that tests know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.exposure import ContaminationEstimate
from expose.objectives import Descend


def detector_of(X: Any, *, exposure: str = "soft", members: int = 1, epochs: int = 6) -> AnomalyDetector:
    """A fitted detector that remembers rows, with the history of one that was trained for some epochs."""
    detector = AnomalyDetector(exposure=exposure, contamination=0.02, ensemble_size=members, random_state=0).fit(X)
    fitted = detector.fitted_
    fitted.estimate = ContaminationEstimate(0.02, 0.01, 0.04, "Estimated from a gap; the true share may be larger.")
    fitted.notes = ["42 rows occur twice", "column 'amount' is mostly zero"]
    fitted.history = [epoch(i, exposure == "blind", members) for i in range(epochs)]
    fitted.objective.recipe = Descend()
    return detector


def epoch(i: int, blind: bool, members: int) -> dict[str, Any]:
    settled = None if blind or i < 2 else 1 - 0.5**i
    return {
        "epoch": i + 1, "loss": 3 / (i + 1), "normal": 3 / (i + 1), "abnormal": 8 - 3 / (i + 1), "outliers": None,
        "seconds": 0.1,
        "flipped": None if settled is None else 1 - settled, "overlap": settled, "contamination": 0.02,
        "member_overlap": settled if members > 1 else None,
    }  # fmt: skip


@pytest.fixture
def make_detector() -> Callable[..., AnomalyDetector]:
    return detector_of


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
