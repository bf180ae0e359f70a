"""How a command speaks and ends."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import typer

from expose.cli.session import Session
from expose.errors import (
    DataWarning,
    InputError,
    InterruptedWarning,
    MissingExtraError,
    ModelFolderError,
    NonFiniteLossError,
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


def test_debug_lets_the_error_through() -> None:
    with pytest.raises(InputError, match="no rows"), Session(debug=True):
        raise InputError("no rows")


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
