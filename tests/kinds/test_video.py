"""Videos: which frames are of which clip and in which order, what is read when, how scores are means and spans."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from expose import AnomalyDetector, load
from expose.encoders import Around, VideoEncoder
from expose.encoders.video import size_for
from expose.errors import DataWarning, InputError, MissingExtraError, SkippedWarning
from expose.kinds import Reading, as_images, as_video, kind_named, kind_of, kind_of_files
from expose.kinds.clips import VideoFile
from expose.kinds.image_files import read_file
from expose.kinds.video import clock

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
KIND = kind_named("video")
ODD = range(20, 29)  # frames of the second clip in which a light box crosses


def patches(frames: torch.Tensor) -> torch.Tensor:
    """A network: mean colours of patches, and how much they vary."""
    mean = torch.nn.functional.avg_pool2d(frames, 8)
    spread = torch.nn.functional.avg_pool2d(frames**2, 8) - mean**2
    return torch.cat([mean[:, :1], spread[:, :1].clamp(min=0).sqrt(), torch.ones_like(mean[:, :1])], 1).permute(
        0, 2, 3, 1
    )


def clip(seed: int, odd: range = range(0), count: int = 40) -> np.ndarray:
    """Grey noise in which two dark boxes move, and a light one in the odd frames."""
    random = np.random.default_rng(seed)
    frames = random.integers(90, 130, (count, 48, 64)).astype(np.uint8)
    for row, frame in enumerate(frames):
        for top, start in ((8, 5), (30, 40)):
            left = (start + row) % 56
            frame[top : top + 8, left : left + 6] = 40
        if row in odd:
            left = 4 + 5 * (row - odd.start)
            frame[18:28, left : left + 12] = 250
    return frames


def clips() -> dict[str, np.ndarray]:
    return {"hall": clip(0), "yard": clip(1, ODD), "gate": clip(2)}


def detector(**given: Any) -> AnomalyDetector:
    return AnomalyDetector(encoder=VideoEncoder(patches, side=48), random_state=0, **given)


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return detector(contamination=0.1).fit(as_video(clips()))


def written(folder: Path, frames: np.ndarray, form: str = "{}.png") -> Path:
    """Frames as files, numbered from 1 without zeros before."""
    folder.mkdir(parents=True)
    for row, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(folder / form.format(row))
    return folder


# ------------------------------------------------------------------------------------------------------- judged


def test_what_crosses_is_one_span_and_the_map_shows_where(fitted: AnomalyDetector) -> None:
    scorer, video = fitted.scorer(), as_video(clips())
    first = scorer.spans(video)[0]
    assert (first["clip"], first["peak_row"] - 40 in ODD) == ("yard", True)
    assert abs(int(first["start"]) - ODD.start) <= 2
    assert abs(int(first["end"]) - (ODD.stop - 1)) <= 2
    frame = video.take([64])
    heat = scorer.maps(frame)[0]
    assert heat.shape == (48, 64)
    top, left = np.unravel_index(heat.argmax(), heat.shape)
    assert 14 <= top <= 31
    assert 20 <= left <= 40
    [[box, *_]] = scorer.boxes(frame)
    assert box[0] <= 30 <= box[2]
    assert box[1] <= 23 <= box[3]
    assert fitted.explain(frame).top(0)[0][0] == "middle"


def test_a_score_is_the_mean_over_the_frames_around_whatever_comes_along(fitted: AnomalyDetector) -> None:
    video, scorer = as_video(clips()), fitted.scorer()
    own = fitted.fitted_.scores(scorer.encode(video))  # of each frame for itself
    expected = own.copy()
    for start in (0, 40, 80):
        for row in range(40):
            expected[start + row] = own[start + max(0, row - 2) : start + min(40, row + 3)].mean()
    np.testing.assert_allclose(scorer.scores(video), expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.training_scores_, expected, rtol=1e-6)
    some = np.array([79, 3, 40, 41, 119])
    np.testing.assert_allclose(scorer.scores(video.take(some)), expected[some], rtol=1e-6)
    single = detector().fit(as_video(clips(), window=1))
    np.testing.assert_allclose(single.training_scores_, single.fitted_.scores(single.scorer().encode(video)), rtol=1e-6)


def test_clips_shorter_than_the_window_and_single_frames_are_judged() -> None:
    video = as_video({"a": clip(0), "b": clip(1)[:1], "c": clip(2)[:3]}, window=9)
    with pytest.warns(DataWarning, match=r"frames of 1 of 3 clips all get one score.*over 9.*no more than 3.*window=1"):
        scores = detector().fit(video).training_scores_
    assert np.isfinite(scores).all()
    assert len(scores) == 44
    assert np.ptp(scores[41:]) < 1e-9  # all three have the same frames around them


def test_another_window_than_in_training_is_refused(fitted: AnomalyDetector) -> None:
    assert len(fitted.anomaly_score(as_video(clip(0)[:3], window=5))) == 3
    with pytest.raises(InputError, match="over 5 frames, as the model was trained; got window=3"):
        fitted.anomaly_score(as_video(clip(0)[:3], window=3))


def test_one_frame_alone_is_too_few() -> None:
    with pytest.raises(InputError, match="at least 2 frames"):
        detector().fit(as_video(clip(0)[:1]))


def test_places_have_moments_in_common(fitted: AnomalyDetector) -> None:
    assert fitted.fitted_.encoder.layout.exchangeable
    assert fitted.objective_.mean.shape[0] == 1
    moved = np.roll(clip(0), 17, axis=2)  # all of it elsewhere: as usual
    usual, odd = (fitted.anomaly_score(as_video(one)) for one in (moved, clip(3, ODD)))
    assert np.median(usual) < fitted.threshold_score() < odd.max()


@pytest.mark.parametrize("objective", ["local-global", "patch-memory", "neighbours"])
def test_other_objectives_take_frames(objective: str) -> None:
    found = detector(contamination=0.1).set_params(objective=objective).fit(as_video(clips()))
    assert set(found.ranking_["row"][:3] - 40) <= {*range(16, 33)}


def test_a_saved_model_scores_the_same(fitted: AnomalyDetector, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model", encoder=patches)
    np.testing.assert_array_equal(again.anomaly_score(as_video(clips())), fitted.training_scores_)
    assert again.fitted_.encoder.width == 5


def test_folds_are_stretches_of_frames() -> None:
    p_values = detector(calibration=4).fit(as_video(clips())).p_value(as_video(clip(5, ODD)))
    assert p_values[ODD.start + 4] < 0.05 < p_values[5]


def test_rows_to_label_and_known_frames() -> None:
    video = as_video(clips())
    labels = np.full(120, -1)
    labels[[62, 64]], labels[5] = 1, 0
    found = detector().fit(video, labels=labels)
    assert found.ranking_["row"][0] - 40 in ODD
    assert len(found.query(video, 3)) == 3


# ------------------------------------------------------------------------------------------------------- Python


def test_what_is_a_video() -> None:
    assert kind_of(as_video(clip(0))) is KIND
    assert kind_of("x.mp4") is KIND
    assert kind_of(clip(0)).name == "image"
    assert len(as_video([clip(0), clip(1)], every=3)) == 28
    assert len(as_video(torch.zeros(4, 3, 8, 9))) == 4
    video = as_video(clips(), every=4)
    assert KIND.measure(video) == "3 clips of 10 frames, 48 pixels high and 64 wide, grey"
    assert KIND.show(video, 11) == {"clip": "yard", "frame": "4"}
    assert KIND.picture(video, 11, 32).shape == (24, 32, 3)
    np.testing.assert_array_equal(KIND.plain(video)[11][..., 0], clips()["yard"][4])
    curve = KIND.curve(video, 11)
    assert (curve.name, curve.rows.tolist(), curve.names) == ("yard", list(range(10, 20)), ())
    assert len(as_video(video)) == len(video)


def test_clips_of_several_places_have_names_of_their_own() -> None:
    one = clip(0)[:1]
    assert [found.name for found in as_video({"x": one, "y": [one, one], 1: one, "1": one}).clips] == [
        "x",
        "y/clip 0",
        "y/clip 1",
        "1",
        "1 (2)",
    ]


def test_a_video_that_was_made_before_is_looked_at_less_often() -> None:
    video = as_video(clip(0), every=2)
    again = as_video(video, every=4, window=3)
    assert (len(again), again.every, again.window) == (5, 8, 3)
    with pytest.raises(InputError, match="whole clips"):
        as_video(video.take([1, 2]), every=2)


def test_the_path_of_a_folder_of_video_files_is_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert kind_of(str(tmp_path)) is KIND
    written(tmp_path / "photos", clip(0)[:1])
    assert kind_of(str(tmp_path)).name == "image"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((0, 8, 8)), "at least one frame"),
        (np.zeros((3, 8)), r"expected frames of shape"),
        ([], "an empty list"),
        (np.zeros((40, 48, 3)), r"a single frame of 3 channel.*np.stack"),  # it was a clip 3 pixels wide
        ([np.zeros((40, 48, 3)), np.zeros((40, 48, 3))], r"np.stack"),
        ([np.zeros((40, 48)), np.zeros((40, 48))], r"arrays of shape \(40, 48\).*np.stack"),
        ({"a": 3}, "expected a video"),
        ("nowhere", "no file or folder 'nowhere'"),
    ],
)
def test_what_is_no_video_is_refused(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_video(given)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": 1.5}, {"window": True}])
def test_numbers_of_frames_are_whole(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="whole number of frames"):
        as_video(clip(0), **wrong)


def test_a_model_of_videos_takes_no_images(fitted: AnomalyDetector) -> None:
    with pytest.raises(InputError, match="as in training; got what looks like images"):
        fitted.anomaly_score(as_images(clip(0)))


def test_the_mean_counts_what_is_there() -> None:
    around = Around(None, np.array([[0, 1, 2], [2, -1, -1]]))
    np.testing.assert_allclose(around.mean(np.array([1.0, 2.0, 6.0])), [3, 6])
    np.testing.assert_allclose(around.mean(np.array([[1.0, 0], [2, 0], [6, 3]])), [[3, 1], [6, 3]])


def test_sizes_keep_the_shape_of_frames() -> None:
    assert size_for(480, 640, 320) == (320, 432)
    assert size_for(640, 480, 320) == (432, 320)
    with pytest.raises(InputError, match="side must be a whole number"):
        VideoEncoder(patches, side=0).fit(as_video(clip(0)))


# ---------------------------------------------------------------------------------------------------- folders


def test_a_folder_of_frames_is_a_clip_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    video = as_video(written(tmp_path / "hall", clip(0)[:12]))
    assert [clip.name for clip in video.clips] == ["hall"]
    assert list(video.clips[0].names) == [f"{row}.png" for row in range(1, 13)]  # 2 before 10
    np.testing.assert_array_equal(video.images.raw(9)[..., 0], clip(0)[9])


def test_each_folder_in_a_folder_is_a_clip(tmp_path: Path) -> None:
    for name, frames in clips().items():
        written(tmp_path / "in" / name, frames[:4])
    batch = KIND.read([str(tmp_path / "in")], Reading(video=True))
    assert [one.name for one in batch.samples.clips] == ["gate", "hall", "yard"]
    assert batch.ids.to_pylist()[5] == {"clip": "hall", "frame": "2.png"}
    assert KIND.settled(Reading(), batch) == Reading(video=True, every=1)
    [later] = KIND.scan([str(tmp_path / "in")], Reading(video=True, every=2))
    assert len(later.samples) == 6


def test_clips_of_one_name_are_called_by_their_places(tmp_path: Path) -> None:
    for place in ("1", "2"):
        written(tmp_path / place / "cam", clip(0)[:1])
    found = as_video([str(tmp_path / "1"), str(tmp_path / "2")])
    assert [one.name for one in found.clips] == [f"{tmp_path.as_posix()}/{place}/cam" for place in ("1", "2")]


def test_frames_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, read = written(tmp_path / "hall", clip(0)[:6]), []
    monkeypatch.setattr("expose.kinds.images.read_file", lambda path, needed: read.append(path.name) or read_file(path))
    video = as_video(folder)
    assert read == []
    VideoEncoder(patches, side=48).fit(video).transform(video.take(slice(2, 3)))
    assert read[-1] == "3.png"
    assert len(read) == 7  # components were found on all of them


def test_frames_of_another_size_are_refused_or_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "hall", clip(0)[:6])
    Image.new("L", (20, 20)).save(folder / "7.png")
    with pytest.raises(InputError, match=r"not all as large as most, 48 x 64 pixels: 1 of 7 .* 20 x 20: '7\.png'"):
        as_video(folder)
    with pytest.warns(SkippedWarning, match="left out"):
        batch = KIND.read([str(folder)], Reading(video=True, skip_bad=True))
    assert len(batch.samples) == 6


def test_a_frame_that_cannot_be_read_is_named_or_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "hall", clip(0)[:6])
    (folder / "3.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3\.png: cannot be read as an image"):
        as_video(folder)
    with pytest.warns(SkippedWarning, match=r"3\.png"):
        batch = KIND.read([str(folder)], Reading(video=True, skip_bad=True))
    assert [batch.samples.named(row)[1] for row in range(5)] == ["1.png", "2.png", "4.png", "5.png", "6.png"]


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds neither frames"):
        as_video(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="expected frames or video files"):
        as_video(tmp_path / "a.txt")


def test_a_folder_of_links_says_so(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "hall").symlink_to(written(tmp_path / "hall", clip(0)[:1]))
    with pytest.raises(InputError, match=r"not followed, as 'hall': name these folders"):
        as_video(str(tmp_path / "links"))


def test_many_frames_are_thinned_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.kinds.video.MOST", 5)
    folder = written(tmp_path / "hall", clip(0)[:12])
    batch = KIND.read([str(folder)], Reading(video=True))
    assert (len(batch.samples), batch.samples.every) == (4, 3)
    assert "of every 3 frames one is looked at, 4 of 12: 5 at most; --every N says otherwise." in batch.notes
    assert KIND.settled(Reading(), batch).every == 3
    assert len(KIND.read([str(folder)], Reading(video=True, every=1)).samples) == 12


def test_what_else_is_said_of_files_must_fit(tmp_path: Path) -> None:
    folder = str(written(tmp_path / "hall", clip(0)[:3]))
    assert kind_of_files([folder]).name == "image"
    assert kind_of_files([folder], Reading(video=True, window=3, every=2)) is KIND
    with pytest.raises(InputError, match="--every goes with --video"):
        kind_of_files([folder], Reading(every=2))
    with pytest.raises(InputError, match="label: videos have no columns"):
        KIND.read([folder], Reading(video=True, label="x"))
    for said in ({"time": "frame"}, {"entity": ("clip",)}, {"text": "x"}):  # these were passed over in silence
        with pytest.raises(InputError, match=f"{next(iter(said))}: videos have no columns"):
            KIND.read([folder], Reading(video=True, **said))
    with pytest.raises(InputError, match="--window takes a number of frames"):
        KIND.read([folder], Reading(video=True, window="5m"))


# ------------------------------------------------------------------------------------------------ video files


def filmed(path: Path, frames: np.ndarray, code: str = "MJPG") -> Path:
    """Frames as a video file of ten a second; the number of each is written in squares at its top."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV reads video files; pip install 'expose[video]'")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, frames.shape[:0:-1])
    for row, frame in enumerate(frames):
        shown = frame.copy()
        for bit in range(6):
            shown[:8, 10 * bit : 10 * bit + 10] = 255 * (row >> bit & 1)
        writer.write(np.repeat(shown[..., None], 3, axis=2))
    writer.release()
    return path


def number_in(frame: np.ndarray) -> int:
    return sum(int(frame[2:6, 10 * bit + 3 : 10 * bit + 7].mean() > 127) << bit for bit in range(6))


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_any_frame_of_a_file_is_the_one_that_was_asked_for(
    tmp_path: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("NEAR", "REMEMBERED"):
        monkeypatch.setattr(f"expose.kinds.clips.{limit}", 4)
    file = VideoFile(filmed(tmp_path / name, clip(0), code))
    assert (len(file), file.rate) == (40, 10.0)
    for row in [0, 1, 39, 3, 2, 20, 38, 39, 0, *np.random.default_rng(0).integers(0, 40, 20).tolist()]:
        assert number_in(file[row]) == row
    assert number_in(pickle.loads(pickle.dumps(file))[7]) == number_in(copy.deepcopy(file)[7]) == 7


def test_a_video_file_is_a_clip_with_times(tmp_path: Path) -> None:
    filmed(tmp_path / "hall.avi", clip(0))
    assert kind_of_files([str(tmp_path)]) is KIND
    batch = KIND.read([str(tmp_path)], Reading(every=4))
    assert batch.ids.to_pylist()[3] == {"clip": "hall.avi", "frame": "12", "time": "0:01.20"}
    assert number_in(batch.samples.images.raw(3)) == 12
    spans = KIND.spans([batch.samples], np.arange(10.0), np.arange(10) > 7)
    assert (spans[0]["from"], spans[0]["to"], spans[0]["frames"]) == ("0:03.20", "0:03.60", 2)


def test_a_truncated_file_is_said_and_one_without_frames_refused(tmp_path: Path) -> None:
    whole = filmed(tmp_path / "whole.avi", clip(0)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(DataWarning, match=r"says that it has 40 frames, and \d+ can be decoded"):
        assert 5 < len(as_video(tmp_path / "cut.avi")) < 40
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be opened as a video"):
        as_video(tmp_path / "empty.mp4")
    with pytest.warns() as told:
        batch = KIND.read([str(tmp_path)], Reading(skip_bad=True))
    assert len(batch.samples.clips) == 2
    [skipped] = [str(one.message) for one in told if isinstance(one.message, SkippedWarning)]
    assert re.search(r"1 file\(s\) cannot be read as videos .*empty\.mp4", skipped)


def test_video_files_are_found_from_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    folder = tmp_path / ".kept" / "films"  # that the place itself is hidden does not count
    (tmp_path / ".kept" / "work").mkdir(parents=True)
    folder.mkdir()
    filmed(folder / "a.avi", clip(0)[:3])
    monkeypatch.chdir(tmp_path / ".kept" / "work")
    assert len(as_video("../films")) == len(as_video(str(folder))) == 3


def test_what_else_lies_beside_video_files_is_said(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    (tmp_path / "films").mkdir()
    filmed(tmp_path / "films" / "a.avi", clip(0)[:3])
    (tmp_path / "films" / "b.flv").touch()
    (tmp_path / "films" / "c").symlink_to(tmp_path)
    with pytest.warns(DataWarning) as said:
        as_video(str(tmp_path / "films"))
    assert [str(one.message).split(": ", 1)[1] for one in said] == [
        "left out 1 file(s) that are no videos: 'b.flv'",
        "left out 1 link(s) to folders: 'c'",
    ]


def test_frames_and_video_files_are_not_mixed(tmp_path: Path) -> None:
    filmed(written(tmp_path / "in", clip(0)[:3]) / "a.avi", clip(0))
    with pytest.raises(InputError, match=r"holds frames and video files, such as a\.avi"):
        as_video(tmp_path / "in")


def test_without_opencv_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'expose[video]'")):
        VideoFile(tmp_path / "a.mp4")


def test_times_are_as_players_show_them() -> None:
    assert [clock(one) for one in (0, 59.999, 60, 3600)] == ["0:00.00", "1:00.00", "1:00.00", "1:00:00.00"]
