"""What tests of the service share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands import run_in_process

Made = tuple[Path, Path]  # the model, and data that it can score
FAST = ["--objective", "autoencoder", "--set", "epochs=2", "--set", "device=cpu"]


def fitted(folder: Path, data: Path, *options: Any, command: str = "fit") -> Made:
    result = run_in_process(command, data, "--out", folder / "model", *options)
    assert result.exit_code == 0, result.output
    return folder / "model", data
