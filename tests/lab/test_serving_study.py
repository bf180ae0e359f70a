"""The studies of the service: the clients that ask, what they count, and that wrong answers are found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra web")

from expose_lab import study
from expose_lab.bodies import ARROW, JSON, Samples, scores
from expose_lab.http_load import Reply, ask, length_of, request
from expose_lab.pages import Rows
from expose_lab.services import Service, serving
from expose_lab.store import Row, Store
from expose_lab.studies import serving as speed
from expose_lab.studies import serving_endurance, serving_killed
from expose_lab.studies.serving_endurance import Asked, is_right, requests_of, slope

COMMON = {"cell": "", "code": "", "versions": "{}", "finished": "2026-11-30T00:00:00+00:00", "measured_at": None}


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(["expose_lab.plain_service"], tmp_path_factory.mktemp("nothing") / "log") as service:
        yield service


def test_clients_are_answered_over_and_over(nothing: Service) -> None:
    requests = [request("application/json", b"x" * size) for size in (1, 300_000)]
    load = asyncio.run(ask(nothing.port, requests, 3, 0.3))
    assert load.statuses == {200: len(load.latencies)}
    assert len(load.latencies) > 10
    assert load.per_second == pytest.approx(len(load.latencies) / load.seconds)
    assert 0 < load.milliseconds(0.5) <= load.milliseconds(0.99) <= 1e3 * load.seconds
    assert nothing.usage.mib > 1


def test_a_lost_connection_is_an_error_without_patience() -> None:
    with pytest.raises(OSError, match="Connect"):
        asyncio.run(ask(serving_killed.free_port(), [b""], 1, 0.1))


def test_a_reply_without_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without its length"):
        length_of(b"http/1.1 200 ok\r\nserver: x")


def test_the_plain_service_gives_the_scores_of_its_model(tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from expose_lab.plain_service import application

    rows = Samples(np.random.default_rng(0).normal(size=(60, 3)), ("a", "b", "c"))
    trees = speed.forest().fit(rows.values)
    client = TestClient(application(trees, list(rows.names)))
    said = client.post("/score", content=rows.body(JSON, [3, 4]), headers={"Content-Type": JSON}).json()
    assert said["anomaly_score"] == (-trees.score_samples(rows.values[3:5])).tolist()
    assert said["is_anomaly"] == (trees.predict(rows.values[3:5]) < 0).tolist()
    packed = client.post("/arrow", content=rows.body(ARROW, [3, 4]), headers={"Content-Type": ARROW})
    assert scores(packed.content, ARROW) == said["anomaly_score"]


def test_a_wrong_answer_is_found() -> None:
    def reply(score: float, model: str = "m", status: int = 200) -> Reply:
        body = json.dumps({"rows": [{"anomaly_score": score}]}).encode()
        return Reply(status, f"http/1.1 {status} ok\r\nx-model: {model}\r\nx-rows: 1".encode(), body)

    asked, expected = Asked(b"", places=(1,)), {"m": [0.1, 0.2], "n": [0.1, 0.3]}
    assert is_right(asked, reply(0.2), expected)
    assert is_right(asked, reply(0.3, "n"), expected)
    wrong = [
        reply(0.1),
        reply(0.3),
        reply(0.2, "n"),
        reply(0.2, "other"),
        reply(np.nextafter(0.2, 1)),
        reply(0.2, "m", 503),
    ]
    assert not any(is_right(asked, one, expected) for one in wrong)
    assert is_right(Asked(b"", 422), reply(0.1, status=422), expected)
    assert not is_right(Asked(b"", 422), reply(0.1), expected)


def test_one_request_of_a_hundred_is_an_odd_one() -> None:
    own = Samples(np.random.default_rng(0).normal(size=(serving_endurance.ONE, 2)), ("a", "b"))
    usual, odd = requests_of(own)
    assert len(usual) == serving_endurance.ONE
    assert {one.status for one in odd} == {200, 404, 415, 422}


def test_the_slope_of_memory_is_that_of_its_notes() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 400)
    rising = [{"answers": 1000 * k, "mib": 100 + k / 1024 + noise[k]} for k in range(400)]
    flat = [{"answers": 1000 * k, "mib": 100 + noise[k]} for k in range(400)]
    line, low, high = slope(Rows(rising))
    assert low < line < high
    assert line == pytest.approx(1, abs=0.05)
    _, low, high = slope(Rows(flat))
    assert low < 0 < high


def store(path: Path, rows: list[Row]) -> None:
    with Store(path) as there:
        there.add({"key": str(i), **COMMON, **row, "cell": str(i)} for i, row in enumerate(rows))


def turns(service: str, per_second: list[float]) -> list[Row]:
    facts = {
        "dataset": "thyroid",
        "media": JSON,
        "rows": 1,
        "clients": 8,
        "columns": 6,
        "turns": 2,
        "seconds": 1.0,
    }
    own = {"equal": True, "failed": 0, "apart": True, "processors": 2, "load": 1.0, "service": service}
    times = [{"p50_ms": 1e3 / n, "p99_ms": 2e3 / n, "processor_ms": 0.5, "per_second": n} for n in per_second]
    return [facts | own | one | {"turn": turn} for turn, one in enumerate(times)]


def test_the_page_has_the_ratios_of_each_turn(tmp_path: Path) -> None:
    rows = [turns(speed.OURS, [300, 300]), turns(speed.FOREST, [100, 200]), turns(speed.PLAIN, [600, 600])]
    store(tmp_path / "serving.parquet", [row for some in [*rows, turns(speed.NOTHING, [6000, 6000])] for row in some])
    study.main(["serving", "--page", "--results", str(tmp_path), "--docs", str(tmp_path)])
    text = (tmp_path / speed.STUDY.page).read_text(encoding="utf-8")
    assert "| thyroid, 1 row, 8 clients | 2.25 x [1.50, 3.00] (300/s) | 0.50 x [0.33, 0.67] (3.3 ms)" in text
    assert text.count("Not measured yet") == 2
    assert "10 times as many" in text
    killed = {"clients": 4, "kills": 3, "answers": 1000, "repeated": 9, "wrong": 0, "longest_seconds": 5.0}
    store(tmp_path / "serving_killed.parquet", [killed | {"start_seconds": 4.0, "left_behind": 0}])
    notes = [
        {"answers": k, "mib": 400.0 + k % 2, "files": 40, "threads": 5, "seconds": 60.0 * k, "clients": 8, "swaps": 2}
        | {"refused": 3, "given_up": 4, "wrong": 0, "load": 1.0}
        for k in range(1, 101)
    ]
    store(tmp_path / "serving_endurance.parquet", notes)
    study.main(["serving", "--page", "--results", str(tmp_path), "--docs", str(tmp_path)])
    text = (tmp_path / speed.STUDY.page).read_text(encoding="utf-8")
    assert "Not measured" not in text
    assert "**0 answers were wrong**" in text
    assert "No temporary folder was left behind." in text
