"""A real PostgreSQL, started here: every type, in bounded memory, whole tables or none, and nobody sees a password."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run_in_process

from expose import AnomalyDetector, Scorer
from expose.errors import DataWarning, InputError
from expose.files import read, scan, writer

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="needs pip install 'expose[sql]'")

SECRET = "corr3ct-horse"
ROWS = 200_000


def binaries() -> Path | None:
    """Where initdb and pg_ctl are, which distributions keep off the PATH."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def unprivileged() -> dict[str, Any]:
    """PostgreSQL does not run as root: the user it runs as then."""
    import pwd

    if os.getuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a server in a folder of its own."""
    place = binaries()
    if place is None:
        pytest.skip("needs PostgreSQL's initdb and pg_ctl, as from the package postgresql of the system")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        user = unprivileged()
        if user:
            os.chown(folder, user["user"], user["group"])
        (Path(folder) / "password").write_text(SECRET)
        (Path(folder) / "password").chmod(0o644)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()

        def run(*words: str) -> None:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run([str(place / words[0]), *words[1:]], check=True, cwd=folder, timeout=60, **quiet, **user)

        authentication = ["-A", "scram-sha-256", "--pwfile=password", "-U", "ann"]
        run("initdb", "-D", "data", *authentication, "-N", "-E", "UTF8", "--locale=C")
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -F"
        run("pg_ctl", "-D", "data", "-o", settings, "-l", "log", "-w", "start")
        try:
            yield port
        finally:
            run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")


class Base:
    """A database of its own for a test."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.shown = f"postgresql://ann@127.0.0.1:{port}/{name}"
        self.url = f"postgresql://ann:{SECRET}@127.0.0.1:{port}/{name}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with dbapi.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements[:-1]:
                cursor.execute(statement)
            cursor.execute(statements[-1])
            return cursor.fetchall() if cursor.description else []

    def names(self) -> list[str]:
        return [name for (name,) in self.run("select tablename::text from pg_tables where schemaname = 'public'")]

    def as_user(self, name: str, password: str = "pw") -> str:
        return f"postgresql://{name}:{password}@127.0.0.1:{self.port}/{self.name}"


@pytest.fixture(scope="module")
def database(server: int) -> Base:
    Base(server, "postgres").run("create database shop_1")
    return Base(server, "shop_1")


@pytest.fixture
def base(database: Base) -> Iterator[Base]:
    """An empty database; a new one for each test would be seven megabytes each."""
    database.run("create schema if not exists public", "grant all on schema public to public")
    yield database
    database.run(
        "set client_min_messages = error",
        "drop schema if exists public, shop, bob cascade",
        "drop role if exists bob",
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    X = np.random.default_rng(0).normal(size=(300, 2))
    detector = AnomalyDetector("svdd", random_state=0).fit(pa.table({"a": X[:, 0], "b": X[:, 1]}))
    detector.save(tmp_path / "model")
    return tmp_path / "model"


# -------------------------------------------------------------------------------------------------------- types


UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
DAY, MOMENT = dt.date(2025, 1, 2), dt.datetime(2025, 1, 2, 3, 4, 5, 678000)
TYPES: dict[str, tuple[str, str, pa.DataType, Any]] = {
    "int2": ("smallint", "-3", pa.int16(), -3),
    "int4": ("integer", "2147483647", pa.int32(), 2147483647),
    "int8": ("bigint", "9007199254740993", pa.int64(), 9007199254740993),
    "float4": ("real", "1.5", pa.float32(), 1.5),
    "float8": ("double precision", "0.1", pa.float64(), 0.1),
    "numeric": ("numeric", "1234.5678901234567890", pa.float64(), 1234.567890123456789),
    "no number": ("numeric", "'NaN'", pa.float64(), "nan"),
    "numeric(10,2)": ("numeric(10,2)", "12.34", pa.decimal128(10, 2), Decimal("12.34")),
    "no number(10,2)": ("numeric(10,2)", "'NaN'", pa.decimal128(10, 2), None),
    "numeric(20)": ("numeric(20)", "12345678901234567890", pa.decimal128(20, 0), Decimal(12345678901234567890)),
    "numeric(60,2)": ("numeric(60,2)", "1.25", pa.float64(), 1.25),
    "money": ("money", "'12.34'", pa.float64(), 12.34),
    "oid": ("oid", "4294967295", pa.int64(), 4294967295),
    "boolean": ("boolean", "true", pa.bool_(), True),
    "timestamp": ("timestamp", f"'{MOMENT}'", pa.timestamp("us"), MOMENT),
    "timestamptz": (
        "timestamptz", f"'{MOMENT}+02'", pa.timestamp("us", "UTC"),
        (MOMENT - dt.timedelta(hours=2)).replace(tzinfo=dt.UTC),
    ),
    "date": ("date", f"'{DAY}'", pa.date32(), DAY),
    "time": ("time", "'03:04'", pa.time64("us"), dt.time(3, 4)),
    "timetz": ("timetz", "'03:04+01'", pa.string(), "03:04:00+01"),
    "interval": ("interval", "'1 day 90 seconds'", pa.float64(), 86490.0),
    "uuid": ("uuid", f"'{UUID}'", pa.string(), UUID),
    "json": ("json", """'{"a": 1}'""", pa.string(), '{"a": 1}'),
    "jsonb": ("jsonb", """'{"a": 1}'""", pa.string(), '{"a": 1}'),
    "int[]": ("int[]", "'{1,2}'", pa.string(), "{1,2}"),
    "text[]": ("text[]", "'{x,y}'", pa.string(), "{x,y}"),
    "text": ("text", "'grün'", pa.string(), "grün"),
    "varchar": ("varchar(9)", "'v'", pa.string(), "v"),
    "char": ("char(9)", "'c'", pa.string(), "c"),
    "bytea": ("bytea", r"'\xff00'", pa.string(), "ff00"),
    "enum": ("mood", "'sad'", pa.string(), "sad"),
    "domain": ("share", "0.5", pa.float64(), 0.5),
    "inet": ("inet", "'10.0.0.1'", pa.string(), "10.0.0.1/32"),
    "range": ("int4range", "'[1,5)'", pa.string(), "[1,5)"),
    "point": ("point", "'(1,2)'", pa.string(), "(1,2)"),
}  # fmt: skip


def test_every_type_is_read_as_what_it_means(base: Base) -> None:
    columns = ", ".join(f'"{name}" {sql}' for name, (sql, *_) in TYPES.items())
    base.run(
        "create type mood as enum ('happy', 'sad')",
        "create domain share as float8 check (value <= 1)",
        f"create table made ({columns})",
        f"insert into made values ({', '.join(value for _, value, *_ in TYPES.values())})",
        "insert into made default values",
    )
    table = read(f"{base.url}#made")
    assert table.num_rows == 2
    for name, (_, _, arrow_type, value) in TYPES.items():
        assert table[name].type == arrow_type, name
        first, second = table[name].to_pylist()
        assert second is None, name
        assert str(first) == value if value == "nan" else first == value, name


def test_infinite_dates_are_missing_and_it_is_said(base: Base) -> None:
    base.run(
        "create table valid (until date, at timestamp, zoned timestamptz)",
        "insert into valid values ('infinity', '-infinity', 'infinity'), ('2025-01-02', '2025-01-02', null)",
    )
    with pytest.warns(DataWarning, match="infinite") as said:
        table = read(f"{base.url}#valid")
    assert len(said) == 3
    assert [column.to_pylist()[0] for column in table.columns] == [None] * 3
    assert table["until"].to_pylist()[1] == DAY


def test_the_order_of_rows_is_that_of_the_query(base: Base) -> None:
    rows = read(base.url, query="select i from generate_series(1, 70000) i order by (i * 7919) % 70001 -- mixed")
    expected = sorted(range(1, 70001), key=lambda i: i * 7919 % 70001)
    assert rows["i"].to_pylist() == expected


@pytest.mark.parametrize(
    "query", ["values (1, 'a'), (2, 'b');", "with x as (select 1 as a) select * from x -- done", "table t"]
)
def test_any_query_that_gives_rows(base: Base, query: str) -> None:
    base.run("create table t as select 1 as a")
    assert read(base.url, query=query).num_rows >= 1


def test_some_columns_alone(base: Base) -> None:
    base.run("create table t as select 1 as a, 'infinity'::date as b, 2.5::numeric as c")
    assert read(f"{base.url}#t", columns=["c", "a"]).to_pydict() == {"c": [2.5], "a": [1]}


# ------------------------------------------------------------------------------------------------------ scores


def test_scores_equal_those_of_the_same_rows_in_parquet(base: Base, model: Path, tmp_path: Path) -> None:
    X = np.random.default_rng(1).normal(size=(70_000, 2))
    rows = pa.table({"key": np.arange(len(X)), "a": X[:, 0], "b": X[:, 1].astype(np.float32)})
    pq.write_table(rows, tmp_path / "rows.parquet")
    with writer(f"{base.url}#rows") as sink:
        sink.write(rows)
    scorer = Scorer(model, id=["key"])
    [by_file, by_table, by_query] = [
        pa.concat_tables(found)
        for found in (
            scorer.scan([str(tmp_path / "rows.parquet")]),
            scorer.scan([f"{base.url}#rows"]),
            scorer.scan([base.url], query="select * from rows order by key"),
        )
    ]
    assert by_file.equals(by_table)
    assert by_file.equals(by_query)
    result = run_in_process("score", model, f"{base.url}#rows", "--id", "key", "--out", f"{base.url}#Scores, 2025")
    assert result.exit_code == 0, result.output
    written = read(base.url, query='select * from "Scores, 2025" order by key')
    assert written.equals(by_file)


def test_every_command_takes_a_database(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base.run(
        "create table events as select i, random() a, (random() * 9)::numeric(5, 2) b, 'k' || i % 3 kind "
        "from generate_series(1, 200) i",
        "create table frauds as select i, 9 + random() a, 20::numeric b, 'k1' kind from generate_series(1, 20) i",
    )
    ask, model = ["--query", "select * from events order by i"], tmp_path / "model"
    commands: list[list[Any]] = [
        ["fit", base.url, *ask, "--id", "i", "--outliers", f"{base.url}#frauds", "--out", model,
         "--objective", "hsc", "--set", "epochs=2", "--out-suspects", f"{base.url}#suspects"],
        ["score", model, base.url, *ask, "--explain", "1", "--out", f"{base.url}#scores"],
        ["query", model, base.url, *ask, "-k", "3", "--out", f"{base.url}#to_label"],
        ["report", model, f"{base.url}#events", "--out", tmp_path / "page.html"],
        ["classify", base.url, *ask, "--label", "kind", "--id", "i", "--set", "epochs=2",
         "--out", tmp_path / "classes"],
    ]  # fmt: skip
    said = ""
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["expose", *map(str, command)])  # of which folders and reports keep the words
        result = run_in_process(*command)
        assert result.exit_code == 0, result.output
        said += result.output
    assert set(base.names()) == {"events", "frauds", "suspects", "scores", "to_label"}
    assert base.run("select count(*) from suspects where rank between 1 and 200") == [(200,)]
    [(rows, reasons)] = base.run("select count(*), count(reason_1) from scores join events using (i)")
    assert rows == 200
    assert reasons > 100
    assert f"expose fit {base.shown} --id i --outliers {base.shown}#frauds" in said.replace("'", "")
    assert "--query 'select * from events order by i'" in said
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET not in said
    assert SECRET.encode() not in kept
    assert f"expose fit {base.shown} --query".encode() in kept


MEASURED = """
import resource, sys
from expose.files import scan, writer
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
url, rows = sys.argv[1], 0
query = "select i, repeat(md5(i::text), 40) as t from generate_series(1, %s) i" % sys.argv[2]
with writer(url + "#copied") as sink:
    for batch in scan(url, query=query, batch_rows=8_192):
        first = peak() if not rows else first
        sink.write(batch)
        rows += batch.num_rows
print(rows, peak() - first)
"""


def test_memory_does_not_grow_with_the_rows(base: Base) -> None:
    """Some 250 MB are read and written; the first batch is in memory when counting begins."""
    words = [sys.executable, "-c", MEASURED, base.url, str(ROWS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=100)
    rows, grown = map(int, done.stdout.split())
    assert rows == ROWS
    assert base.run("select count(*), sum(length(t)) from copied") == [(ROWS, ROWS * 32 * 40)]
    assert grown < 100, f"{grown} MB more than with the first batch"


def test_rows_that_nobody_wants_are_not_waited_for(base: Base) -> None:
    batches = scan(base.url, query="select generate_series(1, 1000000000) as i, repeat('x', 1000) as t")
    assert next(batches).num_rows
    batches.close()
    assert base.run("select count(*) from pg_stat_activity where application_name = 'expose'") == [(0,)]


# ------------------------------------------------------------------------------------------------ whole or none


BREAK = "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and application_name = 'expose'"


def test_a_connection_that_breaks_while_writing_leaves_no_table(base: Base) -> None:
    rows = pa.table({"a": np.arange(1_000.0)})

    def write() -> None:
        with writer(f"{base.url}#scores") as sink:
            sink.write(rows)
            sink.write(rows)
            assert base.run(BREAK.format(base.name)) == [(True,)]
            for _ in range(20):
                sink.write(rows)

    with pytest.raises(InputError, match=r"postgresql://ann@.*terminating connection"):
        write()
    assert base.names() == []
    with writer(f"{base.url}#scores") as sink:
        sink.write(rows)
    assert base.names() == ["scores"]


def test_a_connection_that_breaks_at_the_end_leaves_no_table(base: Base) -> None:
    with pytest.raises(InputError, match="terminating connection"), writer(f"{base.url}#scores") as sink:  # noqa: PT012
        sink.write(pa.table({"a": [1.0]}))
        base.run(BREAK.format(base.name))
    assert base.names() == []


def test_a_connection_that_breaks_while_reading_leaves_no_table(base: Base, model: Path) -> None:
    query = (
        "select repeat('x', 300) || i as i, random() a, case when i = 150000 then "
        f"pg_terminate_backend(pg_backend_pid())::int::float8 else 0.5 end b from generate_series(1, {ROWS}) i"
    )
    batches = scan(base.url, query=query)
    assert next(batches).num_rows
    with pytest.raises(InputError, match="terminating connection"):
        list(batches)
    result = run_in_process("score", model, base.url, "--query", query, "--id", "i", "--out", f"{base.url}#scores")
    assert result.exit_code == 2
    assert "terminating connection" in result.stderr
    assert base.names() == []


def test_an_error_of_ours_leaves_no_table(base: Base) -> None:
    with pytest.raises(RuntimeError, match="ours"), writer(f"{base.url}#scores") as sink:  # noqa: PT012
        sink.write(pa.table({"a": [1.0]}))
        raise RuntimeError("ours")
    assert base.names() == []


def test_a_table_that_exists_is_refused_before_any_work_and_stays_as_it_was(base: Base, tmp_path: Path) -> None:
    base.run("create table scores as select 1 as precious")
    result = run_in_process("score", tmp_path / "no-model", f"{base.url}#x", "--out", f"{base.url}#scores")
    assert result.exit_code == 2
    assert "already exists" in result.stderr
    assert "no-model" not in result.stderr
    with pytest.raises(InputError, match="already exists"), writer(f"{base.url}#scores") as sink:
        sink.write(pa.table({"a": [1.0]}))
    assert base.run("select * from scores") == [(1,)]


def test_every_type_of_arrow_finds_a_place(base: Base) -> None:
    rows = pa.table(
        {
            "uint64": pa.array([2**63, None], pa.uint64()),
            "float16": pa.array(np.array([1, 2], np.float16)),
            "decimal": pa.array([Decimal("1.25"), None]),
            "date": pa.array([DAY, None]),
            "date64": pa.array([DAY, None], pa.date64()),
            "time": pa.array([dt.time(1, 2), None]),
            "moment": pa.array([MOMENT, None], pa.timestamp("ns")),
            "null": pa.nulls(2),
            "word": pa.array(["a", None]).dictionary_encode(),
            "list": pa.array([[1, 2], None]),
            "bytes": pa.array([b"\xff", None]),
            "=formula": ["=1+1", None],
        }
    )
    with writer(f"{base.url}#made", spreadsheet_safe=True) as sink:
        sink.write(rows)
    [first] = base.run("select * from made where word = 'a'")
    assert first == (
        str(2**63), 1.0, "1.25", DAY, str(DAY), dt.time(1, 2), MOMENT, None, "a", "[1, 2]", "ff", "=1+1",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ['"; drop table kept; --', "Odd.Näme", "select", "a b'c", "% {} $1"])
def test_odd_names_are_names_and_nothing_else(base: Base, name: str) -> None:
    base.run("create table kept as select 1 as x")
    fragment = '"' + name.replace('"', '""') + '"'
    with writer(f"{base.url}#{fragment}") as sink:
        sink.write(pa.table({name: [1.5]}))
    assert read(f"{base.url}#{fragment}").to_pydict() == {name: [1.5]}
    assert set(base.names()) == {"kept", name}


def test_a_table_of_a_schema(base: Base) -> None:
    base.run("create schema shop", "create table shop.events as select 7 as x")
    assert read(f"{base.url}#shop.events")["x"].to_pylist() == [7]
    with writer(f"{base.url}#shop.scores") as sink:
        sink.write(pa.table({"x": [8]}))
    assert base.run("select x from shop.scores") == [(8,)]


def test_a_table_goes_to_the_first_schema_of_the_search_path(base: Base) -> None:
    base.run(
        "create role bob login password 'pw'",
        "create schema authorization bob",  # which "$user" of the usual path names
    )
    url = base.as_user("bob")
    with writer(f"{url}#scores") as sink:
        sink.write(pa.table({"x": [8]}))
    assert base.run("select x from bob.scores") == [(8,)]


# --------------------------------------------------------------------------------------------- who may do what


def test_roles(base: Base, model: Path) -> None:
    base.run(
        "create table events as select i, random() a, random() b from generate_series(1, 50) i",
        "create table hidden as select 1 as a, 2 as b",
        "create role bob login password 'pw'",
        "grant select on events to bob",
        "revoke create on schema public from public",
    )
    url = base.as_user("bob")
    assert read(f"{url}#events").num_rows == 50
    with pytest.raises(InputError, match="permission denied for table hidden"):
        read(f"{url}#hidden")
    result = run_in_process("score", model, f"{url}#events", "--id", "i", "--out", f"{url}#scores")
    assert result.exit_code == 2
    assert "permission denied for schema public" in result.stderr


def test_a_query_can_change_nothing(base: Base) -> None:
    base.run("create table kept as select 1 as x", "create sequence counter")
    for query in (
        "delete from kept returning *",
        "with gone as (delete from kept returning *) select * from gone",
        "select nextval('counter')",
        "select 1; delete from kept",
    ):
        with pytest.raises(InputError):
            read(base.url, query=query)
    assert base.run("select count(*) from kept") == [(1,)]


@pytest.mark.parametrize("way", ["PGPASSWORD", "PGPASSFILE", "service", "PGSERVICE"])
def test_passwords_come_from_where_libpq_finds_them(base: Base, way: str, tmp_path: Path, monkeypatch: Any) -> None:
    base.run("create table t as select 1 as x")
    settings = {"host": "127.0.0.1", "port": base.port, "dbname": base.name, "user": "ann", "password": SECRET}
    service, url = tmp_path / "services", base.shown
    service.write_text("[mine]\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
    (tmp_path / "pgpass").write_text(f"127.0.0.1:{base.port}:*:ann:{SECRET}\n")
    (tmp_path / "pgpass").chmod(0o600)
    if way == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", SECRET)
    elif way == "PGPASSFILE":
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    else:
        monkeypatch.setenv("PGSERVICEFILE", str(service))
        url = "postgresql://?service=mine" if way == "service" else "postgresql://"
        if way == "PGSERVICE":
            monkeypatch.setenv("PGSERVICE", "mine")
    assert read(f"{url}#t")["x"].to_pylist() == [1]


# ------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("fragment", "query", "said"),
    [
        ("#evnts", None, "\"evnts\" does not exist.* It has the tables 'events'"),
        ("", None, "name a table, or give a query .*'events'"),
        ("#events", "select 1", "give one of them"),
        ("", "selec 1", 'syntax error at or near "selec"'),
        ("", "", "the query .* is empty"),
        ("", "select nope from events", 'column "nope" does not exist'),
        ("", "select 1 as a, 2 as a", "more than once: 'a'"),
        ("", "select * from events where false", "no row below them"),
        ("", "select 1 / (50000 - i) as x from generate_series(1, 60000) i", "division by zero"),
        ("", "set timezone = 'UTC'", "gives no columns"),
        ("#a.b.c", None, "#table or #schema.table"),
    ],
)
def test_what_cannot_be_read_says_so(base: Base, fragment: str, query: str | None, said: str) -> None:
    base.run("create table events as select 1 as x")
    with pytest.raises(InputError, match=said):
        read(f"{base.url}{fragment}", query=query)


def test_who_or_what_is_not_there_says_so(base: Base) -> None:
    wrong = {
        f"postgresql://ann:{SECRET}x@127.0.0.1:{base.port}/{base.name}#t": "password authentication failed.*PGPASSWORD",
        f"postgresql://ann@127.0.0.1:{base.port}/{base.name}#t": "no password supplied.*PGPASSWORD",
        f"postgresql://ann:{SECRET}@127.0.0.1:{base.port}/nowhere#t": 'database "nowhere" does not exist',
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db#t": '"127.0.0.1", port 1 failed: Connection refused',
        f"postgresql://ann:{SECRET}@no-such-host.invalid/db#t": 'host name "no-such-host.invalid"',
        f"postgresql://ann:{SECRET}%ZZ@127.0.0.1/db#t": "percent-encoded",
        f"postgresql://ann:{SECRET}@127.0.0.1/db?nope={SECRET}#t": "invalid URI query parameter",
        f"postgresql://127.0.0.1/db?password=a&{SECRET}#t": "URI query parameter",
        f"postgresql://ann:{SECRET}@{SECRET}@127.0.0.1/db#t": "%40 for @",
        f"postgresql://ann:{SECRET}/{SECRET}@127.0.0.1/db#t": "%2F for /",
    }
    for url, said in wrong.items():
        with pytest.raises(InputError, match=said) as raised:
            read(url)
        assert SECRET not in str(raised.value)
        result = run_in_process("fit", url, "--out", "no-model", "--debug")
        assert result.exit_code == 2
        assert SECRET not in result.output


def test_a_server_that_does_not_answer_is_not_waited_for_forever(monkeypatch: Any) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} failed: timeout expired"):
            read(f"postgresql://ann:pw@127.0.0.1:{port}/db#t")
