"""Standard streams that are closed, full, without a reader or without the letters; names and ids as they come."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import QUICK, Run, command, facts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names and devices of Linux")
NASTY = ["\x1b[31mred", "tab\there", "\u202eltr", "bell\x07", "=1+1", "+49 30", "@SUM(A1)", "日本"]


def shell(arguments: list[Any], redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a shell does."""
    words = ["sh", "-c", f'"$@" {redirection}', "sh", *command(*arguments)]
    return subprocess.run(words, capture_output=True, timeout=120, check=False, env=os.environ | environment)


def without_reader(arguments: list[Any]) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose standard output nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    try:
        return subprocess.run(command(*arguments), stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    finally:
        os.close(write)


def ends(done: subprocess.CompletedProcess[bytes], code: int) -> None:
    """Assert the exit code, and that Python has nothing to add to it."""
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


BUG = """
import sys
import expose.cli, expose.persistence
def broken(*arguments):
    raise RuntimeError("oops")
expose.persistence.check_target = broken
sys.argv = ["expose", "fit", "d.csv", "--out", "m"]
expose.cli.main()
"""
LIGHT = [["--help"], ["--version"], ["fit", "--help"], ["fit", "d.csv", "--out", "m", "--set", "help"]]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_help_ends_as_documented_wherever_it_goes(arguments: list[str]) -> None:
    ends(without_reader(arguments), 141)
    full = shell(arguments, "> /dev/full")
    ends(full, 2)
    assert b"No space left on device" in full.stderr
    ends(shell(arguments, ">&- 2>&- <&-"), 0)


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full"])
def test_errors_that_nobody_hears_keep_their_code(redirection: str) -> None:
    ends(shell(["fit", "nothing.csv", "--out", "m"], redirection), 2)
    ends(shell(["fit", "--wings"], redirection), 2)


def test_only_a_bug_ends_with_1() -> None:
    ends(shell(["--install-completion"], SHELL="/bin/nope"), 2)
    ends(shell([], _EXPOSE_COMPLETE="nope"), 2)
    words = [sys.executable, "-c", BUG]
    done = subprocess.run(words, capture_output=True, timeout=120, check=False)
    ends(done, 1)
    assert b"looks like a bug" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_help_is_printed_in_any_encoding(encoding: str) -> None:
    done = shell(["fit", "--help"], PYTHONIOENCODING=encoding)
    ends(done, 0)
    assert "Examples:" in done.stdout.decode(encoding)


def test_scores_to_a_stdout_that_takes_none(data: Path, model: Path) -> None:
    score = ["score", model, data, "--out", "-"]
    ends(without_reader(score), 141)
    full = shell(score, "> /dev/full")
    ends(full, 2)
    assert b"error: " in full.stderr
    closed = shell(score, ">&-")
    ends(closed, 2)
    assert b"standard output is closed" in closed.stderr


def test_scores_to_a_file_need_no_streams(data: Path, model: Path, tmp_path: Path) -> None:
    ends(shell(["score", model, data, "--out", tmp_path / "scores.csv"], ">&- 2>&- <&-"), 0)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 240


def test_a_closed_stdin_holds_no_data(model: Path, tmp_path: Path) -> None:
    done = shell(["score", model, "-", "--out", tmp_path / "scores.csv"], "<&-")
    ends(done, 2)
    assert b"standard input" in done.stderr


# ------------------------------------------------------------------------------------------------ names and ids


@pytest.fixture
def nasty(data: Path, tmp_path: Path) -> Path:
    """A table with ids that a terminal or a spreadsheet would obey, in a file whose name is not UTF-8."""
    table = pd.read_csv(data)
    table["account"] = [f"{NASTY[row % len(NASTY)]} {row}" for row in range(len(table))]
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b.csv"))
    table.to_csv(path, index=False)
    return path


ROLES = ["--id", "account", "--ignore", "note,is_fraud"]


def test_nasty_ids_and_names_are_printed_escaped(run: Run, nasty: Path, tmp_path: Path) -> None:
    model = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xff"))
    told = run("fit", nasty, "--out", model, *ROLES, *QUICK)
    assert told.exit_code == 0, told.output
    scored = run("score", model, nasty, "--out", nasty.with_suffix(".out.csv"))
    assert scored.exit_code == 0, scored.output
    asked = run("query", model, nasty, "--out", tmp_path / "asked.csv")
    assert asked.exit_code == 0, asked.output
    for result in (told, scored, asked):
        assert not {"\x1b", "\x07", "\u202e"} & set(result.output)
    assert r"\x1b[31mred" in told.stdout
    assert rf"{tmp_path}/m\xff" in told.stdout
    assert r"caf\xe9\x1b.out.csv" in scored.stdout
    written = pd.read_csv(nasty.with_suffix(".out.csv"))["account"]
    assert written.tolist() == pd.read_csv(nasty)["account"].tolist()  # in files they are as they came
    failed = run("score", model, nasty.with_name(os.fsdecode(b"\xfe.csv")), "--out", tmp_path / "x.csv")
    assert failed.exit_code == 2
    assert r"\udcfe.csv" in failed.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_is_valid_in_every_encoding(model: Path, nasty: Path, encoding: str) -> None:
    out = nasty.with_suffix(".out.csv")
    done = shell(["score", model, nasty, "--out", out, "--json"], PYTHONIOENCODING=encoding)
    ends(done, 0)
    said = json.loads(done.stdout.decode(encoding))
    assert said["out"].endswith(r"caf\xe9" + "\x1b.out.csv")
    assert {one["account"].split()[0] for one in said["top"]} <= {name.split()[0] for name in NASTY}
    ends(shell(["score", model, nasty, "--out", out], PYTHONIOENCODING=encoding), 0)


def test_formulas_are_disarmed_on_demand(run: Run, model: Path, nasty: Path, tmp_path: Path) -> None:
    for name in ("score", "query"):
        out = tmp_path / f"{name}.csv"
        result = run(name, model, nasty, "--out", out, "--spreadsheet-safe")
        assert result.exit_code == 0, result.output
        with out.open(encoding="utf-8", newline="") as file:
            accounts = [row["account"] for row in csv.DictReader(file)]
        assert any(text.startswith("'") for text in accounts)
        assert not any(text.startswith(("=", "+", "-", "@")) for text in accounts)


def test_images_that_cannot_be_read_are_skipped_on_demand(run: Run, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    import numpy as np

    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for row in range(40):
        image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{row:02}.png")
    (folder / "05.png").write_bytes((folder / "05.png").read_bytes()[:60])
    (folder / "07.png").write_text("<html>")
    fit = ["fit", folder, "--out", tmp_path / "m", "--objective", "autoencoder", "--set", "epochs=1", "--json"]
    refused = run(*fit)
    assert refused.exit_code == 2
    assert ".png: cannot be read as an image" in refused.stderr
    fitted = facts(run(*fit, "--skip-bad"))
    assert (fitted["rows"], fitted["skipped"]) == (38, ["05.png", "07.png"])
    assert "2 file(s) cannot be read as images and are left out: '05.png', '07.png'" in fitted["warnings"]
    scored = facts(run("score", tmp_path / "m", folder, "--out", tmp_path / "s.csv", "--skip-bad", "--json"))
    assert scored["skipped"] == ["05.png", "07.png"]
    names = pd.read_csv(tmp_path / "s.csv")["file"].tolist()
    assert names == [f"{row:02}.png" for row in range(40) if row not in (5, 7)]
    asked = run("query", tmp_path / "m", folder, "--out", tmp_path / "q.csv", "--skip-bad")
    assert asked.exit_code == 0, asked.output
    assert [names[row] for row in pd.read_csv(tmp_path / "q.csv")["row"]] == pd.read_csv(tmp_path / "q.csv")[
        "file"
    ].tolist()
