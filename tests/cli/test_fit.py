"""``expose fit``."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, Run, facts, run_in_process, transactions, weights_of

from expose.cli.answer import read_lines
from expose.estimators import AnomalyDetector


def test_the_summary_says_what_was_found(run: Run, data: Path, tmp_path: Path) -> None:
    roles = ["--id", "account", "--ignore", "note", "--ignore", "is_fraud"]
    result = run("fit", data, "--out", tmp_path / "model", *roles, "--contamination", "0.05", *QUICK)
    assert result.exit_code == 0, result.output
    assert "240 rows x 3 columns" in result.stdout
    assert "Share           training took 5 % of the rows for anomalies, as was given" in result.stdout
    assert "Line            12 of 240 rows score above " in result.stdout
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
    assert [one["row"] for one in said["ranking"]] == detector.ranking_["row"][:20].tolist()
    assert said["ranking"][0]["account"] == f"A{said['ranking'][0]['row']:04d}"
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
    assert facts(by_shell)["ranking"] == facts(by_glob)["ranking"]


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


# --------------------------------------------------------------------------------------------------- the answer


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Payments with a key, dates, categories, a constant and gaps; the first six are planted."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "key": [f"P{row}" for row in range(200)],
            "day": pd.date_range("2025-01-01", periods=200).strftime("%Y-%m-%d"),
            "amount": random.normal(50, 5, 200).round(2),
            "discount": np.where(random.random(200) < 0.2, np.nan, random.normal(5, 1, 200)),
            "country": random.choice(["DE", "FR", "IT"], 200),
            "currency": "EUR",
        }
    )
    table.loc[:5, "amount"] = 400.25
    table.to_csv(tmp_path / "mixed.csv", index=False)
    return tmp_path / "mixed.csv"


def test_it_is_said_how_each_column_was_read_and_what_was_noticed(run: Run, mixed: Path, tmp_path: Path) -> None:
    result = run("fit", mixed, "--out", tmp_path / "model")
    assert result.exit_code == 0, result.output
    for line in (
        "number      amount, discount",
        "category    country: of 3",
        "date        day",
        "identifier  key: different in every row; names it, as --id would",
        "left out    currency: ",
    ):
        assert line in result.stdout
    assert result.stdout.count("Noticed ") == 1
    assert result.stdout.count("values missing") == 1


def test_a_column_that_names_photos_is_said_to_be_readable(run: Run, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"path": [f"photos/{n}.JPG" for n in range(60)], "x": np.arange(60) % 7, "y": np.arange(60) % 5}
    )
    rows.to_csv(tmp_path / "parts.csv", index=False)
    said = " ".join(run("fit", tmp_path / "parts.csv", "--out", tmp_path / "model").stdout.split())
    assert "path: names of photos, which are not looked at; with --photo path they are" in said


def test_a_wide_table_is_told_in_few_lines() -> None:
    columns = [{"name": f"x{n}", "kind": "number", "how": ""} for n in range(100)]
    [line] = read_lines(columns)
    assert line.startswith("number      x0, x1, ")
    assert line.endswith(" more")
    assert len(line) < 80
    columns += [{"name": f"c{n}", "kind": "category", "how": "of 3"} for n in range(30)]
    lines = read_lines(columns)
    assert len(lines) == 15
    assert lines[-1] == "and 17 more: --json lists all"


def test_a_found_identifier_names_the_rows_as_an_id_does(run: Run, mixed: Path, tmp_path: Path) -> None:
    said = facts(run("fit", mixed, "--out", tmp_path / "found", "--json"))
    asked = facts(run("fit", mixed, "--out", tmp_path / "asked", "--id", "key", "--json"))
    assert {one["name"]: one["kind"] for one in said["columns_read"]}["key"] == "identifier"
    assert said["ranking"] == asked["ranking"]
    assert [one["key"] for one in said["ranking"][:6]] == [f"P{one['row']}" for one in said["ranking"][:6]]
    assert AnomalyDetector.load(tmp_path / "found").metadata_["id"] == ["key"]
    pd.read_csv(mixed).drop(columns="day").assign(day="2025-03-01").to_csv(tmp_path / "new.csv", index=False)
    assert run("score", tmp_path / "found", tmp_path / "new.csv", "--out", tmp_path / "s.csv").exit_code == 0
    assert pd.read_csv(tmp_path / "s.csv")["key"].tolist() == [f"P{row}" for row in range(200)]


def test_a_text_that_repeats_once_names_no_row(run: Run, mixed: Path, tmp_path: Path) -> None:
    """Looked for in some rows only, it would be taken for an identifier."""
    table = pd.concat([pd.read_csv(mixed)] * 10, ignore_index=True).assign(key=[f"P{row}" for row in range(2000)])
    table.loc[1001, "key"] = "P0"
    table.to_csv(mixed, index=False)
    said = facts(run("fit", mixed, "--out", tmp_path / "model", "--json"))
    assert "key" not in said["ranking"][0]
    assert AnomalyDetector.load(tmp_path / "model").metadata_["id"] == []


def test_a_table_of_identifiers_alone_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("key\n" + "\n".join(f"P{row}" for row in range(60)))
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model")
    assert result.exit_code == 0, result.output
    assert "Ranking  " in result.stdout


def test_the_ranking_is_there_whatever_the_estimate_says(run: Run, mixed: Path, tmp_path: Path) -> None:
    result = run("fit", mixed, "--out", tmp_path / "model", "--contamination", "0", "--json")
    said = facts(result)
    assert said["flagged"] == 0
    assert {one["row"] for one in said["ranking"][:6]} == set(range(6))
    assert [one["above_line"] for one in said["ranking"]] == [False] * 20
    [*most] = [one["reasons"][0] for one in said["ranking"][:6]]
    assert {one["column"] for one in most} == {"amount"}
    assert {one["value"] for one in most} == {400.25}
    assert all(0.5 < one["share"] <= 1 for one in most)
    shown = run("fit", mixed, "--out", tmp_path / "model", "--contamination", "0").stdout
    assert "Ranking         the first 20 of 200 rows" in shown
    assert "amount 400.25 (" in shown
    assert "suspects none" not in shown


@pytest.mark.parametrize(("top", "shown"), [("0", 0), ("3", 3), ("1000", 200)])
def test_how_many_rows_of_the_ranking_are_shown(run: Run, mixed: Path, tmp_path: Path, top: str, shown: int) -> None:
    said = facts(run("fit", mixed, "--out", tmp_path / "model", "--top", top, "--json"))
    assert len(said["ranking"]) == shown


def test_if_so_many_are_anomalous_it_is_these(run: Run, mixed: Path, tmp_path: Path) -> None:
    said = facts(run("fit", mixed, "--out", tmp_path / "model", "--json"))
    falling = np.sort(AnomalyDetector.load(tmp_path / "model").training_scores_)[::-1]
    assert [(one["share"], one["rows"]) for one in said["shares"]] == [(0.01, 2), (0.05, 10), (0.1, 20)]
    assert [one["anomaly_score"] for one in said["shares"]] == [falling[1], falling[9], falling[19]]


def test_the_share_that_was_assumed_is_not_what_is_flagged(run: Run, mixed: Path, tmp_path: Path) -> None:
    options = ["--contamination", "0.02", "--threshold", "0.1"]
    shown = run("fit", mixed, "--out", tmp_path / "model", *options).stdout
    assert "Share           training took 2 % of the rows for anomalies, as was given" in shown
    assert "Line            20 of 200 rows (10.0 %) score above" in shown
    assert "drawn by --threshold, a share of 0.1" in " ".join(shown.split())
    estimated = run("fit", mixed, "--out", tmp_path / "model").stdout
    joined = " ".join(estimated.split())
    assert re.search(r"[\d.]+ % to [\d.]+ % of the rows may be anomalies; training took [\d.]+ %, a guess", joined)
    assert "A few answers to expose query tell it better" in joined
    assert "drawn by that share" in estimated


def test_rows_of_equal_scores_stay_together_and_that_is_said(run: Run, tmp_path: Path) -> None:
    pd.DataFrame({"x": [0.0, 1.0] * 50, "y": [0.0, 1.0] * 50}).to_csv(tmp_path / "data.csv", index=False)
    shown = run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", "--contamination", "0.1").stdout
    assert "fewer, as rows of equal scores stay together" in " ".join(shown.split())


def test_the_whole_ranking_as_a_file(run: Run, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.cli.answer.EXPLAINED", 30)
    result = run("fit", mixed, "--out", tmp_path / "model", "--out-suspects", tmp_path / "suspects.parquet")
    assert result.exit_code == 0, result.output
    assert "reasons for the first 30" in result.stdout
    found, given = pd.read_parquet(tmp_path / "suspects.parquet"), pd.read_csv(mixed)
    reasons = [f"reason_{place}{what}" for place in (1, 2, 3) for what in ("", "_share")]
    values = [name for name in given.columns if name != "key"]
    assert list(found.columns) == ["rank", "row", "key", "anomaly_score", "above_line", *reasons, *values]
    ranking = AnomalyDetector.load(tmp_path / "model").ranking_
    assert found["row"].tolist() == ranking["row"].tolist()
    assert found["rank"].tolist() == list(range(1, 201))
    assert found["anomaly_score"].tolist() == ranking["anomaly_score"].tolist()
    assert found["key"].tolist() == given["key"][found["row"]].tolist()
    assert found["amount"].astype(float).tolist() == given["amount"][found["row"]].tolist()
    assert found["reason_1"][:6].tolist() == ["amount"] * 6
    assert found["reason_1"][30:].isna().all()
    assert found["above_line"].sum() == facts(run("fit", mixed, "--out", tmp_path / "m", "--json"))["flagged"]


def test_labels_and_columns_with_names_of_results_are_in_it(run: Run, mixed: Path, tmp_path: Path) -> None:
    table = pd.read_csv(mixed).rename(columns={"discount": "rank"}).assign(odd=[1] + [None] * 199)
    table.to_csv(mixed, index=False)
    options = ["--label", "odd", "--out-suspects", tmp_path / "suspects.csv"]
    assert run("fit", mixed, "--out", tmp_path / "model", *options).exit_code == 0
    found = pd.read_csv(tmp_path / "suspects.csv")
    assert found["rank"].tolist() == list(range(1, 201))
    np.testing.assert_allclose(found["id_rank"], table["rank"][found["row"]])
    assert found["odd"].sum() == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mixed.csv", "--out-suspects mixed.csv is an input"),
        ("suspects.docx", "cannot tell the format"),
        ("nowhere/suspects.csv", "there is no folder nowhere"),
        ("model/suspects.csv", "there is no folder model"),
    ],
)
def test_a_file_for_the_ranking_that_cannot_be(
    run: Run, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("fit", "mixed.csv", "--out", "model", "--out-suspects", name)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert not (tmp_path / "model").exists()


def test_a_file_for_the_ranking_in_a_model_folder(run: Run, mixed: Path, tmp_path: Path) -> None:
    assert run("fit", mixed, "--out", tmp_path / "model", "-q").exit_code == 0
    before = sorted((tmp_path / "model").iterdir())
    result = run("fit", mixed, "--out", tmp_path / "model", "--out-suspects", tmp_path / "model" / "suspects.csv")
    assert (result.exit_code, "lies in the model folder" in result.stderr) == (2, True)
    assert sorted((tmp_path / "model").iterdir()) == before


def test_the_ranking_is_safe_to_open_in_a_spreadsheet(run: Run, mixed: Path, tmp_path: Path) -> None:
    table = pd.read_csv(mixed)
    table["owner"] = [f"=cmd|{row}" for row in range(len(table))]
    table.to_csv(tmp_path / "data.csv", index=False)
    to = ["--id", "owner", "--top", "0", "--out-suspects", tmp_path / "ranking.csv"]
    for safe, first in ((["--spreadsheet-safe"], "'=cmd"), ([], "=cmd")):
        assert run("fit", tmp_path / "data.csv", "--out", tmp_path / "m", *to, *safe).exit_code == 0
        assert pd.read_csv(tmp_path / "ranking.csv")["owner"].str.startswith(first).all()


def test_the_ranking_to_stdout(run: Run, mixed: Path, tmp_path: Path) -> None:
    result = run("fit", mixed, "--out", tmp_path / "model", "--out-suspects", "-", "--top", "0")
    assert pd.read_csv(io.StringIO(result.stdout)).shape == (200, 16)
    assert "Trained  " in result.stderr


def test_known_rows_are_counted_and_not_shown_again(run: Run, mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("row,label\n0,1\n100,0\n101,0\n")
    result = run("fit", mixed, "--answers", tmp_path / "answers.csv", "--out", tmp_path / "model")
    assert "Known           1 anomaly and 2 normal rows" in result.stdout
    said = facts(run("fit", mixed, "--answers", tmp_path / "answers.csv", "--out", tmp_path / "model", "--json"))
    assert (said["known_anomalies"], said["known_normal"]) == (1, 2)
    assert not {0, 100, 101} & {one["row"] for one in said["ranking"]}, "what is known is not to be looked at again"
    assert "with no known label" in result.stdout


@pytest.mark.parametrize("name", ["nowhere/model", "nowhere/deep/model"])
def test_a_slip_of_the_pen_makes_no_folders(run: Run, mixed: Path, tmp_path: Path, name: str) -> None:
    result = run("fit", mixed, "--out", tmp_path / name)
    assert result.exit_code == 2
    assert f"mkdir -p {(tmp_path / name).parent}" in " ".join(result.stderr.split())
    assert not (tmp_path / "nowhere").exists()


def test_nothing_is_wider_than_a_terminal_needs(run: Run, mixed: Path, tmp_path: Path) -> None:
    table = pd.read_csv(mixed)
    long = {"country": "the country of the account " * 3, "key": "the key of the payment " * 2}
    table["country"] = table["country"] + " and a long text that goes on" * 3
    table.rename(columns=long).to_csv(mixed, index=False)
    shown = run("fit", mixed, "--out", tmp_path / "m").stdout
    assert max(map(len, shown.split("Ranking ")[0].splitlines())) <= 92
    assert max(map(len, shown.split("Model  ")[0].splitlines())) <= 140
