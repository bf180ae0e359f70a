import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def from_benchmarks():
    """Import a script of benchmarks/ by name; they import each other as siblings."""
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(BENCHMARKS))
