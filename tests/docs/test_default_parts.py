"""The default taken apart: with all parts it is the default, and each variant is what it says."""

import numpy as np
import pyarrow as pa
import pytest

from expose import AnomalyDetector
from expose.objectives import Neighbours


@pytest.fixture(scope="module")
def parts(from_benchmarks):
    return from_benchmarks("default_parts")


@pytest.fixture(scope="module")
def rows():
    """A cloud, a dense cluster apart from it, and a few lone rows."""
    rng = np.random.default_rng(0)
    cluster = 5 + 0.1 * rng.normal(size=(20, 3))
    return np.concatenate([rng.normal(size=(200, 3)), cluster, rng.uniform(-6, 6, (10, 3)), np.zeros((3, 3))])


def scores(detector, rows):
    return detector.set_params(random_state=0).fit(rows).anomaly_score(rows)


@pytest.mark.parametrize("exposure", ["auto", "blind", "hard", "soft"])
def test_with_all_parts_it_scores_as_the_default_to_the_last_bit(parts, rows, exposure):
    expected = scores(AnomalyDetector(exposure=exposure, device="cpu"), rows)
    assert (scores(parts.detector(exposure), rows) == expected).all()


@pytest.mark.parametrize("changed", [{"near": 1}, {"near": 20}, {"wide": (0.05,)}, {"linked": 0.1}, {"references": 64}])
def test_with_other_parameters_it_scores_as_the_default_with_these(parts, rows, changed):
    expected = scores(AnomalyDetector(Neighbours(**changed), device="cpu"), rows)
    assert (scores(parts.detector(**changed), rows) == expected).all()


def test_the_score_is_the_largest_of_the_parts(parts, rows):
    every = {name: scores(parts.variants()[name], rows) for name in ("default", "linked only", "wide only")}
    both = scores(parts.variants()["linked and wide"], rows)
    assert (both == np.maximum(every["linked only"], every["wide only"])).all()
    assert (every["default"] >= both).all()
    assert (every["default"] > both).any()


def test_near_alone_is_blind_to_a_cluster_that_the_others_find(parts, rows):
    found = {name: scores(parts.variants()[name], rows) for name in ("near only", "linked only")}
    cloud, cluster = slice(0, 200), slice(200, 220)
    means = {name: (values[cloud].mean(), values[cluster].mean()) for name, values in found.items()}
    assert means["near only"][1] < means["linked only"][1]
    assert means["linked only"][1] > 2 * means["linked only"][0]


def test_all_variants_differ(parts, rows):
    found = {name: scores(one, rows).tobytes() for name, one in parts.variants().items()}
    same = {name for name, value in found.items() if list(found.values()).count(value) > 1}
    assert same <= {"default", "256 rows remembered"}  # of 233 rows all are remembered


@pytest.fixture(scope="module")
def study(from_benchmarks):
    return from_benchmarks("study_default")


def test_what_wins_everywhere_is_chosen_in_each_half(study):
    chosen, default, best = study.halves({"default": np.zeros(9), "better": np.ones(9), "worse": -np.ones(9)})
    assert dict(best) == {"better": 2 * study.HALVES}
    assert (chosen.tolist(), default.tolist()) == ([1.0] * study.HALVES, [0.0] * study.HALVES)


def test_what_wins_by_luck_of_its_sets_does_not_win_on_the_other_half(study):
    noise = np.random.default_rng(1).normal(size=(40, 30))
    values = {f"variant {k}": line for k, line in enumerate(noise)}
    tuned = max(values, key=lambda name: values[name].mean())
    values["default"] = values.pop(tuned)
    chosen, default, _ = study.halves(values)
    assert default.mean() == pytest.approx(values["default"].mean())
    assert chosen.mean() < default.mean() - 0.2


def test_variants_told_that_there_are_none_are_blind(study):
    rows = [("default", "auto", 0.0, 0.9), ("blind", "auto", 0.0, 0.7), ("default", "auto", 0.1, 0.8)]
    rows += [("blind", "auto", 0.1, 0.6), ("default", "true", 0.1, 0.85)]
    names = ("detector", "assumed", "true_ratio", "auroc")
    sets = ["pima", "wine"]
    table = [dict(zip(names, row, strict=True), dataset=dataset) for row in rows for dataset in sets]
    found = study.measured(pa.Table.from_pylist(table), "auroc", sets, [0.0, 0.1])
    assert {name: values[0].round(6).tolist() for name, values in found.items()} == {
        "default": [90.0, 80.0],
        "blind": [70.0, 60.0],
        "default, told the true share": [70.0, 85.0],
    }
    line = study.means_table(found, [0.0, 0.1]).splitlines()[3]
    assert line == "| blind | 70.0 | 60.0 | 65.0 | -20.0 ± 0.0 | 0 / 2 |"
