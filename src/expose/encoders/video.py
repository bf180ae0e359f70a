"""Frames of a video as places on a grid, by a frozen network; things move about, so all places are judged alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Around, Encoder, State, register_encoder
from expose.encoders.photo import PhotoEncoder
from expose.errors import DataWarning, InputError
from expose.kinds.base import Kind
from expose.kinds.video import Video, as_video

USUAL: Final = "efficientnet-lite0-stage4"
SIDE: Final = 320  # pixels of the shorter side that the network sees: what moves in a video is small
PATCH: Final = 16  # pixels: sides are multiples of it
LONGEST: Final = 2  # times the shorter side
WINDOW: Final = 5  # frames


@register_encoder("video")
class VideoEncoder(Encoder):
    """Encode frames by a frozen network, one by one; scores are means over the frames around each.

    Parameters
    ----------
    network : str or callable
        As `PhotoEncoder` takes it. By default the first four stages of "efficientnet-lite0", with the extra ``images``.
    window : int, optional
        Over how many frames of a clip scores are means. By default what the samples say, else 5.
    side : int
        Height or width, whichever is smaller, to which frames are resized; their shape stays.
    components : int
        Principal components that patches are reduced to, at most.
    precision : {"32", "bf16"}
        As of `PhotoEncoder`.

    Examples
    --------
    >>> frames = np.random.default_rng(0).random((8, 32, 48))
    >>> encoder = VideoEncoder(lambda batch: batch.permute(0, 2, 3, 1)[:, ::16, ::16], side=32).fit(as_video(frames))
    >>> encoder.layout.places, encoder.width
    ((2, 3), 5)
    """

    encodes = "video"
    calls = True

    def __init__(
        self,
        network: str | Callable[..., Any] = USUAL,
        window: int | None = None,
        side: int = SIDE,
        components: int = 100,
        precision: str = "32",
    ) -> None:
        self.network = network
        self.window = window
        self.side = side
        self.components = components
        self.precision = precision
        self.forms: tuple[str, ...] = ("grid",)
        self.notes: list[str] = []

    def __sklearn_clone__(self) -> Self:
        """The same, unfitted; a network is never copied."""
        return type(self)(self.network, self.window, self.side, self.components, self.precision)

    def suited(self, forms: Collection[str]) -> Self:
        """Give what an objective takes that takes parts of these forms."""
        self.forms = tuple(forms)
        return self

    def fit(self, samples: Any) -> Self:
        """Find the principal components of patches, on some frames."""
        video = as_video(samples)
        self._prepare(video)
        self.photo.fit(video.images)
        self._settle()
        return self

    def fit_transform(self, samples: Any) -> NDArray[np.float32]:
        """Fit and encode; frames that components were found from are not described again, if there is room."""
        video = as_video(samples)
        self._prepare(video)
        parts = self.photo.fit_transform(video.images)
        self._settle()
        return parts

    def _prepare(self, video: Video) -> None:
        """Make what describes frames, of the size that fits them."""
        for name, value in (("window", self.window), ("side", self.side)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not (whole and value > 0) and (name, value) != ("window", None):  # type: ignore[operator]
                raise InputError(f"{name} must be a whole number, at least 1; got {value!r}.")
        self.width = int(self.window or video.window or WINDOW)
        size = size_for(*video.clips[0].shape[:2], self.side)
        self.photo = PhotoEncoder(self.network, None, self.components, 1, size, self.precision).suited(self.forms)
        self.photo.noun, self.photo.verbose = "frames", self.verbose
        several = f"the mean over {self.width} frames around it" if self.width > 1 else "its own"
        self.notes = [f"the score of a frame is {several}; --window N says otherwise."]
        self._check_window([len(clip) for clip in video.clips])

    def _check_window(self, lengths: Sequence[int]) -> None:
        """Warn of clips so short that the window of each frame holds them whole."""
        whole = [length for length in lengths if 1 < length <= 1 + (self.width - 1) // 2]
        if whole:
            of = f"{len(whole):,} of {len(lengths):,} clips" if len(lengths) > 1 else "the clip"
            warnings.warn(
                f"the frames of {of} all get one score: each is a mean over {self.width} frames around it, and there "
                f"are no more than {max(whole)}. --window 1, window=1 in Python, judges each by itself.",
                DataWarning,
                stacklevel=2,
            )

    def _settle(self) -> None:
        layout = self.photo.layout
        self.layout = replace(layout, exchangeable=True) if layout.form == "grid" else layout

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode frames, ``(n, D)``."""
        self.photo.verbose = self.verbose
        return self.photo.transform(as_video(samples).images)

    def around(self, samples: Any) -> Around | None:
        """The frames over which the score of each is a mean: those of its clip that are no further than the window."""
        video = as_video(samples)
        if (video.window or self.width) != self.width:
            raise InputError(
                f"scores are means over {self.width} frames, as the model was trained; got window={video.window}. "
                "Leave it out (--window), or train another model."
            )
        if self.width == 1:
            return None
        numbers, first, total = video.numbers, video.starts[video.clip_of], int(video.starts[-1])
        after = video.starts[video.clip_of + 1]
        wanted = numbers[:, None] + np.arange(self.width) - (self.width - 1) // 2  # (n, W)
        there = (wanted >= first[:, None]) & (wanted < after[:, None])
        wanted = np.where(there, wanted, numbers[:, None])
        place = np.full(total, -1)
        place[numbers] = np.arange(len(numbers))
        further = np.unique(wanted[place[wanted] < 0])
        place[further] = len(numbers) + np.arange(len(further))
        return Around(video.at(further), np.where(there, place[wanted], -1))

    def name_places(self, kind: Kind) -> tuple[str, ...]:
        """Of each place the ninth of the frame that it lies in."""
        return kind.name_places(self.layout.places)

    def state(self) -> State:
        """What describes frames, and over how many scores are means."""
        kept = self.photo.state()
        own = {"window": self.width, "shorter": int(self.side), "said": self.notes}
        return State(kept.meta | own, kept.arrays)

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; a network of the user's stands in its place."""
        given = state.meta["network"]
        network = given.network if isinstance(given, cls) else given
        photo = PhotoEncoder.restore(State({**state.meta, "network": network}, state.arrays))
        encoder = cls(network, state.meta["window"], state.meta["shorter"], photo.components, photo.precision)
        encoder.photo, encoder.width, encoder.notes = photo, state.meta["window"], list(state.meta["said"])
        encoder.photo.noun = "frames"
        encoder._settle()
        return encoder


def size_for(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width that a network sees of frames: the smaller is ``side``, the other in proportion.

    Examples
    --------
    >>> size_for(240, 360, 320), size_for(1080, 1920, 320), size_for(100, 900, 320), size_for(20, 20, 8)
    ((320, 480), (320, 576), (320, 640), (16, 16))
    """

    def rounded(length: float) -> int:
        return max(PATCH, round(min(length, LONGEST * side) / PATCH) * PATCH)

    scale = side / min(height, width)
    return rounded(height * scale), rounded(width * scale)
