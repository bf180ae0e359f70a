"""Logs: which files they are, entries, windows, sessions, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from expose.errors import InputError
from expose.kinds import Reading, as_logs, kind_named, kind_of, kind_of_files
from expose.kinds.log_files import AT_ONCE, LONGEST
from expose.kinds.log_lines import masked
from expose.kinds.ordered import note_on_lines


def lines_of(n: int = 100, step: int = 30, first: str = "2026-05-01T12:00:00") -> list[str]:
    start = np.datetime64(first)
    return [f"{start + np.timedelta64(step * row, 's')} INFO job {row} done".replace("T", " ") for row in range(n)]


def put(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


# ------------------------------------------------------------------------------------------------------ which


@pytest.mark.parametrize("name", ["app.log", "APP.LOG", "app.log.1", "app.log-20260501", "syslog", "access_log.2"])
def test_a_log_is_known_by_its_name(name: str, tmp_path: Path) -> None:
    assert kind_of_files([put(tmp_path / name, lines_of())]).name == "log"
    assert kind_of_files([str(tmp_path)]).name == "log"  # a folder of nothing else


@pytest.mark.parametrize("name", ["app.csv", "app.txt", "blog", "catalog.csv", "app.log.csv"])
def test_other_names_are_no_logs(name: str, tmp_path: Path) -> None:
    assert kind_of_files([put(tmp_path / name, lines_of())]).name != "log"


@pytest.mark.parametrize(
    "lines",
    [["a,b", "1,2", "3,4"], ["#separator \\x09", "#fields\tts"], ['{"time": 1}', '{"time": 2}'], ["time;x", "1;2"]],
    ids=["csv", "zeek", "json", "semicolons"],
)
def test_a_table_called_log_stays_a_table(lines: list[str], tmp_path: Path) -> None:
    assert kind_of_files([put(tmp_path / "conn.log", lines)]).name == "table"


def test_a_log_with_as_many_commas_in_each_line_is_a_log(tmp_path: Path) -> None:
    lines = [line.replace(" INFO", ",123 INFO") for line in lines_of()]
    assert kind_of_files([put(tmp_path / "app.log", lines)]).name == "log"


def test_logs_beside_tables_are_no_logs(tmp_path: Path) -> None:
    log, table = put(tmp_path / "a.log", lines_of()), put(tmp_path / "b.csv", ["a", "1"])
    assert kind_of_files([log, table]).name == kind_of_files([str(tmp_path)]).name == "table"


def test_a_session_or_a_length_of_time_asks_for_a_log() -> None:
    assert (
        kind_of_files(["x.txt"], Reading(session="id=")).name
        == kind_of_files(["-"], Reading(window="5m")).name
        == "log"
    )
    with pytest.raises(InputError, match="--window goes with --time COLUMN"):
        kind_of_files(["x.txt"], Reading(window=5))


def test_a_log_that_was_read_as_a_table_is_told_so() -> None:
    table = pa.table({"2026-05-01 12:00:00": ["2026-05-01 12:00:30"], "1 INFO job 0 done": ["1 INFO job 1 done"]})
    assert note_on_lines(None, table)[0].startswith("'2026-05-01 12:00:00' was taken for the name of a column")
    assert note_on_lines(pa.table({"2026-05-01 12:00:00": [1], "2026-05-01 13:00:00": [2]})) == ()
    assert note_on_lines(pa.table({"2026-05-01": [1], "time": [2]})) == ()


def test_in_python_lines_are_texts() -> None:
    assert kind_of(lines_of()).name == "text"
    assert kind_of(as_logs(lines_of())).name == "log"


# ----------------------------------------------------------------------------------------------------- reading


def batch_of(*sources: str, **reading: object):
    return kind_named("log").read(sources, Reading(**reading))  # type: ignore[arg-type]


def test_packed_and_rotated_files_are_one_log_in_order_of_time(tmp_path: Path) -> None:
    lines = lines_of(90)
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress("\n".join(lines[:30]).encode()))
    (tmp_path / "app.log.1.bz2").write_bytes(bz2.compress("\n".join(lines[30:60]).encode()))
    put(tmp_path / "app.log", lines[60:])
    logs = batch_of(str(tmp_path), window="5m").samples
    assert logs.entries.texts.to_pylist() == lines
    assert logs.lines(0) == "app.log.2.gz:1-10"
    assert logs.lines(3) == "app.log.1.bz2:1-10"


def test_rotated_files_without_times_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    for number, name in enumerate(["app.log.10", "app.log.2", "app.log.1", "app.log"]):
        put(tmp_path / name, [f"line {number}"] * 5)
    batch = batch_of(str(tmp_path))
    assert [text.as_py() for text in batch.samples.entries.texts][::5] == ["line 0", "line 1", "line 2", "line 3"]
    assert batch.notes == ("no time at the beginning of the lines, so windows are of 5 lines",)


def test_lines_without_a_time_belong_to_the_one_before(tmp_path: Path) -> None:
    lines = lines_of(20)
    lines[3:3] = ["Traceback (most recent call last):", "  File 'a.py'", "ValueError: no", ""]
    batch = batch_of(put(tmp_path / "a.log", ["opened", *lines]), window="5m")
    entries = batch.samples.entries
    assert len(entries) == 20
    assert entries.texts[2].as_py().endswith("ValueError: no")
    assert entries.messages[entries.codes[2]] == "INFO job <NUM> done ValueError"
    assert entries.lines.tolist()[:4] == [2, 3, 4, 9]
    assert batch.notes == (
        "a.log: 1 line(s) before the first that names a time are left out",
        "a.log: 3 line(s) that name no time are taken as part of the line before",
    )


def test_times_out_of_order_are_put_in_order_and_said(tmp_path: Path) -> None:
    lines = lines_of(20)
    lines[4], lines[9] = lines[9], lines[4]
    batch = batch_of(put(tmp_path / "a.log", lines), window="5m")
    assert batch.samples.entries.texts.to_pylist() == sorted(lines)
    assert "a.log: 2 line(s) are earlier than the one before; put in order of time" in batch.notes


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes("\n".join(lines_of(20)).encode().replace(b"job 7", b"job \xff"))
    assert any("1 line(s) hold bytes that are no text" in note for note in batch_of(str(tmp_path / "a.log")).notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no line to read"),
        (b"\n \n", "there is no line to read"),
        (b"ab\0\0cd", "zero bytes, so it is a binary file"),
        (b"\x89PNG\r\n", "expected a log, lines of text, but this looks like an image"),
        (bytes(range(128, 256)) * 20, "most of it is no text in utf-8"),
        (gzip.compress(b"x" * 10_000)[:40], "damaged or cut short"),
    ],
    ids=["empty", "blank", "binary", "image", "other encoding", "cut"],
)
def test_what_is_no_log_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(content)
    with pytest.raises(InputError, match=message):
        batch_of(str(tmp_path / "a.log"))


def test_some_files_with_times_and_some_without_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.log", lines_of())
    put(tmp_path / "b.log", ["no time"] * 5)
    with pytest.raises(InputError, match=r"some files name times and others do not: 'b\.log'"):
        batch_of(str(tmp_path))


@pytest.mark.parametrize("name", ["id", "ignore", "label"])
def test_logs_have_no_columns(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--{name}: logs have no columns"):
        batch_of(put(tmp_path / "a.log", lines_of()), **{name: "x" if name == "label" else ("x",)})


def test_a_log_of_two_bytes_to_a_sign_is_a_log(tmp_path: Path) -> None:
    lines = [line.replace(" INFO", ",1 INFO") for line in lines_of(20)]
    (tmp_path / "a.log").write_text("\n".join([*lines, "  and more"]), encoding="utf-16")
    assert kind_of_files([str(tmp_path / "a.log")]).name == "log"
    assert batch_of(str(tmp_path)).samples.entries.texts.to_pylist()[:-1] == lines[:-1]
    (tmp_path / "a.log").write_bytes("\n".join(lines).encode("utf-16-le"))
    with pytest.raises(InputError, match="--encoding utf-16-le"):
        batch_of(str(tmp_path))
    assert len(as_logs(tmp_path / "a.log", encoding="utf-16-le").entries) == 20


def test_colours_of_terminals_are_left_out(tmp_path: Path) -> None:
    lines = [f"\x1b[90m{line.replace('INFO', chr(27) + '[32mINFO' + chr(27) + '[0m')},\r" for line in lines_of(20)]
    assert kind_of_files([put(tmp_path / "a.log", lines)]).name == "log"
    assert as_logs(tmp_path / "a.log").entries.texts.to_pylist() == [f"{line}," for line in lines_of(20)]


def test_lines_are_cut_where_they_are_too_long_and_it_is_said(tmp_path: Path) -> None:
    lines = lines_of(20)
    batch = batch_of(put(tmp_path / "a.log", [*lines[:7], lines[7] + "x" * 100_000, *lines[8:]]))
    assert len(batch.samples.entries.texts[7].as_py()) == LONGEST
    assert batch.samples.entries.texts[8].as_py() == lines[8]
    assert "a.log: 1 line(s) are longer than 20,000 characters and are cut there" in batch.notes


def test_a_trace_may_be_of_more_lines_than_are_read_at_once(tmp_path: Path) -> None:
    lines = lines_of(2_500)
    lines[2_400:2_400] = [*(f"  at line {row}" for row in range(2 * AT_ONCE)), "Caused by: KeyError: no"]
    entries = batch_of(put(tmp_path / "a.log", lines)).samples.entries
    assert len(entries) == 2_500
    assert entries.messages[entries.codes[2_399]].endswith("done KeyError")
    assert len(entries.texts[2_399].as_py()) < 2 * LONGEST
    assert entries.lines[2_400] == 2_400 + 2 * AT_ONCE + 2


def test_a_clock_that_was_set_back_by_an_hour_is_said(tmp_path: Path) -> None:
    lines = lines_of(130) + lines_of(100, first="2026-05-01T12:05:30")
    assert any("set back by an hour" in note for note in batch_of(put(tmp_path / "a.log", lines)).notes)


def test_a_log_takes_a_few_bytes_per_byte(tmp_path: Path) -> None:
    n = 100_000
    put(tmp_path / "a.log", lines_of(n, 1))
    size = (tmp_path / "a.log").stat().st_size
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    logs = as_logs(tmp_path / "a.log", "1m")
    peak, texts = tracemalloc.get_traced_memory()[1], pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert len(logs.entries) == n
    assert peak + texts < 5 * size  # of short lines: what is kept beside a line is as much as the line


# ----------------------------------------------------------------------------------------------------- cutting


def test_windows_begin_on_the_clock_and_silent_ones_count() -> None:
    lines = lines_of(40) + lines_of(40, first="2026-05-01T12:30:00")
    logs = as_logs(lines, "5m")
    assert [len(members) for members in logs.members] == [10, 10, 10, 10, 0, 0, 10, 10, 10, 10]
    assert logs.ids()["start"][4].as_py() == "2026-05-01 12:20:00"
    assert logs.lines(4) == "none"
    assert kind_named("log").show(logs, 4)["excerpt"] == ""
    assert logs.notes == ("2 of 10 windows hold no entry; they count as silent",)


def test_long_silence_is_left_out_and_said() -> None:
    logs = as_logs(lines_of(40) + lines_of(40, first="2026-05-03T12:30:00"), "5m")
    assert len(logs) == 8
    assert "as they are most, they are left out" in logs.notes[0]


def test_a_small_part_of_a_window_at_either_end_joins_its_neighbour() -> None:
    logs = as_logs(lines_of(42, first="2026-05-01T12:04:00"), "5m")  # 12:04:00 to 12:24:30
    assert [len(members) for members in logs.members] == [12, 10, 10, 10]
    np.testing.assert_allclose(logs.scales * [12, 10, 10, 10], 10, rtol=0.12)


def test_the_usual_window_is_said() -> None:
    logs = as_logs(lines_of(2_000))
    assert logs.cut.window == "5m"
    assert "windows of 5m, the shortest usual length by which one holds 10 entries in the mean" in logs.notes[0]


def test_sessions_are_told_by_a_key_or_a_pattern() -> None:
    lines = [f"{line} id=s{row % 7}, by user-{row % 3}" for row, line in enumerate(lines_of(70))] + lines_of(3)
    logs = as_logs(lines, session="id=")
    assert logs.sessions == tuple(f"s{row}" for row in range(7))
    assert logs.notes == ("3 of 73 entries name no session by 'id=' and are left out",)
    assert as_logs(lines, session=r"user-\d").sessions == ("user-0", "user-1", "user-2")
    assert as_logs(lines, session=r"user-(\d)").sessions == ("0", "1", "2")


def test_a_key_is_a_whole_word_and_may_be_of_json() -> None:
    lines = [f'{line} {{"superuser": "x", "user": "u{row % 7}"}}' for row, line in enumerate(lines_of(70))]
    assert as_logs(lines, session="user=").sessions == as_logs(lines, session="user:").sessions
    assert as_logs(lines, session="user=").sessions == tuple(f"u{row}" for row in range(7))


def test_names_of_files_are_no_lines(tmp_path: Path) -> None:
    name = put(tmp_path / "a.log", lines_of())
    with pytest.raises(InputError, match=r"got names of files.*Give paths"):
        as_logs([name, name])
    with pytest.raises(InputError, match=r"got lines\. Give a list"):
        as_logs("\n".join(lines_of()))
    with pytest.raises(InputError, match="got an empty list"):
        as_logs([])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"session": "blk_"}, "no line holds it"),
        ({"session": "job"}, "every session would have that one name. For what follows it write job= or job_"),
        ({"session": "("}, "is no regular expression"),
        ({"session": "id=", "window": "5m"}, "two ways to cut"),
        ({"window": "soon"}, "takes a length of time such as 30s, 5m"),
        ({"window": "0m"}, "takes a length of time"),
        ({"window": 0}, "a number of entries, 1 at least; got 0"),
        ({"window": 2.5}, "a number of entries, 1 at least; got 2.5"),
    ],
)
def test_cuts_that_cannot_be_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_logs(lines_of(), **given)


def test_windows_of_time_need_times() -> None:
    with pytest.raises(InputError, match="the lines name no time at their beginning"):
        as_logs(["a", "b"], "5m")
    assert len(as_logs(["a", "b", "c", "d"], 2)) == 2


# ----------------------------------------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("took 12ms, 3.5 s and 40%", "took <NUM>ms, <NUM> s and <NUM>%"),
        ("user42 of worker-7 at node_12b", "user<ID> of worker-<ID> at node_<ID>"),
        ("from 10.0.0.1:80 and fe80:0:0:1::5 mac 00:1a:2b:3c:4d:5e", "from <ADDRESS> and <ADDRESS> mac <ADDRESS>"),
        ("key deadbeef01 and 0xFF", "key <HEX> and <HEX>"),
        ("id 123e4567-e89b-12d3-a456-426614174000.", "id <UUID>."),
        ("until 2026-05-01T10:00:00Z", "until <TIME>"),
        ("version 1.2.3 facade", "version <NUM> facade"),
        ('"GET /a HTTP/1.1" 404 7', '"GET /a HTTP/1.1" 404 <NUM>'),
    ],
)
def test_what_varies_is_typed(message: str, text: str) -> None:
    assert masked(message).text == text
