"""The kind "video": frames of clips, in order. Each is judged by its places, in the light of those around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds.base import Batch, Curve, Kind, Reading, kind_named, register_kind
from expose.kinds.clips import Clip, Numbers, clips_at, distinct, is_video_file
from expose.kinds.events import events_of, runs_of
from expose.kinds.heat_maps import HeatMaps
from expose.kinds.image_files import GAP, first_in, holds_images, places_of
from expose.kinds.images import Images, as_images
from expose.kinds.photo_notes import sizes_in_words
from expose.kinds.pixels import channels_last, fitting, resized, with_channels

CLIP: Final = "clip"  # columns that name a frame
FRAME: Final = "frame"
TIME: Final = "time"
AT_ONCE: Final = 256  # frames of a batch
MOST: Final = 10_000  # frames that a training from files looks at, unless somebody said which
CHANNELS: Final = (1, 3, 4)  # of a frame: no clip is so few pixels wide
_IMAGE: Final = "image"


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of one or several clips; the frames are samples, and those around them are kept to look at.

    Made by `as_video`; never changed afterwards.

    Attributes
    ----------
    clips : tuple of Clip
    window : int or None
        Over how many frames a score is a mean; None leaves it to the encoder.
    every : int
        Of so many frames the clips have the first.
    rows : (n,) array of int, or None
        Which of all frames, those of the clips in a row, are samples; None: all.
    """

    clips: tuple[Clip, ...]
    window: int | None = None
    every: int = 1
    rows: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return int(self.starts[-1]) if self.rows is None else len(self.rows)

    def take(self, rows: Any) -> Self:
        """The chosen frames, by number or slice; their surroundings stay."""
        return replace(self, rows=self.numbers[rows])

    def at(self, numbers: NDArray[np.intp]) -> Self:
        """The frames of these numbers among all of the clips."""
        return replace(self, rows=numbers)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """At which number each clip begins, and the number of all frames, (C + 1,)."""
        return np.concatenate([[0], np.cumsum([len(clip) for clip in self.clips])]).astype(np.intp)

    @property
    def numbers(self) -> NDArray[np.intp]:
        """Which of all frames these are, (n,)."""
        return np.arange(self.starts[-1]) if self.rows is None else self.rows

    @cached_property
    def clip_of(self) -> NDArray[np.intp]:
        """The number of the clip that each frame is of, (n,)."""
        found: NDArray[np.intp] = np.searchsorted(self.starts, self.numbers, side="right") - 1
        return found

    @cached_property
    def images(self) -> Images:
        """The frames as images, read when they are asked for."""
        names = map(self.named, range(len(self)))
        return Images(Frames(self), tuple(f"{clip.name}/{name}" for clip, name in names))

    def named(self, row: int) -> tuple[Clip, str]:
        """The clip of a frame, and what it is called in it."""
        clip = self.clips[self.clip_of[row]]
        return clip, clip.names[int(self.numbers[row] - self.starts[self.clip_of[row]])]

    @property
    def shapes(self) -> NDArray[np.int64]:
        """(H, W, C) of each frame, ``(n, 3)``."""
        return np.array([clip.shape for clip in self.clips], dtype=np.int64)[self.clip_of].reshape(-1, 3)

    def seconds(self, row: int) -> float | None:
        """When a frame is seen, from the begin of its clip; None where nobody knows how many there are in a second."""
        clip = self.clips[self.clip_of[row]]
        return None if clip.rate is None else float(self.numbers[row] - self.starts[self.clip_of[row]]) / clip.rate


@dataclass(frozen=True, eq=False)
class Frames(Sequence[Any]):
    """Frames of a video by number, each read when it is asked for."""

    video: Video

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, row: Any) -> Any:
        """One frame: a file, or its pixels."""
        clip = self.video.clip_of[row]
        return self.video.clips[clip].frames[int(self.video.numbers[row] - self.video.starts[clip])]


def as_video(X: Any, *, every: int = 1, window: int | None = None) -> Video:
    """Make `Video` of clips, whose frames estimators then judge in their order.

    Parameters
    ----------
    X : path, array, sequence or mapping
        A video file, or a folder: of frames as image files, of folders of such, one for each clip, or of video files.
        An array is one clip, ``(T, H, W)`` or ``(T, H, W, C)``. A list holds several paths or several such arrays; a
        mapping, too, by the names of the clips. Frames of one clip in a list are stacked before: ``np.stack(frames)``.
    every : int
        Look at the first of every so many frames.
    window : int, optional
        A frame's score is the mean over so many frames around it; 1 takes each for itself. By default 5.

    Returns
    -------
    Video
        Its samples are the frames, in their order.

    Raises
    ------
    InputError
        Where there are no frames, or those of a clip are not of one size.
    MissingExtraError
        Where files need a package that is not installed.

    Examples
    --------
    >>> video = as_video(np.zeros((40, 24, 32), dtype=np.uint8), every=4)
    >>> len(video), video.shapes[0].tolist()
    (10, [24, 32, 1])
    >>> [clip.name for clip in as_video({"hall": np.zeros((9, 8, 8)), "yard": np.zeros((9, 8, 8))}).clips]
    ['hall', 'yard']
    """
    for name, value in (("every", every), ("window", window)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
            raise InputError(f"{name} must be a whole number of frames, at least 1; got {value!r}.")
    if isinstance(X, Video):
        return _again(X, int(every), window)
    clips = distinct(_clips_of(X))
    if not sum(map(len, clips)):
        raise InputError("Found 0 sample(s): a video needs at least one frame.")
    return video_of(clips, int(every), None if window is None else int(window))


def _again(video: Video, every: int, window: int | None) -> Video:
    """A video that was made before, looked at less often or judged over another window."""
    if every > 1 and video.rows is not None:
        raise InputError("every goes with whole clips; these are some frames of them. Make the video again.")
    if every > 1:
        video = Video(tuple(clip.every(every) for clip in video.clips), video.window, video.every * every)
    return video if window is None else replace(video, window=int(window))


def video_of(clips: Sequence[Clip], every: int, window: int | None) -> Video:
    """A video of the first of every so many frames of clips."""
    return Video(tuple(clip.every(every) for clip in clips if len(clip)), window, every)


def _clips_of(X: Any) -> Sequence[Clip]:
    """Clips of whatever holds some."""
    if isinstance(X, str | Path):
        return clips_at([str(X)])
    if isinstance(X, Mapping):
        return [clip for name, one in X.items() for clip in _called(str(name), _clips_of(one))]
    if isinstance(X, list | tuple) and X and all(isinstance(one, str | Path) for one in X):
        return clips_at(list(map(str, X)))
    if isinstance(X, list | tuple) and X and all(len(getattr(one, "shape", ())) in (3, 4) for one in X):
        return [_of_array(one, f"clip {number}") for number, one in enumerate(X)]
    if hasattr(X, "shape"):
        return [_of_array(X, "clip 0")]
    raise InputError(
        "expected a video: the path of a folder of frames or of a video file, an array (T, H, W) or (T, H, W, C), or a "
        f"list of such, one for each clip; got {_in_words(X)}."
    )


def _called(name: str, clips: Sequence[Clip]) -> list[Clip]:
    """Clips of one place by its name; where there are several, by their own in it."""
    several = len(clips) > 1
    return [replace(clip, name=f"{name}/{clip.name}" if several else name) for clip in clips]


def _in_words(X: Any) -> str:
    """What came that is no video."""
    if isinstance(X, list | tuple) and X and all(hasattr(one, "shape") for one in X):
        return f"a list of arrays of shape {tuple(X[0].shape)}. Frames of one clip are stacked: np.stack(frames)"
    return f"{'an empty ' if isinstance(X, list | tuple) and not X else ''}{type(X).__name__}"


def _of_array(X: Any, name: str) -> Clip:
    """The frames of an array as a clip."""
    values = X.detach().cpu().numpy() if hasattr(X, "detach") else np.asarray(X)
    if values.ndim not in (3, 4) or 0 in values.shape[1:]:
        raise InputError(f"expected frames of shape (T, H, W) or (T, H, W, C); got {values.shape}.")
    if values.ndim == 3 and values.shape[2] in CHANNELS:
        raise InputError(
            f"expected a clip, (T, H, W) or (T, H, W, C); got {values.shape}, which is a single frame of "
            f"{values.shape[2]} channel(s). Frames of one clip are stacked: np.stack(frames)."
        )
    values = values[..., None] if values.ndim == 3 else values
    frames = channels_last(values, tensor=hasattr(X, "detach"))
    return Clip(name, frames, Numbers(len(frames)))


@register_kind
class VideoKind(Kind):
    """Frames of clips in their order: folders of image files, of folders of such, and video files."""

    name = "video"
    plural = "videos"
    noun = "frame"
    encoder = "video"
    objective = "gaussian"
    identifies = (CLIP, FRAME)
    numbered = False
    windowed = True
    thinned = True
    alone = False
    advice = "Or take each frame for itself, as an image: without --video."

    def recognises(self, X: Any) -> bool:
        """Whether it was made by `as_video`, or is the path of a video file, or of a folder of such."""
        return isinstance(X, Video) or (isinstance(X, str | Path) and _holds_videos(Path(X)))

    def samples(self, X: Any) -> Video | Images:
        """Make `Video`, see `as_video`; of a list of what `picture` gives images, for maps beside these."""
        return as_images(X) if isinstance(X, list) else as_video(X)

    def plain(self, samples: Any) -> list[NDArray[Any]]:
        """Frames as arrays ``(H, W, C)``."""
        video = as_video(samples)
        return [video.images.raw(row) for row in range(len(video))]

    # --------------------------------------------------------------------------------------------------- files

    def asked_for(self, reading: Reading) -> bool:
        """Whether it was said that files are a video."""
        return bool(reading.video)

    def claims(self, sources: Sequence[str]) -> bool:
        """Whether all of them are video files, or folders that hold some and no images."""
        places = places_of(sources)
        return bool(places) and all(map(_holds_videos, places))

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Find the clips and count their frames; these are read when they are asked for."""
        clips = _clips_at(sources, reading)
        every = reading.every or max(1, -(-sum(map(len, clips)) // MOST))
        video = video_of(clips, every, _window(reading))
        return Batch(video, _ids(video), notes=tuple(_notes(video, clips, reading)))

    def settled(self, reading: Reading, batch: Batch) -> Reading:
        """With every how many frames one was looked at."""
        return replace(reading, video=True, every=batch.samples.every)

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Give the frames in order, some at a time."""
        video = video_of(_clips_at(sources, reading), reading.every or 1, _window(reading))
        return (
            Batch(some, _ids(some))
            for some in (video.take(slice(start, start + AT_ONCE)) for start in range(0, len(video), AT_ONCE))
        )

    # ------------------------------------------------------------------------------------------ parts and people

    def put_back(
        self, samples: Any, scores: NDArray[np.float64], places: tuple[int, ...] = ()
    ) -> Sequence[NDArray[np.float64]]:
        """Heat maps of the size of each frame, ``(H, W)``, made when they are looked at."""
        return HeatMaps(samples, scores, places)

    def name_places(self, places: tuple[int, ...]) -> tuple[str, ...]:
        """Of each place the ninth of the frame that it lies in."""
        return kind_named(_IMAGE).name_places(places)

    def picture(self, samples: Any, row: int, longest: int | None = None) -> NDArray[np.uint8]:
        """The frame in colour, ``(H, W, 3)``."""
        video = as_video(samples)
        height, width, _ = video.shapes[row].tolist()
        size = fitting(height, width, longest)
        needed = (-(-size[0] // GAP), -(-size[1] // GAP))
        pixels = (255 * resized(with_channels(video.images.at(row, needed), 3), *size)[0]).round()
        shown: NDArray[np.uint8] = pixels.astype(np.uint8)
        return shown

    def folds(self, samples: Any, shuffled: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
        """Parts of frames that follow each other: neighbours show nearly the same."""
        return [np.sort(part) for part in np.array_split(np.argsort(as_video(samples).numbers), count)]

    def measure(self, samples: Any) -> str:
        """How many clips there are, how long, and how large frames are."""
        video = as_video(samples)
        lengths = [len(clip) for clip in video.clips]
        long = f"{lengths[0]:,}" if len({*lengths}) == 1 else f"{min(lengths):,} to {max(lengths):,}"
        several = f"{len(lengths):,} clips of {long} frames, " if len(lengths) > 1 else ""
        return several + sizes_in_words(np.array([clip.shape for clip in video.clips]))

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """Clip, frame, and when it is seen where that is known."""
        video = as_video(samples)
        clip, name = video.named(row)
        seconds = video.seconds(row)
        return {CLIP: clip.name, FRAME: name} | ({} if seconds is None else {TIME: clock(seconds)})

    def curve(self, samples: Any, row: int) -> Curve:
        """The frames of one clip; there are no channels."""
        video = as_video(samples)
        clip = video.clip_of[row]
        rows = np.flatnonzero(video.clip_of == clip)
        rows = rows[np.argsort(video.numbers[rows])]
        at = (video.numbers[rows] - video.starts[clip]).astype(np.float64)
        rate = video.clips[clip].rate
        return Curve(
            video.clips[clip].name, rows, at if rate is None else (at / rate).round(3), (), np.zeros((len(rows), 0))
        )

    def events(
        self, samples: Sequence[Any], scores: NDArray[np.float64], line: float = -np.inf
    ) -> list[NDArray[np.intp]]:
        """Frames of each event: runs of those above a line with no more than ten others between; peaks without one."""
        whole = _all_of(samples)
        if np.isfinite(line):
            found = runs_of(whole.numbers, whole.clip_of, scores > line)
            return sorted(found, key=lambda run: -scores[run].max())
        order = np.argsort(whole.numbers, kind="stable")
        ends = np.flatnonzero(np.diff(whole.clip_of[order], append=-1)) + 1
        return [order[event.first : event.last + 1] for event in events_of(scores[order], ends)]

    def spans(
        self, samples: Sequence[Any], scores: NDArray[np.float64], flagged: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Spans of flagged frames, the highest first: clip, start, end, how many, the peak, its row and score."""
        whole = _all_of(samples)
        found = [_span(whole, some, scores) for some in runs_of(whole.numbers, whole.clip_of, flagged)]
        return sorted(found, key=lambda span: -span["peak_score"])


def _all_of(samples: Sequence[Any]) -> Video:
    """Frames that come some at a time, together."""
    given = [as_video(one) for one in samples]
    return given[0].at(np.concatenate([one.numbers for one in given]))


def _span(video: Video, some: NDArray[np.intp], scores: NDArray[np.float64]) -> dict[str, Any]:
    """A span of the frames of these rows, which follow each other."""
    peak = int(some[scores[some].argmax()])
    first, last, most = (video.named(row) for row in (int(some[0]), int(some[-1]), peak))
    times = video.seconds(int(some[0])), video.seconds(int(some[-1]))
    timed = {} if times[0] is None or times[1] is None else {"from": clock(times[0]), "to": clock(times[1])}
    ends = {CLIP: first[0].name, "start": first[1], "end": last[1], **timed}
    return {**ends, "frames": len(some), "peak": most[1], "peak_row": peak, "peak_score": float(scores[peak])}


def clock(seconds: float) -> str:
    """A time from the begin of a clip, as players show it.

    >>> clock(3_723.5), clock(4.25)
    ('1:02:03.50', '0:04.25')
    """
    hundredths = round(100 * seconds)
    minutes, rest = divmod(hundredths, 6_000)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{before}:{rest // 100:02}.{rest % 100:02}"


# ---------------------------------------------------------------------------------------------------------- files


def _holds_videos(place: Path) -> bool:
    """Whether a place is a video file, or a folder that holds some and no images."""
    if place.is_dir():
        return not holds_images(place) and first_in(place, is_video_file) is not None
    return is_video_file(place)


def _clips_at(sources: Sequence[str], reading: Reading) -> tuple[Clip, ...]:
    """Clips of files, after a look at what else was said of them."""
    roles = ("ignore", "label", "time", "entity", "session", "text", "views", "photo")
    given = {"id": set(reading.id) - {CLIP, FRAME, TIME}} | {role: getattr(reading, role) for role in roles}
    if named := [role for role, columns in given.items() if columns]:
        raise InputError(f"{' and '.join(named)}: videos have no columns; clips and frames name them. Leave it out.")
    return clips_at(sources, skip_bad=reading.skip_bad)


def _window(reading: Reading) -> int | None:
    if isinstance(reading.window, str):
        raise InputError(f"--window takes a number of frames where files are a video; got {reading.window!r}.")
    return reading.window


def _ids(video: Video) -> pa.Table:
    """What names frames: clip, frame, and when they are seen, where that is known of all."""
    names = [video.named(row) for row in range(len(video))]
    columns = {CLIP: [clip.name for clip, _ in names], FRAME: [name for _, name in names]}
    if all(clip.rate is not None for clip in video.clips):
        columns[TIME] = [clock(video.seconds(row) or 0.0) for row in range(len(video))]
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _notes(video: Video, clips: Sequence[Clip], reading: Reading) -> Iterator[str]:
    """What a person should know of how frames were found."""
    total = sum(map(len, clips))
    if video.every > 1:
        why = "as was asked for" if reading.every else f"{MOST:,} at most; --every N says otherwise"
        yield f"of every {video.every} frames one is looked at, {len(video):,} of {total:,}: {why}."
    sizes = {clip.shape[:2] for clip in clips}
    if len(sizes) > 1:
        yield f"clips have {len(sizes)} different sizes; all are brought to that of the first."
    if short := sum(len(clip) == 1 for clip in video.clips):
        yield f"{short:,} clip(s) are a single frame, which is judged by itself."
