"""``expose score MODEL - --out -``: a line in, a line out, for as long as lines come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from commands import Run, command, run_apart, run_in_process, transactions
from test_series import ROLES, pumps

HEADER = "pump,when,bar,heat,on\n"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Rows of two pumps as they come, by turns."""
    table = pumps()
    order = table.assign(at=pd.to_datetime(table["when"], dayfirst=True)).sort_values(["at", "pump"]).index
    return table.loc[order].to_csv(index=False).splitlines(keepends=True)[1:]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the pumps."""
    folder = tmp_path_factory.mktemp("live")
    pumps().to_csv(folder / "pumps.csv", index=False)
    given = ("--window", 24, "--contamination", 0.03, "--out", folder / "model")
    result = run_in_process("fit", folder / "pumps.csv", *ROLES, *given)
    assert result.exit_code == 0, result.output
    return folder / "model"


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    streams = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(command("score", *arguments), text=True, bufsize=1, **streams) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], line: str) -> str:
    """What is answered to a line before another one comes."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What is left of both streams when the input ends."""
    out, told = process.communicate(timeout=120)
    return out, told


def test_a_line_is_answered_before_the_next_one_comes(pipes: Path, lines: list[str]) -> None:
    whole = run_in_process("score", pipes, "-", "--out", "-", stdin=HEADER + "".join(lines[:4])).stdout.splitlines()
    with running(pipes, "-", "--out", "-") as process:
        assert ask(process, HEADER + lines[0]) == '"pump","when","anomaly_score","is_anomaly"\n'
        assert process.stdout is not None
        answers = [process.stdout.readline(), *(ask(process, line) for line in lines[1:3]), ask(process, lines[3])]
        assert [answer.rstrip() for answer in answers] == whole[1:5]
        out, told = ended(process)
    assert out == ""
    assert process.returncode == 0
    assert "a row is scored when it comes, by the windows of 24 steps that have ended; --delay 23 waits" in told
    assert "Scored          4 steps" in told


def test_rows_of_a_table_and_objects_of_json(model: Path) -> None:
    table = transactions(20)
    expected = run_apart("score", model, "-", "--out", "-", "-q", input=table.to_csv(index=False)).stdout.splitlines()
    objects = [json.dumps(row) + "\n" for row in table.to_dict("records")]
    with running(model, "-", "--out", "-") as process:
        answers = [json.loads(ask(process, one)) for one in objects[:3]]
        ended(process)
    for answer, line in zip(answers, expected[1:], strict=False):
        account, score, flag = line.split(",")
        assert answer == {"account": json.loads(account), "anomaly_score": float(score), "is_anomaly": flag == "true"}


def test_one_bad_row_is_answered_without_a_score_and_told(pipes: Path, lines: list[str]) -> None:
    with running(pipes, "-", "--out", "-") as process:
        ask(process, HEADER + lines[0])
        assert process.stdout is not None
        process.stdout.readline()
        assert ask(process, "nonsense\n") == ",,,\n"
        assert ask(process, "north,soon,1,2,yes\n") == '"north","soon",,\n'
        assert ask(process, lines[1]).startswith('"south",')
        _, told = ended(process)
    assert process.returncode == 0
    assert "1 line(s) are no rows: no score (line 3: expected 5 values as in the header, got 1: 'nonsense')" in told
    assert "1 row(s) cannot be read as in training: no score" in told


def test_a_line_of_garbage_before_the_header_leaves_the_answers_as_they_are(pipes: Path, lines: list[str]) -> None:
    given, how = HEADER + lines[0], {"encoding": "utf-8", "errors": "surrogateescape"}
    plain, odd = (run_apart("score", pipes, "-", "--out", "-", input=top + given, **how) for top in ("", "\udcff\n"))
    assert odd.stdout == plain.stdout
    assert "1 line(s) are no rows: no score (line 1: " in odd.stderr


def test_what_can_never_be_scored_ends_it_at_once(run: Run, pipes: Path) -> None:
    result = run("score", pipes, "-", "--out", "-", stdin="pump,when,bar\nnorth,01.01.2026 00:00,1\n")
    assert result.exit_code == 2
    assert "channels of training are not there: 'heat'" in result.output
    for given in ("", HEADER):
        result = run("score", pipes, "-", "--out", "-", stdin=given)
        assert result.exit_code == 2
        assert "Expected a header line" in result.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_and_started_again_it_goes_on(pipes: Path, lines: list[str], tmp_path: Path, number: int) -> None:
    state = tmp_path / "state"
    whole = run_in_process("score", pipes, "-", "--out", "-", "-q", stdin=HEADER + "".join(lines[:60])).stdout
    first, rest = 33, HEADER * (number == signal.SIGINT)
    with running(pipes, "-", "--out", "-", "--state", state) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(HEADER + "".join(lines[:first]) + lines[first][:5])
        process.stdin.flush()
        answers = [process.stdout.readline() for _ in range(first + 1)]
        process.send_signal(number)
        left = process.stdout.read()
        assert process.wait(60) == (130 if number == signal.SIGINT else 0)
    assert left == ""
    rest += (lines[first] if rest else lines[first][5:]) + "".join(lines[first + 1 : 60])
    again = run_apart("score", pipes, "-", "--out", "-", "--state", state, input=rest)
    assert again.returncode == 0, again.stderr
    assert "goes on after 33 rows" in again.stderr
    assert "".join(answers) + again.stdout == whole


def test_rows_that_wait_are_in_the_state(run: Run, pipes: Path, lines: list[str], tmp_path: Path) -> None:
    given = ("score", pipes, "-", "--out", "-", "--delay", 3)
    whole = run(*given, stdin=HEADER + "".join(lines[:40])).stdout.splitlines()
    assert len(whole) == 41
    first = run(*given, "--state", tmp_path / "s", stdin=HEADER + "".join(lines[:20]))
    assert "6 row(s) wait in" in first.stderr
    second = run(*given, "--state", tmp_path / "s", stdin="".join(lines[20:40])).stdout.splitlines()
    assert [*first.stdout.splitlines(), *second] == whole[: 41 - 6]
    other = run(*given[:-1], 5, "--state", tmp_path / "s", stdin="".join(lines[:2]))
    assert other.exit_code == 2
    assert "was written with --delay 3" in other.output


def test_a_state_is_kept_while_rows_come(
    run: Run, pipes: Path, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expose.scoring import Live

    saved: list[int] = []
    save = Live.save
    monkeypatch.setattr("expose.cli.live.EVERY", 1e-9)
    monkeypatch.setattr("expose.cli.live.PIECE", 500)
    monkeypatch.setattr("expose.cli.live.MOST", 500)
    monkeypatch.setattr(Live, "save", lambda live, *rest, **more: (saved.append(live.taken), save(live, *rest, **more)))
    run("score", pipes, "-", "--out", "-", "--state", tmp_path / "state", stdin=HEADER + "".join(lines[:60]))
    assert saved[0] == 0
    assert saved[-1] == 60
    assert len(saved) > 3
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["state"]


def test_a_state_that_cannot_be_is_told_before_any_row(run: Run, pipes: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no state")
    for place, code in ((tmp_path / "no" / "state", 2), (tmp_path, 2), (tmp_path / "text", 3)):
        result = run("score", pipes, "-", "--out", "-", "--state", place, stdin=HEADER)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
    assert "is a folder; name a file in it" in " ".join(
        run("score", pipes, "-", "--out", "-", "--state", tmp_path).output.split()
    )


def test_what_looks_at_all_rows_reads_them_first(run: Run, pipes: Path, lines: list[str], tmp_path: Path) -> None:
    given, stdin = ("score", pipes, "-", "--out", "-"), HEADER + "".join(lines)
    said = run(*given, "--spans", tmp_path / "spans.csv", stdin=stdin)
    assert "All rows are read before they are scored" in said.stderr
    assert len(said.stdout.splitlines()) == 1_201
    assert (
        "--state and --delay are for rows that are scored as they come"
        in run("score", pipes, tmp_path / "x.csv", "--out", tmp_path / "s.csv", "--delay", 3).output
    )
    refused = run(*given, "--spans", tmp_path / "spans.csv", "--state", tmp_path / "s", stdin=stdin)
    assert refused.exit_code == 2
    assert "look at all rows" in refused.output


def test_packed_and_binary_tables_are_read_first(run: Run, model: Path, tmp_path: Path) -> None:
    transactions().to_parquet(tmp_path / "rows.parquet")
    said = run("score", model, "-", "--out", "-", stdin=(tmp_path / "rows.parquet").read_bytes())
    assert said.exit_code == 0, said.output
    assert "All rows are read before they are scored: it is packed or binary." in said.stderr
    assert len(said.stdout.splitlines()) == 241


def test_a_reader_that_leaves_keeps_the_state(pipes: Path, lines: list[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        command("score", pipes, "-", "--out", "-", "--state", state, "-q"),
        stdin=subprocess.PIPE,
        stdout=write,
        text=True,
    ) as process:
        os.close(write)
        process.communicate(HEADER + lines[0], timeout=120)
        assert process.returncode == 141
    assert state.exists()
