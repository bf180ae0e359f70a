"""Help, version, completion, and the options as a whole."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from commands import Run, run_apart

import expose
from expose.cli import options
from expose.cli.fit import fit
from expose.estimators import AnomalyDetector
from expose.exposure import EXPOSURES
from expose.objectives import OBJECTIVES

COMMANDS = ["fit", "score", "query", "report", "demo", "bench"]


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]])
def test_help_has_examples(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"expose {' '.join(command)}" in result.stdout.split("Examples:")[1]


def test_help_documents_the_exit_codes(run: Run) -> None:
    text = " ".join(run("--help").stdout.split())
    for code in ("0 done", "1 a bug", "2 the command", "3 the model folder", "130 interrupted", "141 nobody"):
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


def test_choices_are_the_registries() -> None:
    """The command reads names off files so as not to import PyTorch; they must be the registered names."""
    assert options.objective_names() == sorted(OBJECTIVES)
    assert set(options.RULES) == set(EXPOSURES)


def parameters(function: Any) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


def test_fit_offers_every_parameter_with_the_estimators_default() -> None:
    offered, there = parameters(fit), parameters(AnomalyDetector)
    offered["random_state"] = offered.pop("seed")
    decided = {
        "checkpoint",
        "verbose",
        "warm_start",
        "random_state",
    }  # the command's own: beside the model, not quiet, 0
    assert there.keys() - offered.keys() == decided - {"random_state"}
    assert {name: offered[name] for name in there.keys() - decided} == {
        name: there[name] for name in there.keys() - decided
    }


OPTIONS = {
    "--objective": ("objective", "svdd", "svdd"),
    "--exposure": ("exposure", "hard", "hard"),
    "--contamination": ("contamination", "0.07", 0.07),
    "--threshold": ("threshold", "0.2", 0.2),
    "--calibration": ("calibration", "4", 4),
    "--members": ("members", "3", 3),
    "--epochs": ("epochs", "7", 7),
    "--batch-size": ("batch_size", "32", 32),
    "--learning-rate": ("learning_rate", "0.01", 0.01),
    "--weight-decay": ("weight_decay", "0.1", 0.1),
    "--halve-every": ("halve_every", "9", 9),
    "--warmup": ("warmup", "1", 1),
    "--ranking": ("ranking", "dataset", "dataset"),
    "--outlier-weight": ("outlier_weight", "0.5", 0.5),
    "--patience": ("patience", "4", 4),
    "--scaling": ("scaling", "standard", "standard"),
    "--precision": ("precision", "32", "32"),
    "--device": ("device", "cpu", "cpu"),
    "--checkpoint-every": ("checkpoint_every", "5", 5.0),
    "--seed": ("random_state", "11", 11),
}


def test_every_option_is_tried() -> None:
    assert {name for name, _, _ in OPTIONS.values()} == parameters(AnomalyDetector).keys() - {
        "checkpoint",
        "verbose",
        "warm_start",
    }


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_reaches_the_estimator(
    run: Run, option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    seen: list[AnomalyDetector] = []

    def catch(self: AnomalyDetector, X: Any, **others: Any) -> AnomalyDetector:
        seen.append(self)
        raise ValueError("caught")

    monkeypatch.setattr(AnomalyDetector, "fit", catch)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    name, given, expected = OPTIONS[option]
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", option, given)
    assert "caught" in result.stderr
    assert seen[0].get_params()[name] == expected


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--contamination", "-0.1"], "[0, 0.5)"),
        (["--contamination", "0.5"], "swap the classes"),
        (["--contamination", "0.7"], "swap the classes"),
        (["--contamination", "nan"], "[0, 0.5)"),
        (["--contamination", "half"], "neither 'auto' nor a number"),
        (["--objective", "nlt"], "ntl"),
        (["--exposure", "harsh"], "hard"),
        (["--scaling", "giant"], "quantile"),
        (["--ranking", "none"], "dataset"),
        (["--precision", "64"], "bf16"),
        (["--device", "toaster"], "cpu"),
        (["--members", "0"], "1"),
        (["--epochs", "many"], "--epochs"),
    ],
)
def test_bad_options_are_refused_with_a_hint(run: Run, arguments: list[str], hint: str, tmp_path: Any) -> None:
    (tmp_path / "data.csv").write_text("a,b\n" + "1,2\n3,4\n" * 50)
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", *arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "model").exists()
