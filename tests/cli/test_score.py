"""``expose score``."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Run, command, facts, run_apart, transactions

from expose.cli.summary import Tally
from expose.estimators import AnomalyDetector
from expose.persistence import SCHEMA


def test_the_scores_file(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("score", model, data, "--out", tmp_path / "scores.parquet")
    assert result.exit_code == 0, result.output
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    detector = AnomalyDetector.load(model)
    expected = detector.anomaly_score(transactions()[["amount", "hour", "shop"]])
    assert list(scores.columns) == ["account", "anomaly_score", "is_anomaly"]
    assert scores["account"].tolist() == transactions()["account"].tolist()
    np.testing.assert_array_equal(scores["anomaly_score"], expected)
    np.testing.assert_array_equal(scores["is_anomaly"], expected > detector.threshold_score())
    assert "240 rows" in result.stdout
    assert "Flagged         12 (5 %)" in result.stdout


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz", "scores.tsv"])
def test_formats(run: Run, model: Path, data: Path, tmp_path: Path, name: str) -> None:
    assert run("score", model, data, "--out", tmp_path / name, "-q").exit_code == 0
    scores = pd.read_csv(tmp_path / name, sep="\t" if name.endswith("tsv") else ",")
    assert scores.shape == (240, 3)


def test_json(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    said = facts(run("score", model, data, "--out", tmp_path / "scores.csv", "--json"))
    scores = pd.read_csv(tmp_path / "scores.csv").sort_values("anomaly_score", ascending=False)
    assert said["rows"] == 240
    assert said["flagged"] == 12
    assert [one["row"] for one in said["top"]] == scores.index[:5].tolist()
    assert [one["account"] for one in said["top"]] == scores["account"][:5].tolist()


def test_many_batches_are_as_one(
    run: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("score", model, data, "--out", tmp_path / "whole.csv", "-q")
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 7)
    said = facts(run("score", model, data, "--out", tmp_path / "parts.csv", "--json"))
    whole, parts = (pd.read_csv(tmp_path / name) for name in ("whole.csv", "parts.csv"))
    assert whole["account"].equals(parts["account"])
    np.testing.assert_allclose(whole["anomaly_score"], parts["anomaly_score"], rtol=1e-5)
    assert said["top"][0]["row"] == whole["anomaly_score"].argmax()
    assert said["rows"] == 240


def test_stdin_to_stdout(model: Path, data: Path) -> None:
    done = run_apart("score", model, "-", "--out", "-", input=data.read_text())
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(io.StringIO(done.stdout)).shape == (240, 3)
    assert "240 rows" in done.stderr


def test_json_and_data_do_not_share_stdout(run: Run, model: Path, data: Path) -> None:
    result = run("score", model, data, "--out", "-", "--json")
    assert result.exit_code == 2
    assert "both want stdout" in result.output


def test_a_reader_that_leaves_early_is_no_error(model: Path, tmp_path: Path) -> None:
    transactions(20_000).to_parquet(tmp_path / "data.parquet")
    with subprocess.Popen(
        command("score", model, tmp_path / "data.parquet", "--out", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('"account"')
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_threshold_changes_without_refit(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    said = facts(run("score", model, data, "--out", tmp_path / "scores.csv", "--json", "--threshold", "0.25"))
    assert said["flagged"] == 60


def test_other_id_columns(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    assert run("score", model, data, "--out", tmp_path / "s.csv", "--id", "note,account").exit_code == 0
    assert list(pd.read_csv(tmp_path / "s.csv").columns) == ["note", "account", "anomaly_score", "is_anomaly"]


def test_new_data_need_no_columns_without_a_role(run: Run, model: Path, tmp_path: Path) -> None:
    table = transactions(50)[["shop", "hour", "amount", "account"]].assign(extra=1)
    table.to_csv(tmp_path / "new.csv", index=False)
    result = run("score", model, tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning:") == 1
    assert "extra" in result.stderr


def test_a_missing_id_column_is_warned_of(run: Run, model: Path, tmp_path: Path) -> None:
    transactions(50).drop(columns="account").to_csv(tmp_path / "new.csv", index=False)
    result = run("score", model, tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0
    assert "'account' is not in the new data" in result.stderr
    assert list(pd.read_csv(tmp_path / "scores.csv").columns) == ["anomaly_score", "is_anomaly"]


def test_a_missing_feature_is_an_error_and_leaves_nothing(run: Run, model: Path, tmp_path: Path) -> None:
    transactions(50).drop(columns="amount").to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "scores.csv").write_text("old")
    result = run("score", model, tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "amount" in result.stderr
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "scores.csv"]


def test_trouble_late_in_the_file_leaves_nothing(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = transactions(100)
    table.loc[97, "amount"] = np.inf
    table.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 10)
    result = run("score", model, tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "amount" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_warnings_of_many_batches_are_said_once(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions(60).assign(shop="pub").to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 25)
    result = run("score", model, tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0
    assert result.stderr.count("warning: column 'shop'") == 1


def test_the_input_is_never_overwritten(run: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in" / "new.csv"
    path.parent.mkdir()
    transactions(50).to_csv(path, index=False)
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    for source, target in [
        (path, path),
        (path, tmp_path / "link.csv"),
        (path.parent, path),
        (path.parent, path.parent / "scores.csv"),
        (path.parent / "*.csv", path),
    ]:
        result = run("score", model, source, "--out", target)
        assert result.exit_code == 2, (source, target)
        assert "--out" in result.stderr
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_a_folder_as_target(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("score", model, data, "--out", tmp_path)
    assert (result.exit_code, "is a folder" in result.stderr) == (2, True)


def test_a_target_of_no_known_format(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("score", model, data, "--out", tmp_path / "scores.xlsx")
    assert (result.exit_code, ".parquet" in result.stderr) == (2, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
@pytest.mark.parametrize("way", ["stdout", "file"])
def test_a_full_disk(model: Path, data: Path, way: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("score", model, data, "--out", "-" if way == "stdout" else "/dev/full"),
            stdout=full if way == "stdout" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_behind_the_json(model: Path, data: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("score", model, data, "--out", tmp_path / "scores.csv", "--json"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No space left" in done.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = run("score", model, data, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2


@pytest.mark.parametrize("harm", ["byte", "missing", "newer", "pickle", "no folder"])
def test_a_harmed_model_is_exit_code_3(run: Run, model: Path, data: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "model"
    if harm != "no folder":
        shutil.copytree(model, folder)
    if harm == "byte":
        [file] = folder.glob("weights-*.safetensors")
        weights = bytearray(file.read_bytes())
        weights[-1] ^= 1
        file.write_bytes(weights)
    elif harm == "missing":
        next(folder.glob("weights-*.safetensors")).unlink()
    elif harm == "newer":
        text = (folder / "model.json").read_text()
        (folder / "model.json").write_text(text.replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    elif harm == "pickle":
        (folder / "extra.pkl").write_bytes(b"\x80\x04N.")
    result = run("score", folder, data, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "scores.csv").exists()


def test_numbers_that_were_text_in_training_stay_text(run: Run, tmp_path: Path) -> None:
    """A CSV reader alone would take a new file's column of digits for numbers."""
    train = pd.DataFrame({"code": ["A1", "07"] * 40, "x": np.arange(80.0)})
    train.to_csv(tmp_path / "train.csv", index=False)
    train[train["code"] == "07"].to_csv(tmp_path / "new.csv", index=False)
    options = ["--objective", "ntl", "--set", "epochs=2", "-q"]
    assert run("fit", tmp_path / "train.csv", "--out", tmp_path / "model", *options).exit_code == 0
    result = run("score", tmp_path / "model", tmp_path / "new.csv", "--out", tmp_path / "scores.csv")
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_tally_of_a_stream() -> None:
    tally = Tally(most=3)
    scores = np.random.default_rng(0).permutation(100).astype(float)
    for start in range(0, 100, 10):
        part = scores[start : start + 10]
        tally.add(pa.table({"id": np.arange(start, start + 10), "anomaly_score": part, "is_anomaly": part > 49}))
    assert (tally.rows, tally.flagged) == (100, 50)
    assert [one["anomaly_score"] for one in tally.top] == [99.0, 98.0, 97.0]
    assert [one["row"] for one in tally.top] == np.argsort(-scores)[:3].tolist()
    assert all(one["id"] == one["row"] for one in tally.top)


def test_a_parquet_file_of_several_row_groups(run: Run, model: Path, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(transactions(500), preserve_index=False)
    pq.write_table(table, tmp_path / "new.parquet", row_group_size=37)
    assert run("score", model, tmp_path / "new.parquet", "--out", tmp_path / "s.parquet").exit_code == 0
    assert pd.read_parquet(tmp_path / "s.parquet")["account"].tolist() == table["account"].to_pylist()


# ----------------------------------------------------------------------------------------------------- reasons


def test_the_reasons_of_every_row(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("score", model, data, "--out", tmp_path / "scores.csv", "--explain", "2")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(tmp_path / "scores.csv")
    reasons = ["reason_1", "reason_1_share", "reason_2", "reason_2_share"]
    assert list(scores.columns) == ["account", "anomaly_score", "is_anomaly", *reasons]
    explained = AnomalyDetector.load(model).explain(transactions()[["amount", "hour", "shop"]])
    for row in range(240):
        expected = [(name, share) for name, share in explained.top(row, 2) if share >= 0.01]
        found = scores.loc[row, reasons].tolist()
        assert [name for name in found[::2] if isinstance(name, str)] == [name for name, _ in expected]
        np.testing.assert_allclose(
            [one for one in found[1::2] if not np.isnan(one)], [min(one, 1) for _, one in expected]
        )
    plain = run("score", model, data, "--out", tmp_path / "plain.csv")
    assert plain.exit_code == 0
    assert pd.read_csv(tmp_path / "plain.csv").equals(scores[["account", "anomaly_score", "is_anomaly"]])
    assert "because of" in result.stdout
    assert "reason_1" not in result.stdout


def test_explaining_counts_no_row_twice(run: Run, model: Path, tmp_path: Path) -> None:
    transactions()[:5].assign(shop="never seen").to_csv(tmp_path / "new.csv", index=False)
    said = facts(run("score", model, tmp_path / "new.csv", "--out", tmp_path / "s.csv", "--explain", "1", "--json"))
    assert [text for text in said["warnings"] if "'shop': 5 row(s)" in text], said["warnings"]


def test_reasons_batch_by_batch_and_with_p_values(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--calibration", "2", "-q"]
    assert run("fit", data, "--out", tmp_path / "model", *roles).exit_code == 0
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 50)
    monkeypatch.setattr("expose.explain.reasons.AT_ONCE", 20)
    result = run(
        "score", tmp_path / "model", data, "--out", tmp_path / "s.parquet", "--explain", "1", "--fdr", "0.1", "--json"
    )
    assert result.exit_code == 0, result.output
    scores = pd.read_parquet(tmp_path / "s.parquet")
    assert list(scores.columns)[-2:] == ["reason_1", "reason_1_share"]
    assert scores["reason_1"][:12].tolist() == ["amount"] * 12
    assert facts(result)["top"][0]["reason_1"] == "amount"


@pytest.mark.parametrize("most", ["0", "11", "all"])
def test_how_many_reasons(run: Run, model: Path, data: Path, tmp_path: Path, most: str) -> None:
    assert run("score", model, data, "--out", tmp_path / "s.csv", "--explain", most).exit_code == 2


# ----------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("name", ["amount", "note", "is_fraud", "account,shop"])
def test_any_column_can_stand_beside_the_score(run: Run, model: Path, data: Path, tmp_path: Path, name: str) -> None:
    """Those that the model looks at, and those that training left out."""
    assert run("score", model, data, "--out", tmp_path / "plain.csv").exit_code == 0
    result = run("score", model, data, "--out", tmp_path / "s.csv", "--id", name)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    scores = pd.read_csv(tmp_path / "s.csv")
    assert list(scores.columns) == [*name.split(","), "anomaly_score", "is_anomaly"]
    assert scores["anomaly_score"].tolist() == pd.read_csv(tmp_path / "plain.csv")["anomaly_score"].tolist()


def test_columns_that_training_left_out_can_stand_there_too(run: Run, tmp_path: Path) -> None:
    table = transactions()[["account", "amount"]].assign(same="x", key=[f"K{row}" for row in range(240)])
    table.to_csv(tmp_path / "data.csv", index=False)
    assert run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--id", "account", "-q").exit_code == 0
    for name in ("same", "key"):
        arguments = ["score", tmp_path / "model", tmp_path / "data.csv", "--out", tmp_path / "s.csv", "--id", name]
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert pd.read_csv(tmp_path / "s.csv")[name].tolist() == table[name].tolist()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
@pytest.mark.parametrize("out", ["/dev/null", "scores.csv"])
def test_a_missing_input_is_not_a_fault_of_the_output(run: Run, model: Path, tmp_path: Path, out: str) -> None:
    result = run("score", model, tmp_path / "nothing.csv", "--out", tmp_path / out)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: there is no file ")
    assert "rite" not in result.stderr


def test_trouble_while_reading_is_not_a_fault_of_the_output(
    run: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batches(tables: object, batch_rows: int) -> object:
        raise OSError(5, "Input/output error")
        yield

    monkeypatch.setattr("expose.files.reading.Tables.batches", batches)
    result = run("score", model, data, "--out", tmp_path / "scores.csv")
    assert (result.exit_code, result.stderr) == (2, "error: cannot read the data: [Errno 5] Input/output error\n")


@pytest.mark.parametrize("command", ["score", "report"])
def test_a_threshold_that_is_no_share(run: Run, model: Path, data: Path, tmp_path: Path, command: str) -> None:
    result = run(command, model, data, "--out", tmp_path / "out.csv", "--threshold", "5")
    assert result.exit_code == 2
    assert "For 5 % write 0.05" in result.stderr
    assert "anomaly_score" in result.stderr
    assert "None" not in result.stderr


@pytest.mark.parametrize("command", ["score", "query", "report"])
def test_a_folder_that_is_not_there(run: Run, model: Path, data: Path, tmp_path: Path, command: str) -> None:
    result = run(command, model, data, "--out", tmp_path / "no where" / "out.csv")
    assert result.exit_code == 2
    assert f"there is no folder {tmp_path / 'no where'}. Correct the name, or make it: mkdir -p '" in result.stderr
    assert not (tmp_path / "no where").exists()
