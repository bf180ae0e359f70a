"""``expose fit``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, Run, facts, run_in_process, transactions, weights_of

from expose.estimators import AnomalyDetector


def test_the_summary_says_what_was_found(run: Run, data: Path, tmp_path: Path) -> None:
    roles = ["--id", "account", "--ignore", "note", "--ignore", "is_fraud"]
    result = run("fit", data, "--out", tmp_path / "model", *roles, "--contamination", "0.05", *QUICK)
    assert result.exit_code == 0, result.output
    assert "240 rows x 3 columns" in result.stdout
    assert "Contamination   5 %" in result.stdout
    assert "12 of 240 rows score above it" in result.stdout
    assert f"expose score {tmp_path / 'model'} NEW_DATA" in result.stdout
    assert "account" in result.stdout
    assert "epoch" in result.stderr
    assert "epoch" not in result.stdout
    assert not (tmp_path / "model.checkpoint").exists()


def test_json_tells_the_same_to_machines(run: Run, data: Path, tmp_path: Path) -> None:
    options = ["--id", "account", "--ignore", "note,is_fraud", "--contamination", "0.05", "--json", *QUICK]
    said = facts(run("fit", data, "--out", tmp_path / "model", *options))
    detector = AnomalyDetector.load(tmp_path / "model")
    assert said["rows"] == 240
    assert said["columns"] == 3
    assert said["contamination"] == 0.05
    assert said["flagged"] == 12
    assert said["threshold"] == detector.threshold_score()
    assert [one["row"] for one in said["suspects"]] == detector.suspects_["row"][:10].tolist()
    assert said["suspects"][0]["account"] == f"A{said['suspects'][0]['row']:04d}"
    assert said["interrupted"] is False
    assert detector.metadata_["id"] == ["account"]
    assert detector.metadata_["ignore"] == ["note,is_fraud"], "as given: only the reader knows which names hold a comma"
    assert detector.metadata_["command"].startswith("expose")


def test_quiet_says_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("fit", data, "--out", tmp_path / "model", "--ignore", "note", "--quiet", *QUICK)
    assert (result.exit_code, result.output) == (0, "")


def test_same_command_same_scores(data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_in_process("fit", data, "--out", tmp_path / name, "--ignore", "note,account", "-q", *QUICK)
    weights = [weights_of(tmp_path / name) for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_labels_reach_the_training(run: Run, data: Path, tmp_path: Path) -> None:
    options = ["--label", "is_fraud", "--ignore", "note,account", *QUICK]
    assert run("fit", data, "--out", tmp_path / "model", *options).exit_code == 0
    detector = AnomalyDetector.load(tmp_path / "model")
    assert detector.metadata_["label"] == "is_fraud"
    assert detector.latent_labels_[:12].tolist() == [1.0] * 12  # all known anomalies, and nothing else is unknown
    assert detector.latent_labels_[12:].max() == 0


@pytest.mark.parametrize(("odd", "usual", "way"), [(-1, 1, "give them 1 and all others 0"), (0, 1, "exchange 0 and 1")])
def test_a_label_column_of_another_convention_is_refused(
    odd: int, usual: int, way: str, run: Run, tmp_path: Path
) -> None:
    table = transactions().drop(columns=["note", "account"])
    table["is_fraud"] = np.where(table["is_fraud"] == 1, odd, usual)
    table.to_csv(tmp_path / "swapped.csv", index=False)
    result = run("fit", tmp_path / "swapped.csv", "--label", "is_fraud", "--out", tmp_path / "model", *QUICK)
    assert result.exit_code == 2
    assert "label column 'is_fraud' calls 228 of 240 rows (95 %) anomalies" in " ".join(result.stderr.split())
    assert way in " ".join(result.stderr.split())
    assert not (tmp_path / "model").exists()


def test_outliers_reach_the_training(run: Run, data: Path, tmp_path: Path) -> None:
    frauds = transactions().iloc[:12].drop(columns=["note", "account", "is_fraud"])
    frauds.to_csv(tmp_path / "frauds.csv", index=False)
    options = ["--ignore", "note,account,is_fraud", "-q", *QUICK]
    assert run("fit", data, "--out", tmp_path / "without", *options).exit_code == 0
    result = run("fit", data, "--out", tmp_path / "with", "--outliers", tmp_path / "frauds.csv", *options)
    assert result.exit_code == 0, result.output
    scores = [AnomalyDetector.load(tmp_path / name).training_scores_ for name in ("without", "with")]
    assert not np.array_equal(*scores)


def test_several_files_and_globs(run: Run, tmp_path: Path) -> None:
    for part in range(2):
        transactions(60, part).to_parquet(tmp_path / f"part{part}.parquet")
    options = ["--ignore", "account,note,is_fraud", "--json", *QUICK]
    by_shell = run("fit", tmp_path / "part0.parquet", tmp_path / "part1.parquet", "--out", tmp_path / "a", *options)
    by_glob = run("fit", tmp_path / "part*.parquet", "--out", tmp_path / "b", *options)
    assert facts(by_shell)["rows"] == facts(by_glob)["rows"] == 120
    assert facts(by_shell)["suspects"] == facts(by_glob)["suspects"]


def test_standard_input(run: Run, data: Path, tmp_path: Path) -> None:
    options = ["--ignore", "account,note,is_fraud", "--json", *QUICK]
    result = run("fit", "-", "--out", tmp_path / "model", *options, stdin=data.read_bytes())
    assert facts(result)["rows"] == 240


def test_an_encoding(run: Run, tmp_path: Path) -> None:
    table = transactions(60).assign(shop="Bäckerei").drop(columns=["note", "account"])
    table.to_csv(tmp_path / "data.csv", index=False, encoding="latin-1")
    arguments = ["fit", tmp_path / "data.csv", "--out", tmp_path / "model", *QUICK]
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "--encoding" in refused.stderr
    assert run(*arguments, "--encoding", "latin-1").exit_code == 0
    scored = run("score", tmp_path / "model", tmp_path / "data.csv", "--out", tmp_path / "scores.csv")
    assert scored.exit_code == 0, scored.output  # the model remembers


def test_few_rows_are_warned_of_in_one_line(run: Run, tmp_path: Path) -> None:
    transactions(20)[["amount", "hour"]].to_csv(tmp_path / "data.csv", index=False)
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", *QUICK)
    assert result.exit_code == 0
    assert "warning: 20 training rows are very few" in result.stderr
    assert ".py:" not in result.stderr


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "empty"),
        (b"a,b\n", "no row"),
        (b"a,a\n1,2\n", "repeats"),
        (b"a,b\n1,2\n3\n", "line 3"),
        (b"a,b\n1,inf\n3,4\n", "'b'"),
        (b"a,b\n1,2\n", "at least 2 rows"),
        (b"a\n" + b"\xff\xfe" * 5, "--encoding"),
    ],
)
def test_bad_files(run: Run, content: bytes, hint: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "model").exists()


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    result = run("fit", tmp_path / "nothing.csv", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "nothing.csv" in result.stderr


@pytest.mark.parametrize("option", ["--id", "--ignore", "--label"])
def test_a_missing_column(run: Run, data: Path, tmp_path: Path, option: str) -> None:
    result = run("fit", data, "--out", tmp_path / "model", option, "acount")
    assert result.exit_code == 2
    assert "Did you mean 'account'" in result.stderr


def test_a_folder_that_is_no_model_is_not_replaced(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("mine")
    result = run("fit", data, "--out", tmp_path / "precious", *QUICK)
    assert result.exit_code == 3
    assert "epoch" not in result.stderr, "it must be refused before the training"
    assert (tmp_path / "precious" / "thesis.tex").read_text() == "mine"


def test_an_unwritable_place(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("fit", data, "--out", tmp_path / "file" / "model", *QUICK)
    assert result.exit_code == 2
    assert "epoch" not in result.stderr


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    result = run("fit", tmp_path / "nothing.csv", "--out", tmp_path / "model", "--debug")
    assert "Traceback" in result.stderr
    assert result.exit_code == 2


def test_a_column_whose_name_holds_a_comma(run: Run, tmp_path: Path) -> None:
    table = transactions(60).rename(columns={"note": "note, free", "is_fraud": "known, sure"})
    table.to_csv(tmp_path / "data.csv", index=False)
    roles = ["--id", "account", "--ignore", "note, free", "--ignore", "known, sure"]
    said = facts(run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--json", *roles, *QUICK))
    assert said["columns"] == 3
    result = run("score", tmp_path / "model", tmp_path / "data.csv", "--out", tmp_path / "scores.csv")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_frame_written_by_pandas_with_an_index(run: Run, tmp_path: Path) -> None:
    pd.DataFrame({"x": np.arange(80.0), "y": np.arange(80.0) ** 2}, index=range(5, 85)).to_parquet(
        tmp_path / "data.parquet"
    )
    assert facts(run("fit", tmp_path / "data.parquet", "--out", tmp_path / "m", "--json", *QUICK))["columns"] == 2
