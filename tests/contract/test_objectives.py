"""What every registered objective must do, with each kind of rows it reads. A new one is taken from the registry."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.exposure import blind
from expose.inputs import Layout
from expose.objectives import OBJECTIVES, Losses, MemoryObjective, Objective
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric

WIDTH = 9  # divisible by three, for objectives that look at each column in three scalings
SEEDS = (0, 1, 2)
Planted = tuple[torch.Tensor, np.ndarray]


def planted_rows(n: int = 400, anomalies: int = 40) -> Planted:
    """Rows on a plane, and anomalies off it."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 3)) @ rng.normal(size=(3, WIDTH)) + 0.1 * rng.normal(size=(n, WIDTH))
    rows[:anomalies] = rng.normal(size=(anomalies, WIDTH)) * rows.std(0)
    return torch.from_numpy(rows.astype(np.float32)), (np.arange(n) < anomalies).astype(int)


def auxiliary() -> torch.Tensor:
    """Rows off the plane in all directions, not the anomalies that are asked for."""
    return 3 * torch.randn(100, WIDTH, generator=torch.Generator().manual_seed(1))


def planted_images(n: int = 400, anomalies: int = 40) -> Planted:
    """Slopes of brightness, and the same pixels in disorder."""
    rng = np.random.default_rng(0)
    place = np.arange(6) / 5 - 0.5
    slope = rng.uniform(-1, 1, (n, 2, 1, 1))
    images = 0.5 + 0.4 * (slope[:, 0] * place[:, None] + slope[:, 1] * place) + 0.02 * rng.normal(size=(n, 6, 6))
    rows = images.reshape(n, 36)
    rows[:anomalies] = rng.permuted(rows[:anomalies], axis=1)
    return torch.from_numpy(rows.astype(np.float32)), (np.arange(n) < anomalies).astype(int)


def planted_texts(n: int = 400, anomalies: int = 40) -> Planted:
    """Texts of four to nine words that follow each other in one order, and the same words in disorder."""
    rng = np.random.default_rng(0)
    rows = 2 + (rng.integers(0, 20, (n, 1)) + np.arange(WIDTH)) % 20
    rows[:anomalies] = rng.permuted(rows[:anomalies], axis=1)
    rows[np.arange(WIDTH) >= rng.integers(4, WIDTH + 1, (n, 1))] = 0
    return torch.from_numpy(rows.astype(np.float32)), (np.arange(n) < anomalies).astype(int)


class Kind(NamedTuple):
    """Rows of one kind."""

    layout: Layout | None
    planted: Callable[[], Planted]
    extremes: dict[str, torch.Tensor]
    wide: Layout
    epochs: int = 40
    batch_size: int = 64


PLANE = planted_rows()[0]
KINDS = {
    "table": Kind(None, planted_rows, {"tiny": PLANE * 1e-30, "huge": PLANE * 1e4}, Layout("table", (21_000,))),
    "image": Kind(
        Layout("image", (1, 6, 6)),
        planted_images,
        {"black": torch.zeros(5, 36), "white": torch.ones(5, 36)},
        Layout("image", (3, 64, 64)),
        epochs=12,
        batch_size=16,
    ),
    "text": Kind(
        Layout("text", (WIDTH,), 22),
        planted_texts,
        {"empty": torch.zeros(5, WIDTH), "unseen": torch.ones(5, WIDTH)},
        Layout("text", (256,), 10_002),
    ),
}
CASES = [(name, kind) for name in sorted(OBJECTIVES) for kind in OBJECTIVES[name].kinds]
FIRST = [  # of rows it was made for: what it learns of others, tests/estimators/test_kinds.py asks
    (name, kind)
    for name, kind in CASES
    if kind == OBJECTIVES[name].kinds[0] and not issubclass(OBJECTIVES[name], MemoryObjective)
]


def unbuilt(name: str, layout: Layout | None) -> Objective:
    objective = OBJECTIVES[name]()
    objective.layout = layout
    return objective


@pytest.fixture(params=CASES, ids="-".join)
def case(request) -> tuple[str, str]:
    return request.param


@pytest.fixture
def kind(case) -> Kind:
    return KINDS[case[1]]


@pytest.fixture
def rows(kind) -> torch.Tensor:
    return kind.planted()[0]


@pytest.fixture
def objective(case, kind, rows) -> Objective:
    torch.manual_seed(0)
    built = unbuilt(case[0], kind.layout)
    built.build(rows.shape[1])
    built.prepare(rows)
    return built


@pytest.fixture
def network(objective) -> Objective:
    if isinstance(objective, MemoryObjective):
        pytest.skip("it remembers rows and has no gradient")
    return objective


def test_losses_have_one_finite_value_per_row(objective, rows):
    losses = objective.losses(rows)
    assert isinstance(losses, Losses)
    assert losses.normal.shape == losses.abnormal.shape == (len(rows),)
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()


def test_a_batch_of_one_row_works(objective, rows):
    one, all_rows = objective.losses(rows[:1]), objective.losses(rows)
    torch.testing.assert_close(one.normal, all_rows.normal[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one.abnormal, all_rows.abnormal[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["normal", "abnormal"])
def test_the_gradient_of_each_loss_reaches_every_parameter(network, rows, loss):
    getattr(network.losses(rows), loss).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("end", [0, 1])
def test_extreme_rows_keep_losses_and_gradients_finite(objective, kind, end):
    losses = objective.losses(list(kind.extremes.values())[end])
    if not isinstance(objective, MemoryObjective):
        (losses.normal.mean() + losses.abnormal.mean()).backward()
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def test_normal_and_abnormal_losses_pull_in_opposite_directions(network, rows):
    """Stepping down the abnormal loss raises the normal loss: that is what makes suspects stand out."""
    before = network.losses(rows).normal.mean()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        network.losses(rows).abnormal.mean().backward()
        optimizer.step()
    assert network.losses(rows).normal.mean() > before


@pytest.mark.parametrize(("name", "kind"), FIRST)
def test_training_moves_every_parameter_and_beats_the_untrained_self(name, kind):
    rows, truth = KINDS[kind].planted()
    normal_rows = rows[torch.from_numpy(truth == 0)]
    ensemble = build_members(unbuilt(name, KINDS[kind].layout), normal_rows, SEEDS)
    start = {key: value.clone() for key, value in ensemble.named_parameters()}
    untrained = mean_auroc(ensemble, rows, truth)
    settings = Settings(seeds=SEEDS, epochs=KINDS[kind].epochs, batch_size=KINDS[kind].batch_size)
    outliers = auxiliary() if OBJECTIVES[name].needs_anomalies else None
    Loop(make_fabric("cpu", "32", 0), blind, 0.0, settings).run(ensemble, TrainingSet(normal_rows, None, outliers))
    for key, parameter in ensemble.named_parameters():
        assert not torch.equal(parameter, start[key]), key
    trained = mean_auroc(ensemble, rows, truth)
    assert trained > untrained + 0.1
    assert trained > 0.75


def mean_auroc(ensemble, rows: torch.Tensor, truth: np.ndarray) -> float:
    scores = ensemble(rows, "score").detach().numpy()
    assert (np.ptp(scores, axis=1) > 0).all()
    return float(np.mean([roc_auc_score(truth, member) for member in scores]))


def test_hyperparameters_rebuild_the_same_objective(objective, rows):
    twin = type(objective)(**objective.hyperparameters())
    twin.layout = objective.layout
    twin.build(rows.shape[1])
    twin.load_state_dict(objective.state_dict())
    torch.testing.assert_close(twin.losses(rows).normal, objective.losses(rows).normal)


def test_very_wide_rows_stay_affordable(case, kind):
    objective = unbuilt(case[0], None if kind.layout is None else kind.wide)
    width = kind.wide.n_values
    few = torch.rand(4, width) * max(1, kind.wide.n_tokens - 1)  # any values, or any tokens
    objective.build(width)
    objective.prepare(few)
    assert sum(p.numel() for p in objective.parameters()) < 3e7
    assert torch.isfinite(objective.losses(few[:3]).normal).all()
