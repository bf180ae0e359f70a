"""Attribution: finds what was planted, agrees with hand-made effects, and stays within its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from expose.explain import attribution
from expose.explain.attribution import attribute, column_owners, most_deviant


def one_to_one(width: int) -> list[tuple[str, slice]]:
    return [(f"x{i}", slice(i, i + 1)) for i in range(width)]


def typical_rows(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def distance(rows: np.ndarray) -> np.ndarray:
    return np.square(rows, dtype=np.float64).sum(axis=1)


def test_planted_columns_come_first_for_a_real_model():
    typical = typical_rows(500, 8)
    forest = IsolationForest(n_estimators=50, random_state=0).fit(typical)
    rows = np.zeros((8, 8), dtype=np.float32)
    rows[np.arange(8), np.arange(8)] = 7.0
    found = attribute(lambda encoded: -forest.score_samples(encoded), rows, typical, one_to_one(8))
    assert found.columns[:, 0].tolist() == list(range(8))


def test_two_independent_faults_are_both_found_though_repairing_one_leaves_the_other():
    def worst(rows: np.ndarray) -> np.ndarray:
        return np.abs(rows).max(axis=1).astype(float)

    rows = np.array([[9, 0, 9, 0]], dtype=np.float32)
    found = attribute(worst, rows, np.zeros((5, 4), dtype=np.float32), one_to_one(4))
    assert set(found.columns[0, :2].tolist()) == {0, 2}
    assert found.effects[0].tolist() == [4.5, 4.5, 0.0, 0.0]


def test_effects_of_an_additive_score_are_exact_and_add_up_to_the_excess():
    typical, rows = np.zeros((3, 4), dtype=np.float32), np.array([[1, 2, 3, 0]], dtype=np.float32)
    found = attribute(distance, rows, typical, one_to_one(4))
    assert found.columns[0].tolist() == [2, 1, 0, 3]
    assert found.effects[0].tolist() == [9.0, 4.0, 1.0, 0.0]
    assert found.effects.sum() == found.excess[0] == 14.0
    np.testing.assert_allclose(found.shares()[0], np.array([9, 4, 1, 0]) / 14)


def test_all_encoded_columns_of_an_input_column_move_together():
    groups = [("kind", slice(0, 3)), ("dropped", slice(3, 3)), ("size", slice(3, 4))]
    rows = np.array([[2, 2, 2, 3]], dtype=np.float32)
    found = attribute(distance, rows, np.zeros((2, 4), dtype=np.float32), groups)
    assert found.columns[0].tolist() == [0, 2]
    assert found.effects[0].tolist() == [12.0, 9.0]


def test_a_row_no_worse_than_typical_ones_has_no_shares():
    found = attribute(distance, np.zeros((1, 3), np.float32), typical_rows(20, 3), one_to_one(3))
    assert found.excess[0] < 0
    assert found.shares().max() == 0


def test_same_seed_same_answer_and_chunks_do_not_matter(monkeypatch):
    typical, rows = typical_rows(100, 6), 3 * typical_rows(5, 6, seed=1)
    whole = attribute(distance, rows, typical, one_to_one(6), seed=3)
    monkeypatch.setattr(attribution, "CELLS_AT_ONCE", 7)
    parts = attribute(distance, rows, typical, one_to_one(6), seed=3)
    np.testing.assert_array_equal(whole.columns, parts.columns)
    np.testing.assert_allclose(whole.effects, parts.effects)


def test_fifty_thousand_columns_cost_a_bounded_number_of_cells():
    width, seen = 50_000, [0, 0]
    typical, rows = typical_rows(20, width), typical_rows(20, width, seed=1)
    rows[:, 31_415] = 40.0

    def counting(encoded: np.ndarray) -> np.ndarray:
        seen[0] += encoded.size
        seen[1] = max(seen[1], encoded.size)
        return distance(encoded)

    found = attribute(counting, rows, typical, one_to_one(width))
    assert (found.columns[:, 0] == 31_415).all()
    assert seen[0] <= attribution.CELLS_IN_ALL + 40 * width
    assert seen[1] <= attribution.CELLS_AT_ONCE + 20 * width


def test_the_prefilter_keeps_the_columns_that_deviate_most_in_units_of_their_spread():
    typical = typical_rows(200, 4) * np.array([1, 100, 1, 1], dtype=np.float32)
    rows = np.array([[8, 90, 0, -5]], dtype=np.float32)
    assert most_deviant(rows, typical, column_owners(one_to_one(4), 4), 2).tolist() == [[0, 3]]


@pytest.mark.parametrize("n_typical", [1, 2, 50])
def test_any_number_of_typical_rows_will_do(n_typical):
    rows = np.array([[5, 0]], dtype=np.float32)
    found = attribute(distance, rows, np.zeros((n_typical, 2), np.float32), one_to_one(2))
    assert found.effects[0].tolist() == [25.0, 0.0]
