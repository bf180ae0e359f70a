"""Id columns that have the names of results are lost nowhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from commands import Run, facts, transactions

TAKEN = ["anomaly_score", "is_anomaly", "p_value", "row", "rank", "label", "above_line", "known", "reasons"]


@pytest.mark.parametrize("name", TAKEN)
def test_an_id_column_with_the_name_of_a_result(run: Run, tmp_path: Path, name: str) -> None:
    table = transactions(120)[["account", "amount", "hour"]].rename(columns={"account": name})
    table.to_csv(tmp_path / "data.csv", index=False)
    data, model = tmp_path / "data.csv", tmp_path / "model"
    said = facts(run("fit", data, "--out", model, "--id", name, "--contamination", "0.05", "--json"))
    expected = table[name].tolist()
    for one in said["ranking"]:
        assert expected[one["row"]] in (one.get(name), one.get(f"id_{name}"))
        assert one["rank"] in range(1, 21)

    said = facts(run("score", model, data, "--out", tmp_path / "scores.csv", "--json"))
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert expected in [scores[one].tolist() for one in (name, f"id_{name}") if one in scores]
    assert scores["anomaly_score"].dtype.kind == "f"
    for one in said["top"]:
        assert expected[one["row"]] in one.values()

    assert run("query", model, data, "--out", tmp_path / "ask.csv", "-k", 5).exit_code == 0
    asked = pd.read_csv(tmp_path / "ask.csv")
    names = asked[f"id_{name}" if name in ("row", "label", "anomaly_score") else name]
    assert names.tolist() == table[name][asked["row"]].tolist()
    assert run("fit", data, "--id", name, "--answers", tmp_path / "ask.csv", "--out", tmp_path / "next").exit_code == 0


def test_p_values_beside_an_id_of_that_name(run: Run, tmp_path: Path) -> None:
    table = transactions(120)[["account", "amount", "hour"]].rename(columns={"account": "p_value"})
    table.to_csv(tmp_path / "data.csv", index=False)
    options = ["--id", "p_value", "--calibration", "2", "-q"]
    assert run("fit", tmp_path / "data.csv", "--out", tmp_path / "model", *options).exit_code == 0
    result = run("score", tmp_path / "model", tmp_path / "data.csv", "--out", tmp_path / "s.csv", "--fdr", "0.1")
    assert result.exit_code == 0, result.output
    assert "'p_value' has the name of a result; it is written as 'id_p_value'" in result.stderr
    scores = pd.read_csv(tmp_path / "s.csv")
    assert scores["id_p_value"].tolist() == table["p_value"].tolist()
    assert scores["p_value"].between(0, 1).all()
