"""Files as people have them: each does what its owner expects, from the command line on; the guide shows the same."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from commands import facts, run_in_process
from wild_files import FOLDER, OTHERS, PLANTED, ROWS, TEXTS, make

from expose.cli.app import command_of
from expose.cli.options import WRITTEN
from expose.files import Conventions, Dialect, conventions, numerals, paths, texts
from expose.kinds import understood

GUIDE = Path(__file__).parents[2] / "docs" / "input-formats.md"


@dataclass(frozen=True)
class Wild:
    """What the owner of a file expects.

    ``read`` are its columns, by what they are read as; ``said`` is in the notes; ``options`` are those of which a first
    try without them says that they are needed, with exit code 2 and all of ``refused`` in the message.
    """

    read: dict[str, str]
    said: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    rows: int = ROWS
    planted: int = PLANTED
    because: str = ""
    rank: int = 1


WILD = {
    "sales.csv": Wild(
        {"Belegnr": "identifier", "Datum": "date: day first", "Filiale": "category: of 3",
         "Betrag": "number: decimal ',', thousands '.', €", "Rabatt": "number: decimal ',', %"},
        ("delimiter ';'", "values missing, imputed with an indicator column: 'Rabatt' 4.5%"),
        because="Betrag",
    ),
    "sensor.csv": Wild(
        {"time": "date: 'UTC' count as missing", "temperature": "number: 'ERR', '°C' count as missing",
         "pressure": "number: 'hPa' count as missing", "humidity": "number: '%' count as missing",
         "state": "category: of 2"},
        ("'temperature' holds numbers; 4 value(s) are none and count as missing: 'ERR' (3 rows, first row 12), "
         "'°C' (row 0)",
         "row 0, the first one, is written otherwise: 'UTC', '°C', 'hPa', '%'"),
        rows=ROWS + 1, planted=PLANTED + 1, because="pressure",
    ),
    "bank.csv": Wild(
        {"Date": "date: month first; 'Total' count as missing", "Description": "category: of 3",
         "Amount": "number: thousands ',', $", "Fee": "number: $"},
        ("2 lines above the header left out: 'Account statement', 'Checking account 0042  01/01/2025 to 12/31/2025'",
         "'Date' holds dates; 1 value(s) are none and count as missing: 'Total' (row 200)",
         "row 200, the last one, is written otherwise: 'Total'"),
        rows=ROWS + 1, because="Amount", rank=2,  # the sum of all is larger still
    ),
    "cultivars.data": Wild(
        dict.fromkeys(("x0", "x1", "x2", "x3", "x4"), "number"),
        ("delimiter ';'", "no header line"),
        ("--no-header",),
        ("expected the names of the columns, got what looks like a row", "use --no-header"), because="x2",
    ),
    "stock.csv": Wild(
        {"Article": "identifier", "Shelf": "category: of 3", "Price": "number", "Pieces": "number",
         "Per piece": "number: '#DIV/0!' count as missing"},
        ("delimiter ';'", "1 empty column without a name at the end left out",
         "count as missing: '#DIV/0!' (5 rows, first row 3)"),
        because="Price",
    ),
    "plants.xlsx": Wild(
        {"Planted": "date", "Bed": "category: of 2", "Height": "number", "Leaves": "number"},
        ("1 line above the header left out: 'Green house, spring'",),
        because="Height",
    ),
    "conn.log": Wild(
        {"ts": "number", "uid": "identifier", "id.orig_h": "category: of 8", "proto": "category: of 2",
         "service": "category: of 2", "duration": "number", "orig_bytes": "number", "resp_bytes": "number"},
        ("delimiter tab", "names of columns taken from a comment line",
         "values missing, imputed with an indicator column: 'service' 34.0%, 'duration' 33.5%, 'resp_bytes' 33.5%"),
        because="orig_bytes",
    ),
    "flows.csv": Wild(
        {"Flow ID": "identifier", " Destination Port": "number", " Flow Duration": "number",
         " Total Fwd Packets": "number", " Flow Bytes/s": "number"},
        ("values missing, imputed with an indicator column: ' Flow Bytes/s' 1.0%",),
        ("--ignore", "Label", "--infinity", "missing"),
        ("column ' Flow Bytes/s', row 20 (counting from 0) holds inf", "--infinity missing"),
        because=" Flow Bytes/s",
    ),
    "requests.jsonl": Wild(
        {"time": "date", "request.method": "category: of 2", "request.bytes": "number", "status": "number",
         "took_ms": "number", "user.id": "category: of 6", "tags": "category: of 2", "retry": "number: true or false"},
        ("values missing, imputed with an indicator column: 'retry' 75.0%, 'user.id' 20.0%",),
        because="took_ms",
    ),
    "orders.parquet": Wild(
        {"order": "number", "channel": "category: of 2", "price": "number", "sent": "date",
         "from.city": "category: of 2", "from.box.kg": "number", "paid": "number",
         "items": "left out: list<element: int64> has no meaning as a feature"},
        ("a running number, used as a feature: 'order'; name it as id or ignore it",),
        because="price",
    ),
    "dump.tsv": Wild(
        {"id": "identifier", "created": "date", "plan": "category: of 2", "usage": "number", "quota": "number",
         "note": "category: of 1"},
        ("delimiter tab", "values missing, imputed with an indicator column: 'note' 85.5%, 'quota' 50.0%"),
        because="usage",
    ),
}  # fmt: skip


def placed(name: str, folder: Path) -> Path:
    return FOLDER / name if name in TEXTS else make(name, folder)


def in_words(column: dict[str, Any]) -> str:
    how = "" if column["kind"] == "identifier" else column["how"]
    return f"{column['kind']}: {how}" if how else column["kind"]


@pytest.mark.parametrize("name", TEXTS)
def test_the_files_are_those_that_are_made(name: str, tmp_path: Path) -> None:
    assert (FOLDER / name).read_bytes() == make(name, tmp_path).read_bytes()
    assert (FOLDER / name).stat().st_size < 30_000


def test_every_file_has_an_owner() -> None:
    assert set(WILD) == {*TEXTS, *OTHERS}
    assert {path.name for path in FOLDER.iterdir()} == set(TEXTS)


@pytest.mark.filterwarnings("ignore:left out what has no meaning")
@pytest.mark.parametrize("name", WILD)
def test_it_does_what_its_owner_expects(name: str, tmp_path: Path) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("python_calamine", reason="needs the extra excel")
    expected, path = WILD[name], placed(name, tmp_path)
    if expected.options:
        refused = run_in_process("fit", path, "--out", tmp_path / "model")
        assert refused.exit_code == 2
        assert [said for said in expected.refused if said not in refused.stderr] == []
    result = run_in_process("fit", path, *expected.options, "--out", tmp_path / "model", "--json")
    assert result.exit_code == 0, result.output
    found = facts(result)
    assert found["rows"] == expected.rows
    assert {one["name"]: in_words(one) for one in found["columns_read"]} == expected.read
    assert [said for said in expected.said if not any(said in note for note in found["notes"])] == []
    first = found["ranking"][expected.rank - 1]
    assert (first["row"], first["reasons"][0]["column"]) == (expected.planted, expected.because)
    scored = run_in_process("score", tmp_path / "model", path, "--out", tmp_path / "scores.csv")
    assert scored.exit_code == 0, scored.output
    assert len((tmp_path / "scores.csv").read_text("utf-8").splitlines()) == expected.rows + 1


@pytest.mark.parametrize(("name", "mark"), [("bank.csv", "Total"), ("sensor.csv", "UTC")])
def test_a_footer_or_units_row_can_be_left_out_as_the_note_says(name: str, mark: str, tmp_path: Path) -> None:
    result = run_in_process("fit", FOLDER / name, "--comment", mark, "--out", tmp_path / "model", "--json")
    found = facts(result)
    assert (found["rows"], found["ranking"][0]["row"]) == (ROWS, PLANTED)
    assert not any("is written otherwise" in note for note in found["notes"])


@pytest.mark.parametrize(
    "text",
    [
        "-- MySQL dump 10.13\n--\nCREATE TABLE `t` (`id` int);\nINSERT INTO `t` VALUES (1,2),(3,4);\n",
        "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n",
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\n",
        "/* by hand */\ninsert into t values (1, 2);\n",
    ],
)
def test_a_dump_as_sql_is_refused_with_what_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "dump.csv").write_text(text)
    result = run_in_process("fit", tmp_path / "dump.csv", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "looks like a dump of a database, as SQL. Export the table itself" in result.stderr


def test_names_that_begin_like_sql_are_names(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("set point,insert\n" + "".join(f"{i},{i * i}\n" for i in range(30)))
    assert run_in_process("fit", tmp_path / "d.csv", "--out", tmp_path / "model").exit_code == 0


# --------------------------------------------------------------------------------------------------- the guide


def guide_row(name: str) -> str:
    """What the guide says of a file, made of what its owner expects."""
    wild, maker = WILD[name], {**TEXTS, **OTHERS}[name]
    style = (maker.__doc__ or "").split("\n")[0].rstrip(".")
    options = f"; read with `{shlex.join(wild.options)}`" if wild.options else ""
    alike: dict[str, list[str]] = {}
    for column, what in wild.read.items():
        kind, _, how = what.partition(": ")
        alike.setdefault(f"{kind} ({how})" if how else kind, []).append(f"`{column.strip()}`")
    read = "; ".join(f"{', '.join(columns)} {what}" for what, columns in alike.items())
    row = f"| `{name}` | {style}{options} | {read} | {'; '.join(wild.said)} |"
    return row.replace("<", "&lt;")


def guide_table() -> str:
    return "\n".join(
        ["| file | what it is | read as | noticed, among others |", "|---|---|---|---|", *map(guide_row, WILD)]
    )


def test_the_guide_shows_what_is_expected() -> None:
    assert guide_table() in GUIDE.read_text(encoding="utf-8")


def test_the_guide_gives_the_rules_as_they_are() -> None:
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    for said in (
        f"at least {texts.NEARLY_ALL:.0%} of the values".replace("%", " %"),
        f"or {texts.OFTEN:.0%}, if the others are no more than {texts.FEW_WORDS} different".replace("%", " %"),
        f"more than {numerals.EXACT_DIGITS} digits",
        f"a column with {understood.ENOUGH} values or more",
    ):
        assert said in text, said
    spelled = {word for line in text.split("one of `NA`")[1:] for word in re.findall(r"`([^`]+)`", f"`NA`{line[:80]}")}
    assert spelled <= conventions.NULLS
    for suffix in (*paths.TEXT_SUFFIXES, *paths.PARQUET_SUFFIXES, *paths.EXCEL_SUFFIXES, *paths.PACKED_SUFFIXES):
        assert f"`{suffix}`" in text


def test_the_guide_lists_every_option_with_its_name_in_python() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    options = {one.name: one for one in command_of("fit").params}
    for name in {*WRITTEN, "category"} - {
        "query",
        "photo",
        "views",
        "time",
        "entity",
        "window",
        "session",
        "text",
        "video",
        "every",
    }:  # elsewhere
        where = "Dialect" if name in {field.name for field in fields(Dialect)} else "Conventions"
        [row] = [line for line in text.splitlines() if f"| `{where}({name}=)` |" in line]
        assert all(flag in row for flag in (*options[name].opts, *options[name].secondary_opts))
    named = re.findall(r"`(Dialect|Conventions)\((\w+)=\)`", text)
    told = {field.name for field in fields(Dialect)} - {"commas"}  # which training finds
    assert {("Dialect", name) for name in told} <= set(named)
    assert {("Conventions", field.name) for field in fields(Conventions)} <= set(named)
