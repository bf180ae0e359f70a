"""What every registered objective must do. A new objective is picked up from the registry."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.exposure import blind
from expose.inputs import Layout
from expose.objectives import OBJECTIVES, Losses, MemoryObjective, Objective
from expose.training import Loop, Settings, TrainingSet, build_members, make_fabric

WIDTH = 9  # divisible by three, for objectives that look at each column in three scalings
NETWORKS = sorted(name for name, objective in OBJECTIVES.items() if not issubclass(objective, MemoryObjective))
SEEDS = (0, 1, 2)
LAYOUTS = {"image": Layout("image", (3, 8, 8)), "text": Layout("text", (9,), n_tokens=20)}
UNFOLDED = sorted((name, kind) for name in NETWORKS for kind in OBJECTIVES[name].kinds if kind != "table")


@pytest.fixture(params=sorted(OBJECTIVES))
def objective(request) -> Objective:
    torch.manual_seed(0)
    built = OBJECTIVES[request.param]()
    built.build(WIDTH)
    built.prepare(planted()[0])
    return built


@pytest.fixture
def network(objective) -> Objective:
    if isinstance(objective, MemoryObjective):
        pytest.skip("it remembers rows and has no gradient")
    return objective


def planted(n: int = 400, anomalies: int = 40) -> tuple[torch.Tensor, np.ndarray]:
    """Rows on a plane, and anomalies off it."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 3)) @ rng.normal(size=(3, WIDTH)) + 0.1 * rng.normal(size=(n, WIDTH))
    rows[:anomalies] = rng.normal(size=(anomalies, WIDTH)) * rows.std(0)
    return torch.from_numpy(rows.astype(np.float32)), (np.arange(n) < anomalies).astype(int)


def auxiliary() -> torch.Tensor:
    """Rows off the plane in all directions, not the anomalies that are asked for."""
    return 3 * torch.randn(100, WIDTH, generator=torch.Generator().manual_seed(1))


def test_losses_have_one_finite_value_per_row(objective):
    rows, _ = planted()
    losses = objective.losses(rows)
    assert isinstance(losses, Losses)
    assert losses.normal.shape == losses.abnormal.shape == (len(rows),)
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()


def test_a_batch_of_one_row_works(objective):
    rows, _ = planted()
    one, all_rows = objective.losses(rows[:1]), objective.losses(rows)
    torch.testing.assert_close(one.normal, all_rows.normal[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one.abnormal, all_rows.abnormal[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["normal", "abnormal"])
def test_the_gradient_of_each_loss_reaches_every_parameter(network, loss):
    getattr(network.losses(planted()[0]), loss).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("scale", [1e-30, 1e4])
def test_extreme_rows_keep_losses_and_gradients_finite(objective, scale):
    losses = objective.losses(planted()[0] * scale)
    if not isinstance(objective, MemoryObjective):
        (losses.normal.mean() + losses.abnormal.mean()).backward()
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def test_normal_and_abnormal_losses_pull_in_opposite_directions(network):
    """Stepping down the abnormal loss raises the normal loss: that is what makes suspects stand out."""
    rows, _ = planted()
    before = network.losses(rows).normal.mean()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        network.losses(rows).abnormal.mean().backward()
        optimizer.step()
    assert network.losses(rows).normal.mean() > before


@pytest.mark.parametrize("name", NETWORKS)
def test_training_moves_every_parameter_and_beats_the_untrained_self(name):
    rows, truth = planted()
    normal_rows = rows[torch.from_numpy(truth == 0)]
    ensemble = build_members(OBJECTIVES[name](), normal_rows, SEEDS)
    start = {key: value.clone() for key, value in ensemble.named_parameters()}
    untrained = mean_auroc(ensemble, rows, truth)
    settings = Settings(seeds=SEEDS, epochs=40, batch_size=64)
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


def test_hyperparameters_rebuild_the_same_objective(objective):
    twin = type(objective)(**objective.hyperparameters())
    twin.build(WIDTH)
    twin.load_state_dict(objective.state_dict())
    rows = planted()[0]
    torch.testing.assert_close(twin.losses(rows).normal, objective.losses(rows).normal)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_very_wide_rows_stay_affordable(name):
    objective = OBJECTIVES[name]()
    objective.build(21_000)
    objective.prepare(torch.randn(4, 21_000))
    assert sum(p.numel() for p in objective.parameters()) < 3e7
    assert torch.isfinite(objective.losses(torch.randn(3, 21_000)).normal).all()


def unfolded_rows(kind: str, n: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if kind == "image":
        return torch.rand(n, LAYOUTS[kind].n_values, generator=generator)
    rows = torch.randint(1, 20, (n, 9), generator=generator).float()
    rows[0], rows[1, 3:] = 0, 0
    return rows


@pytest.mark.parametrize(("name", "kind"), UNFOLDED)
def test_images_and_texts_have_losses_of_their_own_row_alone(name, kind):
    objective, rows = OBJECTIVES[name](), unfolded_rows(kind)
    objective.layout = LAYOUTS[kind]
    torch.manual_seed(0)
    objective.build(LAYOUTS[kind].n_values)
    objective.prepare(rows)
    losses = objective.losses(rows)
    assert losses.normal.shape == losses.abnormal.shape == (len(rows),)
    for place in (0, 1, 5):
        alone = objective.losses(rows[place : place + 1])
        torch.testing.assert_close(alone.normal, losses.normal[place : place + 1], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(alone.abnormal, losses.abnormal[place : place + 1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), UNFOLDED)
def test_members_on_images_and_texts_train_apart_and_tell_outliers(name, kind):
    """Outliers: dark images, or texts of the later half of the tokens."""
    objective, rows = OBJECTIVES[name](), unfolded_rows(kind)
    objective.layout = LAYOUTS[kind]
    outliers = rows * 0.3 if kind == "image" else torch.where(rows > 0, 10 + rows // 2, rows)[2:]
    rows = rows if kind == "image" else torch.where(rows > 0, (rows / 2).ceil(), rows)[2:]
    together = build_members(objective, rows, SEEDS[:2])
    settings = Settings(seeds=SEEDS[:2], epochs=30, batch_size=20, patience=30)
    Loop(make_fabric("cpu", "32", 0), blind, 0.0, settings).run(together, TrainingSet(rows, None, outliers))
    truth = np.repeat([0, 1], [len(rows), len(outliers)])
    assert mean_auroc(together, torch.cat([rows, outliers]), truth) > 0.95
    alone = build_members(objective, rows, SEEDS[1:2])
    alone_settings = Settings(seeds=SEEDS[1:2], epochs=30, batch_size=20, patience=30)
    Loop(make_fabric("cpu", "32", 0), blind, 0.0, alone_settings).run(alone, TrainingSet(rows, None, outliers))
    torch.testing.assert_close(together.member(1).score(rows), alone.member(0).score(rows), rtol=1e-2, atol=1e-2)
