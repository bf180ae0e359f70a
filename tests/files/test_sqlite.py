"""SQLite: each value has a type of its own, and none is lost; addresses; a table is written whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run_in_process

from expose import AnomalyDetector, Scorer
from expose.errors import InputError
from expose.files import read, scan, writer

pytest.importorskip("adbc_driver_sqlite", reason="needs pip install 'expose[sql]'")


def made(path: Path, columns: str, rows: Sequence[Sequence[Any]], table: str = "t") -> str:
    """The address of a table with these rows."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table {table} ({columns})")
        marks = ", ".join("?" * len(rows[0])) if rows else ""
        connection.executemany(f"insert into {table} values ({marks})", rows)
    connection.close()
    return f"sqlite:///{path}#{table}"


def tables_in(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        found = [name for (name,) in connection.execute("select name from sqlite_master")]
    connection.close()
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    X = np.random.default_rng(0).normal(size=(300, 2))
    AnomalyDetector("svdd", random_state=0).fit(pa.table({"a": X[:, 0], "b": X[:, 1]})).save(folder)
    return folder


# -------------------------------------------------------------------------------------------------------- types

LAST = 20_000  # beyond the first rows, from which the driver takes types


@pytest.mark.parametrize(
    ("first", "last", "arrow_type", "read_as"),
    [
        (1, 2, pa.int64(), (1, 2)),
        (2**62 + 1, None, pa.int64(), (2**62 + 1, None)),
        (None, 3, pa.int64(), (None, 3)),
        (1, 0.1 + 0.2, pa.float64(), (1.0, 0.1 + 0.2)),
        (None, 0.5, pa.float64(), (None, 0.5)),
        (1.5, float("inf"), pa.float64(), (1.5, float("inf"))),
        (None, "late", pa.string(), (None, "late")),
        (7, "n/a", pa.string(), ("7", "n/a")),
        (0.1, "n/a", pa.string(), ("0.1", "n/a")),
        (0.1 + 0.2, "n/a", pa.string(), ("0.30000000000000004", "n/a")),
        ("grün", 7, pa.string(), ("grün", "7")),
        (b"\xff\x00", None, pa.string(), ("ff00", None)),
        (1, b"\xff", pa.string(), ("1", "ff")),
        (None, None, pa.int64(), (None, None)),
    ],
)
def test_a_column_is_of_the_type_that_holds_all_its_values(
    first: Any, last: Any, arrow_type: pa.DataType, read_as: tuple[Any, Any], tmp_path: Path
) -> None:
    rows = [(first,)] * LAST + [(last,)]
    for declared in ("x", "x blob"):  # neither changes what is stored
        address = made(tmp_path / f"{len(declared)}.db", declared, rows)
        column = read(address)["x"]
        assert column.type == arrow_type
        assert column.to_pylist() == [read_as[0]] * LAST + [read_as[1]]


def test_a_number_that_turns_to_text_late_is_said_and_the_others_stay_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = [(i, *row) for i, row in enumerate(random.normal(size=(LAST + 1, 2)).tolist())]
    rows[LAST] = (LAST, "broken", 0.5)
    address = made(tmp_path / "t.db", "i, a, b", rows)
    options = ["--id", "i", "--objective", "svdd", "--set", "epochs=1"]
    result = run_in_process("fit", address, *options, "--out", tmp_path / "model")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "number a: 'broken' count as missing" in shown
    assert "'a' holds numbers; 1 value(s) are none and count as missing: 'broken'" in shown
    result = run_in_process("score", tmp_path / "model", address, "--out", tmp_path / "scores.parquet")
    assert result.exit_code == 0, result.output
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == LAST + 1


def test_new_data_may_hold_texts_among_numbers(model: Path, tmp_path: Path) -> None:
    """The model was trained where all values were numbers."""
    clean = [(float(i), 0.5) for i in range(3_000)]
    address = made(tmp_path / "t.db", "a, b", [*clean, ("broken", 0.5)])
    missing = made(tmp_path / "n.db", "a, b", [*clean, (None, 0.5)])
    scorer = Scorer(model)
    with pytest.warns(UserWarning, match="'broken'"):
        found = pa.concat_tables(scorer.scan([address]))
    assert found.equals(pa.concat_tables(scorer.scan([missing])))


def test_scores_equal_those_of_the_same_rows_in_parquet(model: Path, tmp_path: Path) -> None:
    X = np.random.default_rng(1).normal(size=(70_000, 2))
    address = made(tmp_path / "t.db", "a real, b real", X.tolist())
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1]}), tmp_path / "t.parquet")
    scorer = Scorer(model)
    by_file = pa.concat_tables(scorer.scan([str(tmp_path / "t.parquet")]))
    by_query = scorer.scan([address.removesuffix("#t")], query="select a, b from t order by rowid")
    assert by_file.equals(pa.concat_tables(scorer.scan([address])))
    assert by_file.equals(pa.concat_tables(by_query))


def test_a_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "x", [("a",)])
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("insert into t values (cast(x'ff41' as text))")
    with pytest.raises(InputError, match="another encoding"):
        read(address)


# ------------------------------------------------------------------------------------------------------ queries


@pytest.mark.parametrize(
    "query",
    [
        "select k from t order by k desc",
        "select k from t order by k desc; ",
        "select k from t order by k desc -- the last first",
        "with x as (select k from t) select * from x order by k desc",
        "select k from t order by k desc limit 100000",
        "select k from t where k >= 3000 union all select k from t where k < 3000 order by k desc",
    ],
)
def test_the_order_of_rows_is_that_of_the_query(query: str, tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "k, x", [(k, "x") for k in range(6_000)])
    batches = list(scan(address.removesuffix("#t"), query=query, batch_rows=1_000))
    assert [k for batch in batches for k in batch["k"].to_pylist()] == list(range(5_999, -1, -1))
    assert max(batch.num_rows for batch in batches) <= 1_000


def test_views_odd_names_and_some_columns(tmp_path: Path) -> None:
    made(tmp_path / "t.db", '"a ""b""", "select", c', [(1, 2, 3)], '"odd; drop table t"')
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute('create view seen as select * from "odd; drop table t"')
    for table in ("odd; drop table t", '"odd; drop table t"', "main.odd; drop table t", "seen"):
        found = read(f"sqlite:///{tmp_path}/t.db#{table}", columns=["select", 'a "b"'])
        assert found.to_pydict() == {"select": [2], 'a "b"': [1]}


@pytest.mark.parametrize(
    ("fragment", "query", "said"),
    [
        ("#nope", None, "no such table: nope.* It has the tables 't'"),
        ("", None, "name a table, or give a query .*'t'"),
        ("#t", "select 1", "give one of them"),
        ("", "selec 1", "syntax error"),
        ("", " ; ", "the query .* is empty"),
        ("", "select 1 as a, 2 as a", "more than once: 'a'"),
        ("", "select * from t where x > 5", "no row below them"),
        ("", " DELETE from t", "the query begins with DELETE; expected a select"),
        ("", "insert into t values (5) returning x", "the query begins with insert"),
        ("", "select 1; delete from t", "syntax error"),
        ("", "attach 'other.db' as other", "the query begins with attach"),
        ("", "select 1) ; attach 'other.db' as other; --", "syntax error"),
        ("#a.b.c", None, "#table or #schema.table"),
    ],
)
def test_what_cannot_be_read_says_so(
    fragment: str, query: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "t.db", "x", [(1,)])
    with pytest.raises(InputError, match=said):
        read(f"sqlite:///{tmp_path}/t.db{fragment}", query=query)
    assert read(f"sqlite:///{tmp_path}/t.db#t").num_rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]


def test_several_sources_are_one_table(tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "a, b", [(1, "x")])
    pq.write_table(pa.table({"a": [2.5], "b": ["y"]}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b\n3,z\n")
    assert read([address, tmp_path / "t.parquet"]).to_pydict() == {"a": [1.0, 2.5], "b": ["x", "y"]}
    assert read([str(tmp_path / "t.csv"), address]).to_pydict() == {"a": ["3", "1"], "b": ["z", "x"]}


# ---------------------------------------------------------------------------------------------------- addresses


def test_addresses_are_those_of_sqlalchemy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("a folder")
    made(tmp_path / "a folder" / "50%.db", "x", [(1,)])
    place = "a folder/50%.db"
    for address in (
        f"sqlite:///{place}",
        f"sqlite:////{tmp_path}/{place}",
        f"sqlite:{place}",
        f"sqlite+pysqlite:///{place}",
    ):
        assert read(f"{address}#t")["x"].to_pylist() == [1]
    made(tmp_path / "x#y.db", "x", [(2,)])
    assert read("sqlite:///x#y.db#t")["x"].to_pylist() == [2]
    assert read("sqlite:///x#y.db", query="select x from t")["x"].to_pylist() == [2]


@pytest.mark.parametrize("address", ["sqlite://#t", "sqlite:///#t", "sqlite:///:memory:#t", "sqlite://host/t.db#t"])
def test_an_address_of_no_file_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="names no file"):
        read(address)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read(f"sqlite:///{tmp_path}/t.db#t")
    assert not list(tmp_path.iterdir())


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n" * 1_000)
    with pytest.raises(InputError, match=r"not a database.*without sqlite:"):
        read(f"sqlite:///{tmp_path}/t.csv#t")
    made(tmp_path / "t.db", "x", [(1,)])
    with pytest.raises(InputError, match="sqlite:///FILE#TABLE"):
        read(tmp_path / "t.db")


# ------------------------------------------------------------------------------------------------------ writing


def test_scores_go_to_the_file_that_is_read(model: Path, tmp_path: Path) -> None:
    """More of them than SQLite keeps in memory, while the rows are still being read."""
    X = np.random.default_rng(1).normal(size=(100_000, 2))
    key = [f"{i:0100}" for i in range(len(X))]
    address = made(tmp_path / "t.db", "key, a, b", list(zip(key, *X.T.tolist(), strict=True)))
    result = run_in_process("score", model, address, "--id", "key", "--out", f"sqlite:///{tmp_path}/t.db#odd scores")
    assert result.exit_code == 0, result.output
    scores = read(f"sqlite:///{tmp_path}/t.db#odd scores")
    assert scores.column_names == ["key", "anomaly_score", "is_anomaly"]
    assert scores["key"].to_pylist() == key
    assert scores["anomaly_score"].to_numpy() == pytest.approx(Scorer(model).scores({"a": X[:, 0], "b": X[:, 1]}))


def test_a_table_that_exists_is_refused_before_any_work(tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "x", [(1,)])
    result = run_in_process("score", tmp_path / "no-model", address, "--out", address)
    assert result.exit_code == 2
    assert "already exists" in result.stderr
    with pytest.raises(InputError, match="already exists"), writer(address) as sink:
        sink.write(pa.table({"x": [2]}))
    assert read(address)["x"].to_pylist() == [1]


@pytest.mark.parametrize("existing", [True, False])
def test_an_error_leaves_neither_table_nor_file(existing: bool, tmp_path: Path) -> None:
    if existing:
        made(tmp_path / "t.db", "x", [(1,)])
    with pytest.raises(RuntimeError, match="ours"), writer(f"sqlite:///{tmp_path}/t.db#scores") as sink:  # noqa: PT012
        sink.write(pa.table({"x": [2]}))
        raise RuntimeError("ours")
    assert [path.name for path in tmp_path.iterdir()] == (["t.db"] if existing else [])
    assert not existing or tables_in(tmp_path / "t.db") == ["t"]


def test_a_new_file_is_made_with_the_table(tmp_path: Path) -> None:
    with writer(f"sqlite:///{tmp_path}/new.db#main.scores") as sink:
        sink.write(pa.table({"x": [1.5], "y": [True], "z": pa.nulls(1)}))
        sink.write(pa.table({"x": [2.5], "y": [None], "z": pa.nulls(1)}))
    assert read(f"sqlite:///{tmp_path}/new.db#scores").to_pydict() == {"x": [1.5, 2.5], "y": [1, None], "z": [None] * 2}


def test_every_type_of_arrow_finds_a_place(tmp_path: Path) -> None:
    import datetime as dt
    from decimal import Decimal

    rows = pa.table(
        {
            "uint64": pa.array([2**63], pa.uint64()),
            "decimal": [Decimal("1.25")],
            "date": [dt.date(2025, 1, 2)],
            "date64": pa.array([dt.date(2025, 1, 2)], pa.date64()),
            "time": [dt.time(1, 2)],
            "moment": [dt.datetime(2025, 1, 2, 3, 4)],
            "word": pa.array(["a"]).dictionary_encode(),
            "list": [[1, 2]],
            "bytes": [b"\xff"],
        }
    )
    with writer(f"sqlite:///{tmp_path}/new.db#t") as sink:
        sink.write(rows)
    day = "2025-01-02"
    assert [*read(f"sqlite:///{tmp_path}/new.db#t").to_pylist()[0].values()] == [
        str(2**63), "1.25", day, day, "01:02:00.000000", f"{day}T03:04:00.000000", "a", "[1, 2]", "ff",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("sqlite:///no-folder/t.db#scores", "there is no folder 'no-folder'"),
        ("sqlite:///t.db", "name the table to write to behind a #"),
        ("sqlite:///t.db#nope.scores", "unknown database"),
        ("mysql://ann:secret@host/db#scores", "expected postgresql://"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_any_work(
    out: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "t.db", "x", [(1,)])
    result = run_in_process("score", "no-model", "sqlite:///t.db#t", "--out", out)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "secret" not in result.stderr
    result = run_in_process("fit", "sqlite:///t.db#t", "--out", "model", "--out-suspects", out)
    assert said in result.stderr


def test_others_may_write_until_the_last_row(tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "x", [(1,)])
    with writer(f"sqlite:///{tmp_path}/t.db#scores") as sink:
        sink.write(pa.table({"x": np.arange(50_000.0)}))
        code = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into t values (2)'); c.commit()"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.db")], check=True)
        assert tables_in(tmp_path / "t.db") == ["t"]
    assert read(address)["x"].to_pylist() == [1, 2]
    assert read(f"sqlite:///{tmp_path}/t.db#scores").num_rows == 50_000


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("begin exclusive")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_file_says_so(tmp_path: Path) -> None:
    address = made(tmp_path / "t.db", "x", [(1,)])
    words = [sys.executable, "-c", LOCK, str(tmp_path / "t.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="locked"):
            read(address)
        with pytest.raises(InputError, match="locked"), writer(f"{address}_2") as sink:
            sink.write(pa.table({"x": [1]}))
        other.communicate("")
    assert tables_in(tmp_path / "t.db") == ["t"]
