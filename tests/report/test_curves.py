"""The curve of a series on the page, with its spans."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from expose import AnomalyDetector
from expose.kinds import as_series
from expose.report import build_report
from expose.report.curves import BUCKETS, CLOSELY, thinned

N = 1_200


def series(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(n) * 2 * np.pi / 40)[:, None] + 0.1 * rng.normal(size=(n, 5))
    values[700:712, 3] = 0
    return pd.DataFrame(values, index=pd.date_range("2026-01-01", periods=n, freq="min")).add_prefix("sensor ")


def figure(page: str) -> dict:
    return json.loads(re.search(r'id="figure-curve">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="module")
def page() -> str:
    detector = AnomalyDetector(threshold=0.03, random_state=0).fit(as_series(series(), window=40))
    return build_report(detector, series())


def test_the_channels_that_carry_the_highest_score_are_drawn_above_it(page):
    drawn = figure(page)
    titles = [axis["title"]["text"] for name, axis in drawn["layout"].items() if name.startswith("yaxis")]
    assert len(titles) == 4
    assert "sensor 3" in titles
    assert titles[-1] == "score"


def test_spans_are_shaded_where_they_are(page):
    shaded = [shape for shape in figure(page)["layout"]["shapes"] if shape["type"] == "rect"]
    assert any(shape["x0"] < "2026-01-01T11:46" < shape["x1"] for shape in shaded)
    assert "the score is highest" in page


def test_other_samples_have_no_curve():
    rows = np.random.default_rng(0).normal(size=(60, 2))
    assert "figure-curve" not in build_report(AnomalyDetector(random_state=0).fit(rows), rows)


def test_a_single_channel_and_rows_in_any_order():
    given = series()[["sensor 3"]].sample(frac=1, random_state=0)
    detector = AnomalyDetector(threshold=0.03, random_state=0).fit(as_series(given, window=40))
    trace = figure(build_report(detector, given))["data"][0]
    assert trace["x"] == sorted(trace["x"])
    assert len(trace["x"]) == N


def test_no_line_is_drawn_across_a_gap():
    given = series().drop(series().index[300:400])
    detector = AnomalyDetector(threshold=0.03, random_state=0).fit(as_series(given, window=40))
    trace = figure(build_report(detector, given))["data"][0]
    assert len(trace["x"]) == N - 100 + 1  # one more, which is missing


def test_a_long_curve_keeps_its_lowest_and_highest_values():
    values = np.random.default_rng(0).normal(size=500_000)
    values[[77, 400_001]] = [30, -30]
    values[1_000:9_000] = np.nan
    kept = thinned(values, np.arange(600, 700))
    assert {77, 400_001, *range(600, 700)} <= set(kept.tolist())
    assert len(kept) <= 2 * BUCKETS + CLOSELY
