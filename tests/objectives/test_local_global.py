"""Photos that are odd in places or as wholes: which of them the moments and near neighbours leave out."""

import pytest
import torch

from expose.encoders.layout import Layout
from expose.objectives import Gaussian, LocalGlobal, PatchMemory
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


def trusted(odd: slice, known: torch.Tensor) -> float:
    """How far the whole is trusted after some answers, with these photos made odd as wholes, all in one way."""
    rows = ROWS.clone()
    rows[8:20, 12:] = 3 + torch.randn(12, 6, generator=torch.Generator().manual_seed(1))  # as all others
    rows[odd, 12:] = torch.tensor([3.0, 9, 3, 3, 9, 3]) + rows[odd, 12:] / 20
    plan = Plan(LocalGlobal(), LAYOUT, "refine", 0.1, (1,), torch.device("cpu"))
    member = train(plan, TrainingSet(rows, known=known)).ensemble.member(0)
    corrected = member.whole.correction.clone()
    member.whole.learn(known, 0.1)
    full = member.whole.correction
    return float(corrected.abs().sum() / full.abs().sum())


def test_answers_correct_wholes_as_far_as_they_foretell_each_other():
    known = torch.full((80,), -1)
    known[8:16] = 1
    assert trusted(slice(8, 20), known) == 1.0  # of one kind, as wholes
    assert trusted(slice(0, 0), known) < 0.3  # as any other photo
    one = torch.full((80,), -1)
    one[8] = 1
    assert trusted(slice(8, 20), one) == 0.0  # of which there is no telling


def test_no_label_and_labels_of_all_photos_are_no_trouble():
    for known in (None, torch.zeros(80, dtype=torch.long), torch.arange(80) < 8):
        plan = Plan(LocalGlobal(), LAYOUT, "refine", 0.1, (1,), torch.device("cpu"))
        data = TrainingSet(ROWS, known=None if known is None else known.long())
        assert torch.isfinite(train(plan, data).ensemble(ROWS, "score")).all()


@pytest.mark.parametrize("objective", [LocalGlobal, Gaussian, PatchMemory])
def test_scores_with_places_are_those_without_to_the_bit(objective):
    member = built(objective(), LAYOUT)
    member.remember(ROWS, torch.ones(80))
    member.refit(torch.ones(80), torch.zeros(80))
    both = member.with_places(ROWS[:9])
    assert torch.equal(both, torch.cat([member.score(ROWS[:9])[:, None], member.part_scores(ROWS[:9])], dim=1))
