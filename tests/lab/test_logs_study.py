"""The study of made logs: anomalies are planted as said, and a cell is measured."""

from __future__ import annotations

from pathlib import Path

from expose_lab.studies.logs import SESSION_FAULTS, WAYS, WINDOW_FAULTS, app_log, measure, session_log


def test_faults_are_planted_in_turn() -> None:
    assert set(session_log(100, 0.05)[1].values()) == set(SESSION_FAULTS)
    assert set(app_log(100, 0.05)[1].values()) == set(WINDOW_FAULTS)
    assert session_log(20) == session_log(20) != session_log(20, seed=1)


def test_a_cell_gives_a_row_for_each_way_and_part() -> None:
    rows = list(measure({"log": "sessions", "windows": 150, "seed": 0}, Path()))
    assert [row["way"] for row in rows] == [way for way in WAYS for _ in range(2)]
    assert rows[0]["auroc"] > 0.9
