"""The page of detectors that are trained by steps, and of loaded ones."""

from __future__ import annotations

import numpy as np
import pytest
from test_page import figure, words

from expose import AnomalyDetector
from expose.errors import InputError
from expose.objectives import NTL, Autoencoder
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
    detector = AnomalyDetector(Autoencoder(epochs=20), exposure=exposure, contamination=0.04, random_state=0)
    findings = examine(detector.fit(frame), frame, top=10)
    assert findings.known.trained_on
    assert {suspect.row for suspect in findings.suspects} <= set(bad.tolist())
    assert {suspect.reasons[0].name for suspect in findings.suspects} == {"amount"}
    assert findings.flagged.sum() == detector.is_anomaly(frame).sum()


def test_loaded_members_give_the_same_page(tmp_path):
    frame, _ = planted(120)
    detector = AnomalyDetector(Autoencoder(epochs=3), ensemble_size=2, random_state=0).fit(frame)
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
    of_its_own = AnomalyDetector(NTL(transformations=3, epochs=2), random_state=7).fit(rows)
    page = words(build_report(of_its_own, rows))
    assert "AnomalyDetector(objective=NTL(transformations=3" in page
    for setting in ("epochs2", "transformations3", "Objective ntl"):
        assert setting in page


def test_a_warm_up_is_shaded_where_suspects_were_looked_for_after_it():
    rows = np.random.default_rng(0).normal(size=(80, 3))
    for contamination, shaded in ((0.1, True), (0, False)):
        detector = AnomalyDetector(NTL(epochs=5, warmup=3), contamination=contamination, random_state=0).fit(rows)
        layout = figure(build_report(detector, rows), "training")["layout"]
        assert ("shapes" in layout) == shaded


@pytest.mark.filterwarnings("ignore::expose.errors.DataWarning")
def test_p_values_are_those_of_new_rows_and_decide_at_a_rate():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    new = np.random.default_rng(1).normal(size=(100, 3))
    new[:5] += 9
    detector = AnomalyDetector(random_state=0).fit(rows)
    with pytest.raises(InputError, match="calibrat"):
        examine(detector, new, fdr=0.1)
    detector.calibrate(np.random.default_rng(2).normal(size=(200, 3)))
    found = examine(detector, new, fdr=0.1)
    assert set(np.flatnonzero(found.flagged)) >= set(range(5))
    assert found.rule.startswith("Benjamini-Hochberg")
    assert found.suspects[0].p_value == pytest.approx(1 / 201)
    assert examine(detector, rows).suspects[0].p_value is None


@pytest.mark.parametrize("members", [1, 2])
def test_a_loaded_model_says_as_well_which_component_found_what(tmp_path, members):
    frame, bad = planted(120)
    detector = AnomalyDetector(ensemble_size=members, random_state=0).fit(frame)
    detector.save(tmp_path / "model")
    found = examine(detector, frame).suspects
    assert found[0].row in bad
    assert examine(AnomalyDetector.load(tmp_path / "model"), frame).suspects == found
    assert all(suspect.found_by for suspect in found)


def test_no_charts_are_drawn_where_nothing_is_trained_by_steps():
    frame, _ = planted(120)
    detector = AnomalyDetector(random_state=0).fit(frame)
    page = build_report(detector, frame)
    assert len(detector.history_) == 1
    for absent in ("training", "churn"):
        assert f'id="{absent}"' not in page
    assert "The score is the largest of 3" in words(page)
