"""What each objective and each exposure learns on two-dimensional toys, drawn for the guide (some five minutes).

- *map*, for the objectives: a row is a place on a map, and its eight columns are the distances to eight
  beacons around it. Normal places lie along a bent road; 5 % of the rows are two planted clusters beside it.
- *cloud*, for the exposures: that of Qiu et al. 2022, 90 normal rows in one cloud and twice 5 anomalies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import make_objective
from expose_lab.figures.canvas import new_figure, svg
from expose_lab.metrics import auroc
from expose_lab.pages import save, table
from expose_lab.studies.base import Drawing

TOLD = ("hsc", "bce", "deep_sad")  # objectives that are shown with auxiliary outliers
SHOWN = ("neighbours", "ntl", "icl", "svdd", "autoencoder", *TOLD, "flow")
BLUE, RED, LINE = "#2c6fbb", "#d62839", "#1b1b1b"
PANELS = {"Blind": "blind", "Refine": "refine", "LOE_H (hard)": "hard", "LOE_S (soft)": "soft", "truth known": ""}
Rows = NDArray[np.float64]
Truth = NDArray[np.int64]


class Panel(NamedTuple):
    """A fitted detector, the places it was trained on, the truth about them, and what it sees of a place."""

    title: str
    detector: AnomalyDetector
    places: Rows
    y: Truth
    columns: Callable[[Rows], Rows]


def road(seed: int = 0, normal: int = 950, planted: int = 50) -> tuple[Rows, Truth]:
    """Places along a bent road, and two planted clusters beside it: ``(n, 2)`` and ``(n,)``."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, normal)
    places = np.stack([x, 0.6 * x**2 - 1 + 0.15 * rng.standard_normal(normal)], axis=1)
    centres = np.repeat([[0.0, 1.2], [1.6, -1.0]], planted // 2, axis=0)
    clusters = centres + 0.25 * rng.standard_normal((planted, 2))
    return np.concatenate([places, clusters]), np.repeat([0, 1], [normal, planted])


def distances(places: Rows) -> Rows:
    """Distance of each place to eight beacons on a circle: ``(n, 2) -> (n, 8)``."""
    angle = np.arange(8) * np.pi / 4
    beacons = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(np.linalg.norm(places[:, None] - beacons, axis=-1))


def itself(places: Rows) -> Rows:
    """The place."""
    return places


def anywhere(places: Rows, count: int = 100, seed: int = 1) -> Rows:
    """Places all over the map, as auxiliary outliers of the road: ``(count, 2)``."""
    return np.random.default_rng(seed).uniform(places.min(0) - 0.6, places.max(0) + 0.6, (count, 2))


def cloud(seed: int = 1234) -> tuple[Rows, Truth]:
    """The toy of Qiu et al. 2022: ``(100, 2)`` and ``(100,)``."""
    rng = np.random.default_rng(seed)
    parts = [((1, 1), 0.07, 90), ((-0.25, 2.5), 0.03, 5), ((-1, 0.5), 0.03, 5)]
    rows = [rng.normal(mean, variance**0.5, (count, 2)) for mean, variance, count in parts]
    return np.concatenate(rows), np.repeat([0, 1], [90, 10])


def on_cloud(title: str, exposure: str, labels: Truth | None) -> Panel:
    """One exposure on the cloud; with the default scaling `soft` stays near chance."""
    rows, y = cloud()
    objective = make_objective("svdd", epochs=400, batch_size=25)
    told: dict[str, Any] = {"encoder": "robust", "contamination": 0.1, "ensemble_size": 5, "random_state": 0}
    detector = AnomalyDetector(objective, exposure=exposure, **told).fit(rows, labels=labels)
    return Panel(f"{title}: AUROC {auroc(y, detector.anomaly_score(rows)):.2f}", detector, rows, y, itself)


def landscape(axis: Any, panel: Panel) -> None:
    """Shade each point by the share of training rows that score lower; draw the threshold and the rows."""
    low, high = panel.places.min(0) - 0.6, panel.places.max(0) + 0.6
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 120).T), axis=-1)  # (120, 120, 2)
    scores = panel.detector.anomaly_score(panel.columns(grid.reshape(-1, 2))).reshape(grid.shape[:2])
    training, x, y = np.sort(panel.detector.training_scores_), grid[..., 0], grid[..., 1]
    ranks = np.searchsorted(training, scores) / len(training)
    axis.contourf(x, y, ranks, np.linspace(0, 1, 11), cmap="Greys", vmin=0, vmax=1.6, zorder=0)
    axis.contour(x, y, scores, [panel.detector.threshold_score()], colors=LINE, linewidths=1.2, zorder=2)
    axis.scatter(*panel.places[panel.y == 0].T, s=4, color=BLUE, linewidths=0, zorder=1)
    axis.scatter(*panel.places[panel.y == 1].T, s=14, color=RED, marker="x", linewidths=1.2, zorder=3)
    axis.set_rasterization_zorder(2)  # shading and dots as one small bitmap
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
    axis.set_title(panel.title, fontsize=9)


@svg
def picture(panels: list[Panel], width: float, height: float) -> Any:
    """Panels side by side."""
    figure = new_figure(width, height)
    figure.set_dpi(150)
    figure.subplots_adjust(wspace=0.06)
    for axis, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        landscape(axis, panel)
    return figure


def objective_on_map(name: str) -> tuple[list[Panel], dict[str, float]]:
    """One objective from clean and from contaminated rows, and the AUROC of each exposure."""
    places, y = road()
    rows, outliers = distances(places), distances(anywhere(places)) if name in TOLD else None
    objective = make_objective(name) if name == "neighbours" else make_objective(name, epochs=100)
    panels, reached = [], {}
    for exposure in ("clean", "blind", "refine", "hard", "soft"):
        kept = y == 0 if exposure == "clean" else y >= 0
        told: dict[str, Any] = {"contamination": 0.05, "ensemble_size": 3, "random_state": 0}
        detector = AnomalyDetector(objective, exposure="blind" if exposure == "clean" else exposure, **told)
        reached[exposure] = auroc(y, detector.fit(rows[kept], outliers=outliers).anomaly_score(rows))
        if exposure in ("clean", "blind"):
            how = "trained on clean rows" if exposure == "clean" else "trained blindly on all rows"
            how += "" if outliers is None else " and outliers"
            title = f"{name}, {how}: AUROC {reached[exposure]:.3f}"
            panels.append(Panel(title, detector, places[kept], y[kept], distances))
    return panels, reached


def draw(results: Path, docs: Path) -> None:
    """All pictures, and a table of every objective with every exposure."""
    truth = cloud()[1]
    panels = [on_cloud(name, rule or "soft", None if rule else truth) for name, rule in PANELS.items()]
    save(docs / "images" / "exposures.svg", picture(panels, 15, 3.2))
    known = on_cloud("all labels known", "soft", truth)
    for panel, rule in zip(panels, filter(None, PANELS.values()), strict=False):
        shown = panel._replace(title=f'exposure="{rule}"{panel.title[panel.title.index(":") :]}')
        save(docs / "images" / f"exposure-{rule}.svg", picture([shown, known], 8, 3.6))
    reached = {}
    for name in SHOWN:
        panels, reached[name] = objective_on_map(name)
        save(docs / "images" / f"objective-{name}.svg", picture(panels, 8, 3.6))
    lines = [[name, *(f"{value:.3f}" for value in found.values())] for name, found in reached.items()]
    save(results / "toy_pictures.md", table(["objective", *reached[SHOWN[0]]], lines) + "\n")


STUDY = Drawing("toy_pictures", "objectives and exposures on two-dimensional toys, for the guide", draw)
