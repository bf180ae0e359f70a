import sys
from types import SimpleNamespace

import pytest

from expose_lab import progress
from expose_lab.progress import Lines, display


def test_the_time_left_follows_the_pace():
    lines = Lines(40)
    lines.done = 10
    assert lines.line(60.0, "it") == "task 10 of 40, 0:01:00 gone, about 0:03:00 left; last: it"
    lines.done = 40
    assert "about 0:00:00 left" in lines.line(7200.0, "it")


def test_lines_come_every_few_seconds_and_failures_at_once(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    lines = Lines(5)
    lines("one", None)
    assert capsys.readouterr().err == ""
    lines("two", "ValueError: no")
    assert capsys.readouterr().err == "failed: two: ValueError: no\n"
    now[0] += progress.EVERY
    lines("three", None)
    lines("four", None)
    assert capsys.readouterr().err == "task 3 of 5, 0:00:15 gone, about 0:00:10 left; last: three\n"
    lines("five", None)
    assert capsys.readouterr().err.startswith("task 5 of 5")  # the last at once


@pytest.mark.parametrize(("verbose", "cells"), [(0, 3), (1, 0)])
def test_silence(capsys, verbose, cells):
    with display(cells, verbose) as report:
        report("one", "failed")
    assert capsys.readouterr() == ("", "")


def test_what_is_there_already_is_said(capsys):
    with display(0, 1, there=1200, wanted=1200):
        pass
    assert capsys.readouterr().err == "1,200 of 1,200 runs are there already\n"


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with display(2, 1) as report:
        report("ntl [soft] on wine", None)
        report("ntl [hard] on wine", "ValueError: [no]")
    said, err = capsys.readouterr()
    assert said == ""
    assert "failed: ntl [hard] on wine: ValueError: [no]" in err
    assert err.count("ntl [hard] on wine") >= 2  # beside the bar too, brackets and all
    assert "100%" in err
