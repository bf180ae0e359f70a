import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(from_benchmarks):
    return from_benchmarks("study_decisions")


def test_the_page_is_that_of_the_committed_results(study):
    found = json.loads(study.RESULTS.read_text(encoding="utf-8"))
    made = study.page(found, study.FINDINGS.read_text(encoding="utf-8"))
    assert made == study.PAGE.read_text(encoding="utf-8")
    assert "nan" not in made
    assert all(row["seed"] < 10 and row["reached_ratio"] <= row["true_ratio"] + 0.001 for row in found["rows"])


def test_means_count_each_set_once(study):
    rows = [{"set": "a", "value": 0.0}, {"set": "a", "value": 0.2}, {"set": "b", "value": 0.5}]
    assert study.mean_over(rows, lambda row: row["value"]) == pytest.approx(0.3)


def test_what_the_guide_says_of_the_measurements_holds(study):
    """Clean calibration keeps its rate, a dirty one is conservative, labels help, dropping the top does not."""
    rows = json.loads(study.RESULTS.read_text(encoding="utf-8"))["rows"]
    for place, rate in enumerate((0.05, 0.1, 0.2)):
        for ratio in (0.0, 0.05, 0.1, 0.2):
            here = study.select_rows(rows, ratio)
            fdp = {way: study.mean_over(here, study.p_value_of(way, "fdp", place)) for way in here[0]["p_values"]}
            power = {way: study.mean_over(here, study.p_value_of(way, "power", place)) for way in fdp}
            assert max(fdp["folds"], fdp["held out, clean"], fdp["held out"]) <= rate
            assert fdp["top 10 % dropped"] > 2 * rate
            assert power["labels of the top 200"] >= power["held out"]


def test_no_number_in_the_findings_is_typed(study):
    text = re.sub(r"top \d+|1,000", "", study.FINDINGS.read_text(encoding="utf-8"))
    assert not re.search(r"\d+\.\d", text)
