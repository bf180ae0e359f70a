"""What every registered objective must do, with each form of parts it reads. A new one is taken from the registry."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.encoders import FORMS, Layout
from expose.errors import InputError
from expose.objectives import OBJECTIVES, Descend, Losses, MemoryObjective, MHRot, Objective, Remember, make_objective
from expose.objectives.base import allowed_settings
from expose.training import Plan, TrainingSet, build_members, train
from expose.training.ensemble import built as built_member

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


def planted_places(n: int = 400, anomalies: int = 40) -> Planted:
    """Samples of three places on planes of their own and a vector of the whole, and some with one place off it."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(n, 3, 1, 2)) @ rng.normal(size=(3, 2, 5)) + 0.1 * rng.normal(size=(n, 3, 1, 5))
    places[np.arange(anomalies), np.arange(anomalies) % 3] = 2 * rng.normal(size=(anomalies, 1, 5))
    rows = np.concatenate([places.reshape(n, 15), 3 + rng.normal(size=(n, 4))], axis=1)
    return torch.from_numpy(rows.astype(np.float32)), (np.arange(n) < anomalies).astype(int)


class Form(NamedTuple):
    """Parts of one form."""

    layout: Layout
    planted: Callable[[], Planted]
    extremes: dict[str, torch.Tensor]
    wide: Layout
    epochs: int = 40
    batch_size: int = 64


PLANE, PLACES = planted_rows()[0], planted_places()[0]
PARTS = {
    "vector": Form(
        Layout("vector", (WIDTH,)),
        planted_rows,
        {"tiny": PLANE * 1e-30, "huge": PLANE * 1e4},
        Layout("vector", (21_000,)),
    ),
    "image": Form(
        Layout("image", (1, 6, 6)),
        planted_images,
        {"black": torch.zeros(5, 36), "white": torch.ones(5, 36)},
        Layout("image", (3, 64, 64)),
        epochs=12,
        batch_size=16,
    ),
    "tokens": Form(
        Layout("tokens", (WIDTH,), 22),
        planted_texts,
        {"empty": torch.zeros(5, WIDTH), "unseen": torch.ones(5, WIDTH)},
        Layout("tokens", (256,), 10_002),
    ),
    "grid": Form(
        Layout("grid", (1, 3, 5), places=(1, 3), beside=4),
        planted_places,
        {"tiny": PLACES * 1e-30, "huge": PLACES * 1e4},
        Layout("grid", (14, 14, 100), places=(14, 14), beside=1280),
    ),
}
SMALL = {"mhrot": {"depth": 10, "widen": 1}}  # as published a wide network sees each image 36 times
QUICK = {"mhrot": SMALL["mhrot"] | {"views": 4}}
CASES = [(name, form) for name in sorted(OBJECTIVES) for form in OBJECTIVES[name].forms]
FIRST = [  # of parts it was made for: what it learns of others, tests/estimators/test_kinds.py asks
    (name, form)
    for name, form in CASES
    if form == OBJECTIVES[name].forms[0] and not issubclass(OBJECTIVES[name], MemoryObjective)
]


def built(objective: Objective, layout: Layout) -> Objective:
    objective.layout = layout
    objective.build(layout)
    return objective


@pytest.fixture(params=CASES, ids="-".join)
def case(request) -> tuple[str, str]:
    return request.param


@pytest.fixture
def form(case) -> Form:
    return PARTS[case[1]]


@pytest.fixture
def rows(form) -> torch.Tensor:
    return form.planted()[0]


@pytest.fixture
def objective(case, form, rows) -> Objective:
    torch.manual_seed(0)
    made = built(make_objective(case[0], **SMALL.get(case[0], {})), form.layout)
    made.prepare(rows)
    return made


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


def test_the_score_is_the_largest_of_the_components_if_there_are_any(objective, rows):
    if not objective.components:
        with pytest.raises(TypeError, match="no components"):
            objective.component_scores(rows[:8])
        return
    scores = objective.component_scores(rows[:8])
    assert scores.shape == (8, len(objective.components))
    assert torch.equal(scores.amax(dim=1), objective.score(rows[:8]))


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
def test_extreme_rows_keep_losses_and_gradients_finite(objective, form, end):
    losses = objective.losses(list(form.extremes.values())[end])
    if not isinstance(objective, MemoryObjective):
        (losses.normal.mean() + losses.abnormal.mean()).backward()
    assert torch.isfinite(losses.normal).all()
    assert torch.isfinite(losses.abnormal).all()
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def test_normal_and_abnormal_losses_pull_in_opposite_directions(network, rows):
    """Stepping down the abnormal loss raises the normal loss: that is what makes suspects stand out."""
    some = rows[:64]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    if isinstance(network, MHRot):  # one that knows nothing is worse than one that knows that
        step_down(network, some, "normal", optimizer)
    before = network.losses(some).normal.mean()
    step_down(network, some, "abnormal", optimizer)
    assert network.losses(some).normal.mean() > before


def step_down(network: Objective, rows: torch.Tensor, loss: str, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(20):
        optimizer.zero_grad()
        getattr(network.losses(rows), loss).mean().backward()
        optimizer.step()


@pytest.mark.parametrize(("name", "form"), FIRST)
def test_training_moves_every_parameter_and_beats_the_untrained_self(name, form):
    parts = PARTS[form]
    rows, truth = parts.planted()
    normal_rows = rows[torch.from_numpy(truth == 0)]
    objective = make_objective(name, epochs=parts.epochs, batch_size=parts.batch_size, **QUICK.get(name, {}))
    start = build_members(objective, parts.layout, normal_rows, SEEDS)
    outliers = auxiliary() if objective.needs_anomalies else None
    plan = Plan(objective, parts.layout, "blind", 0.0, SEEDS, torch.device("cpu"))
    ensemble = train(plan, TrainingSet(normal_rows, None, outliers)).ensemble
    for key, parameter in ensemble.named_parameters():
        assert not torch.equal(parameter, start.get_parameter(key)), key
    untrained, trained = (mean_auroc(each, rows, truth) for each in (start, ensemble))
    assert trained > untrained + 0.1
    assert trained > 0.75


@pytest.mark.parametrize("name", sorted(n for n, cls in OBJECTIVES.items() if issubclass(cls, MemoryObjective)))
def test_what_remembers_finds_what_was_planted(name):
    parts = PARTS[OBJECTIVES[name].forms[0]]
    rows, truth = parts.planted()
    plan = Plan(make_objective(name), parts.layout, "refine", 0.1, SEEDS, torch.device("cpu"))
    assert mean_auroc(train(plan, TrainingSet(rows)).ensemble, rows, truth) > 0.75


def mean_auroc(ensemble, rows: torch.Tensor, truth: np.ndarray) -> float:
    scores = ensemble(rows, "score").detach().numpy()
    assert (np.ptp(scores, axis=1) > 0).all()
    return float(np.mean([roc_auc_score(truth, member) for member in scores]))


def test_settings_rebuild_the_same_objective(objective, rows):
    twin = built(type(objective)(**objective.settings()), objective.layout)
    twin.load_state_dict(objective.state_dict())
    torch.testing.assert_close(twin.losses(rows).normal, objective.losses(rows).normal)


CHANGED = {Descend: {"epochs": 3, "batch_size": 7, "warmup": 1, "optimizer": "sgd"}, Remember: {"reference_points": 9}}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_settings_tell_what_was_changed_and_make_the_same_again(name):
    usual = make_objective(name)
    changed = CHANGED[type(usual.recipe)]
    made = make_objective(name, **changed)
    assert usual.settings() == usual.hyperparameters()
    assert made.settings() == usual.settings() | changed
    again = make_objective(name, **made.settings())
    assert (again.settings(), again.recipe) == (made.settings(), made.recipe)
    assert make_objective(made).settings() == made.settings()


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_settings_that_an_objective_does_not_have_are_refused_by_name(name):
    recipe = type(OBJECTIVES[name].recipe)
    takes = f"{recipe.__name__}: {next(iter(CHANGED[recipe]))}"
    with pytest.raises(InputError, match=f"has no setting 'epoch', 'rate'.*{takes}"):
        make_objective(name, epoch=3, rate=0.1)
    other = next(other for other in CHANGED if other is not recipe)
    with pytest.raises(InputError, match=f"has no setting '{min(CHANGED[other])}'"):
        make_objective(name, **CHANGED[other])


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_all_that_may_be_set_is_listed_with_its_default(name):
    usual = make_objective(name)
    assert allowed_settings(type(usual)) == usual.hyperparameters() | vars(usual.recipe)
    assert set(usual.forms) <= set(FORMS)


def test_very_wide_rows_stay_affordable(case, form):
    few = torch.rand(4, form.wide.n_values) * max(1, form.wide.n_tokens - 1)  # any values, or any tokens
    objective = built(make_objective(case[0]), form.wide)
    objective.prepare(few)
    assert sum(p.numel() for p in objective.parameters()) < 3e7
    assert torch.isfinite(objective.losses(few[:3]).normal).all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("neighbours", {"near": 0}),
        ("neighbours", {"near": -1}),
        ("neighbours", {"wide": ()}),
        ("neighbours", {"wide": 0.3}),
        ("neighbours", {"wide": (2, 3)}),
        ("neighbours", {"linked": float("nan")}),
        ("ntl", {"hidden": -4}),
        ("ntl", {"latent": 0}),
        ("ntl", {"temperature": "warm"}),
        ("ntl", {"constant": float("nan")}),
        ("svdd", {"hidden": 2.5}),
        ("svdd", {"epsilon": -1}),
        ("icl", {"window": 0}),
        ("icl", {"temperature": 0}),
        ("hsc", {"epsilon": -1}),
        ("bce", {"focal_gamma": "x"}),
        ("deep_sad", {"eta": -1}),
        ("autoencoder", {"latent": -1}),
        ("flow", {"margin": float("nan")}),
        ("language", {"embedding": 0}),
        ("pixelcnn", {"width": 0}),
        ("mhrot", {"depth": 12}),
        ("mhrot", {"views": 37}),
        ("mhrot", {"dropout": 1.0}),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name_before_a_layer_is_made(name, settings):
    with pytest.raises(InputError, match=f"{next(iter(settings))} must be"):
        built_member(make_objective(name, **settings), Layout("vector", (3,)))
