"""Addresses of databases, without a database: what they name, and that nobody sees a password."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run_in_process

from expose.cli.sources import command_line
from expose.errors import InputError, MissingExtraError, without_passwords
from expose.files import database_of, is_database, read
from expose.files.sql import table_named

SECRETS = ["secret", "s3cr#t", "se/cr@et", "se@cret", "a:b", "%40x", "?secret", "s&cret"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("rest", ["host/db#t", "host:5432/db", "/db#t@ble", "host", "h1:1,h2:2/db?sslmode=require#s.t"])
def test_passwords_are_taken_out_of_addresses(secret: str, rest: str) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
        cleaned = without_passwords(f"{scheme}://ann:{secret}@{rest}")
        assert secret not in cleaned
        assert cleaned.startswith(f"{scheme}://ann@")
    assert secret not in without_passwords(f"cannot open 'postgresql:/ann:{secret}@{rest}', sorry")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("postgresql://ann:secret@host/db#t", "postgresql://ann@host/db#t"),
        ("postgresql://:secret@host/db", "postgresql://@host/db"),
        ("postgresql://ann:secret@host/db#t@ble", "postgresql://ann@host/db#t@ble"),
        ("postgresql://host/db?user=ann&password=secret#t", "postgresql://host/db?user=ann#t"),
        ("postgresql://host/db?password=secret&sslmode=require", "postgresql://host/db?sslmode=require"),
        ("postgresql:///?password=a&password=b&sslpassword=c", "postgresql:///"),
        ("mysql://ann:secret@host/db", "mysql://ann@host/db"),
        ("s3://key:secret@bucket/x", "s3://key@bucket/x"),
        ("from postgresql://a:b@c/d to postgresql://e:f@g/h", "from postgresql://a@c/d to postgresql://e@g/h"),
        ("postgresql://ann@host:5432/db#t", "postgresql://ann@host:5432/db#t"),
        ("at http://host:80/x, mail a@b", "at http://host:80/x, mail a@b"),
        ("C:/data/x@y.csv", "C:/data/x@y.csv"),
        ("12:30 @ noon, a:b@c", "12:30 @ noon, a:b@c"),
    ],
)
def test_all_else_stays_as_it_is(text: str, cleaned: str) -> None:
    assert without_passwords(text) == cleaned


def test_the_command_that_is_kept_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["expose", "fit", "postgresql://ann:secret@host/db", "--query", "select 1", "--out", "model"]
    monkeypatch.setattr(sys, "argv", words)
    assert command_line() == "expose fit postgresql://ann@host/db --query 'select 1' --out model"


@pytest.mark.parametrize("where", ["DATA", "--out", "--outliers", "--answers", "--out-suspects"])
@pytest.mark.parametrize("address", ["postgresql://ann:secret@127.0.0.1:1/db#t", "postgresql://ann:secret@x@y/db#t"])
def test_messages_hold_no_password(where: str, address: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n3,4\n5,6\n" * 10)
    given = {"DATA": str(tmp_path / "t.csv"), "--out": str(tmp_path / "model")} | {where: address}
    words = [given.pop("DATA"), *(word for option in given.items() for word in option)]
    for debug in ([], ["--debug"], ["--json"]):
        result = run_in_process("fit", *words, "--set", "epochs=1", "--objective", "bce", *debug)
        assert result.exit_code == 2
        assert "secret" not in result.output


def test_what_is_a_database() -> None:
    assert all(map(is_database, ["postgres://h/d", "postgresql:///d", "sqlite:x.db", "mysql+pymysql://h/d"]))
    assert not any(map(is_database, ["x.csv", "s3://b/x", "-", Path("sqlite:x"), "C:\\x.csv", "file.sqlite"]))


@pytest.mark.parametrize(
    ("fragment", "sql"),
    [
        ("events", '"events"'),
        ("Shop.Events", '"Shop"."Events"'),
        ('"a.b"', '"a.b"'),
        ('"a.b".c d', '"a.b"."c d"'),
        ('"say ""hi"""', '"say ""hi"""'),
        ("x; drop table y", '"x; drop table y"'),
    ],
)
def test_names_of_tables(fragment: str, sql: str) -> None:
    table = table_named(fragment)
    assert table is not None
    assert table.sql == sql


@pytest.mark.parametrize("fragment", ["a.b.c", 'a"b', '"a', ".a", "a.", '""', 'a"; drop table b; --"'])
def test_what_names_no_table(fragment: str) -> None:
    with pytest.raises(InputError, match="names no table"):
        table_named(fragment)


def test_a_connection_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGCONNECT_TIMEOUT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    usual = database_of("postgresql://host/db#t").address()
    assert usual == "postgresql://host/db?fallback_application_name=expose&connect_timeout=10"
    assert database_of("postgresql://h/d?connect_timeout=3").address().count("connect_timeout") == 1
    assert "connect_timeout" not in database_of("postgresql://?service=mine").address()
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert "connect_timeout" not in database_of("postgresql://host/db").address()


@pytest.mark.parametrize("driver", ["adbc_driver_postgresql", "adbc_driver_sqlite"])
def test_a_driver_that_is_not_there_is_named(driver: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, f"{driver}.dbapi", None)
    (tmp_path / "t.db").touch()
    address = "postgresql://host/db" if "postgres" in driver else f"sqlite:///{tmp_path}/t.db"
    for way in (lambda: read(f"{address}#t"), lambda: read(address, query="select 1")):
        with pytest.raises(MissingExtraError, match=r"pip install 'expose\[sql\]'"):
            way()


@pytest.mark.parametrize(
    "command", [["fit"], ["classify", "--label", "a"], ["score", "m"], ["query", "m"], ["report", "m"]]
)
def test_a_query_without_a_database_is_refused(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    result = run_in_process(*command, tmp_path / "t.csv", "--query", "select 1", "--out", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "is asked of a database" in " ".join(result.stderr.split())
    with pytest.raises(InputError, match="is asked of a database"):
        read(tmp_path / "t.csv", query="select 1")
