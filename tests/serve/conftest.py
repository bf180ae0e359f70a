"""Models of each kind, and their service in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, transactions
from serving import FAST, Made, fitted

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("prometheus_client", reason="needs the extra web")
from fastapi.testclient import TestClient

from expose.serve import app


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Transactions, calibrated, in a file of decimal commas."""
    folder = tmp_path_factory.mktemp("table")
    frame = transactions().assign(when=pd.date_range("2026-01-01", periods=240, freq="h").strftime("%d.%m.%Y"))
    frame.to_csv(folder / "rows.csv", index=False, sep=";", decimal=",")
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--calibration", "4"]
    return fitted(folder, folder / "rows.csv", *roles, *QUICK)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pillow = pytest.importorskip("PIL.Image", reason="needs the extra images")
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for row in range(40):
        place = folder / "photos" / ("left" if row % 2 else "right")
        place.mkdir(parents=True, exist_ok=True)
        values = random.integers(60, 200, (16, 16), dtype=np.uint8)
        pillow.fromarray(values).save(place / f"{row:02}.png")
    return fitted(folder, folder / "photos", *FAST)


Client = Callable[..., TestClient]


@pytest.fixture
def client() -> Iterator[Client]:
    """Makes clients of the service of a model, which are closed at the end."""
    with ExitStack() as stack:

        def of(model: Path, **given: Any) -> TestClient:
            made = TestClient(app(model, look_every=None, **given), base_url="http://127.0.0.1")
            return stack.enter_context(made)

        yield of
