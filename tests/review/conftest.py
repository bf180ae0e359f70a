"""A desk on a small contaminated table, and a client of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from expose import AnomalyDetector
from expose.kinds import Batch
from expose.review.answers import Answers
from expose.review.desk import Desk

TOKEN = "the-token"
HOST = "127.0.0.1:8000"


def rows(n: int = 120) -> pa.Table:
    """Amounts and shops; the first six rows are far off."""
    random = np.random.default_rng(0)
    amount = random.normal(50, 5, n)
    amount[:6] += 300
    return pa.table({"amount": amount, "hour": random.normal(12, 2, n), "shop": random.choice(["books", "bakery"], n)})


@pytest.fixture(scope="session")
def detector() -> AnomalyDetector:
    return AnomalyDetector(random_state=0).fit(rows())


@pytest.fixture
def desk(detector: AnomalyDetector, tmp_path: Path) -> Desk:
    ids = pa.table({"account": [f"A{row:03}" for row in range(120)]})
    answers = Answers(tmp_path / "answers.csv", 120, {"account": ids["account"].to_pylist()})
    return Desk(detector, Batch(rows(), ids), answers, tmp_path / "learned", due=5, beside={"secret": list(range(120))})


@pytest.fixture
def client(desk: Desk) -> Any:
    testclient = pytest.importorskip("fastapi.testclient", reason="needs the extra web")
    from expose.review.page import app_of

    app = app_of(desk, TOKEN, title="rows.csv", reviewer="Ada", hosts=lambda: {HOST}, command="expose fit rows.csv")
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": f"http://{HOST}"}
    return testclient.TestClient(app, base_url=f"http://{HOST}", headers=headers)
