"""The service as a whole: who may ask, what it tells, how models are exchanged, how it begins and ends."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from commands import QUICK, command, run_in_process
from serving import Made, fitted

from expose.errors import InputError
from expose.serve import Limits, app
from expose.serve.log import Log
from expose.serve.places import Place
from expose.serve.server import listening

ROW = {"account": "x", "amount": 50.5, "hour": 12, "shop": "books", "when": "01.01.2026"}
TOKEN = "a token of many signs"
Started = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def started() -> Iterator[Started]:
    """Starts services in processes of their own, and ends them."""
    running: list[subprocess.Popen[str]] = []

    def start(model: Path, *options: Any) -> tuple[subprocess.Popen[str], str]:
        line = command("serve", model, "--port", 0, "--json", *options)
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["pid"] == process.pid
        return process, said["url"]

    yield start
    for process in running:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------------------------------------------- who may ask


def test_a_token_is_needed_where_there_is_one(table: Made, client: Any) -> None:
    own = client(table[0], token=TOKEN)
    assert own.get("/health").json() == {"live": True, "ready": True}
    for path in ("/model", "/metrics", "/docs", "/openapi.json", "/nothing"):
        refused = own.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    for wrong in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"):
        assert own.post("/score", json=[ROW], headers={"Authorization": wrong}).status_code == 401
    said = {"Authorization": f"bearer {TOKEN}", "Host": "scores.example.com", "Origin": "https://example.com"}
    assert own.post("/score", json=[ROW], headers=said).status_code == 200


def test_without_a_token_only_this_machine_asks(table: Made, client: Any) -> None:
    own = client(table[0])
    for host in ("localhost", "localhost:8000", "127.0.0.1:1", "[::1]:80"):
        assert own.get("/model", headers={"Host": host}).status_code == 200
    for host in ("example.com", "localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "", "[", "a b"):
        assert own.get("/model", headers={"Host": host}).status_code == 421
    assert own.get("/model", headers={"Origin": "http://localhost:3000"}).status_code == 200
    for origin in ("https://example.com", "null"):
        assert own.post("/score", json=[ROW], headers={"Origin": origin}).status_code == 403
    answer = own.options("/score", headers={"Origin": "http://localhost", "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_others_reach_it_with_a_token_only() -> None:
    with pytest.raises(InputError, match=r"--host 0\.0\.0\.0: others than this machine could ask .* --token-file FILE"):
        listening("0.0.0.0", 0, guarded=False)
    with listening("0.0.0.0", 0, guarded=True) as listener, pytest.raises(InputError, match="cannot listen at"):
        listening("0.0.0.0", listener.getsockname()[1], guarded=True)


@pytest.mark.parametrize("token", ["", "short", "with blanks in the middle", "ümlaut and more signs", "x" * 15])
def test_tokens_that_are_none(table: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    (tmp_path / "token").write_text(token)
    result = run_in_process("serve", table[0], "--port", 0, "--token-file", tmp_path / "token")
    assert result.exit_code == 2
    assert "a token has at least 16 letters, digits and signs" in result.output
    assert not token or token not in result.output
    monkeypatch.setenv("EXPOSE_TOKEN", token)
    assert run_in_process("serve", table[0], "--port", 0).exit_code == 2


# ------------------------------------------------------------------------------------------------- what it tells


def test_the_model_is_described(table: Made, client: Any) -> None:
    said = client(table[0]).get("/model").json()
    assert (said["kind"], said["sample"], said["generation"], said["objective"]) == ("table", "row", 1, "ntl")
    assert [one["name"] for one in said["columns"]] == ["amount", "hour", "shop", "when"]
    assert [one["kind"] for one in said["columns"]] == ["number", "number", "category", "date"]
    assert said["roles"] == {"id": ["account"], "ignored": ["note", "is_fraud"]}
    assert said["answers"] == ["anomaly_score", "is_anomaly", "p_value"]
    assert "application/json" in said["accepts"]
    assert said["training"]["samples"] == said["calibration_samples"] == 240
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", said["training"]["written"])
    assert "training" in said["threshold"]["rule"] or "rows" in said["threshold"]["rule"]
    assert said["checksum"].startswith(said["model"])


def test_it_is_counted_what_is_asked(table: Made, client: Any) -> None:
    own = client(table[0])
    rows = own.post("/score", json=[ROW, ROW | {"amount": "900"}]).json()["rows"]
    own.post("/score", json=[])
    own.get("/wp-admin.php")
    text = own.get("/metrics").text
    assert 'expose_requests_total{method="POST",path="/score",status="200"} 1.0' in text
    assert 'expose_requests_total{method="POST",path="/score",status="422"} 1.0' in text
    assert 'expose_requests_total{method="any",path="other",status="404"} 1.0' in text
    assert "expose_rows_total 2.0" in text
    assert f"expose_flagged_total {sum(row['is_anomaly'] for row in rows):.1f}" in text
    assert 'expose_request_seconds_count{path="/score"} 2.0' in text
    assert "expose_batch_rows_sum 2.0" in text
    assert "expose_model_generation 1.0" in text
    assert "wp-admin" not in text


def test_pages_load_nothing_and_run_nothing(table: Made, client: Any) -> None:
    own = client(table[0])
    page = own.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|src=|url\(|@import|https?://", page.text)
    assert "POST /score" in page.text
    document = own.get("/openapi.json").json()
    assert {*document["paths"]} == {"/score", "/model", "/health", "/metrics", "/openapi.json", "/docs"}
    assert {*document["paths"]["/score"]["post"]["requestBody"]["content"]} == {*own.get("/model").json()["accepts"]}
    assert document["components"]["schemas"]["Row"]["required"] == ["amount", "hour", "shop", "when"]


def test_the_log_tells_of_requests_and_never_of_data(table: Made, client: Any) -> None:
    file = io.StringIO()
    own = client(table[0], token=TOKEN, log=Log(file))
    said = {"Authorization": f"Bearer {TOKEN}", "X-Request-Id": "mine-1"}
    own.post("/score?reasons=1", json=[ROW | {"shop": "secret 4711"}], headers=said)
    own.post("/score", json=[ROW | {"amount": "secret 4711"}] * 30, headers=said | {"X-Request-Id": "a b"})
    own.get("/secret4711?secret=4711", headers={"Authorization": "Bearer secret4711"})
    records = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [one["status"] for one in records] == [200, 422, 401]
    assert [one["path"] for one in records] == ["/score", "/score", "other"]
    assert (records[0]["id"], records[0]["rows"], records[0]["level"]) == ("mine-1", 1, "info")
    assert re.fullmatch(r"[0-9a-f]{32}", records[1]["id"])
    assert "4711" not in file.getvalue()
    assert TOKEN not in file.getvalue()


def test_answers_come_as_is_accepted(table: Made, client: Any) -> None:
    own = client(table[0])
    for accept, media in {
        "text/*": "text/csv",
        "text/html, */*;q=0.1": "application/json",
        "": "application/json",
    }.items():
        assert own.post("/score", json=[ROW], headers={"Accept": accept}).headers["content-type"] == media
    refused = own.post("/score", json=[ROW], headers={"Accept": "text/html, application/json;q=0"})
    assert refused.status_code == 406
    for reasons in ("-1", "11", "x", "1.5"):
        answer = own.post(f"/score?reasons={reasons}", json=[ROW])
        assert answer.status_code == 422
        assert "reasons must be a whole number from 0 to 10" in answer.json()["detail"]
    misspelt = own.post("/score?reason=3", json=[ROW])  # else no reasons would come, without a word
    assert misspelt.status_code == 422
    assert "there is no parameter 'reason'" in misspelt.json()["detail"]
    assert own.post("/score/", json=[ROW]).status_code == 404
    assert own.get("/score").headers["allow"] == "POST"


def test_health_answers_while_scores_are_made(table: Made, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = client(table[0], limits=Limits(waiting=2, seconds=1.0))
    go, began = threading.Event(), threading.Event()
    usual = type(own.app.state.service.models.current.scorer).encoded

    def slow(self: Any, samples: Any) -> Any:
        began.set()
        go.wait(10)
        return usual(self, samples)

    monkeypatch.setattr(type(own.app.state.service.models.current.scorer), "encoded", slow)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(own.post, "/score", json=[ROW])
        assert began.wait(10)
        second = pool.submit(own.post, "/score", json=[ROW])
        started = time.perf_counter()
        assert own.get("/health").json() == {"live": True, "ready": True}
        assert time.perf_counter() - started < 0.5
        while own.app.state.service.worker.unfinished < 2:
            time.sleep(0.01)
        third = own.post("/score", json=[ROW])
        assert third.status_code == 503
        assert third.headers["retry-after"] == "1"
        late = first.result(10), second.result(10)
        assert [one.status_code for one in late] == [504, 504]
        go.set()
    monkeypatch.undo()
    for _ in range(100):
        answer = own.post("/score", json=[ROW])
        if answer.status_code == 200:
            break
        time.sleep(0.05)
    assert answer.status_code == 200


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_allowed(table: Made) -> None:
    service = app(table[0], limits=Limits(seconds=0.2), look_every=None)
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"text/csv"), (b"content-length", b"10")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/score",
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": None,
        "server": None,
    }
    started = time.perf_counter()
    asyncio.run(service(scope, receive, send))
    assert time.perf_counter() - started < 5
    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]
    assert "the body did not come in time" in json.loads(answers[1]["body"])["detail"]
    assert service.state.service.worker.coming == 0
    service.state.service.close()


# ----------------------------------------------------------------------------------------------- another model


@pytest.fixture(scope="module")
def other(table: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same columns."""
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--seed", 7]
    return fitted(tmp_path_factory.mktemp("other"), table[1], *roles, *QUICK)[0]


def put(model: Path, place: Path) -> None:
    """Let a link point at a model, at once."""
    link = place.with_name("next")
    link.symlink_to(model)
    link.replace(place)


def test_another_model_takes_over_and_a_broken_one_does_not(
    table: Made, other: Path, client: Any, tmp_path: Path
) -> None:
    file = io.StringIO()
    put(table[0], tmp_path / "model")
    own = client(tmp_path / "model", log=Log(file))
    models = own.app.state.service.models
    first = own.post("/score", json=[ROW])
    assert not models.look()
    put(other, tmp_path / "model")
    assert models.look()
    second = own.post("/score", json=[ROW])
    assert second.headers["x-model"] != first.headers["x-model"]
    assert "p_value" in first.json()["rows"][0]
    assert "p_value" not in second.json()["rows"][0]
    shutil.copytree(other, tmp_path / "broken")
    weights = next((tmp_path / "broken").glob("weights-*"))
    weights.write_bytes(weights.read_bytes()[:-1])
    description = tmp_path / "broken" / "model.json"
    for content in (description.read_text() + " ", "{}", ""):
        description.write_text(content)
        put(tmp_path / "broken", tmp_path / "model")
        assert not models.look()
        assert not models.look()
        assert own.post("/score", json=[ROW]).json() == second.json()
    (tmp_path / "model").unlink()
    assert not models.look()
    assert own.post("/score", json=[ROW]).json() == second.json()
    put(table[0], tmp_path / "model")
    assert models.look()
    assert own.post("/score", json=[ROW]).json() == first.json()
    records = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [one["generation"] for one in records if one["event"] == "model taken over"] == [2, 3]
    refused = [one["reason"] for one in records if one["event"] == "model refused"]
    assert len(refused) >= 2
    assert len({*refused}) == len(refused)
    assert "expose_model_generation 3.0" in own.get("/metrics").text


def test_models_change_under_load_and_no_answer_is_lost_or_mixed(
    table: Made, other: Path, client: Any, tmp_path: Path
) -> None:
    put(table[0], tmp_path / "model")
    own = client(tmp_path / "model")
    models = own.app.state.service.models
    rows = pd.read_csv(table[1], sep=";", dtype=str, keep_default_na=False).head(5).to_dict("records")
    expected = {}
    for model in (table[0], other):
        put(model, tmp_path / "model")
        models.look()
        answer = own.post("/score", json=rows)
        expected[answer.headers["x-model"]] = answer.json()["rows"]
    assert len(expected) == 2
    stop, answers = threading.Event(), list[Any]()

    def ask() -> None:
        while not stop.is_set():
            answers.append(own.post("/score", json=rows))

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for model in (table[0], other, table[0], other):
            put(model, tmp_path / "model")
            assert models.look()
        stop.set()
        for one in asking:
            one.result(20)
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        assert answer.json()["rows"] == expected[answer.headers["x-model"]]
        assert answer.json()["model"] == answer.headers["x-model"]
    assert {answer.headers["x-model"] for answer in answers} == {*expected}


# ---------------------------------------------------------------------------------------------- begin and end


def test_killed_under_load_it_gives_no_wrong_answer_and_begins_anew(
    table: Made, started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = pd.read_csv(table[1], sep=";", dtype=str, keep_default_na=False).to_dict("records")
    process, url = started(table[0])
    expected = httpx.post(f"{url}/score", json=rows, timeout=20).json()["rows"]
    right, failed, urls = list[Any](), list[Exception](), [url]
    stop = threading.Event()

    def ask(first: int) -> None:
        while not stop.is_set():
            for place in range(first, len(rows), 8):
                try:
                    answer = httpx.post(f"{urls[-1]}/score", json=[rows[place]], timeout=10)
                    right.append((answer.status_code, answer.json()["rows"] == [expected[place]]))
                except httpx.HTTPError as error:
                    failed.append(error)
                    time.sleep(0.05)
                if stop.is_set():
                    return

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, first) for first in range(4)]
        time.sleep(0.7)
        process.kill()
        process.wait(10)
        assert [*tmp_path.glob("expose-serve-*")]
        before = len(right)
        second, again = started(table[0])
        urls.append(again)
        time.sleep(0.7)
        stop.set()
        for one in asking:
            one.result(20)
    assert before > 0
    assert len(right) > before
    assert {*right} == {(200, True)}
    assert failed
    assert len([*tmp_path.glob("expose-serve-*")]) == 1  # what was left is gone
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=20)
    assert second.returncode == 130
    assert not [*tmp_path.glob("expose-serve-*")]


def check_who_goes_away(url: str) -> None:
    """Clients that leave in the midst, or speak no HTTP."""
    host, _, port = url.removeprefix("http://").partition(":")
    head = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n["
    no_http = b"\x16\x03\x01 no HTTP at all\r\n\r\n"
    for body in (head, head[:20], no_http, head.replace(b"90", b"-1"), head.replace(b"90", b"1")):
        with socket.create_connection((host, int(port)), timeout=10) as sent:
            sent.sendall(body)
            sent.settimeout(0.5)
            with suppress(TimeoutError):
                while sent.recv(1000):
                    pass


def check_another_model(process: subprocess.Popen[str], url: str, model: Path, place: Path) -> None:
    """Asked by a signal it looks for another model."""
    before = httpx.get(f"{url}/model").json()
    put(model, place)
    process.send_signal(signal.SIGHUP)
    for _ in range(200):
        after = httpx.get(f"{url}/model").json()
        if after["generation"] == 2:
            break
        time.sleep(0.05)
    assert after["generation"] == 2
    assert after["model"] != before["model"]


def test_asked_to_stop_it_answers_what_has_begun(table: Made, other: Path, started: Started, tmp_path: Path) -> None:
    put(table[0], tmp_path / "model")
    process, url = started(tmp_path / "model", "--look-every", 1_000)
    check_who_goes_away(url)
    check_another_model(process, url, other, tmp_path / "model")
    rows = pd.read_csv(table[1], sep=";", dtype=str, keep_default_na=False).to_dict("records")
    with ThreadPoolExecutor(3) as pool:
        long = [pool.submit(httpx.post, f"{url}/score?reasons=3", json=rows, timeout=30) for _ in range(3)]
        while "expose_waiting_requests 3.0" not in httpx.get(f"{url}/metrics").text:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert [one.result(30).status_code for one in long] == [200] * 3
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out)["requests"] > 3
    records = [json.loads(line) for line in err.splitlines()]
    assert [one["event"] for one in records if one["event"] != "request"] == [
        "started",
        "server",
        "server",
        "model taken over",
        "stopped",
    ]
    scored = [one["status"] for one in records if one.get("path") == "/score"]
    assert scored == [499, 422, 200, 200, 200]
    assert not [one for one in records if one["level"] == "error"]


def test_what_cannot_begin_says_why(table: Made, tmp_path: Path) -> None:
    assert run_in_process("serve", tmp_path / "none", "--port", 0).exit_code == 3
    refused = run_in_process("serve", table[0], "--host", "0.0.0.0")
    assert refused.exit_code == 2
    assert "no token is set" in refused.output
    assert run_in_process("serve", table[0], "--host", "no.such.host.invalid", "--port", 0).exit_code == 2
    assert "rows must be a positive number" in run_in_process("serve", table[0], "--max-rows", 0).output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_in_process("serve", table[0], "--port", port)
    assert refused.exit_code == 2
    said = f"cannot listen at 127.0.0.1:{port}: another program does. Choose another --port, or 0:"
    assert said in " ".join(refused.output.split())
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in {"gone": "No such file", "binary": "it is no text"}.items():
        refused = run_in_process("serve", table[0], "--token-file", tmp_path / name)
        assert refused.exit_code == 2
        assert f"cannot be read: {why}" in " ".join(refused.output.split())
    assert run_in_process("serve", table[0], "--threshold", "nonsense").exit_code == 2


def test_a_private_folder_is_removed_and_those_of_the_living_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = Place(), Place()
    assert len([*tmp_path.iterdir()]) == 2
    assert first.folders.within.parent.stat().st_mode & 0o077 == 0
    first.remove()
    assert len([*tmp_path.iterdir()]) == 1
    second.remove()
    assert not [*tmp_path.iterdir()]


def test_answers_are_not_held_back() -> None:
    """A client that keeps its connection would wait 40 ms for the body of each answer."""
    from expose.serve.server import listening

    with listening("127.0.0.1", 0, False) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted, client:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
