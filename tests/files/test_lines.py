"""Files of lines: one text each, none lost; what is a table is not taken for one."""

from __future__ import annotations

import gzip

import pytest

from expose.errors import InputError
from expose.files.dialect import Dialect
from expose.files.lines import is_prose, looks_like_prose, opened_lines

TALK = ["Are you coming tonight?", "No, sorry, I have to work late.", "ok", "", "He said; she said, we all said it."]


def read(path, encoding=None):
    return opened_lines([str(path)], Dialect(encoding=encoding)).table()["text"].to_pylist()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_each_line_is_a_text_whatever_stands_in_it(tmp_path, end, last):
    path = tmp_path / "talk.txt"
    lines = ['"x", says he', "a,b;c\td", "# no comment", "", "  blanks  ", "last"]
    path.write_bytes(("\ufeff" + end.join(lines) + (end if last else "")).encode())
    assert read(path) == ['"x", says he', "a,b;c\td", "# no comment", None, "blanks", "last"]


def test_encodings_and_packed_files(tmp_path):
    (tmp_path / "a.txt").write_bytes("schön hier\nja".encode("latin-1"))
    assert read(tmp_path / "a.txt", "latin-1") == ["schön hier", "ja"]
    with pytest.raises(InputError, match=r"a.txt, line 1: byte 0xf6 is not valid UTF-8.*--encoding"):
        read(tmp_path / "a.txt")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"one here\ntwo there\n"))
    assert read(tmp_path / "b.txt.gz") == ["one here", "two there"]
    (tmp_path / "c.txt").write_bytes("one\nzwölf\n".encode("utf-16"))
    assert read(tmp_path / "c.txt") == ["one", "zwölf"]


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_a_file_without_a_text_is_refused(tmp_path, content):
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="the file is empty"):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("lines", "prose"),
    [
        (TALK, True),
        (["Wir sehen uns morgen früh um acht", "Das ist mir viel zu früh"], True),
        (["Привет как твои дела", "Спасибо всё хорошо"], True),
        (["name,what they said", "Ann,how are you", "Bob,fine thanks to you"], False),
        (["ham\tgo until that point", "spam\tfree entry in two", "ham\tdo not say so"], False),
        (["a;b;c", "1;2;3", "4;5;6"], False),
        (["the name, or so", '"Smith, John", is fine', "nobody, is also fine"], False),
        (["1.5 2.5 0", "1.0 3.5 1"], False),
        (["apple", "pear", "plum"], False),
        (['{"text": "this is what I said"}', '{"text": "and this is it too"}'], False),
        (["<html> this is a page", "of the web with words"], False),
        ([], False),
        (["", " "], False),
    ],
)
def test_prose_is_told_from_tables(lines, prose):
    assert looks_like_prose(lines) is prose


def test_what_is_not_there_or_is_no_text_is_no_prose(tmp_path):
    assert not is_prose(str(tmp_path / "none.txt"))
    (tmp_path / "a.txt").write_bytes(bytes(range(256)) * 9)
    assert not is_prose(str(tmp_path / "a.txt"))
    (tmp_path / "b.txt").write_bytes("ich höre dich nicht gut\nso geht es mir auch\n".encode("latin-1"))
    assert is_prose(str(tmp_path / "b.txt"))
