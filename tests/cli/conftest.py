"""A contaminated file and a model trained on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import QUICK, Run, run_in_process, transactions

collect_ignore = ["toy.py"]  # a program of a user's: importing it, even for examples, registers its kind


@pytest.fixture
def run() -> Run:
    return run_in_process


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "transactions.csv"
    transactions().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    roles = ["--id", "account", "--ignore", "note,is_fraud"]
    result = run_in_process("fit", data, "--out", folder, *roles, "--contamination", "0.05", *QUICK)
    assert result.exit_code == 0, result.output
    return folder
