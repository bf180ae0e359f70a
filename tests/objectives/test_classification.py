"""The losses of outlier exposure, by hand and by law."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from expose.encoders import Layout
from expose.objectives import Losses
from expose.objectives.classification import (
    LEAST_CONFIDENCE,
    TERMS,
    Classification,
    anomaly_score,
    free_energy,
    uniform_cross_entropy,
)
from expose.training import Plan, TrainingSet, train

Z = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
P = Z.softmax(-1)


class Given(nn.Module):
    """The rows are the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, rows):
        return rows * self.scale


def objective(terms, prior=(0.5, 0.25, 0.25), **more) -> Classification:
    made = Classification(Given(), prior, terms, **more)
    made.build(Layout("vector", (made.n_outputs,)))
    return made.eval()


def losses_of(made, rows, targets=None) -> Losses:
    return Losses(*(loss.detach() for loss in made.losses(rows, targets)))


def test_normal_loss_is_the_cross_entropy_of_the_class():
    losses = losses_of(objective({"uniform": 0.5}), Z, torch.tensor([0, 2]))
    torch.testing.assert_close(losses.normal, -torch.stack([P[0, 0], P[1, 2]]).log())


def test_a_row_of_no_class_counts_as_what_it_is_taken_for():
    losses = losses_of(objective({"uniform": 0.5}), Z, torch.tensor([-1, -1]))
    torch.testing.assert_close(losses.normal, -P.amax(-1).log())
    torch.testing.assert_close(losses_of(objective({"uniform": 0.5}), Z).normal, losses.normal)


def test_uniform_is_the_cross_entropy_from_the_uniform_distribution():
    losses = losses_of(objective({"uniform": 0.5}), Z)
    torch.testing.assert_close(losses.abnormal, 0.5 * -P.log().mean(-1))
    assert losses.abnormal[1] == pytest.approx(0.5 * math.log(3))  # its least


def test_prior_is_the_cross_entropy_from_the_shares_of_the_classes():
    made = objective({"prior": 1.0}, (0.7, 0.2, 0.1))
    expected = -(P.log() * torch.tensor([0.7, 0.2, 0.1])).sum(-1)
    torch.testing.assert_close(losses_of(made, Z).abnormal, expected)


def test_energy_is_two_squared_hinges():
    made = objective({"energy": 0.1}, energy_margins=(-2.5, -1.2))
    energy = -Z.exp().sum(-1).log()  # -2.17 and -1.10
    losses = losses_of(made, Z, torch.tensor([0, 0]))
    cross = -P[:, 0].log()
    torch.testing.assert_close(losses.normal, cross + 0.1 * (energy + 2.5).clamp(min=0) ** 2)
    torch.testing.assert_close(losses.abnormal, 0.1 * (-1.2 - energy).clamp(min=0) ** 2)
    assert losses.abnormal[1] == 0


def test_confidence_pays_log_b_down_to_its_floor():
    rows = torch.tensor([[2.0, 0.0, -1.0, 0.3], [2.0, 0.0, -1.0, -50.0]])
    made = objective({"confidence": 0.5})
    b = rows[:, 3].sigmoid()
    assert losses_of(made, rows).abnormal[0] == pytest.approx(0.5 * float(b[0].log()))
    assert losses_of(made, rows).abnormal[1] == pytest.approx(0.5 * math.log(LEAST_CONFIDENCE))
    assert losses_of(made, rows[:1], torch.tensor([0])).normal[0] == pytest.approx(
        float(-P[0, 0].log() - 0.1 * b[0].log())
    )


def test_hints_are_given_to_about_half_and_their_price_follows_the_budget():
    rows = torch.tensor([[0.0, 0.0, 0.0, 0.0]]).expand(1000, -1)  # b = 1/2, p_y = 1/3
    made = objective({"confidence": 0.5}).train()
    torch.manual_seed(0)
    losses = losses_of(made, rows, torch.zeros(1000, dtype=torch.long))
    doubt = 0.1 / 0.99  # -log b = 0.69 is above the budget of 0.3
    assert float(made.doubt) == pytest.approx(doubt)
    hinted, unhinted = -math.log(0.5 / 3 + 0.5), math.log(3)
    values = (losses.normal - doubt * math.log(2)).detach().numpy()
    assert set(values.astype(float).round(4)) == {round(hinted, 4), round(unhinted, 4)}
    assert 400 < np.isclose(values, hinted, atol=1e-4).sum() < 600


def test_outliers_do_not_spend_the_budget_of_doubt():
    sure, unsure = [0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, -9.0]
    made = objective({"confidence": 0.5}).train()
    losses_of(made, torch.tensor([sure, unsure]), torch.tensor([0, -1]))
    assert float(made.doubt) == pytest.approx(0.1 / 1.01)


def test_background_is_one_more_class():
    rows = torch.tensor([[2.0, 0.0, -1.0, 1.0]])
    losses = losses_of(objective({"background": 1.0}), rows, torch.tensor([1]))
    p = rows.softmax(-1)[0]
    assert losses.normal[0] == pytest.approx(float(-p[1].log()))
    assert losses.abnormal[0] == pytest.approx(float(-p[3].log()))


def test_scores_by_hand():
    scores = {name: anomaly_score(name, Z, torch.zeros(2), 3) for name in ("msp", "entropy", "energy", "confidence")}
    torch.testing.assert_close(scores["msp"], -P.amax(-1))
    torch.testing.assert_close(scores["entropy"], P.log().mean(-1))
    torch.testing.assert_close(scores["energy"], -Z.exp().sum(-1).log())
    torch.testing.assert_close(scores["confidence"], torch.tensor([-0.5, -0.5]))
    assert all(scores[name][1] > scores[name][0] for name in ("msp", "entropy", "energy"))  # the unsure row is odder


@pytest.mark.parametrize("term", sorted(TERMS))
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_losses_and_gradients_stay_finite(term, scale):
    made = objective({term: 1.0})
    width = 3 + (term in ("confidence", "background"))
    rows = scale * torch.randn(50, width, generator=torch.Generator().manual_seed(0))
    losses = made.train().losses(rows, torch.arange(50) % 4 - 1)
    (losses.normal.mean() + losses.abnormal.mean()).backward()
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()
    assert torch.isfinite(made.network.network.scale.grad).all()


@settings(deadline=None)  # the first backward pass of a process takes long
@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
def test_the_outlier_gradient_points_from_p_to_uniform(logits):
    z = torch.tensor([logits], dtype=torch.float64, requires_grad=True)
    uniform_cross_entropy(z).sum().backward()
    torch.testing.assert_close(z.grad, z.detach().softmax(-1) - 1 / z.shape[1])


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.floats(-5, 5))
def test_a_constant_added_to_all_logits_moves_the_energy_alone(logits, shift):
    z = torch.tensor([logits], dtype=torch.float64)
    torch.testing.assert_close(uniform_cross_entropy(z + shift), uniform_cross_entropy(z))
    torch.testing.assert_close(free_energy(z + shift), free_energy(z) - shift)


@pytest.mark.parametrize("outlier_batch_size", [4, 16, 64])
def test_lambda_means_the_same_whatever_the_batch_sizes(outlier_batch_size):
    """All normal rows are alike and all outliers are, so that every batch has the gradient of the whole sum."""
    rows, targets = torch.tensor([[1.0, 0.0, 0.0]]).expand(64, -1), torch.zeros(64, dtype=torch.long)
    outliers = torch.tensor([[0.0, 2.0, -1.0]]).expand(64, -1)
    trained = {}
    for size in (None, outlier_batch_size):
        recipe = {"epochs": 3, "batch_size": 16, "optimizer": "sgd", "learning_rate": 0.1, "cosine": True}
        made = Classification(Given(), [1 / 3] * 3, {"uniform": 0.5}, outlier_batch_size=size, **recipe)
        plan = Plan(made, Layout("vector", (3,)), "blind", 0.0, (0,), torch.device("cpu"))
        found = train(plan, TrainingSet(rows, None, outliers, targets)).ensemble
        trained[size] = float(found.only.network.network.scale.detach())
    assert trained[None] != 1
    assert trained[outlier_batch_size] == pytest.approx(trained[None], rel=1e-5)
