"""The picture of the guide for videos: key frames of what is found in made clips, and the scores of the frames.

Three clips of a walkway are drawn, with people who walk across; in one a cart drives through. The default is fitted to
all of them (under a minute). Needs the extra ``images``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.explain.pictures import encoded
from expose.kinds import as_video
from expose.report.keyframes import outlined
from expose_lab.figures.canvas import new_figure
from expose_lab.studies.base import Drawing

HEIGHT, WIDTH, COUNT = 150, 240, 90  # pixels, and frames of a clip
CART: tuple[int, int] = (40, 64)  # frames in which it drives
SHOWN, GAP = 5, 4  # frames beside each other, and pixels between them
DARK = (39, 46, 58)

Pixels = NDArray[np.uint8]


def walkway(seed: int, cart: tuple[int, int] | None = None) -> Pixels:
    """A clip ``(T, H, W, 3)``: people walk along a path, and a cart, perhaps, drives there."""
    rng = np.random.default_rng(seed)
    ground = np.random.default_rng(7).normal(0, 5, (HEIGHT, WIDTH, 1)) + np.array([120.0, 132, 104])
    ground[40:120] = np.random.default_rng(8).normal(0, 4, (80, WIDTH, 1)) + np.array([168.0, 164, 158])
    starts, sides = rng.uniform(0, WIDTH, 9), rng.choice([-1.0, 1.0], 9)
    speeds, tops = rng.uniform(0.9, 1.5, 9), np.sort(rng.uniform(34, 96, 9))
    coats = rng.uniform(40, 130, (9, 3))
    frames = []
    for time in range(COUNT):
        frame = ground + rng.normal(0, 2, (HEIGHT, WIDTH, 1))
        for start, side, speed, top, coat in zip(starts, sides, speeds, tops, coats, strict=True):
            left, high = int((start + side * speed * time) % (WIDTH + 20)) - 10, int(top)
            step = 2 if (time // 4) % 2 else 0
            box(frame, high, left + 2, 5, 5, (205, 170, 145))
            box(frame, high + 5, left, 9, 9, coat)
            box(frame, high + 14, left + 1 - step, 3, 8, DARK)
            box(frame, high + 14, left + 5 + step, 3, 8, DARK)
        if cart is not None and cart[0] <= time < cart[1]:
            left = round((time - cart[0]) / (cart[1] - cart[0]) * (WIDTH + 40)) - 40
            box(frame, 66, left, 40, 8, (232, 228, 220))
            box(frame, 74, left + 4, 32, 12, (150, 176, 196))
            box(frame, 86, left, 40, 10, (64, 92, 160))
            for wheel in (6, 28):
                box(frame, 94, left + wheel, 8, 7, DARK)
        frames.append(frame)
    clip: Pixels = np.clip(np.stack(frames), 0, 255).astype(np.uint8)
    return clip


def box(frame: NDArray[np.float64], top: int, left: int, width: int, height: int, colour: Any) -> None:
    """Fill a rectangle as far as it lies in the frame."""
    frame[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = colour


def clips() -> dict[str, Pixels]:
    """Three clips, of which the second has the cart."""
    return {"monday": walkway(1), "tuesday": walkway(2, CART), "wednesday": walkway(3)}


def draw(results: Path, docs: Path) -> None:
    """Fit, and put key frames of the highest span in a row, the scores below."""
    video = as_video(clips())
    detector = AnomalyDetector(random_state=0, device="cpu").fit(video)
    scorer = detector.scorer()
    span = scorer.spans(video)[0]
    rows = np.linspace(COUNT + int(span["start"]) + 2, COUNT + int(span["end"]) - 2, SHOWN).round().astype(int)
    some = video.take(rows)
    frames = [
        np.pad(outlined(video.images.raw(row), boxes), ((0, 0), (0, GAP), (0, 0)), constant_values=255)
        for row, boxes in zip(rows.tolist(), scorer.boxes(some), strict=True)
    ]
    strip = np.concatenate(frames, axis=1)[:, :-GAP]
    chart = curve(detector.training_scores_, detector.threshold_score(), strip.shape[1])
    (docs / "images" / "video.jpg").write_bytes(encoded(np.concatenate([strip, chart]), quality=85))


def curve(scores: NDArray[np.float64], line: float, width: int) -> Pixels:
    """The scores of all frames as a picture so many pixels wide."""
    figure = new_figure(width / 100, 1.7)
    axis = figure.add_axes((0.05, 0.24, 0.94, 0.68))
    axis.fill_between(
        np.arange(len(scores)), scores.min(), scores, where=scores > line, color="#c04a10", alpha=0.3, lw=0
    )
    axis.plot(scores, color="#1f6fb2", lw=1.2)
    axis.axhline(line, color="#c04a10", ls="--", lw=1)
    for number, name in enumerate(clips()):
        axis.text(number * COUNT + 2, scores.max(), name, va="top", fontsize=8, color="#566071")
        axis.axvline(number * COUNT, color="#e2e0da", lw=0.8)
    axis.set(xlim=(0, len(scores)), xlabel="frame", ylabel="score")
    figure.set_dpi(100)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture: Pixels = np.asarray(canvas.buffer_rgba())[:, :width, :3]
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)


STUDY = Drawing("video_picture", "the picture of key frames and scores, for the guide for videos", draw)
