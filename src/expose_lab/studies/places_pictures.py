"""What the objectives of photos see: made photos of a part, some of them scratched, and their maps, for the guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expose.encoders import Layout
from expose.objectives import OBJECTIVES, MemoryObjective, make_objective
from expose.training import Plan, TrainingSet, train
from expose_lab.figures.canvas import new_figure, svg
from expose_lab.metrics import auroc
from expose_lab.pages import save
from expose_lab.studies.base import Drawing

SIDE, VALUES = 14, 3
PHOTOS, SCRATCHED = 300, 0.1
Values = NDArray[np.float32]


def parts(seed: int = 0) -> tuple[Values, NDArray[np.bool_]]:
    """Photos of a ring that varies in brightness and size ``(n, 14, 14, 3)``, and where each is scratched."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = rng.normal(4.5, 0.3, (PHOTOS, 1, 1))
    ring = np.exp(-np.square((np.hypot(y, x) - radius) / 1.2)) * rng.uniform(0.7, 1.3, (PHOTOS, 1, 1))
    photos = ring[..., None] * np.linspace(1, 0.4, VALUES) + 0.08 * rng.normal(size=(PHOTOS, SIDE, SIDE, VALUES))
    scratched = np.zeros((PHOTOS, SIDE, SIDE), dtype=bool)
    for photo in range(round(SCRATCHED * PHOTOS)):
        angle, (down, right) = rng.uniform(0, np.pi), rng.uniform(-3, 3, 2)
        along = (y - down) * np.cos(angle) + (x - right) * np.sin(angle)
        across = (x - right) * np.cos(angle) - (y - down) * np.sin(angle)
        scratched[photo] = (np.abs(along) < 2.5) & (np.abs(across) < 0.6)
    photos[scratched] += [0.3, -0.3, 0.3]
    return photos.astype(np.float32), scratched


def seen_by(name: str, photos: Values) -> tuple[Values, Values]:
    """Scores of photos ``(n,)`` and of their places ``(n, 14, 14)`` by an objective that is trained blindly on them."""
    rows = torch.from_numpy(photos.reshape(len(photos), -1))
    layout = Layout("grid", photos.shape[1:], places=photos.shape[1:3])
    plan = Plan(make_objective(name), layout, "blind", 0.0, (0,), torch.device("cpu"))
    member = train(plan, TrainingSet(rows)).ensemble.member(0)
    return member.score(rows).numpy(), member.part_scores(rows).reshape(photos.shape[:3]).numpy()


@svg
def picture(name: str) -> Any:
    """Two photos with scratches and one without, above their maps."""
    photos, scratched = parts()
    scores, maps = seen_by(name, photos)
    shown = [0, 1, len(photos) - 1]
    figure = new_figure(6.4, 4.4)
    reached = auroc(scratched.any(axis=(1, 2)).astype(np.int64), scores)
    figure.suptitle(f"{name}, trained blindly, one photo in ten scratched: AUROC {reached:.3f}", fontsize=9)
    for (above, below), photo in zip(figure.subplots(2, 3).T, shown, strict=True):
        above.imshow(np.clip(photos[photo] / 1.4, 0, 1))
        below.imshow(maps[photo], cmap="magma", vmin=maps.min(), vmax=np.quantile(maps, 0.999))
        above.set_title(
            f"{'scratched' if scratched[photo].any() else 'as it should be'}: {scores[photo]:.1f}", fontsize=9
        )
        for axis in (above, below):
            axis.set(xticks=[], yticks=[])
    return figure


def draw(results: Path, docs: Path) -> None:
    """One picture for each objective that tells places apart."""
    for name, objective in OBJECTIVES.items():
        if "grid" in objective.forms and issubclass(objective, MemoryObjective):
            save(docs / "images" / f"objective-{name}.svg", picture(name))


STUDY = Drawing("places_pictures", "what the objectives of photos see in made ones, for the guide", draw)
