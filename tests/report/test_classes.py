"""The page about a classifier: what it says before and after exposure, and that nothing in the data can break it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_page import HOSTILE, figure, words

from expose import OutlierExposureClassifier
from expose.decide import reliability
from expose.errors import InputError
from expose.objectives import Descend
from expose.report import build_report, compare, write_report
from expose.report.summary import was_exposed

CLASSES = np.array(["ash", "elm", HOSTILE])


def leaves(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, rows)
    places = np.array([(2, 0), (-1, 1.7), (-1, -1.7)])[y] + random.normal(0, 0.7, (rows, 2))
    return pd.DataFrame(places, columns=["length", HOSTILE]), CLASSES[y]


def others(rows: int, seed: int) -> pd.DataFrame:
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, rows)
    return pd.DataFrame({"length": 6 * np.cos(angle), HOSTILE: 6 * np.sin(angle)})


@pytest.fixture(scope="module")
def models() -> tuple[OutlierExposureClassifier, OutlierExposureClassifier]:
    """The same classifier before and after exposure, calibrated."""
    X, y = leaves(240, 0)
    held, held_y = leaves(120, 1)
    before, after = (
        OutlierExposureClassifier(recipe=Descend(epochs=40, learning_rate=0.01), encoder="standard", random_state=0)
        .fit(X, y, outliers=outliers)
        .calibrate(held, held_y)
        for outliers in (None, others(200, 2))
    )
    return before, after


@pytest.fixture(scope="module")
def comparison(models: Any) -> dict[str, Any]:
    return compare(models[1], *leaves(120, 1), outliers=others(80, 3), before=models[0])


def test_a_comparison_holds_what_was_measured(models: Any, comparison: dict[str, Any]) -> None:
    X, y = leaves(120, 1)
    for when, model in zip(("before", "after"), models, strict=True):
        side = comparison[when]
        right = model.predict(X) == y
        assert side["accuracy"] == pytest.approx(right.mean())
        bins = reliability(right, model.predict_proba(X).max(axis=1), rows_per_bin=50)
        gap = np.sqrt(np.average((bins.accuracy - bins.confidence) ** 2, weights=bins.rows))
        assert side["calibration_error"] == pytest.approx(gap)
        assert side["bins"]["rows"] == [50, 50, 20]
        assert side["outliers_flagged"] == pytest.approx(model.is_anomaly(others(80, 3)).mean())
        assert [one["rows"] for one in side["per_class"]] == [(y == name).sum() for name in model.classes_]
    assert comparison["before"]["auroc"] < 0.8
    assert comparison["after"]["auroc"] > 0.95


def test_before_and_after_are_on_the_page(models: Any, comparison: dict[str, Any]) -> None:
    X, y = leaves(60, 6)
    page = build_report(models[1], X, classes=y, comparison=comparison, title="Leaves")
    said = words(page)
    for name, digits in (("accuracy", "{:.1%}"), ("calibration_error", "{:.1%}"), ("outliers_flagged", "{:.1%}")):
        before, after = (digits.format(comparison[when][name]).replace("%", " %") for when in ("before", "after"))
        assert f"{before} → {after}" in said, name
    assert f"{comparison['before']['auroc']:.3f} → {comparison['after']['auroc']:.3f}" in said
    assert "of the 60 rows of known classes" in said
    names = {trace["name"] for trace in figure(page, "sources")["data"]}
    assert names == {"classes", "outliers", "these rows"}
    curves = [trace["name"] for trace in figure(page, "reliability")["data"]]
    assert curves == ["as sure as right", "before exposure", "after exposure", "these rows"]
    assert 'id="churn"' not in page
    assert "taken for" in said
    assert [trace["name"] for trace in figure(page, "training")["data"]] == ["normal loss", "loss on outliers"]


def test_who_was_not_exposed_is_not_measured_after_exposure(models: Any) -> None:
    X, y = leaves(60, 6)
    measured = compare(models[0], *leaves(120, 1), outliers=others(80, 3))
    page = build_report(models[0], X, classes=y, comparison=measured)
    assert "after exposure" not in page
    said = words(page)
    for wrong in ("before exposure", "a second time without outliers", "that the model was exposed to; other kinds"):
        assert wrong not in said
    assert [trace["name"] for trace in figure(page, "reliability")["data"]] == [
        "as sure as right",
        "held out",
        "these rows",
    ]
    exposed = compare(models[1], *leaves(120, 1), outliers=others(80, 3))
    page = build_report(models[1], X, classes=y, comparison=exposed)
    assert "after exposure" in page
    assert "a second time without outliers" in words(page)
    assert "that the model was exposed to; other kinds" in words(page)


def test_suspects_that_were_exposed_count_as_exposure() -> None:
    X, y = leaves(120, 0)
    recipe = Descend(epochs=5, learning_rate=0.01)
    for contamination, exposed in ((0.0, False), (0.05, True)):
        classifier = OutlierExposureClassifier(
            recipe=recipe, contamination=contamination, exposure="soft", random_state=0
        )
        assert was_exposed(classifier.fit(X, y).fitted_) is exposed


def test_nothing_in_the_data_breaks_out(models: Any, comparison: dict[str, Any]) -> None:
    X, y = leaves(40, 7)
    foreign = y.astype(object)
    foreign[:3] = HOSTILE + "fox"
    page = build_report(models[1], X, classes=foreign, comparison=comparison, title=HOSTILE)
    assert "<img" not in page[: page.index("<noscript>")]
    assert "<script>alert" not in page


def test_without_classes_or_a_comparison(models: Any) -> None:
    X, _ = leaves(40, 8)
    page = build_report(models[1], X)
    said = words(page)
    assert "No rows were held out" in said
    for absent in ("classes", "reliability", "sources"):
        assert f'id="{absent}"' not in page
    X, y = leaves(40, 8)
    y = y.astype(object)
    y[:4], y[4:] = "fox", None
    said = words(build_report(models[1], X, classes=y))
    assert "fox (4)" in said
    assert "Accuracy here" not in said


def test_unusable_classes(models: Any) -> None:
    X, y = leaves(40, 9)
    with pytest.raises(InputError, match="40 rows; got 39"):
        build_report(models[1], X, classes=y[:39])
    with pytest.raises(InputError, match="1 of other classes"):
        compare(models[1], X, ["fox", *y[1:]])


def test_a_page_is_written_whole(models: Any, tmp_path: Any) -> None:
    X, y = leaves(40, 10)
    target = write_report(tmp_path / "page.html", models[1], X, classes=y, top=3)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_saved_comparison_is_shown_again(models: Any, comparison: dict[str, Any], tmp_path: Any) -> None:
    X, y = leaves(40, 11)
    models[1].save(tmp_path / "model", {"comparison": comparison})
    page = build_report(OutlierExposureClassifier.load(tmp_path / "model"), X, classes=y)
    assert words(page).count("held-out") > 2
    assert 'id="sources"' in page
