"""The service as a process, over many requests, other models and broken connections; and killed under load: small.

`python -m expose_lab.study serving_endurance serving_killed` are the large ones.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra web")

from expose.serve import garbage
from expose_lab.studies import serving_endurance, serving_killed


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux tells it")
def test_many_requests_with_odd_ones_and_other_models() -> None:
    (cell,) = serving_endurance.cells("thyroid", 1_500, 8, 500, 400, 60.0)
    notes = serving_endurance.measure(cell, Path())
    last = notes[-1]
    assert last["answers"] == 1_500
    assert last["wrong"] == 0
    assert last["refused"] >= 4
    assert last["given_up"] >= 1
    assert last["swaps"] >= 2
    assert last["mib"] - notes[0]["mib"] < 100  # a second model, while it is loaded
    assert last["files"] < 8 + 32
    assert last["threads"] < 32


def test_killed_under_load_and_started_again() -> None:
    (cell,) = serving_killed.cells("thyroid", 1, 4, 0.5)
    found = serving_killed.measure(cell, Path())
    assert found["answers"] >= 4 * 2 * serving_killed.ENOUGH
    assert found["wrong"] == 0
    assert found["left_behind"] == 0


def test_garbage_that_was_there_is_gone_and_what_stays_is_set_aside() -> None:
    assert gc.get_freeze_count() == 0
    garbage.settle_again()
    assert gc.get_freeze_count() == 0  # nobody asked for it
    try:
        garbage.settle()
        assert gc.get_freeze_count() > 1_000
        garbage.settle_again()
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()
