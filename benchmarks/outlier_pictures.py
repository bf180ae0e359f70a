"""Draw what the makers of auxiliary outliers make: of a picture, and of rows along a bent road.

Run ``python benchmarks/outlier_pictures.py`` (a minute on one core). It writes SVG files to ``docs/images``. Needs
the extra ``docs``. The picture is drawn here, of plain shapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from expose.outliers import IMAGE_MAKERS, OutlierGAN, extrapolate_rows, shuffle_columns, uniform_box

mpl.use("svg")
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "expose", "font.size": 10, "font.family": "sans-serif"})

IMAGES = Path(__file__).parent.parent / "docs" / "images"
BLUE, RED = "#2c6fbb", "#d62839"
SIDE = 48


def landscape(sun: tuple[float, float], hill: float) -> NDArray[np.uint8]:
    """A sky, a sun and a hill, (48, 48, 3)."""
    down, right = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    image = np.stack([0.35 + 0.4 * down, 0.6 + 0.25 * down, 0.95 - 0.1 * down], axis=-1)
    image[(down - sun[0]) ** 2 + (right - sun[1]) ** 2 < 0.015] = (1.0, 0.85, 0.2)
    ground = down > hill + 0.15 * np.sin(5 * right + 3 * hill)
    image[ground] = np.stack([0.15 + 0.2 * down, 0.55 - 0.2 * down, 0.2 + 0.1 * right], axis=-1)[ground]
    return np.round(image * 255).astype(np.uint8)


def draw_images() -> None:
    """One panel for each maker."""
    images = np.stack([landscape((0.25, 0.7), 0.65), landscape((0.15, 0.2), 0.5)])
    panels: dict[str, Any] = {"the image": images[0]}
    for name, make in IMAGE_MAKERS.items():
        seed = next(s for s in range(99) if np.random.default_rng(s).permutation(2)[0] == 0)  # of the first image
        panels[name] = make(images, 1, random_state=seed)[0]
    figure, axes = plt.subplots(2, 6, figsize=(9, 3.3), layout="constrained")
    for axis, (name, image) in zip(axes.flat, panels.items(), strict=True):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.axis("off")
    save(figure, "outlier-images.svg")


def draw_tables() -> None:
    """Rows in blue, outliers in red."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 400)
    X = np.column_stack([x, x**2 + 0.2 * rng.normal(size=400)])
    panels = {
        "shuffle_columns": shuffle_columns(X, random_state=0),
        "extrapolate_rows": extrapolate_rows(X, random_state=0),
        "uniform_box": uniform_box(X, random_state=0),
        "OutlierGAN": OutlierGAN(random_state=0).fit(X).sample(random_state=0),
    }
    figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained", sharex=True, sharey=True)
    for axis, (name, made) in zip(axes, panels.items(), strict=True):
        axis.scatter(*X.T, s=4, color=BLUE, linewidths=0, rasterized=True)
        axis.scatter(*made.T, s=4, color=RED, linewidths=0, rasterized=True)
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    save(figure, "outlier-tables.svg")


def save(figure: Any, name: str) -> None:
    figure.savefig(IMAGES / name, metadata={"Date": None}, dpi=160)
    plt.close(figure)


if __name__ == "__main__":
    draw_images()
    draw_tables()
