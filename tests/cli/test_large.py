"""``expose fit`` on files that memory does not hold."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, Run, command, facts, run_apart, transactions, weights_of

from expose.cli import large
from expose.cli.large import Counts, memory_here, memory_of
from expose.errors import InputError
from expose.estimators import AnomalyDetector

ROWS = 2_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "transactions.parquet"
    table = transactions(ROWS)
    table["is_fraud"] = table["is_fraud"].astype("float64").where(table["is_fraud"] == 1)
    table.loc[4:, "is_fraud"] = None
    table.to_parquet(path, row_group_size=300)
    return path


ROLES = ["--id", "account", "--ignore", "note", "--label", "is_fraud", "--contamination", "0.01"]


def test_a_sample_is_fitted_and_all_rows_are_ranked(run: Run, many: Path, tmp_path: Path) -> None:
    ranking = tmp_path / "ranking.csv"
    said = facts(
        run("fit", many, "--out", tmp_path / "model", *ROLES, "--sample-rows", 500, "--out-suspects", ranking, "--json")
    )
    assert (said["rows"], said["sample_rows"]) == (ROWS, 500)
    assert (said["known_anomalies"], said["known_normal"]) == (4, 0)
    assert [one["row"] for one in said["ranking"][:8]] == sorted(
        range(4, 12), key=[one["row"] for one in said["ranking"]].index
    ), "the known four are not shown again"
    found = pd.read_csv(ranking)
    assert len(found) == ROWS
    assert list(found)[:5] == ["rank", "row", "account", "anomaly_score", "above_line"]
    assert set(found["row"][:12]) == set(range(12))
    assert found["is_fraud"].notna().sum() == 4
    assert (np.diff(found["anomaly_score"]) <= 0).all()
    assert said["flagged"] == found["above_line"].sum()
    assert found["reason_1"][0] == "amount"
    assert found["reason_1"][1_000:].isna().all()
    shares = {one["share"]: (one["rows"], one["anomaly_score"]) for one in said["shares"]}
    assert shares == {
        share: (n, found["anomaly_score"][n - 1]) for share, n in [(0.001, 2), (0.01, 20), (0.05, 100), (0.1, 200)]
    }
    by_rank = dict(zip(found["rank"], found["row"], strict=True))
    for one in said["ranking"]:
        assert by_rank[one["rank"]] == one["row"]
        assert one["account"] == f"A{one['row']:04d}"
        assert one["above_line"] == (one["anomaly_score"] > said["threshold"])
    assert said["ranking"][0]["reasons"][0]["column"] == "amount"
    assert said["ranking"][0]["reasons"][0]["value"] > 400
    detector = AnomalyDetector.load(tmp_path / "model")
    assert detector.metadata_["sampled"] == [500, ROWS]
    assert not list(tmp_path.glob("model.*")), "nothing is left beside the model"


def test_people_are_told(run: Run, many: Path, tmp_path: Path) -> None:
    result = run("fit", many, "--out", tmp_path / "model", *ROLES, "--sample-rows", 500, "--top", 3)
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert "Sample 500 rows at random, as --sample-rows asks" in told
    assert "Trained on 2,000 rows x 3 columns" in told
    assert "The model is of 2,000 rows: it was fitted on a random sample of 500." in told
    assert "the first 3 of 1,996 rows with no known label" in told
    assert " of 2,000 rows (" in told


@pytest.mark.parametrize("rows", [ROWS, ROWS + 1])
def test_a_sample_of_all_rows_is_a_usual_fit(rows: int, run: Run, many: Path, tmp_path: Path) -> None:
    usual = run("fit", many, "--out", tmp_path / "usual", *ROLES)
    same = run("fit", many, "--out", tmp_path / "same", *ROLES, "--sample-rows", rows)
    assert usual.stdout.replace("usual", "same").split("\n")[1:] == same.stdout.split("\n")[1:]  # without seconds
    assert weights_of(tmp_path / "usual") == weights_of(tmp_path / "same")


def test_a_text_file_of_fewer_rows_than_the_sample_gives_the_same_model(run: Run, data: Path, tmp_path: Path) -> None:
    """How many rows it has is known only after the pass."""
    options = ["--ignore", "note,is_fraud"]
    assert run("fit", data, "--out", tmp_path / "usual", *options).exit_code == 0
    said = facts(run("fit", data, "--out", tmp_path / "same", *options, "--sample-rows", 1_000, "--json"))
    assert weights_of(tmp_path / "usual") == weights_of(tmp_path / "same")
    assert said["rows"] == said["sample_rows"] == 240
    assert AnomalyDetector.load(tmp_path / "same").metadata_["id"] == ["account"], "what names the rows is found"


def test_it_is_chosen_where_memory_would_not_do(
    run: Run, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "memory_here", lambda: 2**16)
    monkeypatch.setattr(large, "FEWEST", 100)
    result = run("fit", many, "--out", tmp_path / "model", *ROLES)
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert "as all of them would take about" in told
    assert "2,000 rows: it was fitted on a random sample of" in told
    with_room = run("fit", many, "--out", tmp_path / "roomy", *ROLES, "--memory", "2GB")
    assert "random sample" not in with_room.stdout


def test_networks_train_on_all_rows_in_blocks(run: Run, many: Path, tmp_path: Path) -> None:
    options = ["--sample-rows", 300, "--memory", "600KB", "--json", *QUICK]
    assert facts(run("fit", many, "--out", tmp_path / "model", *ROLES, *options))["rows"] == ROWS
    detector = AnomalyDetector.load(tmp_path / "model")
    assert len(detector.history_) == 3 * 2  # of 1,024 rows and of the rest
    assert "the epochs walked through all of them" in detector.notes_[-1]


def test_answers_reach_the_sample(run: Run, many: Path, tmp_path: Path) -> None:
    """By the numbers that rows have in the file, not in the sample."""
    table = transactions(ROWS)
    answers = pd.DataFrame({"row": [1_999, 7], "account": ["A1999", "A0007"], "label": [0, 1]})
    answers.to_csv(tmp_path / "answers.csv", index=False)
    options = [
        "--id",
        "account",
        "--ignore",
        "note,is_fraud",
        "--sample-rows",
        100,
        "--answers",
        tmp_path / "answers.csv",
    ]
    said = facts(run("fit", many, "--out", tmp_path / "model", *options, "--json"))
    assert (said["known_anomalies"], said["known_normal"]) == (1, 1)
    assert not {7, 1_999} & {one["row"] for one in said["ranking"]}
    answers["account"] = ["A0000", "A0001"]  # of other rows
    answers["amount"] = table["amount"][[0, 1]].tolist()
    answers.to_csv(tmp_path / "answers.csv", index=False)
    result = run("fit", many, "--out", tmp_path / "model", *options)
    assert result.exit_code == 2
    assert "the rows shown there are not those" in " ".join(result.stderr.split())
    answers["row"] = [1, ROWS]
    answers.to_csv(tmp_path / "answers.csv", index=False)
    result = run("fit", many, "--out", tmp_path / "model", *options)
    assert f"row numbers from 0 to {ROWS - 1}" in " ".join(result.stderr.split())


def test_every_label_known_shows_all_rows(run: Run, many: Path, tmp_path: Path) -> None:
    table = transactions(ROWS).drop(columns="note")
    table.to_parquet(tmp_path / "known.parquet")
    options = ["--id", "account", "--label", "is_fraud", "--sample-rows", 400, "--json"]
    said = facts(run("fit", tmp_path / "known.parquet", "--out", tmp_path / "model", *options))
    assert [one["rank"] for one in said["ranking"]] == list(range(1, 21))
    assert (said["known_anomalies"], said["known_normal"]) == (12, ROWS - 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "much"], "--memory takes a size such as 2GB"),
        (["--memory", "0"], "--memory takes a size such as 2GB"),
        (["--sample-rows", "1"], "greater than or equal to 2"),
    ],
)
def test_sizes_that_cannot_be_are_refused(
    options: list[str], message: str, run: Run, many: Path, tmp_path: Path
) -> None:
    result = run("fit", many, "--out", tmp_path / "model", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_standard_input_is_not_sampled(run: Run, tmp_path: Path) -> None:
    result = run("fit", "-", "--out", tmp_path / "model", "--sample-rows", 100, stdin="a,b\n1,2\n")
    assert result.exit_code == 2
    assert "standard input can be read only once" in " ".join(result.stderr.split())


def test_memory_is_found() -> None:
    found = memory_here()
    assert found is None or 2**28 < found < 2**50
    assert memory_of("3 GiB") == 3 * 2**30
    with pytest.raises(InputError):
        memory_of("1.2.3GB")


def test_counts_cross_tables() -> None:
    import pyarrow as pa

    counts = Counts(3_000, 0.5)
    scores = np.sort(np.random.default_rng(0).random(3_000))[::-1]
    tables = [
        pa.table({"anomaly_score": scores[part], "__known__": np.full(len(scores[part]), -1, dtype=np.int8)})
        for part in (slice(0, 2), slice(2, 3), slice(3, 150), slice(150, 3_000))
    ]
    assert list(counts.passing(tables)) == tables
    said = {one["share"]: (one["rows"], one["anomaly_score"]) for one in counts.facts()["shares"]}
    assert said == {share: (n, scores[n - 1]) for share, n in [(0.001, 3), (0.01, 30), (0.05, 150), (0.1, 300)]}
    assert counts.facts()["flagged"] == (scores > 0.5).sum()


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_ranking(tmp_path: Path) -> None:
    """Killed while it ranks, as soon as a run of rows is safe."""
    transactions(40_000).drop(columns=["note", "is_fraud"]).to_parquet(tmp_path / "rows.parquet")
    fit = ["fit", str(tmp_path / "rows.parquet"), "--id", "account", "--sample-rows", "1000"]
    straight = run_apart(*fit, "--out", tmp_path / "straight", "--out-suspects", tmp_path / "straight.parquet")
    assert straight.returncode == 0, straight.stderr
    own = [*fit, "--out", str(tmp_path / "model"), "--out-suspects", str(tmp_path / "ranking.parquet")]
    process = subprocess.Popen(command(*own), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list((tmp_path / "model.checkpoint.passes").glob("ranking-*")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "ranking.parquet").exists()
    again = run_apart(*own)
    assert again.returncode == 0, again.stderr
    first, second = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("straight", "ranking"))
    pd.testing.assert_frame_equal(first, second)
    assert not list(tmp_path.glob("model.*"))


def test_query_says_what_to_do_instead(run: Run, many: Path, tmp_path: Path) -> None:
    ranking = tmp_path / "ranking.csv"
    fit = ["fit", many, *ROLES[:4], "--sample-rows", 300]
    assert run(*fit, "--out", tmp_path / "model", "--out-suspects", ranking).exit_code == 0
    result = run("query", tmp_path / "model", many, "--out", tmp_path / "ask.csv")
    assert result.exit_code == 2
    assert "fitted on 300 of 2,000 rows" in " ".join(result.stderr.split())
    answers = pd.read_csv(ranking).head(8)
    answers.assign(label=["1"] * 7 + [""]).to_csv(tmp_path / "answers.csv", index=False)
    said = facts(run(*fit, "--out", tmp_path / "again", "--answers", tmp_path / "answers.csv", "--json"))
    assert said["known_anomalies"] == 7


def test_a_wrong_value_is_named_by_its_number_in_the_file(run: Run, tmp_path: Path) -> None:
    table = transactions(ROWS).drop(columns=["note", "is_fraud"])
    table.loc[1_234, "hour"] = np.inf
    table.to_parquet(tmp_path / "rows.parquet")
    for sample in (1_000, 1_500, 1_900):  # some of which hold it; else the pass over all rows finds it
        result = run("fit", tmp_path / "rows.parquet", "--out", tmp_path / "model", "--sample-rows", sample)
        assert result.exit_code == 2
        assert "row 1234 (counting from 0)" in " ".join(result.stderr.split())
