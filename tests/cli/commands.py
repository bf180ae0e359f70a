"""Ways to run the command, and a small contaminated table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typer.testing import CliRunner, Result

from expose.cli.app import app

Run = Callable[..., Result]
QUICK = ["--objective", "ntl", "--set", "epochs=3", "--set", "batch_size=64", "--set", "device=cpu"]


def run_in_process(*arguments: Any, stdin: str | bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def command(*arguments: Any) -> list[str]:
    """The same for a process of its own."""
    return [sys.executable, "-m", "expose", *map(str, arguments)]


def run_apart(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(command(*arguments), check=False, capture_output=True, text=True, timeout=120, **options)


def facts(result: Result) -> dict[str, Any]:
    """The JSON object of a command run with --json, which must be all of stdout."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def transactions(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Amounts and hours of two kinds of shops; the first twelve rows are far off."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "account": [f"A{row:04d}" for row in range(rows)],
            "amount": random.normal(50, 5, rows),
            "hour": random.normal(12, 2, rows),
            "shop": random.choice(["bakery", "books"], rows),
            "note": [f"free text {row}" for row in range(rows)],
            "is_fraud": 0,
        }
    )
    table.loc[:11, "amount"] += 400
    table.loc[:11, "is_fraud"] = 1
    return table


def weights_of(model: Path) -> bytes:
    """The bytes of a model's weights."""
    [file] = model.glob("weights-*.safetensors")
    return file.read_bytes()
