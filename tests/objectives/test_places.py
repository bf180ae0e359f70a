"""Objectives of the places of photos: what is left out of what, and who weighs how much."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose.encoders import Layout
from expose.objectives import Gaussian, LocalGlobal, Neighbours, PatchMemory
from expose.objectives.neighbours import SURVIVAL
from expose.training import Ensemble, member_outputs, ready_to_score
from expose.training.ensemble import built, loaded_members

LAYOUT = Layout("grid", (2, 2, 6), places=(2, 2), beside=5)


def rows(n: int = 40, seed: int = 0) -> torch.Tensor:
    made = np.random.default_rng(seed).normal(size=(n, LAYOUT.n_values))
    return torch.from_numpy(made.astype(np.float32))


def fitted(objective, data: torch.Tensor, keep: torch.Tensor | None = None):
    member = built(objective, LAYOUT)
    ones = torch.ones(len(data))
    member.remember(data, ones)
    member.refit(ones if keep is None else keep, torch.zeros(len(data)))
    return member


def test_a_sample_that_moments_were_taken_of_is_measured_against_the_others():
    data = rows()
    member = fitted(Gaussian(robust=False), data)
    others = fitted(Gaussian(robust=False), data[1:])
    expected = others.part_scores(data[:1])  # but for its part in the covariance of all places
    assert torch.allclose(member.part_scores(data[:1]), expected, rtol=0.03)
    inside = member.distances(member.places(data[:1]))
    assert (inside < 0.98 * expected).all()


def test_new_samples_of_the_same_kind_score_as_the_remembered_ones_do():
    member = fitted(Gaussian(), rows(60))
    new, old = member.score(rows(400, seed=1)), member.score(rows(60))
    assert abs(float(new.median() / old.median()) - 1) < 0.05
    flagged = (new > old.quantile(0.9)).float().mean()
    assert 0.05 < flagged < 0.2


def test_a_sample_that_was_left_out_of_the_moments_is_measured_as_any_other():
    data, keep = rows(), torch.ones(40)
    keep[0] = 0
    member = fitted(Gaussian(), data, keep)
    assert torch.equal(member.part_scores(data[:1]), member.distances(member.places(data[:1])))


def test_nearly_the_same_values_are_known_again_and_others_are_not():
    member = fitted(Gaussian(), rows())
    own = member.own_weight(member.places(rows() * (1 + 1e-6)))
    assert torch.equal(own, torch.ones(40))
    assert member.own_weight(member.places(rows(1000, seed=1))).sum() == 0


def test_photos_that_are_all_the_same_have_finite_scores():
    same = rows(1).repeat(30, 1)
    for objective in (Gaussian(), LocalGlobal()):
        assert torch.isfinite(fitted(objective, same).score(same)).all()


def test_places_far_out_weigh_less_in_robust_moments():
    data = rows(200)
    data[:20, :6] += 3  # one place of every tenth sample
    new = rows(200, seed=1)
    new[:100, :6] += 3
    truth = np.arange(200) < 100
    robust, plain = (roc_auc_score(truth, fitted(Gaussian(robust=robust), data).score(new)) for robust in (True, False))
    assert robust > plain + 0.01


def test_what_is_odd_in_a_place_and_what_is_odd_as_a_whole_are_both_found():
    new = rows(60, seed=1) + 2
    data = rows(200) + 2
    new[:10, :6] += 12
    new[10:20, 24:] *= -1
    member = fitted(LocalGlobal(), data)
    components = member.component_scores(new)
    assert components[:10].argmax(dim=1).eq(0).all()
    assert components[10:20].argmax(dim=1).eq(1).all()
    assert roc_auc_score(np.arange(60) < 20, member.score(new)) > 0.97


def test_the_score_is_the_log_of_the_harmonic_mean_of_two_p_values():
    data, new = rows(200), rows(20, seed=1)
    member = fitted(LocalGlobal(), data)
    whole = built(Neighbours(whiten=False), Layout("vector", (5,)))
    vectors = torch.nn.functional.normalize(data[:, 24:], dim=1)
    whole.remember(vectors, torch.ones(200))
    whole.refit(torch.ones(200), torch.zeros(200))
    rare = whole.score(torch.nn.functional.normalize(new[:, 24:], dim=1))
    components = member.component_scores(new)
    local = (components[:, 0] - components[:, 1]) + rare
    expected = torch.log((local.exp() + rare.exp()) / 2)
    assert torch.allclose(member.score(new), expected, atol=1e-4)
    assert member.tails.shape[-1] == len(SURVIVAL)


def test_the_length_of_a_photos_vector_makes_no_difference():
    data, new = rows(100), rows(20, seed=1)
    member, before = fitted(LocalGlobal(), data), fitted(LocalGlobal(), data).score(new)
    new[:, 24:] *= 7
    assert torch.allclose(member.score(new), before, atol=1e-4)


def test_the_patches_of_a_photo_are_not_its_own_neighbours():
    data = rows()
    member = fitted(PatchMemory(near=1, dropped=0.0), data)
    patches, owner = data[:, :24].reshape(-1, 6), torch.arange(40).repeat_interleave(4)
    apart = torch.cdist(patches, patches).masked_fill(owner[:, None] == owner, torch.inf)
    assert torch.allclose(member.part_scores(data).flatten(), apart.amin(dim=1), atol=1e-3)


def test_a_memory_of_patches_does_not_ask_where_they_lie_and_a_gaussian_does():
    data = rows(200)
    data[:, :24] += torch.arange(4).repeat_interleave(6) * 9.0
    turned = data[:, [*range(12, 24), *range(12), *range(24, 29)]] + 0.01
    memory, gaussian = (fitted(objective, data) for objective in (PatchMemory(), Gaussian()))
    assert memory.score(turned).median() < 1.2 * memory.score(data).median()
    assert gaussian.score(turned).median() > 3 * gaussian.score(data).median()


def test_remote_patches_and_those_of_suspects_are_not_remembered():
    data, keep = rows(), torch.ones(40)
    data[0, :6] += 50
    keep[1:3] = 0
    member = fitted(PatchMemory(dropped=0.05), data, keep)
    counted = set(member.owner[member.kept > 0].int().tolist())
    assert not {1, 2} & counted
    assert member.kept[(member.owner == 0)].sum() < 4


def test_so_many_patches_are_remembered_and_of_all_photos():
    member = fitted(PatchMemory(most=80), rows())
    assert len(member.patches) == 80
    assert len(set(member.owner.tolist())) == 40


def test_one_photo_of_which_all_others_are_unknown_has_finite_scores():
    member = fitted(PatchMemory(), rows(2), torch.tensor([1.0, 0.0]))
    assert torch.isfinite(member.score(rows(3, seed=1))).all()
    assert torch.isfinite(member.score(rows(2))).all()


@pytest.mark.parametrize("objective", [Gaussian, LocalGlobal, PatchMemory])
def test_a_photo_scores_the_same_to_the_bit_alone_and_among_many_and_after_a_folder(objective):
    layout = Layout("grid", (7, 7, 40), places=(7, 7), beside=200)
    made = np.random.default_rng(0).normal(size=(60, layout.n_values)).astype(np.float32)
    member = built(objective(), layout)
    ones = torch.ones(40)
    member.remember(torch.from_numpy(made[:40]), ones)
    member.refit(ones, 0 * ones)
    ready = ready_to_score(Ensemble([member]), torch.device("cpu"))
    again = loaded_members(objective(), layout, 1, ready.state_dict())
    for method, width in (("score", None), ("part_scores", layout.n_places)):
        said = member_outputs(ready, made, method, width)[0]
        alone = [member_outputs(ready, made[row : row + 1], method, width)[0, 0] for row in range(30, 50)]
        assert np.array_equal(said[30:50], alone)
        assert np.array_equal(said[::-1], member_outputs(ready, made[::-1].copy(), method, width)[0])
        assert np.array_equal(said, member_outputs(again, made, method, width)[0])


@pytest.mark.parametrize("objective", [Gaussian, LocalGlobal, PatchMemory])
def test_a_sample_without_a_vector_of_the_whole_is_judged_by_its_places(objective):
    layout = Layout("grid", (2, 2, 6), places=(2, 2))
    member = built(objective(), layout)
    data = rows()[:, :24]
    member.remember(data, torch.ones(40))
    member.refit(torch.ones(40), torch.zeros(40))
    assert torch.isfinite(member.score(data)).all()
    assert member.part_scores(data).shape == (40, 4)


VECTORS = Layout("vector", (6,))


def of_vectors(n: int) -> tuple[Gaussian, torch.Tensor]:
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)) * torch.arange(1, 7)
    member = built(Gaussian(robust=False), VECTORS)
    member.remember(data, torch.ones(n))
    return member, data


def test_a_vector_is_a_sample_of_one_place():
    member, data = of_vectors(400)
    away = data - data.mean(dim=0)
    expected = torch.sqrt((away @ torch.linalg.inv(away.T @ away / 400) * away).sum(dim=1))
    assert torch.allclose(member.score(data), expected, rtol=0.02)
    assert member.part_scores(data).shape == (400, 1)


def test_of_a_wide_vector_random_projections_are_looked_at_and_kept():
    layout = Layout("vector", (2_000,))
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 2_000)).astype(np.float32))
    data[0] *= 3
    member = built(Gaussian(), layout)
    scores = member.remember(data, torch.ones(300))
    assert scores.argmax() == 0
    again = loaded_members(Gaussian(), layout, 1, Ensemble([member]).state_dict()).member(0)
    assert torch.equal(again.score(data), member.score(data))


def test_of_few_vectors_each_is_measured_against_the_others_and_of_many_none_pulls():
    few, data = of_vectors(40)
    assert len(few.sums) == 40
    assert (few.score(data) > 1.02 * few.distances(few.places(data))[:, 0]).all()
    many, _ = of_vectors(120)
    assert len(many.sums) == 0
    assert len(loaded_members(Gaussian(robust=False), VECTORS, 1, Ensemble([many]).state_dict()).member(0).sums) == 0


def test_exchangeable_places_have_moments_in_common_and_are_judged_by_more():
    layout = Layout("grid", (12, 15, 4), places=(12, 15), exchangeable=True)
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(30, layout.n_values)).astype(np.float32))
    data[7].view(12, 15, 4)[3:5, 4:6] += 5
    member = built(Gaussian(robust=False), layout)
    member.remember(data, torch.ones(30))
    assert (tuple(member.mean.shape), tuple(member.root.shape), member.n_worst) == ((1, 4), (1, 4, 4), 6)
    flat = data.view(-1, 4).double()
    away = flat - flat.mean(dim=0)
    covariance = away.T @ away / len(flat)
    expected = torch.sqrt((away @ torch.linalg.inv(covariance) * away).sum(dim=1)).view(30, 180).float()
    torch.testing.assert_close(member.part_scores(data), expected, rtol=1e-2, atol=1e-2)
    moved = data.view(30, 12, 15, 4).roll((2, 3), dims=(1, 2)).reshape(30, -1)
    torch.testing.assert_close(member.score(moved), member.score(data))
    assert int(member.score(data).argmax()) == 7
    assert built(Gaussian(worst=2), layout).n_worst == 2


def test_exchangeable_places_of_many_samples_are_drawn(monkeypatch):
    layout = Layout("grid", (4, 4, 3), places=(4, 4), exchangeable=True)
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(200, layout.n_values)).astype(np.float32))
    whole = built(Gaussian(), layout)
    whole.remember(data, torch.ones(200))
    monkeypatch.setattr("expose.objectives.gaussian.MOST", 800)
    some = built(Gaussian(), layout)
    some.remember(data, torch.ones(200))
    torch.testing.assert_close(some.score(data), whole.score(data), rtol=0.1, atol=0.1)
    keep = torch.ones(200)
    keep[:50] = 0
    some.refit(keep, torch.zeros(200))
    assert some.kept.sum() == 150
