"""Members trained together are the members trained alone."""

import pytest
import torch
from torch import nn

from expose.encoders import Layout
from expose.objectives import OBJECTIVES, Losses, MemoryObjective, Objective, make_objective
from expose.training import Ensemble, Plan, TrainingSet, build_members, train
from expose.training.descend import descend

ROWS = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
LAYOUT = Layout("vector", (5,))
QUICK = {"epochs": 4, "batch_size": 20, "warmup": 1}  # two suspects in each batch: no lottery is played
EXACTLY = {"icl": {"precision": "32", "temperature": 1.0}}  # at 0.01 what is rounded counts a hundredfold


def plan(objective, seeds) -> Plan:
    return Plan(objective, LAYOUT, "soft", 0.1, seeds, torch.device("cpu"))


def trained(name, seeds) -> Ensemble:
    return train(plan(make_objective(name, **QUICK, **EXACTLY.get(name, {})), seeds), TrainingSet(ROWS)).ensemble


@pytest.mark.parametrize(
    "name", sorted(n for n, o in OBJECTIVES.items() if "vector" in o.forms and not issubclass(o, MemoryObjective))
)
def test_each_member_equals_its_solo_training(name):
    together = trained(name, (7, 8, 9))
    for index, seed in enumerate((7, 8, 9)):
        alone = trained(name, (seed,))
        torch.testing.assert_close(
            together.member(index).score(ROWS), alone.member(0).score(ROWS), rtol=2e-3, atol=2e-3
        )


def test_members_may_have_data_of_their_own():
    rows = torch.stack([ROWS, ROWS + 1])
    autoencoder = make_objective("autoencoder", **QUICK)
    together = descend(plan(autoencoder, (1, 2)), TrainingSet(rows)).ensemble
    alone = descend(plan(autoencoder, (2,)), TrainingSet(ROWS + 1)).ensemble
    torch.testing.assert_close(together.member(1).score(ROWS), alone.member(0).score(ROWS), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("members", [1, 3])
def test_shapes(members):
    ensemble = build_members(OBJECTIVES["svdd"](), LAYOUT, ROWS, tuple(range(members)))
    assert ensemble(ROWS, "score").shape == (members, 60)
    losses = ensemble(ROWS.expand(members, -1, -1))
    assert isinstance(losses, Losses)
    assert losses.normal.shape == losses.abnormal.shape == (members, 60)
    assert len(list(ensemble.parameters())) == 3


def test_members_differ_and_the_global_random_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    ensemble = trained("ntl", (0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.allclose(ensemble.member(0).score(ROWS), ensemble.member(1).score(ROWS))


class Noisy(Objective):
    """A denoising autoencoder: its losses draw random numbers."""

    def build(self, layout):
        self.net = nn.Linear(layout.n_values, layout.n_values)

    def losses(self, batch):
        error = (self.net(batch + torch.randn_like(batch)) - batch).square().mean(-1)
        return Losses(error, 1 / (error + 0.1))


def test_an_objective_that_draws_random_numbers_is_reproducible_in_an_ensemble():
    noisy = plan(Noisy(**QUICK), (0, 1))
    first, second = (train(noisy, TrainingSet(ROWS)).ensemble.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("layout", [LAYOUT, Layout("image", (1, 1, 5))], ids=["stacked", "one by one"])
def test_the_weights_of_chosen_members_are_taken_over(layout):
    ensemble = build_members(OBJECTIVES["svdd"](), layout, ROWS, (1, 2))
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
