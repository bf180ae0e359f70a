"""Help, version, completion, and the options as a whole."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from commands import Run, run_apart

import expose
from expose.cli import options
from expose.cli.app import COMMANDS, LABORATORY, command_of
from expose.errors import InputError
from expose.estimators import AnomalyDetector
from expose.exposure import EXPOSURES
from expose.objectives import OBJECTIVES, Neighbours


@pytest.mark.parametrize(
    "command", [[], *[[name] for name, command in COMMANDS.items() if command.home.startswith("expose.")]]
)
def test_help_has_examples(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"expose {' '.join(command)}" in result.stdout.split("Examples:")[1]


def test_help_documents_the_exit_codes(run: Run) -> None:
    text = " ".join(run("--help").stdout.split())
    for code in (
        "0 done",
        "1 a bug",
        "2 the command",
        "3 the model folder",
        "4 the data have moved",
        "130 interrupted",
        "141 nobody",
    ):
        assert code in text


def test_version(run: Run) -> None:
    assert run("--version").stdout.strip() == f"expose {version('expose')}"
    assert expose.__version__ == version("expose")


@pytest.mark.parametrize("arguments", [["fly"], ["fit"], ["fit", "x.csv"], ["score", "model"], ["--wings"]])
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_python_m_expose() -> None:
    done = run_apart("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"expose {version('expose')}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_knows_the_objectives(shell: str) -> None:
    words = "expose fit data.csv --objective "
    environment = {
        "_EXPOSE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": "4",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from expose.cli import main; main()"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "autoencoder" in done.stdout
    assert "ntl" in done.stdout


def test_the_names_that_help_lists_are_the_registered_ones() -> None:
    """The command reads names off files so as not to import PyTorch."""
    shipped = {name for name, cls in OBJECTIVES.items() if cls.__module__.startswith("expose.")}
    assert set(options.objective_names()) == shipped
    assert set(options.RULES) == set(EXPOSURES)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.home.startswith("expose.")])
def test_the_summary_is_the_first_line_of_the_docstring(name: str) -> None:
    assert command_of(name).get_short_help_str(200) == COMMANDS[name].summary


@pytest.mark.parametrize("name", ["fit", "classify"])
def test_help_fits_on_one_screen(name: str) -> None:
    done = run_apart(name, "--help", env=os.environ | {"COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", ["score", "query"])
def test_help_speaks_of_photos_where_they_are_meant(name: str) -> None:
    said = " ".join(run_apart(name, "--help", env=os.environ | {"COLUMNS": "80"}).stdout.split())
    assert "the rows or photos of DATA" in said
    assert "How many rows" not in said
    assert "the training rows" not in said


@pytest.mark.parametrize("name", ["bench", "data"])
def test_the_benchmark_may_be_absent(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == LABORATORY]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, LABORATORY, None)
    result = run(name, "list", "--group", "paper")
    assert result.exit_code == 2
    assert "pip install 'expose[bench]'" in result.stderr
    assert name in run("--help").stdout


def test_a_fault_in_a_command_is_not_taken_for_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "broken", COMMANDS["fit"]._replace(home="no_such_module:broken"))
    with pytest.raises(ModuleNotFoundError):
        command_of("broken")


def test_a_misspelt_command_is_recognised(run: Run) -> None:
    assert "Did you mean 'score'?" in run("scroe").stderr


OPTIONS = {
    "--exposure": ("exposure", "hard", "hard"),
    "--contamination": ("contamination", "0.07", 0.07),
    "--threshold": ("threshold", "0.2", 0.2),
    "--calibration": ("calibration", "4", 4),
    "--seed": ("random_state", "11", 11),
    "--set ensemble_size": ("ensemble_size", "3", 3),
    "--set encoder": ("encoder", "standard", "standard"),
    "--encoder": ("encoder", "standard", "standard"),
    "--set device": ("device", "cpu", "cpu"),
}
OWN = {"checkpoint", "verbose", "warm_start", "objective"}  # the command's: beside the model, not quiet, no; see below


def fitted_with(run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> AnomalyDetector:
    """The detector that ``expose fit`` would train."""
    seen: list[AnomalyDetector] = []

    def catch(self: AnomalyDetector, X: Any, **others: Any) -> AnomalyDetector:
        seen.append(self)
        raise InputError("caught")

    monkeypatch.setattr(AnomalyDetector, "fit", catch)
    (folder / "data.csv").write_text("a,b\n1,2\n3,4\n")
    result = run("fit", folder / "data.csv", "--out", folder / "model", *arguments)
    assert "caught" in result.stderr, result.output
    return seen[0]


def test_every_parameter_can_be_set() -> None:
    assert {name for name, _, _ in OPTIONS.values()} | OWN == set(inspect.signature(AnomalyDetector).parameters)


def test_defaults_are_those_of_python(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector, there = fitted_with(run, monkeypatch, tmp_path), AnomalyDetector().get_params()
    there["random_state"] = 0
    assert {name: value for name, value in detector.get_params().items() if name not in OWN} == {
        name: value for name, value in there.items() if name not in OWN
    }
    assert (detector.objective.name, detector.objective.settings()) == ("neighbours", Neighbours().settings())


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_reaches_the_estimator(
    run: Run, option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, given, expected = OPTIONS[option]
    arguments = [*option.split(), given] if " " not in option else ["--set", f"{name}={given}"]
    detector = fitted_with(run, monkeypatch, tmp_path, *arguments)
    assert detector.get_params()[name] == expected


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--contamination", "-0.1"], "[0, 0.5)"),
        (["--contamination", "0.5"], "swap the roles of the two classes"),
        (["--contamination", "5"], "For 5 % write 0.05"),
        (["--contamination", "nan"], "[0, 0.5)"),
        (["--threshold", "5"], "For 5 % write 0.05"),
        (["--threshold", "nan"], "share of the training rows to flag, in [0, 1)"),
        (["--contamination", "half"], "[0, 0.5) or 'auto'"),
        (["--objective", "nlt"], "ntl"),
        (["--exposure", "harsh"], "hard"),
        (["--seed", "-1"], "a seed is a whole number from 0 to"),
        (["--calibration", "1"], "at least 2"),
        (["--set", "encoder=giant"], "quantile"),
        (["--objective", "ntl", "--set", "ranking=none"], "dataset"),
        (["--objective", "ntl", "--set", "precision=64"], "bf16"),
        (["--set", "device=toaster"], "cpu"),
        (["--set", "ensemble_size=0"], "1"),
        (["--objective", "ntl", "--set", "epochs=many"], "--set epochs takes none or int; got 'many'"),
    ],
)
def test_bad_options_are_refused_with_a_hint(run: Run, arguments: list[str], hint: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n" + "1,2\n3,4\n" * 50)
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", *arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.output.split())
    assert not (tmp_path / "model").exists()
