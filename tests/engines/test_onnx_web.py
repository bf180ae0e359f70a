"""The example of the guide: an ONNX file in onnxruntime's build for browsers, run by Node."""

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.exporting import difference
from expose.objectives import make_objective

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
SCRIPT = Path(__file__).parents[2] / "docs" / "onnx" / "score.mjs"
RUNTIME = "onnxruntime-web@1"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which the script finds its runtime."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js: node and npm")
    folder = tmp_path_factory.mktemp("project")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", RUNTIME]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip(f"needs {RUNTIME}, and the registry of npm does not answer")
    if done.returncode:
        pytest.skip(f"needs {RUNTIME} of npm: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no answer'}")
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.mark.parametrize("objective", ["neighbours", make_objective("ntl", epochs=5)], ids=["neighbours", "ntl"])
def test_a_browser_scores_as_we_do(objective, project):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) * [1, 1e3, 1, 1e-3]
    X[:10] += 6
    X[rng.random(X.shape) < 0.05] = np.nan
    detector = AnomalyDetector(objective, random_state=0).fit(X)
    detector.export(project / "model.onnx")
    rows = np.vstack([X, [[1e30, -1e30, 0, 0]], 3 * rng.normal(size=(300, 4))])
    lines = "\n".join(",".join("" if np.isnan(one) else repr(float(one)) for one in row) for row in rows)
    command = ["node", SCRIPT.name, "model.onnx"]
    done = subprocess.run(command, cwd=project, input=lines, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    scores, flags = np.array([line.split(",") for line in done.stdout.splitlines()], dtype=float).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, flagged = detector.anomaly_score(rows), detector.is_anomaly(rows)
    assert difference(detector.fitted_, ours, scores).max() <= (1e-4 if objective == "neighbours" else 1e-5)
    assert flags.astype(bool).tolist() == flagged.tolist()
