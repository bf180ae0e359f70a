"""Objectives for data with outliers, on images and texts: members train apart, and tell outliers."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.encoders import Layout
from expose.objectives import OBJECTIVES, make_objective
from expose.training import Plan, TrainingSet, train

LAYOUTS = {"image": Layout("image", (3, 8, 8)), "tokens": Layout("tokens", (9,), n_tokens=20)}
CASES = sorted((name, form) for name, cls in OBJECTIVES.items() for form in LAYOUTS if cls.needs_anomalies)
SEEDS = (0, 1)


def normal_rows(form: str, n: int = 40) -> torch.Tensor:
    """Bright images, or texts of the earlier half of the tokens, one of them short."""
    generator = torch.Generator().manual_seed(0)
    if form == "image":
        return torch.rand(n, LAYOUTS[form].n_values, generator=generator)
    rows = torch.randint(1, 11, (n, 9), generator=generator).float()
    rows[1, 3:] = 0
    return rows


def trained(name: str, form: str, seeds: tuple[int, ...], rows: torch.Tensor, outliers: torch.Tensor):
    objective = make_objective(name, epochs=30, batch_size=20, patience=30)
    plan = Plan(objective, LAYOUTS[form], "blind", 0.0, seeds, torch.device("cpu"))
    return train(plan, TrainingSet(rows, None, outliers)).ensemble.eval()


@pytest.mark.parametrize(("name", "form"), CASES)
def test_members_on_images_and_texts_train_apart_and_tell_outliers(name, form):
    rows = normal_rows(form)
    outliers = rows * 0.3 if form == "image" else torch.where(rows > 0, rows + 9, rows)  # dark, or later tokens
    together = trained(name, form, SEEDS, rows, outliers)
    alone = trained(name, form, SEEDS[1:], rows, outliers)
    with torch.no_grad():
        scores = together(torch.cat([rows, outliers]), "score").mean(0).numpy()
        own, same = together.member(1).score(rows), alone.member(0).score(rows)
    assert roc_auc_score(np.repeat([0, 1], len(rows)), scores) > 0.95
    torch.testing.assert_close(own, same, rtol=1e-2, atol=1e-2)
