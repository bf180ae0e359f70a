"""Killed and interrupted trainings."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import command, run_apart, transactions, weights_of

from expose.estimators import AnomalyDetector


@pytest.fixture
def training(data: Path) -> list[str]:
    """A training of some seconds, saved after every epoch."""
    options = [
        "--objective",
        "ntl",
        *["--set", "epochs=60"],
        *["--set", "batch_size=8"],
        *["--set", "device=cpu"],
        *["--set", "checkpoint_every=0"],
    ]
    return ["fit", str(data), "--ignore", "account,note,is_fraud", *options]


def heed_ctrl_c() -> None:
    """Undo what a shell does to jobs in the background, and so to these tests: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(arguments: list[str], until: str) -> subprocess.Popen[str]:
    """Start a training and wait for a line of its progress."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(*arguments), stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_ctrl_c)  # noqa: PLW1509
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(until):
            return process
    raise AssertionError(f"the training ended before {until!r}: exit code {process.wait()}")


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_model(training: list[str], tmp_path: Path) -> None:
    killed = start([*training, "--out", str(tmp_path / "model")], until="epoch 18/60")
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert (tmp_path / "model.checkpoint").exists()
    assert not (tmp_path / "model").exists()

    again = run_apart(*training, "--out", tmp_path / "model")
    assert again.returncode == 0, again.stderr
    assert "epoch 6/60" not in again.stderr, "it started from the beginning"
    assert not (tmp_path / "model.checkpoint").exists()

    straight = run_apart(*training, "--out", tmp_path / "straight")
    assert straight.returncode == 0, straight.stderr
    weights = [weights_of(tmp_path / name) for name in ("model", "straight")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_killed_classifier_goes_on_to_the_same_model(tmp_path: Path) -> None:
    table = transactions(400)
    table.iloc[:300].to_csv(tmp_path / "data.csv", index=False)
    table.iloc[300:].to_csv(tmp_path / "other.csv", index=False)
    settings = ["--set", "epochs=60", "--set", "batch_size=8", "--set", "checkpoint_every=0", "--set", "device=cpu"]
    roles = ["--label", "shop", "--ignore", "account,note,is_fraud", "--outliers", str(tmp_path / "other.csv")]
    training = ["classify", str(tmp_path / "data.csv"), *roles, *settings, "--no-baseline"]
    killed = start([*training, "--out", str(tmp_path / "model")], until="epoch 18/60")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = run_apart(*training, "--out", tmp_path / "model")
    assert again.returncode == 0, again.stderr
    assert "epoch 6/60" not in again.stderr, "it started from the beginning"
    assert run_apart(*training, "--out", tmp_path / "straight").returncode == 0
    assert weights_of(tmp_path / "model") == weights_of(tmp_path / "straight")
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.slow
def test_ctrl_c_leaves_a_usable_model(training: list[str], data: Path, tmp_path: Path) -> None:
    process = start([*training, "--out", str(tmp_path / "model")], until="epoch 18/60")
    process.send_signal(signal.SIGINT)
    said, warned = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "warning: " in warned
    assert "Traceback" not in warned
    assert "Ranking  " in said
    assert 18 <= len(AnomalyDetector.load(tmp_path / "model").history_) < 60
    assert run_apart("score", tmp_path / "model", data, "--out", tmp_path / "scores.csv").returncode == 0
    assert (tmp_path / "model.checkpoint").exists()

    again = run_apart(*training, "--out", tmp_path / "model")
    assert again.returncode == 0, again.stderr
    assert len(AnomalyDetector.load(tmp_path / "model").history_) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "scores.csv"]


@pytest.mark.slow
def test_ctrl_c_before_the_training_is_130_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("fit", "-", "--out", tmp_path / "model"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - there are no threads
        text=True,
    )
    time.sleep(2)  # it imports, or waits for standard input
    process.send_signal(signal.SIGINT)
    _, warned = process.communicate(timeout=60)
    assert process.returncode in {130, -signal.SIGINT}  # a shell shows 130 for both
    assert "Traceback" not in warned
    assert list(tmp_path.iterdir()) == []
