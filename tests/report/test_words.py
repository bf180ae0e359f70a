"""Values in words, plots and the plane: the corners that whole pages do not reach."""

from __future__ import annotations

import doctest
import importlib
import re
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np
import pytest

from expose.report.figures import score_distribution, suspect_churn, training_curves
from expose.report.lines import lines_of, marks_of
from expose.report.plane import project
from expose.report.typical import describe_typical, show_value


@pytest.mark.parametrize("module", ["comparison", "lines", "plane", "typical", "page"])
def test_examples_of_the_docstrings_hold(module):
    outcome = doctest.testmod(importlib.import_module(f"expose.report.{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (np.bool_(False), "no"),
        (np.float32(0.25), "0.25"),
        (-3, "-3"),
        (1e308, "1e+308"),
        (5e-324, "4.941e-324"),
        (123456.789, "123,457"),
        (float("nan"), "missing"),
        (datetime(2025, 3, 1, 7, 5, tzinfo=UTC), "2025-03-01 07:05"),
        ("", "(blank)"),
    ],
)
def test_a_cell_in_words(value, words):
    assert show_value(value) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "missing in 100 %"),
        ([None, None, None, 1.0], "missing in 75 %"),
        ([0.0] * 9 + [1.0], "0 in 90 %"),
        ([True, False, False, False], "no in 75 %"),
        ([4.0, 4.0, 4.0, 4.0, 5.0, 6.0] + [4.0] * 100, "4"),
        (["a", "b", "c", "d"], "4 different values"),
        ([datetime(2025, 1, 1), datetime(2025, 2, 1), None], "2025-01-01 to 2025-02-01"),
    ],
)
def test_what_is_typical_in_words(values, words):
    assert describe_typical(values) == words


def test_not_a_time_is_missing_and_an_array_is_text():
    assert show_value(np.datetime64("NaT")) == "missing"
    assert show_value(np.zeros((1, 2))) == "[[0. 0.]]"


def test_heavy_tailed_scores_get_a_logarithmic_axis_and_every_row_is_counted():
    scores = np.random.default_rng(0).lognormal(0, 3, 5_000)
    threshold = float(np.quantile(scores, 0.95))
    drawn = score_distribution(scores, threshold).figure
    assert drawn.layout.xaxis.type == "log"
    assert [int(np.sum(bars.y)) for bars in drawn.data] == [4_750, 250]
    assert drawn.layout.shapes[0].x0 == threshold  # on such an axis shapes are placed by values, the label with them,
    assert drawn.layout.xaxis.range[0] < np.log10(threshold) < drawn.layout.xaxis.range[1]  # and ends by logarithms


@pytest.mark.parametrize(
    ("threshold", "end"), [(0.0, 1.0), (1.0, 1.0), (1.4, 1.4), (-0.4, 1.0), (2.0, None), (-3.0, None), (np.inf, None)]
)
def test_a_line_far_from_all_scores_is_not_drawn_and_one_near_them_widens_the_axis(threshold, end):
    drawn = score_distribution(np.linspace(0, 1, 50), threshold)
    assert len(drawn.figure.layout.shapes) == (end is not None)
    if end is not None:
        assert drawn.figure.layout.xaxis.range[1] == pytest.approx(end, abs=0.1)
    assert f"threshold of {threshold:g}" in drawn.alt


def test_no_line_is_drawn_at_nought_on_a_logarithmic_axis():
    scores = np.random.default_rng(0).lognormal(0, 3, 500)
    assert not score_distribution(scores, 0.0).figure.layout.shapes


def test_lines_of_few_rows_and_of_rows_that_training_did_not_suspect():
    found = lines_of(np.arange(30.0)[::-1], np.zeros(30, dtype=bool))
    assert [(line.rows, line.name) for line in found] == [(0, "above the threshold"), (2, "5 %"), (3, "10 %")]
    assert found[0].score is None
    assert marks_of(found) == {2: "5 %", 3: "10 %"}
    later = lines_of(np.array([1.0, *np.arange(19.0) + 5]), np.zeros(20, dtype=bool))  # what is known comes later
    assert [(line.rows, line.score) for line in later[1:]] == [(1, 1.0), (2, 1.0)]
    apart = lines_of(np.array([3.0, 1.0, 2.0]), np.array([True, False, True]))
    assert [(line.rows, line.score, line.placed) for line in apart] == [(2, 2.0, False)]
    assert marks_of(apart) == {}


@pytest.mark.parametrize("scores", [[0.0, 0.0], [-1e300, 1e300], [5.0], [1e-300, 2e-300]])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 5.0])
def test_any_scores_and_threshold_can_be_drawn(scores, threshold):
    scores = np.array(scores)
    drawn = score_distribution(scores, threshold, np.ones(len(scores), dtype=int)).figure
    assert sum(int(np.sum(bars.y)) for bars in drawn.data[:2]) == len(scores)
    assert int(np.sum(drawn.data[1].y)) <= len(scores)


def test_epochs_without_a_figure_are_gaps():
    history = [
        {"epoch": 1, "normal": 1.0, "abnormal": None},
        {"epoch": 2, "normal": float("nan"), "abnormal": 2.0},
    ]
    normal, abnormal = training_curves(history, warmup=1).figure.data
    assert (list(normal.y), list(abnormal.y)) == ([1.0, None], [None, 2.0])
    assert (normal.mode, abnormal.mode) == ("markers", "markers")  # a line through one point is not to be seen
    assert suspect_churn(history) is None
    assert suspect_churn(2 * [{"epoch": 1, "flipped": 0.0, "overlap": None}]) is None
    assert len(suspect_churn(2 * [{"epoch": 1, "flipped": 0.1, "overlap": None}]).figure.data) == 1


def test_a_single_epoch_is_no_curve_and_a_loss_without_values_none_either():
    once = [{"epoch": 1, "normal": 1.0, "flipped": 0.1, "overlap": 0.5}]
    assert training_curves(once) is None
    assert suspect_churn(once) is None
    names = [[curve.name for curve in training_curves(2 * [record]).figure.data] for record in (
        {"epoch": 1, "normal": 1.0, "abnormal": None, "outliers": 2.0},
        {"epoch": 1, "normal": 1.0, "abnormal": 3.0, "outliers": 2.0},
    )]  # fmt: skip
    assert names == [["normal loss", "loss on outliers"], ["normal loss", "abnormal loss", "loss on outliers"]]


def test_the_plane_ignores_the_size_of_a_single_absurd_cell():
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    calm, _ = project(rows)
    rows[0, 0] = 1e30
    wild, _ = project(rows)
    assert np.abs(wild).max() < 3 * np.abs(calm).max()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 3_000)])
def test_the_plane_of_any_shape_is_finite(shape):
    points, shares = project(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()
    assert 0 <= shares[1] <= shares[0] <= 1 + 1e-9


# ------------------------------------------------------------------------------------------------ contrast


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(ink, paper) for ink in ("text", "muted", "normal", "suspect") for paper in ("page", "card")]
    + [("third", "card"), ("text", "suspect-soft"), ("text", "normal-soft")],
)
def test_text_and_lines_stand_out_from_their_ground_as_wcag_aa_asks(theme, ink, paper):
    style = files("expose.report").joinpath("style.css").read_text(encoding="utf-8")
    block = re.findall(r":root[^{]*\{(.*?)\}", style, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    assert contrast(colours[ink], colours[paper]) >= 4.5
