"""How a command speaks and ends."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import typer

from expose.cli.session import Session, visible
from expose.errors import (
    CountedWarning,
    DataWarning,
    InputError,
    InterruptedWarning,
    MissingExtraError,
    ModelFolderError,
    NonFiniteLossError,
    SkippedWarning,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no rows"), 2),
        (ValueError("bad parameter"), 2),
        (FileNotFoundError("no such file"), 2),
        (OSError(28, "No space left on device"), 2),
        (MissingExtraError("pip install 'expose[report]'"), 2),
        (NonFiniteLossError("loss is NaN"), 2),
        (MemoryError(), 2),
        (ModelFolderError("damaged"), 3),
        (KeyboardInterrupt(), 130),
        (RuntimeError("Symlink loop from 'a'"), 2),
        (RuntimeError("oops"), 1),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left, Session():
        raise error
    assert left.value.exit_code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert str(error.args[-1] if error.args else "") in said.err


def test_debug_shows_the_traceback_and_ends_alike(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, Session(debug=True):
        raise InputError("no rows")
    assert left.value.exit_code == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("error: no rows\n")


def test_an_error_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), Session(as_json=True):
        raise InputError("no rows")
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["exit_code"]) == ("no rows", 2)


def test_warnings_are_one_tidy_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with Session() as session:
        warnings.warn("12 unseen\n categories", DataWarning, stacklevel=1)
        warnings.warn("7 unseen categories", DataWarning, stacklevel=1)
        warnings.warn("extra column", DataWarning, stacklevel=1)
        warnings.warn("not ours", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: 12 unseen categories\nwarning: extra column\n"
    assert session.warned == ["12 unseen categories", "extra column"]


def test_debug_shows_foreign_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(debug=True):
        warnings.warn("not ours", UserWarning, stacklevel=1)
    assert "not ours" in capsys.readouterr().err


def test_interruption_ends_with_130_after_the_work() -> None:
    with pytest.raises(typer.Exit) as left, Session():
        warnings.warn("stopped early", InterruptedWarning, stacklevel=1)
    assert left.value.exit_code == 130


def test_the_warning_state_is_restored() -> None:
    before = warnings.showwarning, list(warnings.filters)
    with Session():
        pass
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_json_has_plain_values_only(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(as_json=True) as session:
        session.say("not on stdout")
        session.result(n=np.int64(3), share=np.float32(0.5), odd=[math.nan, math.inf], day=np.datetime64("2024-01-02"))
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == 3
    assert said["share"] == 0.5
    assert said["odd"] == [None, None]
    assert said["day"] == "2024-01-02"
    assert said["interrupted"] is False
    assert said["warnings"] == []


def test_people_are_told_on_stderr_when_stdout_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(stdout_is_data=True) as session:
        session.say("3 rows")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "3 rows\n")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(quiet=True) as session:
        session.say("3 rows")
    assert capsys.readouterr().out == ""
    assert session.verbose == 0


def test_json_and_data_cannot_share_stdout() -> None:
    with pytest.raises(typer.BadParameter, match="both want stdout"):
        Session(as_json=True, stdout_is_data=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\0c\x7f\x9b", "a\\rb\\x00c\\x7f\\x9b"),
        ("abc\u202edcb\u2066", "abc\\u202edcb\\u2066"),
        ("caf\udce9.csv", "caf\\xe9.csv"),
        ("\ud83d", "\\ud83d"),
        ("café \t 日本 שלום 👩\u200d🚀", "café \t 日本 שלום 👩\u200d🚀"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_printed(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert visible(text) == shown
    with Session() as session:
        session.say(text)
        warnings.warn(f"w {text}", DataWarning, stacklevel=1)
    with pytest.raises(typer.Exit), Session():
        raise InputError(f"e {text}")
    said = capsys.readouterr()
    assert said.out == f"{shown}\n"
    assert (said.out + said.err).encode()  # no surrogate is left
    assert not {"\x1b", "\0", "\u202e"} & set(said.err)


def test_json_is_valid_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(as_json=True) as session:
        session.result(**{"caf\udce9": "\x1b\ud83d", "many": np.arange(2), "raw": b"\xff", "nan": np.float32("nan")})
        warnings.warn("caf\udce9", DataWarning, stacklevel=1)
    printed = capsys.readouterr().out
    assert printed.encode()
    said = json.loads(printed)
    assert said["caf\\xe9"] == "\x1b\\ud83d"
    assert said["many"] == [0, 1]
    assert said["warnings"] == ["caf\\xe9"]


def odd(count: int, *names: str) -> None:
    """What an encoder says of a batch."""
    warnings.warn(CountedWarning("{count} row(s) are odd ({examples})", count, names), stacklevel=2)


def test_counts_of_batches_are_added_up_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Session(in_batches=True) as session:
        odd(1000, "a", "b")
        odd(234, "b", "c")
        warnings.warn(CountedWarning("{count} row(s) are even", 1), stacklevel=1)
        assert session.warned == []
    expected = ["1,234 row(s) are odd ('a', 'b', 'c')", "1 row(s) are even"]
    assert session.warned == expected
    assert capsys.readouterr().err.splitlines() == [f"warning: {line}" for line in expected]


def test_rows_that_are_looked_at_twice_count_once_where_there_are_no_batches() -> None:
    with Session() as session:
        for count in (3, 7, 2):
            odd(count, "a")
    assert session.warned == ["7 row(s) are odd ('a')"]


def test_counts_are_said_when_the_command_fails_too(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        odd(3, "a")
        raise InputError("no rows")

    with pytest.raises(typer.Exit), Session(as_json=True):
        work()
    said = capsys.readouterr()
    assert said.err == "warning: 3 row(s) are odd ('a')\nerror: no rows\n"
    assert json.loads(said.out)["warnings"] == ["3 row(s) are odd ('a')"]


def test_a_counted_warning_is_complete_by_itself() -> None:
    names = [f"{number:04}" for number in range(3000)]
    whole = CountedWarning("column '{x}': {count} of ({examples})", 7, names[:7])
    assert str(whole) == "column '{x}': 7 of ('0000', '0001', '0002', '0003', '0004' and 2 more)"
    many = CountedWarning("{count} ({examples})", 2000, names[:2000]) + CountedWarning("", 1000, names[2000:])
    assert len(many.examples) == 1000  # no more are held in memory
    assert str(many).startswith("3,000 ('0000',")
    assert str(many).endswith("and many more)")
    with pytest.warns(DataWarning, match="3 row"):
        odd(3)


def test_skipped_files_are_all_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"{number}.png" for number in range(1200)]
    with Session(as_json=True, in_batches=True):
        for part in (files[:700], files[700:]):
            warnings.warn(SkippedWarning("{count} file(s) left out: {examples}", len(part), part), stacklevel=1)
    said = json.loads(capsys.readouterr().out)
    assert said["skipped"] == files
    [warning] = said["warnings"]
    assert warning.startswith("1,200 file(s) left out: '0.png', ")
    assert warning.endswith("and 1,195 more")
