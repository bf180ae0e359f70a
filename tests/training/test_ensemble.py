"""Members trained together are the members trained alone."""

import pytest
import torch
from torch import nn

from expose.exposure import soft
from expose.inputs import Layout
from expose.objectives import OBJECTIVES, Losses, MemoryObjective, Objective
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric

ROWS = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))


def train(ensemble, seeds, rows=ROWS, **settings):
    chosen = {"epochs": 4, "batch_size": 25, "warmup": 1} | settings
    Loop(make_fabric("cpu", "32", 0), soft, 0.1, Settings(seeds=seeds, **chosen)).run(ensemble, TrainingSet(rows))


@pytest.mark.parametrize(
    "name", sorted(n for n, o in OBJECTIVES.items() if "table" in o.kinds and not issubclass(o, MemoryObjective))
)
def test_each_member_equals_its_solo_training(name):
    together = build_members(OBJECTIVES[name](), ROWS, (7, 8, 9))
    train(together, (7, 8, 9))
    for index, seed in enumerate((7, 8, 9)):
        alone = build_members(OBJECTIVES[name](), ROWS, (seed,))
        train(alone, (seed,))
        torch.testing.assert_close(
            together.member(index).score(ROWS), alone.member(0).score(ROWS), rtol=2e-3, atol=2e-3
        )


def test_members_may_have_data_of_their_own():
    rows = torch.stack([ROWS, ROWS + 1])
    together = build_members(OBJECTIVES["autoencoder"](), rows, (1, 2))
    train(together, (1, 2), rows=rows)
    alone = build_members(OBJECTIVES["autoencoder"](), ROWS + 1, (2,))
    train(alone, (2,), rows=ROWS + 1)
    torch.testing.assert_close(together.member(1).score(ROWS), alone.member(0).score(ROWS), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("members", [1, 3])
def test_shapes(members):
    ensemble = build_members(OBJECTIVES["svdd"](), ROWS, tuple(range(members)))
    assert ensemble(ROWS, "score").shape == (members, 60)
    losses = ensemble(ROWS.expand(members, -1, -1))
    assert isinstance(losses, Losses)
    assert losses.normal.shape == losses.abnormal.shape == (members, 60)
    assert len(list(ensemble.parameters())) == 3


def test_members_differ_and_the_global_random_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    ensemble = build_members(OBJECTIVES["ntl"](), ROWS, (0, 1))
    train(ensemble, (0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.allclose(ensemble.member(0).score(ROWS), ensemble.member(1).score(ROWS))


class Noisy(Objective):
    """A denoising autoencoder: its losses draw random numbers."""

    def build(self, n_features):
        self.net = nn.Linear(n_features, n_features)

    def losses(self, batch):
        error = (self.net(batch + torch.randn_like(batch)) - batch).square().mean(-1)
        return Losses(error, 1 / (error + 0.1))


def test_an_objective_that_draws_random_numbers_is_reproducible_in_an_ensemble():
    scores = []
    for _ in range(2):
        ensemble = build_members(Noisy(), ROWS, (0, 1))
        train(ensemble, (0, 1))
        scores.append(ensemble.state_dict())
    assert all(torch.equal(scores[0][key], scores[1][key]) for key in scores[0])


@pytest.mark.parametrize("layout", [Layout("table", (5,)), Layout("image", (1, 1, 5))], ids=["stacked", "one by one"])
def test_the_weights_of_chosen_members_are_taken_over(layout):
    objective = OBJECTIVES["svdd"]()
    objective.layout = layout
    ensemble = build_members(objective, ROWS, (1, 2))
    before = [ensemble.member(index).state_dict() for index in range(2)]
    kept = ensemble.take_over({}, [True, True])
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.add_(1)
    after = [ensemble.member(index).state_dict() for index in range(2)]
    ensemble.load_state_dict(ensemble.take_over(kept, [False, True]))
    for index, wanted in enumerate((before[0], after[1])):
        for name, value in ensemble.member(index).state_dict().items():
            torch.testing.assert_close(value, wanted[name], msg=f"{index} {name}")
