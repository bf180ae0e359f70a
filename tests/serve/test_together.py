"""Requests side by side: scored together to the same bits, and what is wrong with one is its own affair."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from serving import Made

from expose import AnomalyDetector
from expose.errors import InputError
from expose.serve import Limits
from expose.serve.intake import Sent
from expose.serve.models import Models
from expose.serve.places import Folders
from expose.serve.problems import Problem
from expose.serve.scoring import Answer, Job, Worker


def job(rows: Any, *, reasons: int = 0, seconds: float = 30.0, media: str = "application/json") -> Job:
    import io

    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return Job(Sent(media, io.BytesIO(body)), reasons, time.monotonic() + seconds, lambda answer: b"")


@pytest.fixture
def batches() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def worker(table: Made, tmp_path: Path, batches: list[tuple[int, int]]) -> Worker:
    models = Models(table[0], lambda *facts, **more: None)
    return Worker(
        models, Limits(), Folders(tmp_path), lambda *facts, **more: None, lambda *facts: batches.append(facts)
    )


def at_once(worker: Worker, jobs: list[Job]) -> list[Future[Answer]]:
    """Submit jobs that are all there when the thread looks."""
    held = threading.Event()
    blocker = job([])
    blocker.sent = Held(held)  # type: ignore[assignment]
    futures = [worker.submit(one) for one in [blocker, *jobs]][1:]
    held.set()
    for one in futures:
        one.exception(timeout=30)
    return futures


class Held:
    """What is sent, and keeps the thread until it may go on."""

    media, files, gzipped, charset = "application/json", (), False, None

    def __init__(self, event: threading.Event) -> None:
        self.event, self.body = event, self

    def read(self) -> bytes:
        self.event.wait(20)
        return b"[]"

    def close(self) -> None:
        pass


def records(table: Made, count: int) -> list[dict[str, Any]]:
    frame = pd.read_csv(table[1], sep=";", dtype=str, keep_default_na=False)
    return frame.head(count).to_dict("records")


def test_what_is_scored_together_is_what_each_scores_alone(
    table: Made, worker: Worker, batches: list[tuple[int, int]]
) -> None:
    rows = records(table, 60)
    alone = [worker.submit(job([row])).result(30).table for row in rows]
    batches.clear()
    together = [one.result().table for one in at_once(worker, [job([row]) for row in rows])]
    assert (60, 60) in batches
    assert all(one.equals(other) for one, other in zip(alone, together, strict=True))
    assert len({one["anomaly_score"][0].as_py() for one in together}) > 50
    worker.stop()


def test_one_bad_request_spoils_no_other(table: Made, worker: Worker, batches: list[tuple[int, int]]) -> None:
    good = records(table, 6)
    alone = [worker.submit(job([row])).result(30).table for row in good]
    bad = [
        job(b"{"),
        job([{"account": "a"}]),
        job([good[0] | {"amount": "1e999"}]),
        job([good[0] | {"hour": "noon"}]),
        job([good[0] | {"extra": 1}]),
        job([]),
        job(good[:2], reasons=1),
    ]
    batches.clear()
    futures = at_once(worker, [job([good[0]]), *bad, *(job([row]) for row in good[1:])])
    assert [one.result().table for one in (futures[0], *futures[8:])] == alone
    assert all(one.result().notes == [] for one in (futures[0], *futures[8:]))
    assert [type(one.exception()) for one in futures[1:4]] == [Problem] * 3
    assert "infinite" in str(futures[3].exception())
    assert "held numbers in training" in futures[4].result().notes[0]
    assert futures[5].result().notes == ["ignored 1 column(s) that were not there in training: 'extra'"]
    assert futures[7].result().table.column_names[-2:] == ["reason_1", "reason_1_share"]
    assert max(requests for _, requests in batches) >= 7
    worker.stop()


def test_rows_of_other_columns_are_scored_together_too(table: Made, worker: Worker) -> None:
    rows = records(table, 4)
    turned = [dict(reversed(row.items())) for row in rows]
    futures = at_once(worker, [job([row]) for pair in zip(rows, turned, strict=True) for row in pair])
    scores = [one.result().table["anomaly_score"][0].as_py() for one in futures]
    assert scores[::2] == scores[1::2]
    worker.stop()


def test_no_more_rows_at_once_than_allowed(table: Made, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    models = Models(table[0], lambda *facts, **more: None)
    worker = Worker(models, Limits(together=8), Folders(tmp_path), print, lambda *facts: told.append(facts))
    rows = records(table, 9)
    for future in at_once(worker, [*(job(rows[:3]) for _ in range(5)), job(rows)]):
        assert len(future.result().table) in (3, 9)
    assert sorted(told) == [(3, 1), (6, 2), (6, 2), (9, 1)]
    worker.stop()


def test_a_long_request_lets_short_ones_pass(table: Made, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.explain.reasons.AT_ONCE", 4)
    rows = records(table, 120)
    long = worker.submit(job(rows, reasons=2))
    short = [worker.submit(job([row])) for row in rows[:5]]
    for one in short:
        one.result(30)
    assert not long.done()
    assert long.result(60).table["reason_1"].null_count < 120
    worker.stop()


def test_a_late_request_is_given_up(table: Made, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.explain.reasons.AT_ONCE", 2)
    future = worker.submit(job(records(table, 200), reasons=2, seconds=0.3))
    error = future.exception(30)
    assert isinstance(error, Problem)
    assert error.status == 504
    assert not [path for path in worker.folders.within.rglob("*") if path.is_file()]  # nothing of it is left
    worker.stop()


def test_what_is_no_fault_of_the_data_says_nothing_of_them(
    table: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def log(event: str, **more: Any) -> None:
        told.append(more)

    worker = Worker(Models(table[0], log), Limits(), Folders(tmp_path), log)

    def fails(*given: Any) -> Any:
        raise RuntimeError("secret 4711")

    monkeypatch.setattr(type(worker.models.current.scorer), "decide", fails)
    error = worker.submit(job(records(table, 1))).exception(30)
    assert isinstance(error, Problem)
    assert error.status == 500
    assert "secret" not in error.detail
    assert told[0]["error"] == "RuntimeError"
    assert "secret" not in str(told)
    monkeypatch.undo()
    assert worker.submit(job(records(table, 1))).result(30)
    worker.stop()


def test_texts_and_photos_are_scored_together_to_the_bit(photos: Made, client: Any) -> None:
    own = client(photos[0])
    files = sorted(photos[1].rglob("*.png"))
    whole = own.post("/score", files=[("file", (one.name, one.read_bytes())) for one in files]).json()["rows"]
    with ThreadPoolExecutor(8) as pool:
        single = [*pool.map(lambda one: own.post("/score", files=[("file", (one.name, one.read_bytes()))]), files)]
    found = {one.json()["rows"][0]["file"]: one.json()["rows"][0]["anomaly_score"] for one in single}
    assert found == {row["file"]: row["anomaly_score"] for row in whole}
    text = own.get("/metrics").text
    assert "expose_rows_total 80.0" in text


def test_numbers_survive(client: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 3)) * np.geomspace(1e-9, 1e9, 3)
    AnomalyDetector(random_state=0).fit(rows).save(tmp_path / "model")
    expected = AnomalyDetector.load(tmp_path / "model").anomaly_score(rows)
    said = client(tmp_path / "model").post("/score", json=[dict(zip("abc", row, strict=True)) for row in rows.tolist()])
    assert [row["anomaly_score"] for row in said.json()["rows"]] == expected.tolist()


def test_not_a_number_is_null() -> None:
    import pyarrow as pa

    from expose.serve.answers import as_json

    table = pa.table({"id": [float("nan"), 1.5], "anomaly_score": [float("inf"), 0.1]})
    answer = Answer(table, [], type("Served", (), {"name": "m"})())
    assert json.loads(as_json(answer))["rows"] == [
        {"id": None, "anomaly_score": None},
        {"id": 1.5, "anomaly_score": 0.1},
    ]


def test_data_nobody_could_read_are_no_bug(worker: Worker, table: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> Any:
        raise InputError("of rows.csv nothing can be used")

    monkeypatch.setattr("expose.serve.scoring.check_size", fails)
    error = worker.submit(job(records(table, 1))).exception(30)
    assert isinstance(error, Problem)
    assert (error.status, error.detail) == (422, "of rows.csv nothing can be used")
    worker.stop()
