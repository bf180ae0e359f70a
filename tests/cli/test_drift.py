"""``expose score`` says whether the data have moved: on stderr, in --json and, if asked, by its exit code."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Run, facts, run_in_process

from expose.cli.moved import Glimpse
from expose.kinds import Batch
from expose.scoring.pieces import pieces_of

ROWS = 4320


def sensors(seed: int, first: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Three sensors, a row every minute."""
    rng, at = np.random.default_rng(seed), np.arange(first, first + rows)
    wave = np.sin(2 * np.pi * at / 144)
    values = {name: wave * size + 0.1 * rng.normal(size=rows) for name, size in (("bar", 1), ("heat", 2), ("flow", 0))}
    return pd.DataFrame({"when": pd.date_range("2026-03-01", periods=first + rows, freq="min")[first:], **values})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of rows and of steps of three days, and the files of these and the next days."""
    place = tmp_path_factory.mktemp("drift")
    sensors(0).to_csv(place / "trained.csv", index=False)
    later = sensors(1, ROWS)
    later.to_csv(place / "later.csv", index=False)
    later[:20].to_csv(place / "few.csv", index=False)
    later.assign(bar=later["bar"] + 50).to_csv(place / "shifted.csv", index=False)
    for name, roles in (("rows", ["--ignore", "when"]), ("steps", ["--time", "when"])):
        done = run_in_process("fit", place / "trained.csv", *roles, "--out", place / name, "-q")
        assert done.exit_code == 0, done.output
    return place


@pytest.mark.parametrize("model", ["rows", "steps"])
def test_a_shifted_sensor_is_said_and_the_scores_are_written(
    run: Run, folder: Path, model: str, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    told = run("score", folder / model, folder / "shifted.csv", "--out", out)
    assert told.exit_code == 0
    assert told.stderr.count("warning: The data have moved since training") == 1
    assert "100 % flagged" in told.stderr
    result = run("score", folder / model, folder / "shifted.csv", "--out", out, "--json", "--fail-on-drift")
    assert result.exit_code == 4
    found = facts(result)
    assert found["drift"]["verdict"] == "moved"
    assert found["drift"]["rows"] == found["flagged"] == len(pd.read_csv(out)) == ROWS
    assert found["drift"]["distance"] > 0.9
    assert next(iter(found["drift"]["columns"])) == "bar"
    assert "the most telling first: bar" in told.stderr


@pytest.mark.parametrize("model", ["rows", "steps"])
@pytest.mark.parametrize("data", ["trained", "later"])
def test_quiet_days_and_those_of_training_are_no_drift(
    run: Run, folder: Path, model: str, data: str, tmp_path: Path
) -> None:
    given = (folder / model, folder / f"{data}.csv", "--out", tmp_path / "s.csv", "--fail-on-drift")
    result = run("score", *given, "--json")
    assert result.exit_code == 0
    assert facts(result)["drift"]["verdict"] == "as in training"
    assert not facts(result)["warnings"]
    assert "Drift           none: scores are as in training" in run("score", *given).stdout


def test_the_rows_that_are_explained_are_a_fair_choice_of_all_batches() -> None:
    chosen = []
    for seed in range(300):
        glimpse = Glimpse(cast(Any, None), seed)
        batches = [Batch(np.arange(100 * first, 100 * first + 100)) for first in range(20)]
        assert list(glimpse.read(batches)) == batches
        assert [len(rows) for rows in glimpse.kept] == [8] * 4
        chosen += [int(rows[0]) // 100 for rows in glimpse.kept]
    assert 30 < np.bincount(chosen, minlength=20).min() <= np.bincount(chosen).max() < 95  # 60 on average


def test_few_rows_say_nothing(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("score", folder / "rows", folder / "few.csv", "--out", tmp_path / "s.csv", "--fail-on-drift")
    assert result.exit_code == 0
    assert "Drift           too few rows to say: 20 rows, at least 30 are needed" in result.stdout


def test_with_false_discoveries_and_reasons_it_is_the_same(run: Run, folder: Path, tmp_path: Path) -> None:
    given = ["--ignore", "when", "--calibration", "2", "--out", tmp_path / "m", "-q"]
    assert run("fit", folder / "trained.csv", *given).exit_code == 0
    pd.read_csv(folder / "shifted.csv")[:60].to_csv(tmp_path / "some.csv", index=False)
    verdicts = [
        facts(run("score", tmp_path / "m", tmp_path / "some.csv", "--out", tmp_path / "s.csv", "--json", *more))[
            "drift"
        ]
        for more in ([], ["--fdr", "0.1"], ["--explain", "1"])
    ]
    assert [one["verdict"] for one in verdicts] == ["moved"] * 3
    assert verdicts[0] == verdicts[1]
    assert next(iter(verdicts[2]["columns"])) == "bar"


def test_an_error_is_more_than_drift(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "no" / "scores.csv"
    assert run("score", folder / "rows", folder / "shifted.csv", "--out", out, "--fail-on-drift").exit_code == 2


class Pickling:
    """An engine of this process, which sends what it does through pickle as one of many does."""

    threads = 1

    def map(self, function: Any, items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(function))(item)))


def test_many_processes_give_the_verdict_of_one(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expose.scoring.engines.opened_engine", lambda name, address: nullcontext(Pickling()))
    monkeypatch.setattr(pieces_of, "__defaults__", (1000,))
    table, rows = pd.read_csv(folder / "shifted.csv"), tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(table), rows, row_group_size=1000)
    given = (folder / "rows", rows, "--json", "--fail-on-drift")
    one, many = (
        run("score", *given, "--out", tmp_path / f"{place}.csv", *more)
        for place, more in enumerate([[], ["--engine", "dask"]])
    )
    assert one.exit_code == many.exit_code == 4
    alone, together = facts(one)["drift"], facts(many)["drift"]
    assert alone.pop("columns")
    assert alone == together


# ------------------------------------------------------------------------------------------------- as rows come


def piped(run: Run, folder: Path, model: str, tables: Sequence[pd.DataFrame], *more: object) -> Any:
    """What becomes of tables that come on a pipe."""
    lines = pd.concat(tables).to_csv(index=False)
    return run("score", folder / model, "-", "--out", "-", *more, stdin=lines)


def later(start: int, rows: int, by: float = 0.0) -> pd.DataFrame:
    """Rows that follow those of training, with a sensor shifted."""
    table = sensors(start, ROWS + start, rows)
    return table.assign(bar=table["bar"] + by)


def alarms(result: Any) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("warning: drift ")]


@pytest.mark.parametrize(("model", "rows"), [("rows", 2000), ("steps", 4000)])
def test_an_alarm_is_told_when_it_begins_and_when_it_ends(run: Run, folder: Path, model: str, rows: int) -> None:
    tables = [later(0, rows), later(rows, rows, 50), later(2 * rows, rows)]
    result = piped(run, folder, model, tables)
    began, ended = alarms(result)
    assert "drift begins: after" in began
    assert "drift ends: after" in ended
    assert rows < row_in(began) <= 2 * rows < row_in(ended) < 3 * rows
    assert len(result.stdout.splitlines()) == 3 * rows + 1


def row_in(line: str) -> int:
    """The number of rows that a line tells."""
    return int(line.split("after ", 1)[1].split(maxsplit=1)[0].replace(",", ""))


def test_quiet_rows_raise_no_alarm_and_the_exit_code_is_that_of_the_end(run: Run, folder: Path) -> None:
    quiet = piped(run, folder, "steps", [later(0, 6000)], "--fail-on-drift")
    assert (quiet.exit_code, alarms(quiet)) == (0, [])
    moved = piped(run, folder, "rows", [later(0, 50), later(50, 2000, 50)], "--fail-on-drift", "--quiet")
    assert (moved.exit_code, len(alarms(moved))) == (4, 1)


def test_the_state_knows_of_an_alarm(run: Run, folder: Path, tmp_path: Path) -> None:
    state = ("--state", tmp_path / "state")
    assert "begins" in alarms(piped(run, folder, "rows", [later(0, 1000, 50)], *state))[0]
    assert not alarms(piped(run, folder, "rows", [later(1000, 1000, 50)], *state))  # it has been told
    [ended] = alarms(piped(run, folder, "rows", [later(2000, 1000)], *state))
    assert "ends: after 2," in ended
    other = piped(run, folder, "rows", [later(3000, 100)], *state, "--threshold", "0.2")
    assert "watched anew, as the threshold is another one" in other.stderr
    assert other.exit_code == 0
