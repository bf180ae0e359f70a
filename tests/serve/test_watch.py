"""Drift: the service tells when scores are no longer as in training, and when they are again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from expose import AnomalyDetector
from expose.serve.log import Log


def rows(seed: int, count: int, shift: float = 0.0) -> list[dict[str, float]]:
    values = np.random.default_rng(seed).normal(size=(count, 3))
    values[:, 0] += shift
    return [dict(zip("abc", row, strict=True)) for row in values.tolist()]


def gauges(own: Any) -> dict[str, float]:
    lines = [line.split() for line in own.get("/metrics").text.splitlines() if line.startswith("expose_drift_")]
    return {name.removeprefix("expose_drift_"): float(value) for name, value in lines}


def test_a_sensor_that_is_shifted_is_told_at_once_and_no_more_when_it_is_mended(client: Any, tmp_path: Path) -> None:
    training = np.array([[*row.values()] for row in rows(0, 500)])
    AnomalyDetector(random_state=0).fit(training).save(tmp_path / "model")
    file = io.StringIO()
    own = client(tmp_path / "model", log=Log(file))
    assert own.get("/model").json()["drift"]["verdict"] == "too few rows"
    for seed in range(1, 5):
        own.post("/score", json=rows(seed, 100))
    said = own.get("/model").json()["drift"]
    assert (said["verdict"], said["rows"], said["alarm"]["on"]) == ("as in training", 400, False)
    assert said["said"].startswith("none: scores are as in training")
    found = gauges(own)
    assert (found["moved"], found["alarm"], found["rows"]) == (0.0, 0.0, 400.0)
    assert found["distance"] < found["tolerance"]
    for seed in range(5, 9):
        own.post("/score", json=rows(seed, 400, shift=50.0))
    found = gauges(own)
    assert (found["moved"], found["alarm"]) == (1.0, 1.0)
    assert found["distance"] > 0.5
    for seed in range(9, 60):
        own.post("/score", json=rows(seed, 100))
    assert gauges(own)["alarm"] == 0.0
    told = [json.loads(line) for line in file.getvalue().splitlines() if "request" not in line]
    assert [one["event"] for one in told] == ["scores have moved", "scores are as in training again"]
    assert 400 < told[0]["rows"] < 600


def test_another_model_is_watched_anew(client: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        AnomalyDetector(random_state=seed).fit(np.random.default_rng(seed).normal(size=(200, 3))).save(
            tmp_path / f"model{seed}"
        )
    link = tmp_path / "model"
    link.symlink_to(tmp_path / "model0")
    own = client(link)
    service = own.app.state.service
    first = service.models.current
    own.post("/score", json=rows(2, 100, shift=50.0))
    link.unlink()
    link.symlink_to(tmp_path / "model1")
    assert service.models.look()
    assert gauges(own)["rows"] == 0.0
    service.watch.add(first, np.full(100, 1e9))  # an answer of the model before
    assert gauges(own)["rows"] == 0.0
