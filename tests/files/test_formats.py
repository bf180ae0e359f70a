"""Every format gives the same table, wherever its bytes come from."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import lzma
import os
import sys
import threading
import tracemalloc
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import workbook, written

from expose.errors import InputError, MissingExtraError
from expose.files import Dialect, opened, read, scan

TEXT = b"a;b\n1;x\n2,5;\n"
TABLE = {"a": ["1", "2,5"], "b": ["x", None]}
PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def zipped(members: dict[str, bytes | str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def parquet(table: pa.Table) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


@pytest.fixture
def piped(tmp_path):
    """A named pipe that somebody fills; it can be opened once."""
    threads = []

    def fill(content: bytes):
        place = tmp_path / f"pipe{len(threads)}"
        os.mkfifo(place)
        threads.append(threading.Thread(target=lambda: place.write_bytes(content), daemon=True))
        threads[-1].start()
        return place

    yield fill
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


# ------------------------------------------------------------------------------------------ packed and streamed


@pytest.mark.parametrize("name", ["d.csv", "d", "d.CSV", "d.dat", "d.log", "d.unheard"])
@pytest.mark.parametrize("suffix", PACKERS)
def test_what_a_file_holds_is_told_by_its_content(tmp_path, name, suffix):
    packed = PACKERS[suffix](TEXT)
    assert read(written(tmp_path / f"{name}{suffix}", packed)).to_pydict() == TABLE
    assert read(written(tmp_path / name, packed)).to_pydict() == TABLE


@pytest.mark.parametrize("suffix", PACKERS)
def test_streams_are_read_once(piped, monkeypatch, suffix):
    many = TEXT + b"3;y\n" * 300_000
    assert read(piped(PACKERS[suffix](many))).num_rows == 300_002
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PACKERS[suffix](many))))
    assert sum(batch.num_rows for batch in scan("-")) == 300_002


def test_a_stream_is_read_as_it_comes(tmp_path):
    place, asked = tmp_path / "pipe", threading.Event()
    os.mkfifo(place)

    def feed():
        with place.open("wb") as pipe:
            pipe.write(b"a,b\n" + b"1,2\n" * 600_000)
            assert asked.wait(30)
            pipe.write(b"3,4\n")

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    batches = scan(place)
    assert next(batches).num_rows == 65_536
    asked.set()  # only now does the writer go on
    assert sum(batch.num_rows for batch in batches) == 600_001 - 65_536


def test_text_is_scanned_in_bounded_memory(tmp_path):
    def peak(rows: int) -> int:
        path = written(tmp_path / "d.csv", b"a,b\n" + b"123456789,some text\n" * rows)
        tracemalloc.start()
        before, most = pa.total_allocated_bytes(), 0
        for _ in scan(path, batch_rows=5_000):
            most = max(most, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most + python

    assert peak(200_000) < 1.5 * peak(50_000) + 2**20


def test_a_closed_stdin_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read("-")


@pytest.mark.parametrize(
    "members",
    [
        {"d.csv": TEXT},
        {"folder/d.csv": TEXT, "readme.md": "# hi", "__MACOSX/._d.csv": "junk", ".hidden.csv": "junk"},
        {"d.csv.gz": gzip.compress(TEXT)},
        {"d": TEXT},
        {"1.csv": "a;b\n1;x\n", "2.csv": "b;a\n;2,5\n"},
        {"d.zip": zipped({"d.csv": TEXT})},
    ],
)
def test_archives(tmp_path, piped, members):
    content = zipped(members)
    assert read(written(tmp_path / "d.zip", content)).to_pydict() == TABLE
    assert read(piped(content)).to_pydict() == TABLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"1.csv": "a\n1\n", "2.csv": "b\n1\n"}), r"compared with .*d.zip: 1.csv, .*d.zip: 2.csv lacks 'a'"),
        (zipped({}), "holds no file"),
        (zipped({"d.csv": "a,b\n1\n"}), r"d.zip: d.csv, line 2: expected 2 values"),
        (zipped({"d.csv": TEXT})[:40], "damaged or cut short"),
    ],
    ids=["other columns", "empty", "ragged", "cut short"],  # an archive holds the time when it was made
)
def test_archives_that_cannot_be_read(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(written(tmp_path / "d.zip", content))


# ------------------------------------------------------------------------------------------------------- JSON


def test_json_lines(tmp_path):
    first = '{"n": 1.50, "deep": {"ok": true, "list": [1, 2.0, "x", null]}, "s": ""}'
    table = read(written(tmp_path / "d.jsonl", first + '\n\n{"late": "y", "n": 12345678901234567890}\n'))
    assert table.to_pydict() == {
        "n": ["1.50", "12345678901234567890"], "deep.ok": ["true", None], "deep.list": ['[1, 2.0, "x", null]', None],
        "s": [None, None], "late": [None, "y"],
    }  # fmt: skip


@pytest.mark.parametrize("first", ['{"x": 1, "user": {"id": 7}}', '{"x": 1, "user.id": 7, "user": null}'])
def test_an_object_that_is_null_in_some_rows_is_no_column_of_its_own(tmp_path, piped, first):
    text = f'{first}\n{{"x": 2, "user": null}}\n'
    expected = {"x": ["1", "2"], "user.id": ["7", None]}
    assert read(written(tmp_path / "d.jsonl", text)).to_pydict() == expected
    assert read(piped(text.encode())).to_pydict() == expected


def test_a_key_that_is_always_null_or_holds_a_value_beside_objects_is_a_column(tmp_path):
    assert read(written(tmp_path / "d.jsonl", '{"x": 1, "y": null}')).to_pydict() == {"x": ["1"], "y": [None]}
    mixed = read(written(tmp_path / "e.jsonl", '{"user": {"id": 7}}\n{"user": "bob"}'))
    assert mixed.to_pydict() == {"user.id": ["7", None], "user": [None, "bob"]}


def test_a_list_of_json_objects_is_read_like_lines(tmp_path):
    path = written(tmp_path / "d.json", '[{"a": 1},\n {"b": {"c": false}}]')
    assert read(path).to_pydict() == {"a": ["1", None], "b.c": [None, "false"]}


def test_keys_may_appear_late_in_a_file_but_not_in_a_stream(tmp_path, piped):
    lines = b'{"a": 1}\n' * 20_000
    late = lines + b'{"b": 2}\n'
    assert read(written(tmp_path / "d.jsonl", late)).slice(20_000).to_pydict() == {"a": [None], "b": ["2"]}
    assert read(piped(lines)).num_rows == 20_000
    with pytest.raises(InputError, match=r"line 20001: the key 'b' is in none of the first 1,000 objects"):
        read(piped(late))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a":\n', r"line 2: .*Expected one JSON object per line"),
        ('{"a": 1}\n[1]\n', r"line 2: expected a JSON object per row, got '\[1\]'"),
        ('{\n "a": 1\n}\n', r"line 1: .*Expected one JSON object per line"),
        ('{"a": 1, "a": 2}\n', r"line 1: two values for 'a'"),
        ('{"a.b": 1, "a": {"b": 2}}\n', r"line 1: two values for 'a.b'"),
        ('{"a": "\\ud800"}\n', r"line 1: half of a character"),
        ("{}\n", "hold no keys"),
    ],
)
def test_json_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(written(tmp_path / "d.jsonl", text))


# ---------------------------------------------------------------------------------------------------- Parquet


def test_nested_columns_of_parquet_are_flattened_and_types_stay(tmp_path, piped):
    table = pa.table({"a": [{"b": 1, "c": {"d": "x"}}], "l": [[1]], "e": pa.array(["u"]).dictionary_encode()})
    content = parquet(table)
    path = written(tmp_path / "d.parquet", content)
    for source in (path, written(tmp_path / "plain", content), written(tmp_path / "z.zip", zipped({"p": content}))):
        assert read(source).to_pydict() == {"a.b": [1], "a.c.d": ["x"], "l": [[1]], "e": ["u"]}
    assert read(written(tmp_path / "d.parquet.gz", gzip.compress(content)), columns=["a.c.d"]).to_pydict() == {
        "a.c.d": ["x"]
    }
    assert read(piped(content)).num_rows == 1
    assert pa.types.is_dictionary(read(path)["e"].type)


def test_parquet_beside_text_is_text(tmp_path):
    pq.write_table(pa.table({"a": [1.5, 2.0], "d": [datetime.date(2024, 1, 31)] * 2}), tmp_path / "1.parquet")
    written(tmp_path / "2.csv", "a,d\n3,2024-02-01\n")
    assert read(tmp_path).to_pydict() == {"a": ["1.5", "2", "3"], "d": ["2024-01-31", "2024-01-31", "2024-02-01"]}


# ------------------------------------------------------------------------------------------------ spreadsheets

SHEET = [
    ["My report"],
    [],
    ["day", "n", None, "x", "ok", "at"],
    [datetime.date(2024, 1, 31), 1.0, None, 2.5, True, datetime.datetime(2024, 1, 1, 10, 30)],
    [None, 12345678901, None, "text", False, datetime.datetime(2024, 1, 2)],
]


@pytest.fixture
def book(tmp_path):
    pytest.importorskip("python_calamine", reason="needs the extra excel")
    return lambda sheets: workbook(tmp_path / "book.xlsx", sheets)


def test_spreadsheets(book, piped):
    path = book({"One": SHEET, "Empty": []})
    expected = {
        "day": ["2024-01-31", None], "n": ["1", "12345678901"], "x": ["2.5", "text"], "ok": ["true", "false"],
        "at": ["2024-01-01 10:30:00", "2024-01-02 00:00:00"],
    }  # fmt: skip
    assert read(path).to_pydict() == expected
    assert opened(path).notes == ("1 line above the header left out: 'My report'",)
    assert read(piped(path.read_bytes())).to_pydict() == expected
    assert read(path, dialect=Dialect(header=False, skip_lines=2)).column_names == [f"x{i}" for i in range(5)]


def test_one_of_several_sheets_is_named(book):
    path = book({"One": SHEET, "Two": [["a", "b"], [1, "x"]]})
    assert read(f"{path}#Two").to_pydict() == {"a": ["1"], "b": ["x"]}
    with pytest.raises(InputError, match=r"holds several sheets: 'One', 'Two'. Name one: .*book.xlsx#One"):
        read(path)
    with pytest.raises(InputError, match=r"no sheet 'Zwei'; there are 'One', 'Two'"):
        read(f"{path}#Zwei")


def test_spreadsheets_that_cannot_be_read(book, tmp_path, monkeypatch):
    path = book({"One": []})
    with pytest.raises(InputError, match="the sheet is empty"):
        read(path)
    with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
        read(written(tmp_path / "cut.xlsx", path.read_bytes()[:300]))
    with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
        read(written(tmp_path / "old.xls", b"\xd0\xcf\x11\xe0" * 200))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[excel\]'"):
        read(path)


# ---------------------------------------------------------------------------------------- no tables, no files


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n<!DOCTYPE html><html>", "HTML"), (b"<HTML>\n<body>", "HTML"), (b"<data><row/></data>", "XML"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"), (b"%PDF-1.7", "PDF"), (b"\x89PNG\r\n", "an image"),
        (b"SQLite format 3\0", "an SQLite"), (b"\x93NUMPY", "HDF5 or NumPy"), (b"\x80\x04\x95", "a pickle"),
        (b"ARROW1\0\0", "Arrow"), (b"d.csv" + b"\0" * 252 + b"ustar", "an archive"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_said(tmp_path, content, what):
    with pytest.raises(InputError, match=f"expected a table, but this looks like {what}"):
        read(written(tmp_path / "d.csv", content))


def test_a_name_with_an_angle_bracket_is_no_html(tmp_path):
    assert read(written(tmp_path / "d.csv", "<5,>5\n1,2\n")).column_names == ["<5", ">5"]


def test_links_are_followed(tmp_path):
    for name in ("data", "links", "more"):
        (tmp_path / name).mkdir()
    written(tmp_path / "data" / "d.csv", TEXT)
    (tmp_path / "links" / "d.csv").symlink_to(tmp_path / "data" / "d.csv")
    (tmp_path / "more" / "sub").symlink_to(tmp_path / "links")
    for source in (tmp_path / "links" / "d.csv", tmp_path / "links", tmp_path / "more", str(tmp_path / "l*" / "*.csv")):
        assert read(source).to_pydict() == TABLE


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path):
    (tmp_path / "self.csv").symlink_to(tmp_path / "self.csv")
    (tmp_path / "broken.csv").symlink_to(tmp_path / "absent.csv")
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder" / "d.csv", TEXT)
    for source in (tmp_path / "self.csv", tmp_path / "broken.csv", tmp_path):
        with pytest.raises(InputError, match=r"(self|broken).csv is a link to .*where there is no file"):
            read(source)
    (tmp_path / "folder" / "back").symlink_to(tmp_path / "folder")
    with pytest.raises(InputError, match=r"back is a link to a folder that it lies in, a circle"):
        read(tmp_path / "folder")


def test_hidden_files_are_not_read(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "_tmp").mkdir()
    for name in (".d.csv", "_d.csv", ".git/d.csv", "_tmp/d.csv"):
        written(tmp_path / name, "x\n")
    written(tmp_path / "d.csv", TEXT)
    assert read(tmp_path).to_pydict() == TABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = written(tmp_path / "d.csv", TEXT)
    path.chmod(0)
    with pytest.raises(InputError, match=r"d.csv: cannot be read: Permission denied"):
        read(path)
