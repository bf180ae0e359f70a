"""What the makers of auxiliary outliers make: of a picture, and of rows along a bent road; drawn for the guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.outliers import IMAGE_MAKERS, OutlierGAN, extrapolate_rows, shuffle_columns, uniform_box
from expose_lab.figures.canvas import new_figure, svg
from expose_lab.pages import save
from expose_lab.studies.base import Drawing

BLUE, RED, SIDE = "#2c6fbb", "#d62839", 48


def landscape(sun: tuple[float, float], hill: float) -> NDArray[np.uint8]:
    """A sky, a sun and a hill, (48, 48, 3)."""
    down, right = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    image = np.stack([0.35 + 0.4 * down, 0.6 + 0.25 * down, 0.95 - 0.1 * down], axis=-1)
    image[(down - sun[0]) ** 2 + (right - sun[1]) ** 2 < 0.015] = (1.0, 0.85, 0.2)
    ground = down > hill + 0.15 * np.sin(5 * right + 3 * hill)
    image[ground] = np.stack([0.15 + 0.2 * down, 0.55 - 0.2 * down, 0.2 + 0.1 * right], axis=-1)[ground]
    return np.asarray(np.round(image * 255), dtype=np.uint8)


@svg
def images() -> Any:
    """One panel for each maker."""
    pair = np.stack([landscape((0.25, 0.7), 0.65), landscape((0.15, 0.2), 0.5)])
    seed = next(s for s in range(99) if np.random.default_rng(s).permutation(2)[0] == 0)  # of the first image
    panels: dict[str, Any] = {"the image": pair[0]}
    panels |= {name: make(pair, 1, random_state=seed)[0] for name, make in IMAGE_MAKERS.items()}
    figure = new_figure(9, 3.3)
    figure.set_dpi(160)
    for axis, (name, image) in zip(figure.subplots(2, 6).flat, panels.items(), strict=True):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.axis("off")
    return figure


@svg
def tables() -> Any:
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
    figure = new_figure(9, 2.6)
    figure.set_dpi(160)
    for axis, (name, made) in zip(figure.subplots(1, 4, sharex=True, sharey=True), panels.items(), strict=True):
        axis.scatter(*X.T, s=4, color=BLUE, linewidths=0, rasterized=True)
        axis.scatter(*made.T, s=4, color=RED, linewidths=0, rasterized=True)
        axis.set_title(name, fontsize=9)
        axis.set(xticks=[], yticks=[])
    return figure


def draw(results: Path, docs: Path) -> None:
    """Both pictures."""
    save(docs / "images" / "outlier-images.svg", images())
    save(docs / "images" / "outlier-tables.svg", tables())


STUDY = Drawing("outlier_pictures", "what makers of auxiliary outliers make, for the guide", draw)
