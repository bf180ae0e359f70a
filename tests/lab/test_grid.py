import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from expose import AnomalyDetector
from expose.errors import InputError
from expose.objectives import make_objective
from expose_lab import DataSet, auroc, base_rate, bench, contenders, grid
from expose_lab.contenders import assume, baselines, ours, own
from expose_lab.grid import fingerprint, key_of, run_cell, split_of

RECEIVED = []


class Spy(OutlierMixin, BaseEstimator):
    """Writes down what fit receives; scores by the distance from the mean."""

    def __init__(self, contamination=0.1, random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, *args, **kwargs):
        RECEIVED.append((args, kwargs, self.get_params()))
        self.mean_ = args[0].mean(axis=0)
        return self

    def score_samples(self, X):
        return -np.square(X - self.mean_).sum(axis=1)

    def predict(self, X):
        return np.where(self.score_samples(X) < -20, -1, 1)


@pytest.fixture
def received():
    RECEIVED.clear()
    return RECEIVED


def ntl(epochs=2, batch_size=64, **more):
    return AnomalyDetector(make_objective("ntl", epochs=epochs, batch_size=batch_size), device="cpu", **more)


def test_labels_never_reach_fit(make_cell, received):
    rows = run_cell(make_cell(Spy(), assumed=0.07, seeds=(0, 5)))
    assert len(received) == len(rows) == 2
    for (args, kwargs, parameters), row, seed in zip(received, rows, (0, 5), strict=True):
        [X] = args
        assert kwargs == {}
        assert X.shape == (row["n_train"], row["n_features"]) == (89, 4)  # 80 normal rows, 9 anomalies
        assert parameters == {"contamination": 0.07, "random_state": seed}


def test_the_truth_about_the_training_rows_changes_nothing(make_cell, monkeypatch):
    detector = ntl()
    honest = run_cell(make_cell(detector))
    original = grid.split_of

    def lying(*args):
        split = original(*args)
        return split._replace(train_y=1 - split.train_y)

    monkeypatch.setattr(grid, "split_of", lying)
    for row, other in zip(honest, run_cell(make_cell(detector)), strict=True):
        assert row["auroc"] == other["auroc"]
        assert row["f1"] == other["f1"]


def test_a_row_tells_what_was_run_and_how_it_went(make_cell, toy):
    cell = make_cell(Spy(), true_ratio=0.2, seeds=(3,), train_rows=50, test_rows=60)
    [row] = run_cell(cell)
    split = split_of(toy, cell, 3)
    spy = Spy().fit(split.train_X)
    assert row["auroc"] == auroc(split.test_y, -spy.score_samples(split.test_X))
    assert row["base_rate"] == base_rate(split.test_y)
    flagged = spy.predict(split.test_X) == -1
    assert row["fpr"] == pytest.approx(flagged[split.test_y == 0].mean())
    assert row["reached_ratio"] == row["assumed_ratio"] == split.reached_ratio == pytest.approx(0.2, abs=0.01)
    expected = {"dataset": "toy", "protocol": "disjoint", "true_ratio": 0.2, "assumed": "true", "seed": 3}
    expected |= {"detector": "it", "exposure": "as is", "settings": "own", "n_features": 4, "seeds_together": 1}
    expected |= {"train_rows": 50, "test_rows": 60, "data": fingerprint(toy), "key": key_of(cell, 3)}
    assert row | expected == row
    assert json.loads(row["parameters"])["random_state"] == 3
    assert row["n_test"] == len(split.test_y)
    assert row["n_train"] == 50 + split.train_y.sum()


def test_training_anomalies_are_never_tested_under_disjoint(make_cell, toy):
    for seed in range(3):
        split = split_of(toy, make_cell(true_ratio=0.2), seed)
        trained, tested = ({row.tobytes() for row in part} for part in (split.train_X, split.test_X))
        assert split.train_y.sum() > 0
        assert trained.isdisjoint(tested)


def test_protocols_do_what_they_say(make_cell, toy):
    assert split_of(toy, make_cell(protocol="clean", true_ratio=0.0), 0).reached_ratio == 0
    paper = split_of(toy, make_cell(protocol="paper", true_ratio=0.2), 0)
    assert paper.test_y.sum() == toy.y.sum()
    assert paper.reached_ratio == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("exposure", ["blind", "soft"])
def test_seeds_trained_together_equal_one_by_one(make_cell, exposure):
    # batches of the whole set, so no lottery is played for suspects
    cell = make_cell(ntl(3, 100, exposure=exposure), true_ratio=0.2)
    cell = replace(cell, seeds=(0, 1, 2))
    at_once = run_cell(cell)
    alone = [run_cell(replace(cell, seeds=(seed,)))[0] for seed in cell.seeds]
    assert [row["seeds_together"] for row in at_once] == [3, 3, 3]
    assert [row["seeds_together"] for row in alone] == [1, 1, 1]
    for one, other in zip(at_once, alone, strict=True):
        assert one["auroc"] == pytest.approx(other["auroc"], abs=2e-3)
        same = ("key", "seed", "reached_ratio", "assumed_ratio", "n_train", "n_test", "base_rate", "parameters")
        assert {name: one[name] for name in same} == {name: other[name] for name in same}
    assert len({row["auroc"] for row in at_once}) > 1  # the seeds differ


def test_a_pipeline_gets_its_seed_and_share_too(make_cell):
    pipe = make_pipeline(StandardScaler(), IsolationForest(n_estimators=10))
    [row] = run_cell(make_cell(pipe, assumed=0.2, seeds=(4,)))
    assert row["auroc"] > 0.9
    made = assume(own({"it": pipe})[0].make("toy", 80, 4), 0.2, 4, 80)
    assert (made[-1].random_state, made[-1].contamination) == (4, 0.2)
    assert pipe[-1].contamination == "auto"  # the caller's own is left alone


def test_detectors_without_these_parameters_take_part(make_cell):
    class Bare(Spy):
        def __init__(self):
            pass

    assert run_cell(make_cell(Bare()))[0]["auroc"] > 0.9
    [row] = run_cell(make_cell(LocalOutlierFactor(novelty=True), assumed="auto", seeds=(0,)))
    assert row["assumed_ratio"] is None


def test_auto_is_the_detectors_own_estimate(make_cell):
    [row] = run_cell(make_cell(ntl(1), assumed="auto", seeds=(0,)))
    assert json.loads(row["parameters"])["contamination"] == "auto"
    assert 0 <= row["assumed_ratio"] < 0.5


def test_zero_is_one_row_for_detectors_that_refuse_it(make_cell, received):
    run_cell(make_cell(Spy(), true_ratio=0.0, seeds=(0,)))
    assert received[0][2]["contamination"] == 1 / 80


# ------------------------------------------------------------------------------------------------------------- keys


CHANGES = {
    "protocol": "paper",
    "true_ratio": 0.2,
    "assumed": 0.1,
    "train_rows": 50,
    "test_rows": 50,
    "data": "another",
    "contender": ours(["ntl"], ["soft"], "brief")[0],
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_determines_a_row_changes_its_key(make_cell, name):
    cell = make_cell()
    assert key_of(replace(cell, **{name: CHANGES[name]}), 0) != key_of(cell, 0)


def test_seed_and_parameters_change_the_key_but_nothing_else_does(make_cell):
    cell = make_cell()
    assert key_of(cell, 0) != key_of(cell, 1)
    assert key_of(make_cell(IsolationForest(n_estimators=11)), 0) != key_of(cell, 0)
    assert key_of(make_cell(IsolationForest(n_estimators=10, random_state=9, verbose=1)), 0) == key_of(cell, 0)
    assert key_of(replace(cell, seeds=(0,), data_dir="else", dataset="renamed"), 0) == key_of(cell, 0)


def test_changed_data_have_another_fingerprint(make_toy):
    toy = make_toy()
    changed = replace(toy, X=toy.X.copy(), y=toy.y.copy())
    assert fingerprint(changed) == fingerprint(toy)
    changed.X[7, 2] += 1e-6
    assert fingerprint(changed) != fingerprint(toy)
    flipped = replace(toy, y=1 - toy.y)
    assert fingerprint(flipped) != fingerprint(toy)
    assert fingerprint(replace(toy, X=toy.X.reshape(-1, 2))) != fingerprint(toy)


def test_changed_code_and_versions_give_new_keys(make_cell, monkeypatch):
    cell = make_cell()
    before = key_of(cell, 0)
    with monkeypatch.context() as patch:
        patch.setattr(grid, "code_of", lambda *_: "other")
        assert key_of(cell, 0) != before
    for package in ("numpy", "scikit-learn", "torch"):
        with monkeypatch.context() as patch:
            original = contenders.installed
            patch.setattr(contenders, "installed", lambda name, p=package, o=original: "9" if name == p else o(name))
            assert key_of(cell, 0) != before
    assert key_of(cell, 0) == before


@pytest.fixture
def mixed():
    """A number and a category that goes with it; of the anomalies it does not, and some values are missing."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(["low", "high"], 240).astype(object)
    y = (np.arange(240) >= 200).astype(np.int8)
    numbers = (np.where((kinds == "high") ^ (y == 1), 5.0, 0.0) + rng.normal(size=240) / 2).astype(object)
    X = np.column_stack([numbers, kinds, rng.normal(size=240).astype(object)])
    X[rng.random(X.shape) < 0.03] = None
    return DataSet("orders", X, y, ("price", "class", "weight"))


def test_a_set_with_columns_of_several_types_is_measured(mixed):
    pytest.importorskip("pyod", reason="needs the extra bench")
    who = [*own({"default": AnomalyDetector(device="cpu")}), *baselines(["kNN"])]
    rows = bench([mixed], who, seeds=[0, 1], train_rows=60, assumed_ratios=[0.1]).to_pylist()
    assert [row["detector"] for row in rows] == ["default"] * 2 + ["kNN"] * 6
    assert {row["n_features"] for row in rows} == {3}
    assert {(row["train_rows"], row["n_train"]) for row in rows} == {(60, 67)}
    assert min(row["auroc"] for row in rows if row["exposure"] != "trimmed 2x") > 0.8


def test_our_detector_gets_the_table_as_a_user_would_give_it(mixed, make_cell):
    pandas = pytest.importorskip("pandas")
    [row] = run_cell(make_cell(AnomalyDetector(device="cpu"), dataset=mixed, seeds=(0,), assumed="auto"))
    split = split_of(mixed, make_cell(dataset=mixed), 0)
    train, test = (pandas.DataFrame(part.tolist(), columns=mixed.columns) for part in (split.train_X, split.test_X))
    assert {str(kind) for kind in train.dtypes} >= {"float64"}
    scores = AnomalyDetector(device="cpu", random_state=0).fit(train).anomaly_score(test)
    assert row["auroc"] == auroc(split.test_y, scores)


def test_noise_on_numbers_is_not_added_to_texts(mixed):
    with pytest.raises(InputError, match="'paper' adds noise to numbers, but 'orders' has columns of several types"):
        bench([mixed], {"forest": IsolationForest()}, protocols=["clean", "paper"])


def test_a_changed_text_has_another_fingerprint(mixed):
    other = mixed.X.copy()
    other[3, 1] = "High"
    assert fingerprint(replace(mixed, X=other)) != fingerprint(mixed)
