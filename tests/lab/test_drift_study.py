"""The study of drift: rows are drawn and changed as said, and every watcher of a stream sees what is plain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expose.decide import Drift
from expose.decide.drift import Reference
from expose_lab.studies.drift import SIZES, WATCHERS, Pool, first_alarm, judged, measure, with_fault

NORMAL = np.random.default_rng(0).normal(size=2_000)


@pytest.fixture
def drift() -> Drift:
    return Drift(Reference.of({"training": NORMAL}, line=2.3, tolerance=0.1))


@pytest.mark.parametrize("watcher", WATCHERS)
def test_every_watcher_sees_what_is_plain(watcher: str, drift: Drift) -> None:
    quiet = np.random.default_rng(1).normal(size=3_000)
    assert first_alarm(watcher, drift, quiet) is None
    begun = first_alarm(watcher, drift, np.concatenate([quiet, quiet + 5]))
    assert begun is not None
    assert 3_000 < begun < 3_500


def test_only_tests_without_a_tolerance_call_a_trifle_drift(drift: Drift) -> None:
    said = judged(drift, np.random.default_rng(2).normal(0.15, 1, size=20_000))
    assert (said["moved"], said["plain"], said["stability"]) == (False, True, False)
    assert judged(drift, NORMAL)["distance"] < 0.01
    assert all(judged(drift, NORMAL + 3)[name] for name in ("moved", "plain", "stability"))


def test_faults_are_of_the_first_channel() -> None:
    values = np.random.default_rng(3).normal(size=(500, 2))
    for what in ("none", "shift 3", "dead", "noise"):
        faulty = with_fault(values, what, 1.0)
        np.testing.assert_array_equal(faulty[:, 1], values[:, 1])
        assert np.array_equal(faulty, values) == (what == "none")
    np.testing.assert_allclose(with_fault(values, "shift 3", 2.0)[:, 0], values[:, 0] + 6)


def test_later_rows_were_not_trained_on_and_are_changed_as_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(900, 3)).astype(np.float32)
    y = np.repeat([0, 1], [800, 100]).astype(np.int8)
    X[y == 1] += 6
    np.savez(tmp_path / "own.npz", X=X, y=y)
    cell = {"part": "tables", "set": "own", "rows": 200, "share": 0.1, "seed": 0}
    pool = Pool(cell, tmp_path)
    assert (len(pool.training), pool.share) == (200, 0.1)
    together = np.concatenate([pool.training, pool.normal, pool.odd])
    assert len(np.unique(together, axis=0)) == len(together)
    assert np.ptp(pool.with_column(pool.normal, 1, "dead")[:, 1]) == 0
    scores = pool.draw((np.zeros(10), np.ones(10)), 10_000, 0.2)
    assert abs(scores.mean() - 0.2) < 0.02
    rows = list(measure(cell, tmp_path))
    assert {row["n"] for row in rows} == set(SIZES)
    assert max(row["moved"] for row in rows if row["what"] == "none") == 0
    assert min(row["moved"] for row in rows if row["what"] == "shift 3" and row["n"] == 1_000) == 1
