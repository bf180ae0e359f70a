"""The wheel holds all it needs, and works where only it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this checkout, without the network."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; make test installs it")
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `expose` comes from the wheel, its libraries from here."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True, timeout=120)
    return os.environ | {"PYTHONPATH": str(target), "INSTALLED": str(target)}


def test_everything_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(("expose/", "expose_lab/"))}
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        text = archive.read(metadata).decode()
    source = ROOT / "src"
    there = {path.relative_to(source).as_posix() for path in source.glob("expose*/**/*") if path.is_file()}
    assert packed == {name for name in there if "__pycache__" not in name}
    assert {"expose/py.typed", "expose/cli/data/thyroid.csv.gz", "expose_lab/datasets/registry.json"} <= packed
    assert "License-Expression: Apache-2.0" in text
    assert "Provides-Extra: report" in text


def test_it_runs_from_the_wheel(installed: dict[str, str], tmp_path: Path) -> None:
    code = "import expose; print(expose.__file__); from expose.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        env=installed,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    where, version = done.stdout.splitlines()
    assert where.startswith(installed["INSTALLED"])
    assert version.startswith("expose ")


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(installed: dict[str, str], tmp_path: Path) -> None:
    program = Path(installed["INSTALLED"]) / "bin" / "expose"
    done = subprocess.run(
        [sys.executable, str(program), "demo"],
        env=installed,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "expose-demo" / "expose-report.html").stat().st_size < 6_000_000
