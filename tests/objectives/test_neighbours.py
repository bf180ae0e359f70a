"""Distances to near, linked and wide neighbours, by hand and by law."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

from expose import AnomalyDetector
from expose.encoders import Layout, TableEncoder
from expose.errors import InputError
from expose.objectives import Neighbours, make_objective
from expose.objectives.distances import Points, exact
from expose.objectives.linking import joining_heights
from expose.objectives.memory import Ellipsoid, Memory, enclosing, weighted
from expose.objectives.neighbours import WIDEST, knots, tail, whitening

NONE = torch.zeros(1, 1)  # only at distance 0 a row is a remembered one


def test_weighted_sums_weights_and_leaves_the_row_itself_out():
    squared = torch.tensor([[0.0, 1.0, 4.0, 9.0]])
    for weight, expected in (([1, 1, 1, 1], 4.0), ([1, 0, 1, 1], 9.0), ([1, 0.5, 1, 1], 9.0), ([0, 1, 1, 1], 4.0)):
        assert weighted(squared, torch.tensor(weight, dtype=torch.float32), 2, NONE).tolist() == [[expected]]


def test_weighted_takes_the_furthest_row_where_weights_do_not_suffice():
    assert weighted(torch.tensor([[9.0, 1.0, 4.0]]), torch.tensor([0.0, 1.0, 1.0]), 5, NONE).tolist() == [[4.0]]


def memory_of(points: torch.Tensor, weights: torch.Tensor, cells: int | None = None) -> Memory:
    """What rows are compared with, without heights and anomalies."""
    cells = cells or len(points)
    heights, none = torch.zeros(len(points)), Points(points[:0])
    return Memory(Points(points, cells), cells, heights, weights, none, weights[:0], 0.0)


@pytest.mark.parametrize("count", [1, 3, 5, 50])
def test_whole_weights_give_the_same_as_any(count):
    """The shortcut for weights of 0 and 1 against the sum of weights, to which one far point adds a half."""
    generator = torch.Generator().manual_seed(0)
    points, rows = torch.rand(40, 3, generator=generator), torch.rand(6, 3, generator=generator)
    rows[0] = points[0]
    weight = (torch.rand(40, generator=generator) < 0.7).float()
    far = torch.cat([points, points[:1] + 100])
    count = min(count, int(weight.sum()) - 1)  # the first row is one of them
    by_sum = memory_of(far, torch.cat([weight, torch.tensor([0.5])])).measure(rows, count, (0.5,))
    whole = memory_of(points, weight).measure(rows, count, (0.5,))
    assert torch.allclose(whole[:, 0], by_sum[:, 0], rtol=1e-5)


@pytest.mark.parametrize("double", [True, False])
def test_products_give_the_distances_that_differences_give(double):
    rng = torch.Generator().manual_seed(0)
    points, rows = 100 + torch.rand(50, 4, generator=rng), 100 + torch.rand(9, 4, generator=rng)
    known = Points(points, 16, double=double)
    found = known.squared(known.lifted(rows))
    expected = (rows.double()[:, None] - points.double()).square().sum(dim=2).float()
    assert torch.allclose(found[:, :50], expected, rtol=1e-6 if double else 1e-4)
    assert torch.isinf(found[:, 50:]).all()


def test_a_point_found_again_is_at_no_distance_whatever_rounding_says():
    rng = torch.Generator().manual_seed(0)
    points = 1e6 * torch.rand(50, 7, generator=rng)
    for double in (True, False):
        known = Points(points, double=double)
        rows = known.lifted(points)
        assert (known.squared(rows).diagonal()[:, None] <= known.rounding(rows)).all()
    assert (exact(points).diagonal() == 0).all()


def test_near_neighbours_are_the_nearest_of_each_cell():
    points = torch.tensor([[0.0], [10.0], [1.0], [20.0], [2.0]])  # cells: 0, 1 and 2; 10 and 20
    found = memory_of(points, torch.ones(5), cells=2).measure(torch.tensor([[0.5]]), 2, (0.5,))
    assert float(found[0, 0].exp()) == pytest.approx(math.sqrt(0.5 * 9.5))
    dropped = torch.tensor([1.0, 0, 1, 1, 1])
    found = memory_of(points, dropped, cells=2).measure(torch.tensor([[0.5]]), 2, (0.5,))
    assert float(found[0, 0].exp()) == pytest.approx(math.sqrt(0.5 * 19.5))


def test_many_points_in_few_cells_measure_nearly_what_they_do_each_in_its_own():
    rng = torch.Generator().manual_seed(0)
    points, rows = torch.randn(2048, 6, generator=rng), torch.randn(300, 6, generator=rng)
    whole = memory_of(points, torch.ones(2048)).measure(rows, 5, (0.1, 0.3))
    parts = memory_of(points, torch.ones(2048), cells=256).measure(rows, 5, (0.1, 0.3))
    assert (parts[:, 0] - whole[:, 0]).min() >= -1e-6
    assert (parts[:, 0] - whole[:, 0]).mean() < 0.01
    assert (parts[:, 2:] - whole[:, 2:]).abs().mean() < 0.05


def test_enclosing_is_a_quantile_of_the_distances_to_other_rows():
    distance = torch.arange(1.0, 11.0)[None]  # 1 to 10
    assert enclosing(distance, (0.1, 0.5), NONE).flatten().tolist() == [1.0, 5.0]
    of_itself = torch.arange(0.0, 10.0)[None]  # the row itself, then 1 to 9
    assert enclosing(of_itself, (0.1, 0.5), NONE).flatten().tolist() == [1.0, 5.0]


def test_a_tail_is_minus_the_log_of_the_share_beyond():
    measured = torch.linspace(0, 10, 1001)[:, None]  # uniform, so P(D > d) = 1 - d / 10
    found = tail(torch.tensor([[[0.0], [5.0], [7.0]]]), knots(measured)[None]).flatten()
    assert found.tolist() == pytest.approx([0.0, -math.log(0.5), -math.log(0.3)], abs=1e-3)
    rate = math.log(7 / 3) / 4  # from 0.7 at 3 to 0.3 at 7
    further = tail(torch.tensor([[[17.0]]]), knots(measured)[None])
    assert float(further) == pytest.approx(-math.log(0.3) + 10 * rate, rel=1e-3)


def test_a_cluster_is_joined_at_the_distance_at_which_it_holds_enough():
    line = np.array([0.0, 1.0, 2.0, 4.0, 10.0, 11.0])
    distance = np.abs(line[:, None] - line)
    assert joining_heights(distance, np.zeros(6), 1 / 3).tolist() == [1, 1, 1, 2, 1, 1]
    assert joining_heights(distance, np.zeros(6), 0.5).tolist() == [1, 1, 1, 2, 6, 6]
    assert joining_heights(distance, np.zeros(6), 1.0).tolist() == [6, 6, 6, 6, 6, 6]
    assert joining_heights(distance, np.array([0, 0, 0, 0, 7.0, 0]), 0.5).tolist() == [1, 1, 1, 2, 7, 7]


def test_lone_rows_across_the_gap_hardly_link_a_cluster():
    rng = np.random.default_rng(0)
    place = np.concatenate([rng.uniform(0, 10, 90), 20 + 0.1 * rng.normal(size=10), [12.0, 14.0, 16.0, 18.0]])
    distance = np.abs(place[:, None] - place)
    core = np.sort(distance, axis=1)[:, 5]
    assert joining_heights(distance, np.zeros(104), 0.4)[95] < 2.5
    assert joining_heights(distance, core, 0.4)[95] > 3.5


def test_evidence_is_what_remembering_returns():
    rows = torch.randn(600, 12, generator=torch.Generator().manual_seed(0))
    one, other = Neighbours(), Neighbours()
    for member in (one, other):
        member.build(Layout("vector", (12,), views=3))
    assert torch.equal(one.evidence(rows), other.remember(rows, torch.ones(600)))
    assert not torch.equal(one.height, other.height)


def clean(kind: str, n: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n, 6))
    if kind == "clusters":
        return numbers + 6 * rng.choice(3, n, p=[0.75, 0.15, 0.1])[:, None]
    return np.c_[numbers, {"lognormal": np.exp(2 * rng.normal(size=n)), "pareto": rng.pareto(1, n)}[kind]]


@pytest.mark.parametrize(("kind", "before"), [("lognormal", 0.08), ("pareto", 0.08), ("clusters", 0.24)])
def test_the_share_hardly_reads_one_long_tail_or_small_clusters_as_anomalies(kind, before):
    """The rarest of all views does, to what it was before."""
    estimate = AnomalyDetector(random_state=0).fit(clean(kind)).contamination_estimate_
    assert estimate.value < 0.6 * before
    assert estimate.low < 0.005


@pytest.mark.parametrize("whiten", [True, False])
def test_the_share_still_sees_a_tenth_that_is_far_in_every_view(whiten):
    X = np.random.default_rng(0).normal(size=(1000, 6))
    X[:100] += 8 * np.sign(X[:100])
    found = AnomalyDetector(Neighbours(whiten=whiten), random_state=0).fit(X).contamination_estimate_
    assert 0.05 < found.value < 0.12


@pytest.mark.parametrize("turning", [None, torch.zeros(3, 3)], ids=["none", "one"])
def test_an_older_model_is_refused_with_what_to_do(turning):
    X = np.random.default_rng(0).normal(size=(50, 3))
    older = AnomalyDetector(random_state=0).fit(X).objective_.state_dict()
    del older["turning"]
    if turning is not None:
        older["turning"] = turning
    twin = Neighbours()
    twin.build(Layout("vector", (6,), views=2))
    with pytest.raises(RuntimeError, match=r"older version.*Fit the model again"):
        twin.load_state_dict(older)


def test_nearly_equal_distances_make_no_row_extreme():
    knots_of_equal = torch.full((1, 1, 8), 2.0)
    found = tail(torch.tensor([[[2.2]]]), knots_of_equal, 0.1)  # a fifth further, in logarithms
    assert float(found) == pytest.approx(-math.log(0.3) + 2 * math.log(7 / 3), rel=1e-4)


def beside_a_line(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows on a diagonal, and a small dense cluster beside its middle, nearer to many of them than the ends are."""
    rng = np.random.default_rng(seed)
    line = rng.uniform(-50, 50, 950)[:, None] + 0.3 * rng.normal(size=(950, 2))
    return np.concatenate([line, 0.1 * rng.normal(size=(50, 2)) + [4.0, -4.0]]), np.arange(1000) >= 950


def test_a_cluster_beside_the_middle_is_found_by_the_gap_around_it():
    rows, truth = beside_a_line()
    unlinked = AnomalyDetector(Neighbours(linked=0.02, whiten=False), random_state=0).fit(rows)
    found = AnomalyDetector("neighbours", random_state=0).fit(rows)
    assert roc_auc_score(truth, unlinked.training_scores_) < 0.8
    assert roc_auc_score(truth, found.training_scores_) > 0.95


def dirty(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two clouds and, in the training rows, a small dense cluster of anomalies; fresh rows of all three to test."""
    rng = np.random.default_rng(seed)
    clouds = rng.normal(size=(1000, 4)) + np.repeat([[0, 0, 0, 0], [6, 0, 6, 0]], 500, axis=0)
    clusters = 0.1 * rng.normal(size=(120, 4)) + [3, 5, 3, -5]
    train = np.concatenate([clouds[::2], clusters[:60]])
    test = np.concatenate([clouds[1::2], clusters[60:]])
    return train, np.arange(560) >= 500, test, np.arange(560) >= 500


def test_refine_finds_a_dense_cluster_that_blind_neighbours_take_for_normal():
    train, _, test, truth = dirty()
    near_only = Neighbours(wide=(0.01,), linked=0.02, whiten=False)
    blind = AnomalyDetector(near_only, exposure="blind", random_state=0).fit(train).anomaly_score(test)
    found = AnomalyDetector("neighbours", random_state=0).fit(train)
    assert found.exposure_ == "refine"
    assert roc_auc_score(truth, blind) < 0.2
    assert roc_auc_score(truth, found.anomaly_score(test)) > 0.99


def test_the_estimated_share_is_that_of_the_cluster_and_next_to_nothing_on_clean_rows():
    train, truth = (part[:525] for part in dirty()[:2])  # of twice as many the whitened views see less
    found = AnomalyDetector("neighbours", random_state=0).fit(train)
    assert found.contamination_ == pytest.approx(truth.mean(), abs=0.02)
    assert truth[found.suspects_["row"]].mean() > 0.9
    clean = AnomalyDetector("neighbours", random_state=0).fit(train[~truth])
    assert clean.contamination_ < 0.01


def test_a_training_row_scores_the_same_as_an_equal_new_row():
    train, _, _, _ = dirty()
    found = AnomalyDetector("neighbours", random_state=0).fit(train)
    np.testing.assert_array_equal(found.training_scores_, found.anomaly_score(train))


def test_known_anomalies_draw_the_score_of_rows_like_them_up():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    rows[:8] = 0.1 * rng.normal(size=(8, 3)) + [2.0, 2.0, 0.0]
    labels = np.where(np.arange(400) < 8, 1, -1)
    new = 0.1 * rng.normal(size=(50, 3)) + [2.0, 2.0, 0.0]
    blind = AnomalyDetector("neighbours", contamination=0.0, random_state=0).fit(rows)
    told = AnomalyDetector("neighbours", contamination=0.02, random_state=0).fit(rows, labels=labels)
    others = rng.normal(size=(400, 3))
    rank = [(d.anomaly_score(others)[:, None] < d.anomaly_score(new)).mean() for d in (blind, told)]
    assert rank[1] > max(0.98, rank[0])


def test_of_more_rows_than_it_may_remember_each_member_draws_its_own():
    train, _, test, truth = dirty()
    found = AnomalyDetector(Neighbours(reference_points=200), ensemble_size=3, random_state=0).fit(train)
    scores = found.member_scores(test)
    assert scores.shape == (3, 560)
    assert not np.array_equal(scores[0], scores[1])
    assert roc_auc_score(truth, found.anomaly_score(test)) > 0.99


@pytest.mark.parametrize("members", [1, 2])
def test_a_saved_model_scores_to_the_bit(tmp_path, members):
    train, _, test, _ = dirty()
    found = AnomalyDetector("neighbours", ensemble_size=members, random_state=0).fit(train)
    found.save(tmp_path / "model")
    np.testing.assert_array_equal(
        AnomalyDetector.load(tmp_path / "model").anomaly_score(test), found.anomaly_score(test)
    )


def test_equal_rows_and_constant_columns_stay_finite():
    rows = np.zeros((100, 3))
    rows[:10, 0] = 1.0
    found = AnomalyDetector("neighbours", random_state=0).fit(rows)
    assert np.isfinite(found.training_scores_).all()
    assert np.isfinite(found.anomaly_score([[5.0, 0.0, 0.0]])).all()


@pytest.mark.parametrize("unused", [{"epochs": 5}, {"scaling": "robust"}, {"learning_rate": 0.1}])
def test_what_only_networks_have_is_refused(unused):
    with pytest.raises(InputError, match=f"Neighbours has no setting '{next(iter(unused))}'.*reference_points"):
        make_objective("neighbours", **unused)


@pytest.mark.parametrize(
    "copies", [1, 2, 10, np.r_[np.full(30, 10), np.ones(500, dtype=int)]], ids=["distinct", "pairs", "tens", "some"]
)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_rounding_of_the_input_hardly_changes_the_score_of_a_training_row(copies, scale):
    """A row's own distance of nearly 0 counts as its own, and not as that of a neighbour."""
    train, _, _, _ = dirty()
    rows = scale * train[:530] + scale * np.array([1, 0, 100, 0])
    rows = np.repeat(rows, copies, axis=0)[:1000]
    found = AnomalyDetector("neighbours", random_state=0).fit(rows)
    spread = np.std(found.training_scores_)
    np.testing.assert_allclose(found.anomaly_score(rows.astype(np.float32)), found.training_scores_, atol=1e-3 * spread)


def test_a_row_beside_a_training_row_is_not_that_row():
    line = np.arange(100.0)[:, None]
    one = Neighbours(near=1)
    one.build(Layout("vector", (1,)))
    one.remember(torch.from_numpy(line).float(), torch.ones(100))
    near = one.measure(torch.tensor([[50.0], [50.0 + 1e-5], [50.1], [50.5]]))[0, :, 0]
    assert near.exp().flatten().tolist() == pytest.approx([1, 1, 0.1, 0.5], abs=1e-3)


def test_rows_that_break_what_columns_have_in_common_are_found_where_they_are_whitened():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 8)) + 0.05 * rng.normal(size=(600, 8))
    odd = 0.5 * np.stack([rng.permutation(column) for column in usual.T], axis=1)[:60]  # each value is usual
    train, new = usual[:400], np.vstack([usual[400:], odd])
    truth = np.arange(260) >= 200
    auc = {}
    for whiten in (False, True):
        objective = Neighbours(near=50, wide=(0.3,), linked=1.0, whiten=whiten)
        auc[whiten] = roc_auc_score(truth, AnomalyDetector(objective, random_state=0).fit(train).anomaly_score(new))
    assert auc[False] < 0.9
    assert auc[True] > 0.98


def test_no_column_alone_takes_the_ranking():
    share = {"bounded": 0.0, "unscaled": 0.0}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows = np.hstack([np.exp(2 * rng.normal(size=(500, 1))), rng.normal(size=(500, 3))])  # a long tail
        rows[:15, 1:] += 5.0
        for scaling in share:
            encoder = TableEncoder(("quantile", scaling))
            found = AnomalyDetector("neighbours", encoder=encoder, random_state=0).fit(rows)
            share[scaling] += (found.ranking_["row"][:15] < 15).mean() / 6
    assert share["bounded"] > 2 * share["unscaled"]


@pytest.mark.parametrize("n_rows", [2, 3, 4, 5])
def test_very_few_rows_are_enough(n_rows):
    rows = torch.randn(n_rows, 6, generator=torch.Generator().manual_seed(0))
    member = Neighbours()
    member.build(Layout("vector", (6,), views=2))
    member.remember(rows, torch.ones(n_rows))
    assert torch.isfinite(member.losses(torch.randn(9, 6)).normal).all()


def test_very_wide_tables_are_not_whitened():
    objective = Neighbours()
    objective.build(Layout("vector", (2 * (WIDEST + 1),), views=2))
    assert objective.turning.shape == (0, 0, 0)


def test_categories_are_not_whitened(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 2))
    words = rng.choice(["usual", "other", "rare"], p=[0.6, 0.38, 0.02], size=300)
    table = {"a": numbers[:, 0], "word": words, "b": numbers[:, 1]}
    found = AnomalyDetector("neighbours", random_state=0).fit(pa.table(table))
    objective = found.objective_
    assert len(objective.numbers) == 2
    assert len(objective.others) >= 3
    turned = objective.whitened(objective.views(objective.rows)[0], 0)
    np.testing.assert_allclose(np.cov(turned[:, :2].T), np.eye(2), atol=0.15)
    assert set(turned[:, 2:].unique().tolist()) == {0.0, 1.0}
    found.save(tmp_path / "model")
    again = AnomalyDetector.load(tmp_path / "model")
    np.testing.assert_array_equal(again.anomaly_score(pa.table(table)), found.training_scores_)


def test_new_rows_of_wide_tables_are_no_odder_than_those_of_training():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 60)) @ rng.normal(size=(60, 300)) + 0.1 * rng.normal(size=(400, 300))
    found = AnomalyDetector("neighbours", random_state=0).fit(rows[:200])
    line = np.quantile(found.training_scores_, 0.9)
    assert (found.anomaly_score(rows[200:]) > line).mean() < 0.15  # by the covariance of all rows 0.385


def of_a_network(seed=0, n=300, width=150):
    """Vectors of columns that depend on each other, of very different variances."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(200, width)) * np.exp(-np.arange(200) / 20)[:, None]
    return rng.normal(size=(n, 200)) @ mixed + 0.01 * rng.normal(size=(n, width))


def test_vectors_of_few_rows_whose_columns_depend_on_each_other_otherwise_are_found():
    rows = of_a_network()
    odd = rows[200:] + 0.8 * np.random.default_rng(1).normal(size=(100, 150))  # columns vary by 3 and more
    auc = {}
    for whiten in (False, True):
        found = AnomalyDetector(Neighbours(whiten=whiten), random_state=0).fit(rows[:150])
        scores = found.anomaly_score(np.vstack([rows[150:], odd]))
        auc[whiten] = roc_auc_score(np.arange(250) >= 150, scores)
    assert auc[False] < 0.6
    assert auc[True] > 0.99


@pytest.mark.parametrize("n", [60, 150, 300])
def test_rows_that_made_a_covariance_are_judged_as_new_ones_are(n):
    rows = of_a_network(n=2 * n)
    found = AnomalyDetector("neighbours", random_state=0).fit(rows[:n])
    assert found.objective_.crowded
    line = np.quantile(found.training_scores_, 0.9)
    assert (found.anomaly_score(rows[n:]) > line).mean() < 0.2


def test_a_row_of_a_covariance_is_judged_by_that_of_the_others():
    rows = torch.from_numpy(of_a_network(n=80))
    middle, turning, leverage = whitening(rows)
    known = Ellipsoid((rows - middle) @ turning.T, rows.shape[1], leverage)
    own = known.measure((rows[:1] - middle) @ turning.T)
    centered = rows - middle
    shrunk = torch.linalg.inv(turning.T @ turning) - leverage * torch.outer(centered[0], centered[0])
    expected = 0.5 * torch.log(centered[0] @ torch.linalg.solve(shrunk, centered[0]))
    assert float(turning.shape[0]) == rows.shape[1]
    assert float(own) == pytest.approx(float(expected), abs=1e-3)
    assert float(known.measure((rows[:1] + 1e-9 - middle) @ turning.T)) == pytest.approx(float(own), abs=1e-4)


def test_of_a_hundred_numbers_each_view_has_a_covariance_of_its_own():
    for width, shape in {99: (1, 99, 99), 100: (3, 100, 100)}.items():
        objective = Neighbours()
        objective.build(Layout("vector", (3 * width,), views=3))
        assert objective.turning.shape == shape


@pytest.mark.parametrize("encoder", [None, "standard"])
def test_a_model_of_vectors_is_the_same_when_loaded_and_of_training_rows(tmp_path, encoder):
    rows = of_a_network()
    found = AnomalyDetector("neighbours", encoder=encoder, random_state=0).fit(rows)
    found.save(tmp_path / "model")
    again = AnomalyDetector.load(tmp_path / "model")
    np.testing.assert_array_equal(again.anomaly_score(rows), found.training_scores_)
    np.testing.assert_allclose(again.anomaly_score(np.vstack([rows[:40], rows[:40]])[40:]), found.training_scores_[:40])
