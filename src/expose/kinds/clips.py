"""Clips: frames in order, of folders, of arrays and of video files, each read when it is looked at."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from expose.errors import DataWarning, InputError, MissingExtraError, SkippedWarning
from expose.files.names import listing
from expose.kinds.image_files import (
    check_regular,
    file_head,
    files_in,
    first_in,
    holds_images,
    image_files,
    name_of,
    places_of,
)
from expose.kinds.images import Images

FILES: Final = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv")
NEAR: Final = 250  # frames: to one that is no further ahead a video file is read on, to others it is wound
QUIET: Final = {"OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_LOG_LEVEL": "SILENT"}  # what is wrong, our errors say
REMEMBERED: Final = 48  # frames of a video file: threads ask for them a little out of order

Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames that follow each other.

    Attributes
    ----------
    name : str
    frames : sequence of ndarray (H, W, C) or Path
        Read when they are asked for.
    names : sequence of str
        What each frame is called.
    rate : float or None
        Frames per second, where that is known.
    place : str
        Where it lies, of files: what it is called where another has its name.
    """

    name: str
    frames: Sequence[Pixels | Path] | Pixels
    names: Sequence[str]
    rate: float | None = None
    place: str = ""

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of its frames."""
        first = self.frames[0]
        return file_head(first).shape if isinstance(first, Path) else first.shape

    def take(self, numbers: Sequence[int]) -> Clip:
        """The same with some of its frames."""
        frames = self.frames[numbers] if isinstance(self.frames, np.ndarray) else Some(self.frames, numbers)
        return replace(self, frames=frames, names=Some(self.names, numbers))

    def every(self, step: int) -> Clip:
        """The first of every so many frames."""
        if step == 1:
            return self
        rate = None if self.rate is None else self.rate / step
        return replace(self.take(range(0, len(self), step)), rate=rate)


class Some(Sequence[Any]):
    """Some items of a sequence, by number; none is read before it is asked for.

    >>> list(Some("abcdef", range(0, 6, 2)))
    ['a', 'c', 'e']
    """

    def __init__(self, whole: Sequence[Any], numbers: Sequence[int]) -> None:
        self.whole, self.numbers = whole, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, row: int) -> Any: ...

    @overload
    def __getitem__(self, row: slice) -> Some: ...

    def __getitem__(self, row: int | slice) -> Any:
        """One item, or some of them."""
        return Some(self.whole, self.numbers[row]) if isinstance(row, slice) else self.whole[self.numbers[row]]


class Numbers(Sequence[str]):
    """Names of frames that have none: their numbers from 0."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        """The name of one frame, or of some."""
        found = range(self.total)[row]
        return str(found) if isinstance(found, int) else list(map(str, found))


# ---------------------------------------------------------------------------------------------------------- files


def is_video_file(path: Path) -> bool:
    """Tell by its name whether a file holds a video."""
    return path.suffix.lower() in FILES and not path.name.startswith(".")


def video_files(folder: Path) -> list[Path]:
    """Video files of a folder and its folders, in the order of their names; warn of what else lies there."""
    return sorted(files_in(folder, is_video_file, "videos"), key=in_order)


def in_order(path: Path) -> list[Any]:
    """What files are sorted by, so that frame 2 comes before frame 10.

    >>> sorted(map(Path, ["f10.png", "f2.png"]), key=in_order)[0].name
    'f2.png'
    """
    parts = re.split(r"(\d+)", path.as_posix())
    return [(part, 0) if number % 2 == 0 else ("", int(part)) for number, part in enumerate(parts)] + [(path.name, 0)]


def clips_at(sources: Sequence[str], *, skip_bad: bool = False) -> tuple[Clip, ...]:
    """Clips of folders of frames, of folders of such, of video files, and of patterns.

    Raises
    ------
    InputError
        Where there is none, or what lies there cannot be one.
    """
    if lacking := [source for source in sources if not places_of([source])]:
        raise InputError(
            f"there is no file or folder {lacking[0]!r}; give a folder of frames, of folders of such, or video files."
        )
    places = places_of(sources)
    files = [place for place in places if not place.is_dir()]
    clips = [clip for place in places if place.is_dir() for clip in clips_in(place, skip_bad=skip_bad)]
    if strange := [file for file in files if not (is_video_file(file) or holds_images(file))]:
        raise InputError(
            f"expected frames or video files ({', '.join(FILES)}); got {listing(map(name_of, strange))}. Give a folder "
            "of frames, of folders of such, or video files."
        )
    clips += clips_of_files([file for file in files if is_video_file(file)], None, skip_bad=skip_bad)
    clips += clips_of_frames([file for file in files if holds_images(file)], None, skip_bad=skip_bad)
    return distinct(clips)


def clips_in(folder: Path, *, skip_bad: bool) -> list[Clip]:
    """Clips of a folder: of its video files, or of it and its folders that hold frames."""
    frames = holds_images(folder)
    video = first_in(folder, is_video_file)
    if video and frames:
        raise InputError(
            f"{folder} holds frames and video files, such as {video.name}. Give a folder of one of the two, or a "
            f"quoted pattern that names one: '{folder}/*{video.suffix}'."
        )
    if video:
        return clips_of_files(video_files(folder), folder, skip_bad=skip_bad)
    if not frames:
        links = sorted(one.name for one in folder.iterdir() if one.is_symlink() and one.is_dir())
        followed = f" Links to folders are not followed, as {listing(links)}: name these folders themselves."
        raise InputError(
            f"{folder} holds neither frames, image files such as 001.png, nor video files ({', '.join(FILES)})."
            + (followed if links else "")
        )
    return clips_of_frames(image_files(folder), folder, skip_bad=skip_bad)


def clips_of_frames(files: Iterable[Path], folder: Path | None, *, skip_bad: bool) -> list[Clip]:
    """A clip for each folder in which some of these image files lie, named as in a folder that holds all of them."""
    by_folder: dict[Path, list[Path]] = {}
    for file in sorted(files, key=in_order):
        by_folder.setdefault(file.parent, []).append(file)
    return [frames_alike(called(place, folder), some, skip_bad=skip_bad) for place, some in by_folder.items() if some]


def called(place: Path, folder: Path | None) -> str:
    """What a clip is called that lies in a folder of clips; the folder itself by its own name."""
    if folder is None or place == folder:
        return name_of(Path(place.resolve().name))
    return name_of(place.relative_to(folder))


def frames_alike(name: str, files: list[Path], *, skip_bad: bool) -> Clip:
    """The frames of a folder as a clip, after a look at the head of each: all are of one size.

    Raises
    ------
    InputError
        Where one cannot be read, or has another size; with ``skip_bad`` these are left out instead.
    """
    images = Images(files, tuple(file.name for file in files))
    if skip_bad:
        images = images.readable()
        if not len(images):
            raise InputError(f"none of the {len(files)} frame(s) of the clip {name!r} can be read.")
    sizes = [tuple(shape) for shape in images.shapes[:, :2].tolist()]
    [(usual, _)] = Counter(sizes).most_common(1)
    others = [row for row, size in enumerate(sizes) if size != usual]
    if others:
        odd = listing(images.names[row] for row in others)  # type: ignore[index]
        said = f"frames of the clip {name!r} are not all as large as most, {usual[0]} x {usual[1]} pixels"
        if not skip_bad:
            first = " x ".join(map(str, sizes[others[0]]))
            raise InputError(
                f"{said}: {len(others)} of {len(sizes)} have another size, such as {first}: {odd}. A clip is what one "
                "camera saw; put others into a folder of their own, or leave them out (--skip-bad)."
            )
        warnings.warn(SkippedWarning(f"{said}; {{count}} are left out: {{examples}}", len(others), [odd]), stacklevel=2)
        images = images.take(np.array([row for row, size in enumerate(sizes) if size == usual]))
    return Clip(name, images.pixels, images.names or (), place=name_of(files[0].parent))


def distinct(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """The clips, of which no two have one name: those that had are called by their places, or by a number besides.

    >>> [one.name for one in distinct([Clip("a", [], []), Clip("a (2)", [], []), Clip("a", [], [])])]
    ['a', 'a (2)', 'a (3)']
    >>> [one.name for one in distinct([Clip("a", [], [], place="x/a"), Clip("a", [], [], place="y/a")])]
    ['x/a', 'y/a']
    """
    often = Counter(clip.name for clip in clips)
    wished = [clip.place if often[clip.name] > 1 and clip.place else clip.name for clip in clips]
    taken, found = {*wished}, list[Clip]()
    seen = set[str]()
    for clip, wish in zip(clips, wished, strict=True):
        name = next(one for one in (f"{wish} ({number})" for number in count(2)) if one not in taken)
        name = wish if wish not in seen else name
        seen.add(name)
        taken.add(name)
        found.append(clip if name == clip.name else replace(clip, name=name))
    return tuple(found)


def clips_of_files(files: Sequence[Path], folder: Path | None, *, skip_bad: bool) -> list[Clip]:
    """A clip for each video file, named as in a folder that holds all of them; those that cannot be read are skipped.

    Raises
    ------
    InputError
        Where one cannot be read, and with ``skip_bad`` where none can.
    """
    found: list[Clip] = []
    bad: dict[Path, InputError] = {}
    for file in files:
        try:
            found.append(clip_of_file(file, folder))
        except InputError as error:
            if not skip_bad:
                raise
            bad[file] = error
    if bad and not found:
        raise InputError(f"none of the {len(bad)} video file(s) can be read. The first: {next(iter(bad.values()))}")
    if bad:
        message = "{count} file(s) cannot be read as videos and are left out: {examples}"
        warnings.warn(SkippedWarning(message, len(bad), map(name_of, bad)), stacklevel=2)
    return found


def clip_of_file(file: Path, folder: Path | None = None) -> Clip:
    """A video file as a clip. It is read through once, to know how many frames there are indeed."""
    frames = VideoFile(file)
    name = name_of(file.relative_to(folder) if folder is not None else Path(file.name))
    return Clip(name, frames, Numbers(len(frames)), frames.rate, name_of(file))


def opencv() -> Any:
    """Return the package that reads video files."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "video files need OpenCV: pip install 'expose[video]'. Or give a folder of their frames as images."
        ) from error
    return cv2


@dataclass(eq=False)
class VideoFile(Sequence[Pixels]):
    """Frames of a video file, decoded when they are asked for; those that were last decoded are remembered.

    To ask for them in their order is quick. Others the file is wound to, by the index that it has.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    total : int
        Frames that can be decoded; a damaged or truncated file says it has more.
    rate : float or None
        Frames per second.
    """

    path: Path
    total: int = 0
    rate: float | None = None
    recent: OrderedDict[int, Pixels] = field(default_factory=OrderedDict, repr=False)
    opened: Any = field(default=None, repr=False)  # of OpenCV
    place: int = 0  # the frame that comes next
    lock: Any = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._open()
        cv2 = opencv()
        said, rate = self.opened.get(cv2.CAP_PROP_FRAME_COUNT), self.opened.get(cv2.CAP_PROP_FPS)
        self.rate = float(rate) if 0 < rate < 1_000 else None
        while self.opened.grab():
            self.total += 1
        self._close()
        if not self.total:
            raise InputError(f"{self.path}: no frame of it can be decoded; it is damaged, or holds none.")
        if said > self.total + 1:  # some containers count one more
            message = (
                f"{self.path}: it says that it has {said:,.0f} frames, and {self.total:,} can be decoded; it is "
                "truncated or damaged, and those are used."
            )
            warnings.warn(message, DataWarning, stacklevel=2)

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, row: int) -> Pixels: ...

    @overload
    def __getitem__(self, row: slice) -> list[Pixels]: ...

    def __getitem__(self, row: int | slice) -> Pixels | list[Pixels]:
        """One frame ``(H, W, 3)``, or some."""
        if isinstance(row, slice):
            return [self[one] for one in range(self.total)[row]]
        wanted = range(self.total)[row]
        with self.lock:
            if wanted not in self.recent:
                self._read_to(wanted)
            self.recent.move_to_end(wanted)
            return self.recent[wanted]

    def _read_to(self, wanted: int) -> None:
        """Decode a frame, and remember it and the last ones before it."""
        if self.opened is None or not 0 <= wanted - self.place <= NEAR:
            self._wind(wanted)
        while self.place <= wanted:
            if not self.opened.grab():
                raise InputError(f"{self.path}: frame {self.place:,} can no longer be decoded; did the file change?")
            if wanted - self.place < REMEMBERED:
                _, frame = self.opened.retrieve()
                self.recent[self.place] = frame[..., ::-1]  # OpenCV has blue first
            self.place += 1
        while len(self.recent) > REMEMBERED:
            self.recent.popitem(last=False)
        if self.place == self.total:
            self._close()  # of many files few are open at a time

    def _wind(self, wanted: int) -> None:
        """Go to a frame; where the file is wound to another one, from its begin on."""
        self._close()
        self._open()
        if wanted > NEAR:
            cv2 = opencv()
            self.opened.set(cv2.CAP_PROP_POS_FRAMES, wanted)
            if round(self.opened.get(cv2.CAP_PROP_POS_FRAMES)) == wanted:
                self.place = wanted
                return
            self._close()
            self._open()

    def _open(self) -> None:
        cv2 = opencv()
        check_regular(self.path)
        if not self.path.exists():
            raise InputError(f"{self.path}: there is no such file.")
        self.opened, self.place = cv2.VideoCapture(str(self.path)), 0
        if not self.opened.isOpened():
            self.opened = None
            raise InputError(
                f"{self.path}: it cannot be opened as a video; it is damaged, empty, or of a format that OpenCV does "
                "not read. Convert it, or give a folder of its frames as images."
            )

    def _close(self) -> None:
        if self.opened is not None:
            with suppress(Exception):
                self.opened.release()
        self.opened = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open: a copy opens the file itself."""
        return {**self.__dict__, "opened": None, "lock": None, "recent": OrderedDict()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Take over what was kept."""
        self.__dict__.update(kept, lock=Lock())
