"""Photos that are odd in places or as wholes: which of them the moments and near neighbours leave out."""

import torch

from expose.encoders.layout import Layout
from expose.objectives import LocalGlobal
from expose.training import Plan, TrainingSet, train
from expose.training.ensemble import built

LAYOUT = Layout("grid", (1, 3, 4), places=(1, 3), beside=6)
GENERATOR = torch.Generator().manual_seed(0)
PLACES = torch.randn(80, 3, 4, generator=GENERATOR)
WHOLE = 3 + torch.randn(80, 6, generator=GENERATOR)
PLACES[:4, 1] *= 20  # odd in one place
WHOLE[4:8] *= torch.tensor([1.0, -1, 1, -1, 1, -1])  # of another kind
ROWS = torch.cat([PLACES.flatten(1), WHOLE], dim=1)


def test_suspects_are_photos_that_are_odd_as_wholes():
    member = built(LocalGlobal(), LAYOUT)
    member.remember(ROWS, torch.ones(80))
    suspicion = member.losses(ROWS).normal
    assert set(suspicion.topk(4).indices.tolist()) == {4, 5, 6, 7}
    assert suspicion[:4].max() < suspicion[8:].max()  # odd in one place, and as wholes like any other


def test_scores_find_both_kinds_once_suspects_are_left_out():
    plan = Plan(LocalGlobal(), LAYOUT, "refine", 0.05, (1,), torch.device("cpu"))
    scores = train(plan, TrainingSet(ROWS)).ensemble(ROWS, "score")[0]
    assert set(scores.topk(8).indices.tolist()) == set(range(8))


def test_the_evidence_for_the_contamination_is_of_both_kinds():
    assert set(built(LocalGlobal(), LAYOUT).remember(ROWS, torch.ones(80)).topk(8).indices.tolist()) == set(range(8))
