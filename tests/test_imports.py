"""The house plan, held: imports point down only, and the light things stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import expose

SOURCE = Path(expose.__file__).parent

# What each room may import. All may import errors.
ALLOWED = {
    "cli": {
        "report",
        "estimators",
        "decide",
        "inputs",
        "evaluation",
        "persistence",
        "objectives",
        "exposure",
        "outliers",
    },
    "report": {"estimators", "inputs", "decide"},
    "estimators": {
        "training",
        "decide",
        "exposure",
        "objectives",
        "networks",
        "encoders",
        "inputs",
        "outliers",
        "persistence",
    },
    "training": {"exposure", "objectives", "networks", "encoders", "inputs", "outliers", "persistence"},
    "decide": {"exposure", "objectives", "networks", "inputs"},
    "exposure": set(),
    "objectives": {"networks", "encoders", "inputs"},
    "networks": {"inputs"},
    "encoders": {"networks"},
    "outliers": {"networks", "inputs"},
    "inputs": set(),
    "evaluation": {"decide", "estimators", "inputs", "objectives"},
    "persistence": set(),
    "errors": set(),
    "atomic": set(),
}
HEAVY = (
    "torch",
    "sklearn",
    "pyarrow",
    "scipy",
    "pandas",
    "polars",
    "plotly",
    "lightning_fabric",
    "jinja2",
)
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in ALLOWED)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Rooms that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively; say expose.<room>"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("expose.")]
    return {part[1] for part in parts if part[1] in ALLOWED}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down_only(path: Path) -> None:
    own = room(path)
    assert own in ALLOWED, f"{own} is a new room: say in ALLOWED what it may import"
    upward = imported(path) - ALLOWED[own] - {own, "errors", "atomic"}
    assert not upward, f"{path.relative_to(SOURCE)} must not import {sorted(upward)}"


def test_objectives_and_exposure_never_meet() -> None:
    assert "exposure" not in ALLOWED["objectives"]
    assert "objectives" not in ALLOWED["exposure"]


def test_the_plan_has_no_circle() -> None:
    seen: set[str] = set()
    left = dict(ALLOWED)
    while left:
        free = {name for name, below in left.items() if below & set(left) <= {name}}
        assert free, f"these rooms import each other in a circle: {sorted(left)}"
        seen |= free
        left = {name: below for name, below in left.items() if name not in free}


@pytest.mark.parametrize(
    "code",
    [
        "import expose",
        "import expose.cli.app",
        "import sys; sys.argv = ['expose', '--help']\ntry:\n    import expose.cli; expose.cli.main()\n"
        "except SystemExit:\n    pass",
        "import sys; sys.argv = ['expose', 'fit', '--help']\ntry:\n    import expose.cli; expose.cli.main()\n"
        "except SystemExit:\n    pass",
    ],
    ids=["import", "commands", "help", "help of fit"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    show = f"\nimport sys; print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + show], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_import_expose_does_not_look_up_its_version() -> None:
    code = "import sys, expose; assert 'importlib.metadata' not in sys.modules; print(expose.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == expose.__version__


def test_loading_and_scoring_need_no_trainer(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    expose.AnomalyDetector("autoencoder", epochs=1).fit(rows).save(tmp_path / "model")
    code = "import sys, expose; detector = expose.AnomalyDetector.load(sys.argv[1]); "
    code += "assert len(detector.anomaly_score([[0.0, 0.0, 0.0]])) == 1; "
    code += "print('TRAINER', sorted({'lightning_fabric', 'torch._dynamo'} & set(sys.modules)))"
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "TRAINER []"
