"""What outlier exposure does to a classifier of three classes on a plane, drawn for the page on classifiers.

Three clouds are the classes. The auxiliary outliers lie all around them, and none of them in the two places where the
anomalies lie that are to be found: between the classes and in one direction outside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import OutlierExposureClassifier
from expose.objectives import Descend
from expose_lab.figures.canvas import new_figure, svg
from expose_lab.metrics import auroc
from expose_lab.pages import save
from expose_lab.studies.base import Drawing

CENTRES = np.array([[0.0, 3.0], [-2.6, -1.5], [2.6, -1.5]])
PLACES = np.array([[0.0, 0.0], [5.0, -5.0]])  # of the anomalies
COLOURS, RED = ("#2c6fbb", "#2f7d6b", "#7a52a8"), "#d62839"
SIZE, ROWS, SEED = 7.0, 200, 0
Rows = NDArray[np.float64]


def classes(seed: int) -> tuple[Rows, NDArray[np.int64]]:
    """Three clouds: ``(600, 2)`` and their classes ``(600,)``."""
    y = np.repeat(np.arange(3), ROWS)
    return CENTRES[y] + 0.7 * np.random.default_rng(seed).standard_normal((len(y), 2)), y


def anomalies(seed: int) -> Rows:
    """Rows between the classes and far to the right below: ``(200, 2)``."""
    places = np.repeat(PLACES, ROWS // 2, axis=0)
    return np.asarray(places + 0.4 * np.random.default_rng(seed).standard_normal(places.shape))


def outliers(seed: int) -> Rows:
    """Rows anywhere on the plane but near a class or an anomaly, ``(m, 2)``."""
    rows = np.random.default_rng(seed).uniform(-SIZE, SIZE, (2000, 2))
    far = [np.linalg.norm(rows - centre, axis=1) > 2.2 for centre in CENTRES]
    far += [np.linalg.norm(rows - place, axis=1) > 1.5 for place in PLACES]
    return rows[np.all(far, axis=0)]


def trained(exposed: bool) -> OutlierExposureClassifier:
    """The same classifier with and without outliers."""
    classifier = OutlierExposureClassifier(recipe=Descend(epochs=100), encoder="standard", random_state=SEED)
    return classifier.fit(*classes(SEED), outliers=outliers(SEED + 1) if exposed else None)


def measure(classifier: OutlierExposureClassifier) -> dict[str, float]:
    """Accuracy on new rows of the classes, and AUROC of the anomalies against them."""
    x, y = classes(SEED + 2)
    rows = np.concatenate([x, anomalies(SEED + 3)])
    truth = np.repeat([0, 1], [len(x), len(rows) - len(x)])
    found = {f"auroc_{name}": auroc(truth, classifier.anomaly_score(rows, name)) for name in ("msp", "entropy")}
    return {"accuracy": float((classifier.predict(x) == y).mean()), **found}


@svg
def picture(models: dict[str, tuple[OutlierExposureClassifier, dict[str, float]]]) -> Any:
    """The plane, shaded by the probability of the likeliest class, with the rows trained on and the anomalies."""
    figure = new_figure(8, 4.4)
    figure.set_dpi(150)
    line = np.linspace(-SIZE, SIZE, 140)
    places = np.stack(np.meshgrid(line, line), axis=-1)  # (140, 140, 2)
    x, y = classes(SEED)
    for axis, (title, (classifier, facts)) in zip(figure.subplots(1, 2), models.items(), strict=True):
        sure = classifier.predict_proba(places.reshape(-1, 2)).max(axis=1).reshape(places.shape[:2])
        axis.contourf(line, line, sure, np.linspace(1 / 3, 1, 9), cmap="Greys_r", vmin=0, vmax=1, zorder=0)
        if title.startswith("after"):
            axis.scatter(*outliers(SEED + 1).T, s=2, color="white", linewidths=0, zorder=1)
        for number, colour in enumerate(COLOURS):
            axis.scatter(*x[y == number].T, s=4, color=colour, linewidths=0, zorder=1)
        axis.scatter(*anomalies(SEED + 3).T, s=10, color=RED, marker="x", linewidths=0.8, zorder=1)
        axis.set_rasterization_zorder(2)  # shading and dots as one small bitmap
        numbers = f"accuracy {facts['accuracy']:.3f}, AUROC {facts['auroc_entropy']:.3f}"
        limits: dict[str, Any] = {
            "xlim": (-SIZE, SIZE),
            "ylim": (-SIZE, SIZE),
            "xticks": [],
            "yticks": [],
            "aspect": "equal",
        }
        axis.set(title=f"{title}\n{numbers}", **limits)
    return figure


def draw(results: Path, docs: Path) -> None:
    """Train twice, draw and write."""
    models = {}
    for title, exposed in (("before exposure", False), ("after exposure", True)):
        classifier = trained(exposed)
        models[title] = (classifier, measure(classifier))
    save(docs / "images" / "classifier-plane.svg", picture(models))
    facts = {"seed": SEED, "rows": 3 * ROWS, **{title: found for title, (_, found) in models.items()}}
    save(results / "classifier_plane.json", json.dumps(facts, indent=1) + "\n")


STUDY = Drawing("classifier_plane", "a classifier on a plane before and after exposure, for docs/classifiers.md", draw)
