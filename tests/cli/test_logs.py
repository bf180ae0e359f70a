"""Log files on the command line, from fit to query."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import facts, run_in_process

from expose.files import read
from expose_lab.studies.logs import app_log, session_log


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str]]:
    """A log, a model of it, and its odd windows."""
    folder = tmp_path_factory.mktemp("logs")
    lines, odd = app_log(120)
    (folder / "app.log").write_text("\n".join(lines))
    result = run_in_process("fit", folder / "app.log", "--window", "1m", "--out", folder / "model", "--json")
    assert result.exit_code == 0, result.output
    first = facts(result)["ranking"][: len(odd) + 2]
    assert {one["start"] for one in first} >= set(odd)
    assert all(one["excerpt"] for one in first)
    return folder / "app.log", folder / "model", odd


def test_suspects_are_shown_as_the_lines_that_made_them_so(app, tmp_path: Path) -> None:
    log, _, odd = app
    shown = run_in_process("fit", log, "--out", tmp_path / "again").stdout
    assert "windows of 30s, the shortest usual length" in shown
    assert "Excerpts        of the first, by their ranks" in shown
    assert "FATAL" in shown or "failed with 500" in shown
    assert next(iter(odd))[:16] in shown


def test_later_logs_are_cut_as_in_training(app, tmp_path: Path) -> None:
    log, model, odd = app
    result = run_in_process("score", model, log, "--out", tmp_path / "s.csv", "--explain", 2)
    assert result.exit_code == 0, result.output
    table = read(tmp_path / "s.csv")
    assert table.column_names[:4] == ["start", "end", "lines", "anomaly_score"]
    scores = dict(zip(table["start"].to_pylist(), map(float, table["anomaly_score"].to_pylist()), strict=True))
    assert set(sorted(scores, key=scores.__getitem__)[-len(odd) - 2 :]) >= set(odd)


def test_report_and_query_show_lines(app, tmp_path: Path) -> None:
    log, model, odd = app
    assert run_in_process("report", model, log, "--out", tmp_path / "r.html").exit_code == 0
    page = (tmp_path / "r.html").read_text()
    assert next(iter(odd)) in page
    assert re.search(r"app\.log:\d+  [^<]*\napp\.log:\d+  ", page)  # one line each
    result = run_in_process("query", model, log, "--out", tmp_path / "q.csv", "-k", 3)
    assert result.exit_code == 0, result.output
    assert {"start", "end", "lines", "excerpt", "label"} <= {*read(tmp_path / "q.csv").column_names}


def test_sessions(tmp_path: Path) -> None:
    lines, odd = session_log(150, 0.02)
    (tmp_path / "hdfs.log").write_text("\n".join(lines))
    fitted = run_in_process("fit", tmp_path / "hdfs.log", "--session", "blk_", "--out", tmp_path / "m", "--json")
    assert fitted.exit_code == 0, fitted.output
    assert {one["session"] for one in facts(fitted)["ranking"][:2]} < set(odd)
    scored = run_in_process("score", tmp_path / "m", tmp_path / "hdfs.log", "--out", tmp_path / "s.csv")
    assert scored.exit_code == 0, scored.output
    assert read(tmp_path / "s.csv").column_names[:2] == ["session", "start"]


def test_one_window_is_too_few(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("2026-05-01 12:00:00 a\n2026-05-01 12:00:01 b\n")
    result = run_in_process("fit", tmp_path / "a.log", "--window", "1h", "--out", tmp_path / "m")
    assert result.exit_code == 2
    assert "training needs at least 2 windows" in result.stderr


def test_standard_input_is_scored(app, tmp_path: Path) -> None:
    log, model, _ = app
    result = run_in_process("score", model, "-", "--out", tmp_path / "s.csv", stdin=log.read_bytes())
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "s.csv").num_rows == 120
