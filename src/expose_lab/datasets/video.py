"""Clips of one camera with the truth about each frame: UCSD Ped1 and Ped2 (Mahadevan et al., CVPR 2010).

Ped2 comes as two files of encoded frames, or either set from its folder as the authors give it out:
``UCSDped1/Train/Train001/001.tif``, ``UCSDped1/Test/Test001/001.tif``, and ``Test001_gt/001.bmp`` beside it, whose
white pixels are anomalous. Of most clips of Ped1 a file ``Test/UCSDped1.m`` says which frames are.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds.clips import Clip
from expose.kinds.image_files import image_files
from expose.kinds.video import Video

PED2 = "ucsdped2"
RANGES = re.compile(r"TestVideoFile\{end\+1\}\.gt_frame\s*=\s*\[([^\]]*)\]")


@dataclass(frozen=True, eq=False)
class VideoSet:
    """Clips to train on, clips to judge, and which frames of these are anomalous.

    Attributes
    ----------
    name : str
    training, judged : tuple of Clip
    y : tuple of (T,) arrays of int8
        Of each judged clip: 1 for an anomalous frame, 0 for a normal one.
    """

    name: str
    training: tuple[Clip, ...]
    judged: tuple[Clip, ...]
    y: tuple[NDArray[np.int8], ...]

    def every(self, step: int) -> VideoSet:
        """The first of every so many frames."""
        training, judged = (tuple(clip.every(step) for clip in clips) for clips in (self.training, self.judged))
        return VideoSet(self.name, training, judged, tuple(one[::step] for one in self.y))

    @property
    def truth(self) -> NDArray[np.int8]:
        """Which of all judged frames are anomalous, ``(n,)``."""
        return np.concatenate(self.y)

    def video(self, *, judged: bool = False) -> Video:
        """The clips to train on, or those to judge."""
        return Video(self.judged if judged else self.training)


class Encoded(Sequence[NDArray[np.uint8]]):
    """Frames that lie encoded in one array, one after the other; each is decoded when it is asked for."""

    def __init__(self, blob: NDArray[np.uint8], ends: NDArray[np.int64], rows: NDArray[np.intp]) -> None:
        self.blob, self.ends, self.rows = blob, ends, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        """A frame ``(H, W, 1)``, or several of them."""
        if isinstance(row, slice):
            return Encoded(self.blob, self.ends, self.rows[row])
        from PIL import Image

        place = self.rows[row]
        content = self.blob[self.ends[place] : self.ends[place + 1]].tobytes()
        return np.asarray(Image.open(io.BytesIO(content)).convert("L"))[..., None]


def ped2(data: Path) -> VideoSet:
    """UCSD Ped2 from its files of encoded frames below a folder of data."""
    clips, y = {}, ()
    for part in ("train", "test"):
        path = data / "video" / f"{PED2}_{part}.npz"
        if not path.is_file():
            raise InputError(f"there is no video {path}. Give the folder that holds video/{PED2}_{part}.npz.")
        with np.load(path, allow_pickle=False) as file:
            blob, ends, clip, label = (file[name] for name in ("blob", "offset", "clip", "label"))
        rows = [np.flatnonzero(clip == number) for number in np.unique(clip)]
        names = [f"{part.title()}{number:03}" for number in np.unique(clip)]
        clips[part] = tuple(
            Clip(name, Encoded(blob, ends, some), [f"{place + 1:03}" for place in range(len(some))])
            for name, some in zip(names, rows, strict=True)
        )
        y = tuple(label[some].astype(np.int8) for some in rows)
    return VideoSet("UCSD Ped2", clips["train"], clips["test"], y)


def ucsd_folder(folder: Path) -> VideoSet:
    """UCSD Ped1 or Ped2 from the folder of one of them, as the authors give it out.

    Which frames are anomalous is read from the file beside the clips that lists them, else from their masks.
    """
    training, judged = (frames_of(folder, part) for part in ("Train", "Test"))
    lists = "".join(file.read_text() for file in (folder / "Test").glob("UCSD*.m"))
    listed = list(map(numbers_in, RANGES.findall(lists)))
    y = []
    for number, clip in enumerate(judged):
        if len(listed) == len(judged):
            y.append(np.isin(np.arange(1, len(clip) + 1), listed[number]).astype(np.int8))
        else:
            y.append(masked(folder / "Test" / f"{clip.name}_gt", len(clip)))
    return VideoSet(folder.name, training, judged, tuple(y))


def frames_of(folder: Path, part: str) -> tuple[Clip, ...]:
    """The clips of a part: folders called as it is, with a number."""
    places = sorted(place for place in (folder / part).glob(f"{part}[0-9][0-9][0-9]") if place.is_dir())
    if not places:
        raise InputError(
            f"{folder / part} holds no folders {part}001, {part}002 and so on; give the folder of one set."
        )
    found = [(place, image_files(place)) for place in places]
    return tuple(Clip(place.name, files, [file.name for file in files]) for place, files in found)


def numbers_in(text: str) -> list[int]:
    """Numbers of frames as the file of the authors has them, counted from 1.

    >>> numbers_in("60:62, 90"), numbers_in("5:6")
    ([60, 61, 62, 90], [5, 6])
    """
    found: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def masked(folder: Path, count: int) -> NDArray[np.int8]:
    """Which frames have anomalous pixels, by a folder of masks."""
    from PIL import Image

    if not folder.is_dir() or len(files := image_files(folder)) != count:
        raise InputError(f"{folder} does not hold a mask for each of the {count} frames, and no file lists the frames.")
    found = []
    for file in files:
        with Image.open(file) as image:
            found.append(int(np.asarray(image.convert("L")).max() > 0))
    return np.array(found, dtype=np.int8)
