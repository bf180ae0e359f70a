"""``expose query``, and ``expose fit --answers``."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Run, facts, run_apart, transactions

from expose.cli.query import column_of, next_fit
from expose.estimators import AnomalyDetector


def test_a_round_of_labels(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run("query", model, data, "-k", "6", "--out", tmp_path / "ask.csv")
    assert result.exit_code == 0, result.output
    assert "6 rows of 240" in result.stdout
    asked = pd.read_csv(tmp_path / "ask.csv")
    truth = transactions()
    assert list(asked.columns) == [
        *["row", "anomaly_score", "label"],
        *["account", "note", "is_fraud"],  # what names a row, what is left out, then what the model sees
        *["amount", "hour", "shop"],
    ]
    assert asked["label"].isna().all()
    assert asked["account"].tolist() == truth["account"][asked["row"]].tolist()
    detector = AnomalyDetector.load(model)
    np.testing.assert_allclose(asked["anomaly_score"], detector.training_scores_[asked["row"]])
    assert asked["row"].tolist() == detector.query(truth[["amount", "hour", "shop"]], 6).tolist()

    asked["label"] = ["normal", 1, 0, "", "anomaly", -1]
    asked.to_csv(tmp_path / "ask.csv", index=False)
    asked.iloc[:1].assign(label=1).to_csv(tmp_path / "second.csv", index=False)  # a second look
    roles = ["--id", "account", "--ignore", "note,is_fraud"]
    answers = ["--answers", tmp_path / "ask.csv", "--answers", tmp_path / "second.csv"]
    result = run("fit", data, *roles, *answers, "--out", tmp_path / "better", "-q")
    assert result.exit_code == 0, result.output
    known = AnomalyDetector.load(tmp_path / "better").fitted_.known
    assert known[asked["row"]].tolist() == [1, 1, 0, -1, 1, -1]
    assert (known != -1).sum() == 4
    again = facts(run("query", tmp_path / "better", data, "-k", "6", "--out", tmp_path / "next.csv", "--json"))
    assert not set(again["rows"]) & set(np.flatnonzero(known >= 0).tolist())


def test_answers_about_rows_that_have_other_ids_now_are_refused(
    run: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    ask = tmp_path / "ask.csv"
    assert run("query", model, data, "-k", "6", "--out", ask).exit_code == 0
    asked = pd.read_csv(ask, dtype=str).assign(label="0")
    fit = ["--id", "account", "--ignore", "note,is_fraud", "--answers", ask, "--out", tmp_path / "better", "-q"]
    asked.to_csv(ask, index=False)
    assert run("fit", data, *fit).exit_code == 0
    asked.assign(account=[" " + asked["account"][0], *asked["account"][1:4], "edited", None]).to_csv(ask, index=False)
    assert run("fit", data, *fit).exit_code == 0
    pd.read_csv(data, dtype=str).iloc[::-1].to_csv(tmp_path / "sorted.csv", index=False)
    result = run("fit", tmp_path / "sorted.csv", *fit)
    assert result.exit_code == 2
    assert "the rows shown there are not those that have these numbers" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,note\n1,x\n", "has no column 'label'"),
        ("row,label\n240,1\n", "row numbers from 0 to 239"),
        ("row,label\nx,1\n", "row numbers from 0 to 239"),
        ("row,label\n1,perhaps\n", "holds 'perhaps'"),
        ("row,label\n1,yes\n", "ask.csv: label', row 0"),
        ("row,label\n7,1\n1,1\n7,0\n", "row 7 is called both an anomaly (1) and normal (0)"),
    ],
)
def test_answers_that_cannot_be(run: Run, data: Path, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "ask.csv").write_text(text)
    result = run("fit", data, "--answers", tmp_path / "ask.csv", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_another_table(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    transactions().iloc[:100].to_csv(tmp_path / "part.csv", index=False)
    result = run("query", model, tmp_path / "part.csv", "--out", tmp_path / "ask.csv")
    assert result.exit_code == 2
    assert "training data, 240 rows; got 100 rows" in " ".join(result.stderr.split())
    assert not (tmp_path / "ask.csv").exists()


def test_to_stdout(model: Path, data: Path) -> None:
    done = run_apart("query", model, data, "-k", "3", "--out", "-")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(io.StringIO(done.stdout)).shape == (3, 9)
    assert "3 rows of 240" in done.stderr


def test_values_of_several_types_are_shown_as_text() -> None:
    assert column_of([1.5, None, 2.0]).to_pylist() == [1.5, None, 2.0]
    assert column_of([1, "a", None]).to_pylist() == ["1", "a", None]
    assert column_of([np.zeros(1)[None], object]).type == "string"


@pytest.mark.parametrize(
    ("other", "changed", "code"),
    [
        (lambda data: data[::-1], lambda asked: asked, 2),  # the same rows in another order
        (lambda data: data[::-1], lambda asked: asked[["row", "label"]], 0),  # nothing to compare
        (
            lambda data: data,
            lambda asked: asked.astype({"amount": str}).replace({"amount": {r"\.": ","}}, regex=True),
            0,
        ),
        (lambda data: data, lambda asked: asked.assign(account="mangled"), 0),
    ],
)
def test_answers_are_of_the_rows_they_show(run, model, data, tmp_path, other, changed, code):
    run("query", model, data, "-k", "6", "--out", tmp_path / "ask.csv")
    changed(pd.read_csv(tmp_path / "ask.csv").assign(label=[1, 0, 0, 0, 0, 0])).to_csv(
        tmp_path / "ask.csv", index=False
    )
    other(pd.read_csv(data)).to_csv(tmp_path / "other.csv", index=False)
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--answers", tmp_path / "ask.csv"]
    result = run("fit", tmp_path / "other.csv", *roles, "--out", tmp_path / "again", "--top", "0")
    assert result.exit_code == code, result.output
    assert ("in the same order" in result.stderr) == (code == 2)


# --------------------------------------------------------------------------------------------- the loop of answers


def test_the_next_command_can_be_pasted_and_keeps_every_option(data: Path, tmp_path: Path) -> None:
    (tmp_path / "my data.csv").write_bytes(data.read_bytes())
    (tmp_path / "first answers.csv").write_text("row,label\n0,1\n100,0\n")
    options = ["--id", "account", "--ignore", "note,is_fraud", "--answers", "first answers.csv", "--calibration", "2"]
    options += ["--contamination=0.1", "--seed", "7", "--set", "ensemble_size=2", "-q", "-o", "model"]
    assert run_apart("fit", "my data.csv", *options, cwd=tmp_path).returncode == 0
    (tmp_path / "model-2").mkdir()  # of somebody else
    done = run_apart("query", "model", "my data.csv", "-k", 4, "--out", "second.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("Next ")]
    words = shlex.split(line.removeprefix("Next"))
    assert words[:3] == ["expose", "fit", "my data.csv"]
    assert words[-4:] == ["--answers", "second.csv", "--out", "model-3"]
    asked = pd.read_csv(tmp_path / "second.csv").assign(label=0)
    asked.to_csv(tmp_path / "second.csv", index=False)
    assert run_apart(*words[1:], cwd=tmp_path).returncode == 0
    before, after = (AnomalyDetector.load(tmp_path / name) for name in ("model", "model-3"))
    own = {"checkpoint", "objective"}
    assert {name: value for name, value in before.get_params().items() if name not in own} == {
        name: value for name, value in after.get_params().items() if name not in own
    }
    assert [after.metadata_[role] for role in ("id", "ignore")] == [["account"], ["note,is_fraud"]]
    assert (after.fitted_.known >= 0).sum() == 6


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (None, ""),
        ("expose classify a.csv --label kind --out model", ""),
        ("expose fit a.csv --no-longer-there 3 --out model", ""),
        ("expose fit - -qo model --id day --id 'first name'", "--id day --id 'first name' --quiet"),
        ("expose fit a.csv b.csv --answers 1.csv --out=m --answers 2.csv", "--answers 1.csv --answers 2.csv"),
        ("expose fit a.csv --out m --out-suspects no/s.csv --top 0", "--top 0 --out-suspects no/s-2.csv"),
        ("expose fit a.csv -o m --out-suspects sqlite:///shop.db#s", "--out-suspects 'sqlite:///shop.db#s-2'"),
    ],
)
def test_what_is_kept_of_a_command(command: str | None, options: str) -> None:
    words = ["expose", "fit", "x.csv", *shlex.split(options), "--answers", "ask.csv", "--out", "no/model-2"]
    assert shlex.split(next_fit(command, ["x.csv"], "ask.csv", Path("no/model"))) == words


@pytest.mark.parametrize("answer", ["1", "normal", "-1", "perhaps"])
def test_answers_are_not_written_over(run: Run, model: Path, data: Path, tmp_path: Path, answer: str) -> None:
    out = tmp_path / "ask.csv"
    assert run("query", model, data, "-k", 3, "--out", out).exit_code == 0
    assert run("query", model, data, "-k", 4, "--out", out).exit_code == 0, "nobody has touched it"
    asked = pd.read_csv(out, dtype={"label": object})
    asked.loc[2, "label"] = answer
    asked.to_csv(out, index=False)
    before = out.read_bytes()
    result = run("query", model, data, "-k", 4, "--out", out)
    assert (result.exit_code, "holds 1 answer already" in result.stderr) == (2, True)
    assert out.read_bytes() == before


def test_a_table_that_cannot_be_read_is_not_written_over(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "ask.csv").write_bytes("row,label,note\n1,1,Bäckerei\n".encode("latin-1"))
    result = run("query", model, data, "--out", tmp_path / "ask.csv")
    assert (result.exit_code, "cannot be seen whether it holds answers" in result.stderr) == (2, True)


def test_a_model_made_in_python_has_a_next_command_too(run: Run, tmp_path: Path) -> None:
    table = transactions()[["amount", "hour"]]
    table.to_csv(tmp_path / "data.csv", index=False)
    AnomalyDetector(random_state=0).fit(table).save(tmp_path / "model")
    said = facts(run("query", tmp_path / "model", tmp_path / "data.csv", "--out", tmp_path / "ask.csv", "--json"))
    assert said["next"].startswith(f"expose fit {tmp_path / 'data.csv'} --answers ")
