"""The page of a trained AnomalyDetector: the fake of the other tests must not hide a broken contract."""

from __future__ import annotations

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.report import build_report, write_report
from expose.report.findings import examine


def planted(n: int = 400) -> tuple[object, np.ndarray]:
    """Return a mixed table in which every 25th row has an absurd `amount`, and which rows those are."""
    import pandas as pd

    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "steady": rng.normal(size=n),
            "amount": rng.normal(size=n),
            "channel": rng.choice(["web", "shop"], n),
            "constant": np.ones(n),
        }
    )
    bad = np.arange(0, n, 25)
    frame.loc[bad, "amount"] = 40.0
    return frame, bad


@pytest.mark.parametrize("exposure", ["soft", "blind"])
def test_a_trained_detector_is_explained_by_its_planted_column(exposure):
    frame, bad = planted()
    detector = AnomalyDetector("autoencoder", exposure=exposure, contamination=0.04, epochs=20, random_state=0)
    findings = examine(detector.fit(frame), frame, top=10)
    assert findings.trained_on
    assert {suspect.row for suspect in findings.suspects} <= set(bad.tolist())
    assert {suspect.reasons[0].column for suspect in findings.suspects} == {"amount"}
    assert findings.flagged.sum() == detector.is_anomaly(frame).sum()


def test_loaded_members_give_the_same_page(tmp_path):
    frame, _ = planted(120)
    detector = AnomalyDetector("autoencoder", members=2, epochs=3, random_state=0).fit(frame)
    detector.save(tmp_path / "model", {"command": "expose fit planted.csv"})
    loaded = AnomalyDetector.load(tmp_path / "model")
    assert examine(loaded, frame).suspects == examine(detector, frame).suspects
    page = write_report(tmp_path / "report.html", loaded, frame).read_text(encoding="utf-8")
    assert "expose fit planted.csv" in page
    assert 'id="figure-churn"' in page


def test_without_a_command_the_page_shows_the_call_in_python():
    rows = np.random.default_rng(0).normal(size=(60, 3))
    page = build_report(AnomalyDetector(random_state=7).fit(rows), rows)
    assert "AnomalyDetector(random_state=7).fit(X)" in page
