"""Draw what outlier exposure does to a classifier of three classes on a plane, for the page on classifiers.

Run ``python benchmarks/classifier_plane.py`` (under a minute on one core). It writes the picture to ``docs/images``
and the figures in its titles to ``benchmarks/results/classifier_plane.json``. Needs the extra ``docs``.

Three clouds are the classes. The auxiliary outliers lie all around them, and none of them in the two places where the
anomalies lie that are to be found: between the classes and in one direction outside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from expose import OutlierExposureClassifier
from expose.evaluation import auroc

mpl.use("svg")
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "expose", "font.size": 10, "font.family": "sans-serif"})

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "docs" / "images" / "classifier-plane.svg"
RESULTS = ROOT / "benchmarks" / "results" / "classifier_plane.json"
CENTRES = np.array([[0.0, 3.0], [-2.6, -1.5], [2.6, -1.5]])
COLOURS = ("#2c6fbb", "#2f7d6b", "#7a52a8")
RED, LINE = "#d62839", "#1b1b1b"
SIZE = 7.0
ROWS, SEED = 200, 0
Rows = NDArray[np.float64]


def classes(seed: int) -> tuple[Rows, NDArray[np.int64]]:
    """Three clouds: ``(600, 2)`` and their classes ``(600,)``."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), ROWS)
    return CENTRES[y] + 0.7 * rng.standard_normal((len(y), 2)), y


def anomalies(seed: int) -> Rows:
    """Rows between the classes and far to the right below: ``(200, 2)``."""
    places = np.repeat([[0.0, 0.0], [5.0, -5.0]], ROWS // 2, axis=0)
    return np.asarray(places + 0.4 * np.random.default_rng(seed).standard_normal(places.shape))


def outliers(seed: int) -> Rows:
    """Rows anywhere on the plane but near a class or an anomaly, ``(m, 2)``."""
    rows = np.random.default_rng(seed).uniform(-SIZE, SIZE, (2000, 2))
    far = [np.linalg.norm(rows - centre, axis=1) > 2.2 for centre in CENTRES]
    far += [np.linalg.norm(rows - place, axis=1) > 1.5 for place in ([0.0, 0.0], [5.0, -5.0])]
    return rows[np.all(far, axis=0)]


def trained(exposed: bool) -> OutlierExposureClassifier:
    """The same classifier with and without outliers."""
    x, y = classes(SEED)
    classifier = OutlierExposureClassifier(epochs=100, scaling="standard", random_state=SEED)
    return classifier.fit(x, y, outliers=outliers(SEED + 1) if exposed else None)


def measure(classifier: OutlierExposureClassifier) -> dict[str, float]:
    """Accuracy on new rows of the classes, and AUROC of the anomalies against them."""
    x, y = classes(SEED + 2)
    odd = anomalies(SEED + 3)
    truth = np.repeat([0, 1], [len(x), len(odd)])
    score = {name: classifier.anomaly_score(np.concatenate([x, odd]), name) for name in ("msp", "entropy")}
    found = {f"auroc_{name}": float(auroc(truth, values)) for name, values in score.items()}
    return {"accuracy": float((classifier.predict(x) == y).mean())} | found


def draw(axis: Any, classifier: OutlierExposureClassifier, facts: dict[str, float], title: str, exposed: bool) -> None:
    """Shade the plane by the probability of the likeliest class, with the rows trained on and the anomalies."""
    line = np.linspace(-SIZE, SIZE, 140)
    grid = np.stack(np.meshgrid(line, line), axis=-1)  # (140, 140, 2)
    sure = classifier.predict_proba(grid.reshape(-1, 2)).max(axis=1).reshape(grid.shape[:2])
    axis.contourf(line, line, sure, np.linspace(1 / 3, 1, 9), cmap="Greys_r", vmin=0, vmax=1, zorder=0)
    x, y = classes(SEED)
    if exposed:
        axis.scatter(*outliers(SEED + 1).T, s=2, color="white", linewidths=0, zorder=1, label="outliers trained on")
    for number, colour in enumerate(COLOURS):
        axis.scatter(*x[y == number].T, s=4, color=colour, linewidths=0, zorder=1)
    axis.scatter(*anomalies(SEED + 3).T, s=10, color=RED, marker="x", linewidths=0.8, zorder=1)
    axis.set_rasterization_zorder(2)  # shading and dots as one small bitmap
    numbers = f"accuracy {facts['accuracy']:.3f}, AUROC {facts['auroc_entropy']:.3f}"
    axis.set(title=f"{title}\n{numbers}", xlim=(-SIZE, SIZE), ylim=(-SIZE, SIZE), xticks=[], yticks=[], aspect="equal")


def main() -> None:
    """Train twice, draw and write."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
    found = {}
    for axis, title, exposed in zip(axes, ("before exposure", "after exposure"), (False, True), strict=True):
        classifier = trained(exposed)
        found[title] = measure(classifier)
        draw(axis, classifier, found[title], title, exposed)
    figure.savefig(IMAGE, metadata={"Date": None}, bbox_inches="tight", dpi=150)
    plt.close(figure)
    RESULTS.write_text(json.dumps({"seed": SEED, "rows": 3 * ROWS} | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
