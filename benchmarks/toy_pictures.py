"""Draw the pictures of the user guide: what each objective and each exposure learns on two-dimensional toys.

Run ``python benchmarks/toy_pictures.py`` (about five minutes on one core). It writes SVG files to
``docs/images`` and a table of every objective with every exposure to ``benchmarks/results``. Needs the extra
``docs``.

- *map*, for the objectives: a row is a place on a map, and its eight columns are the distances to eight
  beacons around it. Normal places lie along a bent road; 5 % of the rows are two planted clusters beside it.
- *cloud*, for the exposures: that of Qiu et al. 2022, 90 normal rows in one cloud and twice 5 anomalies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.evaluation import auroc

mpl.use("svg")
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "expose", "font.size": 10, "font.family": "sans-serif"})

IMAGES = Path(__file__).parent.parent / "docs" / "images"
RESULTS = Path(__file__).parent / "results"
TOLD = ("hsc", "bce", "deep_sad")  # objectives that are shown with auxiliary outliers
BLUE, RED, LINE = "#2c6fbb", "#d62839", "#1b1b1b"
Rows = NDArray[np.float64]
Truth = NDArray[np.int64]
Columns = Callable[[Rows], Rows]


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


def anywhere(places: Rows, count: int = 100, seed: int = 1) -> Rows:
    """Places all over the map, as auxiliary outliers of the road: ``(count, 2)``."""
    return np.random.default_rng(seed).uniform(places.min(0) - 0.6, places.max(0) + 0.6, (count, 2))


def cloud(seed: int = 1234) -> tuple[Rows, Truth]:
    """The toy of Qiu et al. 2022: ``(100, 2)`` and ``(100,)``."""
    rng = np.random.default_rng(seed)
    parts = [((1, 1), 0.07, 90), ((-0.25, 2.5), 0.03, 5), ((-1, 0.5), 0.03, 5)]
    rows = [rng.normal(mean, variance**0.5, (count, 2)) for mean, variance, count in parts]
    return np.concatenate(rows), np.repeat([0, 1], [90, 10])


def map_detector(objective: str, exposure: str) -> AnomalyDetector:
    """Settings of the pictures of the objectives."""
    network = {} if objective == "neighbours" else {"epochs": 100}
    return AnomalyDetector(objective, exposure=exposure, contamination=0.05, members=3, random_state=0, **network)


def cloud_detector(exposure: str) -> AnomalyDetector:
    """Settings of the pictures of the exposures; with the default scaling `soft` stays near chance (docs/notes.md)."""
    robust = {"scaling": "robust", "contamination": 0.1, "members": 5, "epochs": 400, "batch_size": 25}
    return AnomalyDetector("svdd", exposure=exposure, random_state=0, **robust)


def landscape(axis: Any, detector: AnomalyDetector, places: Rows, y: Truth, columns: Columns) -> None:
    """Shade each point by the share of training rows that score lower; draw the threshold and the rows."""
    low, high = places.min(0) - 0.6, places.max(0) + 0.6
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 120).T), axis=-1)  # (120, 120, 2)
    scores = detector.anomaly_score(columns(grid.reshape(-1, 2))).reshape(grid.shape[:2])
    training = np.sort(detector.training_scores_)
    ranks = np.searchsorted(training, scores) / len(training)
    axis.contourf(*np.moveaxis(grid, -1, 0), ranks, np.linspace(0, 1, 11), cmap="Greys", vmin=0, vmax=1.6, zorder=0)
    axis.contour(*np.moveaxis(grid, -1, 0), scores, [detector.threshold_score()], colors=LINE, linewidths=1.2, zorder=2)
    axis.scatter(*places[y == 0].T, s=4, color=BLUE, linewidths=0, zorder=1)
    axis.scatter(*places[y == 1].T, s=14, color=RED, marker="x", linewidths=1.2, zorder=3)
    axis.set_rasterization_zorder(2)  # shading and dots as one small bitmap
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])


def save(figure: Any, name: str) -> None:
    """Write one picture, the same bytes for the same data."""
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight", dpi=150)
    plt.close(figure)


def draw_objective(name: str) -> dict[str, float]:
    """One objective on the map, from clean and from contaminated rows; return the AUROC of each exposure."""
    places, y = road()
    rows, outliers = distances(places), distances(anywhere(places)) if name in TOLD else None
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    reached = {}
    for exposure in ("clean", "blind", "refine", "hard", "soft"):
        kept = y == 0 if exposure == "clean" else y >= 0
        detector = map_detector(name, "blind" if exposure == "clean" else exposure).fit(rows[kept], outliers=outliers)
        reached[exposure] = auroc(y, detector.anomaly_score(rows))
        if exposure in ("clean", "blind"):
            axis = axes[int(exposure == "blind")]
            landscape(axis, detector, places[kept], y[kept], distances)
            title = "trained on clean rows" if exposure == "clean" else "trained blindly on all rows"
            title += "" if outliers is None else " and outliers"
            axis.set_title(f"{name}, {title}: AUROC {reached[exposure]:.3f}", fontsize=9)
    save(figure, f"objective-{name}")
    return reached


def draw_exposure(name: str) -> None:
    """What one exposure learns on the cloud, beside what could be learned if the truth were known."""
    rows, y = cloud()
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    for axis, exposure, labels in ((axes[0], name, None), (axes[1], "soft", y)):
        detector = cloud_detector(exposure).fit(rows, labels=labels)
        landscape(axis, detector, rows, y, lambda places: places)
        title = f'exposure="{name}"' if labels is None else "all labels known"
        axis.set_title(f"{title}: AUROC {auroc(y, detector.anomaly_score(rows)):.2f}")
    save(figure, f"exposure-{name}")


def draw_method() -> None:
    """All four exposures around the planted clusters, and what could be learned if the truth were known."""
    rows, y = cloud()
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.2), layout="constrained")
    panels = {"Blind": "blind", "Refine": "refine", "LOE_H (hard)": "hard", "LOE_S (soft)": "soft", "truth known": None}
    for axis, (title, exposure) in zip(axes, panels.items(), strict=True):
        labels = y if exposure is None else None
        detector = cloud_detector(exposure or "soft").fit(rows, labels=labels)
        landscape(axis, detector, rows, y, lambda places: places)
        axis.set_title(f"{title}: AUROC {auroc(y, detector.anomaly_score(rows)):.2f}")
    save(figure, "exposures")


def table(reached: dict[str, dict[str, float]]) -> str:
    """AUROC of every objective under every exposure, as Markdown."""
    exposures = list(next(iter(reached.values())))
    lines = [f"| objective | {' | '.join(exposures)} |", "|---" * (len(exposures) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(f'{v:.3f}' for v in row.values())} |" for name, row in reached.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    draw_method()
    for rule in ("blind", "refine", "hard", "soft"):
        draw_exposure(rule)
    RESULTS.mkdir(exist_ok=True)
    shown = ("neighbours", "ntl", "icl", "svdd", "autoencoder", *TOLD, "flow")
    reached = {name: draw_objective(name) for name in shown}
    (RESULTS / "toy_pictures.md").write_text(table(reached), encoding="utf-8")
