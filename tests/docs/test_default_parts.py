"""The default taken apart: with all parts it is the default, and each variant is what it says."""

import numpy as np
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
