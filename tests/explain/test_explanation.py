"""Explaining samples: the same answer from the detector and for the report, by the part that a score comes from."""

from __future__ import annotations

import time

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.encoders import Encoder
from expose.encoders.layout import Layout
from expose.explain import attribution, explain, explain_parts
from expose.explain.attribution import most_anomalous_parts
from expose.kinds import kind_named
from expose.objectives import Neighbours
from expose.report.findings import examine


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(300, 5))
    rows[np.arange(5), np.arange(5)] = 12
    return rows


@pytest.fixture(scope="module")
def detector(rows) -> AnomalyDetector:
    return AnomalyDetector(random_state=0).fit(rows)


def test_planted_columns_explain_rows_whether_or_not_others_come_along(detector, rows):
    found = detector.explain(rows[:5])
    assert found.names == ("x0", "x1", "x2", "x3", "x4")
    assert found.effects.argmax(axis=1).tolist() == list(range(5))
    alone = detector.explain(rows[2:3])
    np.testing.assert_allclose(alone.effects[0], found.effects[2], rtol=1e-6)


def test_the_report_gives_the_reasons_of_the_detector(detector, rows):
    suspects = examine(detector, rows, top=3).suspects
    found = detector.explain(rows[[suspect.row for suspect in suspects]])
    for place, suspect in enumerate(suspects):
        reasons = [(reason.name, reason.share) for reason in suspect.reasons]
        assert reasons == found.top(place, 6)[: len(reasons)]


class Pairs:
    """Each row twice: as it is, and with all values at zero."""

    def fit(self, X):
        return self

    def transform(self, X):
        return np.stack([np.zeros_like(X), X], axis=1)


def test_of_several_parts_the_most_anomalous_is_explained(rows):
    detector = AnomalyDetector(encoder=Pairs(), random_state=0).fit(rows)
    parts = detector.scorer().encode(rows[:5])
    assert parts.shape == (5, 2, 5)
    np.testing.assert_array_equal(most_anomalous_parts(detector.fitted_.scores, parts), parts[:, 1])
    found = explain(detector.scorer(), rows[:5])
    assert found.effects.argmax(axis=1).tolist() == list(range(5))
    np.testing.assert_array_equal(explain_parts(detector.fitted_, parts).effects, found.effects)


@pytest.mark.parametrize(("n_rows", "width"), [(20, 10), (1_000, 10), (1_000, 200)])
def test_a_bounded_number_of_scores_is_computed(n_rows, width):
    scored = 0

    def counting(encoded: np.ndarray) -> np.ndarray:
        nonlocal scored
        scored += len(encoded)
        return np.abs(encoded).sum(axis=1).astype(float)

    rng = np.random.default_rng(0)
    groups = [(f"x{i}", slice(i, i + 1)) for i in range(width)]
    rows, typical = (rng.normal(size=(n, width)).astype(np.float32) for n in (n_rows, 16))
    attribution.attribute(counting, rows, typical, groups)
    assert scored <= attribution.ROWS_IN_ALL + n_rows + 16


def test_a_thousand_rows_are_explained_in_a_moment(detector):
    started = time.perf_counter()
    found = detector.explain(np.random.default_rng(1).normal(size=(1_000, 5)))
    assert found.effects.shape == (1_000, 5)
    assert time.perf_counter() - started < 60


def test_constant_rows_have_nothing_to_explain(recwarn):
    rows = np.ones((30, 2))
    assert not AnomalyDetector(random_state=0).fit(rows).explain(rows).effects.any()


class Vectors(Encoder):
    """Vectors of a network, of which no value has a name."""

    def fit(self, samples):
        self.layout = Layout("vector", (5,))
        return self

    def transform(self, samples):
        return np.asarray(kind_named("table").plain(samples), dtype=np.float32)


@pytest.mark.parametrize(("objective", "words"), [("neighbours", set(Neighbours.components.values())), ("svdd", set())])
def test_where_no_value_has_a_name_it_is_said_what_was_found_odd(rows, objective, words):
    detector = AnomalyDetector(objective, encoder=Vectors(), random_state=0).fit(rows)
    found, alike = detector.explain(rows), detector.explain(rows[10:20])
    assert set(found.names) == words
    assert found.effects.shape == (300, len(words))
    np.testing.assert_allclose(found.effects.sum(axis=1), np.maximum(found.excess, 0) * bool(words))
    for row in range(5):
        assert [name for name, share in found.top(row) if share] == [told(detector, rows[row])][: len(words)]
    np.testing.assert_array_equal(alike.effects, found.effects[10:20])


def told(detector: AnomalyDetector, row: np.ndarray) -> str | None:
    """The component that a row's score is, in words."""
    scores = detector.scorer().components(row[None])
    return Neighbours.components[max(scores, key=lambda name: scores[name][0])] if scores else None


def test_one_value_that_has_a_name_is_named():
    rows = np.random.default_rng(0).normal(size=(80, 1))
    assert AnomalyDetector(random_state=0).fit(rows).explain(rows[:1]).names == ("x0",)
