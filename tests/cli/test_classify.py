"""``expose classify``, and ``score`` and ``report`` of classifiers."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from commands import Run, facts, run_in_process

from expose import OutlierExposureClassifier
from expose.cli.heldout import sample, split
from expose.cli.labels import Classes
from expose.files import read

QUICK = ["--set", "epochs=60", "--set", "learning_rate=0.01", "--set", "device=cpu"]
CENTRES = {"cat": (3, 0), "dog": (-2, 2), "eel": (-2, -2)}


def animals(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Three kinds of rows on a plane, with a name each."""
    random = np.random.default_rng(seed)
    kinds = random.choice(list(CENTRES), rows)
    places = np.array([CENTRES[kind] for kind in kinds]) + random.normal(0, 0.5, (rows, 2))
    names = [f"N{row:04d}" for row in range(rows)]
    return pd.DataFrame({"name": names, "x": places[:, 0], "z": places[:, 1], "kind": kinds})


def strangers(rows: int = 200, seed: int = 1) -> pd.DataFrame:
    """Rows around all of them."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, rows)
    return pd.DataFrame({"x": 7 * np.cos(angle), "z": 7 * np.sin(angle)})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("animals")
    animals().to_csv(folder / "train.csv", index=False)
    strangers().assign(kind="none", name="-").to_parquet(folder / "other.parquet")
    new = pd.concat([animals(60, 2), strangers(20, 3).assign(name="S", kind="fox")], ignore_index=True)
    new.loc[:4, "kind"] = None
    new.to_csv(folder / "new.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def fitted(files: Path) -> tuple[Path, str]:
    """A model folder, and what was said when it was made."""
    roles = ["--id", "name", "--label", "kind", "--outliers", files / "other.parquet"]
    result = run_in_process("classify", files / "train.csv", "--out", files / "model", *roles, *QUICK)
    assert result.exit_code == 0, result.output
    return files / "model", result.stdout


def scored(run: Run, model: Path, data: Path, *more: Any) -> pd.DataFrame:
    result = run("score", model, data, "--out", data.parent / "scores.csv", *more)
    assert result.exit_code == 0, result.output
    return pd.read_csv(data.parent / "scores.csv")


def test_a_classifier_is_trained_and_measured(fitted: tuple[Path, str]) -> None:
    model, said = fitted
    assert "on 192 rows x 2 columns and 160 outliers" in said
    assert "Held out        48 rows, 40 outliers" in said
    assert "before -> after exposure" in said
    classifier = OutlierExposureClassifier.load(model)
    assert classifier.classes_.tolist() == ["cat", "dog", "eel"]
    assert classifier.feature_names_in_.tolist() == ["x", "z"], "neither ids nor classes are looked at"
    assert len(classifier.latent_labels_) == 192
    assert classifier.metadata_["label"] == "kind"
    assert not model.with_name("model.checkpoint").exists()
    assert not model.with_name("model.baseline.checkpoint").exists()


def test_what_exposure_changed_is_measured_on_held_out_rows(fitted: tuple[Path, str]) -> None:
    classifier = OutlierExposureClassifier.load(fitted[0])
    found = classifier.metadata_["comparison"]
    assert (found["rows"], found["outliers"]) == (48, 40)
    assert len(classifier.calibration_scores_) == 48
    assert found["before"]["auroc"] < 0.9 < found["after"]["auroc"]
    assert found["after"]["accuracy"] > 0.95
    assert sum(one["rows"] for one in found["after"]["per_class"]) == 48


def test_fit_says_kindly_that_a_column_of_classes_is_for_classify(run: Run, files: Path, tmp_path: Path) -> None:
    result = run("fit", files / "train.csv", "--out", tmp_path / "m", "--label", "kind", "--ignore", "name")
    assert result.exit_code == 2
    assert "Expected 1 (anomaly)" in result.stderr
    assert "expose classify DATA --label kind --out MODEL" in result.stderr


def test_classes_may_be_written_as_numbers(run: Run, tmp_path: Path) -> None:
    table = animals(80).drop(columns=["name"])
    table.assign(kind=(table["kind"] == "cat").astype(int)).to_csv(tmp_path / "data.csv", index=False)
    said = facts(run("classify", tmp_path / "data.csv", "--out", tmp_path / "m", "--label", "kind", *QUICK, "--json"))
    assert set(said["classes"]) == {"0", "1"}
    assert OutlierExposureClassifier.load(tmp_path / "m").classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (["--set", "terms=energy"], "--set terms plays a part only with --outliers"),
        (["--set", "hardest=0.5"], "--set hardest plays a part only with --outliers"),
        (["--no-baseline"], "play a part only with --outliers"),
        (["--contamination", "auto"], "Invalid value for '--contamination'"),
        (["--contamination", "0.7"], "swap"),
        (["--threshold", "high"], "mixture, tail, conformal"),
        (["--threshold", "conformal", "--held-out", "0"], "leave out --held-out 0"),
        (["--held-out", "1"], "--held-out must be"),
        (["--set", "score_function=confidence"], "--set terms=confidence"),
        (["--set", "score_function=odd"], "score_function must be one of"),
        (["--set", "encoder=odd"], "encoder must be one of"),
        (["--set", "epochs=0"], "epochs must be a whole number of at least 1"),
        (["--set", "contamination=0.1"], "it has an option of its own, --contamination"),
        (["--set", "epoch=5"], "Did you mean 'epochs'? 'expose classify --set help' lists all"),
    ],
)
def test_options_that_cannot_be_or_play_no_part(
    run: Run, files: Path, tmp_path: Path, more: list[str], hint: str
) -> None:
    result = run("classify", files / "train.csv", "--out", tmp_path / "m", "--label", "kind", "--ignore", "name", *more)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
    assert "epoch " not in result.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("terms", ["uniforme", "", "uniform:0.5,energy", "energy:much", "energy:-1"])
def test_terms_that_cannot_be(run: Run, files: Path, tmp_path: Path, terms: str) -> None:
    roles = ["--label", "kind", "--outliers", files / "other.parquet", "--ignore", "name"]
    result = run("classify", files / "train.csv", "--out", tmp_path / "m", *roles, "--set", f"terms={terms}")
    assert result.exit_code == 2
    assert "term" in result.stderr


def test_terms_with_weights_and_a_score_function(run: Run, files: Path, tmp_path: Path) -> None:
    roles = ["--label", "kind", "--outliers", files / "other.parquet", "--ignore", "name", "--no-baseline"]
    more = ["--set", "terms=uniform:0.5,energy:0.2", "--set", "score_function=msp", "--set", "epochs=2"]
    said = facts(run("classify", files / "train.csv", "--out", tmp_path / "m", *roles, *more, "--json"))
    assert said["terms"] == {"uniform": 0.5, "energy": 0.2}
    classifier = OutlierExposureClassifier.load(tmp_path / "m")
    assert (classifier.score_function, classifier.recipe.epochs) == ("msp", 2)
    assert said["score_function"] == "msp"


def test_it_needs_the_column(run: Run, files: Path, tmp_path: Path) -> None:
    result = run("classify", files / "train.csv", "--out", tmp_path / "m")
    assert (result.exit_code, "--label" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("kinds", "hint"),
    [
        (["cat", "dog", None, "dog"] * 20, "names no class in 20 rows, first in row 2"),
        (["cat"] * 80, "holds one class, 'cat'"),
        ([f"k{row}" for row in range(80)], "80 different values in 80 rows"),
        ([0.5 + row for row in range(80)], "80 different values in 80 rows"),
    ],
)
def test_columns_that_hold_no_classes(run: Run, tmp_path: Path, kinds: list[Any], hint: str) -> None:
    animals(80).assign(kind=kinds).to_csv(tmp_path / "data.csv", index=False)
    result = run("classify", tmp_path / "data.csv", "--out", tmp_path / "m", "--label", "kind", "--ignore", "name")
    assert result.exit_code == 2
    assert hint in result.stderr


def test_a_column_of_two_roles(run: Run, files: Path, tmp_path: Path) -> None:
    result = run("classify", files / "train.csv", "--out", tmp_path / "m", "--label", "kind", "--id", "kind,name")
    assert result.exit_code == 2
    assert "only one role" in result.stderr


def test_nothing_held_out(run: Run, files: Path, tmp_path: Path) -> None:
    roles = ["--label", "kind", "--ignore", "name", "--outliers", files / "other.parquet", "--held-out", "0"]
    result = run("classify", files / "train.csv", "--out", tmp_path / "m", *roles, "--set", "epochs=2")
    assert result.exit_code == 0, result.output
    assert "accuracy is not known" in result.stdout
    assert "240 rows" in result.stdout
    assert "p_value" not in scored(run, tmp_path / "m", files / "new.csv")
    too_few = animals(4).assign(kind=["cat", "dog", "cat", "dog"])
    too_few.to_csv(tmp_path / "few.csv", index=False)
    result = run("classify", tmp_path / "few.csv", "--out", tmp_path / "m", "--label", "kind", "--ignore", "name")
    assert result.exit_code == 2
    assert "--held-out 0" in result.stderr


def test_without_outliers_it_is_an_ordinary_classifier(run: Run, files: Path, tmp_path: Path) -> None:
    arguments = ["classify", files / "train.csv", "--out", tmp_path / "m", "--label", "kind", "--ignore", "name"]
    said = facts(run(*arguments, "--set", "epochs=2", "--json"))
    assert (said["outliers"], said["before"]) == (0, None)
    assert said["after"]["auroc"] is None


def test_no_baseline(run: Run, files: Path, tmp_path: Path) -> None:
    roles = ["--label", "kind", "--ignore", "name", "--outliers", files / "other.parquet", "--no-baseline"]
    said = facts(run("classify", files / "train.csv", "--out", tmp_path / "m", *roles, "--set", "epochs=2", "--json"))
    assert said["before"] is None
    assert said["after"]["auroc"] is not None


def test_outliers_that_are_rows_of_the_classes_are_warned_of(run: Run, files: Path, tmp_path: Path) -> None:
    animals().iloc[:7].to_csv(tmp_path / "same.csv", index=False)
    roles = ["--label", "kind", "--ignore", "name", "--outliers", tmp_path / "same.csv", "--set", "epochs=1"]
    result = run("classify", files / "train.csv", "--out", tmp_path / "m", *roles)
    assert result.exit_code == 0, result.output
    assert re.search(r"\d of 6 outliers equal a training row", result.stderr)


def test_the_scores_file(run: Run, files: Path, fitted: tuple[Path, str]) -> None:
    table = scored(run, fitted[0], files / "new.csv")
    assert table.columns.tolist() == [
        "name", "anomaly_score", "is_anomaly", "predicted_class", "probability", "p_value"
    ]  # fmt: skip
    classifier = OutlierExposureClassifier.load(fitted[0])
    features = read(files / "new.csv").select(["x", "z"])
    np.testing.assert_allclose(table["anomaly_score"], classifier.anomaly_score(features), rtol=1e-12)
    assert table["is_anomaly"].tolist() == classifier.is_anomaly(features).tolist()
    assert table["predicted_class"].tolist() == classifier.predict(features).tolist()
    np.testing.assert_allclose(table["probability"], classifier.predict_proba(features).max(axis=1), rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], classifier.p_value(features), rtol=1e-12)
    assert table["is_anomaly"][60:].mean() > 0.8
    assert table["is_anomaly"][:60].mean() < 0.3


def test_other_thresholds(run: Run, files: Path, fitted: tuple[Path, str]) -> None:
    flagged = [
        scored(run, fitted[0], files / "new.csv", *more)["is_anomaly"].sum()
        for more in (["--threshold", "0"], ["--threshold", "0.9"], ["--fdr", "0.2"], ["--threshold", "conformal:0.2"])
    ]
    assert flagged[0] < flagged[1]
    assert flagged[2] >= 15
    assert flagged[3] >= 15


def test_p_values_of_the_training_table_are_no_evidence(run: Run, files: Path, fitted: tuple[Path, str]) -> None:
    result = run("score", fitted[0], files / "train.csv", "--out", files / "scores.csv")
    assert "no evidence" in result.stderr


def test_the_report(run: Run, files: Path, fitted: tuple[Path, str]) -> None:
    result = run("report", fitted[0], files / "new.csv", "--out", files / "page.html", "--top", "5")
    assert result.exit_code == 0, result.output
    page = (files / "page.html").read_text(encoding="utf-8")
    assert "fox (20)" in re.sub("<[^>]+>", "", page)
    assert "of 55" not in page
    assert "of the 55 rows of known classes" in page
    pd.read_csv(files / "new.csv").drop(columns="kind").to_csv(files / "bare.csv", index=False)
    result = run("report", fitted[0], files / "bare.csv", "--out", files / "page.html")
    assert result.exit_code == 0, result.output
    assert "rows of known classes" not in (files / "page.html").read_text(encoding="utf-8")


def test_query_is_for_detectors(run: Run, files: Path, fitted: tuple[Path, str]) -> None:
    result = run("query", fitted[0], files / "train.csv", "--out", files / "q.csv")
    assert result.exit_code == 3
    assert "holds a model of the class OutlierExposureClassifier, not AnomalyDetector" in result.stderr


@pytest.mark.parametrize(("share", "warned"), [(0.999, True), (0.77, True), (0.75, False)])
def test_training_on_hardly_any_row_is_warned_of(share: float, warned: bool) -> None:
    found = Classes(np.array(["a", "b"]), np.repeat([0, 1], 40))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        training, _ = split(pa.table({"x": np.arange(80)}), found, None, share, 0)
    assert (len(training.y) < 20, len(said)) == (warned, int(warned))
    assert all(f"leaves {len(training.y)} of 80 rows to train on" in str(one.message) for one in said)


def test_a_share_of_each_class_is_held_out_and_one_row_stays() -> None:
    random = np.random.default_rng(0)
    rows = np.arange(100, 110)
    found = sample(rows, 0.3, random)
    assert len(set(found.tolist())) == 3
    assert set(found.tolist()) <= set(rows.tolist())
    assert len(sample(rows[:1], 0.99, random)) == 0
    assert len(sample(rows[:2], 0.99, random)) == 1
