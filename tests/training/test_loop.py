"""The loop: what it steps on, what it records, how it stops and goes on."""

import numpy as np
import pytest
import torch
from torch import nn

from expose.encoders import Layout
from expose.errors import CheckpointWarning, InputError, InterruptedWarning, NonFiniteLossError
from expose.exposure import Weights
from expose.objectives import NTL, Autoencoder, Descend, Losses, Objective, make_objective
from expose.training import Plan, TrainingSet, build_members, torch_device, train
from expose.training.churn import epoch_overlap, flipped_share, member_overlap
from expose.training.compute import fitting_threads
from expose.training.descend import Loop, weighted_mean
from expose.training.order import batches, mix, outlier_batches, shuffle
from expose.training.plan import settled

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(103, 4, generator=GENERATOR)  # batches of 20: the last has 3 rows
ROWS[:10] += 5
LAYOUT = Layout("vector", (4,))
CPU = torch.device("cpu")
OF_THE_PLAN = {"checkpoint", "fingerprint", "verbose"}


def planned(exposure="soft", contamination=0.1, seeds=(0, 1), objective=Autoencoder, layout=LAYOUT, **settings) -> Plan:
    recipe = {"epochs": 5, "batch_size": 20, "warmup": 2} | settings
    more = {name: recipe.pop(name) for name in OF_THE_PLAN & recipe.keys()}
    return Plan(objective(**recipe), layout, exposure, contamination, seeds, CPU, **more)


def run(exposure="soft", contamination=0.1, data=None, **settings):
    trained = train(planned(exposure, contamination, **settings), data or TrainingSet(ROWS))
    return trained.ensemble, trained.history


def same(first, second) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_same_seed_same_model_to_the_bit_and_another_seed_another():
    assert same(run()[0], run()[0])
    assert not same(run()[0], run(seeds=(2, 3))[0])


@pytest.mark.parametrize("exposure", ["soft", "hard", "refine"])
def test_contamination_zero_trains_as_blind(exposure):
    assert same(run(exposure, contamination=0.0)[0], run("blind")[0])


@pytest.mark.parametrize("exposure", ["soft", "hard", "refine"])
def test_the_exposure_changes_the_training_only_after_the_warm_up(exposure):
    first, later = (run(exposure, epochs=6, warmup=warmup)[1] for warmup in (2, 3))
    blind = run("blind", epochs=6)[1]
    assert [r["loss"] for r in first[:2]] == [r["loss"] for r in later[:2]] == [r["loss"] for r in blind[:2]]
    assert first[2]["loss"] != later[2]["loss"] == blind[2]["loss"]


@pytest.mark.parametrize(("epochs", "warm", "warmup"), [(1, False, 0), (2, False, 1), (3, False, 2), (1, True, 0)])
def test_the_warm_up_leaves_an_epoch_for_the_exposure_and_is_not_repeated(epochs, warm, warmup):
    assert settled(Descend(epochs=epochs), 100, warm=warm).warmup == warmup
    assert settled(Descend(epochs=5, warmup=9), 100, warm=False).warmup == 4
    assert settled(Descend(epochs=5), 100, warm=True).warmup == 0


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_short_training_is_exposed(epochs):
    assert not same(run("hard", epochs=epochs)[0], run("blind", epochs=epochs)[0])
    assert run("hard", epochs=epochs)[1][-1]["contamination"] == 0.1


def test_training_that_goes_on_is_exposed_from_its_first_epoch():
    start = run("blind")[0].state_dict()
    blind, hard = (Plan(**vars(planned(name)) | {"start": start}) for name in ("blind", "hard"))
    blind, hard = (train(plan, TrainingSet(ROWS)) for plan in (blind, hard))
    assert hard.history[0]["contamination"] == 0.1
    assert hard.history[0]["loss"] != blind.history[0]["loss"]


class Centre(Objective):
    """The simplest objective: squared distance to a learned centre."""

    def build(self, layout):
        self.centre = nn.Parameter(torch.randn(layout.n_values))

    def losses(self, batch):
        distance2 = (batch - self.centre).square().mean(-1)
        return Losses(distance2, 1 / (distance2 + 0.1))


@pytest.mark.parametrize("ranking", ["batch", "running", "dataset"])
def test_every_ranking_scope_finds_the_planted_suspects(ranking):
    """Ten of 103 rows are far away. In batches of 7 there are none, one or several of them."""
    ensemble, history = run(epochs=30, ranking=ranking, batch_size=7, objective=Centre, learning_rate=0.03)
    assert set(ensemble(ROWS, "score").mean(0).topk(10).indices.tolist()) == set(range(10))
    overlap = history[-1]["member_overlap"]
    assert overlap > 0.7 if ranking == "dataset" else 0.05 < overlap < 0.9  # batches are drawn anew by each member


def test_history_records_what_happened():
    _, history = run()
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5]
    assert [record["contamination"] for record in history] == [0, 0, 0.1, 0.1, 0.1]
    assert history[0]["flipped"] == 0
    assert history[0]["overlap"] is None
    assert history[2]["flipped"] > 0
    assert all(np.isfinite(record["loss"]) and record["seconds"] > 0 for record in history)
    assert history[-1]["normal"] < history[0]["normal"]


def test_weighted_mean_by_hand_and_without_any_weight():
    losses = Losses(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[10.0, 20.0, 40.0]]))
    weights = Weights(torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[0.0, 0.5, 0.0]]))
    assert weighted_mean(losses, weights).item() == pytest.approx((1 + 1 + 10) / 2)
    nothing = Weights(torch.zeros(1, 3), torch.zeros(1, 3))
    assert weighted_mean(losses, nothing).item() == 0


def test_auxiliary_outliers_score_higher_when_they_are_given():
    outliers = torch.randn(31, 4, generator=GENERATOR) * 0.3 - 2
    plain, _ = run("blind", epochs=20)
    exposed, _ = run("blind", epochs=20, data=TrainingSet(ROWS, outliers=outliers))
    assert exposed(outliers, "score").mean() > 2 * plain(outliers, "score").mean()


def test_the_outlier_weight_means_the_same_with_every_batch_size():
    """The mean abnormal loss of the outliers is its own mean: with weight 0 they change nothing."""
    outliers = torch.randn(31, 4, generator=GENERATOR)
    assert same(run("blind")[0], run("blind", data=TrainingSet(ROWS, outliers=outliers), outlier_weight=0.0)[0])


def test_the_recorded_loss_is_what_is_minimised_outliers_included():
    outliers = torch.randn(31, 4, generator=GENERATOR)
    light, heavy = (
        run("blind", epochs=1, data=TrainingSet(ROWS, outliers=outliers), outlier_weight=w, learning_rate=0.0)[1][0]
        for w in (0.0, 10.0)
    )
    assert heavy["loss"] == pytest.approx(light["loss"] + 10 * light["outliers"])
    assert run(epochs=1)[1][0]["outliers"] is None


def test_outliers_are_walked_through_in_passes_that_go_on_from_epoch_to_epoch():
    outliers = torch.arange(7.0)[:, None]
    seen = [torch.cat(list(outlier_batches(outliers, [3, 3, 2], (0, 1), epoch)), 1)[..., 0] for epoch in range(7)]
    assert {tuple(part.shape) for part in outlier_batches(outliers, [3, 3, 2], (0, 1), 5)} == {(2, 3, 1), (2, 2, 1)}
    for member in torch.cat(seen, 1):  # 56 places, 8 passes
        for one_pass in member.split(7):
            assert sorted(one_pass.tolist()) == list(range(7))


def test_a_last_batch_of_one_row_joins_the_one_before():
    assert [part.shape[1] for part in batches(torch.arange(21)[None], 10)] == [10, 11]
    assert [part.shape[1] for part in batches(torch.arange(22)[None], 10)] == [10, 10, 2]
    assert [part.shape[1] for part in batches(torch.arange(1)[None], 10)] == [1]


def test_known_labels_are_used_also_while_warming_up():
    known = torch.full((103,), -1, dtype=torch.int8)
    known[:10] = 1
    told, _ = run("blind", epochs=20, data=TrainingSet(ROWS, known=known))
    untold, _ = run("blind", epochs=20)
    gap = [e(ROWS, "score")[:, :10].mean() / e(ROWS, "score")[:, 10:].mean() for e in (told, untold)]
    assert gap[0] > 2 * gap[1]


def test_patience_stops_early_and_keeps_the_weights_of_the_lowest_loss():
    ensemble, history = run("blind", patience=3, epochs=300, learning_rate=0.05)
    assert len(history) < 300
    final, _ = run("blind", epochs=len(history), learning_rate=0.05)
    assert not same(ensemble, final)


def loop(plan: Plan, kind: type[Loop] = Loop) -> list:
    """The history of another kind of loop."""
    ensemble = build_members(plan.objective, plan.layout, ROWS, plan.seeds)
    return kind(plan, settled(plan.objective.recipe, len(ROWS), warm=False), 0.1).run(ensemble, TrainingSet(ROWS))


def test_a_run_that_was_killed_goes_on_to_the_same_model(tmp_path):
    class KilledError(Exception):
        pass

    class KilledLoop(Loop):
        def epoch(self, *args):
            if args[-1].epoch == 3:
                raise KilledError
            return super().epoch(*args)

    settings = {"objective": NTL, "epochs": 6, "patience": 50}
    kept = settings | {"checkpoint": tmp_path / "c", "checkpoint_every": 0, "fingerprint": "f"}
    with pytest.raises(KilledError):
        loop(planned(**kept), KilledLoop)
    assert (tmp_path / "c").exists()
    resumed, history = run(**kept)
    whole, whole_history = run(**settings)
    assert same(resumed, whole)
    assert [r["loss"] for r in history] == [r["loss"] for r in whole_history]
    again, _ = run(**kept)  # the checkpoint stays until the model is saved
    assert same(again, whole)


def test_a_checkpoint_of_another_run_is_not_used(tmp_path):
    settings = {"checkpoint": tmp_path / "c", "checkpoint_every": 0, "epochs": 3}

    class Stop(Loop):
        def is_stale(self, state):
            if state.epoch == 2:
                raise KeyboardInterrupt
            return False

    with pytest.warns(InterruptedWarning, match="2 of 3"):
        loop(planned(seeds=(0,), fingerprint="other", **settings), Stop)
    assert (tmp_path / "c").exists()
    with pytest.warns(CheckpointWarning, match="starts anew"):
        mine, _ = run(seeds=(0,), fingerprint="mine", **settings)
    assert same(mine, run(seeds=(0,), epochs=3)[0])


class Explodes(Objective):
    def build(self, layout):
        self.net = nn.Linear(layout.n_values, 1)

    def losses(self, batch):
        value = self.net(batch).squeeze(-1).exp() * float("inf")
        return Losses(value, value)


def test_a_loss_that_is_not_finite_is_an_error_that_says_so():
    with pytest.raises(NonFiniteLossError, match=r"epoch 1 .*smaller learning rate"):
        run(objective=Explodes)


def test_churn_by_hand():
    now = torch.tensor([[True, True, False, False], [True, False, False, False]])
    before = torch.tensor([[True, False, True, False], [True, False, False, False]])
    assert flipped_share(now, before) == pytest.approx(2 / 8)
    assert epoch_overlap(now, before) == pytest.approx((1 / 3 + 1) / 2)
    assert member_overlap(now) == pytest.approx(1 / 2)
    assert epoch_overlap(torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)) is None
    assert member_overlap(now[:1]) is None


def test_each_member_sees_every_row_once_an_epoch_in_its_own_order():
    order = shuffle((0, 1), 5, 50)
    assert (order.sort(-1).values == torch.arange(50)).all()
    assert not torch.equal(order[0], order[1])
    assert not torch.equal(order, shuffle((0, 1), 6, 50))


def test_mixed_seeds_are_far_apart():
    seeds = {mix(a, b, stream=c) for a in range(20) for b in range(20) for c in range(3)}
    assert len(seeds) == 1200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_progress_is_silent_plain_or_a_bar(capsys):
    run(verbose=0)
    assert capsys.readouterr().err == ""
    run(verbose=1, epochs=20)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("epoch 20/20  loss ")


def test_small_steps_use_one_thread_and_give_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with fitting_threads(1000):
        assert torch.get_num_threads() == 1
    with fitting_threads(10**9):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_devices_that_are_not_there_are_named():
    with pytest.raises(ValueError, match="'cuda:99' is not there"):
        torch_device("cuda:99")
    with pytest.raises(ValueError, match="device must be"):
        torch_device("gpu")
    with pytest.raises(InputError, match="precision must be"):
        Descend(precision="16")


def test_bf16_takes_the_same_path_coarsely():
    ensemble, history = run(objective=NTL, precision="bf16")
    fine, fine_history = run(objective=NTL)
    assert [r["loss"] for r in history] == pytest.approx([r["loss"] for r in fine_history], rel=0.1)
    assert not same(ensemble, fine)
    assert all(value.dtype == torch.float32 for value in ensemble.state_dict().values())


class Seen(Objective):
    """Remembers what it was given."""

    def build(self, layout):
        self.weight = torch.nn.Parameter(torch.ones(()))

    def losses(self, batch):
        self.seen = batch.detach().clone()
        return Losses(self.weight * batch[:, 0], self.weight / batch[:, 0])


def test_rows_are_not_rounded_to_bf16_on_their_way_in():
    rows = 5000.0 + torch.arange(4.0)[:, None]  # numbers of tokens, which would become another text
    one = {"seeds": (0,), "epochs": 1, "batch_size": 4, "precision": "bf16", "layout": Layout("vector", (1,))}
    ensemble, _ = run(objective=Seen, data=TrainingSet(rows), **one)
    assert torch.equal(ensemble.only.seen.sort(dim=0).values, rows)


@pytest.mark.parametrize("name", ["ntl", "icl"])
def test_similarities_are_not_rounded_to_bf16(name):
    torch.manual_seed(0)
    objective = make_objective(name)
    objective.build(LAYOUT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = objective.losses(ROWS)
    exact = objective.losses(ROWS)
    assert rounded.normal.dtype == torch.float32
    # a cosine rounded to eight bits is off by up to 0.004, which temperature 0.01 makes 0.4 of an exponent
    assert len(rounded.normal.unique()) > 0.95 * len(ROWS)
    torch.testing.assert_close(rounded.normal, exact.normal, rtol=0.15, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_the_same_losses():
    on_cuda = Plan(**vars(planned()) | {"device": torch.device("cuda")})
    history, expected = train(on_cuda, TrainingSet(ROWS)).history, run()[1]
    assert [r["loss"] for r in history] == pytest.approx([r["loss"] for r in expected], rel=1e-2)


def test_outliers_that_seem_normal_count_half_after_the_warm_up():
    plan = planned(outlier_share=0.5, warmup=1)
    loop = Loop(plan, settled(plan.objective.recipe, len(ROWS), warm=False), 0.0)
    losses = Losses(torch.tensor([[0.1, 2.0, 0.2, 3.0]]), torch.tensor([[3.0, 0.1, 2.0, 0.2]]))
    warming_up, after = (loop.outlier_weights(losses, epoch, 0) for epoch in (0, 1))
    assert (warming_up.keep_normal.tolist(), warming_up.keep_abnormal.tolist()) == ([[0.0] * 4], [[1.0] * 4])
    assert (after.keep_normal.tolist(), after.keep_abnormal.tolist()) == ([[0.5, 0, 0.5, 0]], [[0.5, 1, 0.5, 1]])
