"""Objectives for data with outliers, on images and texts: members train apart, and tell outliers."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.exposure import blind
from expose.inputs import Layout
from expose.objectives import OBJECTIVES
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric

LAYOUTS = {"image": Layout("image", (3, 8, 8)), "text": Layout("text", (9,), n_tokens=20)}
CASES = sorted((name, kind) for name, cls in OBJECTIVES.items() for kind in LAYOUTS if cls.needs_anomalies)
SEEDS = (0, 1)


def normal_rows(kind: str, n: int = 40) -> torch.Tensor:
    """Bright images, or texts of the earlier half of the tokens, one of them short."""
    generator = torch.Generator().manual_seed(0)
    if kind == "image":
        return torch.rand(n, LAYOUTS[kind].n_values, generator=generator)
    rows = torch.randint(1, 11, (n, 9), generator=generator).float()
    rows[1, 3:] = 0
    return rows


def trained(name: str, kind: str, seeds: tuple[int, ...], rows: torch.Tensor, outliers: torch.Tensor):
    objective = OBJECTIVES[name]()
    objective.layout = LAYOUTS[kind]
    ensemble = build_members(objective, rows, seeds)
    settings = Settings(seeds=seeds, epochs=30, batch_size=20, patience=30)
    Loop(make_fabric("cpu", "32", 0), blind, 0.0, settings).run(ensemble, TrainingSet(rows, None, outliers))
    return ensemble.eval()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_members_on_images_and_texts_train_apart_and_tell_outliers(name, kind):
    rows = normal_rows(kind)
    outliers = rows * 0.3 if kind == "image" else torch.where(rows > 0, rows + 9, rows)  # dark, or later tokens
    together = trained(name, kind, SEEDS, rows, outliers)
    alone = trained(name, kind, SEEDS[1:], rows, outliers)
    with torch.no_grad():
        scores = together(torch.cat([rows, outliers]), "score").mean(0).numpy()
        own, same = together.member(1).score(rows), alone.member(0).score(rows)
    assert roc_auc_score(np.repeat([0, 1], len(rows)), scores) > 0.95
    torch.testing.assert_close(own, same, rtol=1e-2, atol=1e-2)
