"""Known anomalies of photos: in which directions their places are odd, and that others are found by it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.encoders import Layout
from expose.objectives import Gaussian, LocalGlobal
from expose.objectives.directions import SURE, inverse_shapes, likelier
from expose.training import Ensemble, Plan, TrainingSet, member_outputs, ready_to_score, train
from expose.training.ensemble import built, loaded_members

LAYOUT = Layout("grid", (2, 3, 8), places=(2, 3), beside=5)
DEFECT, HARMLESS = 0, 1  # values that differ at places of anomalies, and of photos that are odd and normal
N, M = 80, 60  # photos that are trained on, and new ones: a third each as usual, harmless, and with a defect


def photos(n: int, seed: int) -> torch.Tensor:
    made = np.random.default_rng(seed).normal(size=(n, LAYOUT.n_values))
    return torch.from_numpy(made.astype(np.float32))


def changed(rows: torch.Tensor, value: int, size: float) -> None:
    """Change a value at one place, another one from photo to photo."""
    places = torch.arange(len(rows)) % LAYOUT.n_places
    rows[torch.arange(len(rows)), places * LAYOUT.shape[-1] + value] += size


ROWS, NEW, FOREIGN = photos(N, 0), photos(M, 1), photos(30, 2) * 3
for rows, half in ((ROWS, 10), (NEW, 20)):
    changed(rows[:half], DEFECT, 9.0)
    changed(rows[half : 2 * half], HARMLESS, 9.0)
UNKNOWN = torch.full((N,), -1)


def trained(objective, known: torch.Tensor = UNKNOWN, outliers: torch.Tensor | None = None, **data) -> Ensemble:
    plan = Plan(objective(), LAYOUT, "blind", 0.1, (1,), torch.device("cpu"))
    return train(plan, TrainingSet(ROWS, known=known, outliers=outliers, **data)).ensemble


def said(anomalies: int = 0, normal: int = 0) -> torch.Tensor:
    known = UNKNOWN.clone()
    known[:anomalies], known[10 : 10 + normal] = 1, 0
    return known


def gaussian_of(ensemble: Ensemble) -> Gaussian:
    member = ensemble.only
    return member if isinstance(member, Gaussian) else member.local


def found(ensemble: Ensemble) -> float:
    """AUROC of new photos with a defect against those that are odd and harmless."""
    return float(roc_auc_score(np.arange(40) < 20, ensemble(NEW[:40], "score")[0]))


@pytest.mark.parametrize("objective", [Gaussian, LocalGlobal])
def test_a_few_known_defects_help_to_find_others(objective):
    none, few = found(trained(objective)), found(trained(objective, said(5)))
    assert none < 0.7
    assert few > none + 0.04


def test_known_normal_photos_that_are_odd_help_besides():
    def learned(known: torch.Tensor) -> Gaussian:  # by the objective alone, that no label spreads
        member = built(Gaussian(), LAYOUT)
        member.remember(ROWS, (known != 1).float())
        member.refit(torch.ones(N), torch.zeros(N))
        member.learn(known, 0.1)
        return member

    few, both = learned(said(5)), learned(said(5, 5))
    ratio = both.score(NEW) / few.score(NEW)
    assert ratio[20:40].mean() < ratio[:20].mean() - 0.02


@pytest.mark.parametrize("objective", [Gaussian, LocalGlobal])
@pytest.mark.parametrize("outliers", [None, FOREIGN])
def test_photos_that_nobody_called_anomalies_say_nothing_of_directions(objective, outliers):
    for known in (UNKNOWN, said(normal=5)):
        member = gaussian_of(trained(objective, known, outliers))
        assert len(member.shapes) == 0
        inside = member.left_out(member.distances(member.places(NEW)), torch.zeros(M))
        assert torch.equal(member.part_scores(NEW), inside)


def test_of_outliers_and_known_anomalies_only_these_say_something_of_directions():
    outliers = photos(30, 2)
    changed(outliers, 2, 9.0)
    alone, beside = (gaussian_of(trained(Gaussian, said(5), given)) for given in (None, outliers))
    torch.testing.assert_close(alone.shapes, beside.shapes, atol=0.01, rtol=0.0)


def test_of_an_anomaly_of_several_parts_nobody_knows_which_is_odd():
    assert len(gaussian_of(trained(Gaussian, said(5), certain=False)).shapes) == 0


def test_the_score_is_the_mean_of_the_worst_places_with_labels_too():
    member = gaussian_of(trained(Gaussian, said(5)))
    parts = member.part_scores(NEW)
    torch.testing.assert_close(member.score(NEW), parts.topk(5, dim=1).values.mean(dim=1))
    plain = member.left_out(member.distances(member.places(NEW)), torch.zeros(M))
    assert (parts / plain).std() > 0.02


def test_new_photos_score_as_the_remembered_ones_do_with_labels_too():
    ensemble = trained(Gaussian, said(5))
    new, old = ensemble(photos(300, 5), "score")[0].median(), ensemble(ROWS[20:], "score")[0].median()
    assert abs(float(new / old) - 1) < 0.05


def test_how_rare_a_distance_is_is_measured_with_labels_anew():
    member = trained(LocalGlobal, said(10)).only
    usual = torch.log(member.local.score(ROWS[10:])).median()
    assert abs(float(usual - member.tails[0, 0, 5])) < 0.01


@pytest.mark.parametrize("objective", [Gaussian, LocalGlobal])
def test_labels_are_in_the_saved_state_to_the_bit_and_photos_are_not(objective):
    ready = ready_to_score(trained(objective, said(5, 5)), torch.device("cpu"))
    again = loaded_members(objective(), LAYOUT, 1, ready.state_dict())
    rows = NEW.numpy()
    scores = member_outputs(ready, rows, "score", None)[0]
    assert np.array_equal(scores, member_outputs(again, rows, "score", None)[0])
    assert np.array_equal(scores[:1], member_outputs(ready, rows[:1], "score", None)[0])
    held = [value for value in vars(gaussian_of(ready)).values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() for value in held) == 0


def test_directions_of_anomalies_weigh_more_and_those_of_others_less_by_the_formula():
    axes = torch.eye(4)
    inverses = inverse_shapes(axes[:1].expand(10, 1, 4), axes[None, 1:2], torch.ones(1))
    weights = likelier(7 * axes, inverses)  # of a half: A = diag(2.5, .5, .5, .5), N = diag(.5, 2.5, .5, .5)
    torch.testing.assert_close(weights, torch.tensor([5.0, 0.2, 1.0, 1.0]).sqrt())
    assert torch.equal(likelier(torch.zeros(1, 4), inverses), torch.ones(1))


def test_one_known_anomaly_changes_little():
    axes = torch.eye(4)
    one = likelier(axes, inverse_shapes(axes[None, :1], axes[None, 1:2], torch.ones(1)))
    assert 1.1 < one.max() < 1.25
    assert 0.8 < one.min() < 0.9


def test_known_normal_photos_weigh_more_than_others():
    axes = torch.eye(4)
    inverses = inverse_shapes(axes[:1].expand(10, 1, 4), axes[1:3, None], torch.tensor([SURE, 1.0]))
    weights = likelier(axes, inverses)
    assert weights[1] < weights[2] < weights[3] < weights[0]
